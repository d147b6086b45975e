"""Files and folders that cannot be used are named with the reason, and are byte for byte as they were."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from replicell.persisters import (
    ContentFormatError,
    CrSqliteDatabase,
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseError,
    DatabaseInputOutputError,
    DatabaseReadOnlyError,
    DatabaseTooNewError,
    FileAccessError,
    PersisterError,
    SqliteDatabase,
    create_crsqlite_json_persister,
    create_json_file_persister,
    create_sqlite_persister,
)
from replicell.persisters.sqlite.connection import open_connection
from replicell.store import create_store
from tests.persisters.permissions import unwritable

DATABASES = (CrSqliteDatabase, SqliteDatabase)


def sqlite_file(path: Path) -> bytes:
    """What another application has written with SQLite."""
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA application_id = 1234")
    connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text)")
    connection.executemany("INSERT INTO notes (text) VALUES (?)", [("x" * 500,)] * 100)
    connection.commit()
    connection.close()
    return path.read_bytes()


def foreign(path: Path) -> None:
    path.write_bytes(b"%PDF-1.7\n" + b"hello " * 2000)


def text(path: Path) -> None:
    path.write_text("not a database")


def encrypted(path: Path) -> None:
    path.write_bytes(os.urandom(8192))


def encrypted_with_a_plain_header(path: Path) -> None:
    path.write_bytes(sqlite_file(path)[:100] + os.urandom(8092))


def cut_within_the_header(path: Path) -> None:
    path.write_bytes(sqlite_file(path)[:60])


def cut_within_a_page(path: Path) -> None:
    content = sqlite_file(path)
    path.write_bytes(content[: len(content) // 2 + 100])


def cut_to_one_page(path: Path) -> None:
    path.write_bytes(sqlite_file(path)[:4096])


def overwritten_schema(path: Path) -> None:
    content = bytearray(sqlite_file(path))
    content[100:300] = b"\xff" * 200
    path.write_bytes(content)


def newer(path: Path) -> None:
    content = bytearray(sqlite_file(path))
    content[18:20] = b"\x05\x05"
    path.write_bytes(content)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


async def use(database: type[SqliteDatabase], path: Path) -> None:
    """Open a file and write to it, as programs do."""
    async with database(path, busy_timeout=0.05) as db:
        if isinstance(db, CrSqliteDatabase):
            await create_crsqlite_json_persister(create_store().set_value("a", 1), db).save()
        else:
            await create_sqlite_persister(create_store().set_value("a", 1), db).save()


@pytest.mark.parametrize("database", DATABASES)
@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (foreign, DatabaseDamagedError, "not an SQLite database"),
        (text, DatabaseDamagedError, "not an SQLite database"),
        (encrypted, DatabaseDamagedError, "an encrypted one"),
        (encrypted_with_a_plain_header, DatabaseDamagedError, "corrupt|encrypted"),
        (cut_within_the_header, DatabaseDamagedError, "corrupt|not an SQLite database"),
        (cut_within_a_page, DatabaseDamagedError, "corrupt"),
        (cut_to_one_page, DatabaseDamagedError, "corrupt"),
        (overwritten_schema, DatabaseDamagedError, "corrupt"),
        (newer, DatabaseTooNewError, "upgrade apsw"),
    ],
)
async def test_a_file_that_is_no_sound_database_is_refused_and_left_as_it_was(
    database: type[SqliteDatabase],
    make: Callable[[Path], None],
    kind: type[DatabaseError],
    message: str,
    tmp_path: Path,
) -> None:
    path = tmp_path / "test.db"
    make(path)
    before = contents(tmp_path)
    with pytest.raises(kind, match=message) as caught:
        await use(database, path)
    assert str(path) in str(caught.value)
    assert contents(tmp_path) == before


async def test_a_database_of_a_newer_cr_sqlite_is_refused_and_left_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    async with CrSqliteDatabase(path) as db:
        await db.execute("UPDATE crsql_master SET value = 990000 WHERE key = 'crsqlite_version'")
    before = contents(tmp_path)
    with pytest.raises(DatabaseTooNewError, match="newer replicell"):
        await use(CrSqliteDatabase, path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("database", DATABASES)
async def test_a_folder_in_place_of_a_database_is_named(
    database: type[SqliteDatabase], tmp_path: Path
) -> None:
    with pytest.raises(DatabaseInputOutputError, match="is a folder"):
        await use(database, tmp_path)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("database", DATABASES)
async def test_a_missing_folder_of_a_database_is_named(
    database: type[SqliteDatabase], tmp_path: Path
) -> None:
    with pytest.raises(DatabaseInputOutputError, match="check that its folder exists"):
        await use(database, tmp_path / "nowhere" / "test.db")
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("database", DATABASES)
async def test_a_new_database_in_a_folder_that_may_not_be_written_is_named(
    database: type[SqliteDatabase], tmp_path: Path
) -> None:
    with unwritable(tmp_path), pytest.raises(DatabaseError, match=r"may be written|permissions"):
        await use(database, tmp_path / "test.db")
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("database", DATABASES)
async def test_a_database_that_may_not_be_written_is_named_and_left_as_it_was(
    database: type[SqliteDatabase], tmp_path: Path
) -> None:
    path = tmp_path / "test.db"
    await use(database, path)
    before = path.read_bytes()
    with unwritable(path), pytest.raises(DatabaseReadOnlyError, match="check the permissions"):
        await use(database, path)
    assert path.read_bytes() == before


async def test_another_applications_database_is_adopted_without_harm(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    sqlite_file(path)
    await use(SqliteDatabase, path)
    connection = open_connection(path)
    assert connection.execute("SELECT count(*), sum(length(text)) FROM notes").fetchall() == [(100, 50_000)]
    assert connection.execute("PRAGMA application_id").get == 1234
    assert connection.execute("PRAGMA journal_mode").get == "delete"
    connection.close()


# ----------------------------------------------------------------------------------- JSON files


async def save_json(path: Path) -> None:
    async with create_json_file_persister(create_store().set_value("a", 1), path) as persister:
        await persister.start_auto_persisting()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"%PDF-1.7 hello", "is not JSON"),
        (b"SQLite format 3\0" + bytes(200), "is not JSON"),
        (bytes(range(256)) * 8, "is not UTF-8"),
        (b'[{"todo":{"1":{"text":"Mi', "is not JSON"),
        (b'[{"todo":{"1":{"text":"Milk"}}},{}', "is not JSON"),
        (b'{"version": 2, "content": [{}, {}]}', "not a list of tables and values"),
        (b"[[[{}]]]", "tables, rows or values"),
        (b'"salted__"', "not a list of tables and values"),
    ],
)
async def test_a_file_that_is_no_content_is_refused_and_left_as_it_was(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "todo.json"
    path.write_bytes(content)
    with pytest.raises(ContentFormatError, match=message) as caught:
        await save_json(path)
    assert "left as it is" in str(caught.value)
    assert contents(tmp_path) == {"todo.json": content}


async def test_a_folder_in_place_of_a_json_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileAccessError, match="is a folder"):
        await save_json(tmp_path)
    assert contents(tmp_path) == {}


async def test_a_missing_folder_of_a_json_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileAccessError, match="check its folder"):
        await save_json(tmp_path / "nowhere" / "todo.json")
    assert contents(tmp_path) == {}


async def test_a_json_file_in_a_folder_that_may_not_be_written_is_named_and_left_as_it_was(
    tmp_path: Path,
) -> None:
    path = tmp_path / "todo.json"
    path.write_text("[{},{}]")
    with unwritable(tmp_path), pytest.raises(FileAccessError, match="check its folder, permissions"):
        await save_json(path)
    assert contents(tmp_path) == {"todo.json": b"[{},{}]"}


def test_all_of_these_are_errors_of_persisters() -> None:
    for kind in (ContentFormatError, DatabaseBusyError, DatabaseError, FileAccessError):
        assert issubclass(kind, PersisterError)
