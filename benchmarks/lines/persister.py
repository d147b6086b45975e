"""Saves, beside the same SQL written by hand on the same kind of table with the same connection settings."""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import apsw

from benchmarks.lines.todos import row_ids, row_of, table_of
from benchmarks.measure import Line, cost
from replicell.persisters import CrSqliteDatabase, create_crsqlite_persister
from replicell.persisters.crsqlite.connection import close_connection, open_connection, transaction
from replicell.persisters.crsqlite.schema import TableSchema, create_table
from replicell.store import Store

__all__ = ["CONFIGURATION", "persister_lines"]

SECTION = "Persister (cr-sqlite)"
BY_HAND = "the same SQL by hand"
ROWS = 10_000
EDITS = 1_000
COLUMNS = ("text", "done", "rank", "weight")
CONFIGURATION = {
    "mode": "tabular",
    "tables": {
        "load": {"todos": {"tableId": "todos", "rowIdColumnName": "id"}},
        "save": {"todos": {"tableName": "todos", "rowIdColumnName": "id"}},
    },
}


def upsert(*columns: str) -> str:
    names = ", ".join(f'"{column}"' for column in ("id", *columns))
    marks = ", ".join("?" * (len(columns) + 1))
    updates = ", ".join(f'"{column}" = excluded."{column}"' for column in columns)
    return f'INSERT INTO "todos" ({names}) VALUES ({marks}) ON CONFLICT ("id") DO UPDATE SET {updates}'


UPSERT_ROW = upsert(*COLUMNS)
UPSERT_CELL = upsert("rank")


def by_hand(work: Callable[[apsw.Connection], float]) -> Callable[[], float]:
    """A run that gives plain SQL a fresh database file."""

    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            connection = open_connection(Path(folder) / "bench.db")
            try:
                gc.collect()
                return work(connection)
            finally:
                close_connection(connection)

    return run


def by_persister(
    work: Callable[[Store, CrSqliteDatabase], Coroutine[Any, Any, float]],
) -> Callable[[], float]:
    """A run that gives a store and a fresh database file."""

    async def main(path: Path) -> float:
        async with CrSqliteDatabase(path) as db:
            gc.collect()
            return await work(Store(), db)

    def run() -> float:
        with tempfile.TemporaryDirectory() as folder:
            return asyncio.run(main(Path(folder) / "bench.db"))

    return run


def sql_row(index: int) -> tuple[str | int | float, ...]:
    row = row_of(index)
    return (
        f"row {index}",
        row["text"],
        "\ufffdtrue" if row["done"] else "\ufffdfalse",
        row["rank"],
        row["weight"],
    )


def save_rows_by_hand(connection: apsw.Connection) -> float:
    rows = [sql_row(index) for index in range(ROWS)]
    start = time.perf_counter()
    create_table(connection, TableSchema("todos", ("id",), COLUMNS))
    with transaction(connection):
        connection.executemany(UPSERT_ROW, rows)
    return time.perf_counter() - start


async def save_rows(store: Store, db: CrSqliteDatabase) -> float:
    store.set_table("todos", table_of(ROWS))
    persister = create_crsqlite_persister(store, db, CONFIGURATION)
    start = time.perf_counter()
    await persister.save()
    seconds = time.perf_counter() - start
    await persister.destroy()
    return seconds


def fill_by_hand(connection: apsw.Connection) -> None:
    create_table(connection, TableSchema("todos", ("id",), COLUMNS))
    with transaction(connection):
        connection.executemany(UPSERT_ROW, [sql_row(index) for index in range(EDITS)])


def edit_by_hand(connection: apsw.Connection) -> float:
    fill_by_hand(connection)
    start = time.perf_counter()
    for index, row_id in enumerate(row_ids(EDITS)):
        with transaction(connection):
            connection.execute(UPSERT_CELL, (row_id, -index - 1))
    return time.perf_counter() - start


def edit_at_once_by_hand(connection: apsw.Connection) -> float:
    fill_by_hand(connection)
    edits = [(row_id, -index - 1) for index, row_id in enumerate(row_ids(EDITS))]
    start = time.perf_counter()
    with transaction(connection):
        connection.executemany(UPSERT_CELL, edits)
    return time.perf_counter() - start


async def edit(store: Store, db: CrSqliteDatabase, *, flush_each: bool) -> float:
    store.set_table("todos", table_of(EDITS))
    persister = create_crsqlite_persister(store, db, CONFIGURATION)
    await persister.start_auto_save()
    await persister.flush()
    start = time.perf_counter()
    for index, row_id in enumerate(row_ids(EDITS)):
        store.set_cell("todos", row_id, "rank", -index - 1)
        if flush_each:
            await persister.flush()
    await persister.flush()
    seconds = time.perf_counter() - start
    await persister.destroy()
    return seconds


async def edit_by_hops(store: Store, db: CrSqliteDatabase) -> float:
    """The same SQL where a program has to run it that must not block: on another thread, and awaited."""
    await db.run(fill_by_hand)

    def write(connection: apsw.Connection, row_id: str, rank: int) -> None:
        with transaction(connection):
            connection.execute(UPSERT_CELL, (row_id, rank))

    start = time.perf_counter()
    for index, row_id in enumerate(row_ids(EDITS)):
        store.set_cell("todos", row_id, "rank", -index - 1)
        await db.run(write, row_id, -index - 1)
    return time.perf_counter() - start


def persister_lines() -> Iterator[Line]:
    """The lines of the persister."""
    yield Line(
        SECTION,
        "save 10,000 rows of 4 cells into a new database",
        1,
        by_persister(save_rows),
        BY_HAND,
        by_hand(save_rows_by_hand),
        cost(1.3),
        ratio="cost",
    )
    yield Line(
        SECTION,
        "one edit saved and durable, 1,000 one after the other",
        EDITS,
        by_persister(lambda store, db: edit(store, db, flush_each=True)),
        BY_HAND,
        by_hand(edit_by_hand),
        cost(1.3),
        ratio="cost",
    )
    yield Line(
        SECTION,
        "one edit saved and durable, 1,000 one after the other",
        EDITS,
        by_persister(lambda store, db: edit(store, db, flush_each=True)),
        "by hand, each awaited on the database's thread",
        by_persister(edit_by_hops),
        None,
        ratio="cost",
    )
    yield Line(
        SECTION,
        "1,000 edits in a row, then durable",
        1,
        by_persister(lambda store, db: edit(store, db, flush_each=False)),
        "one executemany by hand",
        by_hand(edit_at_once_by_hand),
        None,
        ratio="cost",
    )
