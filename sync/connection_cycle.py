"""The connection cycle of a client: connect, sync for as long as it lasts, rest, and once more."""

from __future__ import annotations

import asyncio
import logging
import ssl as ssl_module
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.copies import BadCopyError
from replicell.persisters.crsqlite.database import CrSqliteDatabase, DatabaseChange
from replicell.persisters.errors import PersisterError
from replicell.persisters.sqlite.prefetch import Prefetch
from replicell.sync.actions import AdoptSnapshot, SessionOptions
from replicell.sync.addresses import in_plain_words, without_secrets
from replicell.sync.announcements import SchemaPolicy
from replicell.sync.client_session import ClientSession
from replicell.sync.download import discard_snapshots
from replicell.sync.endings import Ending, ending_of_connection, ending_of_request
from replicell.sync.errors import RefusedError, SyncClosedError
from replicell.sync.jobs import Outgoing, begin_with
from replicell.sync.messages import ProblemCode
from replicell.sync.peers import PeerView
from replicell.sync.refusals import Refusals
from replicell.sync.rounds import Rounds
from replicell.sync.status import StatusReport, SyncStatus
from replicell.sync.tokens import TokenKeeper
from replicell.sync.transport import DirectClientConnection, WebsocketTransport
from replicell.sync.wire import Wire

__all__ = ["ConnectionCycle"]

_log = logging.getLogger("replicell.sync.client")

_TICK_SECONDS: Final = 1.0
_MAX_REIDENTIFICATIONS: Final = 3
_RENEWAL_PAUSE: Final = 5.0


class ConnectionCycle:
    """Keeps a client connected, to one server or another, as well as that can be done.

    It is also the origin of what its sessions write to the database.

    Args:
        db: The database, open while it runs.
        rounds: The servers.
        tokens: Gives the access token.
        schema_policy: Whether tables that the server announces are created here.
        ssl: For ``wss://`` addresses that need more than the system's certificates.
        options: Times and sizes of the protocol.
        max_message_size: The biggest frame that is taken from the server, in bytes.
        open_timeout: Seconds within which a connection must stand.
        report: Told how it is doing.
        refusals: Told what could not be applied.
        view: The others in the room.
    """

    def __init__(
        self,
        db: CrSqliteDatabase,
        rounds: Rounds,
        *,
        tokens: TokenKeeper,
        schema_policy: SchemaPolicy,
        ssl: ssl_module.SSLContext | None,
        options: SessionOptions,
        max_message_size: int,
        open_timeout: float,
        report: StatusReport,
        refusals: Refusals,
        view: PeerView,
    ) -> None:
        self._db = db
        self._rounds = rounds
        self.url = rounds.url
        """The address that it is connected to, or has tried last."""
        self._tokens = tokens
        self._schema_policy: SchemaPolicy = schema_policy
        self._ssl = ssl
        self._options = options
        self._max_message_size = max_message_size
        self._open_timeout = open_timeout
        self._report = report
        self._refusals = refusals
        self._view = view
        self._waiters: set[asyncio.Future[None]] = set()
        self._prefetch: Prefetch[Outgoing] = Prefetch(self)
        self._task: asyncio.Task[None] | None = None
        self._stop_listening: Callable[[], object] | None = None
        self._wanted = asyncio.Event()
        self._connection: ClientConnection | None = None
        self._connected_at: float | None = None
        self._last_problem = ""
        self._fork = ""
        self._snapshot: AdoptSnapshot | None = None
        self._takes_snapshots = True
        self._had_misfit = False
        self._was_paused = False
        self._refusal: ProblemCode = "protocol"
        self._wants_changes = False
        self._reidentifications = 0
        self.catalog = Catalog()
        """The catalogue of the database."""
        self.session: ClientSession | None = None
        """The session of the present connection."""

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped."""
        return self._task is not None

    @property
    def shown_url(self) -> str:
        """The same, without what is secret in it."""
        return without_secrets(self.url)

    def start(self) -> None:
        """Begin to connect."""
        self._stop_listening = self._db.on_change(self._on_change, prefetch=self._prefetch).cancel
        self._wanted.set()
        self._set_status(SyncStatus.CONNECTING, "")
        self._task = asyncio.get_running_loop().create_task(self._run(), name=f"SyncClient {self.shown_url}")

    async def stop(self) -> None:
        """End the connection for good; stopping twice does nothing."""
        task, self._task = self._task, None
        if task is None:
            return
        if self._stop_listening is not None:
            self._stop_listening()
        task.cancel()
        await asyncio.wait([task])
        self._set_status(SyncStatus.CLOSED, "closed")

    async def pause(self) -> None:
        """End the connection and make none until `resume`."""
        self._wanted.clear()
        self._was_paused = True
        self._set_status(SyncStatus.PAUSED, "")
        if self._connection is not None:
            await self._connection.close()

    def resume(self) -> None:
        """Connect at once, after `pause` or while it rests."""
        if self._report.status is SyncStatus.PAUSED:
            self._set_status(SyncStatus.CONNECTING, "")
        self._wanted.set()
        self._wake_waiters()

    async def use_new_token(self) -> None:
        """Send the keeper's new token over the connection; or try it, if the last one was refused."""
        session = self.session
        if session is not None and session.state == "live":
            session.renew(await self._tokens.fresh() or "")
        elif self._report.status is SyncStatus.REFUSED:
            self._wake_waiters()

    async def progress(self) -> None:
        """Wait until the session has got on, or another one has begun.

        Raises:
            SyncClosedError: It was stopped.
            RefusedError: The server does not take this client.
        """
        if self._task is None:
            raise SyncClosedError(f"the client of {self.shown_url} was closed")
        if self._report.status is SyncStatus.REFUSED:
            raise RefusedError(f"{self.shown_url} refuses this client: {self._report.detail}", self._refusal)
        waiter = self._add_waiter()
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def on_progress(self) -> None:
        """The session has got on; called by the connection."""
        session = self.session
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
        if session.download is not None and session.state == "handshake" and self._wanted.is_set():
            self._set_status(SyncStatus.SYNCING, session.download.progress)
        if session.state == "live" and self._wanted.is_set():
            self._set_status(SyncStatus.SYNCED if session.synced else SyncStatus.SYNCING, self._last_problem)
        self._wake_waiters()

    def on_reidentify(self, message: str) -> None:
        """The database needs a new site id; called by the connection."""
        self._fork = message

    def on_snapshot(self, snapshot: AdoptSnapshot) -> None:
        """The room has been fetched as a file; called by the connection."""
        self._snapshot = snapshot

    def _on_change(self, change: DatabaseChange) -> None:
        if change.origin is self:
            return
        if self.session is not None:
            self.session.local_changes(self._prefetch.take())
            self.on_progress()
        elif self._wants_changes:
            self._wake_waiters()

    async def _run(self) -> None:
        detail = ""
        while True:
            await self._wanted.wait()
            self.url = self._rounds.url
            self._set_status(SyncStatus.CONNECTING, detail)
            self._fork = self._last_problem = ""
            self._connected_at = None
            self._was_paused = False
            end = await self._attempt()
            if self._fork:
                end = end if end.refusal else await self._reidentify(self._fork)
                if not end.refusal:
                    detail = self._report.detail
                    continue
            if self._snapshot is not None:
                await self._adopt_snapshot(self._snapshot)
                detail = ""
                continue
            if self._was_paused:
                if not self._wanted.is_set():
                    self._set_status(SyncStatus.PAUSED, "")
                detail = ""
                continue
            rest = self._rounds.ended(end, held=self._held, renewable=self._tokens.renewable)
            detail = self._rounds.last_failure if rest is None else rest.why.detail
            if rest is not None:
                self._refusal = rest.why.refusal or self._refusal
                self._set_status(SyncStatus.REFUSED if rest.why.refusal else SyncStatus.OFFLINE, detail)
                self._wants_changes = rest.why.until_changes
                await self._rest(rest.seconds)
                self._wants_changes = False

    @property
    def _held(self) -> float:
        if self._connected_at is None:
            return 0.0
        return asyncio.get_running_loop().time() - self._connected_at

    async def _attempt(self) -> Ending:
        """Hold one connection for as long as it lasts."""
        try:
            token = await self._tokens.fresh()
        except Exception as error:
            _log.exception("%s: no token could be had", self.shown_url)
            return Ending(f"no token could be had: {error}", elsewhere=False)
        headers = {"Authorization": f"Bearer {token}"} if token is not None else None
        try:
            async with connect(
                self.url,
                additional_headers=headers,
                compression=None,
                # The package refuses None here, and takes True for the certificates that the system trusts.
                ssl=self._ssl or (True if urlsplit(self.url).scheme == "wss" else None),
                open_timeout=self._open_timeout,
                close_timeout=2,
                max_size=self._max_message_size,
                create_connection=DirectClientConnection,
            ) as websocket:
                return await self._serve(websocket)
        except InvalidStatus as error:
            return ending_of_request(error.response)
        except (OSError, TimeoutError, InvalidHandshake, WebSocketException) as error:
            return Ending(f"cannot connect: {in_plain_words(error)}")
        except Exception as error:
            # A client that has ended would look as one that connects for ever.
            _log.exception("%s: the connection failed in a way that was not foreseen", self.shown_url)
            return Ending(f"an error that was not foreseen, see the log: {error}")

    async def _serve(self, websocket: ClientConnection) -> Ending:
        wire = Wire(WebsocketTransport(websocket), self._db, self)
        session = ClientSession(
            emit=wire.emit,
            catalog=self.catalog,
            schema_policy=self._schema_policy,
            options=self._options,
            snapshots=self._takes_snapshots,
            view=self._view,
        )
        self.session, self._connection = session, websocket
        loop = asyncio.get_running_loop()
        self._connected_at = loop.time()
        ticker = loop.create_task(self._tick(session))
        self._was_paused = not self._wanted.is_set()
        try:
            if not self._was_paused:
                await wire.run(session)
        finally:
            self.on_progress()
            self.session = self._connection = None
            ticker.cancel()
        if session.got_through:
            self._reidentifications = 0
        reason = websocket.close_reason or self._last_problem or "the connection was lost"
        return ending_of_connection(websocket.close_code, reason)

    async def _tick(self, session: ClientSession) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            session.tick(loop.time())
            is_due = session.renew_at is not None and loop.time() >= session.renew_at
            if is_due and self._tokens.renewable:
                await self._renew(session)

    async def _renew(self, session: ClientSession) -> None:
        try:
            token = await self._tokens.fresh()
        except Exception:
            _log.exception("%s: no new token could be had", self.shown_url)
            session.renew_at = asyncio.get_running_loop().time() + _RENEWAL_PAUSE
        else:
            session.renew(token or "")

    async def _reidentify(self, reason: str) -> Ending:
        """Give the database a new site id; a refusal says why that cannot be."""
        self._reidentifications += 1
        if self._reidentifications > _MAX_REIDENTIFICATIONS:
            self._reidentifications = 0
            return Ending(f"a new site id did not help: {reason}", "forked", elsewhere=False)
        old = self._db.site_id
        try:
            await self._db.reidentify()
        except PersisterError as error:
            detail = f"the database needs a new site id ({reason}), but: {error}"
            return Ending(detail, "forked", elsewhere=False)
        self.catalog = Catalog()
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
                _log.info("%s begins with a snapshot of %s", self._db.path, self.shown_url)
            await self._db.run(discard_snapshots)
        except (OSError, PersisterError) as error:
            await self._snapshot_failed(error)
        self.catalog = Catalog()

    async def _snapshot_failed(self, error: Exception) -> None:
        if isinstance(error, BadCopyError) and not self._had_misfit:
            # A table may have come to the room after it was said which there are, and before it was copied.
            # The next connection is told of it, and finds the file where it is.
            self._had_misfit = True
            _log.info("%s: the snapshot of the room does not fit yet: %s", self._db.path, error)
            return
        self._takes_snapshots = False
        _log.warning(
            "%s: the snapshot of the room cannot be used, so its changes are fetched: %s",
            self._db.path,
            error,
        )
        with suppress(OSError, PersisterError):
            await self._db.run(discard_snapshots)

    async def _rest(self, seconds: float | None) -> None:
        """Wait, but not when told to go on."""
        waiter = self._add_waiter()
        await asyncio.wait([waiter], timeout=seconds)
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
        if (status, detail) == (self._report.status, self._report.detail):
            return
        level = logging.WARNING if status is SyncStatus.REFUSED else logging.DEBUG
        if _log.isEnabledFor(level):
            _log.log(level, "%s is %s%s", self.shown_url, status.value, f": {detail}" if detail else "")
        self._report.change(status, detail)
        self._wake_waiters()
