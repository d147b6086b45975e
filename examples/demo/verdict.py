"""The end of the story: are both stores, both databases and the server's room the same, cell by cell?"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from replicell.persisters import CrSqliteDatabase, create_crsqlite_persister
from replicell.store import MISSING, create_store

__all__ = ["KEY", "Cells", "cells_of_database", "cells_of_tables", "compare", "raw_cells"]

KEY = "_id"
"""The databases' key column; not ``id``, as a data set may well have a column of that name."""

Cells = dict[tuple[str, str, str], Any]
"""A whole content, flat: (table id, row id, cell id) to the cell."""


def cells_of_tables(tables: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> Cells:
    return {
        (table_id, row_id, cell_id): cell
        for table_id, table in tables.items()
        for row_id, row in table.items()
        for cell_id, cell in row.items()
    }


async def cells_of_database(path: Path, tables: tuple[str, ...]) -> Cells:
    """Load a database into a fresh store, as a program that starts would, and return its cells."""
    store = create_store()
    load = {name: {"tableId": name, "rowIdColumnName": KEY} for name in tables}
    config = {"mode": "tabular", "tables": {"load": load}}
    async with (
        CrSqliteDatabase(path) as database,
        create_crsqlite_persister(store, database, config) as persister,
    ):
        await persister.load()
    return cells_of_tables(store.get_tables())


def raw_cells(path: Path, tables: tuple[str, ...]) -> Cells:
    """Return what plain SQLite, without any of our code, reads from the file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        return dict(read_raw(connection, tables))


def read_raw(
    connection: sqlite3.Connection, tables: tuple[str, ...]
) -> Iterator[tuple[tuple[str, str, str], Any]]:
    for table in tables:
        for row in connection.execute(f'SELECT * FROM "{table}"'):
            cells = dict(zip(row.keys(), row, strict=True))
            row_id = cells.pop(KEY)
            yield from (
                ((table, row_id, cell_id), cell) for cell_id, cell in cells.items() if cell is not None
            )


def compare(name: str, cells: Cells, other_name: str, other: Cells) -> list[str]:
    """Return a line for each cell that is not the same, type included, in both."""
    pairs = (
        (place, cells.get(place, MISSING), other.get(place, MISSING)) for place in cells.keys() | other.keys()
    )
    return sorted(
        f"{'/'.join(place)}: {name} has {one!r}, {other_name} has {another!r}"
        for place, one, another in pairs
        if type(one) is not type(another) or one != another
    )
