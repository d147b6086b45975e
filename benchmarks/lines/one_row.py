"""One row out of many: what a change costs, wherever it comes from."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import apsw

from benchmarks.lines.databases import ROWS_TINYBASE_CAN_SAVE, SECTION, TINYBASE
from benchmarks.lines.kinds import CONFIGURATION, fill, rows
from benchmarks.measure import Figure, Line, at_most, speed
from benchmarks.processes import LineProcess, python
from replicell.persisters import CrSqliteDatabase, CrSqlitePersister, create_crsqlite_persister
from replicell.persisters.crsqlite.connection import transaction
from replicell.persisters.crsqlite.keys import pack_key
from replicell.store import Store

__all__ = ["one_row_figures"]

SIZES = ((1_000, None), (100_000, speed(100)), (1_000_000, None))
PEER = bytes(range(16))
ROUNDS = 15
UPDATE = "UPDATE todos SET rank = ? WHERE id = ?"
MERGE = "INSERT INTO crsql_changes VALUES ('todos', ?, 'rank', ?, ?, 0, ?, 1, 0)"


def update(connection: apsw.Connection, row_id: str, rank: int) -> None:
    connection.execute(UPDATE, (rank, row_id))


def merge(connection: apsw.Connection, row_id: str, rank: int) -> None:
    """What sync does with a change of another replica."""
    connection.execute(MERGE, (pack_key([row_id]), rank, -rank + 1_000, PEER))


def look(connection: apsw.Connection) -> None:
    connection.execute("SELECT 1").fetchall()


def update_by_hand(connection: apsw.Connection, row_id: str, rank: int) -> float:
    start = time.perf_counter()
    with transaction(connection):
        update(connection, row_id, rank)
    return time.perf_counter() - start


class Kept:
    """A store that follows a large table while row after row is changed.

    Args:
        path: A file that does not exist yet.
        size: Rows of the table.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._size = size
        self._edits = 0
        self._store = Store()
        self._runner = asyncio.Runner()
        self._db = CrSqliteDatabase(path)
        self._persister: CrSqlitePersister = create_crsqlite_persister(self._store, self._db, CONFIGURATION)
        self._runner.run(self._start())

    async def _start(self) -> None:
        await self._db.open()
        await self._db.run(fill, list(rows(self._size)))
        await self._persister.load()
        assert self._store.get_row_count("todos") == self._size

    def load_one(self) -> float:
        return self._runner.run(self._load_one())

    async def _load_one(self) -> float:
        row_id = self._next_row()
        await self._db.execute("UPDATE todos SET rank = ? WHERE id = ?", (-self._edits, row_id))
        start = time.perf_counter()
        await self._persister.load()
        seconds = time.perf_counter() - start
        assert self._store.get_cell("todos", row_id, "rank") == -self._edits
        return seconds

    def save_one(self) -> float:
        return self._runner.run(self._save_one())

    async def _save_one(self) -> float:
        if not self._persister.is_auto_saving():
            await self._persister.start_auto_save()
        row_id = self._next_row()
        start = time.perf_counter()
        self._store.set_cell("todos", row_id, "rank", -self._edits)
        await self._persister.flush()
        return time.perf_counter() - start

    def save_one_by_hand(self) -> float:
        return self._runner.run(self._save_one_by_hand())

    async def _save_one_by_hand(self) -> float:
        return await self._db.run(update_by_hand, self._next_row(), -self._edits)

    def arrive(self, write: Callable[[apsw.Connection, str, int], None]) -> float:
        """Seconds from a write that was made here, just before its commit, to its arrival in the store."""
        written = 0.0

        def timed(connection: apsw.Connection, row_id: str, rank: int) -> None:
            nonlocal written
            write(connection, row_id, rank)
            written = time.monotonic()

        async def make(row_id: str, rank: int) -> None:
            await self._db.write(timed, row_id, rank)

        return self._runner.run(self._arrival(make)) - written

    def arrive_from(self, writer: LineProcess) -> tuple[float, float]:
        """Seconds from another process's commit to its notice, and from there to its arrival in the store."""
        committed = 0.0
        noticed: list[float] = []

        async def make(row_id: str, rank: int) -> None:
            nonlocal committed
            answer = await asyncio.to_thread(writer.ask, {"row": row_id, "rank": rank})
            committed = float(answer["at"])

        with self._db.on_change(lambda change: noticed.append(time.monotonic())):
            arrived = self._runner.run(self._arrival(make))
        return noticed[0] - committed, arrived - noticed[0]

    async def _arrival(self, make: Callable[[str, int], Coroutine[Any, Any, None]]) -> float:
        """Return when a change that is made here or elsewhere has reached the store."""
        if not self._persister.is_auto_loading():
            await self._persister.start_auto_load()
        row_id = self._next_row()
        arrived = asyncio.get_running_loop().create_future()
        listener = self._store.add_cell_listener(
            "todos", row_id, "rank", lambda *_: arrived.set_result(time.monotonic())
        )
        await make(row_id, -self._edits)
        at: float = await arrived
        self._store.del_listener(listener)
        assert self._store.get_cell("todos", row_id, "rank") == -self._edits
        return at

    def hop(self) -> float:
        """Seconds of one statement on the database's thread, and back."""
        return self._runner.run(self._hop())

    async def _hop(self) -> float:
        start = time.perf_counter()
        await self._db.read(look)
        return time.perf_counter() - start

    def _next_row(self) -> str:
        self._edits += 1
        return f"row {self._edits * 7 % self._size}"

    @property
    def path(self) -> str:
        """The file."""
        return self._db.path

    def close(self) -> None:
        self._runner.run(self._db.close())
        self._runner.close()


@contextmanager
def kept(original: LineProcess, size: int) -> Iterator[Kept]:
    """A large table on both sides."""
    with tempfile.TemporaryDirectory() as folder:
        theirs = str(Path(folder) / "theirs.db")
        original.ask({"line": "fill", "size": size, "path": theirs})
        original.ask({"line": "keep", "size": size, "path": theirs})
        ours = Kept(Path(folder) / "ours.db", size)
        try:
            yield ours
        finally:
            ours.close()
            original.ask({"line": "forget"})


def asking(original: LineProcess, line: str, size: int) -> Callable[[], float]:
    return lambda: float(original.ask({"line": line, "size": size})["seconds"])


def arrival_figures(ours: Kept, size: int) -> Iterator[Figure]:
    """One changed row on its way into the store, from everywhere it may come."""
    name = f"cr-sqlite: one changed row of {size:,}"
    hop = "one statement and back"
    target = at_most(0.005, "5 ms")
    for source, write in (("made here", update), ("merged by sync", merge)):
        yield Line(
            SECTION,
            f"{name}, {source}, from before its commit to the store",
            1,
            partial(ours.arrive, write),
            hop,
            ours.hop,
            target,
            ratio="cost",
            repetitions=ROUNDS,
        ).measure()
    notices: list[float] = []
    with python("benchmarks.row_writer", ours.path) as writer:

        def arrive() -> float:
            notice, arrival = ours.arrive_from(writer)
            notices.append(notice)
            return arrival

        yield Line(
            SECTION,
            f"{name}, made by another process, from its notice to the store",
            1,
            arrive,
            hop,
            ours.hop,
            target,
            ratio="cost",
            repetitions=ROUNDS,
        ).measure()
    yield Figure(
        SECTION,
        f"cr-sqlite: one changed row of {size:,}, from another process's commit to its notice, the longest",
        max(notices),
        "the median",
        median(notices),
        at_most(0.050, "50 ms"),
        ratio="cost",
    )


def one_row_figures(original: LineProcess) -> Iterator[Figure]:
    """Measure the lines, one after the other.

    Args:
        original: A process of benchmarks/node/persister.mjs.
    """
    for size, target in SIZES:
        with kept(original, size) as ours:
            yield Line(
                SECTION,
                f"cr-sqlite: load one changed row of {size:,}",
                1,
                ours.load_one,
                TINYBASE,
                asking(original, "load_one", size),
                target,
                warm_ups=1,
                repetitions=5 if size < 1_000_000 else 1,
            ).measure()
            if size <= ROWS_TINYBASE_CAN_SAVE:
                original.ask({"line": "auto_save", "size": size})
                yield Line(
                    SECTION,
                    f"cr-sqlite: save one edited cell of {size:,} rows automatically",
                    1,
                    ours.save_one,
                    TINYBASE,
                    asking(original, "save_one", size),
                ).measure()
            yield Line(
                SECTION,
                f"cr-sqlite: save one edited cell of {size:,} rows automatically",
                1,
                ours.save_one,
                "UPDATE by hand, on its thread",
                ours.save_one_by_hand,
                ratio="cost",
                repetitions=ROUNDS,
            ).measure()
            if size == 1_000_000:
                yield from arrival_figures(ours, size)
