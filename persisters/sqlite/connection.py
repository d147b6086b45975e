"""Connections to an SQLite file, opened, used and closed without harm to what is in it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import apsw

from replicell.persisters.errors import (
    DatabaseBusyError,
    DatabaseDamagedError,
    DatabaseError,
    DatabaseFullError,
    DatabaseInputOutputError,
    DatabaseReadOnlyError,
    DatabaseTooNewError,
)

__all__ = [
    "close_connection",
    "is_closed",
    "open_connection",
    "opening",
    "refuse_newer_format",
    "switch_to_wal",
    "transaction",
    "translated",
    "translation",
]

_NEWEST_FILE_FORMAT = 2
_WAL_RETRY_SECONDS = 0.005


def open_connection(
    path: str | os.PathLike[str], *, busy_timeout: float = 5.0, vfs: str | None = None
) -> apsw.Connection:
    """Open an SQLite file, and create it if it is not there.

    A new file gets a write-ahead log, so that readers and the writer do not wait for each other; an existing
    one keeps the journal it has, which its other programs may rely on.

    Args:
        path: The file, or ``":memory:"``.
        busy_timeout: Seconds a statement waits for another connection's lock.
        vfs: The name of a registered SQLite VFS, None for the default one.

    Raises:
        DatabaseDamagedError: the file is not a database, is encrypted or corrupt; it is left as it was.
        DatabaseTooNewError: a newer SQLite wrote it; it is left as it was.
        DatabaseBusyError: another connection kept its lock for longer than ``busy_timeout``.
        DatabaseReadOnlyError: the file or its folder may not be written.
    """
    with opening(path, busy_timeout, vfs) as connection:
        connection.execute("PRAGMA temp_store = MEMORY")
        if connection.execute("PRAGMA page_count").get == 0:
            switch_to_wal(connection, deadline=time.monotonic() + busy_timeout)
        if connection.execute("PRAGMA journal_mode").get == "wal":
            connection.execute("PRAGMA synchronous = NORMAL")
        # This reads the schema, so that a damaged file is refused now and not at its first use.
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    return connection


@contextmanager
def opening(path: str | os.PathLike[str], busy_timeout: float, vfs: str | None) -> Iterator[apsw.Connection]:
    """Open an SQLite file for a block that makes the connection ready; if that fails it is closed again."""
    name = os.fspath(path)
    with translated(name):
        connection = apsw.Connection(name, vfs=vfs)
        try:
            connection.set_busy_timeout(round(busy_timeout * 1000))
            refuse_newer_format(name)
            yield connection
        except BaseException:
            connection.close()
            raise


def close_connection(connection: apsw.Connection) -> None:
    """Close a connection; closing one twice is allowed."""
    if is_closed(connection):
        return
    if connection.in_transaction:
        connection.execute("ROLLBACK")
    connection.close()


class transaction:
    """Run a block in one transaction: committed at its end, rolled back if it raises.

    Args:
        connection: A connection that is not in a transaction.
        immediate: Take the write lock at once. A transaction that reads first and writes later fails if
            anybody else wrote in between, so only readers should pass False.
        after_failure: Called with the connection after a rollback.
    """

    __slots__ = ("_after_failure", "_begin", "_connection")

    def __init__(
        self,
        connection: apsw.Connection,
        immediate: bool = True,
        after_failure: Callable[[apsw.Connection], object] | None = None,
    ) -> None:
        self._connection = connection
        self._begin = "BEGIN IMMEDIATE" if immediate else "BEGIN"
        self._after_failure = after_failure

    def __enter__(self) -> None:
        self._connection.execute(self._begin)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            try:
                self._connection.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise
        else:
            self._roll_back()

    def _roll_back(self) -> None:
        # A full disk has already rolled back by itself.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")
        if self._after_failure is not None:
            self._after_failure(self._connection)


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


def translation(error: BaseException, name: str) -> BaseException:
    """Return replicell's error for one that tells about the file, and any other as it is."""
    replacement = _translation(error, name)
    if replacement is None:
        return error
    replacement.__cause__ = error
    return replacement


def refuse_newer_format(name: str) -> None:
    """Refuse a file whose header says that only a newer SQLite can read it.

    Raises:
        DatabaseTooNewError: it is one.
    """
    header = _header(name)
    if len(header) >= 20 and max(header[18], header[19]) > _NEWEST_FILE_FORMAT:
        raise DatabaseTooNewError(
            f"{name} has SQLite file format {max(header[18], header[19])}, "
            f"this program knows {_NEWEST_FILE_FORMAT} at most: upgrade apsw. The file has not been touched."
        )


def switch_to_wal(connection: apsw.Connection, deadline: float) -> None:
    """Give a database a write-ahead log, waiting for others until a time of the monotonic clock."""
    # SQLite does not wait for other connections in this one statement, whatever the busy timeout.
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_WAL_RETRY_SECONDS)


def is_closed(connection: apsw.Connection) -> bool:
    """Tell whether a connection has been closed."""
    try:
        connection.in_transaction  # noqa: B018 - apsw has no attribute that says whether it is closed
    except apsw.ConnectionClosedError:
        return True
    return False


def _translation(error: BaseException, name: str) -> DatabaseError | None:
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
        case apsw.CantOpenError() if Path(name).is_dir():
            return DatabaseInputOutputError(f"{name} is a folder: name a file in it.")
        case apsw.CantOpenError():
            return DatabaseInputOutputError(
                f"{name} cannot be opened ({error}): check that its folder exists and may be written."
            )
        case apsw.IOError():
            return DatabaseInputOutputError(f"{name} cannot be read or written ({error}): check the disk.")
    return None


def _header(name: str) -> bytes:
    path = Path(name)
    if name == ":memory:" or not path.is_file():
        return b""
    with path.open("rb") as file:
        header = file.read(20)
    return header if header.startswith(b"SQLite format 3\0") else b""
