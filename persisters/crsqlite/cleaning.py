"""Dropping columns and tables that are empty, in the store and in the database.

Unlike TinyBase, nothing is dropped that another replica or program has filled, and a condition on a column
that is dropped takes it for NULL from then on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

import apsw

from replicell.persisters.config import TabularConfig
from replicell.persisters.crsqlite.connection import transaction
from replicell.persisters.crsqlite.identifiers import quote
from replicell.persisters.crsqlite.schema import TableSchema, read_schema
from replicell.persisters.crsqlite.versions import latest_version
from replicell.store.ids import Id
from replicell.store.store import Store

__all__ = ["Cleaning", "clean", "wanted_cleanings"]

_KEEP_VERSION = "INSERT OR REPLACE INTO crsql_master (key, value) VALUES ('pre_compact_dbversion', ?)"


class Cleaning(NamedTuple):
    """What may be dropped of one table.

    Args:
        name: The database's table.
        used: The cells that the store has in it.
        is_used: Whether the store has rows in it.
        drop_columns: Whether empty columns are dropped.
        drop_table: Whether the table is dropped if it is empty.
    """

    name: str
    used: Collection[Id]
    is_used: bool
    drop_columns: bool
    drop_table: bool


def wanted_cleanings(config: TabularConfig, store: Store) -> list[Cleaning]:
    """Return what a configuration lets be dropped of the tables in which a store is saved."""
    return [
        Cleaning(
            save.table_name,
            store.get_table_cell_ids(table_id),
            store.has_table(table_id),
            save.delete_empty_columns,
            save.delete_empty_table,
        )
        for table_id, save in config.tables.save.items()
        if save.delete_empty_columns or save.delete_empty_table
    ]


def clean(connection: apsw.Connection, cleanings: Iterable[Cleaning]) -> None:
    """Drop what is empty, each table in a transaction of its own.

    A dropped table takes with it what is known of its deleted rows: a replica that has not heard of a
    deletion brings the row back.

    Args:
        connection: A connection, not in a transaction.
        cleanings: What may be dropped.
    """
    for cleaning in cleanings:
        with transaction(connection):
            schema = read_schema(connection).get(cleaning.name)
            if schema is None:
                continue
            if cleaning.drop_table and not cleaning.is_used and _is_empty(connection, schema.name):
                _drop_table(connection, schema)
            elif cleaning.drop_columns:
                _drop_columns(connection, schema, cleaning.used)


def _is_empty(connection: apsw.Connection, table: str) -> bool:
    return connection.execute(f"SELECT 1 FROM {quote(table)} LIMIT 1").get is None


def _drop_table(connection: apsw.Connection, schema: TableSchema) -> None:
    # Versions must not begin anew, or those who have seen later ones would miss what comes.
    version = latest_version(connection)
    connection.execute("SELECT crsql_as_table(?)", (schema.name,)).fetchall()
    connection.execute(_KEEP_VERSION, (version,))
    connection.execute(f"DROP TABLE {quote(schema.name)}")


def _drop_columns(connection: apsw.Connection, schema: TableSchema, used: Collection[Id]) -> None:
    empty = [
        name
        for name in schema.columns
        if name not in used
        and connection.execute(
            f"SELECT 1 FROM {quote(schema.name)} WHERE {quote(name)} IS NOT NULL LIMIT 1"
        ).get
        is None
    ]
    if empty:
        connection.execute("SELECT crsql_begin_alter(?)", (schema.name,)).fetchall()
        for name in empty:
            connection.execute(f"ALTER TABLE {quote(schema.name)} DROP COLUMN {quote(name)}")
        connection.execute("SELECT crsql_commit_alter(?)", (schema.name,)).fetchall()
