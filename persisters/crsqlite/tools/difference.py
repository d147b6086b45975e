"""What two databases hold differently."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import apsw

from replicell.persisters.crsqlite.identifiers import quote
from replicell.persisters.crsqlite.tools.files import UserTable, reading, user_tables

__all__ = ["Difference", "differences"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference.

    Args:
        table: The table.
        key: The row's key; None if the table as a whole differs.
        column: The cell; None if a whole row, or the table, differs.
        one: What the first database has: a cell, or whether it has the row or table.
        other: What the second has.
    """

    table: str
    key: tuple[object, ...] | None
    column: str | None
    one: object
    other: object


def differences(one: str | os.PathLike[str], other: str | os.PathLike[str]) -> Iterator[Difference]:
    """Compare the tables of two database files, row by row and cell by cell.

    Versions and authors are not compared: two replicas that have met hold the same rows and reached them at
    different versions. A column that only one database has differs where it is not NULL.

    Args:
        one: The first file.
        other: The second file.

    Raises:
        DatabaseError: one of them does not exist or is no database.
    """
    with reading(other) as connection:
        other_tables = user_tables(connection)
    with reading(one) as connection:
        tables = user_tables(connection)
        connection.execute("ROLLBACK")
        # Like the first, it is opened only to be read.
        connection.execute("ATTACH ? AS other", (os.fspath(other),))
        connection.execute("BEGIN")
        for name in sorted({*tables, *other_tables}):
            here, there = tables.get(name), other_tables.get(name)
            if here is None or there is None:
                yield Difference(name, None, None, here is not None, there is not None)
            elif here.key != there.key or not here.key:
                yield Difference(name, None, None, f"key {_listed(here)}", f"key {_listed(there)}")
            else:
                yield from _in_table(connection, here, there)


def _in_table(connection: apsw.Connection, here: UserTable, there: UserTable) -> Iterator[Difference]:
    table, width = quote(here.name), len(here.key)
    keys = ", ".join(f"a.{quote(name)}" for name in here.key)
    same = " AND ".join(f"a.{quote(name)} IS b.{quote(name)}" for name in here.key)
    for mine, theirs, is_mine in (("main", "other", True), ("other", "main", False)):
        rows = connection.execute(
            f"SELECT {keys} FROM {mine}.{table} AS a "
            f"WHERE NOT EXISTS (SELECT 1 FROM {theirs}.{table} AS b WHERE {same}) ORDER BY {keys}"
        )
        for key in rows:
            yield Difference(here.name, tuple(key), None, is_mine, not is_mine)
    columns = list(dict.fromkeys((*here.columns, *there.columns)))
    if not columns:
        return
    ours = [f"a.{quote(name)}" if name in here.columns else "NULL" for name in columns]
    others = [f"b.{quote(name)}" if name in there.columns else "NULL" for name in columns]
    differing = " OR ".join(f"{one} IS NOT {other}" for one, other in zip(ours, others, strict=True))
    rows = connection.execute(
        f"SELECT {', '.join([keys, *ours, *others])} FROM main.{table} AS a JOIN other.{table} AS b "
        f"ON {same} WHERE {differing} ORDER BY {keys}"
    )
    for row in rows:
        cells, other_cells = row[width : width + len(columns)], row[width + len(columns) :]
        for column, cell, other_cell in zip(columns, cells, other_cells, strict=True):
            if cell != other_cell:
                yield Difference(here.name, tuple(row[:width]), column, cell, other_cell)


def _listed(table: UserTable) -> str:
    return ", ".join(table.key) or "none"
