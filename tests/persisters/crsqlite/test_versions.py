"""What has changed since a version is known at a cost that follows the change."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from replicell.persisters.crsqlite.connection import close_connection, open_connection, transaction
from replicell.persisters.crsqlite.schema import TableSchema, create_table, read_schema
from replicell.persisters.crsqlite.versions import changed_keys_since, changed_rows_sql, latest_version


@pytest.fixture
def connection(file: Path) -> Iterator[apsw.Connection]:
    connection = open_connection(file)
    create_table(connection, TableSchema("todo", ("id",), ("text",)))
    create_table(connection, TableSchema("pair", ("a", "b"), ()))
    yield connection
    close_connection(connection)


def write(connection: apsw.Connection, sql: str) -> int:
    with transaction(connection):
        connection.execute(sql)
        return latest_version(connection)


def test_a_database_without_rows_is_at_version_0(connection: apsw.Connection) -> None:
    assert latest_version(connection) == 0
    assert changed_keys_since(connection, 0) == {}


def test_each_transaction_has_one_version(connection: apsw.Connection) -> None:
    first = write(connection, "INSERT INTO todo VALUES ('1', 'a'), ('2', 'b')")
    second = write(connection, "INSERT INTO pair VALUES ('x', 'y')")
    assert second == first + 1
    assert changed_keys_since(connection, 0) == {"todo": [("1",), ("2",)], "pair": [("x", "y")]}
    assert changed_keys_since(connection, first) == {"pair": [("x", "y")]}
    assert changed_keys_since(connection, second) == {}


def test_deleted_rows_count_as_changed(connection: apsw.Connection) -> None:
    version = write(connection, "INSERT INTO todo VALUES ('1', 'a'), ('2', 'b')")
    write(connection, "DELETE FROM todo WHERE id = '1'")
    assert changed_keys_since(connection, version) == {"todo": [("1",)]}


def test_a_write_that_changes_nothing_makes_no_version(connection: apsw.Connection) -> None:
    version = write(connection, "INSERT INTO todo VALUES ('1', 'a')")
    assert write(connection, "UPDATE todo SET text = 'a'") == version


def test_the_tables_to_look_at_may_be_given(connection: apsw.Connection) -> None:
    version = write(connection, "INSERT INTO todo VALUES ('1', 'a')")
    write(connection, "INSERT INTO pair VALUES ('x', 'y')")
    assert latest_version(connection, ["todo"]) == version
    assert latest_version(connection, ["pair", "todo"]) == version + 1
    schema = read_schema(connection)
    assert list(changed_keys_since(connection, 0, [schema["pair"]])) == ["pair"]


def test_no_statement_walks_a_whole_clock_table(connection: apsw.Connection) -> None:
    plan = connection.execute("EXPLAIN QUERY PLAN " + changed_rows_sql("todo"), (1,)).fetchall()
    assert [str(step[3]).split(" USING")[0] for step in plan] == ["SEARCH todo__crsql_clock"]
