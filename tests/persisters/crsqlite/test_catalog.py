"""The catalogue: what replicated tables there are, read anew only when the schema has changed."""

from __future__ import annotations

from collections.abc import Iterator

import apsw
import pytest

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.connection import close_connection, open_connection, transaction
from replicell.persisters.crsqlite.schema import TableSchema, add_columns, create_table
from replicell.persisters.crsqlite.versions import latest_version


@pytest.fixture
def conn() -> Iterator[apsw.Connection]:
    connection = open_connection(":memory:")
    yield connection
    close_connection(connection)


def test_an_empty_database_has_no_tables_and_stands_at_version_0(conn: apsw.Connection) -> None:
    catalog = Catalog()

    assert (dict(catalog.tables(conn)), catalog.versions(conn)) == ({}, (0, {}))


def test_only_replicated_tables_are_in_it(conn: apsw.Connection) -> None:
    conn.execute("CREATE TABLE plain(id TEXT PRIMARY KEY NOT NULL)")
    create_table(conn, TableSchema("todo", ("id",), ("text",)))

    assert list(Catalog().tables(conn)) == ["todo"]


def test_key_columns_stand_in_primary_key_order_with_their_affinities(conn: apsw.Connection) -> None:
    conn.execute(
        "CREATE TABLE t(v FLOAT, a INT NOT NULL, w VARCHAR(9), b TEXT NOT NULL, x, y DECIMAL,"
        " z BLOB DEFAULT x'00', PRIMARY KEY(b, a))"
    )
    conn.execute("SELECT crsql_as_crr('t')").fetchall()

    table = Catalog().tables(conn)["t"]

    assert list(table.key.items()) == [("b", "TEXT"), ("a", "INTEGER")]
    assert table.columns == {"v": "REAL", "w": "TEXT", "x": "BLOB", "y": "NUMERIC", "z": "BLOB"}
    assert table.defaults == {"z": "x'00'"}


def test_a_changed_schema_is_seen_and_an_unchanged_one_not_read_again(conn: apsw.Connection) -> None:
    create_table(conn, TableSchema("todo", ("id",), ("text",)))
    catalog = Catalog()
    before = catalog.tables(conn)
    cookie = catalog.cookie(conn)
    assert catalog.tables(conn) is before

    add_columns(conn, "todo", ["late"])

    assert catalog.cookie(conn) != cookie
    assert list(catalog.tables(conn)["todo"].columns) == ["text", "late"]


def test_versions_are_told_by_table_and_agree_with_the_databases(conn: apsw.Connection) -> None:
    catalog = Catalog()
    for name in ("a", "b", "c"):
        create_table(conn, TableSchema(name, ("id",), ("v",)))
    for name in ("a", "b", "a"):
        with transaction(conn):
            conn.execute(f"INSERT INTO {name} VALUES ('k', 1) ON CONFLICT(id) DO UPDATE SET v = v + 1")

    assert catalog.versions(conn) == (3, {"a": 3, "b": 2})
    assert catalog.latest_version(conn) == latest_version(conn) == 3


@pytest.mark.parametrize("name", ["it's", "a b", "order", "\u00e9"])
def test_columns_with_odd_names_are_read(conn: apsw.Connection, name: str) -> None:
    create_table(conn, TableSchema("todo", ("id",), (name,)))
    with transaction(conn):
        conn.execute("INSERT INTO todo VALUES ('a', 'x')")
    table = Catalog().tables(conn)["todo"]

    rows = conn.execute(table.changes_sql, (1, 0, "", 1, None, 10)).fetchall()

    assert [(row[1], row[2]) for row in rows] == [(name, "x")]
