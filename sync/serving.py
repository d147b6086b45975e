"""One client's connection at the server: who it is, how long it may stay, and what its session wants done."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any, Final, TypeVar

import apsw

from replicell.sync.access.gate import Gate
from replicell.sync.access.identity import Identity, Request
from replicell.sync.actions import Action, Authenticate, Close, FindSnapshot, ReadSnapshot, Send, Validate
from replicell.sync.change_sets import Validate as ValidateHook
from replicell.sync.change_sets import judge
from replicell.sync.counts import Counts
from replicell.sync.jobs import Job, TakenIn
from replicell.sync.limits import Limits, TokenBucket
from replicell.sync.log_records import tag_connection
from replicell.sync.presence import PresencePolicy
from replicell.sync.rooms import OpenRoom
from replicell.sync.server_session import Access, ServerSession
from replicell.sync.transport import Transport
from replicell.sync.turns import Turn
from replicell.sync.wire import Wire

__all__ = ["ServedConnection"]

_Found = TypeVar("_Found")

_log = logging.getLogger("replicell.sync.server")

_SECONDS_A_BATCH: Final = 0.0002
"""About what it takes to read a small batch, before it is applied, and to answer it."""
_TOKEN_PAUSE: Final = 0.2
"""Seconds between two looks at new tokens of one connection, so that nobody tries out many."""


class ServedConnection:
    """Runs a client's session with what only the server knows: its identity, its limits and its hooks.

    Args:
        transport: The connection.
        opened: The room.
        request: How the client has come.
        identity: Who it is.
        gate: Asked about new tokens.
        validate: Judges changes by their content; None takes all.
        limits: What it may have.
        bucket: How much it may do; None for anything.
        turn: Its part of the time in which changes are applied.
        wall_clock: The time in seconds since 1970.
        presence: What clients are told of each other.
        counts: Where it is counted what happens.
    """

    def __init__(
        self,
        transport: Transport,
        opened: OpenRoom,
        *,
        request: Request,
        identity: Identity,
        gate: Gate,
        validate: ValidateHook | None,
        limits: Limits,
        bucket: TokenBucket | None,
        turn: Turn,
        wall_clock: Callable[[], float],
        presence: PresencePolicy,
        counts: Counts,
    ) -> None:
        self._opened = opened
        self._request = request
        self._identity = identity
        self._gate = gate
        self._validate = validate
        self._limits = limits
        self._bucket = bucket
        self._turn = turn
        self._wall_clock = wall_clock
        self._counts = counts
        self._awaited_version = 0
        self._awaited_since = 0.0
        self._wire = Wire(transport, opened.db, opened)
        self._tasks: set[asyncio.Task[None]] = set()
        self._renewing = False
        self._session = ServerSession(
            emit=self._emit,
            room=opened.room,
            access=Access(
                write=identity.right(request.room) == "write",
                presence=presence != "off",
                shown_name=_printable(identity.name) or None if presence == "names" else None,
            ),
            validates=validate is not None,
            expires_in=self._expires_in,
            turn_size=turn.size,
            snapshots=True,
        )

    @property
    def room(self) -> str:
        """The room's name."""
        return self._request.room

    def lag(self, now: float) -> float:
        """Return for how many seconds the client has not had everything; 0 if it does.

        Args:
            now: The event loop's time.
        """
        if self._session.delivered >= self._awaited_version:
            return 0.0
        return now - self._awaited_since

    async def run(self, first: bytes | str | None) -> None:
        """Serve until the connection ends.

        Args:
            first: A frame that was read already.
        """
        tag_connection(self._request.room, self._identity.name, lambda: self._session.site_id)
        try:
            await self._wire.run(self._session, first)
        finally:
            for task in self._tasks:
                task.cancel()

    def tick(self, now: float) -> None:
        """Time has passed; to be called about every second.

        Args:
            now: The event loop's time.
        """
        session, idle = self._session, self._limits.idle_seconds
        if session.delivered >= self._awaited_version:
            self._awaited_version, self._awaited_since = self._opened.room.version, now
        left = self._expires_in
        if left is not None and left <= 0:
            session.close("expired", "the token has run out: connect with a new one")
        elif idle is not None and session.state == "live" and now > session.heard_at + idle:
            session.close("idle", f"nothing was said for {idle:g} seconds: come back when there is something")
        else:
            session.tick(now)

    @property
    def _expires_in(self) -> float | None:
        expires_at = self._identity.expires_at
        return None if expires_at is None else expires_at - self._wall_clock()

    def _emit(self, action: Action) -> None:
        match action:
            case Send(frame):
                self._wire.emit(action)
                self._counts.sent(frame)
            case Authenticate(token):
                # Tokens are looked at one by one; what comes meanwhile is superfluous.
                if not self._renewing:
                    self._renewing = True
                    self._start(self._renew(token))
            case Validate():
                self._start(self._judge(action))
            case FindSnapshot(wanted, done, failed):
                self._start(_from_shelf(self._opened.snapshots.find(wanted), done, failed))
            case ReadSnapshot(part, done, failed):
                read = self._opened.snapshots.read(part.id, part.offset, part.length)
                self._start(_from_shelf(read, done, failed))
            case Job() if action.changes:
                self._take_turn(action)
            case Close(reason, _):
                self._counts.closed_connections[reason] += 1
                self._wire.emit(action)
            case _:
                self._wire.emit(action)

    def _take_turn(self, job: Job[Any]) -> None:
        """Have changes applied when the limits and the others allow it."""
        seconds = self._turn.delay()
        if self._bucket is not None:
            seconds = max(seconds, self._bucket.take(job.changes))
        merge = _Timed(job.function)
        timed = Job(
            job.mode,
            merge,
            partial(self._applied, job, merge),
            partial(self._not_applied, job, merge),
            job.changes,
            job.batches,
        )
        if seconds > 0:
            self._start(self._merge_later(timed, seconds))
        else:
            self._merge(timed)

    def _merge(self, job: Job[Any]) -> None:
        self._opened.room.intake.add(self._wire.reported(job))

    def _applied(self, job: Job[Any], merge: _Timed, taken: TakenIn | None) -> None:
        # Whoever is told of it waits for that, and nobody for what is counted.
        job.done(taken)
        self._note(job, merge)
        if taken is not None and (taken.refused or taken.parked):
            self._counts.refused_changes.update(refusal.code for refusal in (*taken.refused, *taken.parked))

    def _not_applied(self, job: Job[Any], merge: _Timed, error: BaseException) -> None:
        self._note(job, merge)
        job.failed(error)

    def _note(self, job: Job[Any], merge: _Timed) -> None:
        if not merge.seconds:
            return  # It was never begun.
        self._turn.used(merge.seconds + job.batches * _SECONDS_A_BATCH)
        self._counts.changes_in += job.changes
        self._counts.apply_seconds.observe(merge.seconds)

    async def _merge_later(self, job: Job[Any], seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._merge(job)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _renew(self, token: str) -> None:
        try:
            wicket = await self._gate.ask(replace(self._request, token=token))
            if wicket.identity is None:
                self._session.not_renewed(wicket.reason)
            elif wicket.identity.right(self._request.room) != self._identity.right(self._request.room):
                self._session.close("expired", "with the new token other rights go: connect anew")
            else:
                self._identity = wicket.identity
                self._session.renewed(self._expires_in)
            await asyncio.sleep(_TOKEN_PAUSE)
        finally:
            self._renewing = False

    async def _judge(self, action: Validate) -> None:
        if self._validate is None:
            action.done([])
            return
        try:
            refused = await judge(
                self._validate,
                action.batches,
                self._request.room,
                self._session.site_id,
                self._identity,
                self._limits.hook_seconds,
            )
        except Exception as error:
            _log.exception(
                "room %r: changes of %r could not be judged", self._request.room, self._identity.name
            )
            action.failed(error)
        else:
            action.done(refused)


class _Timed:
    """A merge that knows how long it took."""

    __slots__ = ("_merge", "seconds")

    def __init__(self, merge: Callable[..., Any]) -> None:
        self._merge = merge
        self.seconds = 0.0

    def __call__(self, conn: apsw.Connection, **options: int) -> Any:
        began = time.perf_counter()
        try:
            return self._merge(conn, **options)
        finally:
            self.seconds = time.perf_counter() - began


async def _from_shelf(
    finding: Coroutine[Any, Any, _Found],
    done: Callable[[_Found], None],
    failed: Callable[[BaseException], None],
) -> None:
    try:
        found = await finding
    except Exception as error:
        failed(error)
    else:
        done(found)


def _printable(name: str) -> str:
    """Return a name as one that can be encoded, whatever a hook has made of it."""
    return name.encode(errors="replace").decode()
