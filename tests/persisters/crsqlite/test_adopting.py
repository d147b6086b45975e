"""Ordinary tables become replicated ones without losing a row, or are refused with every reason."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from replicell.persisters import CrSqliteDatabase, SchemaError, create_crsqlite_persister
from replicell.store import create_store

CONFIG = {"mode": "tabular", "tables": {"load": {"todo": "todo"}, "save": {"todo": "todo"}}}
ROWS = [("1", "Milk", 1, None), ("2", "Bread", 0, b"\x00\xff"), ("ü", None, None, 1.5)]


def ordinary(file: Path, *statements: str) -> None:
    connection = apsw.Connection(str(file))
    for statement in statements:
        connection.execute(statement)
    connection.close()


async def test_every_row_stays_and_is_there_for_other_replicas(file: Path) -> None:
    ordinary(file, "CREATE TABLE todo (_id TEXT PRIMARY KEY NOT NULL, text TEXT, done INTEGER, extra)")
    connection = apsw.Connection(str(file))
    connection.executemany("INSERT INTO todo VALUES (?, ?, ?, ?)", ROWS)
    connection.execute("CREATE INDEX by_text ON todo (text)")
    connection.close()
    async with CrSqliteDatabase(file) as db:
        assert await db.adopt_table("todo") == 3
        assert await db.execute("SELECT * FROM todo ORDER BY _id") == ROWS
        changes = await db.read(lambda connection: list(connection.execute("SELECT * FROM crsql_changes")))
        assert len(changes) == 9
        store = create_store()
        persister = create_crsqlite_persister(store, db, CONFIG)
        await persister.load()
        assert store.get_row("todo", "1") == {"text": "Milk", "done": 1}
        assert await db.adopt_table("todo") == 3


async def test_a_table_of_100_000_rows_is_adopted_whole(file: Path) -> None:
    ordinary(
        file,
        "CREATE TABLE todo (_id TEXT PRIMARY KEY NOT NULL, a, b)",
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) "
        "INSERT INTO todo SELECT 'row ' || i, i, i * 0.5 FROM n",
    )
    async with CrSqliteDatabase(file) as db:
        assert await db.adopt_table("todo") == 100_000
        sums = "SELECT count(*), sum(a), sum(b) FROM todo"
        assert await db.execute(sums) == [(100_000, 5_000_050_000, 2_500_025_000.0)]


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("CREATE TABLE todo (_id TEXT NOT NULL, a)", "no primary key"),
        ("CREATE TABLE todo (_id TEXT PRIMARY KEY, a)", "'_id' may be NULL"),
        ("CREATE TABLE todo (_id INTEGER PRIMARY KEY, a)", "'_id' may be NULL"),
        ("CREATE TABLE todo (a NOT NULL, b, PRIMARY KEY (a, b))", "'b' may be NULL"),
        (
            "CREATE TABLE todo (_id TEXT PRIMARY KEY NOT NULL, a NOT NULL)",
            "'a' is NOT NULL without a DEFAULT",
        ),
        (
            "CREATE TABLE todo (_id TEXT PRIMARY KEY NOT NULL, a NOT NULL DEFAULT NULL)",
            "'a' is NOT NULL without a DEFAULT",
        ),
        ("CREATE TABLE todo (_id TEXT PRIMARY KEY NOT NULL, a UNIQUE)", "unique index"),
        ("CREATE TABLE todo (_id TEXT PRIMARY KEY NOT NULL, a REFERENCES pets)", "foreign key to 'pets'"),
        ("CREATE TABLE todo (_id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL)", "AUTOINCREMENT"),
        ("CREATE TABLE todo (_id TEXT COLLATE NOCASE PRIMARY KEY NOT NULL, a)", "compared by NOCASE"),
        ('CREATE TABLE todo (_id TEXT PRIMARY KEY NOT NULL, "a""b")', "double quote"),
        ("CREATE VIEW todo AS SELECT 1 AS _id", "it is a view"),
        ("CREATE VIRTUAL TABLE todo USING fts5(text)", "virtual table"),
        ("CREATE TABLE Todo (_id TEXT PRIMARY KEY NOT NULL)", "spelled 'Todo'"),
        ("CREATE TABLE other (_id TEXT PRIMARY KEY NOT NULL)", "no such table"),
    ],
)
async def test_what_merges_cannot_live_with_is_refused_and_left_as_it_was(
    file: Path, sql: str, reason: str
) -> None:
    ordinary(file, sql)
    async with CrSqliteDatabase(file) as db:
        before = await db.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name")
        with pytest.raises(SchemaError, match=reason):
            await db.adopt_table("todo")
        assert await db.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY name") == before


async def test_a_check_that_a_row_fails_until_its_cells_have_arrived_is_refused(file: Path) -> None:
    ordinary(
        file,
        "CREATE TABLE todo (_id TEXT PRIMARY KEY NOT NULL CHECK (_id <> ''), a, b, CHECK (a IS NOT NULL))",
        "INSERT INTO todo VALUES ('1', 2, 3)",
    )
    async with CrSqliteDatabase(file) as db:
        with pytest.raises(SchemaError, match="CHECK constraint failed: a IS NOT NULL"):
            await db.adopt_table("todo")
        assert await db.execute("SELECT * FROM todo") == [("1", 2, 3)]
        assert await db.execute("SELECT name FROM sqlite_schema WHERE name LIKE 'todo!_!_%' ESCAPE '!'") == []


async def test_a_check_that_absent_cells_pass_is_no_reason_against(file: Path) -> None:
    ordinary(
        file,
        "CREATE TABLE todo (_id TEXT PRIMARY KEY NOT NULL CHECK (_id <> ''), a CHECK (a > 0))",
        "INSERT INTO todo VALUES ('1', 2)",
    )
    async with CrSqliteDatabase(file) as db:
        assert await db.adopt_table("todo") == 1
        assert await db.execute("SELECT * FROM todo") == [("1", 2)]


async def test_all_reasons_are_told_at_once(file: Path) -> None:
    ordinary(file, "CREATE TABLE todo (_id INTEGER PRIMARY KEY AUTOINCREMENT, a UNIQUE NOT NULL)")
    async with CrSqliteDatabase(file) as db:
        with pytest.raises(SchemaError) as caught:
            await db.adopt_table("todo")
    for reason in ("may be NULL", "AUTOINCREMENT", "unique index", "NOT NULL without", "INSERT INTO"):
        assert reason in str(caught.value)


async def test_a_name_that_cr_sqlite_cannot_take_is_refused(file: Path) -> None:
    ordinary(file, 'CREATE TABLE "to-do" (_id TEXT PRIMARY KEY NOT NULL)')
    async with CrSqliteDatabase(file) as db:
        with pytest.raises(SchemaError, match="RENAME TO"):
            await db.adopt_table("to-do")


async def test_text_that_is_not_utf_8_is_refused(file: Path) -> None:
    ordinary(
        file,
        "CREATE TABLE todo (_id TEXT PRIMARY KEY NOT NULL, a)",
        "INSERT INTO todo VALUES ('1', CAST(x'ff' AS TEXT))",
    )
    async with CrSqliteDatabase(file) as db:
        with pytest.raises(SchemaError, match="not UTF-8"):
            await db.adopt_table("todo")
