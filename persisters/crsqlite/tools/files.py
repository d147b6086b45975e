"""Opening database files only to read them, with or without cr-sqlite's tables in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from replicell.persisters.errors import DatabaseInputOutputError
from replicell.persisters.sqlite.connection import refuse_newer_format, translated

__all__ = ["UserTable", "is_replica", "reading", "user_tables"]

_BUSY_MILLISECONDS = 5000
_USER_TABLES = """
    SELECT name, EXISTS (SELECT 1 FROM sqlite_schema WHERE name = things.name || '__crsql_clock')
    FROM sqlite_schema AS things
    WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
      AND name NOT LIKE 'crsql\\_%' ESCAPE '\\' AND name NOT LIKE 'replicell\\_%' ESCAPE '\\'
      AND name NOT LIKE '%\\_\\_crsql\\_%' ESCAPE '\\'
    ORDER BY name
"""
_COLUMNS = "SELECT name, pk FROM pragma_table_info(?) ORDER BY cid"


@dataclass(frozen=True, slots=True)
class UserTable:
    """A table that is not the database's own.

    Args:
        name: The table.
        is_replicated: Whether cr-sqlite replicates it.
        key: The columns of its primary key, in key order.
        columns: Its other columns.
    """

    name: str
    is_replicated: bool
    key: tuple[str, ...]
    columns: tuple[str, ...]


@contextmanager
def reading(path: str | os.PathLike[str]) -> Iterator[apsw.Connection]:
    """A connection that cannot write, in a transaction that sees one state, whoever uses the file.

    Raises:
        DatabaseInputOutputError: there is no such file.
        DatabaseDamagedError: it is not a database, is encrypted or corrupt.
        DatabaseTooNewError: a newer SQLite wrote it.
    """
    name = os.fspath(path)
    if Path(path).is_dir():
        raise DatabaseInputOutputError(f"{name} is a folder: name a file in it.")
    if not Path(path).is_file():
        raise DatabaseInputOutputError(f"There is no file {name}: name a database file that exists.")
    with translated(name):
        refuse_newer_format(name)
        connection = apsw.Connection(name, flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(_BUSY_MILLISECONDS)
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            yield connection
        finally:
            connection.close()


def is_replica(connection: apsw.Connection) -> bool:
    """Tell whether cr-sqlite has ever opened the file."""
    return bool(connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'crsql_site_id'").get)


def user_tables(connection: apsw.Connection) -> dict[str, UserTable]:
    """Return the tables by name, without those of SQLite, cr-sqlite and replicell."""
    tables = {}
    for name, is_replicated in connection.execute(_USER_TABLES).fetchall():
        columns = connection.execute(_COLUMNS, (name,)).fetchall()
        key = sorted((position, str(column)) for column, position in columns if position)
        others = tuple(str(column) for column, position in columns if not position)
        table = UserTable(str(name), bool(is_replicated), tuple(column for _, column in key), others)
        tables[table.name] = table
    return tables
