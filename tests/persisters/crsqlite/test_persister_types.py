"""Cells come back as they went; what cannot go or come is reported by name and blocks nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from replicell.persisters import (
    CrSqliteDatabase,
    CrSqlitePersister,
    UnreadableCellError,
    UnstorableCellError,
    create_crsqlite_persister,
)
from replicell.persisters.crsqlite.schema import TableSchema, create_table
from replicell.store import Store, create_store
from tests.persisters.crsqlite.todo_files import CONFIG, persisting, rows
from tests.persisters.waiting_for import until_store

CELLS: dict[str, Any] = {
    "yes": True,
    "no": False,
    "nothing": None,
    "object": {"a": {"b": [1, 2.5, None, True, "é😀"]}, "empty": {}},
    "array": [],
    "int": 42,
    "zero": 0,
    "one": 1,
    "big": 2**63 - 1,
    "negative": -(2**63),
    "float": 1.5,
    "whole float": 3.0,
    "tiny": 5e-324,
    "string": "Milk",
    "empty": "",
    "digits": "123",
    "odd": "a\0b\u2028\U0001f600",
    "it's": "quote ' and \"",
}


@pytest.fixture
async def db(file: Path) -> AsyncIterator[CrSqliteDatabase]:
    async with CrSqliteDatabase(file) as database:
        yield database


def with_types(cells: dict[str, Any]) -> dict[str, tuple[type, Any]]:
    return {cell_id: (type(cell), cell) for cell_id, cell in cells.items()}


async def start(store: Store, db: CrSqliteDatabase) -> tuple[CrSqlitePersister, list[Exception]]:
    errors: list[Exception] = []
    persister = create_crsqlite_persister(store, db, CONFIG, on_ignored_error=errors.append)
    await persister.start_auto_persisting()
    return persister, errors


async def test_booleans_and_objects_survive_a_restart(file: Path) -> None:
    async with persisting(file) as persister:
        persister.get_store().set_row("todo", "1", CELLS).set_values(CELLS)
    async with persisting(file) as persister:
        store = persister.get_store()
        assert with_types(store.get_row("todo", "1")) == with_types(CELLS)
        assert with_types(store.get_values()) == with_types(CELLS)


@pytest.mark.parametrize("row_id", ["", "é😀", "a'b\"c", "a\0b", "-1", "1.0", "\ufffd"])
async def test_any_text_can_be_a_row_id(file: Path, row_id: str) -> None:
    async with persisting(file) as persister:
        persister.get_store().set_row("todo", row_id, {"a": 1}).set_row("todo", "other", {"a": 2})
        await persister.flush()
        persister.get_store().set_cell("todo", row_id, "a", 3)
    async with persisting(file) as persister:
        assert persister.get_store().get_table("todo") == {row_id: {"a": 3}, "other": {"a": 2}}
        persister.get_store().del_row("todo", row_id)
    async with persisting(file) as persister:
        assert persister.get_store().get_row_ids("todo") == ["other"]


async def test_absent_and_null_stay_different(file: Path) -> None:
    async with persisting(file) as persister:
        persister.get_store().set_table("todo", {"1": {"a": None, "b": 1}, "2": {"b": 2}})
    async with persisting(file) as persister:
        assert persister.get_store().get_table("todo") == {"1": {"a": None, "b": 1}, "2": {"b": 2}}
        assert await rows(persister.database) == [("1", "\ufffdnull", 1), ("2", None, 2)]


async def test_encoded_cells_can_be_read_with_plain_sql(db: CrSqliteDatabase) -> None:
    store = create_store().set_row("todo", "1", {"done": True, "tags": {"colour": "red"}})
    await start(store, db)
    read = (
        "SELECT substr(done, 2), substr(tags, 2) ->> 'colour' FROM todo WHERE done = char(0xFFFD) || 'true'"
    )
    assert await db.execute(read) == [("true", "red")]


async def test_other_programs_zeros_and_ones_are_booleans_where_the_schema_says_so(
    db: CrSqliteDatabase,
) -> None:
    await db.run(create_table, TableSchema("todo", ("id",), ("done", "count")))
    await db.execute("INSERT INTO todo VALUES ('1', 1, 1), ('2', 0, 0)")
    store = create_store().set_tables_schema(
        {"todo": {"done": {"type": "boolean"}, "count": {"type": "number"}}}
    )
    await start(store, db)
    assert store.get_table("todo") == {"1": {"done": True, "count": 1}, "2": {"done": False, "count": 0}}
    assert type(store.get_cell("todo", "1", "done")) is bool
    assert type(store.get_cell("todo", "1", "count")) is int


UNSTORABLE: list[tuple[dict[str, Any], str, str]] = [
    ({"big": 2**63}, "big", "64 bits"),
    ({"half": "\ud800"}, "half", "surrogate"),
    ({'a"b': 1}, 'a"b', "double quote"),
    ({"-1": 1}, "-1", "the row itself"),
    ({"TEXT": 1}, "TEXT", "the column 'text'"),
    ({"id": 1}, "id", "holds the row ids"),
    ({"Id": 1}, "Id", "holds the row ids"),
    ({"half \ud800": 1}, "half \ud800", "surrogate"),
]


@pytest.mark.parametrize(("cells", "cell_id", "reason"), UNSTORABLE)
async def test_an_unstorable_cell_is_reported_by_name_and_blocks_nothing_else(
    db: CrSqliteDatabase, cells: dict[str, Any], cell_id: str, reason: str
) -> None:
    store = create_store()
    persister, errors = await start(store, db)
    with store.transaction():
        store.set_row("todo", "1", {"text": "before"} | cells)
        store.set_row("todo", "2", {"text": "Milk"})
    await persister.flush()
    (error,) = errors
    assert isinstance(error, UnstorableCellError)
    assert (error.table_id, error.row_id, error.cell_id) == ("todo", "1", cell_id)
    assert reason in str(error)
    assert await rows(db) == [("1", "before"), ("2", "Milk")]
    store.set_cell("todo", "1", "text", "after")
    await persister.flush()
    assert await rows(db) == [("1", "after"), ("2", "Milk")]
    assert len(errors) == 1


async def test_an_unstorable_row_id_is_reported_and_blocks_nothing_else(db: CrSqliteDatabase) -> None:
    store = create_store()
    persister, errors = await start(store, db)
    store.set_table("todo", {"half \ud800": {"text": "x"}, "2": {"text": "Milk"}})
    await persister.flush()
    assert [(type(error), getattr(error, "row_id", "")) for error in errors] == [
        (UnstorableCellError, "half \ud800")
    ]
    assert await rows(db) == [("2", "Milk")]


async def test_an_unstorable_value_is_reported(db: CrSqliteDatabase) -> None:
    store = create_store()
    persister, errors = await start(store, db)
    store.set_values({"big": 2**64, "fine": 1, "_id": 2})
    await persister.flush()
    assert sorted(str(error).split(" stays")[0] for error in errors) == ["value '_id'", "value 'big'"]
    assert await rows(db, "settings") == [("_", 1)]


async def test_a_row_that_breaks_the_rules_of_its_table_is_reported_and_blocks_nothing_else(
    db: CrSqliteDatabase,
) -> None:
    await db.execute("CREATE TABLE todo (id TEXT PRIMARY KEY NOT NULL, count CHECK (count > 0))")
    await db.execute("SELECT crsql_as_crr('todo')")
    store = create_store()
    persister, errors = await start(store, db)
    store.set_table("todo", {"1": {"count": 1}, "2": {"count": -2}, "3": {"count": 3}})
    await persister.flush()
    assert [(type(error), getattr(error, "row_id", "")) for error in errors] == [(UnstorableCellError, "2")]
    assert "CHECK constraint failed" in str(errors[0])
    assert await rows(db) == [("1", 1), ("3", 3)]
    store.set_cell("todo", "2", "count", 2)
    await persister.flush()
    assert await rows(db) == [("1", 1), ("2", 2), ("3", 3)]
    assert len(await db.execute("SELECT 1 FROM crsql_changes")) == 3


async def test_loads_leave_unstorable_cells_in_the_store(db: CrSqliteDatabase) -> None:
    store = create_store().set_row("todo", "1", {"text": "Milk", "big": 1})
    persister, _ = await start(store, db)
    store.set_cell("todo", "1", "big", 2**70).set_cell("todo", "1", 'a"b', 5)
    await persister.flush()
    await db.execute("UPDATE todo SET text = 'Bread'")
    await until_store(store, lambda: store.get_cell("todo", "1", "text") == "Bread")
    assert store.get_row("todo", "1") == {"text": "Bread", "big": 2**70, 'a"b': 5}
    store.set_cell("todo", "1", "big", 7)
    await persister.flush()
    assert await rows(db) == [("1", "Bread", 7)]


@pytest.mark.parametrize(
    "literal", ["x'00ff'", "9e999", "char(0xFFFC)", "char(0xFFFD) || 'x'", "CAST(x'ff' AS TEXT)"]
)
async def test_what_is_no_cell_is_reported_not_loaded_and_left_alone(
    db: CrSqliteDatabase, literal: str
) -> None:
    await db.run(create_table, TableSchema("todo", ("id",), ("odd", "text")))
    await db.execute(f"INSERT INTO todo VALUES ('1', {literal}, 'Milk'), ('2', 5, 'Bread')")
    store = create_store()
    persister, errors = await start(store, db)
    assert store.get_table("todo") == {"1": {"text": "Milk"}, "2": {"odd": 5, "text": "Bread"}}
    (error,) = errors
    assert isinstance(error, UnreadableCellError)
    assert (error.table_id, error.row_id, error.cell_id) == ("todo", "1", "odd")
    before = await db.execute("SELECT hex(odd), typeof(odd) FROM todo WHERE id = '1'")
    store.set_cell("todo", "1", "text", "Butter")
    await persister.flush()
    assert await db.execute("SELECT hex(odd), typeof(odd) FROM todo WHERE id = '1'") == before
    await db.execute("UPDATE todo SET text = 'later'")
    await until_store(store, lambda: store.get_cell("todo", "1", "text") == "later")


@pytest.mark.parametrize("literal", ["x'00ff'", "CAST(x'ff' AS TEXT)"])
async def test_a_key_that_is_no_text_is_reported_and_left_alone(db: CrSqliteDatabase, literal: str) -> None:
    await db.run(create_table, TableSchema("todo", ("id",), ("text",)))
    await db.execute(f"INSERT INTO todo VALUES ({literal}, 'odd'), ('2', 'Bread')")
    store = create_store()
    _, errors = await start(store, db)
    assert store.get_table("todo") == {"2": {"text": "Bread"}}
    assert [type(error) for error in errors] == [UnreadableCellError]
    await db.execute(f"DELETE FROM todo WHERE id = {literal}")
    fresh = create_store()
    _, errors = await start(fresh, db)
    assert (fresh.get_row_ids("todo"), errors) == (["2"], [])


@pytest.mark.parametrize("is_strict", [False, True], ids=["lenient", "strict"])
async def test_what_the_stores_schema_refuses_is_reported_and_left_alone(
    db: CrSqliteDatabase, is_strict: bool
) -> None:
    await db.run(create_table, TableSchema("todo", ("id",), ("text", "count")))
    await db.execute("INSERT INTO todo VALUES ('1', 'Milk', 'many'), ('2', 'Bread', 3)")
    store = Store(strict=is_strict).set_tables_schema(
        {"todo": {"text": {"type": "string"}, "count": {"type": "number"}}}
    )
    persister, errors = await start(store, db)
    assert store.get_table("todo") == {"1": {"text": "Milk"}, "2": {"text": "Bread", "count": 3}}
    (error,) = errors
    assert isinstance(error, UnreadableCellError)
    assert (error.row_id, error.cell_id) == ("1", "count")
    await persister.flush()
    assert await rows(db) == [("1", "Milk", "many"), ("2", "Bread", 3)]
