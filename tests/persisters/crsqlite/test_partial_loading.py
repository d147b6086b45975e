"""Part of a table in the store: some rows, some columns, or values alone; and it stays up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import pytest

from replicell.persisters import ConfigError, CrSqliteDatabase, create_crsqlite_persister
from replicell.persisters.crsqlite.schema import TableSchema, create_table
from replicell.store import create_store
from tests.persisters.crsqlite.todo_files import rows
from tests.persisters.waiting_for import until_store

UPSERT = (
    "INSERT INTO todo (id, text, done) VALUES (?, ?, ?) "
    "ON CONFLICT (id) DO UPDATE SET text = excluded.text, done = excluded.done"
)


def config(condition: str | None = "$tableName.done = 0", **load: Any) -> dict[str, Any]:
    if condition is not None:
        load["condition"] = condition
    return {
        "mode": "tabular",
        "tables": {
            "load": {"todo": {"tableId": "todo", "rowIdColumnName": "id", **load}},
            "save": {"todo": {"tableName": "todo", "rowIdColumnName": "id"}},
        },
    }


async def fill(db: CrSqliteDatabase, *todos: tuple[str, str, int]) -> None:
    await db.run(create_table, TableSchema("todo", ("id",), ("text", "done")))
    for todo in todos:
        await db.execute(UPSERT, todo)


async def test_only_rows_that_meet_the_condition_are_loaded(file: Path) -> None:
    async with CrSqliteDatabase(file) as db:
        await fill(db, ("1", "Milk", 0), ("2", "Tea", 1))
        store = create_store()
        await create_crsqlite_persister(store, db, config()).load()
        assert store.get_table("todo") == {"1": {"text": "Milk", "done": 0}}


async def test_rows_enter_and_leave_as_others_change_them(file: Path) -> None:
    async with CrSqliteDatabase(file) as db, CrSqliteDatabase(file) as other:
        await fill(db, ("1", "Milk", 0), ("2", "Tea", 1))
        store = create_store()
        await create_crsqlite_persister(store, db, config()).start_auto_persisting()
        await other.execute(UPSERT, ("1", "Milk", 1))
        await until_store(store, lambda: store.get_row_ids("todo") == [])
        await other.execute(UPSERT, ("2", "Tea", 0))
        await until_store(store, lambda: store.get_row_ids("todo") == ["2"])
        assert await rows(db) == [("1", "Milk", 1), ("2", "Tea", 0)]


async def test_a_row_leaves_once_the_store_itself_has_changed_it_so_and_that_is_saved(file: Path) -> None:
    async with CrSqliteDatabase(file) as db:
        await fill(db, ("1", "Milk", 0))
        store = create_store()
        persister = await create_crsqlite_persister(store, db, config()).start_auto_persisting()
        store.set_cell("todo", "1", "done", 1)
        assert store.has_row("todo", "1")
        await persister.flush()
        assert store.get_tables() == {}
        assert await rows(db) == [("1", "Milk", 1)]
        store.set_row("todo", "2", {"text": "Tea", "done": 1})
        store.set_row("todo", "3", {"text": "Bread", "done": 0})
        await persister.flush()
        assert store.get_row_ids("todo") == ["3"]
        assert len(await rows(db)) == 3


async def test_a_row_that_left_is_not_deleted_in_the_database(file: Path) -> None:
    async with CrSqliteDatabase(file) as db:
        await fill(db, ("1", "Milk", 0), ("2", "Tea", 1))
        store = create_store().set_row("todo", "2", {"text": "stale"})
        persister = create_crsqlite_persister(store, db, config())
        await persister.start_auto_save()
        store.del_table("todo")
        await persister.flush()
        assert [row[0] for row in await rows(db)] == ["1", "2"]


async def test_a_stored_row_that_does_not_meet_the_condition_leaves_at_the_first_load(file: Path) -> None:
    async with CrSqliteDatabase(file) as db:
        await fill(db, ("1", "Milk", 0), ("2", "Tea", 1))
        store = create_store().set_table("todo", {"2": {"text": "Tea"}, "mine": {"text": "New", "done": 0}})
        await create_crsqlite_persister(store, db, config()).start_auto_persisting()
        assert sorted(store.get_row_ids("todo")) == ["1", "mine"]


async def test_an_edit_of_a_row_that_others_have_taken_out_survives(file: Path) -> None:
    async with CrSqliteDatabase(file) as db, CrSqliteDatabase(file) as other:
        await fill(db, ("1", "Milk", 0))
        store = create_store()
        persister = await create_crsqlite_persister(store, db, config()).start_auto_load()
        store.set_cell("todo", "1", "text", "Oat milk")
        await other.execute(UPSERT, ("1", "Milk", 1))
        await persister.load()
        await persister.start_auto_save()
        assert ("1", "Oat milk") in [row[:2] for row in await rows(db)]


async def test_a_condition_on_a_column_that_is_not_there_yet_takes_it_for_null(file: Path) -> None:
    async with CrSqliteDatabase(file) as db:
        store = create_store().set_row("todo", "1", {"text": "Milk"})
        persister = create_crsqlite_persister(store, db, config('"done" IS NULL'))
        await persister.start_auto_persisting()
        assert store.get_row_ids("todo") == ["1"]
        store.set_cell("todo", "1", "done", 1)
        await persister.flush()
        assert store.get_tables() == {}


async def test_a_condition_does_not_make_a_change_cost_a_look_at_every_row(file: Path) -> None:
    async with CrSqliteDatabase(file) as db:
        await fill(db, ("1", "Milk", 0))
        store = create_store()
        persister = await create_crsqlite_persister(store, db, config()).start_auto_load()
        statements: list[str] = []
        await db.run(_trace, statements)
        await db.execute(UPSERT, ("2", "Tea", 0))
        await until_store(store, lambda: store.get_row_ids("todo") == ["1", "2"])
        await db.run(_trace, None)
        plans = [line for sql in statements for line in await db.run(_plan, sql)]
        assert any("base" in sql for sql in statements)
        assert [line for line in plans if line.startswith("SCAN todo") and "todo__crsql" not in line] == []
        await persister.destroy()


def _trace(connection: apsw.Connection, statements: list[str] | None) -> None:
    connection.trace_v2(
        0 if statements is None else apsw.SQLITE_TRACE_STMT,
        None if statements is None else lambda event: statements.append(str(event["sql"])),
    )


def _plan(connection: apsw.Connection, sql: str) -> list[str]:
    if not sql.startswith("SELECT"):
        return []
    bindings = (0,) * sql.count("?")
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", bindings)]


@pytest.mark.parametrize("condition", ["done =", "done = 1)"])
def test_a_condition_that_is_no_sql_is_refused_at_once(condition: str) -> None:
    with pytest.raises(ConfigError, match="condition"):
        create_crsqlite_persister(create_store(), CrSqliteDatabase("unused.db"), config(condition))


async def test_only_chosen_columns_are_loaded_and_the_others_are_not_touched(file: Path) -> None:
    async with CrSqliteDatabase(file) as db:
        await fill(db, ("1", "Milk", 0), ("2", "Tea", 1))
        store = create_store()
        persister = create_crsqlite_persister(store, db, config(None, columns=["done"]))
        await persister.start_auto_persisting()
        assert store.get_table("todo") == {"1": {"done": 0}, "2": {"done": 1}}
        store.set_cell("todo", "1", "done", 1)
        await persister.flush()
        assert await rows(db) == [("1", "Milk", 1), ("2", "Tea", 1)]


async def test_only_chosen_columns_are_saved(file: Path) -> None:
    chosen = config(None)
    chosen["tables"]["save"]["todo"]["columns"] = ["text"]
    async with CrSqliteDatabase(file) as db:
        store = create_store().set_row("todo", "1", {"text": "Milk", "selected": True})
        persister = await create_crsqlite_persister(store, db, chosen).start_auto_persisting()
        store.set_cell("todo", "1", "hovered", True)
        await persister.flush()
        assert await db.execute("SELECT * FROM todo") == [("1", "Milk")]
        assert store.get_row("todo", "1") == {"text": "Milk", "selected": True, "hovered": True}


async def test_values_are_loaded_without_any_table(file: Path) -> None:
    async with CrSqliteDatabase(file) as db:
        await fill(db, ("1", "Milk", 0))
        first = create_store().set_values({"theme": "dark", "open": True})
        values = {"mode": "tabular", "values": {"load": True, "save": True}}
        await create_crsqlite_persister(first, db, values).save()
        store = create_store()
        await create_crsqlite_persister(store, db, values).load()
        assert store.get_content() == ({}, {"theme": "dark", "open": True})
