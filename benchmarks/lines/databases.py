"""Many rows and one row out of many, beside TinyBase's persister on plain SQLite and beside SQL by hand."""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

from benchmarks.lines.persister import CONFIGURATION, by_hand
from benchmarks.measure import Figure, Line, cost, speed
from benchmarks.processes import LineProcess
from replicell.persisters import (
    CrSqliteDatabase,
    CrSqlitePersister,
    SqliteDatabase,
    create_crsqlite_persister,
    create_sqlite_persister,
)
from replicell.persisters.crsqlite.schema import TableFiller, TableSchema, create_tables
from replicell.store import Store

__all__ = ["database_figures"]

SECTION = "Persister (many rows of 3 cells)"
BY_HAND = "the same SQL by hand"
TINYBASE = "TinyBase, libSQL"
COLUMNS = ("text", "rank", "weight")
SCHEMA = TableSchema("todos", ("id",), COLUMNS)
INSERT = "INSERT INTO todos VALUES (?, ?, ?, ?)"
ROWS = 100_000
ROWS_TINYBASE_CAN_SAVE = 8_000
"""It binds all cells of a table in one statement, and SQLite takes 32,766."""
SIZES = ((1_000, None), (100_000, speed(100)), (1_000_000, None))

Row = tuple[str, str, int, float]


def rows(size: int) -> Iterator[Row]:
    return ((f"row {index}", f"todo {index}", index, index / 4) for index in range(size))


def table(size: int) -> dict[str, dict[str, str | int | float]]:
    return {
        row_id: {"text": text, "rank": rank, "weight": weight} for row_id, text, rank, weight in rows(size)
    }


class Filler(TableFiller):
    def __init__(self, content: list[Row]) -> None:
        self.content = content

    def prepare(self, connection: apsw.Connection) -> None:
        """Nothing comes before."""

    def insert(self, connection: apsw.Connection) -> None:
        connection.executemany(INSERT, self.content)

    def finish(self, connection: apsw.Connection) -> None:
        """Nothing comes after."""


def fill(connection: apsw.Connection, size: int) -> None:
    create_tables(connection, [SCHEMA], Filler(list(rows(size))))


def save_by_hand(connection: apsw.Connection) -> float:
    content = list(rows(ROWS))
    gc.collect()
    start = time.perf_counter()
    create_tables(connection, [SCHEMA], Filler(content))
    return time.perf_counter() - start


def load_by_hand(connection: apsw.Connection) -> float:
    fill(connection, ROWS)
    gc.collect()
    start = time.perf_counter()
    store = Store()
    loaded = connection.execute("SELECT * FROM todos")
    store.set_table(
        "todos",
        {row_id: {"text": text, "rank": rank, "weight": weight} for row_id, text, rank, weight in loaded},
    )
    seconds = time.perf_counter() - start
    assert store.get_row_count("todos") == ROWS
    return seconds


async def crsqlite_save(path: Path) -> float:
    store = Store().set_table("todos", table(ROWS))
    async with CrSqliteDatabase(path) as db:
        persister = create_crsqlite_persister(store, db, CONFIGURATION)
        gc.collect()
        start = time.perf_counter()
        await persister.save()
        return time.perf_counter() - start


async def crsqlite_load(path: Path) -> float:
    store = Store()
    async with CrSqliteDatabase(path) as db:
        await db.run(fill, ROWS)
        persister = create_crsqlite_persister(store, db, CONFIGURATION)
        gc.collect()
        start = time.perf_counter()
        await persister.load()
        seconds = time.perf_counter() - start
    assert store.get_row_count("todos") == ROWS
    return seconds


async def sqlite_save(path: Path) -> float:
    store = Store().set_table("todos", table(ROWS_TINYBASE_CAN_SAVE))
    async with SqliteDatabase(path) as db:
        persister = create_sqlite_persister(store, db, CONFIGURATION)
        gc.collect()
        start = time.perf_counter()
        await persister.save()
        return time.perf_counter() - start


async def sqlite_load(path: Path) -> float:
    store = Store()
    async with SqliteDatabase(path) as db:
        await db.run(fill_plainly, ROWS)
        persister = create_sqlite_persister(store, db, CONFIGURATION)
        gc.collect()
        start = time.perf_counter()
        await persister.load()
        seconds = time.perf_counter() - start
    assert store.get_row_count("todos") == ROWS
    return seconds


def fill_plainly(connection: apsw.Connection, size: int) -> None:
    connection.execute("CREATE TABLE todos (id TEXT PRIMARY KEY NOT NULL, text, rank, weight)")
    with connection:
        connection.executemany(INSERT, rows(size))


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
        await self._db.run(fill, self._size)
        await self._persister.load()
        assert self._store.get_row_count("todos") == self._size

    def load_one(self) -> float:
        return self._runner.run(self._load_one())

    async def _load_one(self) -> float:
        self._edits += 1
        row_id = f"row {self._edits * 7 % self._size}"
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
        self._edits += 1
        row_id = f"row {self._edits * 7 % self._size}"
        start = time.perf_counter()
        self._store.set_cell("todos", row_id, "rank", -self._edits)
        await self._persister.flush()
        return time.perf_counter() - start

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


def bulk_lines(original: LineProcess) -> Iterator[Line]:
    """Whole tables."""
    yield Line(
        SECTION,
        "cr-sqlite: save 100,000 rows into a new database",
        1,
        fresh(crsqlite_save),
        BY_HAND,
        by_hand(save_by_hand),
        cost(1.3),
        ratio="cost",
        repetitions=3,
        warm_ups=1,
    )
    yield Line(
        SECTION,
        "cr-sqlite: load 100,000 rows",
        1,
        fresh(crsqlite_load),
        "SELECT and set_table by hand",
        by_hand(load_by_hand),
        cost(1.3),
        ratio="cost",
        repetitions=3,
        warm_ups=1,
    )
    yield Line(
        SECTION,
        "plain SQLite: save 8,000 rows into a new database",
        1,
        fresh(sqlite_save),
        TINYBASE,
        original_with(original, "save", ROWS_TINYBASE_CAN_SAVE, filled=False),
        speed(1),
        note="TinyBase cannot save 100,000 rows: its one statement binds more values than SQLite takes",
    )
    yield Line(
        SECTION,
        "plain SQLite: load 100,000 rows",
        1,
        fresh(sqlite_load),
        TINYBASE,
        original_with(original, "load", ROWS, filled=True),
        speed(1),
        repetitions=3,
        warm_ups=1,
    )


def database_figures(original: LineProcess) -> Iterator[Figure]:
    """Measure the lines, one after the other.

    Args:
        original: A process of benchmarks/node/persister.mjs.
    """
    for line in bulk_lines(original):
        yield line.measure()
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
