"""Copies of a database's replicated rows: what is in them, and into what they are taken over."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.changes import read_page
from replicell.persisters.crsqlite.connection import close_connection, open_connection, transaction
from replicell.persisters.crsqlite.copies import BadCopyError, is_blank, take_copy, write_copy
from replicell.persisters.crsqlite.database import CrSqliteDatabase, DatabaseChange
from replicell.persisters.crsqlite.epochs import Cursor, begin_epoch, is_known
from replicell.persisters.crsqlite.schema import TableSchema, create_table

TODO = TableSchema("todo", ("id",), ("text", "n"))
TAG = TableSchema("a tag's", ("id",), ())


@contextmanager
def database(path: Path, *tables: TableSchema) -> Iterator[apsw.Connection]:
    conn = open_connection(path)
    try:
        for table in tables:
            create_table(conn, table)
        with transaction(conn):
            begin_epoch(conn)
        yield conn
    finally:
        close_connection(conn)


def put(conn: apsw.Connection, key: str, text: object) -> None:
    with transaction(conn):
        conn.execute(
            "INSERT INTO todo(id, text, n) VALUES (?, ?, 1)"
            " ON CONFLICT(id) DO UPDATE SET text = excluded.text",
            (key, text),
        )


def nothing(_: apsw.Connection) -> None:
    """Noted beside the copy."""


def histories(conn: apsw.Connection) -> list[tuple[object, ...]]:
    """All that a replica tells others, without who wrote it."""
    return [
        (change.table, change.pk, change.cid, change.val, change.col_version, change.cl, change.db_version)
        for change in read_page(conn, Catalog(), 0).changes
    ]


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    """A database with rows of all kinds: edited, deleted, created again, and from somebody else."""
    path = tmp_path / "origin.db"
    with database(path, TODO) as conn:
        for key, text in (("1", "milk"), ("2", "bread"), ("1", "oat milk"), ("3", b"\x00blob"), ("4", 2.5)):
            put(conn, key, text)
        with transaction(conn):
            conn.execute("DELETE FROM todo WHERE id IN ('2', '3')")
        put(conn, "3", "again")
        with transaction(conn):
            conn.execute(
                "INSERT INTO crsql_changes VALUES ('todo', x'010b0139', 'text', 'theirs', 1, 0, ?, 1, 0)",
                (b"somebody else's.",),
            )
    return path


@pytest.fixture
def copy(origin: Path, tmp_path: Path) -> tuple[Path, Cursor]:
    path = tmp_path / "copy.db"
    return path, write_copy(origin, path)


def test_a_copy_makes_a_blank_database_the_same_as_its_origin(
    origin: Path, copy: tuple[Path, Cursor], tmp_path: Path
) -> None:
    target = tmp_path / "target.db"
    with database(target, TODO):
        pass

    assert take_copy(target, *copy, nothing)

    with database(target) as conn, database(origin) as original:
        assert histories(conn) == histories(original)
        assert conn.execute("SELECT * FROM todo ORDER BY id").fetchall() == [
            ("1", "oat milk", 1),
            ("3", "again", 1),
            ("4", 2.5, 1),
            ("9", "theirs", None),
        ]
        assert conn.execute("PRAGMA integrity_check").get == "ok"


def test_all_that_is_copied_counts_as_the_origins(
    origin: Path, copy: tuple[Path, Cursor], tmp_path: Path
) -> None:
    target = tmp_path / "target.db"
    with database(target, TODO) as conn:
        own_id = conn.execute("SELECT crsql_site_id()").get

    take_copy(target, *copy, nothing)

    with database(target) as conn:
        assert conn.execute("SELECT crsql_site_id()").get == own_id
        assert conn.execute("SELECT DISTINCT site_id FROM crsql_changes").fetchall() == [(copy[1].site_id,)]
        assert read_page(conn, Catalog(), 0, exclude=copy[1].site_id).changes == []
        put(conn, "1", "own")
        (own,) = read_page(conn, Catalog(), 0, exclude=copy[1].site_id).changes
        assert (own.val, own.col_version) == ("own", 3)
        assert own.db_version > copy[1].version


def test_the_cursor_is_of_the_origins_own_past(origin: Path, copy: tuple[Path, Cursor]) -> None:
    with database(origin) as conn:
        assert is_known(conn, copy[1])
        assert copy[1].version == Catalog().latest_version(conn)


def test_nothing_but_replicated_tables_is_copied(origin: Path, tmp_path: Path) -> None:
    with database(origin) as conn:
        conn.execute("CREATE TABLE secret(word); INSERT INTO secret VALUES ('not for clients')")
        conn.execute("CREATE VIEW v AS SELECT * FROM todo; CREATE INDEX i ON todo(text)")

    write_copy(origin, tmp_path / "copy.db")

    content = (tmp_path / "copy.db").read_bytes()
    assert b"not for clients" not in content
    assert b"somebody else's." not in content
    names = apsw.Connection(str(tmp_path / "copy.db")).execute("SELECT name FROM sqlite_master").fetchall()
    assert {name for (name,) in names} == {"todo", "todo__crsql_pks", "todo__crsql_clock"}


def test_a_database_that_is_written_can_be_copied(origin: Path, tmp_path: Path) -> None:
    with database(origin) as conn, transaction(conn):
        conn.execute("UPDATE todo SET text = 'not yet committed'")
        write_copy(origin, tmp_path / "copy.db")

    assert b"not yet committed" not in (tmp_path / "copy.db").read_bytes()


def test_tables_of_keys_only_and_odd_names_are_copied(tmp_path: Path) -> None:
    with database(tmp_path / "origin.db", TableSchema("tag", ("id",), ("it's a \u2615",))) as conn:
        conn.execute("INSERT INTO tag VALUES ('x', 1)")
    with database(tmp_path / "target.db", TableSchema("tag", ("id",), ("more", "it's a \u2615"))):
        pass
    cursor = write_copy(tmp_path / "origin.db", tmp_path / "copy.db")

    assert take_copy(tmp_path / "target.db", tmp_path / "copy.db", cursor, nothing)

    with database(tmp_path / "target.db") as conn:
        assert conn.execute("SELECT * FROM tag").fetchall() == [("x", None, 1)]


@pytest.mark.parametrize("leave", ["a row", "a deleted row"])
def test_a_database_with_any_history_is_left_as_it_is(
    copy: tuple[Path, Cursor], tmp_path: Path, leave: str
) -> None:
    target = tmp_path / "target.db"
    with database(target, TODO) as conn:
        put(conn, "own", "edit")
        if leave == "a deleted row":
            conn.execute("DELETE FROM todo")
        before = histories(conn)
        assert not is_blank(conn, Catalog())

    assert not take_copy(target, *copy, nothing)

    with database(target) as conn:
        assert histories(conn) == before


def test_what_is_noted_with_a_copy_comes_and_goes_with_it(copy: tuple[Path, Cursor], tmp_path: Path) -> None:
    target = tmp_path / "target.db"
    with database(target, TODO):
        pass

    def fail(conn: apsw.Connection) -> None:
        conn.execute("CREATE TABLE noted(x)")
        raise KeyError

    with pytest.raises(KeyError):
        take_copy(target, *copy, fail)

    with database(target) as conn:
        assert is_blank(conn, Catalog())
        assert conn.execute("SELECT count(*) FROM sqlite_master WHERE name = 'noted'").get == 0
        put(conn, "1", "tracked")
        assert len(histories(conn)) == 2


def spoiled(path: Path, sql: str) -> None:
    conn = apsw.Connection(str(path))
    conn.execute(sql)
    conn.close()


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("CREATE TABLE more(x)", "tables that are not there"),
        ("CREATE VIEW todo_view AS SELECT 1", "more than tables"),
        ("CREATE TRIGGER t AFTER INSERT ON todo BEGIN SELECT 1; END", "more than tables"),
        ("ALTER TABLE todo ADD COLUMN more", "other columns"),
        ("ALTER TABLE todo DROP COLUMN id", "other columns"),
        ("UPDATE todo__crsql_clock SET db_version = 9223372036854775807", "no database writes"),
        ("UPDATE todo__crsql_clock SET db_version = -1", "no database writes"),
        ("UPDATE todo__crsql_clock SET col_version = 9223372036854775807", "no database writes"),
        ("UPDATE todo__crsql_clock SET site_id = 0", "no database writes"),
        ("UPDATE todo__crsql_clock SET seq = -1", "no database writes"),
        ("UPDATE todo__crsql_clock SET col_name = 'x' || col_name", "no database writes"),
        ("INSERT INTO todo SELECT * FROM todo", "cannot be taken over"),
        ("UPDATE todo SET id = NULL", "cannot be taken over"),
    ],
)
def test_what_no_database_writes_is_refused(
    copy: tuple[Path, Cursor], tmp_path: Path, sql: str, reason: str
) -> None:
    target = tmp_path / "target.db"
    with database(target, TODO):
        pass
    spoiled(copy[0], sql)

    with pytest.raises(BadCopyError, match=reason):
        take_copy(target, *copy, nothing)

    with database(target) as conn:
        assert is_blank(conn, Catalog())


@pytest.mark.parametrize("content", [b"", b"no database" * 1000, b"SQLite format 3\0" + b"\xff" * 8000])
def test_what_is_no_database_is_refused(copy: tuple[Path, Cursor], tmp_path: Path, content: bytes) -> None:
    target = tmp_path / "target.db"
    with database(target, TODO):
        pass
    copy[0].write_bytes(content)

    if content:
        with pytest.raises(BadCopyError):
            take_copy(target, *copy, nothing)
    else:
        # SQLite takes an empty file for an empty database, which is a copy of one without tables.
        assert take_copy(target, *copy, nothing)

    with database(target) as conn:
        assert is_blank(conn, Catalog())


async def test_an_open_database_takes_a_copy_over_and_tells_of_it(
    copy: tuple[Path, Cursor], tmp_path: Path
) -> None:
    async with CrSqliteDatabase(tmp_path / "open.db") as db:
        await db.run(create_table, TODO)
        told: list[DatabaseChange] = []
        db.on_change(told.append)

        assert await db.adopt_copy(*copy, nothing, origin="me")

        assert DatabaseChange("me") in told
        assert await db.execute("SELECT text FROM todo WHERE id = '1'") == [("oat milk",)]
        await db.execute("UPDATE todo SET text = 'edited' WHERE id = '1'")
        assert not await db.adopt_copy(*copy, nothing)


async def test_a_copy_that_cannot_be_taken_over_leaves_an_open_database_usable(tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_bytes(b"no database" * 1000)
    async with CrSqliteDatabase(tmp_path / "open.db") as db:
        await db.run(create_table, TODO)

        with pytest.raises(BadCopyError):
            await db.adopt_copy(tmp_path / "copy.db", Cursor(b"s" * 16, b"e" * 16, 1), nothing)

        await db.execute("INSERT INTO todo VALUES ('1', 'x', 1)")
        assert len(await db.execute("SELECT * FROM crsql_changes")) == 2


def test_a_program_that_is_killed_in_the_middle_leaves_the_database_as_it_was(
    copy: tuple[Path, Cursor], tmp_path: Path
) -> None:
    target = tmp_path / "target.db"
    with database(target, TODO):
        pass
    program = """
import os, signal, sys
from replicell.persisters.crsqlite.copies import take_copy
from replicell.persisters.crsqlite.epochs import Cursor
def killed(conn):
    assert conn.execute("SELECT count(*) FROM todo").get == 4
    conn.cache_flush()
    os.kill(os.getpid(), signal.SIGKILL)
site_id, epoch, version = sys.argv[3:]
take_copy(*sys.argv[1:3], Cursor(bytes.fromhex(site_id), bytes.fromhex(epoch), int(version)), killed)
"""
    path, cursor = copy
    words = (str(target), str(path), cursor.site_id.hex(), cursor.epoch.hex(), str(cursor.version))

    ended = subprocess.run([sys.executable, "-c", program, *words], check=False, timeout=50)

    assert ended.returncode == -signal.SIGKILL
    with database(target) as conn:
        assert is_blank(conn, Catalog())
        assert conn.execute("PRAGMA integrity_check").get == "ok"
    assert take_copy(target, *copy, nothing)
