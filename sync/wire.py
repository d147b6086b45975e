"""Runs one session over one websocket: moves its frames, runs its jobs, closes it."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, Final, Protocol

from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.sync.actions import (
    CLOSE_CODES,
    Action,
    AdoptSnapshot,
    Close,
    Later,
    Progress,
    Reidentify,
    Send,
)
from replicell.sync.jobs import Job
from replicell.sync.session import Session
from replicell.sync.transport import Transport

__all__ = ["Wire", "run_job", "short_reason"]

_HOLD_BYTES: Final = 1024 * 1024
_RESUME_BYTES: Final = 256 * 1024
_MOST_OUTGOING_BYTES: Final = 8 * 1024 * 1024
"""More than changes alone can be, which are held back before: who does not read answers asks no more."""
_BACKLOG_BYTES: Final = 2 * 1024 * 1024
"""More than the window that a well-behaved sender keeps to."""
_NORMAL: Final = 1000
_REASON_BYTES: Final = 120
_LONGEST_TURN: Final = 0.002
"""Seconds for which one connection may keep the event loop from the others."""

_log = logging.getLogger("replicell.sync")


class _Owner(Protocol):
    """Who runs a session and wants to know what becomes of it."""

    def on_progress(self) -> None: ...

    def on_reidentify(self, message: str) -> None: ...

    def on_snapshot(self, snapshot: AdoptSnapshot) -> None: ...


def run_job(db: CrSqliteDatabase, job: Job[Any], origin: object) -> None:
    """Run a job on the database's thread and tell it how it went."""
    try:
        if job.mode == "read":
            future = db.read(job.function)
        elif job.mode == "write":
            future = db.write(job.function, origin=origin)
        else:
            future = db.run(job.function, origin=origin)
    except Exception as error:
        asyncio.get_running_loop().call_soon(job.failed, error)
        return
    future.call_at_once(lambda done: _finish(job, done))


def _finish(job: Job[Any], future: asyncio.Future[Any]) -> None:
    if future.cancelled():
        job.failed(asyncio.CancelledError())
        return
    error = future.exception()
    if error is None:
        job.done(future.result())
    else:
        job.failed(error)


def short_reason(message: str) -> str:
    """Return as much of a text as fits into a closing frame."""
    return message.encode()[:_REASON_BYTES].decode(errors="ignore")


class Wire:
    """The shell around a session: nothing in it decides anything.

    Args:
        transport: An open connection.
        db: The session's database.
        owner: Told about progress.
    """

    def __init__(self, transport: Transport, db: CrSqliteDatabase, owner: _Owner) -> None:
        self._transport = transport
        self._db = db
        self._owner = owner
        self._session: Session | None = None
        self._outgoing: deque[bytes | str] = deque()
        self._outgoing_bytes = 0
        self._holding = False
        self._writer: asyncio.Task[None] | None = None
        self._closer: asyncio.Task[None] | None = None
        self._less_backlog = asyncio.Event()
        self._is_listening = False
        self._fault: Exception | None = None

    def emit(self, action: Action) -> None:
        """Do what the session wants done."""
        match action:
            case Send(frame):
                self._write(frame)
            case Job():
                run_job(self._db, self.reported(action), self._owner)
            case Close(reason, message):
                self._close(CLOSE_CODES[reason], message)
            case Reidentify(message):
                self._owner.on_reidentify(message)
                self._close(CLOSE_CODES["forked"], message)
            case AdoptSnapshot():
                self._owner.on_snapshot(action)
                self._close(_NORMAL, "the snapshot is here: I come back with it")
            case Progress():
                self._owner.on_progress()
            case Later(seconds, call):
                asyncio.get_running_loop().call_later(seconds, self._call, call)

    async def run(self, session: Session, first: bytes | str | None = None) -> None:
        """Run a session until the connection ends; frames that come faster than they are applied wait in the
        socket.

        Args:
            session: A session whose actions go to `emit`.
            first: A frame that was read already.
        """
        self._session = session
        now = asyncio.get_running_loop().time
        session.start(now())
        context = copy_context()
        self._transport.hand_over(lambda frame: context.run(self._take, session, frame, now()))
        try:
            if first is not None:
                session.receive(first, now())
            rested_at = now()
            self._is_listening = True
            async for frame in self._transport:
                self._is_listening = False
                if self._fault is not None:
                    raise self._fault
                while self._is_clogged(session) and session.state != "closed":
                    self._less_backlog.clear()
                    await self._less_backlog.wait()
                    rested_at = now()
                session.receive(frame, now())
                # Frames that are here already are given out without a turn of the loop.
                if now() > rested_at + _LONGEST_TURN:
                    await asyncio.sleep(0)
                    rested_at = now()
                self._is_listening = True
        except self._transport.lost:
            _log.debug("the connection ended without a closing handshake")
        finally:
            self._transport.hand_over(None)
            session.connection_lost()
            await self._finish()

    def _take(self, session: Session, frame: bytes, now: float) -> bool:
        """Give the session a frame that came alone, unless it should wait."""
        if not self._is_listening or self._is_clogged(session):
            return False
        try:
            session.receive(frame, now)
        except Exception as error:
            # For who runs the session, not for the event loop; the frame wakes him.
            self._fault = error
            return False
        return True

    def _is_clogged(self, session: Session) -> bool:
        """Whether more is under way than the other side should be asked for."""
        return session.backlog > _BACKLOG_BYTES or session.busy or self._outgoing_bytes > _MOST_OUTGOING_BYTES

    def reported(self, job: Job[Any]) -> Job[Any]:
        """Return a job of the session's, to be run by somebody else, of whose end the owner is told."""

        def done(result: object) -> None:
            job.done(result)
            self._less_backlog.set()
            self._owner.on_progress()

        return Job(job.mode, job.function, done, job.failed, job.changes, job.batches)

    def _call(self, call: Callable[[], object]) -> None:
        call()
        self._less_backlog.set()

    def _write(self, frame: bytes | str) -> None:
        # Straight into the socket's buffer while that is empty: the way through a task costs a turn of the
        # loop.
        if not self._outgoing and self._transport.send_at_once(frame):
            return
        self._outgoing.append(frame)
        self._outgoing_bytes += len(frame)
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._drain())
        if self._outgoing_bytes > _HOLD_BYTES and not self._holding:
            self._holding = True
            self._hold(True)

    async def _drain(self) -> None:
        try:
            while self._outgoing:
                # Taken out only once it is sent, so that no later frame can overtake it.
                frame = self._outgoing[0]
                await self._transport.send(frame)
                self._outgoing.popleft()
                self._outgoing_bytes -= len(frame)
                self._less_backlog.set()
                if self._holding and self._outgoing_bytes <= _RESUME_BYTES:
                    self._holding = False
                    self._hold(False)
        except self._transport.lost:
            self._outgoing.clear()
            self._outgoing_bytes = 0
            self._less_backlog.set()
        finally:
            self._writer = None

    def _hold(self, held: bool) -> None:
        if self._session is not None:
            self._session.hold_sending(held)

    def _close(self, code: int, message: str) -> None:
        self._less_backlog.set()
        if self._closer is None:
            self._closer = asyncio.get_running_loop().create_task(self._say_goodbye(code, message))

    async def _say_goodbye(self, code: int, message: str) -> None:
        if self._writer is not None:
            await asyncio.wait([self._writer], timeout=1)
        await self._transport.close(code, short_reason(message))

    async def _finish(self) -> None:
        for task in (self._closer, self._writer):
            if task is not None:
                await asyncio.wait([task], timeout=5)
                if not task.done():
                    task.cancel()
