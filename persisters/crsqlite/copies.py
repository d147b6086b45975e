"""Copies of a database's replicated rows, for a replica that has none yet.

Merging a million changes takes long, for each is compared with what is there. A replica that has nothing has
nothing to compare with: it takes over rows and clocks as they are. A copy is an SQLite file that holds just
those, of the replicated tables only: neither other tables nor who else syncs with its origin, nor who wrote
what. All that is in it counts as the origin's, as everything does that comes from a direct neighbour.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import apsw

from replicell.persisters.crsqlite.catalog import Catalog, CatalogTable
from replicell.persisters.crsqlite.epochs import Cursor, current_epoch
from replicell.persisters.crsqlite.identifiers import quote
from replicell.persisters.crsqlite.identity import author_ordinal
from replicell.persisters.errors import DatabaseError

__all__ = ["BadCopyError", "is_blank", "take_copy", "write_copy"]

_BUSY_MILLISECONDS: Final = 5000
_ORIGIN: Final = 1
"""The number under which a copy's clocks name its origin."""
_MOST: Final = 2**53 - 1
_MOST_SEQ: Final = 2**31 - 1


class BadCopyError(DatabaseError, ValueError):
    """A file that is not a copy of a database's replicated rows, or one of other tables."""


def write_copy(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> Cursor:
    """Write a copy of a database as it is now; it may be open elsewhere and be written meanwhile.

    Args:
        source: The database file.
        target: The file to write, which is not there yet.

    Returns:
        How far the copy has the database's changes.

    Raises:
        DatabaseError: There is no such database.
    """
    if not Path(source).is_file():
        raise DatabaseError(f"there is no database file {os.fspath(source)!r} to copy")
    # The target is created, for which SQLite looks at how the connection was opened.
    with _plain_connection(source, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE) as conn:
        conn.execute("ATTACH ? AS copy", (os.fspath(target),))
        # It is thrown away should anything happen before it is whole.
        conn.execute("PRAGMA copy.journal_mode = OFF; PRAGMA copy.synchronous = OFF").fetchall()
        conn.execute("BEGIN")
        catalog = Catalog()
        for table in catalog.tables(conn).values():
            _write_table(conn, table)
        site_id: Any = conn.execute("SELECT site_id FROM crsql_site_id WHERE ordinal = 0").get
        cursor = Cursor(bytes(site_id), current_epoch(conn), catalog.latest_version(conn))
        conn.execute("COMMIT")
    return cursor


def take_copy(
    path: str | os.PathLike[str],
    copy: str | os.PathLike[str],
    origin: Cursor,
    note: Callable[[apsw.Connection], None],
) -> bool:
    """Take a copy over into a database that has no rows yet, in one transaction.

    No connection of this program may have the database open meanwhile, for each remembers what was there.

    Args:
        path: The database file, which has the copy's tables already.
        copy: The copy.
        origin: What `write_copy` said.
        note: Called with the connection in the same transaction.

    Returns:
        False if somebody has written to the database meanwhile, which then stays as it is.

    Raises:
        BadCopyError: The copy is none, or one of tables that are not like those of the database.
    """
    with _plain_connection(path) as conn:
        conn.execute("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON").fetchall()
        try:
            conn.execute("ATTACH ? AS copy", (os.fspath(copy),))
        except apsw.Error as error:
            raise BadCopyError(f"the copy is no SQLite file: {error}") from error
        conn.execute("BEGIN IMMEDIATE")
        catalog = Catalog()
        if not is_blank(conn, catalog):
            return False
        try:
            tables = _copied_tables(conn, catalog)
            _check(conn, tables, origin)
            _take_tables(conn, tables, _ordinal_of(conn, origin.site_id))
        except apsw.Error as error:
            raise BadCopyError(f"the copy cannot be taken over: {error}") from error
        note(conn)
        conn.execute("COMMIT")
    return True


def is_blank(conn: apsw.Connection, catalog: Catalog) -> bool:
    """Tell whether nothing was ever written to a database's replicated tables."""
    return not any(
        conn.execute(f"SELECT EXISTS(SELECT 1 FROM main.{quote(name)})").get
        for table in catalog.tables(conn)
        for name in _names(table)
    )


@contextmanager
def _plain_connection(
    path: str | os.PathLike[str], flags: int = apsw.SQLITE_OPEN_READWRITE
) -> Iterator[apsw.Connection]:
    """A connection without cr-sqlite, which would take what is copied for edits of its own."""
    conn = apsw.Connection(os.fspath(path), flags=flags)
    try:
        conn.set_busy_timeout(_BUSY_MILLISECONDS)
        conn.execute("PRAGMA temp_store = MEMORY").fetchall()
        yield conn
    finally:
        # An open transaction is rolled back with it.
        conn.close()


def _names(table: str) -> tuple[str, str, str]:
    return table, table + "__crsql_pks", table + "__crsql_clock"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(quote, names))


def _write_table(conn: apsw.Connection, table: CatalogTable) -> None:
    rows, keys, clock = map(quote, _names(table.name))
    columns, key = _listed((*table.key, *table.columns)), _listed(table.key)
    conn.execute(f"CREATE TABLE copy.{rows}({columns})")
    conn.execute(f"INSERT INTO copy.{rows} SELECT {columns} FROM main.{rows}")
    conn.execute(f"CREATE TABLE copy.{keys}(__crsql_key INTEGER PRIMARY KEY, {key})")
    conn.execute(f"INSERT INTO copy.{keys} SELECT __crsql_key, {key} FROM main.{keys}")
    # As cr-sqlite makes it, so that SQLite may copy it without looking into its rows.
    conn.execute(
        f"CREATE TABLE copy.{clock}(key INTEGER NOT NULL, col_name TEXT NOT NULL,"
        " col_version INTEGER NOT NULL, db_version INTEGER NOT NULL,"
        " site_id INTEGER NOT NULL DEFAULT 0, seq INTEGER NOT NULL,"
        " PRIMARY KEY (key, col_name)) WITHOUT ROWID, STRICT"
    )
    conn.execute(
        f"INSERT INTO copy.{clock} SELECT key, col_name, col_version, db_version, {_ORIGIN}, seq"
        f" FROM main.{clock}"
    )


def _copied_tables(conn: apsw.Connection, catalog: Catalog) -> list[tuple[CatalogTable, tuple[str, ...]]]:
    """Return the database's tables that the copy holds too, each with the copy's columns of it."""
    try:
        found: list[Any] = conn.execute("SELECT type, name FROM copy.sqlite_master").fetchall()
        if conn.execute("PRAGMA copy.quick_check").get != "ok":
            raise BadCopyError("the copy is damaged: its check by SQLite fails")
    except apsw.Error as error:
        raise BadCopyError(f"the copy is no SQLite file: {error}") from error
    names = {str(name) for kind, name in found if kind == "table"}
    own = catalog.tables(conn)
    tables: list[tuple[CatalogTable, tuple[str, ...]]] = []
    for name in sorted(names & set(own)):
        columns = conn.execute("SELECT name FROM pragma_table_info(?, 'copy')", (name,)).fetchall()
        tables.append((own[name], tuple(str(column) for (column,) in columns)))
    if len(names) != len(found) or names != {part for table, _ in tables for part in _names(table.name)}:
        raise BadCopyError("the copy holds tables that are not there, or more than tables")
    for table, held in tables:
        if not set(table.key) <= set(held) <= {*table.key, *table.columns}:
            raise BadCopyError(f"the copy's table {table.name!r} has other columns")
    return tables


def _check(
    conn: apsw.Connection, tables: Iterable[tuple[CatalogTable, tuple[str, ...]]], origin: Cursor
) -> None:
    """Look for what would poison the clock: merging refuses it too."""
    for table, columns in tables:
        clock = quote(table.name + "__crsql_clock")
        known = ", ".join("?" for _ in columns)
        poisoned = conn.execute(
            f"SELECT EXISTS(SELECT 1 FROM copy.{clock} WHERE NOT (db_version BETWEEN 1 AND ?"
            f" AND col_version BETWEEN 0 AND ? AND seq BETWEEN 0 AND ? AND site_id = ?"
            f" AND col_name IN ('-1', {known})))",
            (origin.version, _MOST, _MOST_SEQ, _ORIGIN, *columns),
        ).get
        if poisoned:
            raise BadCopyError(f"the copy's clock of table {table.name!r} holds what no database writes")


def _ordinal_of(conn: apsw.Connection, site_id: bytes) -> int:
    ordinal = author_ordinal(conn, site_id)
    if ordinal == 0:
        raise BadCopyError("the copy is one of this very database")
    return ordinal


def _take_tables(
    conn: apsw.Connection, tables: Iterable[tuple[CatalogTable, tuple[str, ...]]], ordinal: int
) -> None:
    for table, held in tables:
        rows, keys, clock = map(quote, _names(table.name))
        columns, key = _listed(held), _listed(table.key)
        # Made anew afterwards: indexes are built faster from what is there, and the triggers note edits.
        anew = _drop_helpers(conn, table.name)
        conn.execute(f"INSERT INTO main.{rows}({columns}) SELECT {columns} FROM copy.{rows}")
        conn.execute(
            f"INSERT INTO main.{keys}(__crsql_key, {key}) SELECT __crsql_key, {key} FROM copy.{keys}"
        )
        conn.execute(f"INSERT INTO main.{clock} SELECT * FROM copy.{clock}")
        if ordinal != _ORIGIN:
            conn.execute(f"UPDATE main.{clock} SET site_id = ?", (ordinal,))
        for sql in anew:
            conn.execute(sql)


def _drop_helpers(conn: apsw.Connection, table: str) -> list[str]:
    """Drop a table's triggers and indexes that are cr-sqlite's own, and return what makes them again."""
    _, keys, clock = _names(table)
    helpers: list[Any] = conn.execute(
        "SELECT type, name, sql FROM main.sqlite_master WHERE sql IS NOT NULL AND"
        " ((type = 'index' AND tbl_name IN (?, ?)) OR (type = 'trigger' AND tbl_name = ?"
        " AND name IN (? || '__crsql_itrig', ? || '__crsql_utrig', ? || '__crsql_dtrig')))",
        (keys, clock, table, table, table, table),
    ).fetchall()
    for kind, name, _ in helpers:
        conn.execute(f"DROP {kind} main.{quote(str(name))}")
    return [str(sql) for _, _, sql in helpers]
