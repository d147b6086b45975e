from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import apsw

from replicell.persisters import CrSqliteDatabase, create_crsqlite_persister
from replicell.todo.model import TABLE, create_todo_store
from replicell.todo.storage import Storage

PATIENCE = 30.0
CONFIG = {
    "mode": "tabular",
    "tables": {
        "load": {TABLE: {"tableId": TABLE, "rowIdColumnName": "id"}},
        "save": {TABLE: {"tableName": TABLE, "rowIdColumnName": "id"}},
    },
}


async def until(storage: Storage, condition: Callable[[], bool]) -> None:
    changed = asyncio.Event()
    unsubscribe = storage.on_change(changed.set)
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await changed.wait()
            changed.clear()
    unsubscribe()


async def test_a_save_that_fails_is_a_problem_until_one_goes_well(tmp_path: Path) -> None:
    path, store, storage = tmp_path / "a.db", create_todo_store(), Storage()
    async with (
        CrSqliteDatabase(path, busy_timeout=0.02) as database,
        create_crsqlite_persister(store, database, CONFIG, on_error=storage.on_error) as persister,
    ):
        storage.watch(persister)
        await persister.start_auto_save()
        store.set_row("todo", "1", {"text": "before", "created": 1})
        await persister.flush()
        assert storage.problem == ""
        # Not by Python's own sqlite3: two copies of SQLite in one process do not see each other's locks.
        with closing(apsw.Connection(str(path))) as somebody:
            somebody.execute("BEGIN IMMEDIATE")
            store.set_row("todo", "2", {"text": "meanwhile", "created": 2})
            await until(storage, lambda: "lock" in storage.problem)
            somebody.execute("ROLLBACK")
        await until(storage, lambda: storage.problem == "")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT text FROM todo ORDER BY id").fetchall() == [
            ("before",),
            ("meanwhile",),
        ]
