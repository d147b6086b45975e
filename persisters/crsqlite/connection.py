"""Connections to a cr-sqlite database file, opened, used and closed the way the extension needs it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw

from replicell.persisters.crsqlite.extension.locate import extension_path
from replicell.persisters.crsqlite.extension.release import ENTRY_POINT, VERSION_NUMBER
from replicell.persisters.errors import (
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseError,
    DatabaseFullError,
    DatabaseInputOutputError,
    DatabaseReadOnlyError,
    DatabaseTooNewError,
)

__all__ = ["close_connection", "open_connection", "transaction", "translated"]

_NEWEST_FILE_FORMAT = 2
_WAL_RETRY_SECONDS = 0.005


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
    name = os.fspath(path)
    library = extension_path()
    with translated(name):
        connection = apsw.Connection(name, vfs=vfs)
        try:
            connection.set_busy_timeout(round(busy_timeout * 1000))
            _refuse_newer_files(connection, name)
            # Half of an insert's time goes into statement journals unless they are kept in memory.
            connection.execute("PRAGMA temp_store = MEMORY")
            _switch_to_wal(connection, deadline=time.monotonic() + busy_timeout)
            connection.execute("PRAGMA synchronous = NORMAL")
            _load_extension(connection, library)
        except BaseException:
            connection.close()
            raise
    return connection


def close_connection(connection: apsw.Connection) -> None:
    """Close a connection; closing one twice is allowed.

    cr-sqlite keeps prepared statements of its own, without whose release SQLite refuses to close.
    """
    if _is_closed(connection):
        return
    if connection.in_transaction:
        connection.execute("ROLLBACK")
    connection.execute("SELECT crsql_finalize()").fetchall()
    connection.close()


@contextmanager
def transaction(connection: apsw.Connection, immediate: bool = True) -> Iterator[None]:
    """Run a block in one transaction: committed at its end, rolled back if it raises.

    A merge that fails leaves cr-sqlite's sync bit on, after which local writes would no longer be recorded
    for other replicas; so every rollback here switches it off.

    Args:
        connection: A connection from :func:`open_connection`, not in a transaction.
        immediate: Take the write lock at once. A transaction that reads first and writes later fails if
            anybody else wrote in between, so only readers should pass False.
    """
    connection.execute("BEGIN IMMEDIATE" if immediate else "BEGIN")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        # A full disk or a failed cr-sqlite call has already rolled back by itself.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        connection.execute("SELECT crsql_internal_sync_bit(0)").fetchall()
        raise


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Turn SQLite's errors that tell about the file rather than the statement into replicell's.

    Errors of single statements (syntax, constraints) pass through as apsw raises them.

    Args:
        name: The file, for the message.
    """
    try:
        yield
    except apsw.Error as error:
        replacement = _translation(error, name)
        if replacement is None:
            raise
        raise replacement from error


def _translation(error: apsw.Error, name: str) -> DatabaseError | None:
    match error:
        case apsw.BusyError() | apsw.LockedError():
            return DatabaseBusyError(
                f"{name} is locked by another connection: let that finish, or raise busy_timeout."
            )
        case apsw.FullError():
            return DatabaseFullError(f"{name} cannot grow ({error}): make room on the disk.")
        case apsw.ReadOnlyError() | apsw.PermissionsError():
            return DatabaseReadOnlyError(
                f"{name} cannot be written ({error}): check the permissions of the file and of its folder."
            )
        case apsw.NotADBError():
            return DatabaseDamagedError(
                f"{name} is not an SQLite database, or an encrypted one: "
                "name another file, or decrypt it first. It has not been touched."
            )
        case apsw.CorruptError():
            return DatabaseDamagedError(
                f"{name} is corrupt ({error}): restore it from a backup, or move it away and let another "
                "replica fill a new one."
            )
        case apsw.CantOpenError():
            return DatabaseInputOutputError(
                f"{name} cannot be opened ({error}): check that its folder exists and may be written."
            )
        case apsw.IOError():
            return DatabaseInputOutputError(f"{name} cannot be read or written ({error}): check the disk.")
    return None


def _refuse_newer_files(connection: apsw.Connection, name: str) -> None:
    header = _header(name)
    if len(header) >= 20 and max(header[18], header[19]) > _NEWEST_FILE_FORMAT:
        raise DatabaseTooNewError(
            f"{name} has SQLite file format {max(header[18], header[19])}, "
            f"this program knows {_NEWEST_FILE_FORMAT} at most: upgrade apsw. The file has not been touched."
        )
    has_master = "SELECT count(*) FROM sqlite_schema WHERE name = 'crsql_master'"
    if not connection.execute(has_master).get:
        return
    version = connection.execute("SELECT value FROM crsql_master WHERE key = 'crsqlite_version'").get
    if version is not None and int(version) > VERSION_NUMBER:
        raise DatabaseTooNewError(
            f"{name} was written by cr-sqlite {version}, this program uses {VERSION_NUMBER}: "
            "open it with a newer replicell. The file has not been touched."
        )


def _header(name: str) -> bytes:
    path = Path(name)
    if name == ":memory:" or not path.is_file():
        return b""
    with path.open("rb") as file:
        header = file.read(20)
    return header if header.startswith(b"SQLite format 3\0") else b""


def _switch_to_wal(connection: apsw.Connection, deadline: float) -> None:
    # SQLite does not wait for other connections in this one statement, whatever the busy timeout.
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_WAL_RETRY_SECONDS)


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


def _is_closed(connection: apsw.Connection) -> bool:
    try:
        connection.in_transaction  # noqa: B018 - apsw has no attribute that says whether it is closed
    except apsw.ConnectionClosedError:
        return True
    return False
