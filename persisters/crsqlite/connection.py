"""Connections to a cr-sqlite database file, opened, used and closed the way the extension needs it."""

from __future__ import annotations

import os
import time
from contextlib import AbstractContextManager
from pathlib import Path
from weakref import WeakSet

import apsw

from replicell.persisters.crsqlite.extension.locate import extension_path
from replicell.persisters.crsqlite.extension.release import ENTRY_POINT, VERSION_NUMBER
from replicell.persisters.errors import DatabaseTooNewError
from replicell.persisters.sqlite import connection as plain
from replicell.persisters.sqlite.connection import translated

__all__ = [
    "close_connection",
    "forget_undone_schema",
    "open_connection",
    "record_local_writes",
    "transaction",
    "translated",
]

_with_undone_schema: WeakSet[apsw.Connection] = WeakSet()
_MORE_THAN_EVER_UNDONE = 10_000
"""How far the schema's version is moved on; a transaction moves it by a few for each table."""


def open_connection(
    path: str | os.PathLike[str], *, busy_timeout: float = 5.0, vfs: str | None = None
) -> apsw.Connection:
    """Open a database file with cr-sqlite loaded, and create it if it is not there.

    Any number of processes may open the same new file at once: the extension writes its own tables while it
    loads, so it is loaded under the write lock.

    Args:
        path: The file, or ``":memory:"``.
        busy_timeout: Seconds a statement waits for another connection's lock.
        vfs: The name of a registered SQLite VFS, None for the default one.

    Raises:
        DatabaseDamagedError: the file is not a database, is encrypted or corrupt; it is left as it was.
        DatabaseTooNewError: a newer cr-sqlite or SQLite wrote it; it is left as it was.
        DatabaseBusyError: another connection kept its lock for longer than ``busy_timeout``.
        DatabaseReadOnlyError: the file or its folder may not be written.
        ExtensionNotFoundError: cr-sqlite is not installed.
    """
    library = extension_path()
    with plain.opening(path, busy_timeout, vfs) as connection:
        _refuse_newer_extension(connection, os.fspath(path))
        # Half of an insert's time goes into statement journals unless they are kept in memory.
        connection.execute("PRAGMA temp_store = MEMORY")
        plain.switch_to_wal(connection, deadline=time.monotonic() + busy_timeout)
        connection.execute("PRAGMA synchronous = NORMAL")
        _load_extension(connection, library)
    return connection


def close_connection(connection: apsw.Connection) -> None:
    """Close a connection; closing one twice is allowed.

    cr-sqlite keeps prepared statements of its own, without whose release SQLite refuses to close.
    """
    if plain.is_closed(connection):
        return
    if connection.in_transaction:
        connection.execute("ROLLBACK")
    connection.execute("SELECT crsql_finalize()").fetchall()
    connection.close()


def transaction(connection: apsw.Connection, immediate: bool = True) -> AbstractContextManager[None]:
    """Run a block in one transaction: committed at its end, rolled back if it raises.

    Args:
        connection: A connection from :func:`open_connection`, not in a transaction.
        immediate: Take the write lock at once. A transaction that reads first and writes later fails if
            anybody else wrote in between, so only readers should pass False.
    """
    return _Transaction(connection, immediate, after_failure=record_local_writes)


def record_local_writes(connection: apsw.Connection) -> None:
    """Have local writes recorded for other replicas, as they should always be.

    A merge that fails leaves cr-sqlite's sync bit on, which means the contrary.
    """
    connection.execute("SELECT crsql_internal_sync_bit(0)").fetchall()


def forget_undone_schema(connection: apsw.Connection) -> None:
    """Let writes succeed again after a transaction that changed the schema was rolled back.

    cr-sqlite keeps a statement over all replicated tables, and what their columns are, which it makes anew
    only when the schema's version is greater than ever before. A rollback makes it smaller, and they name
    tables and columns that are gone.

    Args:
        connection: A connection from :func:`open_connection`, not in a transaction.
    """
    if connection not in _with_undone_schema:
        try:
            connection.execute("SELECT crsql_db_version()").fetchall()
            return
        except apsw.SQLError:
            _with_undone_schema.add(connection)
    version = _schema_version(connection)
    connection.execute(f"PRAGMA schema_version = {version + _MORE_THAN_EVER_UNDONE}")
    _with_undone_schema.discard(connection)


class _Transaction(plain.transaction):
    """Notes that a change of the schema was rolled back."""

    __slots__ = ()

    def _roll_back(self) -> None:
        connection = self._connection
        # If SQLite has rolled back by itself, nobody can tell any more.
        within = _schema_version_or_none(connection) if connection.in_transaction else None
        super()._roll_back()
        if within is None or _schema_version_or_none(connection) != within:
            _with_undone_schema.add(connection)


def _schema_version_or_none(connection: apsw.Connection) -> int | None:
    try:
        return _schema_version(connection)
    except apsw.Error:
        return None


def _schema_version(connection: apsw.Connection) -> int:
    version: int = connection.execute("PRAGMA schema_version").get
    return version


def _refuse_newer_extension(connection: apsw.Connection, name: str) -> None:
    has_master = "SELECT count(*) FROM sqlite_schema WHERE name = 'crsql_master'"
    if not connection.execute(has_master).get:
        return
    version = connection.execute("SELECT value FROM crsql_master WHERE key = 'crsqlite_version'").get
    if version is not None and int(version) > VERSION_NUMBER:
        raise DatabaseTooNewError(
            f"{name} was written by cr-sqlite {version}, this program uses {VERSION_NUMBER}: "
            "open it with a newer replicell. The file has not been touched."
        )


def _load_extension(connection: apsw.Connection, library: Path) -> None:
    connection.enable_load_extension(True)
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.load_extension(str(library), ENTRY_POINT)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    finally:
        connection.enable_load_extension(False)
