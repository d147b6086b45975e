"""An SQLite database for asyncio programs: its SQL runs on a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import warnings
import weakref
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import TracebackType
from typing import Any, Self, TypeAlias, TypeVar, TypeVarTuple

import apsw

from replicell.persisters.errors import ConfigError, DatabaseClosedError, WrongThreadError
from replicell.persisters.replies import Reply
from replicell.persisters.sqlite.connection import close_connection, open_connection
from replicell.persisters.sqlite.prefetch import Prefetch
from replicell.persisters.sqlite.worker import DatabaseChange, Engine, Mode, Worker
from replicell.persisters.subscription import Subscription
from replicell.persisters.turns import Turns

__all__ = ["DatabaseChange", "SqlListener", "SqliteDatabase", "SqliteEngine"]

_log = logging.getLogger("replicell.persisters.database")

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

SqlListener: TypeAlias = Callable[[str, Any], object]
"""Called with a statement and the values bound in it: a sequence, or a mapping by name."""


class SqliteEngine:
    """Makes connections to an SQLite file, for the database's thread.

    Args:
        path: The file.
        busy_timeout: Seconds to wait for another connection's lock.
        vfs: The name of a registered SQLite VFS, None for the default one.
    """

    def __init__(self, path: str, busy_timeout: float, vfs: str | None) -> None:
        self.path = path
        self.busy_timeout = busy_timeout
        self.vfs = vfs

    def connect(self) -> apsw.Connection:
        """Open a connection."""
        return open_connection(self.path, busy_timeout=self.busy_timeout, vfs=self.vfs)

    def close(self, connection: apsw.Connection) -> None:
        """Close a connection."""
        close_connection(connection)

    def after_failure(self, connection: apsw.Connection) -> None:
        """Put a connection in order after something was rolled back, which here it is."""

    def before_writing(self, connection: apsw.Connection) -> None:
        """Put a connection in order before something is written, which here it is."""


class SqliteDatabase:
    """An SQLite file, shared by persisters, by other code of this program and by other programs.

    The event loop never waits for SQLite: functions are sent to the database's thread, where they are called
    with the connection. Whoever asks is told when somebody has committed something, be it another process.

    Args:
        path: The file; it is created if it is not there. ``":memory:"`` for none.
        poll_interval: Seconds between looks at whether another process has committed; at most 0.02 for others
            to be noticed within 50 ms. It is at least 0.4 ms for each database that the process has open.
        busy_timeout: Seconds to wait for another connection's lock.
        vfs: The name of a registered SQLite VFS, None for the default one.
        on_sql_command: Called on the event loop with each statement that is run through this database, by
            persisters and others, and its bindings: for logs and for finding out what something costs.
            Mirrors TinyBase's `onSqlCommand`.

    Example::

        async with SqliteDatabase("todo.db") as db:
            rows = await db.execute("SELECT id, text FROM todo WHERE done IS NULL")
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        poll_interval: float = 0.01,
        busy_timeout: float = 5.0,
        vfs: str | None = None,
        on_sql_command: SqlListener | None = None,
    ) -> None:
        if poll_interval <= 0 or busy_timeout < 0:
            raise ConfigError(
                "poll_interval must be positive and busy_timeout not negative, both in seconds."
            )
        if path == "":
            # SQLite would take it for a private temporary database and drop everything at the end.
            raise ConfigError("path is empty: give the path of a file, or ':memory:' to keep nothing.")
        self._path = os.fspath(path)
        self._poll_interval = poll_interval
        self._busy_timeout = busy_timeout
        self._vfs = vfs
        self._on_sql_command = on_sql_command
        self._worker: Worker | None = None
        self._thread_id = 0
        self._opening: asyncio.Future[None] | None = None
        self._closing: asyncio.Future[None] | None = None
        self._listeners: dict[object, Callable[[DatabaseChange], object]] = {}
        self._prefetches: dict[object, Prefetch[Any]] = {}
        self._before_close: dict[object, Callable[[], Awaitable[object]]] = {}
        self.turns = Turns()
        """Shared by the persisters of this database, so that one at a time loads, saves or runs an action."""

    @property
    def path(self) -> str:
        """The file as it was given."""
        return self._path

    @property
    def is_open(self) -> bool:
        """Whether the database can be used: opened, and not closed or closing."""
        return self._worker is not None and self._opening is None and self._closing is None

    async def open(self) -> Self:
        """Open the file; opening an open database does nothing.

        Raises:
            DatabaseDamagedError: the file is not a database, is encrypted or corrupt; it is left as it was.
            DatabaseTooNewError: a newer version wrote it; it is left as it was.
            DatabaseBusyError: another connection kept its lock for longer than the busy timeout.
            DatabaseReadOnlyError: the file or its folder may not be written.
        """
        if self._closing is not None:
            await asyncio.shield(self._closing)
        if self._opening is None and self._worker is None:
            self._opening = asyncio.ensure_future(self._start())
        if self._opening is not None:
            await asyncio.shield(self._opening)
        return self

    async def close(self) -> None:
        """Run what is queued, close the file and end the thread; closing a closed database does nothing.

        Persisters of this database save what they have not saved yet and are closed first.

        Raises:
            PersisterError: a persister could not save; the database is closed nevertheless.
        """
        if self._opening is not None:
            await asyncio.wait([self._opening])
        if self._closing is None and self._worker is not None:
            self._closing = asyncio.ensure_future(self._shut_down(self._worker))
        if self._closing is not None:
            await asyncio.shield(self._closing)

    def read(self, function: Callable[[apsw.Connection, *_Ts], _T], *args: *_Ts) -> Reply[_T]:
        """Call a function with the connection in a transaction that sees one state of the database.

        Calls are run in the order in which they were made, and begin whether or not they are awaited.
        A call whose future is cancelled before it has begun is left out.

        Args:
            function: Called on the database's thread. It must not touch anything that belongs to the loop.
            args: Given to the function after the connection.

        Returns:
            A future with what the function returns.

        Raises:
            DatabaseClosedError: the database is not open.
            DatabaseError: (from the future) the function wrote, or the file cannot be used.
        """
        return self._submit(Mode.READ, function, args)

    def write(
        self, function: Callable[[apsw.Connection, *_Ts], _T], *args: *_Ts, origin: object = None
    ) -> Reply[_T]:
        """Call a function with the connection in a transaction that holds the write lock and is committed.

        If the function raises, everything is rolled back. Otherwise the listeners of :meth:`on_change` are
        told, if something was written.

        Args:
            function: Called on the database's thread.
            args: Given to the function after the connection.
            origin: Who writes, for the listeners.

        Returns:
            A future with what the function returns, settled after the commit.

        Raises:
            DatabaseClosedError: the database is not open.
            DatabaseBusyError: (from the future) another connection kept its lock.
            DatabaseFullError: (from the future) there is no room left.
        """
        return self._submit(Mode.WRITE, function, args, origin)

    def run(
        self, function: Callable[[apsw.Connection, *_Ts], _T], *args: *_Ts, origin: object = None
    ) -> Reply[_T]:
        """Call a function with the connection outside a transaction, so that it can begin its own.

        See :meth:`write` for the rest.
        """
        return self._submit(Mode.RUN, function, args, origin)

    async def execute(
        self, sql: str, bindings: Iterable[Any] | Mapping[str, Any] = (), *, origin: object = None
    ) -> list[tuple[Any, ...]]:
        """Run SQL and return its rows; it is committed if it writes.

        Args:
            sql: One or more statements, each in a transaction of its own.
            bindings: Values for ``?``, or a mapping for ``:name``.
            origin: Who writes, for the listeners.
        """
        values = bindings if isinstance(bindings, Mapping) else tuple(bindings)
        return await self.run(_execute, sql, values, origin=origin)

    def on_change(
        self, listener: Callable[[DatabaseChange], object], *, prefetch: Prefetch[Any] | None = None
    ) -> Subscription:
        """Call a listener on the event loop after each commit that wrote something.

        Commits of other processes and connections are noticed by polling, several of them as one change. The
        listener asks the database itself what has changed since the version it knows; a listener that raises
        is logged and keeps nobody else from being told.

        Args:
            listener: Called with the change.
            prefetch: What to read for it right after the commit, while the thread is there anyway.

        Returns:
            A subscription, whose ``cancel()`` ends it.
        """
        token = object()
        self._listeners[token] = listener
        if prefetch is not None:
            self._prefetches[token] = prefetch
        self._update_worker()

        def cancel() -> None:
            self._listeners.pop(token, None)
            self._prefetches.pop(token, None)
            self._update_worker()

        return Subscription(cancel)

    def before_close(self, hook: Callable[[], Awaitable[object]]) -> Subscription:
        """Await a hook when :meth:`close` is called, while the database still works.

        Returns:
            A subscription, whose ``cancel()`` takes the hook away.
        """
        token = object()
        self._before_close[token] = hook

        def cancel() -> None:
            self._before_close.pop(token, None)

        return Subscription(cancel)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._path!r} {'open' if self.is_open else 'closed'}>"

    def __del__(self) -> None:
        worker = getattr(self, "_worker", None)
        if worker is not None and not worker.is_stopping:
            message = f"{self._path} was never closed: await close()."
            warnings.warn(message, ResourceWarning, stacklevel=2, source=self)
            worker.stop()

    def _submit(
        self, mode: Mode, function: Callable[..., Any], args: tuple[Any, ...], origin: object = None
    ) -> Reply[Any]:
        worker = self._worker
        if worker is None or self._opening is not None:
            raise DatabaseClosedError(f"{self._path} is closed: await open() before using it.")
        if threading.get_ident() != self._thread_id:
            raise WrongThreadError(
                f"{self._path} belongs to another thread's event loop: "
                "hand the call over with asyncio.run_coroutine_threadsafe."
            )
        return worker.submit(mode, function, args, origin)

    async def _start(self) -> None:
        worker = Worker(
            asyncio.get_running_loop(),
            self._path,
            self._engine(),
            self._poll_interval,
            _weak_teller(weakref.ref(self)),
            None if self._on_sql_command is None else _weak_sql_teller(weakref.ref(self)),
        )
        try:
            await worker.started
            await self._on_started(worker)
        except BaseException:
            worker.stop()
            raise
        else:
            self._worker = worker
            self._thread_id = threading.get_ident()
            self._update_worker()
        finally:
            self._opening = None

    def _engine(self) -> Engine:
        # Free of `self`, so that the thread does not keep a forgotten database alive.
        return SqliteEngine(self._path, self._busy_timeout, self._vfs)

    async def _on_started(self, worker: Worker) -> None:
        """Learn what the database must know before anybody uses it."""

    async def _shut_down(self, worker: Worker) -> None:
        errors: list[Exception] = []
        try:
            for hook in list(self._before_close.values()):
                await _collecting(hook(), errors)
        finally:
            self._before_close.clear()
            await _collecting(worker.stop(), errors)
            worker.join()
            self._worker = None
            self._closing = None
        for error in errors[1:]:
            _log.error("%s: closing failed", self._path, exc_info=error)
        if errors:
            raise errors[0]

    def _update_worker(self) -> None:
        if self._worker is not None:
            self._worker.has_listeners = bool(self._listeners)
            self._worker.prefetches = tuple(self._prefetches.values())

    def _tell(self, change: DatabaseChange) -> None:
        for listener in list(self._listeners.values()):
            try:
                listener(change)
            except Exception:
                _log.exception("%s: a change listener failed", self._path)

    def _tell_sql(self, sql: str, bindings: Any) -> None:
        if self._on_sql_command is not None:
            try:
                self._on_sql_command(sql, bindings)
            except Exception:
                _log.exception("%s: the listener of SQL commands failed", self._path)


async def _collecting(awaitable: Awaitable[object], errors: list[Exception]) -> None:
    try:
        await awaitable
    except Exception as error:
        errors.append(error)


def _weak_teller(reference: weakref.ref[SqliteDatabase]) -> Callable[[DatabaseChange], None]:
    def tell(change: DatabaseChange) -> None:
        database = reference()
        if database is not None:
            database._tell(change)

    return tell


def _weak_sql_teller(reference: weakref.ref[SqliteDatabase]) -> Callable[[str, Any], None]:
    def tell_sql(sql: str, bindings: Any) -> None:
        database = reference()
        if database is not None:
            database._tell_sql(sql, bindings)

    return tell_sql


def _execute(connection: apsw.Connection, sql: str, bindings: Any) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = connection.execute(sql, bindings).fetchall()
    return rows
