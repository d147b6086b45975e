"""The server's side of one client's connection."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

import apsw

from replicell.persisters.crsqlite.changes import Change
from replicell.persisters.crsqlite.epochs import EPOCH_BYTES, Cursor
from replicell.persisters.crsqlite.identity import SITE_ID_BYTES
from replicell.persisters.crsqlite.rules import Refusal
from replicell.sync.actions import Authenticate, Emit, Send, Validate
from replicell.sync.chatter import Chatter
from replicell.sync.download import SNAPSHOT_PATIENCE
from replicell.sync.errors import PresenceError, ProtocolError
from replicell.sync.inbound import Inbound
from replicell.sync.jobs import (
    Batch,
    Drained,
    Greeting,
    Job,
    TakenIn,
    greet,
    register,
    row_changes,
    take_in,
)
from replicell.sync.ledger import LOG_SITE_ID, store_peer
from replicell.sync.messages import (
    PROTOCOL,
    AskPart,
    AskRow,
    AskSnapshot,
    Changes,
    Encoding,
    Hello,
    Mark,
    Marked,
    Message,
    Present,
    Ready,
    Renewed,
    Row,
    Schema,
    TableAnnouncement,
    Token,
    Welcome,
)
from replicell.sync.outbound import Outbound
from replicell.sync.presence import Shown, peer_id, state_from_text
from replicell.sync.session import Session
from replicell.sync.showing import Showing
from replicell.sync.snapshot_desk import SnapshotDesk

if TYPE_CHECKING:
    from replicell.sync.room import Room

__all__ = ["Access", "ServerSession"]

_Result = TypeVar("_Result")

_ROWS_A_PROBLEM: Final = 100
_TURN_SIZE: Final = 5000


@dataclass(frozen=True, slots=True)
class Access:
    """What a client may do in a room.

    Args:
        write: Whether its changes are taken; it may read in any case.
        presence: Whether it may see who else is there, and be seen.
        shown_name: Its name for the others, None if they are not to know.
    """

    write: bool = True
    presence: bool = True
    shown_name: str | None = None


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
        validates: Whether its changes are judged by their content (`Validate`) before they are applied.
        expires_in: Seconds until it must have shown a new token, None for never.
        turn_size: About how many of its changes may be applied in one transaction.
        snapshots: Whether the owner can find snapshots of the room.
    """

    log: ClassVar[logging.Logger] = logging.getLogger("replicell.sync.server")
    trusts_peer: ClassVar[bool] = False

    def __init__(
        self,
        *,
        emit: Emit,
        room: Room,
        access: Access,
        validates: bool = False,
        expires_in: float | None = None,
        turn_size: Callable[[], int] = lambda: _TURN_SIZE,
        snapshots: bool = False,
    ) -> None:
        super().__init__(
            emit=emit,
            catalog=room.catalog,
            schema_policy=room.schema_policy,
            options=room.options,
            limits=room.limits,
        )
        self._room = room
        self._access = access
        self._validates = validates
        self._expires_in = expires_in
        self._turn_size = turn_size
        self._snapshots = snapshots
        self._desk: SnapshotDesk | None = None
        self._chatter = Chatter(emit)
        self._showing = Showing(emit, room.limits.presence_per_second, self._show)
        self._lease = _Lease()
        self._greeting: Greeting | None = None
        self._unconfirmed = False
        self.site_id = b""
        self.heard_at = 0.0
        """When the client said something last."""

    @property
    def busy(self) -> bool:
        return super().busy or self._chatter.is_too_much

    @property
    def delivered(self) -> int:
        """The room's version up to which the client has said that it has everything."""
        return self._outbound.confirmed if self._outbound is not None else 0

    def start(self, now: float) -> None:
        super().start(now)
        self.heard_at = now

    def receive(self, frame: bytes | str, now: float) -> None:
        self.heard_at = now
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

    def renewed(self, expires_in: float | None) -> None:
        """The new token is good for so many seconds, None for ever."""
        if self.state != "closed":
            self._send(Renewed(expires_in))

    def not_renewed(self, reason: str) -> None:
        """The new token is not good; the old one holds until it runs out."""
        if self.state != "closed":
            self._problem("unauthorized", reason)

    def hold_sending(self, held: bool) -> None:
        super().hold_sending(held)
        if self._desk is not None:
            self._desk.hold(held)
        if not held:
            self._room.presence.tell_anew(self)

    def send_frame(self, frame: bytes | str) -> None:
        """Send a message that many get and that is encoded already."""
        if self.state != "closed":
            self._emit(Send(frame))

    def connection_lost(self) -> None:
        super().connection_lost()
        if self._desk is not None:
            self._desk.stop()
        self._room.leave(self)
        self._room.presence.leave(self)

    def _on_message(self, message: Message) -> None:
        self._chatter.note(self._now)
        match message:
            case Hello() if self.state == "handshake" and not self.site_id:
                self._on_hello(message)
            case Ready() if self.state == "handshake" and self._greeting is not None:
                self._on_ready(message, self._greeting)
            case AskSnapshot() | AskPart() if self.state == "handshake" and self._desk is not None:
                self._be_patient(SNAPSHOT_PATIENCE)
                self._desk.receive(message)
            case Mark(number) if self._outbound is not None:
                self._job("read", self._catalog.latest_version, partial(self._mark, number))
            case Token(token) if self.state == "live":
                self._emit(Authenticate(token))
            case AskRow(number, table, pk) if self.state == "live":
                read = partial(row_changes, catalog=self._catalog, table=table, pk=pk)
                self._job("read", read, partial(self._row_read, number))
            case Present(state) if self.state == "live":
                self._showing.take(state)
            case Schema() if self.state == "live" and not self._access.write:
                self._problem("read_only", "tables are not taken from this client: it may only read")
            case _:
                super()._on_message(message)

    def _show(self, state: str | None) -> None:
        if self.state != "live":
            return
        board, most = self._room.presence, self._room.limits.presence_bytes
        if state is None:
            board.leave(self)
            return
        if not self._access.presence:
            self._problem("presence", "this server does not tell who is in a room")
            return
        if len(state.encode()) > most:
            self._problem("presence", f"a presence state may have {most} bytes here: show less")
            return
        try:
            state_from_text(state)
        except PresenceError as error:
            self._problem("presence", str(error))
            return
        if not board.show(self, peer_id(self.site_id), Shown(state, self._access.shown_name)):
            self._problem("presence", "too many show themselves in this room already: you are not shown")

    def _mark(self, number: int, version: int) -> None:
        """Say how far the database is, which another program may have written a moment ago."""
        self._room.catch_up(version)
        if self._outbound is not None:
            self._outbound.announce_up_to(version)
        self._send(Marked(number, version))

    def _on_hello(self, hello: Hello) -> None:
        if hello.protocol != PROTOCOL:
            raise ProtocolError(f"this server speaks protocol {PROTOCOL}, not {hello.protocol}")
        if len(hello.site_id) != SITE_ID_BYTES:
            raise ProtocolError(f"a site id has {SITE_ID_BYTES} bytes, not {len(hello.site_id)}")
        if hello.site_id == LOG_SITE_ID:
            raise ProtocolError("this site id is the servers' own")
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
        replicator = self._room.replicator
        look_up = partial(
            greet,
            catalog=self._catalog,
            site_id=hello.site_id,
            cursors=hello.cursors,
            translate=replicator.translate if replicator is not None else None,
        )
        self._job("read", look_up, self._greeted)

    def _greeted(self, greeting: Greeting) -> None:
        if greeting.reset:
            self.log.warning(
                "client %s has seen what this room has lost: all begins anew", self.site_id.hex()
            )
        self._room.describe(greeting.tables, greeting.cookie)
        self._room.catch_up(greeting.version)
        self._greeting = greeting
        if self._offers_snapshot(greeting):
            self._desk = SnapshotDesk(emit=self._emit, send=self._send, failed=self._job_failed)
        self._unconfirmed = self._room.replicator is not None and not self._room.replicator.settled
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
                max_message_size=self._room.limits.message_bytes,
                read_only=not self._access.write,
                confirmed=not self._unconfirmed,
                expires_in=self._expires_in,
                snapshot=self._desk is not None,
            )
        )

    def _offers_snapshot(self, greeting: Greeting) -> bool:
        least = self._options.snapshot_bytes
        has_nothing = greeting.known is None and greeting.since == 0 and not greeting.reset
        has_use = has_nothing and greeting.version > 0
        return self._snapshots and has_use and least is not None and greeting.size >= least

    def _row_read(self, number: int, rows: list[Change]) -> None:
        self._send(Row(number, rows))

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
            turn_size=self._turn_size,
            confirms_later=self._room.replicator is not None,
        )
        self._inbound.begin(ready.since, 0 if self._unconfirmed else None)
        if self._unconfirmed:
            self._confirm_later(self._inbound)
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
            begun = greeting.known.begun if greeting.known is not None else 0
            cursor = Cursor(self.site_id, ready.epoch, known, begun)
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
        if self._validates:
            self._emit(Validate(batches, partial(self._merge, batches), self._judging_failed))
        else:
            self._merge(batches, [])

    def _judging_failed(self, error: BaseException) -> None:
        # Nothing is applied or acknowledged, so the client will send it again.
        if self.state != "closed":
            text = "the server could not judge these changes, see its log; they will be sent again"
            self._problem("internal", text)
            self.close("internal", text)

    def _merge(self, batches: list[Batch], turned_down: list[Refusal]) -> None:
        if self.state == "closed":
            return
        take = partial(
            take_in,
            catalog=self._catalog,
            batches=batches,
            site_id=self.site_id,
            store_cursor=store_peer,
            trusted=self.trusts_peer,
            batch=self._room.next_batch(),
            turned_down=turned_down,
            limits=self._room.limits,
        )
        count = sum(len(batch.rows) for batch in batches)
        self._emit(
            Job(
                "write",
                partial(_if_valid, self._lease, take),
                self._taken_in,
                self._job_failed,
                count,
                len(batches),
            )
        )

    def _taken_in(self, taken: TakenIn | None) -> None:
        """Also when the connection has gone meanwhile: the others are to have what was committed."""
        if taken is None:
            return
        # A few others are told first, for whom the way is longer; of many none waits for all of them.
        tells_others_first = self._room.tells_few
        if tells_others_first:
            self._room.committed(taken, self.site_id)
        if self.state != "closed" and self._inbound is not None:
            # Before the acknowledgement, so that who is synced knows what was refused.
            self._report(taken)
            self._inbound.applied()
        if not tells_others_first:
            self._room.committed(taken, self.site_id)
        if self._inbound is not None:
            self._confirm_later(self._inbound)

    def _confirm_later(self, inbound: Inbound) -> None:
        """Acknowledge what is applied, as soon as the room's other nodes cannot lose it."""
        if self._room.replicator is not None:
            self._room.when_replicated(self.site_id, partial(self._confirm, inbound, inbound.cursor))

    def _confirm(self, inbound: Inbound, version: int) -> None:
        if self.state != "closed":
            inbound.confirm(version)

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
            for start in range(0, len(named), _ROWS_A_PROBLEM):
                self._problem("refused", f"changes {text}", named[start : start + _ROWS_A_PROBLEM])

    def _on_schema_problems(self, problems: list[str]) -> None:
        super()._on_schema_problems(problems)
        self._problem("schema", "changes to these are parked until they fit: " + "; ".join(problems))

    def _on_drained(self, drained: Drained) -> None:
        self._room.describe(drained.tables, drained.cookie)
        if drained.merged:
            self._room.changed()


def _if_valid(
    lease: _Lease, job: Callable[..., _Result], conn: apsw.Connection, **options: int
) -> _Result | None:
    # A replaced session's late batches must not move the cursor of the copy that has taken its place.
    return job(conn, **options) if lease.valid else None


def _nothing(_: object) -> None:
    """What is done after a job whose result does not matter."""
