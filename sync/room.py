"""A room: one database that many clients follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

import apsw

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.epochs import Cursor
from replicell.sync import ledger
from replicell.sync.actions import Emit, SessionOptions
from replicell.sync.announcements import SchemaPolicy, announce
from replicell.sync.gathering import Gathering
from replicell.sync.intake import Intake
from replicell.sync.jobs import Job, Outgoing, TakenIn, read_outgoing
from replicell.sync.limits import Limits
from replicell.sync.messages import TableAnnouncement
from replicell.sync.pace import Pace
from replicell.sync.presence import PresenceBoard
from replicell.sync.ring import Ring, RingEntry

if TYPE_CHECKING:
    from replicell.sync.server_session import ServerSession

__all__ = ["Room", "RoomState", "prepare_room"]

_FEW_CLIENTS: Final = 16
"""So many are told of each commit at once."""
_SECONDS_A_CLIENT: Final = 0.0002
"""About twice what it takes to tell one client of something and to hear that it has it."""


class RoomState(NamedTuple):
    """What a room begins with, read from its database.

    Args:
        site_id: The database's site id.
        version: Its latest version.
        tables: Its tables.
        cookie: The schema that this is.
    """

    site_id: bytes
    version: int
    tables: list[TableAnnouncement]
    cookie: object


def prepare_room(conn: apsw.Connection, catalog: Catalog) -> RoomState:
    """Prepare a room's database, in a write transaction, and read what the room begins with."""
    ledger.create_ledger(conn)
    site_id: Any = conn.execute("SELECT crsql_site_id()").get
    return RoomState(
        bytes(site_id), catalog.latest_version(conn), announce(conn, catalog), catalog.cookie(conn)
    )


class Replicator(Protocol):
    """What brings a room's changes to the other nodes of a cluster."""

    @property
    def settled(self) -> bool:
        """Whether everything is there already."""
        ...

    def when_replicated(self, site_id: bytes, confirmed: Callable[[], None]) -> None:
        """See `Room.when_replicated`."""
        ...

    def changed(self) -> None:
        """Somebody else than a session has written to the database."""
        ...

    def translate(self, conn: apsw.Connection, cursors: Sequence[Cursor]) -> int:
        """Return the version up to which a client has everything, by its cursors at other nodes (read)."""
        ...


class Room:
    """Shares the recent changes of one database among its clients' sessions, without I/O.

    Args:
        emit: Takes the jobs that are the room's own.
        catalog: The database's catalogue.
        state: What `prepare_room` said.
        schema_policy: Whether tables that clients announce are created.
        options: Times and sizes of its sessions.
        limits: What its clients may put into it.
    """

    def __init__(
        self,
        *,
        emit: Emit,
        catalog: Catalog,
        state: RoomState,
        schema_policy: SchemaPolicy = "auto",
        options: SessionOptions | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._emit = emit
        self.catalog = catalog
        self.schema_policy: SchemaPolicy = schema_policy
        self.options = options or SessionOptions()
        self.limits = limits or Limits()
        self.site_id = state.site_id
        self.version = state.version
        self.ring = Ring(state.version)
        self._tables = state.tables
        self._cookie = state.cookie
        self._sessions: dict[bytes, ServerSession] = {}
        self._batches = count(1)
        self._gathering = Gathering(self.next_batch)
        self._sharing = Pace(emit, self._share_news)
        self.intake = Intake(emit, catalog)
        """Where what clients send is merged."""
        self._refilling = False
        self._is_behind = False
        self.presence = PresenceBoard(emit, self.limits.peers)
        self.on_tables: Callable[[], object] = _nothing
        """Called when the database's tables are others than before."""
        self.replicator: Replicator | None = None
        """Brings what is committed here to the other nodes, if there are any."""

    @property
    def clients(self) -> int:
        """How many clients are connected."""
        return len(self._sessions)

    @property
    def tells_few(self) -> bool:
        """Whether so few are connected that telling them all takes no time to speak of."""
        return self.clients <= _FEW_CLIENTS

    def join(self, session: ServerSession) -> None:
        """A client has said who it is; an older connection of the same site id is closed."""
        older = self._sessions.get(session.site_id)
        self._sessions[session.site_id] = session
        if older is not None:
            older.replaced()

    def leave(self, session: ServerSession) -> None:
        """A client is gone."""
        if self._sessions.get(session.site_id) is session:
            del self._sessions[session.site_id]

    def next_batch(self) -> int:
        """Return a number that no other batch of this room has."""
        return next(self._batches)

    def has_more(self, position: int) -> bool:
        """Tell whether there are changes after a version."""
        return position < self.version

    def when_replicated(self, site_id: bytes, confirmed: Callable[[], None]) -> None:
        """Call back once all that is committed now is as safe as an acknowledgement says.

        Args:
            site_id: The client whose changes it is about.
            confirmed: Called without arguments, at once if there are no other nodes.
        """
        if self.replicator is None:
            confirmed()
        else:
            self.replicator.when_replicated(site_id, confirmed)

    def committed(self, taken: TakenIn, author: bytes) -> None:
        """A client's changes are committed: share them with the others."""
        if taken.after <= taken.before:
            return
        if taken.before == self._gathered_until and not self._refilling and taken.frames:
            authors = frozenset(() if taken.is_shared else (author,))
            self._gathering.add(taken.after, authors, taken.frames)
            self._sharing.ask()
        else:
            self.changed()

    def changed(self) -> None:
        """Somebody else than a session has written to the database: find out what, once for all."""
        self._is_behind = True
        self._sharing.ask()

    def catch_up(self, version: int) -> None:
        """The database is at a version already."""
        if version > self._gathered_until:
            self.changed()

    @property
    def _gathered_until(self) -> int:
        return self._gathering.until or self.ring.until

    def _share_news(self) -> float:
        """Tell all clients what is new, and return how long to gather before they are told again.

        Each telling costs something for each client. So where there are many they are told less often, of
        more at a time.
        """
        if self._refilling:
            return 0.0
        if self._is_behind:
            self._refill_ring()
        else:
            for until, authors, frames in self._gathering.take():
                self._append(until, authors, frames)
            self._pump()
        return 0.0 if self.tells_few else self.clients * _SECONDS_A_CLIENT

    def _refill_ring(self) -> None:
        self._is_behind = False
        self._refilling = True
        read = partial(
            read_outgoing,
            catalog=self.catalog,
            position=self.ring.until,
            since=self.ring.until,
            exclude=None,
            batch=self.next_batch(),
            part=0,
            resume=None,
            cookie=self._cookie,
            encoding="msgpack",
            max_bytes=self.options.part_bytes,
            max_changes=self.options.part_changes,
        )
        self._emit(Job("read", read, self._refill, self._refill_failed))

    def describe(self, tables: list[TableAnnouncement], cookie: object) -> None:
        """The database's tables are these now; clients are told if that is new."""
        if cookie != self._cookie:
            self._tables, self._cookie = tables, cookie
            for session in list(self._sessions.values()):
                session.announce_tables(tables, cookie)
            self.on_tables()

    def _refill(self, outgoing: Outgoing) -> None:
        self._refilling = False
        # It was committed before, so it was read.
        self._gathering.take()
        if outgoing.tables is not None:
            self.describe(outgoing.tables, outgoing.cookie)
        if outgoing.resume is not None or outgoing.until < outgoing.latest:
            # Too much for memory: each client reads it from the database at its own pace.
            self.ring.restart(outgoing.latest)
            self.version = outgoing.latest
        elif isinstance(outgoing.frame, bytes):
            self._append(outgoing.until, frozenset(), (outgoing.frame,))
        self._pump()
        if self._is_behind:
            self._sharing.ask()

    def _refill_failed(self, error: BaseException) -> None:
        self._refilling = False
        for session in list(self._sessions.values()):
            session.close("internal", f"the room's database cannot be read: {error}")

    def _append(self, until: int, authors: frozenset[bytes], frames: tuple[bytes, ...]) -> None:
        self.ring.append(RingEntry(self.ring.until, until, authors, frames, self._tables, self._cookie))
        self.version = until

    def _pump(self) -> None:
        for session in list(self._sessions.values()):
            session.pump()


def _nothing() -> None:
    return
