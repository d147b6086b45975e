"""What a database file holds: tables and their sizes, identity, versions, epochs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import apsw

from replicell.persisters.crsqlite.identifiers import quote
from replicell.persisters.crsqlite.tools.files import UserTable, is_replica, reading, user_tables
from replicell.persisters.crsqlite.versions import latest_version

__all__ = ["DatabaseInfo", "Epoch", "TableInfo", "database_info"]


@dataclass(frozen=True, slots=True)
class TableInfo:
    """One table.

    Args:
        name: The table.
        is_replicated: Whether cr-sqlite replicates it.
        rows: How many rows it has.
        columns: How many columns.
        bytes: Its size in the file, with indexes.
        history_bytes: The size of what cr-sqlite keeps beside it.
        version: The newest version at which something in it was written, None if it is not replicated.
    """

    name: str
    is_replicated: bool
    rows: int
    columns: int
    bytes: int
    history_bytes: int
    version: int | None


@dataclass(frozen=True, slots=True)
class Epoch:
    """One life of the file, from an opening to the next.

    Args:
        id: Its id, in hexadecimal digits.
        start: The version at which it began.
    """

    id: str
    start: int


@dataclass(frozen=True, slots=True)
class DatabaseInfo:
    """What a database file holds.

    Args:
        path: The file.
        bytes: Its size, with its write-ahead log.
        site_id: The replica's id in hexadecimal digits, None for an ordinary SQLite file.
        version: The newest version in it, None for an ordinary SQLite file.
        authors: How many replicas, this one included, have written what it holds.
        tables: Its tables.
        epochs: The lives of the file, oldest first.
    """

    path: str
    bytes: int
    site_id: str | None
    version: int | None
    authors: int
    tables: tuple[TableInfo, ...]
    epochs: tuple[Epoch, ...]


def database_info(path: str | os.PathLike[str]) -> DatabaseInfo:
    """Look into a database file, which others may be using, without changing it.

    Args:
        path: The file.

    Raises:
        DatabaseError: there is no such file, or it is no database.
    """
    with reading(path) as connection:
        tables = user_tables(connection).values()
        is_one = is_replica(connection)
        return DatabaseInfo(
            path=os.fspath(path),
            bytes=_file_bytes(Path(path)),
            site_id=_site_id(connection) if is_one else None,
            version=_latest(connection, tables) if is_one else None,
            authors=_count(connection, "crsql_site_id") if is_one else 0,
            tables=tuple(_table_info(connection, table) for table in tables),
            epochs=_epochs(connection),
        )


def _table_info(connection: apsw.Connection, table: UserTable) -> TableInfo:
    history = (table.name + "__crsql_clock", table.name + "__crsql_pks")
    return TableInfo(
        table.name,
        table.is_replicated,
        _count(connection, table.name),
        len(table.key) + len(table.columns),
        _bytes(connection, (table.name,)),
        _bytes(connection, history) if table.is_replicated else 0,
        _version(connection, table.name) if table.is_replicated else None,
    )


def _bytes(connection: apsw.Connection, tables: tuple[str, ...]) -> int:
    names = ", ".join("?" * len(tables))
    total: int | None = connection.execute(
        "SELECT sum(pgsize) FROM dbstat WHERE aggregate = TRUE AND name IN "
        f"(SELECT name FROM sqlite_schema WHERE tbl_name IN ({names}))",
        tables,
    ).get
    return total or 0


def _version(connection: apsw.Connection, table: str) -> int:
    version: int | None = connection.execute(
        f"SELECT max(db_version) FROM {quote(table + '__crsql_clock')}"
    ).get
    return version or 0


def _latest(connection: apsw.Connection, tables: Iterable[UserTable]) -> int:
    return latest_version(connection, [table.name for table in tables if table.is_replicated])


def _site_id(connection: apsw.Connection) -> str | None:
    site_id = connection.execute("SELECT site_id FROM crsql_site_id WHERE ordinal = 0").get
    return site_id.hex() if isinstance(site_id, bytes) else None


def _count(connection: apsw.Connection, table: str) -> int:
    number: int = connection.execute(f"SELECT count(*) FROM {quote(table)}").get
    return number


def _epochs(connection: apsw.Connection) -> tuple[Epoch, ...]:
    if not connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'replicell_epochs'").get:
        return ()
    rows = connection.execute("SELECT hex(id), start FROM replicell_epochs ORDER BY position")
    return tuple(Epoch(str(epoch).lower(), int(start)) for epoch, start in rows)


def _file_bytes(path: Path) -> int:
    log = path.with_name(path.name + "-wal")
    return path.stat().st_size + (log.stat().st_size if log.exists() else 0)
