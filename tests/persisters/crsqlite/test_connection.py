"""A file is opened the way cr-sqlite needs it, or refused untouched."""

from __future__ import annotations

import multiprocessing
import os
import struct
from pathlib import Path

import apsw
import pytest

from replicell.persisters import (
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseInputOutputError,
    DatabaseTooNewError,
)
from replicell.persisters.crsqlite.connection import (
    close_connection,
    forget_undone_schema,
    open_connection,
    transaction,
)
from replicell.persisters.crsqlite.keys import pack_key
from replicell.persisters.crsqlite.schema import TableSchema, add_columns_within, create_table


def test_a_new_file_is_a_replica_with_an_identity_of_its_own(file: Path) -> None:
    connection = open_connection(file)
    site_id = connection.execute("SELECT crsql_site_id()").get
    assert connection.execute("PRAGMA journal_mode").get == "wal"
    close_connection(connection)
    again = open_connection(file)
    assert again.execute("SELECT crsql_site_id()").get == site_id
    assert len(site_id) == 16
    close_connection(again)


def test_closing_twice_is_allowed(file: Path) -> None:
    connection = open_connection(file)
    close_connection(connection)
    close_connection(connection)


def test_closing_gives_up_an_open_transaction(file: Path) -> None:
    connection = open_connection(file)
    create_table(connection, TableSchema("t", ("id",), ("a",)))
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO t VALUES ('1', 1)")
    close_connection(connection)
    again = open_connection(file)
    assert again.execute("SELECT count(*) FROM t").get == 0
    close_connection(again)


@pytest.mark.parametrize(
    "content",
    [b"hello " * 1000, os.urandom(4096), b"SQLite format 3\0" + b"\x01" * 20],
    ids=["foreign", "encrypted", "cut off"],
)
def test_a_file_that_is_no_database_is_refused_and_left_as_it_was(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(DatabaseDamagedError, match="not been touched"):
        open_connection(file)
    assert file.read_bytes() == content
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]


def test_a_corrupt_database_is_refused_and_left_as_it_was(file: Path) -> None:
    connection = open_connection(file)
    create_table(connection, TableSchema("t", ("id",), ("a",)))
    close_connection(connection)
    content = file.read_bytes()[:8192]
    file.write_bytes(content)
    with pytest.raises(DatabaseDamagedError, match="corrupt"):
        open_connection(file)
    assert file.read_bytes() == content


def test_a_database_of_a_newer_cr_sqlite_is_refused(file: Path) -> None:
    connection = open_connection(file)
    connection.execute("UPDATE crsql_master SET value = 170000 WHERE key = 'crsqlite_version'")
    close_connection(connection)
    content = file.read_bytes()
    with pytest.raises(DatabaseTooNewError, match="cr-sqlite 170000"):
        open_connection(file)
    assert file.read_bytes() == content


def test_a_newer_file_format_is_refused(file: Path) -> None:
    close_connection(open_connection(file))
    content = bytearray(file.read_bytes())
    content[18:20] = struct.pack("BB", 3, 3)
    file.write_bytes(content)
    with pytest.raises(DatabaseTooNewError, match="file format 3"):
        open_connection(file)
    assert file.read_bytes() == content


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseInputOutputError, match="folder exists"):
        open_connection(tmp_path / "nowhere" / "x.db")


def test_a_lock_held_for_too_long_is_an_error_that_says_so(file: Path) -> None:
    holder = open_connection(file)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseBusyError, match="busy_timeout"):
        open_connection(file, busy_timeout=0.01)
    close_connection(holder)


def _open_and_close(path: str, results: multiprocessing.SimpleQueue[str]) -> None:
    try:
        connection = open_connection(path)
        results.put(connection.execute("SELECT hex(crsql_site_id())").get)
        close_connection(connection)
    except Exception as error:
        results.put(repr(error))


def test_several_processes_may_open_the_same_new_file_at_once(file: Path) -> None:
    context = multiprocessing.get_context("spawn")
    results: multiprocessing.SimpleQueue[str] = context.SimpleQueue()
    processes = [context.Process(target=_open_and_close, args=(str(file), results)) for _ in range(4)]
    for process in processes:
        process.start()
    site_ids = {results.get() for _ in processes}
    for process in processes:
        process.join()
    assert len(site_ids) == 1
    assert len(site_ids.pop()) == 32


def test_a_transaction_is_rolled_back_when_its_block_raises(file: Path) -> None:
    connection = open_connection(file)
    create_table(connection, TableSchema("t", ("id",), ("a",)))
    with pytest.raises(ZeroDivisionError), transaction(connection):
        connection.execute("INSERT INTO t VALUES ('1', 1)")
        raise ZeroDivisionError
    assert connection.execute("SELECT count(*) FROM t").get == 0
    assert not connection.in_transaction
    close_connection(connection)


def test_local_writes_are_recorded_again_after_a_merge_failed(file: Path) -> None:
    connection = open_connection(file)
    connection.execute("CREATE TABLE t (id TEXT PRIMARY KEY NOT NULL, a CHECK (a > 0) DEFAULT 1)")
    connection.execute("SELECT crsql_as_crr('t')").fetchall()
    change = ("t", b"\x01\x0b\x01x", "a", -5, 1, 0, b"s" * 16, 1, 0)
    with pytest.raises(apsw.Error), transaction(connection):
        connection.execute("INSERT INTO crsql_changes VALUES (?,?,?,?,?,?,?,?,?)", change)
    with transaction(connection):
        connection.execute("INSERT INTO t VALUES ('y', 7)")
    assert connection.execute("SELECT val FROM crsql_changes").fetchall() == [(7,)]
    close_connection(connection)


@pytest.mark.parametrize("is_put_in_order", [False, True])
def test_a_table_whose_creation_was_undone_keeps_merges_from_succeeding_until_it_is_forgotten(
    file: Path, is_put_in_order: bool
) -> None:
    connection, other = open_connection(file), open_connection(file)
    create_table(connection, TableSchema("todo", ("id",), ("a",)))
    with transaction(connection):
        connection.execute("INSERT INTO todo VALUES ('0', 1)")
    with transaction(other):
        other.execute("INSERT INTO todo VALUES ('1', 1)")
    with pytest.raises(ZeroDivisionError), transaction(connection):
        connection.execute("CREATE TABLE undone (id TEXT PRIMARY KEY NOT NULL, a)")
        connection.execute("INSERT INTO undone VALUES ('1', 1)")
        connection.execute("SELECT crsql_as_crr('undone')").fetchall()
        raise ZeroDivisionError
    with transaction(other):
        other.execute("INSERT INTO todo VALUES ('2', 1)")
    change = ("todo", pack_key(["9"]), "-1", None, 2, 0, b"s" * 16, 2, 0)
    if is_put_in_order:
        forget_undone_schema(connection)
        with transaction(connection):
            connection.execute("INSERT INTO crsql_changes VALUES (?,?,?,?,?,?,?,?,?)", change)
    else:  # which is cr-sqlite's own doing
        with pytest.raises(apsw.SQLError), transaction(connection):
            connection.execute("INSERT INTO crsql_changes VALUES (?,?,?,?,?,?,?,?,?)", change)
    close_connection(connection)
    close_connection(other)


def test_rows_can_be_written_again_after_a_new_column_was_undone(file: Path) -> None:
    connection = open_connection(file)
    try:
        create_table(connection, TableSchema("todo", ("id",), ("text", "rank")))
        with transaction(connection):
            connection.execute("INSERT INTO todo VALUES ('1', 'x', 1)")
        with pytest.raises(ZeroDivisionError), transaction(connection):
            add_columns_within(connection, "todo", ["done"])
            connection.execute("SELECT crsql_db_version()").fetchall()
            _ = 1 // 0
        with pytest.raises(apsw.SQLError, match="expected"), transaction(connection):
            connection.execute("UPDATE todo SET rank = 2")
        forget_undone_schema(connection)
        with transaction(connection):
            connection.execute("UPDATE todo SET rank = 3")
        assert connection.execute("SELECT * FROM todo").fetchall() == [("1", "x", 3)]
    finally:
        close_connection(connection)
