"""The sync client: keeps a database and a server's room the same, for as long as it is open."""

from __future__ import annotations

import asyncio
import inspect
import logging
import ssl as ssl_module
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from itertools import count
from types import TracebackType
from typing import Any, Final, Self, TypeAlias

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.changes import Change
from replicell.persisters.crsqlite.database import CrSqliteDatabase, DatabaseChange
from replicell.persisters.crsqlite.reverting import revert_row
from replicell.persisters.crsqlite.versions import latest_version
from replicell.persisters.errors import PersisterError
from replicell.persisters.sqlite.prefetch import Prefetch
from replicell.sync.actions import AdoptSnapshot, SessionOptions
from replicell.sync.addresses import check_room_url, check_token, in_plain_words, without_secrets
from replicell.sync.announcements import SchemaPolicy
from replicell.sync.backoff import Backoff
from replicell.sync.client_session import ClientSession
from replicell.sync.download import discard_snapshots
from replicell.sync.endings import Ending, ending_of_connection, ending_of_request, seconds_to_rest
from replicell.sync.errors import RefusedError, SyncClosedError, SyncError, SyncTimeoutError
from replicell.sync.jobs import Outgoing, begin_with
from replicell.sync.messages import ProblemCode, RefusedChange
from replicell.sync.peers import PeerView
from replicell.sync.presence import Peer, text_from_state
from replicell.sync.refusals import Refusals
from replicell.sync.status import SyncStatus
from replicell.sync.transport import WebsocketTransport
from replicell.sync.wire import Wire

__all__ = ["PresenceListener", "RefusedListener", "StatusListener", "SyncClient", "TokenSource"]

StatusListener = Callable[["SyncClient", SyncStatus, str], object]
"""Called with the client, its new status and the detail."""

RefusedListener = Callable[["SyncClient", tuple[RefusedChange, ...]], object]
"""Called with the client and the changes that were just refused."""

PresenceListener = Callable[["SyncClient", str, Peer | None, Peer | None], object]
"""Called with the client, a peer's id, the peer as it is now (None: it has left) and as it was (None: it has
come)."""

TokenSource: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""An access token, or what gives one."""

_log = logging.getLogger("replicell.sync.client")

_TICK_SECONDS: Final = 1.0
_LASTING_SECONDS: Final = 2.0
"""A connection that held so long was a good one; the next attempt may follow at once."""
_SMALLEST_MESSAGE_SIZE: Final = 1024 * 1024
"""A server's frames hold whole values, which may be nearly as big as what clients may send by default."""
_MAX_REIDENTIFICATIONS: Final = 3
_RENEWAL_PAUSE: Final = 5.0


class SyncClient:
    """Pushes the database's changes to a server as soon as they are committed, and pulls everybody else's.

    It needs no care: without a connection it tries again, and whatever was written meanwhile follows. It
    works on the database only, so that a persister and any number of other programs may use that at the same
    time.

    Args:
        db: An open database.
        url: The room's address: ``ws://host:port/room`` or ``wss://...``.
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
        SyncError: The address is not one of a room, or another argument is out of range.

    Example::

        async with CrSqliteDatabase("todo.db") as db, SyncClient(db, "ws://localhost:8040/my-room") as sync:
            await db.execute("INSERT INTO todo(id, text) VALUES ('1', 'Buy milk')")
            await sync.wait_until_synced(timeout=10)
    """

    def __init__(
        self,
        db: CrSqliteDatabase,
        url: str,
        *,
        token: TokenSource | None = None,
        schema_policy: SchemaPolicy = "auto",
        backoff: Backoff | None = None,
        ssl: ssl_module.SSLContext | None = None,
        options: SessionOptions | None = None,
        max_message_size: int = 64 * 1024 * 1024,
        open_timeout: float = 10.0,
    ) -> None:
        check_room_url(url)
        if token is not None and not callable(token):
            check_token(token)
        if schema_policy not in ("auto", "strict"):
            raise SyncError(f"schema_policy is 'auto' or 'strict', not {schema_policy!r}")
        if max_message_size < _SMALLEST_MESSAGE_SIZE:
            raise SyncError(
                f"max_message_size is at least {_SMALLEST_MESSAGE_SIZE} bytes, not {max_message_size}"
            )
        if not open_timeout > 0:
            raise SyncError(f"open_timeout is a number of seconds above 0, not {open_timeout}")
        self._db = db
        self._url = url
        self._shown_url = without_secrets(url)
        self._token = token
        self._schema_policy: SchemaPolicy = schema_policy
        self._backoff = backoff or Backoff()
        self._ssl = ssl
        self._options = options or SessionOptions()
        self._max_message_size = max_message_size
        self._open_timeout = open_timeout
        self._catalog = Catalog()
        self._status = SyncStatus.CLOSED
        self._detail = "not started"
        self._listeners: dict[str, StatusListener] = {}
        self._listener_ids = count()
        self._marks = count(1)
        self._waiters: set[asyncio.Future[None]] = set()
        self._refusals = Refusals()
        self._view = PeerView()
        self._prefetch: Prefetch[Outgoing] = Prefetch(self)
        self._session: ClientSession | None = None
        self._task: asyncio.Task[None] | None = None
        self._closing: list[Callable[[], object]] = []
        self._running = asyncio.Event()
        self._connection: ClientConnection | None = None
        self._last_problem = ""
        self._fork = ""
        self._snapshot: AdoptSnapshot | None = None
        self._takes_snapshots = True
        self._refusal: ProblemCode = "protocol"
        self._wants_changes = False
        self._reidentifications = 0

    @property
    def url(self) -> str:
        """The room's address."""
        return self._url

    @property
    def status(self) -> SyncStatus:
        """How it is doing."""
        return self._status

    @property
    def status_detail(self) -> str:
        """One sentence more about the status, for people; empty if there is nothing to say."""
        return self._detail

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
        self._listeners[listener_id] = listener
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
        self._listeners.pop(listener_id, None)
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
        if self._session is not None:
            self._session.show()
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
        if self._task is None:
            if not self._db.is_open:
                raise SyncClosedError(
                    f"the database {self._db.path} is not open: open it before its client starts"
                )
            subscription = self._db.on_change(self._on_change, prefetch=self._prefetch)
            hook = self._db.before_close(self.close)
            self._closing = [subscription.cancel, hook.cancel]
            self._running.set()
            self._task = asyncio.get_running_loop().create_task(
                self._run(), name=f"SyncClient {self._shown_url}"
            )
        return self

    async def close(self) -> None:
        """End the connection; what is not acknowledged yet is sent the next time. Closing twice does
        nothing."""
        task, self._task = self._task, None
        if task is None:
            return
        for cancel in self._closing:
            cancel()
        task.cancel()
        await asyncio.wait([task])
        self._set_status(SyncStatus.CLOSED, "closed")

    async def pause(self) -> None:
        """Disconnect and stay so until `resume`; the database may be written as before."""
        self._require_started()
        self._running.clear()
        self._set_status(SyncStatus.PAUSED, "")
        if self._connection is not None:
            await self._connection.close()

    async def resume(self) -> None:
        """Connect again, at once, after `pause` or while it waits."""
        self._require_started()
        if self._status is SyncStatus.PAUSED:
            self._set_status(SyncStatus.CONNECTING, "")
        self._running.set()
        self._wake_waiters()

    async def set_token(self, token: TokenSource) -> None:
        """Use another access token from now on: sent at once where there is a connection, which it prolongs;
        and tried at once where the last one was refused.

        Raises:
            SyncError: It is none.
        """
        if not callable(token):
            check_token(token)
        self._token = token
        session = self._session
        if session is not None and session.state == "live":
            session.renew(await self._fresh_token() or "")
        elif self._status is SyncStatus.REFUSED:
            self._wake_waiters()

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
                revert_row, self._catalog, table, pk, versions, theirs, server_id, origin=self
            )
            reverted.extend(change for change in of_row if change.cid in cids)
            self._refusals.remove(of_row)
        return tuple(reverted)

    async def _row_at_server(self, table: str, pk: bytes) -> tuple[bytes, list[Change]]:
        while True:
            session = self._session
            if session is None or session.state != "live":
                await self._next_progress()
                continue
            number = next(self._marks)
            session.ask_row(number, table, pk)
            while self._session is session and session.state == "live":
                if number in session.rows:
                    return session.server_id, session.rows.pop(number)
                await self._next_progress()

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
            detail = f" ({self._detail})" if self._detail else ""
            raise SyncTimeoutError(
                f"{self._shown_url} is not synced after {timeout} seconds: it is {self._status.value}{detail}"
            ) from None

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<SyncClient {self._shown_url} {self._status.value}>"

    def on_progress(self) -> None:
        """The session has got on; called by the connection."""
        session = self._session
        if session is None:
            return
        refused = [change for problem in session.problems for change in problem.rows]
        for problem in session.problems:
            self._last_problem = problem.message
        for change in session.refused:
            refused.append(change)
            self._last_problem = (
                f"a change of table {change.table!r}, column {change.cid!r} is left out: {change.reason}"
            )
        session.problems.clear()
        session.refused.clear()
        self._refusals.add(refused)
        self._prefetch.want(session.foresee())
        if session.download is not None and session.state == "handshake" and self._running.is_set():
            self._set_status(SyncStatus.SYNCING, session.download.progress)
        if session.state == "live" and self._running.is_set():
            self._set_status(SyncStatus.SYNCED if session.synced else SyncStatus.SYNCING, self._last_problem)
        self._wake_waiters()

    def on_reidentify(self, message: str) -> None:
        """The database needs a new site id; called by the connection."""
        self._fork = message

    def on_snapshot(self, snapshot: AdoptSnapshot) -> None:
        """The room has been fetched as a file; called by the connection."""
        self._snapshot = snapshot

    def _require_started(self) -> None:
        if self._task is None:
            raise SyncClosedError(
                f"the client of {self._shown_url} is not running: await start() or use `async with`"
            )

    def _on_change(self, change: DatabaseChange) -> None:
        if change.origin is self:
            return
        if self._session is not None:
            self._session.local_changes(self._prefetch.take())
            self.on_progress()
        elif self._wants_changes:
            self._wake_waiters()

    async def _run(self) -> None:
        attempt = 0
        while True:
            await self._running.wait()
            self._set_status(SyncStatus.CONNECTING, self._detail if attempt else "")
            self._fork = self._last_problem = ""
            began = asyncio.get_running_loop().time()
            end = await self._attempt()
            if asyncio.get_running_loop().time() > began + _LASTING_SECONDS:
                attempt = 0
            if self._fork:
                end = end if end.refusal else await self._reidentify(self._fork)
                if not end.refusal:
                    continue
            if self._snapshot is not None:
                await self._adopt_snapshot(self._snapshot)
                continue
            if not self._running.is_set():
                self._set_status(SyncStatus.PAUSED, "")
                continue
            self._refusal = end.refusal or self._refusal
            self._set_status(SyncStatus.REFUSED if end.refusal else SyncStatus.OFFLINE, end.detail)
            self._wants_changes = end.until_changes
            renewable = callable(self._token)
            await self._rest(seconds_to_rest(end, attempt, self._backoff, renewable=renewable))
            self._wants_changes = False
            attempt += 1

    async def _attempt(self) -> Ending:
        """Hold one connection for as long as it lasts."""
        try:
            token = await self._fresh_token()
        except Exception as error:
            _log.exception("%s: no token could be had", self._shown_url)
            return Ending(f"no token could be had: {error}")
        headers = {"Authorization": f"Bearer {token}"} if token is not None else None
        try:
            async with connect(
                self._url,
                additional_headers=headers,
                compression=None,
                ssl=self._ssl,
                open_timeout=self._open_timeout,
                close_timeout=2,
                max_size=self._max_message_size,
            ) as websocket:
                return await self._serve(websocket)
        except InvalidStatus as error:
            return ending_of_request(error.response)
        except (OSError, TimeoutError, InvalidHandshake, WebSocketException) as error:
            return Ending(f"cannot connect: {in_plain_words(error)}")

    async def _serve(self, websocket: ClientConnection) -> Ending:
        wire = Wire(WebsocketTransport(websocket), self._db, self)
        session = ClientSession(
            emit=wire.emit,
            catalog=self._catalog,
            schema_policy=self._schema_policy,
            options=self._options,
            snapshots=self._takes_snapshots,
            view=self._view,
        )
        self._session, self._connection = session, websocket
        ticker = asyncio.get_running_loop().create_task(self._tick(session))
        try:
            if self._running.is_set():
                await wire.run(session)
        finally:
            self.on_progress()
            self._session = self._connection = None
            ticker.cancel()
        if session.got_through:
            self._reidentifications = 0
        reason = websocket.close_reason or self._last_problem or "the connection was lost"
        return ending_of_connection(websocket.close_code, reason)

    async def _fresh_token(self) -> str | None:
        if not callable(self._token):
            return self._token
        async with asyncio.timeout(self._open_timeout):
            given = self._token()
            return check_token(await given if inspect.isawaitable(given) else given)

    async def _tick(self, session: ClientSession) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            session.tick(loop.time())
            if session.renew_at is not None and loop.time() >= session.renew_at and callable(self._token):
                await self._renew(session)

    async def _renew(self, session: ClientSession) -> None:
        try:
            token = await self._fresh_token()
        except Exception:
            _log.exception("%s: no new token could be had", self._shown_url)
            session.renew_at = asyncio.get_running_loop().time() + _RENEWAL_PAUSE
        else:
            session.renew(token or "")

    async def _reidentify(self, reason: str) -> Ending:
        """Give the database a new site id; a refusal says why that cannot be."""
        self._reidentifications += 1
        if self._reidentifications > _MAX_REIDENTIFICATIONS:
            self._reidentifications = 0
            return Ending(f"a new site id did not help: {reason}", "forked")
        old = self._db.site_id
        try:
            await self._db.reidentify()
        except PersisterError as error:
            return Ending(f"the database needs a new site id ({reason}), but: {error}", "forked")
        self._catalog = Catalog()
        _log.warning(
            "%s: %s; its site id %s is now %s", self._db.path, reason, old.hex(), self._db.site_id.hex()
        )
        self._set_status(SyncStatus.CONNECTING, f"it has a new site id, because {reason}")
        return Ending(reason)

    async def _adopt_snapshot(self, snapshot: AdoptSnapshot) -> None:
        """Begin with the room as it was when it was made a file; if that cannot be, the changes come."""
        self._snapshot = None
        try:
            note = partial(begin_with, cursor=snapshot.cursor)
            taken = await self._db.adopt_copy(snapshot.path, snapshot.cursor, note, origin=self)
            if taken:
                _log.info("%s begins with a snapshot of %s", self._db.path, self._shown_url)
            await self._db.run(discard_snapshots)
        except (OSError, PersisterError) as error:
            self._takes_snapshots = False
            _log.error("%s: the snapshot of the room cannot be used: %s", self._db.path, error)
        self._catalog = Catalog()

    async def _rest(self, seconds: float | None) -> None:
        """Wait, but not when told to go on."""
        waiter = self._add_waiter()
        await asyncio.wait([waiter], timeout=seconds)
        self._waiters.discard(waiter)

    async def _reached(self, own_version: int) -> bool:
        """Wait until a session has both sides' changes up to now over; return False if it ended before."""
        while self._session is None or self._session.state != "live":
            await self._next_progress()
        session = self._session
        number = next(self._marks)
        session.ask_mark(number)
        session.local_changes()
        while self._session is session and session.state == "live":
            pulled = number in session.marks and session.pulled >= session.marks[number]
            if pulled and session.has_pushed(own_version):
                del session.marks[number]
                return True
            await self._next_progress()
        return False

    async def _next_progress(self) -> None:
        if self._task is None:
            raise SyncClosedError(f"the client of {self._shown_url} was closed")
        if self._status is SyncStatus.REFUSED:
            raise RefusedError(f"{self._shown_url} refuses this client: {self._detail}", self._refusal)
        waiter = self._add_waiter()
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def _add_waiter(self) -> asyncio.Future[None]:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        return waiter

    def _wake_waiters(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    def _set_status(self, status: SyncStatus, detail: str) -> None:
        if (status, detail) == (self._status, self._detail):
            return
        self._status, self._detail = status, detail
        level = logging.WARNING if status is SyncStatus.REFUSED else logging.DEBUG
        _log.log(level, "%s is %s%s", self._shown_url, status.value, f": {detail}" if detail else "")
        for listener in list(self._listeners.values()):
            try:
                listener(self, status, detail)
            except Exception:
                _log.exception("a status listener failed")
        self._wake_waiters()
