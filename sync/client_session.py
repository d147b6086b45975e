"""The client's side of one connection."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import ClassVar

import apsw

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.changes import Change
from replicell.persisters.crsqlite.epochs import Cursor
from replicell.persisters.sqlite.prefetch import Found
from replicell.sync.actions import AdoptSnapshot, Emit, Progress, Reidentify, SessionOptions
from replicell.sync.announcements import SchemaPolicy
from replicell.sync.download import SNAPSHOT_PATIENCE, Download
from replicell.sync.errors import ProtocolError
from replicell.sync.inbound import Inbound
from replicell.sync.jobs import (
    Batch,
    Drained,
    Introduction,
    Outgoing,
    Settlement,
    TakenIn,
    disown_server,
    drain_parked,
    finish_push_all,
    introduce,
    settle,
    take_in,
)
from replicell.sync.ledger import store_server
from replicell.sync.messages import (
    PROTOCOL,
    AskRow,
    Hello,
    Mark,
    Marked,
    Message,
    Part,
    Peers,
    Present,
    Problem,
    Ready,
    RefusedChange,
    Renewed,
    Row,
    Snapshot,
    Token,
    Welcome,
)
from replicell.sync.outbound import Outbound
from replicell.sync.pace import Pace
from replicell.sync.peers import PeerView
from replicell.sync.presence import TELLING_SECONDS
from replicell.sync.session import Session

__all__ = ["ClientSession"]

_RENEWAL = 0.8
"""After which part of a token's remaining time a new one is sent."""
_MARGIN = 64 * 1024
"""What a frame may be bigger than the changes in it."""


class ClientSession(Session):
    """Pushes the own changes to a server and pulls everybody else's, over one connection.

    It begins with `start` and lives until the connection ends; whatever must outlast it is in the database.

    Args:
        emit: Takes the actions.
        catalog: The catalogue of the client's database.
        schema_policy: Whether tables that the server announces are created here.
        options: Times and sizes.
        token: The access token, if it is to be sent in the first message.
        snapshots: Whether the owner can take a snapshot over.
        view: The others in the room, and what it shows of itself.
    """

    log: ClassVar[logging.Logger] = logging.getLogger("replicell.sync.client")
    trusts_peer: ClassVar[bool] = True

    def __init__(
        self,
        *,
        emit: Emit,
        catalog: Catalog,
        schema_policy: SchemaPolicy = "auto",
        options: SessionOptions | None = None,
        token: str | None = None,
        view: PeerView | None = None,
        snapshots: bool = False,
    ) -> None:
        super().__init__(
            emit=emit, catalog=catalog, schema_policy=schema_policy, options=options or SessionOptions()
        )
        self._token = token
        self._snapshots = snapshots
        self.download: Download | None = None
        """What fetches the room as a file, while that is being done."""
        self._view = view or PeerView()
        self._showing = Pace(emit, self._show)
        self._has_shown = False
        self._site_id = b""
        self._cookie: object = None
        self._welcome: Welcome | None = None
        self._server = Cursor(b"", b"", 0)
        self._push_all_until = 0
        self._dirty = True
        self._batches = count(1)
        self._asked: set[int] = set()
        self.marks: dict[int, int] = {}
        """The server's version for each mark that was answered."""
        self.problems: list[Problem] = []
        """What the server complained about; the owner takes them out."""
        self.refused: list[RefusedChange] = []
        """Incoming changes that could not be applied here; the owner takes them out."""
        self.read_only = False
        self.renew_at: float | None = None
        """When a new token should be sent, None for never."""
        self.rows: dict[int, list[Change]] = {}
        """The server's rows that were asked for, by number."""
        self._rows_asked: set[int] = set()
        self.got_through = False
        """Whether the handshake has ever been completed."""

    @property
    def synced(self) -> bool:
        """Whether all own changes are acknowledged and all is here that the server had when it was
        connected."""
        return (
            self.state == "live"
            and self._outbound is not None
            and self._inbound is not None
            and self._welcome is not None
            and (self.read_only or self._all_pushed(self._outbound))
            and self._inbound.idle
            and not self._adopting
            and self._inbound.cursor >= self._welcome.version
        )

    @property
    def server_id(self) -> bytes:
        """The server's site id."""
        return self._server.site_id

    @property
    def pushed(self) -> int:
        """The own version up to which the server has everything on its disk."""
        return self._outbound.confirmed if self._outbound is not None else 0

    def has_pushed(self, version: int) -> bool:
        """Whether the server has everything up to an own version on its disk, and it is settled whether there
        is more to come.

        Args:
            version: A version of the own database.
        """
        if self.read_only or self._outbound is None:
            return self.read_only
        return self.pushed >= version and (self._outbound.idle or self._outbound.latest > version)

    @property
    def pulled(self) -> int:
        """The server's version up to which everything is in this database."""
        return self._inbound.cursor if self._inbound is not None else 0

    def start(self, now: float) -> None:
        super().start(now)
        self._job("write", partial(introduce, catalog=self._catalog), self._introduced)

    def foresee(self) -> Callable[[apsw.Connection], Outgoing] | None:
        """Return what this session will read after the next commit of somebody else, None if it may not."""
        return self._outbound.foresee() if self._outbound is not None and self.state == "live" else None

    def local_changes(self, found: Found[Outgoing] | None = None) -> None:
        """The database was written by somebody else than this session.

        Args:
            found: What was read right after that, as `foresee` has said.
        """
        if self._outbound is None:
            self._dirty = True
        elif found is None or not self._outbound.was_foreseen(found.read, found.result):
            self._dirty = True
            self._outbound.pump()

    def ask_mark(self, number: int) -> None:
        """Ask the server how far it is; `marks` will have the answer."""
        self._asked.add(number)
        self._send(Mark(number))

    def ask_row(self, number: int, table: str, pk: bytes) -> None:
        """Ask the server how a row stands there; `rows` will have the answer."""
        self._rows_asked.add(number)
        self._send(AskRow(number, table, pk))

    def renew(self, token: str) -> None:
        """Send a new token before the old one runs out."""
        self.renew_at = None
        if self.state == "live":
            self._send(Token(token))

    def show(self) -> None:
        """The own presence state is another now."""
        self._showing.ask()

    def connection_lost(self) -> None:
        super().connection_lost()
        self._view.lose()

    def _show(self) -> float:
        if self.state != "live":
            return 0.0
        state = self._view.shown
        if state is None and not self._has_shown:
            return 0.0
        self._has_shown = state is not None
        self._send(Present(state))
        if state is None:
            self._view.lose()
        return TELLING_SECONDS

    def _introduced(self, introduction: Introduction) -> None:
        self._site_id = introduction.site_id
        self._cookie = introduction.cookie
        self._send(
            Hello(PROTOCOL, introduction.site_id, introduction.cursors, introduction.tables, self._token)
        )

    def _on_message(self, message: Message) -> None:
        match message:
            case Problem():
                self._on_problem(message)
            case Welcome() if self.state == "handshake" and self._welcome is None and self._site_id:
                self._on_welcome(message)
            case Marked(number, version) if number in self._asked:
                self._asked.remove(number)
                self.marks[number] = version
                self._emit(Progress())
            case Row(number, rows) if number in self._rows_asked:
                self._rows_asked.remove(number)
                self.rows[number] = rows
                self._emit(Progress())
            case Renewed(expires_in):
                self._expect_renewal(expires_in)
            case Snapshot() | Part() if self.state == "handshake" and self.download is not None:
                self._be_patient(SNAPSHOT_PATIENCE)
                self.download.receive(message)
                self._emit(Progress())
            case Peers() if self.state == "live":
                # What was under way when the client stopped taking part is of no interest any more.
                if self._has_shown:
                    self._view.take(message)
            case _:
                super()._on_message(message)
                self._emit(Progress())

    def _on_problem(self, problem: Problem) -> None:
        self.log.warning("the server reports a problem (%s): %s", problem.code, problem.message)
        self.problems.append(problem)
        if problem.code == "forked":
            self._leave_server(problem.message)
        self._emit(Progress())

    def _expect_renewal(self, expires_in: float | None) -> None:
        self.renew_at = None if expires_in is None else self._now + _RENEWAL * expires_in

    def _on_welcome(self, welcome: Welcome) -> None:
        if welcome.protocol != PROTOCOL:
            raise ProtocolError(f"the server speaks protocol {welcome.protocol}, this client {PROTOCOL}")
        if not (len(welcome.site_id) == len(welcome.epoch) == 16 and 0 <= welcome.since <= welcome.version):
            raise ProtocolError("the ids or versions in Welcome are out of range")
        self._welcome = welcome
        if welcome.site_id == self._site_id:
            self._leave_server("this database is a copy of the server's")
            return
        self.read_only = welcome.read_only
        self._expect_renewal(welcome.expires_in)
        self._server = Cursor(welcome.site_id, welcome.epoch, welcome.since)
        self._adopt(welcome.tables, self._begin)

    def _begin(self) -> None:
        """Fetch the room as a file where that is worth it, and its changes otherwise."""
        welcome = self._welcome
        if welcome is None:
            return
        if not (welcome.snapshot and self._snapshots and self._options.snapshot_bytes is not None):
            self._settle()
            return
        self._be_patient(SNAPSHOT_PATIENCE)
        self.download = Download(
            send=self._send,
            job=self._job,
            catalog=self._catalog,
            tables=welcome.tables,
            server_id=welcome.site_id,
            part_bytes=self._options.part_bytes,
            finished=self._downloaded,
            gave_up=self._not_downloaded,
        )
        self.download.begin()

    def _downloaded(self, path: str, snapshot: Snapshot) -> None:
        self.connection_lost()
        self._emit(AdoptSnapshot(path, snapshot.cursor))

    def _not_downloaded(self) -> None:
        self.download = None
        self._be_patient(self._options.handshake_timeout)
        self._settle()

    def _settle(self) -> None:
        welcome = self._welcome
        if welcome is not None:
            check = partial(
                settle, catalog=self._catalog, known=welcome.known, server=self._server, reset=welcome.reset
            )
            self._job("write", check, self._settled)

    def _settled(self, settlement: Settlement) -> None:
        welcome = self._welcome
        if welcome is None:
            return
        if settlement.forked:
            self._reidentify(
                "the server knows another history of this site id: the file is a copy, or was restored"
            )
            return
        if welcome.reset:
            self.log.warning("the server has lost data or was restored: everything is exchanged anew")
        self.state = "live"
        self.got_through = True
        self._push_all_until = settlement.push_all_until
        self._inbound = Inbound(
            emit=self._emit,
            encoding=self._encoding,
            apply=self._apply,
            transaction_bytes=self._options.transaction_bytes,
        )
        self._inbound.begin(welcome.since)
        self._outbound = Outbound(
            emit=self._emit,
            catalog=self._catalog,
            options=self._options,
            encoding=self._encoding,
            receiver=self._server.site_id,
            next_batch=self._batches.__next__,
            has_more=self._has_more,
            failed=self._job_failed,
            on_schema=self._own_schema_changed,
            on_oversized=self._leave_out,
            max_frame=welcome.max_message_size - _MARGIN,
        )
        self._send(Ready(settlement.epoch, settlement.push_since))
        if not self.read_only:
            self._outbound.begin(
                since=settlement.push_since,
                everything_until=settlement.push_all_until,
                epoch=settlement.epoch,
                cookie=self._cookie,
                now=self._now,
                confirmed=welcome.confirmed,
            )
        self.show()
        self._emit(Progress())

    def _leave_server(self, message: str) -> None:
        """The server's site id is also this database's own."""
        if self.state == "handshake":
            self._job("write", disown_server, partial(self._left_server, message))

    def _left_server(self, message: str, _: None) -> None:
        self._reidentify(message)

    def _reidentify(self, message: str) -> None:
        if self.state != "closed":
            self.connection_lost()
            self._emit(Reidentify(message))

    def _all_pushed(self, outbound: Outbound) -> bool:
        return not self._dirty and outbound.idle and outbound.confirmed >= outbound.latest

    def _has_more(self, position: int) -> bool:
        dirty, self._dirty = self._dirty, False
        self._check_push_all()
        return dirty or (self._outbound is not None and position < self._outbound.latest)

    def _check_push_all(self) -> None:
        if self._push_all_until and self.pushed >= self._push_all_until:
            self._push_all_until = 0
            self._job("write", partial(finish_push_all, site_id=self._server.site_id), _nothing)

    def _apply(self, batches: list[Batch]) -> None:
        take = partial(
            take_in,
            catalog=self._catalog,
            batches=batches,
            site_id=self._server.site_id,
            store_cursor=store_server,
            trusted=self.trusts_peer,
        )
        self._job("write", take, self._taken_in)

    def _taken_in(self, taken: TakenIn) -> None:
        self._was_parked(taken)
        if taken.refused or taken.parked:
            self.log.warning(
                "%d of the server's changes are refused here, %d parked",
                len(taken.refused),
                len(taken.parked),
            )
            self.refused.extend(self._named_rows(taken))
        if self._outbound is not None and taken.after > taken.before:
            self._outbound.skip(taken.before, taken.after)
        if self._inbound is not None:
            self._inbound.applied()
        self._emit(Progress())

    def _on_drained(self, drained: Drained) -> None:
        if drained.merged:
            self.local_changes()

    def _own_schema_changed(self) -> None:
        self._job(
            "write", partial(drain_parked, catalog=self._catalog, trusted=self.trusts_peer), self._on_drained
        )

    def _leave_out(self, changes: list[Change]) -> None:
        reason = "it is bigger than what the server takes in one message (its max_message_size)"
        for change in changes:
            self.log.error(
                "a change of table %r, column %r is not pushed: %s", change.table, change.cid, reason
            )
        self.refused.extend(
            RefusedChange(change.table, change.pk, change.cid, reason, change.col_version)
            for change in changes
        )
        self._emit(Progress())


def _nothing(_: Sequence[object] | None) -> None:
    """What is done after a job whose result does not matter."""
