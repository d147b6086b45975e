"""A database goes from one version of a program to the next, one transaction a step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import pytest

from replicell.persisters import CrSqliteDatabase, DatabaseTooNewError, MigrationError
from replicell.persisters.crsqlite.migrations import Migration, Migrations, migration_version
from replicell.persisters.crsqlite.versions import latest_version
from tests.persisters.crsqlite.todo_files import rows


def make_todos(migration: Migration) -> None:
    migration.create_table("todo", "id", ["text"])
    migration.execute("INSERT INTO todo VALUES (?, ?)", ("1", "Milk"))


def add_ranks(migration: Migration) -> None:
    migration.add_columns("todo", ["rank"])
    migration.execute("UPDATE todo SET rank = length(text)")


def fail(migration: Migration) -> None:
    migration.execute("UPDATE todo SET text = 'half'")
    raise ZeroDivisionError("on purpose")


BOTH: Migrations = [(1, make_todos), (2, add_ranks)]


async def test_steps_that_a_database_has_not_made_are_made_in_order_when_it_is_opened(file: Path) -> None:
    async with CrSqliteDatabase(file, migrations=BOTH[:1]) as db:
        assert await rows(db) == [("1", "Milk")]
        assert await db.read(migration_version) == 1
    async with CrSqliteDatabase(file, migrations=BOTH) as db:
        assert await rows(db) == [("1", "Milk", 4)]
        assert await db.read(migration_version) == 2


async def test_no_step_is_made_twice(file: Path) -> None:
    made: list[int] = []

    def note(migration: Migration) -> None:
        made.append(migration.version)

    for _ in range(2):
        async with CrSqliteDatabase(file, migrations=[(1, note), (5, note)]) as db:
            assert await db.read(migration_version) == 5
    assert made == [1, 5]


async def test_a_failing_step_is_undone_and_the_next_attempt_goes_on_there(file: Path) -> None:
    with pytest.raises(MigrationError, match="Migration 3 failed and was undone: on purpose"):
        await CrSqliteDatabase(file, migrations=[*BOTH, (3, fail)]).open()
    async with CrSqliteDatabase(file, migrations=BOTH) as db:
        assert await db.read(migration_version) == 2
        assert await rows(db) == [("1", "Milk", 4)]
    async with CrSqliteDatabase(
        file, migrations=[*BOTH, (3, lambda step: step.add_columns("todo", ["x"]))]
    ) as db:
        assert await rows(db) == [("1", "Milk", 4, None)]


async def test_what_a_step_writes_reaches_replicas_that_are_up_to_date(file: Path) -> None:
    async with CrSqliteDatabase(file, migrations=BOTH[:1]) as db:
        seen = await db.read(latest_version)
    async with CrSqliteDatabase(file, migrations=BOTH) as db:
        assert await db.read(_changed_cells, seen) == [("todo", "rank", 4)]


def _changed_cells(connection: apsw.Connection, seen: int) -> list[tuple[Any, ...]]:
    cells: list[tuple[Any, ...]] = connection.execute(
        'SELECT "table", cid, val FROM crsql_changes WHERE db_version > ?', (seen,)
    ).fetchall()
    return cells


async def test_a_renamed_column_keeps_its_cells(file: Path) -> None:
    def rename(migration: Migration) -> None:
        migration.rename_column("todo", "text", "title")
        migration.execute("UPDATE todo SET title = title || '!'")

    async with CrSqliteDatabase(file, migrations=[*BOTH, (3, rename)]) as db:
        assert await db.execute("SELECT id, title, rank FROM todo") == [("1", "Milk!", 4)]
        changed = await db.read(_changed_cells, 0)
        assert sorted(changed) == [("todo", "rank", 4), ("todo", "title", "Milk!")]


async def test_a_column_changes_its_type_by_taking_a_new_one(file: Path) -> None:
    def retype(migration: Migration) -> None:
        migration.add_columns("todo", ["rank_text"])
        migration.execute("UPDATE todo SET rank_text = CAST(rank AS TEXT)")

    def forget(migration: Migration) -> None:
        migration.drop_columns("todo", ["rank"])

    async with CrSqliteDatabase(file, migrations=[*BOTH, (3, retype), (4, forget)]) as db:
        assert await db.execute("SELECT * FROM todo") == [("1", "Milk", "4")]
        await db.execute("UPDATE todo SET text = 'Tea'")
        assert ("todo", "text", "Tea") in await db.read(_changed_cells, 0)


async def test_a_schema_change_after_a_write_is_refused(file: Path) -> None:
    def wrong(migration: Migration) -> None:
        migration.execute("UPDATE todo SET text = 'x'")
        migration.add_columns("todo", ["late"])

    with pytest.raises(MigrationError, match="change the schema first"):
        await CrSqliteDatabase(file, migrations=[*BOTH, (3, wrong)]).open()


@pytest.mark.parametrize("sql", ["ALTER TABLE todo ADD COLUMN x", "drop table todo", "COMMIT"])
async def test_sql_that_changes_the_schema_is_refused(file: Path, sql: str) -> None:
    with pytest.raises(MigrationError, match="cannot be used in execute"):
        await CrSqliteDatabase(file, migrations=[*BOTH, (3, lambda step: step.execute(sql))]).open()


async def test_a_column_that_is_not_there_is_named(file: Path) -> None:
    with pytest.raises(MigrationError, match="no replicated table 'todo' has a column 'color'"):
        await CrSqliteDatabase(
            file, migrations=[*BOTH, (3, lambda step: step.drop_columns("todo", ["color"]))]
        ).open()


async def test_a_database_of_a_newer_program_is_refused(file: Path) -> None:
    async with CrSqliteDatabase(file, migrations=BOTH) as db:
        assert db.is_open
    with pytest.raises(DatabaseTooNewError, match="migrated to version 2, but this program knows 1"):
        await CrSqliteDatabase(file, migrations=BOTH[:1]).open()


@pytest.mark.parametrize("versions", [(0,), (2, 1), (1, 1), (True,)])
def test_versions_in_no_order_are_refused(versions: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="ascending versions from 1"):
        CrSqliteDatabase("unused.db", migrations=[(version, make_todos) for version in versions])
