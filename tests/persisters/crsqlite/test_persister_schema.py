"""Tables and columns appear as they are needed, and those that cannot be used are refused by name."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from replicell.persisters import (
    ConfigError,
    CrSqliteDatabase,
    SchemaError,
    create_crsqlite_persister,
)
from replicell.persisters.crsqlite.schema import TableSchema, add_columns, create_table
from replicell.store import create_store
from tests.persisters.crsqlite.todo_files import CONFIG, rows
from tests.persisters.waiting_for import until_store


@pytest.fixture
async def db(file: Path) -> AsyncIterator[CrSqliteDatabase]:
    async with CrSqliteDatabase(file) as database:
        yield database


async def test_new_cells_become_columns_and_others_see_them(db: CrSqliteDatabase, file: Path) -> None:
    store = create_store().set_row("todo", "1", {"text": "Milk"})
    persister = await create_crsqlite_persister(store, db, CONFIG).start_auto_persisting()
    async with CrSqliteDatabase(file) as other_db:
        other = create_store()
        await create_crsqlite_persister(other, other_db, CONFIG).start_auto_persisting()
        store.set_row("todo", "2", {"text": "Bread", "due": 5}).set_value("open", True)
        await persister.flush()
        assert await rows(db) == [("1", "Milk", None), ("2", "Bread", 5)]
        await until_store(other, lambda: other.get_content() == store.get_content())
        other.set_cell("todo", "1", "colour", "red")
        await until_store(store, lambda: store.get_cell("todo", "1", "colour") == "red")
        assert store.get_content() == other.get_content()
    synced = await db.execute("SELECT DISTINCT cid FROM crsql_changes WHERE val IS NOT NULL")
    assert {cid for (cid,) in synced} == {"text", "due", "colour", "open"}


async def test_a_transaction_over_old_and_new_tables_is_one_version(db: CrSqliteDatabase) -> None:
    config = {
        "mode": "tabular",
        "tables": {"load": {"old": "old", "new": "new"}, "save": {"old": "old", "new": "new"}},
    }
    store = create_store().set_row("old", "1", {"a": 1})
    persister = await create_crsqlite_persister(store, db, config).start_auto_persisting()
    with store.transaction():
        store.set_row("old", "2", {"a": 2}).set_row("new", "1", {"b": 1})
    await persister.flush()
    written = await db.execute(
        'SELECT DISTINCT "table", db_version FROM crsql_changes WHERE db_version > 1 ORDER BY 1'
    )
    assert [table for table, _ in written] == ["new", "old"]
    assert len({version for _, version in written}) == 1


async def test_several_new_tables_are_filled_in_one_version(db: CrSqliteDatabase) -> None:
    config = {"mode": "tabular", "tables": {"save": {"a": "a", "b": "b"}}, "values": {"save": True}}
    store = create_store().set_tables({"a": {"1": {"x": 1}}, "b": {"1": {"y": True}}}).set_value("v", None)
    await create_crsqlite_persister(store, db, config).save()
    assert await db.execute("SELECT count(DISTINCT db_version), count(*) FROM crsql_changes") == [(1, 3)]


async def test_deleting_a_cell_that_has_no_column_adds_none(db: CrSqliteDatabase) -> None:
    store = create_store().set_row("todo", "1", {"text": "Milk"})
    persister = await create_crsqlite_persister(store, db, CONFIG).start_auto_persisting()
    await persister.stop_auto_save()
    store.set_cell("todo", "1", "due", 5).del_cell("todo", "1", "due")
    await persister.start_auto_save()
    assert await db.execute("SELECT name FROM pragma_table_info('todo')") == [("id",), ("text",)]


async def test_columns_that_others_add_rename_or_fill_are_noticed(db: CrSqliteDatabase) -> None:
    store = create_store().set_row("todo", "1", {"text": "Milk"})
    await create_crsqlite_persister(store, db, CONFIG).start_auto_persisting()
    await db.run(add_columns, "todo", ["due"])
    await db.execute("UPDATE todo SET due = 7")
    await until_store(store, lambda: store.get_row("todo", "1") == {"text": "Milk", "due": 7})

    await db.execute(
        "SELECT crsql_begin_alter('todo'); ALTER TABLE todo RENAME COLUMN due TO term; "
        "SELECT crsql_commit_alter('todo')"
    )
    await until_store(store, lambda: store.get_row("todo", "1") == {"text": "Milk", "term": 7})

    await db.execute(
        "SELECT crsql_begin_alter('todo'); ALTER TABLE todo ADD COLUMN priority DEFAULT 3; "
        "SELECT crsql_commit_alter('todo')"
    )
    await until_store(store, lambda: store.get_row("todo", "1") == {"text": "Milk", "term": 7, "priority": 3})


async def test_a_table_that_others_create_is_loaded(db: CrSqliteDatabase) -> None:
    store = create_store()
    await create_crsqlite_persister(store, db, CONFIG).start_auto_load()
    await db.run(create_table, TableSchema("todo", ("id",), ("text",)))
    await db.execute("INSERT INTO todo VALUES ('1', 'Milk')")
    await until_store(store, lambda: store.get_table("todo") == {"1": {"text": "Milk"}})


async def test_more_columns_than_a_table_can_have_are_unstorable_cells(db: CrSqliteDatabase) -> None:
    errors: list[Exception] = []
    store = create_store().set_row("todo", "1", {f"c{number}": number for number in range(500)})
    persister = create_crsqlite_persister(store, db, CONFIG, on_error=errors.append)
    await persister.start_auto_persisting()
    assert await db.execute("SELECT c0, c497 FROM todo") == [(0, 497)]
    assert [str(error).split(" stays")[0] for error in errors] == [
        "table 'todo', row '1', cell 'c498'",
        "table 'todo', row '1', cell 'c499'",
    ]


NAMES: list[tuple[dict[str, Any], str]] = [
    ({"load": {"order": "a"}}, "tables.load.order: 'order' cannot name a table: it is an SQL keyword"),
    ({"save": {"a": "my table"}}, "tables.save.a.table_name: 'my table' cannot name a table"),
    ({"save": {"a": "replicell_x"}}, "tables.save.a.table_name: 'replicell_x' cannot name a table"),
    (
        {"save": {"a": {"tableName": "t", "rowIdColumnName": 'i"d'}}},
        "tables.save.a.row_id_column_name: 'i\"d' cannot name a column",
    ),
    (
        {"load": {"t": {"tableId": "t", "rowIdColumnName": "-1"}}},
        "tables.load.t.row_id_column_name: '-1' cannot name a column",
    ),
    ({"load": {"Todo": "a"}, "save": {"a": "todo"}}, "config: 'todo' and 'Todo' are the same table"),
    ({"load": {5: "a"}}, "tables.load: its keys must be strings"),
]


@pytest.mark.parametrize(("tables", "message"), NAMES)
async def test_names_that_cr_sqlite_cannot_take_are_refused_at_construction(
    db: CrSqliteDatabase, tables: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as refusal:
        create_crsqlite_persister(create_store(), db, {"mode": "tabular", "tables": tables})
    assert str(refusal.value).startswith(message)


async def test_the_values_table_is_named_by_its_key(db: CrSqliteDatabase) -> None:
    values = {"save": True, "tableName": "order"}
    with pytest.raises(ConfigError, match=r"^values\.table_name: 'order' cannot name a table"):
        create_crsqlite_persister(create_store(), db, {"mode": "tabular", "values": values})


TABLES = [
    ("CREATE TABLE todo (id TEXT PRIMARY KEY NOT NULL)", False, "'todo' is an ordinary table"),
    ("CREATE VIEW todo AS SELECT 1 AS id", False, "'todo' is an ordinary view"),
    (
        "CREATE TABLE todo (uuid TEXT PRIMARY KEY NOT NULL)",
        True,
        "has the key 'uuid', but row_id_column_name is 'id'",
    ),
    ("CREATE TABLE todo (id TEXT NOT NULL, b TEXT NOT NULL, PRIMARY KEY (id, b))", True, "key 'id', 'b'"),
    ("CREATE TABLE todo (id INTEGER PRIMARY KEY NOT NULL)", True, "of type INTEGER, but row ids are text"),
    ("CREATE TABLE todo (id PRIMARY KEY NOT NULL)", True, "of type none, but row ids are text"),
    ("CREATE TABLE todo (id TEXT COLLATE NOCASE PRIMARY KEY NOT NULL)", True, "compared by NOCASE"),
    ("CREATE TABLE ToDo (id TEXT PRIMARY KEY NOT NULL)", True, "is spelled 'ToDo'"),
]


@pytest.mark.parametrize(("sql", "is_replicated", "message"), TABLES)
async def test_tables_that_cannot_be_used_are_refused_at_the_start(
    db: CrSqliteDatabase, sql: str, is_replicated: bool, message: str
) -> None:
    await db.execute(sql)
    if is_replicated:
        name = sql.split()[2]
        await db.execute("SELECT crsql_as_crr(?)", (name,))
    store = create_store().set_row("todo", "1", {"text": "Milk"})
    persister = create_crsqlite_persister(store, db, CONFIG)
    for begin in (persister.start_auto_load, persister.start_auto_save, persister.load, persister.save):
        with pytest.raises(SchemaError) as refusal:
            await begin()
        assert message in str(refusal.value)
    assert not persister.is_auto_loading()
    assert not persister.is_auto_saving()
    assert store.get_tables() == {"todo": {"1": {"text": "Milk"}}}
