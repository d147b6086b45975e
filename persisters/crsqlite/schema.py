"""Replicated tables: what there is, and how tables and columns are added.

Every function that changes the schema runs in transactions of its own, because cr-sqlite needs schema
changes committed before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import apsw

from replicell.persisters.crsqlite.connection import transaction
from replicell.persisters.crsqlite.identifiers import check_column_names, check_table_name, folded, quote
from replicell.persisters.errors import SchemaError

__all__ = [
    "MAX_COLUMNS",
    "MAX_TABLES",
    "TableFiller",
    "TableSchema",
    "add_columns",
    "add_columns_within",
    "create_table",
    "create_tables",
    "create_within",
    "read_schema",
    "schema_version",
]

MAX_TABLES = 399
"""How many replicated tables a database may have; with 500 every call of cr-sqlite fails."""

MAX_COLUMNS = 499
"""How many columns a replicated table may have, the key included: cr-sqlite's triggers pass two of each."""

_SCHEMA = """
    SELECT base.name, info.name, info.pk
    FROM sqlite_schema AS clock
    JOIN sqlite_schema AS base ON base.type = 'table' AND clock.name = base.name || '__crsql_clock'
    JOIN pragma_table_info(base.name) AS info
    WHERE clock.type = 'table'
    ORDER BY base.name, info.cid
"""


@dataclass(frozen=True, slots=True)
class TableSchema:
    """The names that make up one replicated table.

    Args:
        name: The table.
        key: The columns of the primary key, in key order.
        columns: All other columns, in table order.
    """

    name: str
    key: tuple[str, ...]
    columns: tuple[str, ...]


class TableFiller(Protocol):
    """Takes part in the transaction that creates tables."""

    def prepare(self, connection: apsw.Connection) -> None:
        """Do what comes before anything is created; the write lock is held."""

    def insert(self, connection: apsw.Connection) -> None:
        """Insert rows into the new tables, while they are ordinary ones."""

    def finish(self, connection: apsw.Connection) -> None:
        """Do what comes last before the commit; the tables are replicated ones."""


def read_schema(connection: apsw.Connection) -> dict[str, TableSchema]:
    """Return the replicated tables of a database by name.

    Ordinary tables, views and cr-sqlite's own tables are left out; so are generated columns, which are never
    replicated.
    """
    rows: dict[str, list[tuple[str, int]]] = {}
    for table, column, key_position in connection.execute(_SCHEMA):
        rows.setdefault(table, []).append((column, key_position))
    return {
        table: TableSchema(
            table,
            key=tuple(name for name, position in sorted(columns, key=_position) if position),
            columns=tuple(name for name, position in columns if not position),
        )
        for table, columns in rows.items()
    }


def schema_version(connection: apsw.Connection) -> int:
    """Return a number that changes whenever anybody changes the schema of the database."""
    version: int = connection.execute("PRAGMA schema_version").get
    return version


def create_table(connection: apsw.Connection, schema: TableSchema) -> None:
    """Create a replicated table; columns that an existing one lacks are added to it.

    The columns have no type, so that every value comes back as it went, here and on every replica.

    Raises:
        IdentifierError: a name cannot be used.
        SchemaError: there is an ordinary table of that name, or one with another key, or there are too many
            tables or columns.
    """
    create_tables(connection, [schema])


def create_tables(
    connection: apsw.Connection,
    schemas: Sequence[TableSchema],
    fill: TableFiller | None = None,
) -> bool:
    """Create several replicated tables in one transaction, and fill them on the way.

    Rows inserted before a table becomes a replicated one cost less than what they cost afterwards, and they
    all share one version.

    Args:
        connection: A connection from ``open_connection``, not in a transaction.
        schemas: The tables. Without ``fill``, one that exists already is given the columns it lacks.
        fill: Inserts rows while the tables are ordinary ones.

    Returns:
        False if there is a ``fill`` and one of the tables exists already: then nothing was done.

    Raises:
        IdentifierError: a name cannot be used.
        SchemaError: as :func:`create_table`.
    """
    for schema in schemas:
        _check(schema)
    with transaction(connection):
        existing = read_schema(connection)
        missing = [schema for schema in schemas if schema.name not in existing]
        if fill is not None and len(missing) < len(schemas):
            return False
        if fill is not None:
            fill.prepare(connection)
        if missing:
            _refuse_too_many_tables(len(existing) + len(missing))
        for schema in missing:
            _create_ordinary_table(connection, schema)
        if fill is not None:
            fill.insert(connection)
        for schema in missing:
            connection.execute("SELECT crsql_as_crr(?)", (schema.name,)).fetchall()
        if fill is not None:
            fill.finish(connection)
    for schema in schemas:
        if schema.name in existing:
            _refuse_other_key(existing[schema.name], schema)
            add_columns(connection, schema.name, schema.columns)
    return True


def add_columns(connection: apsw.Connection, table: str, columns: Iterable[str]) -> None:
    """Add columns to a replicated table, in a transaction of their own; those that exist are left alone.

    Raises:
        IdentifierError: a name cannot be used, or differs from another column's only in case.
        SchemaError: there is no such replicated table, or it would get too many columns.
    """
    with transaction(connection):
        add_columns_within(connection, table, columns)


def add_columns_within(connection: apsw.Connection, table: str, columns: Iterable[str]) -> None:
    """Do what :func:`add_columns` does in a transaction that is open and has written nothing yet."""
    schema = read_schema(connection).get(table)
    if schema is None:
        raise SchemaError(f"There is no replicated table {table!r}: create it first.")
    missing = tuple(name for name in dict.fromkeys(columns) if name not in schema.columns)
    if not missing:
        return
    _check(TableSchema(table, schema.key, (*schema.columns, *missing)))
    connection.execute("SELECT crsql_begin_alter(?)", (table,)).fetchall()
    for name in missing:
        connection.execute(f"ALTER TABLE {quote(table)} ADD COLUMN {quote(name)}")
    connection.execute("SELECT crsql_commit_alter(?)", (table,)).fetchall()


def create_within(connection: apsw.Connection, schema: TableSchema) -> None:
    """Do what :func:`create_table` does in a transaction that is open and has written nothing yet."""
    _check(schema)
    existing = read_schema(connection)
    if schema.name in existing:
        _refuse_other_key(existing[schema.name], schema)
        add_columns_within(connection, schema.name, schema.columns)
        return
    _refuse_too_many_tables(len(existing) + 1)
    _create_ordinary_table(connection, schema)
    connection.execute("SELECT crsql_as_crr(?)", (schema.name,)).fetchall()


def _position(column: tuple[str, int]) -> int:
    return column[1]


def _check(schema: TableSchema) -> None:
    check_table_name(schema.name)
    check_column_names((*schema.key, *schema.columns))
    if not schema.key:
        raise SchemaError(f"Table {schema.name!r} needs a key column.")
    if len(schema.key) + len(schema.columns) > MAX_COLUMNS:
        raise SchemaError(
            f"Table {schema.name!r} would have {len(schema.key) + len(schema.columns)} columns, "
            f"{MAX_COLUMNS} are the most that cr-sqlite can take: spread the cells over more tables."
        )


def _refuse_too_many_tables(count: int) -> None:
    if count > MAX_TABLES:
        raise SchemaError(
            f"The database would have {count} replicated tables, {MAX_TABLES} are the most that cr-sqlite "
            "can take: put rows of several kinds into one table, or use a second database."
        )


def _create_ordinary_table(connection: apsw.Connection, schema: TableSchema) -> None:
    taken = connection.execute(
        "SELECT name FROM sqlite_schema WHERE name = ? COLLATE NOCASE", (schema.name,)
    ).get
    if taken is not None:
        raise SchemaError(
            f"There is a table, view or index {taken!r} already that is not a replicated table: rename it, "
            f"or make a table with a suitable key one with CrSqliteDatabase.adopt_table({taken!r})."
        )
    key = ", ".join(f"{quote(name)} TEXT NOT NULL" for name in schema.key)
    columns = "".join(f", {quote(name)}" for name in schema.columns)
    primary_key = ", ".join(map(quote, schema.key))
    connection.execute(f"CREATE TABLE {quote(schema.name)} ({key}{columns}, PRIMARY KEY ({primary_key}))")


def _refuse_other_key(existing: TableSchema, wanted: TableSchema) -> None:
    if [*map(folded, existing.key)] != [*map(folded, wanted.key)]:
        raise SchemaError(
            f"Table {existing.name!r} has the key {', '.join(existing.key)}, not {', '.join(wanted.key)}: "
            "use the key it has, or another table."
        )
