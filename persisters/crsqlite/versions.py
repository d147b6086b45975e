"""What has changed in a database since a version, from cr-sqlite's clock tables.

A clock table holds one row for each cell and each deletion, with the version of the database at which it
last changed, and an index on that version. So the cost follows what has changed, not what there is; and
unlike ``crsql_db_version()``, which runs ahead in memory, what stands there is on disk.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import cast

import apsw

from replicell.persisters.crsqlite.identifiers import quote
from replicell.persisters.crsqlite.schema import TableSchema, read_schema

__all__ = ["KeyValue", "changed_keys_since", "changed_rows_sql", "latest_version"]

KeyValue = str | int | float | bytes
"""What SQLite may hold in a primary key."""

# Dropping columns drops clock rows, so cr-sqlite keeps the version it had before as a floor.
_FLOOR = "SELECT CAST(value AS INTEGER) AS version FROM crsql_master WHERE key = 'pre_compact_dbversion'"


def latest_version(connection: apsw.Connection, tables: Iterable[str] | None = None) -> int:
    """Return the newest version that stands in the database, 0 if nothing was ever written.

    Args:
        connection: A connection with cr-sqlite loaded; in a transaction the answer covers its own writes.
        tables: The replicated tables to look at, None for all. Given all of them (``read_schema`` tells), the
            answer is the same and comes faster.
    """
    names = tuple(read_schema(connection)) if tables is None else tuple(tables)
    version: int | None = connection.execute(_latest_version_sql(names)).get
    return int(version or 0)


def changed_keys_since(
    connection: apsw.Connection, version: int, tables: Iterable[TableSchema] | None = None
) -> dict[str, list[tuple[KeyValue, ...]]]:
    """Return the primary keys of all rows written or deleted after a version, by table.

    A table without changes is left out. Whether a row is still there is for the caller to look up.

    Args:
        connection: A connection with cr-sqlite loaded.
        version: Changes with a greater version count.
        tables: The replicated tables to look at, None for all.
    """
    changed = {}
    for schema in read_schema(connection).values() if tables is None else tables:
        rows = connection.execute(_changed_keys_sql(schema), (version,)).fetchall()
        if keys := cast("list[tuple[KeyValue, ...]]", rows):
            changed[schema.name] = keys
    return changed


@lru_cache(maxsize=64)
def _latest_version_sql(tables: tuple[str, ...]) -> str:
    clocks = (f"SELECT max(db_version) AS version FROM {quote(name + '__crsql_clock')}" for name in tables)
    return f"SELECT max(version) FROM ({' UNION ALL '.join([_FLOOR, *clocks])})"


@lru_cache(maxsize=512)
def _changed_keys_sql(schema: TableSchema) -> str:
    key = ", ".join(map(quote, schema.key))
    return (
        f"SELECT {key} FROM {quote(schema.name + '__crsql_pks')} "
        f"WHERE __crsql_key IN ({changed_rows_sql(schema.name)})"
    )


def changed_rows_sql(table: str) -> str:
    """Return SQL for the internal row numbers written after the version bound to ``?``.

    The index is named because the planner, having no statistics, prefers to walk the whole table.
    """
    clock = table + "__crsql_clock"
    return f"SELECT key FROM {quote(clock)} INDEXED BY {quote(clock + '_dbv_idx')} WHERE db_version > ?"
