"""The two kinds of databases that are measured alike, and the rows in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from benchmarks.lines.persister import CONFIGURATION
from replicell.persisters import (
    CrSqliteDatabase,
    SqliteDatabase,
    create_crsqlite_persister,
    create_sqlite_persister,
)
from replicell.persisters.crsqlite.connection import close_connection, open_connection
from replicell.persisters.crsqlite.schema import TableSchema, create_tables
from replicell.persisters.sqlite import connection as sqlite

__all__ = [
    "CONFIGURATION",
    "CRSQLITE",
    "JSON_FILE",
    "KINDS",
    "SQLITE",
    "Kind",
    "Row",
    "fill",
    "fill_plainly",
    "rows",
    "table",
]

SCHEMA = TableSchema("todos", ("id",), ("text", "rank", "weight"))
INSERT = "INSERT INTO todos VALUES (?, ?, ?, ?)"

Row = tuple[str, str, int, float]


def rows(size: int) -> Iterator[Row]:
    """Rows of 3 cells."""
    return ((f"row {index}", f"todo {index}", index, index / 4) for index in range(size))


def table(size: int) -> dict[str, dict[str, str | int | float]]:
    """The same rows, as a store takes them."""
    return {
        row_id: {"text": text, "rank": rank, "weight": weight} for row_id, text, rank, weight in rows(size)
    }


class Filler:
    """Inserts rows before their table becomes a replicated one, which is the quickest way."""

    def __init__(self, content: list[Row]) -> None:
        self.content = content

    def prepare(self, connection: apsw.Connection) -> None:
        """Nothing comes before."""

    def insert(self, connection: apsw.Connection) -> None:
        connection.executemany(INSERT, self.content)

    def finish(self, connection: apsw.Connection) -> None:
        """Nothing comes after."""


def fill(connection: apsw.Connection, content: list[Row]) -> None:
    """Make a replicated table by hand."""
    create_tables(connection, [SCHEMA], Filler(content))


def fill_plainly(connection: apsw.Connection, content: list[Row]) -> None:
    """Make an ordinary table by hand."""
    connection.execute("CREATE TABLE todos (id TEXT PRIMARY KEY NOT NULL, text, rank, weight)")
    with connection:
        connection.executemany(INSERT, content)


@dataclass(frozen=True)
class Kind:
    """One kind of database.

    Args:
        name: What figures call it.
        database: Opens one.
        persister: Makes its persister.
        fill: Makes the table by hand.
        opened: Opens a connection with the same settings, by hand.
        closed: Closes it.
    """

    name: str
    database: type[CrSqliteDatabase] | type[SqliteDatabase]
    persister: Callable[..., Any]
    fill: Callable[[apsw.Connection, list[Row]], None]
    opened: Callable[[Path], apsw.Connection]
    closed: Callable[[apsw.Connection], None]


CRSQLITE = Kind(
    "cr-sqlite", CrSqliteDatabase, create_crsqlite_persister, fill, open_connection, close_connection
)
SQLITE = Kind(
    "plain SQLite",
    SqliteDatabase,
    create_sqlite_persister,
    fill_plainly,
    sqlite.open_connection,
    apsw.Connection.close,
)
KINDS = {kind.name: kind for kind in (CRSQLITE, SQLITE)}
JSON_FILE = "JSON file"
