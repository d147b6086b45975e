"""The server's side of one client's connection."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, TypeVar

import apsw

from replicell.persisters.crsqlite.epochs import EPOCH_BYTES, Cursor
from replicell.persisters.crsqlite.identity import SITE_ID_BYTES
from replicell.sync.actions import Emit
from replicell.sync.errors import ProtocolError
from replicell.sync.inbound import Inbound
from replicell.sync.jobs import Batch, Drained, Greeting, Job, TakenIn, greet, register, take_in
from replicell.sync.ledger import store_peer
from replicell.sync.messages import (
    PROTOCOL,
    Changes,
    Encoding,
    Hello,
    Mark,
    Marked,
    Message,
    Ready,
    TableAnnouncement,
    Welcome,
)
from replicell.sync.outbound import Outbound
from replicell.sync.session import Session

if TYPE_CHECKING:
    from replicell.sync.room import Room

__all__ = ["Access", "ServerSession"]

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Access:
    """What a client may do in a room.

    Args:
        write: Whether its changes are taken; it may read in any case.
    """

    write: bool = True


class _Lease:
    """Whether a session is still its client's newest; looked at by its database jobs, in the database's
    thread."""

    __slots__ = ("valid",)

    def __init__(self) -> None:
        self.valid = True


class ServerSession(Session):
    """Takes one client's changes into a room and sends it everybody else's.

    Args:
        emit: Takes the actions.
        room: The room it is connected to.
        access: What it may do there.
    """

    log: ClassVar[logging.Logger] = logging.getLogger("replicell.sync.server")
    trusts_peer: ClassVar[bool] = False

    def __init__(
        self,
        *,
        emit: Emit,
        room: Room,
        access: Access,
    ) -> None:
        super().__init__(
            emit=emit, catalog=room.catalog, schema_policy=room.schema_policy, options=room.options
        )
        self._room = room
        self._access = access
        self._lease = _Lease()
        self._greeting: Greeting | None = None
        self.site_id = b""

    def receive(self, frame: bytes | str, now: float) -> None:
        encoding: Encoding = "json" if isinstance(frame, str) else "msgpack"
        if self.state == "handshake":
            self._encoding = encoding
        super().receive(frame, now)

    def pump(self) -> None:
        """The room has something new."""
        if self._outbound is not None:
            self._outbound.pump()

    def announce_tables(self, tables: list[TableAnnouncement], cookie: object) -> None:
        """The room's tables have changed."""
        if self._outbound is not None:
            self._outbound.announce_tables(tables, cookie)

    def replaced(self) -> None:
        """The same client has come again on another connection."""
        self._lease.valid = False
        # Short enough for the reason of a closing frame.
        text = "another program syncs this file, or a copy of it, with this room: close one of them"
        self._problem("replaced", text)
        self.close("replaced", text)

    def connection_lost(self) -> None:
        super().connection_lost()
        self._room.leave(self)

    def _on_message(self, message: Message) -> None:
        match message:
            case Hello() if self.state == "handshake" and not self.site_id:
                self._on_hello(message)
            case Ready() if self.state == "handshake" and self._greeting is not None:
                self._on_ready(message, self._greeting)
            case Mark(number) if self._outbound is not None:
                self._outbound.announce_up_to(self._room.version)
                self._send(Marked(number, self._room.version))
            case _:
                super()._on_message(message)

    def _on_hello(self, hello: Hello) -> None:
        if hello.protocol != PROTOCOL:
            raise ProtocolError(f"this server speaks protocol {PROTOCOL}, not {hello.protocol}")
        if len(hello.site_id) != SITE_ID_BYTES:
            raise ProtocolError(f"a site id has {SITE_ID_BYTES} bytes, not {len(hello.site_id)}")
        if hello.site_id == self._room.site_id:
            # The client goes by itself, once it has taken note; else the handshake's time runs out.
            self._problem("forked", "this database is a copy of the server's own: give it a new site id")
            return
        self.site_id = hello.site_id
        self._room.join(self)
        if self._access.write:
            self._adopt(hello.tables, partial(self._greet, hello))
        else:
            self._greet(hello)

    def _greet(self, hello: Hello) -> None:
        look_up = partial(greet, catalog=self._catalog, site_id=hello.site_id, cursors=hello.cursors)
        self._job("read", look_up, self._greeted)

    def _greeted(self, greeting: Greeting) -> None:
        if greeting.reset:
            self.log.warning(
                "client %s has seen what this room has lost: all begins anew", self.site_id.hex()
            )
        self._room.describe(greeting.tables, greeting.cookie)
        self._greeting = greeting
        self._send(
            Welcome(
                protocol=PROTOCOL,
                site_id=self._room.site_id,
                epoch=greeting.epoch,
                version=greeting.version,
                known=greeting.known,
                since=greeting.since,
                reset=greeting.reset,
                tables=greeting.tables,
                max_message_size=self._room.max_message_size,
                read_only=not self._access.write,
            )
        )

    def _on_ready(self, ready: Ready, greeting: Greeting) -> None:
        known = greeting.known.version if greeting.known is not None else 0
        if len(ready.epoch) != EPOCH_BYTES or not 0 <= ready.since <= known:
            raise ProtocolError(f"changes after version {ready.since} would leave a gap: {known} is known")
        self.state = "live"
        self._inbound = Inbound(
            emit=self._emit,
            encoding=self._encoding,
            apply=self._apply,
            transaction_bytes=self._options.transaction_bytes,
        )
        self._inbound.begin(ready.since)
        self._outbound = Outbound(
            emit=self._emit,
            catalog=self._catalog,
            options=self._options,
            encoding=self._encoding,
            receiver=self.site_id,
            next_batch=self._room.next_batch,
            has_more=self._room.has_more,
            failed=self._job_failed,
            ring=self._room.ring,
        )
        if self._access.write:
            cursor = Cursor(self.site_id, ready.epoch, known)
            self._job("write", partial(_if_valid, self._lease, partial(register, cursor=cursor)), _nothing)
        self._outbound.begin(
            since=greeting.since,
            everything_until=greeting.version if greeting.unmet else 0,
            epoch=greeting.epoch,
            cookie=greeting.cookie,
            now=self._now,
        )

    def _on_changes(self, changes: Changes, size: int) -> None:
        if not self._access.write:
            self._problem("read_only", "changes are not taken from this client: it may only read")
            return
        super()._on_changes(changes, size)

    def _apply(self, batches: list[Batch]) -> None:
        take = partial(
            take_in,
            catalog=self._catalog,
            batches=batches,
            site_id=self.site_id,
            store_cursor=store_peer,
            trusted=self.trusts_peer,
            batch=self._room.next_batch(),
        )
        self._emit(Job("write", partial(_if_valid, self._lease, take), self._taken_in, self._job_failed))

    def _taken_in(self, taken: TakenIn | None) -> None:
        """Also when the connection has gone meanwhile: the others are to have what was committed."""
        if taken is None:
            return
        if self.state != "closed" and self._inbound is not None:
            self._inbound.applied()
            self._report(taken)
        self._room.committed(taken, self.site_id)

    def _report(self, taken: TakenIn) -> None:
        self._was_parked(taken)
        if taken.refused or taken.parked:
            parked = f", {len(taken.parked)} wait for a table or column" if taken.parked else ""
            full = (
                f", {taken.turned_away} of them were turned away because too many wait"
                if taken.turned_away
                else ""
            )
            named = self._named_rows(taken)
            text = (
                f"not applied: {len(taken.refused)}{parked}{full}; "
                f"the first is of table {named[0].table!r}, column {named[0].cid!r}: {named[0].reason}"
            )
            self.log.warning("changes from client %s: %s", self.site_id.hex(), text)
            self._problem("refused", f"changes {text}", named)

    def _on_schema_problems(self, problems: list[str]) -> None:
        super()._on_schema_problems(problems)
        self._problem("schema", "changes to these are parked until they fit: " + "; ".join(problems))

    def _on_drained(self, drained: Drained) -> None:
        self._room.describe(drained.tables, drained.cookie)
        if drained.merged:
            self._room.changed()


def _if_valid(
    lease: _Lease, job: Callable[[apsw.Connection], _Result], conn: apsw.Connection
) -> _Result | None:
    # A replaced session's late batches must not move the cursor of the copy that has taken its place.
    return job(conn) if lease.valid else None


def _nothing(_: object) -> None:
    """What is done after a job whose result does not matter."""
