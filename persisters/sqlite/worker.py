"""The thread on which all SQL of one database runs."""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any, ClassVar, Protocol, TypeAlias

import apsw

from replicell.persisters.errors import DatabaseClosedError, DatabaseError
from replicell.persisters.replies import Reply
from replicell.persisters.sqlite.connection import transaction, translated, translation
from replicell.persisters.sqlite.lookout import LOOKOUT, Lookout
from replicell.persisters.sqlite.prefetch import Found, Prefetch

__all__ = ["DatabaseChange", "Engine", "Mode", "Worker"]

_log = logging.getLogger("replicell.persisters.database")

_Findings: TypeAlias = Sequence[tuple[Prefetch[Any], Found[Any]]]


@dataclass(frozen=True, slots=True)
class DatabaseChange:
    """Somebody committed something to a database.

    Args:
        origin: What was given as ``origin`` to the call that wrote, None if nothing was or if another
            connection wrote.
        external: Whether another connection wrote, of this or another process.
    """

    origin: object = None
    external: bool = False


class Engine(Protocol):
    """How connections are made and ended; called on the database's thread."""

    def connect(self) -> apsw.Connection:
        """Open a connection."""
        ...

    def close(self, connection: apsw.Connection) -> None:
        """Close a connection."""

    def after_failure(self, connection: apsw.Connection) -> None:
        """Put a connection in order after something was rolled back."""

    def before_writing(self, connection: apsw.Connection) -> None:
        """Put a connection in order, outside a transaction, before something is written."""


class Mode(Enum):
    """How a job is run."""

    READ = "in a transaction that sees one state"
    WRITE = "in a transaction that is committed"
    RUN = "without a transaction around it"
    REOPEN = "between closing and opening the connection"
    STOP = "as the last one"


class Worker:
    """One connection and the thread that runs its jobs, first in, first out.

    While there is nothing to do the lookout's thread uses the connection, to see whether others have
    committed. Neither thread calls back by itself: results and changes go to the event loop with one hop
    each.

    Args:
        loop: The event loop on which futures are settled and changes are told.
        name: The file, for messages.
        engine: Opens and closes the connection.
        poll_interval: Seconds between looks at whether another connection has committed; more where a process
            has very many databases open.
        tell: Called on the loop with each change.
        tell_sql: Called on the loop with each statement of a job and its bindings; None if nobody asks.
    """

    lookout: ClassVar[Lookout] = LOOKOUT

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        name: str,
        engine: Engine,
        poll_interval: float,
        tell: Callable[[DatabaseChange], None],
        tell_sql: Callable[[str, Any], None] | None = None,
    ) -> None:
        self._loop = loop
        self._name = name
        self._engine = engine
        self.poll_interval = poll_interval
        self._tell = tell
        self._tell_sql = tell_sql
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._connection: apsw.Connection | None = None
        self._in_use = threading.Lock()
        """Held by the thread that uses the connection."""
        self._data_version = 0
        self._poll_failed = False
        self.next_look = 0.0
        self.is_stopping = False
        self.has_listeners = False
        self.prefetches: tuple[Prefetch[Any], ...] = ()
        """What to read after commits, for those who are told of them."""
        self.started: Reply[None] = Reply(loop=loop)
        self._thread = threading.Thread(target=self._main, name=f"replicell {name}", daemon=True)
        self._thread.start()

    def submit(
        self, mode: Mode, function: Callable[..., Any], args: tuple[Any, ...], origin: object = None
    ) -> Reply[Any]:
        """Queue a job; cancelling its future before it has begun takes it out again."""
        if self.is_stopping:
            raise DatabaseClosedError(f"{self._name} is closed: open it before using it.")
        reply: Reply[Any] = Reply(loop=self._loop)
        self._jobs.put(_Job(mode, function, args, origin, reply))
        return reply

    def stop(self) -> Reply[None]:
        """Queue the end: what is queued already runs first, then the connection is closed."""
        reply = self.submit(Mode.STOP, _nothing, ())
        self.is_stopping = True
        return reply

    def join(self) -> None:
        """Wait for the thread, which ends at once after the reply of :meth:`stop` is settled."""
        self._thread.join()

    def look(self) -> None:
        """Look whether another connection has committed, unless the connection is in use."""
        if self._in_use.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._in_use.release()

    def _main(self) -> None:
        try:
            with translated(self._name):
                self._connect()
        except BaseException as error:
            self._deliver(self.started, None, error, None)
            return
        self._deliver(self.started, None, None, None)
        self._work()

    def _connect(self) -> None:
        self._connection = self._engine.connect()
        self._data_version = _committed_by_others(self._connection)

    def _work(self) -> None:
        self.lookout.add(self)
        try:
            while self._do(self._jobs.get()):
                pass
        finally:
            self.lookout.discard(self)

    def _do(self, job: _Job) -> bool:
        with self._in_use:
            goes_on = self._perform(job)
            # The lookout may find the connection in use each time it comes.
            if time.monotonic() >= self.next_look:
                self._look()
        return goes_on

    def _perform(self, job: _Job) -> bool:
        if job.mode is Mode.STOP:
            self._finish(job)
            return False
        if job.reply.cancelled():
            return True
        result, error, change = None, None, None
        findings: _Findings = ()
        try:
            result, wrote = self._run(job)
            if wrote and self.has_listeners:
                change = DatabaseChange(job.origin)
        except BaseException as raised:
            error = translation(raised, self._name)
        # Who has queued more would have to wait, and one read after that will find as much.
        if change is not None and self.prefetches and self._jobs.empty():
            findings = self._prefetch(job.origin)
        return self._deliver(job.reply, result, error, change, findings)

    def _prefetch(self, origin: object) -> _Findings:
        findings: list[tuple[Prefetch[Any], Found[Any]]] = []
        for prefetch in self.prefetches:
            read = prefetch.begin() if prefetch.origin is not origin else None
            if read is None or self._connection is None:
                continue
            try:
                with self._told(self._connection):
                    findings.append((prefetch, Found(read, _read(self._connection, read, ()))))
            except Exception as error:
                # Whoever wants it will try himself, and be told.
                _log.debug("%s: could not read ahead: %s", self._name, error)
        return findings

    def _run(self, job: _Job) -> tuple[Any, bool]:
        if job.mode is Mode.REOPEN:
            self._reopen(job)
            return None, True
        connection = self._connection
        if connection is None:
            raise DatabaseClosedError(f"{self._name} could not be reopened: close it and open it again.")
        if self._tell_sql is None:
            return self._call(connection, job)
        with self._told(connection):
            return self._call(connection, job)

    def _call(self, connection: apsw.Connection, job: _Job) -> tuple[Any, bool]:
        match job.mode:
            case Mode.READ:
                return _read(connection, job.function, job.args), False
            case Mode.WRITE:
                self._engine.before_writing(connection)
                return _write(connection, job, self._engine)
            case _:
                self._engine.before_writing(connection)
                return _run(connection, job, self._engine)

    @contextmanager
    def _told(self, connection: apsw.Connection) -> Iterator[None]:
        """Have the statements of a block told, if anybody asks."""
        tell_sql = self._tell_sql
        if tell_sql is None:
            yield
            return

        def trace(cursor: apsw.Cursor, sql: str, bindings: Any) -> bool:
            self._call_soon(tell_sql, sql, () if bindings is None else bindings)
            return True

        connection.exec_trace = trace
        try:
            yield
        finally:
            connection.exec_trace = None

    def _reopen(self, job: _Job) -> None:
        if self._connection is not None:
            self._engine.close(self._connection)
            self._connection = None
        try:
            job.function(*job.args)
        finally:
            self._connect()

    def _finish(self, job: _Job) -> None:
        error: BaseException | None = None
        try:
            if self._connection is not None:
                with translated(self._name):
                    self._engine.close(self._connection)
        except BaseException as raised:
            error = raised
        self._connection = None
        self._deliver(job.reply, None, error, None)

    def _look(self) -> None:
        self.next_look = time.monotonic() + self.lookout.pause(self.poll_interval)
        connection = self._connection
        if connection is None:
            return
        try:
            version = _without_waiting(connection, _committed_by_others)
        except apsw.BusyError:
            return
        except apsw.Error as error:
            if not self._poll_failed:
                _log.warning("%s: cannot look for others' commits, will keep trying: %s", self._name, error)
            self._poll_failed = True
            return
        self._poll_failed = False
        if version != self._data_version:
            self._data_version = version
            if self.has_listeners:
                self._call_soon(self._tell, DatabaseChange(external=True))

    def _deliver(
        self,
        reply: Reply[Any],
        result: object,
        error: BaseException | None,
        change: DatabaseChange | None,
        findings: _Findings = (),
    ) -> bool:
        return self._call_soon(self._settle, reply, result, error, change, findings)

    def _settle(
        self,
        reply: Reply[Any],
        result: object,
        error: BaseException | None,
        change: DatabaseChange | None,
        findings: _Findings,
    ) -> None:
        go_on = reply.settle(result, error)
        if change is not None:
            for prefetch, found in findings:
                prefetch.show(found)
            self._tell(change)
            for prefetch, _ in findings:
                prefetch.show(None)
        go_on()

    def _call_soon(self, function: Callable[..., None], *args: object) -> bool:
        """Tell whether the loop is still there; without it nobody can use the connection any more."""
        try:
            self._loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            if self._connection is not None:
                self._engine.close(self._connection)
                self._connection = None
            return False
        return True


class _Job:
    __slots__ = ("args", "function", "mode", "origin", "reply")

    def __init__(
        self,
        mode: Mode,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        origin: object,
        reply: Reply[Any],
    ) -> None:
        self.mode = mode
        self.function = function
        self.args = args
        self.origin = origin
        self.reply = reply


def _read(connection: apsw.Connection, function: Callable[..., Any], args: tuple[Any, ...]) -> Any:
    changes = connection.total_changes()
    connection.execute("BEGIN")
    try:
        result = function(connection, *args)
        if connection.total_changes() != changes:
            raise DatabaseError("The function wrote although it was given to read(): give it to write().")
        return result
    finally:
        # Unlike COMMIT, ROLLBACK makes cr-sqlite look at the schema again, which others may have changed.
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _write(connection: apsw.Connection, job: _Job, engine: Engine) -> tuple[Any, bool]:
    before = connection.total_changes()
    with transaction(connection, after_failure=engine.after_failure):
        result = job.function(connection, *job.args)
    return result, connection.total_changes() != before


def _run(connection: apsw.Connection, job: _Job, engine: Engine) -> tuple[Any, bool]:
    # The first tells of rows, the second of schema changes (and, once, of others' commits).
    before = connection.total_changes(), connection.data_version()
    try:
        result = job.function(connection, *job.args)
        if connection.in_transaction:
            raise DatabaseError("The function left a transaction open: let it commit or roll back.")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        engine.after_failure(connection)
        raise
    return result, (connection.total_changes(), connection.data_version()) != before


def _without_waiting(connection: apsw.Connection, look: Callable[[apsw.Connection], int]) -> int:
    """Nobody's commit is so urgent that other databases, or jobs, should wait for a lock."""
    busy_timeout: int = connection.execute("PRAGMA busy_timeout").get
    connection.set_busy_timeout(0)
    try:
        return look(connection)
    finally:
        connection.set_busy_timeout(busy_timeout)


def _committed_by_others(connection: apsw.Connection) -> int:
    version: int = connection.execute("PRAGMA data_version").get
    return version


def _nothing() -> None:
    return
