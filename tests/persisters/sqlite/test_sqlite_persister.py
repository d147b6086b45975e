"""Plain SQLite: other programs' tables are used as they are, and only what changed is loaded."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from inspect import signature
from pathlib import Path
from typing import Any

import apsw
import pytest

from replicell.persisters import (
    ConfigError,
    CrSqliteDatabase,
    DatabaseFullError,
    SchemaError,
    SqliteDatabase,
    Status,
    TabularConfig,
    UnreadableCellError,
    UnstorableCellError,
    create_crsqlite_persister,
    create_sqlite_persister,
)
from replicell.store import Store, create_store
from tests.persisters.waiting_for import until, until_store

CONFIG: dict[str, Any] = {"mode": "tabular", "tables": {"load": {"todo": "todo"}, "save": {"todo": "todo"}}}


@pytest.fixture
async def db(file: Path) -> AsyncIterator[SqliteDatabase]:
    async with SqliteDatabase(file) as database:
        yield database


async def rows(db: SqliteDatabase, table: str = "todo") -> list[tuple[Any, ...]]:
    return await db.execute(f"SELECT * FROM {table} ORDER BY 1")


def write_elsewhere(file: Path, sql: str) -> None:
    """Another process writes."""
    code = f"import apsw; apsw.Connection({str(file)!r}).execute({sql!r})"
    subprocess.run([sys.executable, "-c", code], check=True)


# ----------------------------------------------------------------------------------- the file


async def test_the_file_is_ordinary_and_its_journal_stays_as_it_was(file: Path, db: SqliteDatabase) -> None:
    store = create_store().set_row("todo", "1", {"text": "Milk", "n": 1.5})
    await create_sqlite_persister(store, db, CONFIG).save()
    assert await db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table'") == [
        ("todo", 'CREATE TABLE "todo" ("_id" TEXT PRIMARY KEY NOT NULL, "text", "n")')
    ]
    other = file.with_name("other.db")
    connection = apsw.Connection(str(other))
    connection.execute("CREATE TABLE t (a)")
    connection.close()
    async with SqliteDatabase(other) as kept:
        assert await kept.execute("PRAGMA journal_mode") == [("delete",)]


async def test_the_whole_store_is_one_text_in_json_mode(db: SqliteDatabase) -> None:
    store = create_store().set_row("todo", "1", {"text": "Milk", "tags": ["a"]}).set_value("open", True)
    await create_sqlite_persister(store, db).save()
    assert await rows(db, "tinybase") == [
        ("_", '[{"todo":{"1":{"text":"Milk","tags":["a"]}}},{"open":true}]')
    ]


async def test_a_text_that_is_no_store_is_reported_and_never_overwritten(db: SqliteDatabase) -> None:
    await db.execute("CREATE TABLE tinybase (_id TEXT PRIMARY KEY, store)")
    await db.execute("INSERT INTO tinybase VALUES ('_', '[broken')")
    persister = create_sqlite_persister(create_store().set_value("a", 1), db)
    with pytest.raises(ValueError, match="is not JSON"):
        await persister.load()
    with pytest.raises(ValueError, match="left as it is"):
        await persister.save()
    assert await rows(db, "tinybase") == [("_", "[broken")]


# ----------------------------------------------------------------------------------- the statements


@pytest.mark.parametrize(
    ("database", "create"),
    [(SqliteDatabase, create_sqlite_persister), (CrSqliteDatabase, create_crsqlite_persister)],
)
async def test_every_statement_of_loads_and_saves_is_told_with_its_bindings(
    file: Path, database: Any, create: Any
) -> None:
    told: list[tuple[str, Any]] = []

    def on_sql_command(sql: str, bindings: Any) -> None:
        assert asyncio.get_running_loop()
        told.append((sql, bindings))

    async with database(file, on_sql_command=on_sql_command) as db:
        store = create_store().set_row("todo", "1", {"text": "Milk"})
        async with create(store, db, CONFIG) as persister:
            await persister.save()
            assert any("CREATE TABLE" in sql for sql, _ in told)
            assert any("INSERT" in sql and "Milk" in bindings for sql, bindings in told)
            assert {"BEGIN IMMEDIATE", "COMMIT"} <= {sql for sql, _ in told}
            told.clear()
            await persister.load()
            assert told[0] == ("BEGIN", ())
            assert any("SELECT" in sql and "todo" in sql for sql, _ in told)
            assert told[-1] == ("ROLLBACK", ())


async def test_looking_for_others_commits_is_not_told_and_a_failing_listener_harms_nobody(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    def on_sql_command(sql: str, bindings: Any) -> None:
        told.append(sql)
        raise ValueError("listener")

    changes: list[object] = []
    async with SqliteDatabase(file, on_sql_command=on_sql_command, poll_interval=0.001) as db:
        db.on_change(changes.append)
        assert await db.execute("CREATE TABLE todo (a)") == []
        write_elsewhere(file, "INSERT INTO todo VALUES (1)")
        await until(lambda: len(changes) > 1)
        assert await db.execute("SELECT a FROM todo WHERE a = :a", {"a": 1}) == [(1,)]
    assert told == ["CREATE TABLE todo (a)", "SELECT a FROM todo WHERE a = :a"]
    assert "the listener of SQL commands failed" in caplog.text


# ----------------------------------------------------------------------------------- what was changed


async def test_one_row_written_through_the_same_database_is_read_alone(db: SqliteDatabase) -> None:
    store = create_store().set_table("todo", {str(n): {"n": n} for n in range(1000)})
    await create_sqlite_persister(store, db, CONFIG).start_auto_persisting()
    statements: list[str] = []

    def trace(event: dict[str, Any]) -> None:
        statements.append(str(event["sql"]))

    await db.run(lambda connection: connection.trace_v2(apsw.SQLITE_TRACE_STMT, trace))
    await db.execute("UPDATE todo SET n = 'new' WHERE _id = '7'")
    await until_store(store, lambda: store.get_cell("todo", "7", "n") == "new")
    reads = [sql for sql in statements if sql.startswith("SELECT") and '"todo"' in sql]
    assert reads == ['SELECT "_id", "n" FROM "todo" WHERE "_id" IN (?)']
    await db.run(lambda connection: connection.trace_v2(0, None))


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("DELETE FROM todo", {}),
        ("REPLACE INTO todo VALUES ('1', 'new', 1)", {"1": {"a": "new", "u": 1}, "2": {"a": "y", "u": 2}}),
        ("REPLACE INTO todo VALUES ('3', 'new', 1)", {"3": {"a": "new", "u": 1}, "2": {"a": "y", "u": 2}}),
        ("UPDATE todo SET _id = '9' WHERE _id = '1'", {"9": {"a": "x", "u": 1}, "2": {"a": "y", "u": 2}}),
        (
            "ALTER TABLE todo ADD COLUMN b DEFAULT 5",
            {"1": {"a": "x", "u": 1, "b": 5}, "2": {"a": "y", "u": 2, "b": 5}},
        ),
        ("ALTER TABLE todo RENAME COLUMN a TO c", {"1": {"c": "x", "u": 1}, "2": {"c": "y", "u": 2}}),
    ],
)
async def test_whatever_sql_does_reaches_the_store(
    db: SqliteDatabase, sql: str, expected: dict[str, Any]
) -> None:
    await db.execute("CREATE TABLE todo (_id TEXT PRIMARY KEY NOT NULL, a, u UNIQUE)")
    await db.execute("INSERT INTO todo VALUES ('1', 'x', 1), ('2', 'y', 2)")
    store = create_store()
    await create_sqlite_persister(store, db, CONFIG).start_auto_persisting()
    await db.execute(sql)
    await until_store(store, lambda: store.get_table("todo") == expected)


async def test_what_is_rolled_back_never_reaches_the_store(db: SqliteDatabase) -> None:
    store = create_store().set_row("todo", "1", {"text": "Milk"})
    await create_sqlite_persister(store, db, CONFIG).start_auto_persisting()

    def fail(connection: apsw.Connection) -> None:
        connection.execute("UPDATE todo SET text = 'Bread'")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await db.write(fail)
    await db.execute("INSERT INTO todo VALUES ('2', 'Tea')")
    await until_store(store, lambda: store.has_row("todo", "2"))
    assert store.get_table("todo") == {"1": {"text": "Milk"}, "2": {"text": "Tea"}}


async def test_another_process_is_noticed_and_only_what_differs_reaches_the_store(
    file: Path, db: SqliteDatabase
) -> None:
    store = create_store().set_table("todo", {str(n): {"n": n} for n in range(300)})
    await create_sqlite_persister(store, db, CONFIG).start_auto_persisting()
    changed: list[str] = []
    store.add_cell_listener("todo", None, None, lambda _, __, row_id, *___: changed.append(row_id))
    write_elsewhere(file, "UPDATE todo SET n = 'new' WHERE _id = '7'; DELETE FROM todo WHERE _id = '8'")
    await until_store(store, lambda: not store.has_row("todo", "8"))
    assert changed == ["7", "8"]
    assert store.get_cell("todo", "7", "n") == "new"


def test_the_database_is_looked_at_often_enough_to_notice_a_commit_within_50_ms() -> None:
    assert signature(SqliteDatabase).parameters["poll_interval"].default <= 0.05


async def test_another_connections_commit_is_told_at_the_first_look_after_it(
    file: Path, db: SqliteDatabase
) -> None:
    await db.execute("CREATE TABLE todo (_id TEXT PRIMARY KEY NOT NULL, n)")
    other = apsw.Connection(str(file))
    told = threading.Event()
    looks: list[bool] = []

    def commit_before_the_first_look(cursor: apsw.Cursor, sql: str, bindings: object) -> bool:
        if "data_version" in sql:
            if not looks:
                other.execute("INSERT INTO todo VALUES ('1', 1)")
            looks.append(told.wait(10) if looks else told.is_set())
        return True

    with db.on_change(lambda change: told.set()):
        await db.run(trace_statements, commit_before_the_first_look)
        await until(lambda: len(looks) > 1)
        await db.run(trace_statements, None)
    other.close()
    assert looks[:2] == [False, True]


def trace_statements(connection: apsw.Connection, trace: apsw.ExecTracer | None) -> None:
    connection.exec_trace = trace


async def test_what_a_trigger_makes_of_a_saved_row_reaches_the_store(db: SqliteDatabase) -> None:
    await db.execute("CREATE TABLE todo (_id TEXT PRIMARY KEY NOT NULL, text, length)")
    await db.execute(
        "CREATE TRIGGER measured AFTER INSERT ON todo BEGIN "
        "UPDATE todo SET length = length(new.text), text = upper(new.text) WHERE _id = new._id; END"
    )
    store = create_store()
    persister = await create_sqlite_persister(store, db, CONFIG).start_auto_persisting()
    store.set_row("todo", "1", {"text": "Milk"})
    await persister.flush()
    await until_store(store, lambda: store.get_row("todo", "1") == {"text": "MILK", "length": 4})


async def test_a_table_that_is_dropped_takes_nothing_from_the_store(db: SqliteDatabase) -> None:
    store = create_store().set_row("todo", "1", {"text": "Milk"})
    persister = await create_sqlite_persister(store, db, CONFIG).start_auto_persisting()
    await db.execute("DROP TABLE todo")
    await persister.load()
    store.set_row("todo", "2", {"text": "Tea"})
    await persister.flush()
    await db.execute("UPDATE todo SET text = 'Coffee'")
    await until_store(store, lambda: store.get_cell("todo", "2", "text") == "Coffee")
    assert store.get_cell("todo", "1", "text") == "Milk"


async def test_a_load_that_the_store_could_not_take_comes_again(
    db: SqliteDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    store = create_store().set_row("todo", "1", {"text": "Milk"})
    persister = create_sqlite_persister(store, db, CONFIG, retry_delay=0.001)
    await persister.start_auto_persisting()
    failures: list[str] = []

    def fail(*_: Any) -> None:
        if len(failures) < 2:
            failures.append("no")
            raise RuntimeError("a listener fails")

    store.add_will_finish_transaction_listener(fail)
    await db.execute("UPDATE todo SET text = 'Bread'")
    await until(lambda: store.get_cell("todo", "1", "text") == "Bread")
    assert len(failures) == 2


# ----------------------------------------------------------------------------------- others' tables


async def test_a_table_with_integer_keys_and_types_is_used_as_it_is(db: SqliteDatabase) -> None:
    await db.execute("CREATE TABLE todo (_id INTEGER PRIMARY KEY, text TEXT, done BOOLEAN, n INTEGER)")
    await db.execute("INSERT INTO todo VALUES (1, 'Milk', 1, 5), (20, 'Bread', 0, NULL)")
    errors: list[Exception] = []
    store = create_store().set_tables_schema(
        {"todo": {"text": {"type": "string"}, "done": {"type": "boolean"}}}
    )
    store.del_tables_schema().set_tables_schema(
        {"todo": {"text": {"type": "string"}, "done": {"type": "boolean"}, "n": {"type": "number"}}}
    )
    persister = create_sqlite_persister(store, db, CONFIG, on_error=errors.append)
    await persister.start_auto_persisting()
    assert store.get_table("todo") == {
        "1": {"text": "Milk", "done": True, "n": 5},
        "20": {"text": "Bread", "done": False},
    }
    store.set_cell("todo", "1", "text", "Butter").set_row("todo", "300", {"text": "Tea"})
    store.set_row("todo", "abc", {"text": "no integer"}).del_row("todo", "20")
    await persister.flush()
    assert await db.execute("SELECT _id, text FROM todo ORDER BY _id") == [(1, "Butter"), (300, "Tea")]
    assert [(type(error), error.row_id) for error in errors if isinstance(error, UnstorableCellError)] == [
        (UnstorableCellError, "abc")
    ]
    await db.execute("UPDATE todo SET n = 6 WHERE _id = 300")
    await until_store(store, lambda: store.get_cell("todo", "300", "n") == 6)


@pytest.mark.parametrize("is_replicated", [False, True])
@pytest.mark.parametrize("is_strict", [False, True])
async def test_text_that_a_column_for_anything_would_make_a_number_is_told_unless_the_table_is_strict(
    file: Path, is_replicated: bool, is_strict: bool
) -> None:
    database = CrSqliteDatabase if is_replicated else SqliteDatabase
    create: Any = create_crsqlite_persister if is_replicated else create_sqlite_persister
    errors: list[Exception] = []
    async with database(file) as db:
        await db.execute(f"CREATE TABLE todo (_id TEXT PRIMARY KEY NOT NULL, a ANY) {'STRICT' * is_strict}")
        if is_replicated:
            await db.execute("SELECT crsql_as_crr('todo')")
        store = create_store().set_row("todo", "1", {"a": "12"}).set_row("todo", "2", {"a": "x"})
        await create(store, db, CONFIG, on_error=errors.append).save()
        saved = [("1", "12"), ("2", "x")] if is_strict else [("2", "x")]
        assert await rows(db) == saved
    assert [type(error) for error in errors] == [UnstorableCellError] * (not is_strict)


async def test_a_view_can_be_loaded_and_follows_its_tables(db: SqliteDatabase) -> None:
    await db.execute("CREATE TABLE items (_id TEXT PRIMARY KEY NOT NULL, text, done)")
    await db.execute("CREATE VIEW todo AS SELECT _id, text FROM items WHERE NOT done")
    await db.execute("INSERT INTO items VALUES ('1', 'Milk', 0), ('2', 'Bread', 1)")
    store = create_store()
    load_only = {"mode": "tabular", "tables": {"load": {"todo": "todo"}}}
    await create_sqlite_persister(store, db, load_only).start_auto_load()
    assert store.get_table("todo") == {"1": {"text": "Milk"}}
    await db.execute("UPDATE items SET done = NOT done")
    await until_store(store, lambda: store.get_table("todo") == {"2": {"text": "Bread"}})
    with pytest.raises(SchemaError, match="is a view"):
        await create_sqlite_persister(create_store(), db, CONFIG).load()


async def test_a_condition_does_not_make_a_change_or_a_save_cost_a_look_at_every_row(file: Path) -> None:
    told: list[str] = []
    config = {
        "mode": "tabular",
        "tables": {"load": {"todo": {"tableId": "todo", "condition": "done = 0"}}, "save": {"todo": "todo"}},
    }
    async with SqliteDatabase(file, on_sql_command=lambda sql, bindings: told.append(sql)) as db:
        await db.execute("CREATE TABLE todo (_id TEXT PRIMARY KEY NOT NULL, done)")
        await db.execute("INSERT INTO todo VALUES ('1', 0), ('2', 1), ('3', 0), ('4', 0)")
        store = create_store()
        await create_sqlite_persister(store, db, config).start_auto_persisting()
        told.clear()
        store.set_cell("todo", "1", "done", 1)
        await until_store(store, lambda: not store.has_row("todo", "1"))
        await db.execute("UPDATE todo SET done = 0 WHERE _id = '2'")
        await until_store(store, lambda: store.has_row("todo", "2"))
        await db.execute("UPDATE todo SET done = 1 WHERE _id = '3'")
        await until_store(store, lambda: not store.has_row("todo", "3"))
        await db.execute("DELETE FROM todo WHERE _id = '4'")
        await until_store(store, lambda: not store.has_row("todo", "4"))
    reads = [sql for sql in told if sql.startswith("SELECT") and 'FROM "todo"' in sql]
    assert len(reads) >= 4
    assert [sql for sql in reads if '"_id" IN (' not in sql] == []
    assert store.get_table("todo") == {"2": {"done": 0}}


async def test_a_condition_loads_a_slice_that_rows_enter_and_leave(db: SqliteDatabase) -> None:
    await db.execute("CREATE TABLE todo (_id TEXT PRIMARY KEY NOT NULL, text, done)")
    await db.execute("INSERT INTO todo VALUES ('1', 'Milk', 0), ('2', 'Bread', 1)")
    config = {
        "mode": "tabular",
        "tables": {
            "load": {"todo": {"tableId": "todo", "condition": "$tableName.done = 0"}},
            "save": {"todo": "todo"},
        },
    }
    store = create_store()
    persister = await create_sqlite_persister(store, db, config).start_auto_persisting()
    assert list(store.get_table("todo")) == ["1"]
    await db.execute("UPDATE todo SET done = 1 - done")
    await until_store(store, lambda: list(store.get_table("todo")) == ["2"])
    store.set_cell("todo", "2", "done", 1)
    await persister.flush()
    await until_store(store, lambda: store.get_table("todo") == {})
    assert await rows(db) == [("1", "Milk", 1), ("2", "Bread", 1)]


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("CREATE TABLE todo (id TEXT PRIMARY KEY)", "has no column '_id'"),
        ("CREATE TABLE todo (_id TEXT, a)", "may hold the same key twice"),
        ("CREATE TABLE todo (_id TEXT COLLATE NOCASE PRIMARY KEY)", "compared by NOCASE"),
        ("CREATE TABLE todo (_id REAL PRIMARY KEY)", "changes row ids"),
        ("CREATE TABLE Todo (_id TEXT PRIMARY KEY)", "spelled 'Todo'"),
    ],
)
async def test_a_table_that_cannot_be_used_is_refused_with_the_reason(
    db: SqliteDatabase, sql: str, reason: str
) -> None:
    await db.execute(sql)
    with pytest.raises(SchemaError, match=reason):
        await create_sqlite_persister(create_store(), db, CONFIG).load()


async def test_a_replicated_table_is_left_to_cr_sqlite(file: Path) -> None:
    async with CrSqliteDatabase(file) as replica:
        await create_crsqlite_persister(create_store().set_row("todo", "1", {"a": 1}), replica, CONFIG).save()
    async with SqliteDatabase(file) as db:
        with pytest.raises(SchemaError, match="CrSqliteDatabase"):
            await create_sqlite_persister(create_store(), db, CONFIG).load()


async def test_rows_that_break_a_tables_own_rules_are_reported_and_the_others_saved(
    db: SqliteDatabase,
) -> None:
    await db.execute("CREATE TABLE todo (_id TEXT PRIMARY KEY NOT NULL, n CHECK (n < 10))")
    errors: list[Exception] = []
    store = create_store().set_table("todo", {"1": {"n": 5}, "2": {"n": 50}, "3": {"n": 7}})
    await create_sqlite_persister(store, db, CONFIG, on_error=errors.append).save()
    assert await rows(db) == [("1", 5), ("3", 7)]
    assert len(errors) == 1
    assert "row '2'" in str(errors[0])


async def test_what_no_cell_can_be_is_reported_and_left_alone(db: SqliteDatabase) -> None:
    await db.execute("CREATE TABLE todo (_id TEXT PRIMARY KEY NOT NULL, a, b)")
    await db.execute("INSERT INTO todo VALUES ('1', x'00', 'ok'), ('2', CAST(x'ff' AS TEXT), 1e999)")
    errors: list[Exception] = []
    store = create_store()
    await create_sqlite_persister(store, db, CONFIG, on_error=errors.append).start_auto_persisting()
    assert store.get_table("todo") == {"1": {"b": "ok"}}
    assert {(e.row_id, e.cell_id) for e in errors if isinstance(e, UnreadableCellError)} == {
        ("1", "a"),
        ("2", "a"),
        ("2", "b"),
    }
    assert await db.execute("SELECT typeof(a), typeof(b) FROM todo ORDER BY 1") == [
        ("blob", "text"),
        ("text", "real"),
    ]


@pytest.mark.parametrize("name", ["order", "to-do", "a b", 'so "called"', "Größe", "12", "crsql_x"])
async def test_a_table_may_have_any_name_that_sqlite_takes(db: SqliteDatabase, name: str) -> None:
    config = {
        "mode": "tabular",
        "tables": {
            "load": {name: {"tableId": "todo", "rowIdColumnName": "group", "condition": "$tableName.n < 9"}},
            "save": {"todo": {"tableName": name, "rowIdColumnName": "group"}},
        },
    }
    store = create_store().set_table("todo", {"1": {"n": 1}, "2": {"n": 2}})
    persister = await create_sqlite_persister(store, db, config).start_auto_persisting()
    store.set_cell("todo", "1", "n", 3).del_row("todo", "2")
    await persister.flush()
    quoted = '"' + name.replace('"', '""') + '"'
    assert await db.execute(f"SELECT * FROM {quoted}") == [("1", 3)]
    await db.execute(f"INSERT INTO {quoted} VALUES ('4', 4), ('9', 9)")
    await until_store(store, lambda: store.get_table("todo") == {"1": {"n": 3}, "4": {"n": 4}})


@pytest.mark.parametrize(
    ("name", "rule"), [("sqlite_x", "reserved"), ("", "empty"), ("a\0b", "NUL"), ("\ud800", "surrogate")]
)
def test_a_name_that_sqlite_does_not_take_is_refused(file: Path, name: str, rule: str) -> None:
    config = {"mode": "tabular", "tables": {"load": {name: "todo"}}}
    with pytest.raises(ConfigError, match=rule):
        create_sqlite_persister(create_store(), SqliteDatabase(file), config)


def saving(**options: Any) -> dict[str, Any]:
    return {
        "mode": "tabular",
        "tables": {"load": {"todo": "todo"}, "save": {"todo": {"tableName": "todo", **options}}},
    }


async def columns(db: SqliteDatabase) -> list[str]:
    return [name for (name,) in await db.execute("SELECT name FROM pragma_table_info('todo')")]


async def test_columns_that_are_empty_in_store_and_table_are_dropped_by_a_save_that_may(
    db: SqliteDatabase,
) -> None:
    await db.execute("CREATE TABLE todo (_id TEXT PRIMARY KEY NOT NULL, a, b, c, d, e)")
    await db.execute("CREATE INDEX by_d ON todo (d)")
    await db.execute("INSERT INTO todo (_id, a, b) VALUES ('1', 1, 2)")
    store = create_store()
    persister = create_sqlite_persister(store, db, saving(delete_empty_columns=True))
    await persister.load()
    store.del_cell("todo", "1", "a")
    await persister.save()
    assert await columns(db) == ["_id", "b", "d"]
    store.set_cell("todo", "1", "c", 3)
    await persister.save()
    assert await rows(db) == [("1", 2, None, 3)]
    await db.execute("UPDATE todo SET d = 4")
    await persister.load()
    assert store.get_row("todo", "1") == {"b": 2, "c": 3, "d": 4}


async def test_a_table_that_is_empty_in_store_and_database_is_dropped_by_a_save_that_may(
    db: SqliteDatabase,
) -> None:
    store = create_store().set_row("todo", "1", {"a": 1})
    persister = create_sqlite_persister(store, db, saving(delete_empty_table=True))
    await persister.save()
    await db.execute("INSERT INTO todo VALUES ('2', 2)")
    store.del_table("todo")
    await persister.save()
    assert await rows(db) == [("2", 2)]
    await db.execute("DELETE FROM todo")
    await persister.save()
    assert await columns(db) == []
    store.set_row("todo", "3", {"b": 3})
    await persister.save()
    assert await rows(db) == [("3", 3)]


async def test_persisters_of_one_database_take_turns(db: SqliteDatabase) -> None:
    one, two = create_store(), create_store()
    first, second = create_sqlite_persister(one, db, CONFIG), create_sqlite_persister(two, db)
    free = asyncio.Event()
    acting = asyncio.ensure_future(first.schedule(free.wait))
    two.set_row("pets", "1", {"a": 1})
    saving_too = asyncio.ensure_future(second.save())
    await db.read(lambda _: None)
    assert second.status is not Status.SAVING
    assert not saving_too.done()
    free.set()
    await asyncio.gather(acting, saving_too)
    assert second.get_stats()["saves"] == 1


async def test_a_full_disk_is_told_as_such(db: SqliteDatabase) -> None:
    store = create_store().set_row("todo", "1", {"text": "Milk"})
    persister = create_sqlite_persister(store, db, CONFIG)
    await persister.save()
    await db.execute(f"PRAGMA max_page_count = {(await db.execute('PRAGMA page_count'))[0][0]}")
    store.set_row("todo", "2", {"text": "x" * 100_000})
    with pytest.raises(DatabaseFullError, match="make room"):
        await persister.save()
    await db.execute("PRAGMA max_page_count = 1000000")
    await persister.save()
    assert await db.execute("SELECT length(text) FROM todo ORDER BY 1") == [(4,), (100_000,)]


async def test_closing_the_database_closes_the_persister_and_its_thread(file: Path) -> None:
    store = create_store()
    async with SqliteDatabase(file) as db:
        persister = await create_sqlite_persister(store, db, CONFIG).start_auto_persisting()
        assert isinstance(persister.config, TabularConfig)
        assert persister.database is db
        assert [thread for thread in threading.enumerate() if str(file) in thread.name]
        store.set_row("todo", "1", {"text": "last"})
    assert not [thread for thread in threading.enumerate() if str(file) in thread.name]
    again = Store()
    async with SqliteDatabase(file) as db:
        await create_sqlite_persister(again, db, CONFIG).load()
    assert again.get_table("todo") == {"1": {"text": "last"}}
