"""A database's thread without a thread: its jobs run at moments that the seed chooses, and may end their
process before or after the commit."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Literal, Protocol, TypeAlias

import apsw

from replicell.persisters.replies import Reply
from replicell.persisters.sqlite.worker import DatabaseChange, Mode, Worker
from tests.simulation.cluster.loop import Life, VirtualLoop, current_life
from tests.simulation.commits import failing_commit

__all__ = ["Fate", "PacedWorker", "Plan"]

Fate: TypeAlias = Literal["fine", "crash before commit", "crash after commit", "disk fails"]

_WRITING: Final = (Mode.WRITE, Mode.RUN)


class Plan(Protocol):
    """What decides about jobs."""

    def seconds_of_job(self) -> float:
        """Return how long a job waits before it runs."""
        ...

    def fate_of_job(self, life: Life) -> Fate:
        """Decide what becomes of a job that writes."""
        ...

    def opened(self, life: Life, worker: PacedWorker) -> None:
        """Take note of a database that a process has opened."""
        ...

    def reopened(self, life: Life) -> None:
        """Take note that a process replaces its file, or changes what it is."""
        ...

    def committed(self, worker: PacedWorker) -> None:
        """Look at what has just been committed."""
        ...


class PacedWorker(Worker):
    """Runs jobs as `Worker` does, one after the other, but on the event loop.

    Which plan it follows says `plan`, for databases make their workers themselves.
    """

    plan: Plan

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        loop, life = self._loop, current_life()
        assert isinstance(loop, VirtualLoop) and life is not None
        self.path = self._name
        self.life = life
        self._virtual_loop = loop
        self._context = contextvars.copy_context()
        self._is_scheduled = False
        self._is_gone = False
        self._end: BaseException | None = None
        """How the next job that writes ends; None if nothing goes wrong."""
        life.on_kill.append(self.kill)
        loop.call_later(self.plan.seconds_of_job(), self._open, context=self._context)

    @property
    def connection(self) -> apsw.Connection | None:
        """The connection, between two jobs; None if it is not open."""
        return self._connection

    def submit(
        self, mode: Mode, function: Callable[..., Any], args: tuple[Any, ...], origin: object = None
    ) -> Reply[Any]:
        if self._is_gone:
            return Reply(loop=self._virtual_loop)
        reply = super().submit(mode, function, args, origin)
        self._schedule()
        return reply

    def kill(self) -> None:
        """The process is gone: what is committed stays, and nobody is told of anything."""
        self._is_gone = self.is_stopping = True
        if self._connection is not None:
            self._engine.close(self._connection)
            self._connection = None

    def look(self) -> None:
        """Find out whether another program has written to the file."""
        if not self._is_gone:
            # Whoever has written to the file, what follows from it is done by this process.
            self._context.copy().run(super().look)

    def _main(self) -> None:
        """The thread has nothing to do."""

    def _open(self) -> None:
        super()._main()

    def _work(self) -> None:
        """Jobs run, and the file is looked at, when the seed says so; here it was just opened."""
        if self._connection is not None:
            # Processes crash here, power does not fail.
            self._connection.execute("PRAGMA synchronous = OFF")
        self.plan.opened(self.life, self)
        self._schedule()

    def _schedule(self) -> None:
        if not self._is_scheduled and self._connection is not None and not self._jobs.empty():
            self._is_scheduled = True
            self._virtual_loop.call_later(
                self.plan.seconds_of_job(), self._run_next, context=self._context.copy()
            )

    def _run_next(self) -> None:
        self._is_scheduled = False
        job = self._jobs.get_nowait()
        fate: Fate = "fine"
        if job.mode in _WRITING and not job.reply.cancelled():
            fate = self.plan.fate_of_job(self.life)
        if job.mode is Mode.REOPEN:
            self.plan.reopened(self.life)
        end = _ENDS.get(fate)
        self._end = None if end is None else end()
        if fate.startswith("crash"):
            # Before its reply is settled, or somebody could still learn that it was committed.
            self._is_gone = True
        self._perform(job)
        if fate.startswith("crash"):
            self.life.kill()
            return
        if job.mode in _WRITING:
            self.plan.committed(self)
        self._schedule()

    def _call(self, connection: apsw.Connection, job: Any) -> tuple[Any, bool]:
        end, self._end = self._end, None
        with failing_commit(connection, end):
            return super()._call(connection, job)

    def _settle(
        self,
        reply: Reply[Any],
        result: object,
        error: BaseException | None,
        change: DatabaseChange | None,
        findings: Any,
    ) -> None:
        if not self._is_gone:
            super()._settle(reply, result, error, change, findings)


class _CrashError(BaseException):
    """The process ends in the middle of a transaction."""


_ENDS: Final[dict[Fate, Callable[[], BaseException]]] = {
    "crash before commit": _CrashError,
    "disk fails": partial(apsw.FullError, "the disk is full"),
}
