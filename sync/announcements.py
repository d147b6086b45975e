"""Schema that travels: announcing one's own tables and taking over the other side's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

import apsw

from replicell.persisters.crsqlite.catalog import Catalog, CatalogTable
from replicell.persisters.crsqlite.schema import TableSchema, create_table
from replicell.persisters.errors import PersisterError
from replicell.sync.limits import Limits
from replicell.sync.messages import TableAnnouncement

__all__ = ["SchemaPolicy", "adopt_tables", "announce"]

SchemaPolicy: TypeAlias = Literal["auto", "strict"]
"""``auto`` takes over tables and columns that the other side announces, ``strict`` keeps to one's own."""


def announce(conn: apsw.Connection, catalog: Catalog) -> list[TableAnnouncement]:
    """Return all replicated tables of a database as a message says them."""
    return [
        TableAnnouncement(table.name, list(table.key), list(table.columns), list(table.key.values()))
        for table in catalog.tables(conn).values()
    ]


def adopt_tables(
    conn: apsw.Connection,
    catalog: Catalog,
    tables: Iterable[TableAnnouncement],
    policy: SchemaPolicy,
    limits: Limits | None = None,
) -> list[str]:
    """Create the announced tables and columns that are missing here, where the policy allows it.

    Args:
        conn: The database, outside of a transaction, for each table is created in one of its own.
        catalog: The connection's catalogue.
        tables: What the other side announced.
        policy: With ``strict`` nothing is created.
        limits: How many tables and columns may be created, None for as many as cr-sqlite can take.

    Returns:
        What is missing here and could not or may not be created, one sentence each. Changes to it are parked.
    """
    problems: list[str] = []
    for table in tables:
        known = catalog.tables(conn)
        own = known.get(table.name)
        problem = _over_limit(table, own, len(known), limits) if policy == "auto" and limits else None
        problem = problem or _adopt(conn, table, own, policy)
        if problem is not None:
            problems.append(problem)
    return problems


def _over_limit(
    table: TableAnnouncement, own: CatalogTable | None, tables: int, limits: Limits
) -> str | None:
    if own is None and limits.tables is not None and tables >= limits.tables:
        return f"table {table.name!r} is not created: a room may have {limits.tables} tables here"
    columns = {*table.columns, *(own.columns if own is not None else ())}
    is_bigger = own is None or len(columns) > len(own.columns)
    if is_bigger and limits.columns is not None and len(columns) > limits.columns:
        return f"table {table.name!r} gets no further columns: a table may have {limits.columns} here"
    return None


def _adopt(
    conn: apsw.Connection, table: TableAnnouncement, own: CatalogTable | None, policy: SchemaPolicy
) -> str | None:
    if own is not None:
        if table.key != list(own.key) or table.key_types != list(own.key.values()):
            return (
                f"table {table.name!r} has the key {_key(own.key.items())} here"
                f" and {_key(zip(table.key, table.key_types, strict=False))} there"
            )
        missing = [column for column in table.columns if column not in own.columns]
        if not missing:
            return None
        if policy == "strict":
            names = ", ".join(map(repr, missing))
            return f"table {table.name!r} has no column {names} here, and the schema is strict"
    elif policy == "strict":
        return f"there is no table {table.name!r} here, and the schema is strict"
    elif len(table.key) != 1 or table.key_types != ["TEXT"]:
        return (
            f"table {table.name!r} has the key {_key(zip(table.key, table.key_types, strict=False))};"
            " only one with one TEXT key column is created by itself: create this one on every side"
        )
    try:
        create_table(conn, TableSchema(table.name, tuple(table.key), tuple(table.columns)))
    except (PersisterError, apsw.Error) as error:
        return f"table {table.name!r} cannot be taken over: {error}"
    return None


def _key(columns: Iterable[tuple[str, str]]) -> str:
    return "(" + ", ".join(f"{name} {kind}" for name, kind in columns) + ")"
