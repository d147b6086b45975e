"""Epochs: which cursors lie in a file's own past."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from replicell.persisters.crsqlite.connection import close_connection, open_connection, transaction
from replicell.persisters.crsqlite.epochs import (
    Cursor,
    begin_epoch,
    current_epoch,
    is_known,
    recent_epochs,
)
from replicell.persisters.crsqlite.schema import TableSchema, create_table

SITE = b"s" * 16


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[apsw.Connection]:
    connection = open_connection(tmp_path / "a.db")
    create_table(connection, TableSchema("todo", ("id",), ("text",)))
    yield connection
    close_connection(connection)


def opened(conn: apsw.Connection) -> bytes:
    with transaction(conn):
        return begin_epoch(conn)


def write(conn: apsw.Connection, times: int) -> None:
    for number in range(times):
        with transaction(conn):
            conn.execute(
                "INSERT INTO todo VALUES ('1', ?) ON CONFLICT DO UPDATE SET text = excluded.text", (number,)
            )


def test_each_opening_is_an_epoch_and_the_newest_is_the_current_one(conn: apsw.Connection) -> None:
    first, second = opened(conn), opened(conn)

    assert first != second
    assert len(second) == 16
    assert current_epoch(conn) == second


def test_a_file_that_was_never_opened_properly_has_no_epoch(conn: apsw.Connection) -> None:
    with transaction(conn):
        begin_epoch(conn)
        conn.execute("DELETE FROM replicell_epochs")
    with pytest.raises(LookupError, match="open it with CrSqliteDatabase"):
        current_epoch(conn)


def test_a_cursor_of_the_current_epoch_is_known_up_to_the_latest_version(conn: apsw.Connection) -> None:
    epoch = opened(conn)
    write(conn, 3)

    assert [is_known(conn, Cursor(SITE, epoch, version)) for version in (0, 3, 4, -1)] == [
        True,
        True,
        False,
        False,
    ]


def test_a_cursor_of_an_older_epoch_is_known_up_to_where_that_ended(conn: apsw.Connection) -> None:
    epoch = opened(conn)
    write(conn, 3)
    opened(conn)
    write(conn, 3)

    assert is_known(conn, Cursor(SITE, epoch, 3))
    assert not is_known(conn, Cursor(SITE, epoch, 4))


def test_a_version_that_was_begun_beyond_the_end_of_its_epoch_is_not_known(conn: apsw.Connection) -> None:
    epoch = opened(conn)
    write(conn, 3)
    opened(conn)

    assert is_known(conn, Cursor(SITE, epoch, 2, begun=3))
    assert not is_known(conn, Cursor(SITE, epoch, 2, begun=4))


def test_a_cursor_of_an_epoch_that_never_was_is_not_known(conn: apsw.Connection) -> None:
    opened(conn)

    assert not is_known(conn, Cursor(SITE, b"x" * 16, 0))


def test_the_newest_epochs_are_told_with_the_last_version_in_each(conn: apsw.Connection) -> None:
    first = opened(conn)
    write(conn, 3)
    second, third = opened(conn), opened(conn)
    write(conn, 2)
    assert recent_epochs(conn, 10) == [(third, 5), (second, 3), (first, 3)]
    assert recent_epochs(conn, 2) == [(third, 5), (second, 3)]
