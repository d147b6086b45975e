"""Replicated tables are described and extended, in transactions of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from replicell.persisters import IdentifierError, SchemaError
from replicell.persisters.crsqlite.connection import close_connection, open_connection, transaction
from replicell.persisters.crsqlite.schema import (
    MAX_COLUMNS,
    TableSchema,
    add_columns,
    create_table,
    create_tables,
    read_schema,
    schema_version,
)

TODO = TableSchema("todo", ("id",), ("text", "done"))


@pytest.fixture
def connection(file: Path) -> Iterator[apsw.Connection]:
    connection = open_connection(file)
    yield connection
    close_connection(connection)


def test_only_replicated_tables_are_described(connection: apsw.Connection) -> None:
    connection.execute("CREATE TABLE ordinary (a)")
    create_table(connection, TODO)
    create_table(connection, TableSchema("pair", ("a", "b"), ()))
    assert read_schema(connection) == {"todo": TODO, "pair": TableSchema("pair", ("a", "b"), ())}


def test_compound_keys_are_in_key_order_and_generated_columns_left_out(connection: apsw.Connection) -> None:
    connection.execute("CREATE TABLE t (a NOT NULL, b NOT NULL, c, d AS (c + 1), PRIMARY KEY (b, a))")
    connection.execute("SELECT crsql_as_crr('t')").fetchall()
    assert read_schema(connection) == {"t": TableSchema("t", ("b", "a"), ("c",))}


def test_columns_keep_the_types_of_what_is_written(connection: apsw.Connection) -> None:
    create_table(connection, TODO)
    for value in (1, 1.0, "1", b"1"):
        connection.execute(
            "INSERT INTO todo (id, text) VALUES ('x', ?) ON CONFLICT DO UPDATE SET text = ?1", (value,)
        )
        read = connection.execute("SELECT text FROM todo").get
        assert (read, type(read)) == (value, type(value))


def test_creating_a_table_that_is_there_adds_what_it_lacks(connection: apsw.Connection) -> None:
    create_table(connection, TODO)
    create_table(connection, TableSchema("todo", ("id",), ("due", "done")))
    assert read_schema(connection)["todo"].columns == ("text", "done", "due")


def test_columns_that_are_there_are_left_alone(connection: apsw.Connection) -> None:
    create_table(connection, TODO)
    before = schema_version(connection)
    add_columns(connection, "todo", ["text", "text"])
    assert schema_version(connection) == before
    add_columns(connection, "todo", ["due"])
    assert schema_version(connection) != before


def test_rows_written_to_new_columns_are_recorded(connection: apsw.Connection) -> None:
    create_table(connection, TODO)
    add_columns(connection, "todo", ["due"])
    connection.execute("INSERT INTO todo (id, due) VALUES ('1', 5)")
    recorded = connection.execute("SELECT cid, val FROM crsql_changes WHERE val IS NOT NULL").fetchall()
    assert recorded == [("due", 5)]


class Filler:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def prepare(self, connection: apsw.Connection) -> None:
        self.calls.append(f"prepare {len(read_schema(connection))}")

    def insert(self, connection: apsw.Connection) -> None:
        connection.execute("INSERT INTO todo VALUES ('1', 'Milk', 0)")
        self.calls.append("insert")

    def finish(self, connection: apsw.Connection) -> None:
        self.calls.append(f"finish {len(read_schema(connection))}")


def test_rows_inserted_while_tables_are_created_are_recorded_with_one_version(
    connection: apsw.Connection,
) -> None:
    filler = Filler()
    assert create_tables(connection, [TODO, TableSchema("other", ("id",), ())], filler)
    assert filler.calls == ["prepare 0", "insert", "finish 2"]
    versions = connection.execute("SELECT cid, db_version FROM crsql_changes").fetchall()
    assert versions == [("text", 1), ("done", 1)]


def test_nothing_is_filled_if_somebody_created_the_table_before(connection: apsw.Connection) -> None:
    create_table(connection, TODO)
    filler = Filler()
    assert not create_tables(connection, [TODO], filler)
    assert filler.calls == []


def test_an_ordinary_table_in_the_way_is_named(connection: apsw.Connection) -> None:
    connection.execute("CREATE TABLE Todo (a)")
    with pytest.raises(SchemaError, match="'Todo' already that is not a replicated table"):
        create_table(connection, TODO)
    assert not connection.in_transaction


def test_another_key_is_refused(connection: apsw.Connection) -> None:
    create_table(connection, TODO)
    with pytest.raises(SchemaError, match="has the key id, not uuid"):
        create_table(connection, TableSchema("todo", ("uuid",), ()))


def test_too_many_columns_are_refused_and_the_most_work(connection: apsw.Connection) -> None:
    columns = tuple(f"c{number}" for number in range(MAX_COLUMNS - 1))
    create_table(connection, TableSchema("wide", ("id",), columns))
    connection.execute("INSERT INTO wide (id, c1) VALUES ('1', 2)")
    with pytest.raises(SchemaError, match="500 columns, 499 are the most"):
        add_columns(connection, "wide", ["one_more"])


def test_too_many_tables_are_refused(connection: apsw.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("replicell.persisters.crsqlite.schema.MAX_TABLES", 1)
    create_table(connection, TODO)
    with pytest.raises(SchemaError, match="2 replicated tables, 1 are the most"):
        create_table(connection, TableSchema("other", ("id",), ()))


def test_a_column_that_differs_only_in_case_is_refused(connection: apsw.Connection) -> None:
    create_table(connection, TODO)
    with pytest.raises(IdentifierError, match="'TEXT' cannot be a column beside 'text'"):
        add_columns(connection, "todo", ["TEXT"])


def test_columns_cannot_be_added_to_what_is_not_replicated(connection: apsw.Connection) -> None:
    with pytest.raises(SchemaError, match="no replicated table 'todo'"):
        add_columns(connection, "todo", ["x"])


def test_a_transaction_may_follow_at_once(connection: apsw.Connection) -> None:
    create_table(connection, TODO)
    with transaction(connection):
        connection.execute("INSERT INTO todo (id) VALUES ('1')")
    assert connection.execute("SELECT count(*) FROM todo").get == 1
