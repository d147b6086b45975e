"""The sync client: keeps a database and a server's room the same, for as long as it is open."""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from replicell.persisters.crsqlite.changes import Change
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.reverting import revert_row
from replicell.persisters.crsqlite.versions import latest_version
from replicell.sync.actions import SessionOptions
from replicell.sync.addresses import check_room_urls, without_secrets
from replicell.sync.announcements import SchemaPolicy
from replicell.sync.backoff import Backoff
from replicell.sync.connection_cycle import ConnectionCycle
from replicell.sync.errors import SyncClosedError, SyncError, SyncTimeoutError
from replicell.sync.messages import RefusedChange
from replicell.sync.peers import PeerView
from replicell.sync.presence import Peer, text_from_state
from replicell.sync.refusals import Refusals
from replicell.sync.rounds import Rounds
from replicell.sync.status import StatusReport, SyncStatus
from replicell.sync.tokens import TokenKeeper, TokenSource

__all__ = ["PresenceListener", "RefusedListener", "StatusListener", "SyncClient", "TokenSource"]

StatusListener = Callable[["SyncClient", SyncStatus, str], object]
"""Called with the client, its new status and the detail."""

RefusedListener = Callable[["SyncClient", tuple[RefusedChange, ...]], object]
"""Called with the client and the changes that were just refused."""

PresenceListener = Callable[["SyncClient", str, Peer | None, Peer | None], object]
"""Called with the client, a peer's id, the peer as it is now (None: it has left) and as it was (None: it has
come)."""

_SMALLEST_MESSAGE_SIZE: Final = 1024 * 1024
"""A server's frames hold whole values, which may be nearly as big as what clients may send by default."""


class SyncClient:
    """Pushes the database's changes to a server as soon as they are committed, and pulls everybody else's.

    It needs no care: without a connection it tries again, and whatever was written meanwhile follows. It
    works on the database only, so that a persister and any number of other programs may use that at the same
    time.

    Args:
        db: An open database.
        url: The room's address: ``ws://host:port/room`` or ``wss://...``. Or several, of the same room at
            several servers that share it: when a connection is lost or cannot be made, the next one is tried
            at once, and only when all were tried it rests.
        token: The access token, sent in the ``Authorization`` header; or a function, plain or async, that is
            asked for a fresh one at each attempt to connect, and before the last one runs out.
        schema_policy: ``auto`` creates tables and columns that the server announces; ``strict`` parks their
            changes until the program has created them.
        backoff: How long to wait between attempts to connect.
        ssl: For ``wss://`` addresses that need more than the system's certificates.
        options: Times and sizes of the protocol.
        max_message_size: The biggest frame that is taken from the server, in bytes.
        open_timeout: Seconds within which a connection must stand.

    Raises:
        SyncError: An address is not one of a room, several name different rooms, or another argument is out
            of range.

    Example::

        async with CrSqliteDatabase("todo.db") as db, SyncClient(db, "ws://localhost:8040/my-room") as sync:
            await db.execute("INSERT INTO todo(id, text) VALUES ('1', 'Buy milk')")
            await sync.wait_until_synced(timeout=10)
    """

    def __init__(
        self,
        db: CrSqliteDatabase,
        url: str | Iterable[str],
        *,
        token: TokenSource | None = None,
        schema_policy: SchemaPolicy = "auto",
        backoff: Backoff | None = None,
        ssl: ssl_module.SSLContext | None = None,
        options: SessionOptions | None = None,
        max_message_size: int = 64 * 1024 * 1024,
        open_timeout: float = 10.0,
    ) -> None:
        urls = check_room_urls(url)
        if schema_policy not in ("auto", "strict"):
            raise SyncError(f"schema_policy is 'auto' or 'strict', not {schema_policy!r}")
        if max_message_size < _SMALLEST_MESSAGE_SIZE:
            raise SyncError(
                f"max_message_size is at least {_SMALLEST_MESSAGE_SIZE} bytes, not {max_message_size}"
            )
        if not open_timeout > 0:
            raise SyncError(f"open_timeout is a number of seconds above 0, not {open_timeout}")
        plain = next((url for url in urls if urlsplit(url).scheme == "ws"), None)
        if ssl is not None and plain is not None:
            raise SyncError(f"ssl is for wss:// addresses, and {without_secrets(plain)} is none")
        self._db = db
        self._urls = urls
        self._tokens = TokenKeeper(token, open_timeout)
        self._report = StatusReport()
        self._refusals = Refusals()
        self._view = PeerView()
        self._listener_ids = count()
        self._marks = count(1)
        self._unhook: Callable[[], object] | None = None
        self._cycle = ConnectionCycle(
            db,
            Rounds(urls, backoff or Backoff()),
            tokens=self._tokens,
            schema_policy=schema_policy,
            ssl=ssl,
            options=options or SessionOptions(),
            max_message_size=max_message_size,
            open_timeout=open_timeout,
            report=self._report,
            refusals=self._refusals,
            view=self._view,
        )

    @property
    def url(self) -> str:
        """The room's address; of several the one that it is connected to, or has tried last."""
        return self._cycle.url

    @property
    def urls(self) -> tuple[str, ...]:
        """All addresses of the room that it was given."""
        return self._urls

    @property
    def status(self) -> SyncStatus:
        """How it is doing."""
        return self._report.status

    @property
    def status_detail(self) -> str:
        """One sentence more about the status, for people; empty if there is nothing to say."""
        return self._report.detail

    @property
    def refused_changes(self) -> tuple[RefusedChange, ...]:
        """The last changes, at most 1000, that one of the two sides could not apply, with the reasons."""
        return self._refusals.changes

    def add_status_listener(self, listener: StatusListener) -> str:
        """Call a listener whenever the status or its detail changes.

        Returns:
            An id for `del_listener`.
        """
        listener_id = str(next(self._listener_ids))
        self._report.add_listener(listener_id, lambda status, detail: listener(self, status, detail))
        return listener_id

    def add_refused_listener(self, listener: RefusedListener) -> str:
        """Call a listener with changes that one of the two sides could not apply, as soon as that is known.

        Returns:
            An id for `del_listener`.
        """
        listener_id = str(next(self._listener_ids))
        self._refusals.add_listener(listener_id, lambda changes: listener(self, changes))
        return listener_id

    def del_listener(self, listener_id: str) -> Self:
        """Call a listener no more; an unknown id is ignored."""
        self._report.del_listener(listener_id)
        self._refusals.del_listener(listener_id)
        self._view.del_listener(listener_id)
        return self

    @property
    def peers(self) -> Mapping[str, Peer]:
        """The others who are in the room and take part in presence, by id; it follows what changes.

        Empty without a connection, and for who takes no part.
        """
        return self._view.peers

    @property
    def peer_id(self) -> str | None:
        """Under which id the others see this client; None while they do not."""
        return self._view.own_id

    def set_presence(self, state: Mapping[str, Any] | None) -> Self:
        """Take part in presence: show a small state to the others in the room, and see theirs.

        It is kept nowhere, and gone when the connection ends; it is shown again with the next one. Set it as
        often as you like: the others get the latest.

        Args:
            state: What JSON can say, such as ``{"name": "Anna", "cursor": [3, 4]}``, at most 4096 bytes
                unless the server's `Limits` say otherwise; None to take no part any more.

        Raises:
            PresenceError: The state is no mapping from texts to what JSON can say.

        Example::

            sync.set_presence({"name": "Anna"})
            sync.add_presence_listener(lambda client, peer_id, peer, before: print(peer_id, peer, before))
        """
        self._view.shown = text_from_state(state) if state is not None else None
        if self._cycle.session is not None:
            self._cycle.session.show()
        return self

    def add_presence_listener(self, listener: PresenceListener) -> str:
        """Call a listener whenever another one comes, shows another state or leaves.

        It is told nothing until this client takes part itself, with `set_presence`.

        Returns:
            An id for `del_listener`.
        """
        return self._view.add_listener(lambda *news: listener(self, *news))

    async def start(self) -> Self:
        """Begin to connect; starting a started client does nothing.

        Raises:
            SyncClosedError: The database is not open.
        """
        if not self._cycle.is_running:
            if not self._db.is_open:
                raise SyncClosedError(
                    f"the database {self._db.path} is not open: open it before its client starts"
                )
            self._unhook = self._db.before_close(self.close).cancel
            self._cycle.start()
        return self

    async def close(self) -> None:
        """End the connection; what is not acknowledged yet is sent the next time. Closing twice does
        nothing."""
        if self._unhook is not None:
            self._unhook()
        await self._cycle.stop()

    async def pause(self) -> None:
        """Disconnect and stay so until `resume`; the database may be written as before."""
        self._require_started()
        await self._cycle.pause()

    async def resume(self) -> None:
        """Connect again, at once, after `pause` or while it waits."""
        self._require_started()
        self._cycle.resume()

    async def set_token(self, token: TokenSource) -> None:
        """Use another access token from now on: sent at once where there is a connection, which it prolongs;
        and tried at once where the last one was refused.

        Raises:
            SyncError: It is none.
        """
        self._tokens.replace(token)
        await self._cycle.use_new_token()

    async def revert(self, changes: Iterable[RefusedChange] | None = None) -> tuple[RefusedChange, ...]:
        """Take refused edits back: the server's cells come in their place, and rows that it does not have go.

        A cell that was edited again after it was refused is left alone, for that edit is judged anew.

        Args:
            changes: Some of `refused_changes`, which they leave; None for all.

        Returns:
            What was taken back.

        Raises:
            SyncClosedError: The client is not started, or was closed meanwhile.
            RefusedError: The server does not take this client.
        """
        self._require_started()
        by_row: dict[tuple[str, bytes], list[RefusedChange]] = {}
        for change in self._refusals.changes if changes is None else changes:
            by_row.setdefault((change.table, change.pk), []).append(change)
        reverted: list[RefusedChange] = []
        for (table, pk), of_row in by_row.items():
            server_id, theirs = await self._row_at_server(table, pk)
            versions = {change.cid: change.col_version for change in of_row}
            cids = await self._db.write(
                revert_row, self._cycle.catalog, table, pk, versions, theirs, server_id, origin=self._cycle
            )
            reverted.extend(change for change in of_row if change.cid in cids)
            self._refusals.remove(of_row)
        return tuple(reverted)

    async def _row_at_server(self, table: str, pk: bytes) -> tuple[bytes, list[Change]]:
        while True:
            session = self._cycle.session
            if session is None or session.state != "live":
                await self._cycle.progress()
                continue
            number = next(self._marks)
            session.ask_row(number, table, pk)
            while self._cycle.session is session and session.state == "live":
                if number in session.rows:
                    return session.server_id, session.rows.pop(number)
                await self._cycle.progress()

    async def wait_until_synced(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as asyncio.wait has it
        """Wait until everything committed here so far is on the server's disk, and everything the server has
        is here.

        Args:
            timeout: Seconds to wait at most, None for as long as it takes.

        Raises:
            SyncTimeoutError: It took longer.
            SyncClosedError: The client is not started, or was closed meanwhile.
            RefusedError: The server does not take this client.
        """
        self._require_started()
        try:
            async with asyncio.timeout(timeout):
                own_version = await self._db.read(latest_version)
                while not await self._reached(own_version):
                    pass
        except TimeoutError:
            detail = f" ({self.status_detail})" if self.status_detail else ""
            raise SyncTimeoutError(
                f"{self._cycle.shown_url} is not synced after {timeout} seconds: it is"
                f" {self.status.value}{detail}"
            ) from None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<SyncClient {self._cycle.shown_url} {self.status.value}>"

    async def _reached(self, own_version: int) -> bool:
        """Wait until a session has both sides' changes up to now over; return False if it ended before."""
        while self._cycle.session is None or self._cycle.session.state != "live":
            await self._cycle.progress()
        session = self._cycle.session
        number = next(self._marks)
        session.ask_mark(number)
        session.local_changes()
        while self._cycle.session is session and session.state == "live":
            pulled = number in session.marks and session.pulled >= session.marks[number]
            if pulled and session.has_pushed(own_version):
                del session.marks[number]
                return True
            await self._cycle.progress()
        return False

    def _require_started(self) -> None:
        if not self._cycle.is_running:
            raise SyncClosedError(
                f"the client of {self._cycle.shown_url} is not running: await start() or use `async with`"
            )
