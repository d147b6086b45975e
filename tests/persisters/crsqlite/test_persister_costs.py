"""What a load or a save costs follows what has changed, not what there is."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
import apsw.ext
import pytest

from replicell.persisters import CrSqliteDatabase, CrSqlitePersister, create_crsqlite_persister
from replicell.persisters.crsqlite.changes import Change
from replicell.persisters.crsqlite.connection import transaction
from replicell.persisters.crsqlite.keys import pack_key
from replicell.persisters.crsqlite.schema import TableSchema, create_table
from replicell.store import Store, create_store
from tests.persisters.crsqlite.todo_files import CONFIG
from tests.persisters.waiting_for import until_store

ROWS = 3_000
PEER = bytes(range(16))


def fill(connection: apsw.Connection) -> None:
    create_table(connection, TableSchema("todo", ("id",), ("text", "rank")))
    with transaction(connection):
        todos = ((str(number), f"todo {number}", number) for number in range(ROWS))
        connection.executemany("INSERT INTO todo VALUES (?, ?, ?)", todos)


@asynccontextmanager
async def large_table(file: Path) -> AsyncIterator[CrSqlitePersister]:
    async with CrSqliteDatabase(file) as db:
        await db.run(fill)
        persister = create_crsqlite_persister(create_store(), db, CONFIG)
        await persister.start_auto_persisting()
        await persister.load()
        yield persister


class Steps:
    """Counts what SQLite does: the rows it steps over in full scans, and what it makes of each statement."""

    def __init__(self) -> None:
        self.statements: set[str] = set()
        self.scanned = 0

    def start(self, connection: apsw.Connection) -> None:
        connection.trace_v2(apsw.SQLITE_TRACE_PROFILE | apsw.SQLITE_TRACE_STMT, self._note)

    def _note(self, event: dict[str, object]) -> None:
        if event["code"] == apsw.SQLITE_TRACE_STMT:
            self.statements.add(str(event["sql"]))
        else:
            status = event["stmt_status"]
            assert isinstance(status, dict)
            self.scanned += status["SQLITE_STMTSTATUS_FULLSCAN_STEP"]

    @staticmethod
    def stop(connection: apsw.Connection) -> None:
        connection.trace_v2(0, None)


def edit_here(connection: apsw.Connection) -> None:
    connection.execute("UPDATE todo SET text = 'edited' WHERE id = '7'")


def merge(connection: apsw.Connection) -> None:
    change = Change("todo", pack_key(["7"]), "text", "edited", 9, 1, 0, 1)
    connection.execute(
        "INSERT INTO crsql_changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (change.table, change.pk, change.cid, change.val, change.col_version, 0, PEER, change.cl, 0),
    )


@pytest.mark.parametrize("source", ["this connection", "a peer", "another connection"])
async def test_a_changed_row_is_loaded_without_a_scan_of_the_table(file: Path, source: str) -> None:
    async with large_table(file) as persister, CrSqliteDatabase(file) as other:
        store, db = persister.get_store(), persister.database
        steps = Steps()
        writer = other if source == "another connection" else db
        await db.run(steps.start)
        await writer.write(merge if source == "a peer" else edit_here)
        await until_store(store, lambda: store.get_cell("todo", "7", "text") == "edited")
        await db.run(steps.stop)
        assert any("todo__crsql_pks" in sql for sql in steps.statements)
        assert steps.scanned < 100


async def test_an_edit_is_saved_without_a_scan_of_the_table(file: Path) -> None:
    async with large_table(file) as persister:
        store, db = persister.get_store(), persister.database
        steps = Steps()
        await db.run(steps.start)
        save_edits(store)
        await persister.flush()
        await db.run(steps.stop)
        assert any(sql.startswith('INSERT INTO "todo"') for sql in steps.statements)
        assert steps.scanned < 100
        assert await db.execute("SELECT count(*), sum(text = 'edited') FROM todo") == [(ROWS, 1)]


def save_edits(store: Store) -> None:
    store.set_cell("todo", "7", "text", "edited").del_row("todo", "8").set_row("todo", "new", {"rank": 1})


@pytest.mark.parametrize("source", ["this connection", "a peer", "another connection", "the store"])
async def test_the_statements_of_a_load_or_save_are_searches_of_indexes_only(file: Path, source: str) -> None:
    async with large_table(file) as persister, CrSqliteDatabase(file) as other:
        steps = Steps()
        store, db = persister.get_store(), persister.database
        await db.run(steps.start)
        if source == "the store":
            save_edits(store)
            await persister.flush()
        else:
            writer = other if source == "another connection" else db
            await writer.write(merge if source == "a peer" else edit_here)
            await until_store(store, lambda: store.get_cell("todo", "7", "text") == "edited")
        await db.run(steps.stop)
        expected = 'INSERT INTO "todo"' if source == "the store" else 'SELECT pks."id"'
        assert any(sql.startswith(expected) for sql in steps.statements)
        assert await db.read(scans, steps.statements) == []


def scans(connection: apsw.Connection, statements: Iterable[str]) -> list[tuple[str, str]]:
    """Statements that would walk through a whole table or index, and which."""
    found = []
    for sql in statements:
        if sql.startswith(("SELECT", "INSERT", "UPDATE", "DELETE")):
            nothing = (None,) * apsw.ext.query_info(connection, sql).bindings_count
            plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}", nothing).fetchall()
            details = [str(line[3]) for line in plan]
            found += [(sql, detail) for detail in details if re.match("SCAN (todo|pks|base)", detail)]
    return found


async def test_what_a_call_has_written_is_in_the_store_when_it_returns(file: Path) -> None:
    async with large_table(file) as persister:
        for rank in range(3):
            await persister.database.execute("UPDATE todo SET rank = ? WHERE id = '7'", (-rank,))

            assert persister.get_store().get_cell("todo", "7", "rank") == -rank
