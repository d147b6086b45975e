"""Letting clients in, whatever server they come through: who may have a connection, and serving it."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Collection, Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs, urlsplit

from replicell.errors import ReplicellError
from replicell.persisters.errors import PersisterError
from replicell.sync.access import Identity, Request, room_name
from replicell.sync.access.gate import NO_TOKEN, Gate, Verdict, Wicket
from replicell.sync.actions import CLOSE_CODES
from replicell.sync.attendance import Attendance, Party, Seat, party_of
from replicell.sync.change_sets import Validate
from replicell.sync.client_addresses import ClientAddresses
from replicell.sync.counts import Counts
from replicell.sync.errors import DecodeError, NoRoomError, RoomNameError, SyncClosedError, TooManyRoomsError
from replicell.sync.limits import Limits, TokenBucket
from replicell.sync.messages import Hello, Problem, decode, encode
from replicell.sync.overview import RoomOverview
from replicell.sync.pages import Answer, Pages
from replicell.sync.presence import PresencePolicy
from replicell.sync.room_making import RoomMaking
from replicell.sync.rooms import OpenRoom, RoomHost
from replicell.sync.serving import ServedConnection
from replicell.sync.transport import Transport
from replicell.sync.turns import Turn, Turns
from replicell.sync.wire import short_reason

__all__ = ["Reception", "Visit"]

_log = logging.getLogger("replicell.sync.server")

_RETRY_AFTER_SECONDS: Final = 5
_SEE_LOG: Final = "the room cannot be opened, see the server's log"
_STATUSES: Final[dict[Verdict, HTTPStatus]] = {
    "unauthorized": HTTPStatus.UNAUTHORIZED,
    "forbidden": HTTPStatus.FORBIDDEN,
    "internal": HTTPStatus.INTERNAL_SERVER_ERROR,
}


class Visit:
    """One connection, from when it arrives until it leaves.

    Args:
        attendance: Where it counts.
    """

    def __init__(self, attendance: Attendance) -> None:
        self.seat = Seat(attendance)
        self.wanted: Request | None = None
        self.admitted: Identity | None = None


class Reception:
    """Decides about those who come, and serves those who are let in.

    Args:
        rooms: The rooms.
        gate: Asked who somebody is.
        limits: What a client may have.
        addresses: Finds out whom a proxy speaks for.
        attendance: Counts those who are there.
        origins: Web pages whose programs may connect, None for all.
        validate: Judges changes by their content; None takes all.
        presence: What clients are told of each other.
        turns: Shares the time in which changes are applied.
        clock: The time in seconds since 1970.
        pages: What is told over plain HTTP.
        counts: Where it is counted what happens.
    """

    def __init__(
        self,
        *,
        rooms: RoomHost,
        gate: Gate,
        limits: Limits,
        addresses: ClientAddresses,
        attendance: Attendance,
        origins: Collection[str] | None,
        validate: Validate | None,
        presence: PresencePolicy,
        turns: Turns,
        clock: Callable[[], float],
        pages: Pages,
        counts: Counts,
    ) -> None:
        self._rooms = rooms
        self._gate = gate
        self._limits = limits
        self._addresses = addresses
        self.attendance = attendance
        self._origins = origins
        self._validate = validate
        self._presence: PresencePolicy = presence
        self._turns = turns
        self._making = RoomMaking(turns)
        self._clock = clock
        self.pages = pages
        self._counts = counts
        self._served: set[ServedConnection] = set()

    @property
    def limits(self) -> Limits:
        """What a client may have."""
        return self._limits

    def close_to_new_rooms(self, is_over: bool) -> None:
        """Make no rooms any more, or again; who waits for one has gone, or is sent away."""
        self._making.is_over = is_over

    def overview(self) -> list[RoomOverview]:
        """Return how the open rooms and their clients are."""
        rooms = {name: RoomOverview(name) for name in self._rooms.names}
        now = asyncio.get_running_loop().time()
        for served in self._served:
            rooms.setdefault(served.room, RoomOverview(served.room)).lags.append(served.lag(now))
        return list(rooms.values())

    async def receive(
        self, visit: Visit, target: str, raw_headers: Iterable[tuple[str, str]], peer: str
    ) -> Answer | None:
        """Decide whether somebody gets a websocket.

        Args:
            visit: The connection; what is found out is noted there.
            target: The path and the query, percent-encoded.
            raw_headers: The HTTP request's headers in their order.
            peer: The address at the other end of the connection.

        Returns:
            Why not; None if it does.
        """
        answer = await self._judge(visit, target, raw_headers, peer)
        if answer is not None:
            self._counts.refused_connections[str(int(answer.status))] += 1
        return answer

    async def _judge(
        self, visit: Visit, target: str, raw_headers: Iterable[tuple[str, str]], peer: str
    ) -> Answer | None:
        try:
            wanted = self._read_request(target, raw_headers, peer)
        except (RoomNameError, ValueError) as error:
            return Answer(HTTPStatus.BAD_REQUEST, f"{error}\n")
        wait = self.attendance.attempt(wanted.address)
        if wait > 0:
            return _later(f"{wanted.address} tries to connect too often: try again later", wait)
        if wanted.origin is not None and self._origins is not None and wanted.origin not in self._origins:
            return Answer(HTTPStatus.FORBIDDEN, f"pages of {wanted.origin} may not connect here\n")
        refusal = visit.seat.take(wanted.address)
        if refusal is not None:
            _log.info("room %r: %s", wanted.room, refusal)
            return _later(refusal, _RETRY_AFTER_SECONDS)
        wicket = await self._gate.ask(wanted)
        visit.admitted, visit.wanted = wicket.identity, wanted
        if wicket.reason == NO_TOKEN:
            # It may come in the first message, which the gate is asked about then.
            return None
        if wicket.verdict is not None:
            _log.info("room %r, %s: %s", wanted.room, wanted.address, wicket.reason)
            return Answer(_STATUSES[wicket.verdict], f"{wicket.reason}\n")
        return None

    async def serve(self, transport: Transport, visit: Visit) -> None:
        """Serve a connection until it ends."""
        wanted, identity, first = visit.wanted, visit.admitted, None
        if wanted is None:
            return
        try:
            if identity is None:
                async with asyncio.timeout(self._limits.handshake_seconds):
                    first = await transport.recv()
                identity = await self._admit(transport, wanted, first)
        except TimeoutError:
            self._counts.refused_connections["timeout"] += 1
            await transport.close(CLOSE_CODES["timeout"], "no first message came")
        except transport.lost:
            return
        if identity is None:
            return
        if identity.expires_at is not None and identity.expires_at <= self._clock():
            self._counts.refused_connections["expired"] += 1
            await transport.close(CLOSE_CODES["expired"], "the token has run out: connect with a new one")
            return
        party = party_of(identity, wanted.address)
        bucket = self.attendance.bucket(party)
        # Of the nameless nobody knows whether they are one: behind one address there may be many.
        turn = self._turns.enter(party if party.kind == "name" else None)
        try:
            await self._serve(transport, wanted, identity, party, bucket, turn, first)
        finally:
            self._turns.leave(turn)
            self.attendance.return_bucket(party)

    def tick(self, now: float) -> None:
        """Time has passed; to be called about every second.

        Args:
            now: The event loop's time.
        """
        self.attendance.tick()
        self._turns.tick()
        for served in list(self._served):
            served.tick(now)

    def _read_request(self, target: str, raw_headers: Iterable[tuple[str, str]], peer: str) -> Request:
        parts = urlsplit(target)
        headers: dict[str, str] = {}
        for name, value in raw_headers:
            name = name.lower()
            if name == "authorization" and name in headers:
                raise ValueError("the Authorization header was sent more than once")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        query = parse_qs(parts.query)
        return Request(
            room=room_name(parts.path),
            token=_bearer(headers.get("authorization", "")) or next(iter(query.get("token", ())), None),
            headers=headers,
            query=query,
            address=self._addresses.find(peer, headers),
            origin=headers.get("origin"),
        )

    async def _serve(
        self,
        transport: Transport,
        wanted: Request,
        identity: Identity,
        party: Party,
        bucket: TokenBucket | None,
        turn: Turn,
        first: bytes | str | None,
    ) -> None:
        async with AsyncExitStack() as stack:
            opened = await self._enter(stack, transport, wanted.room, identity, party)
            if opened is None:
                return
            served = ServedConnection(
                transport,
                opened,
                request=wanted,
                identity=identity,
                gate=self._gate,
                validate=self._validate,
                limits=self._limits,
                bucket=bucket,
                turn=turn,
                wall_clock=self._clock,
                presence=self._presence,
                counts=self._counts,
            )
            self._served.add(served)
            try:
                await served.run(first)
            except PersisterError as error:
                _log.error("room %r: its database cannot be used: %s", wanted.room, error)
                self._counts.closed_connections["internal"] += 1
                await transport.close(CLOSE_CODES["internal"], _SEE_LOG)
            finally:
                self._served.discard(served)

    async def _enter(
        self, stack: AsyncExitStack, transport: Transport, room: str, identity: Identity, party: Party
    ) -> OpenRoom | None:
        """Open a room until the stack is left; None, and the client is told why, if it cannot be."""
        may_make = identity.right(room) == "write"
        entered = self._rooms.entered(room, may_make=may_make)
        try:
            if not may_make or self._rooms.has(room):
                return await stack.enter_async_context(entered)
            async with self._making.turn(party):
                return await stack.enter_async_context(entered)
        except TooManyRoomsError as error:
            _log.warning("room %r: %s", room, error)
            reason, text = "too_many", str(error)
        except SyncClosedError:
            return None
        except NoRoomError as error:
            _log.info("room %r: %s", room, error)
            reason, text = "no_room", str(error)
        except (ReplicellError, OSError) as error:
            _log.error("room %r cannot be opened: %s", room, error)
            self._counts.unopened_rooms += 1
            reason, text = "internal", _SEE_LOG
        self._counts.refused_connections[reason] += 1
        await transport.close(CLOSE_CODES[reason], short_reason(text))
        return None

    async def _admit(self, transport: Transport, wanted: Request, first: bytes | str) -> Identity | None:
        """Find out from the first message what a client may do; nothing is opened for strangers."""
        try:
            hello = decode(first)
        except DecodeError:
            hello = None
        token = hello.token if isinstance(hello, Hello) else None
        wicket = (
            await self._gate.ask(replace(wanted, token=token))
            if token is not None
            else Wicket(None, "unauthorized", NO_TOKEN)
        )
        if wicket.verdict is not None:
            _log.info("room %r, %s: %s", wanted.room, wanted.address, wicket.reason)
            self._counts.refused_connections[wicket.verdict] += 1
            problem = Problem(wicket.verdict, wicket.reason)
            await transport.send(encode(problem, "json" if isinstance(first, str) else "msgpack"))
            await transport.close(CLOSE_CODES[wicket.verdict], short_reason(wicket.reason))
        return wicket.identity


def _later(refusal: str, seconds: float) -> Answer:
    retry = str(max(_RETRY_AFTER_SECONDS, math.ceil(seconds)))
    return Answer(HTTPStatus.TOO_MANY_REQUESTS, f"{refusal}\n", (("Retry-After", retry),))


def _bearer(header: str) -> str | None:
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None
