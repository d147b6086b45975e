"""Whole tables, beside TinyBase's persister on plain SQLite and beside SQL by hand."""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import apsw

from benchmarks.heartbeat import Heartbeat
from benchmarks.lines.kinds import CONFIGURATION, CRSQLITE, SQLITE, Kind, Row, rows, table
from benchmarks.measure import Line, at_most, cost, speed
from benchmarks.processes import LineProcess, python
from replicell.store import Store

__all__ = ["SECTION", "TINYBASE", "bulk_lines", "fresh", "long_work_lines"]

SECTION = "Persister (many rows of 3 cells)"
BY_HAND = "the same SQL by hand"
TINYBASE = "TinyBase, libSQL"
ROWS = 100_000
ROWS_TINYBASE_CAN_SAVE = 8_000
"""It binds all cells of a table in one statement, and SQLite takes 32,766."""
LONGEST_WAIT = at_most(0.020, "20 ms")


def by_hand(kind: Kind, work: Callable[[apsw.Connection, Kind], float]) -> Callable[[], float]:
    """A run that gives plain SQL a fresh file."""

    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            connection = kind.opened(Path(folder) / "bench.db")
            try:
                return work(connection, kind)
            finally:
                kind.closed(connection)

    return run


def save_by_hand(connection: apsw.Connection, kind: Kind) -> float:
    content = list(rows(ROWS))
    gc.collect()
    start = time.perf_counter()
    kind.fill(connection, content)
    return time.perf_counter() - start


def load_by_hand(connection: apsw.Connection, kind: Kind) -> float:
    kind.fill(connection, list(rows(ROWS)))
    gc.collect()
    start = time.perf_counter()
    store = Store()
    found = connection.execute("SELECT * FROM todos")
    store.set_table(
        "todos",
        {row_id: {"text": text, "rank": rank, "weight": weight} for row_id, text, rank, weight in found},
    )
    seconds = time.perf_counter() - start
    assert store.get_row_count("todos") == ROWS
    return seconds


def load_dicts_by_hand(connection: apsw.Connection, kind: Kind) -> float:
    kind.fill(connection, list(rows(ROWS)))
    gc.collect()
    start = time.perf_counter()
    found = connection.execute("SELECT * FROM todos")
    held = {row_id: {"text": text, "rank": rank, "weight": weight} for row_id, text, rank, weight in found}
    seconds = time.perf_counter() - start
    assert len(held) == ROWS
    return seconds


async def save(kind: Kind, path: Path, size: int) -> float:
    store = Store().set_table("todos", table(size))
    async with kind.database(path) as db:
        persister = kind.persister(store, db, CONFIGURATION)
        gc.collect()
        start = time.perf_counter()
        await persister.save()
        return time.perf_counter() - start


async def load(kind: Kind, path: Path) -> float:
    store = Store()
    content: list[Row] = list(rows(ROWS))
    async with kind.database(path) as db:
        await db.run(kind.fill, content)
        persister = kind.persister(store, db, CONFIGURATION)
        gc.collect()
        start = time.perf_counter()
        await persister.load()
        seconds = time.perf_counter() - start
    assert store.get_row_count("todos") == ROWS
    return seconds


async def longest_wait_of_save(kind: Kind, path: Path) -> float:
    store = Store().set_table("todos", table(ROWS))
    async with kind.database(path) as db:
        persister = kind.persister(store, db, CONFIGURATION)
        gc.collect()
        async with Heartbeat() as heartbeat:
            await persister.save()
        return heartbeat.longest


async def longest_wait_of_load(kind: Kind, path: Path) -> float:
    store = Store()
    async with kind.database(path) as db:
        await db.run(kind.fill, list(rows(ROWS)))
        persister = kind.persister(store, db, CONFIGURATION)
        gc.collect()
        async with Heartbeat() as heartbeat:
            await persister.load()
    assert store.get_row_count("todos") == ROWS
    return heartbeat.longest


async def longest_wait_of_thread(
    kind: Kind, path: Path, work: Callable[[apsw.Connection, Kind], float]
) -> float:
    """How long the loop waits while the same SQL runs by hand in a thread."""

    def run() -> None:
        connection = kind.opened(path)
        try:
            work(connection, kind)
        finally:
            kind.closed(connection)

    gc.collect()
    async with Heartbeat() as heartbeat:
        await asyncio.to_thread(run)
    return heartbeat.longest


def fresh(work: Callable[[Path], Coroutine[Any, Any, float]]) -> Callable[[], float]:
    """A run that gives a file that does not exist yet."""

    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            return asyncio.run(work(Path(folder) / "bench.db"))

    return run


def original_with(original: LineProcess, line: str, size: int, *, filled: bool) -> Callable[[], float]:
    """A run of TinyBase's that gives it a fresh file."""

    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "bench.db")
            if filled:
                original.ask({"line": "fill", "size": size, "path": path})
            return float(original.ask({"line": line, "size": size, "path": path})["seconds"])

    return run


def memory_of(work: str, kind: Kind) -> Callable[[], float]:
    """A run in a process of its own; see `benchmarks.memory`."""

    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "bench.db"
            if work == "load":
                connection = kind.opened(path)
                kind.fill(connection, list(rows(ROWS)))
                kind.closed(connection)
            with python("benchmarks.memory", work, kind.name, str(path), str(ROWS)) as process:
                return float(process.receive()["bytes"])

    return run


def bulk_lines(original: LineProcess) -> Iterator[Line]:
    """Whole tables.

    Args:
        original: A process of benchmarks/node/persister.mjs.
    """
    for kind in (CRSQLITE, SQLITE):
        yield _few_times(
            f"{kind.name}: save 100,000 rows into a new database",
            fresh(partial(save, kind, size=ROWS)),
            BY_HAND,
            by_hand(kind, save_by_hand),
        )
        yield _few_times(
            f"{kind.name}: load 100,000 rows",
            fresh(partial(load, kind)),
            "SELECT and set_table by hand",
            by_hand(kind, load_by_hand),
        )
        yield _few_times(
            f"{kind.name}: load 100,000 rows",
            fresh(partial(load, kind)),
            "SELECT into dicts, without a store",
            by_hand(kind, load_dicts_by_hand),
            has_target=False,
        )
    yield Line(
        SECTION,
        "plain SQLite: save 8,000 rows into a new database",
        1,
        fresh(partial(save, SQLITE, size=ROWS_TINYBASE_CAN_SAVE)),
        TINYBASE,
        original_with(original, "save", ROWS_TINYBASE_CAN_SAVE, filled=False),
        speed(1),
        note="TinyBase cannot save 100,000 rows: its one statement binds more values than SQLite takes",
    )
    yield Line(
        SECTION,
        "plain SQLite: load 100,000 rows",
        1,
        fresh(partial(load, SQLITE)),
        TINYBASE,
        original_with(original, "load", ROWS, filled=True),
        speed(1),
        repetitions=3,
        warm_ups=1,
    )


def _few_times(
    name: str, ours: Callable[[], float], peer: str, theirs: Callable[[], float], *, has_target: bool = True
) -> Line:
    target = cost(1.3) if has_target else None
    return Line(SECTION, name, 1, ours, peer, theirs, target, ratio="cost", repetitions=3, warm_ups=1)


def long_work_lines() -> Iterator[Line]:
    """What whole tables do to the event loop and to memory."""
    works = (("save", longest_wait_of_save, save_by_hand), ("load", longest_wait_of_load, load_by_hand))
    for kind in (CRSQLITE, SQLITE):
        for name, ours, theirs in works:
            yield Line(
                SECTION,
                f"{kind.name}: longest wait of the event loop, {name} of 100,000 rows",
                1,
                fresh(partial(ours, kind)),
                "the same by hand in a thread",
                fresh(partial(longest_wait_of_thread, kind, work=theirs)),
                LONGEST_WAIT,
                ratio="cost",
                repetitions=3,
                warm_ups=1,
            )
            yield Line(
                SECTION,
                f"{kind.name}: most memory, {name} of 100,000 rows, the rows included",
                1,
                memory_of(name, kind),
                "the rows as dicts",
                memory_of("hold", kind),
                cost(2),
                ratio="cost",
                unit="bytes",
                repetitions=3,
                warm_ups=0,
            )
