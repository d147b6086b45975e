"""The sync server: keeps rooms for clients, one database file each, and passes their changes on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl as ssl_module
import time
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Final, Self, TypeVar, overload
from urllib.parse import quote, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request as HttpRequest
from websockets.http11 import Response

from replicell.persisters.crsqlite.extension import extension_path
from replicell.sync.access import Authenticate, StaticTokens, room_name
from replicell.sync.access.gate import Gate
from replicell.sync.actions import CLOSE_CODES, SessionOptions
from replicell.sync.addresses import check_port, in_plain_words
from replicell.sync.announcements import SchemaPolicy
from replicell.sync.arrivals import Arrivals, ArrivedConnection
from replicell.sync.asgi import AsgiApp
from replicell.sync.attendance import Attendance
from replicell.sync.backplane.interface import Backplane
from replicell.sync.backplane.node import Node
from replicell.sync.backplane.options import LinkOptions
from replicell.sync.change_sets import Validate
from replicell.sync.client_addresses import ClientAddresses
from replicell.sync.counts import Counts
from replicell.sync.errors import SyncClosedError, SyncError
from replicell.sync.limits import Limits
from replicell.sync.pages import Answer, Pages
from replicell.sync.presence import PresencePolicy
from replicell.sync.reception import Reception
from replicell.sync.rooms import RoomHost
from replicell.sync.server_code import RoomHandler, ServerCode, ServerRoom
from replicell.sync.transport import WebsocketTransport
from replicell.sync.turns import Turns

__all__ = ["SyncServer"]

_log = logging.getLogger("replicell.sync.server")

_Handler = TypeVar("_Handler", bound=RoomHandler)

_TICK_SECONDS: Final = 1.0
_BEAT_SECONDS: Final = 0.1
"""How often it is looked how late the event loop is."""
_RESTARTING: Final = "the server is going away and will be back"


class SyncServer:
    """Serves rooms to `replicell.sync.SyncClient`.

    A room is the path of its address, and a cr-sqlite database file in ``data_dir``, made when the first
    client comes that may write. What a client is told to be acknowledged is on this disk.

    Args:
        data_dir: The folder of the rooms' files; it is created if it is missing.
        host: The address to listen on.
        port: The port; 0 for any free one, see `port`.
        tokens: Tokens whose bearers may read and write. Without any token at all everybody may.
        read_only_tokens: Tokens whose bearers may only read.
        authenticate: Instead of tokens: a function, plain or async, that is given a `Request` and returns the
            `Identity` of who sends it, or None. `StaticTokens` and `JwtTokens` are such functions.
        validate: A function, plain or async, that is given a `ChangeSet` and the `Identity` of who sends it,
            and returns None to take it, or why it is refused.
        origins: Web pages that may connect from browsers, as ``https://example.com``; ``*`` for all. Programs
            that are no browsers send no origin and are not concerned.
        schema_policy: ``auto`` creates tables and columns that clients announce; ``strict`` parks their
            changes until they have been created in the room's file.
        limits: What a client, a room and all of them may have.
        trusted_proxies: Addresses or networks of proxies whose ``proxy_header`` is believed.
        proxy_header: The header in which they say for whom they speak.
        presence: What clients of a room are told of each other, if they take part: ``anonymous`` tells the
            states that they show, ``names`` also the names in their identities, ``off`` nothing.
        room_idle_seconds: How long a room stays open without clients.
        row_id_column: The key column of tables that server code makes in a room's store; that of tables which
            clients have made is known.
        backplane: What it shares its rooms with other servers through, as `JetStreamBackplane`; None for a
            server on its own.
        link_options: Times and sizes of following the other servers.
        ssl: A server-side context, for ``wss://``.
        options: Times and sizes of the protocol.
        clock: The time in seconds since 1970, by which identities expire.
        metrics_token: The token that ``/metrics`` asks for; None to tell the figures to everybody.
        metrics_rooms: How many rooms, those with the most clients, lag and bytes, have figures of their own
            there, by name.

    Raises:
        SyncError: An argument is out of range.

    Example::

        async with SyncServer("rooms", port=8040) as server:
            print(f"listening on {server.url}")
            await server.wait_closed()
    """

    def __init__(
        self,
        data_dir: str | Path,
        *,
        host: str = "127.0.0.1",
        port: int = 8040,
        tokens: Iterable[str] = (),
        read_only_tokens: Iterable[str] = (),
        authenticate: Authenticate | None = None,
        validate: Validate | None = None,
        origins: Iterable[str] = (),
        schema_policy: SchemaPolicy = "auto",
        limits: Limits | None = None,
        trusted_proxies: Iterable[str] = (),
        proxy_header: str = "X-Forwarded-For",
        presence: PresencePolicy = "anonymous",
        room_idle_seconds: float = 60.0,
        row_id_column: str = "_id",
        backplane: Backplane | None = None,
        link_options: LinkOptions | None = None,
        ssl: ssl_module.SSLContext | None = None,
        options: SessionOptions | None = None,
        clock: Callable[[], float] = time.time,
        metrics_token: str | None = None,
        metrics_rooms: int = 0,
    ) -> None:
        if schema_policy not in ("auto", "strict"):
            raise SyncError(f"schema_policy is 'auto' or 'strict', not {schema_policy!r}")
        if presence not in ("anonymous", "names", "off"):
            raise SyncError(f"presence is 'anonymous', 'names' or 'off', not {presence!r}")
        if not 0 <= room_idle_seconds < float("inf"):
            raise SyncError(f"room_idle_seconds is a number of seconds, 0 or more, not {room_idle_seconds}")
        allowed = _several("origins", origins)
        for origin in allowed:
            _check_origin(origin)
        self._data_dir = Path(data_dir)
        self._host = host
        self._port = check_port(port)
        self._limits = limits or Limits()
        self._ssl = ssl
        self._options = replace(options or SessionOptions(), handshake_timeout=self._limits.handshake_seconds)
        self._node = Node(backplane, link_options)
        self._rooms = RoomHost(
            self._data_dir,
            schema_policy=schema_policy,
            options=self._options,
            limits=self._limits,
            idle_seconds=room_idle_seconds,
            node=self._node,
            row_id_column=row_id_column,
        )
        if metrics_rooms < 0:
            raise SyncError(f"metrics_rooms is a number of rooms, 0 or more, not {metrics_rooms}")
        self._counts = Counts()
        self._pages = Pages(
            folder=self._data_dir,
            backplane=self._node.backplane,
            counts=self._counts,
            rooms=lambda: self._reception.overview(),
            cluster=self._node.overview,
            metrics_token=metrics_token,
            labelled_rooms=metrics_rooms,
        )
        self._reception = Reception(
            rooms=self._rooms,
            gate=Gate(_one_of(authenticate, tokens, read_only_tokens), self._limits.hook_seconds),
            limits=self._limits,
            addresses=ClientAddresses(trusted_proxies, proxy_header),
            attendance=Attendance(self._limits, time.monotonic),
            origins=None if "*" in allowed else frozenset(allowed),
            validate=validate,
            presence=presence,
            turns=Turns(time.monotonic),
            clock=clock,
            pages=self._pages,
            counts=self._counts,
        )
        self._server: Server | None = None
        self._arrivals = Arrivals(self._reception.attendance, self._counts, self._limits.handshake_seconds)
        self._mounted: AsgiApp | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._is_changing = asyncio.Lock()

    @property
    def port(self) -> int:
        """The port it listens on.

        Raises:
            SyncClosedError: The server is not started.
        """
        if self._server is None:
            raise SyncClosedError("the server is not started: await start() or use `async with`")
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The address that rooms' names are appended to, as ``ws://host:port``."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{'ws' if self._ssl is None else 'wss'}://{host}:{self.port}"

    @property
    def rooms(self) -> list[str]:
        """The names of the rooms that are open now."""
        return self._rooms.names

    @overload
    def on_room(self, handler: _Handler, *, store: bool = True) -> _Handler: ...

    @overload
    def on_room(self, *, store: bool = True) -> Callable[[_Handler], _Handler]: ...

    def on_room(
        self, handler: _Handler | None = None, *, store: bool = True
    ) -> _Handler | Callable[[_Handler], _Handler]:
        """Run a function in each room that is loaded from now on, for as long as it is; also a decorator.

        A coroutine function runs beside everything else and is cancelled when the room is unloaded, that is
        when no client has been there for ``room_idle_seconds`` (see `open_room`). If it raises, that is
        logged, and hurts nobody.

        Args:
            handler: A function, plain or async, that is given the `ServerRoom`.
            store: Whether it needs the room's store, which then holds all of the room in memory and is loaded
                before it is called.

        Raises:
            SyncError: The handler is no function.

        Example::

            @server.on_room
            def greet(room):
                room.store.add_row_ids_listener("todo", lambda *_: print(f"news in {room.name}"))
        """

        def register(handler: _Handler) -> _Handler:
            if not callable(handler):
                raise SyncError(f"on_room takes a function that is given a room, not {handler!r}")
            self._rooms.code.append(ServerCode(handler, store))
            return handler

        return register if handler is None else register(handler)

    @contextlib.asynccontextmanager
    async def open_room(self, name: str) -> AsyncIterator[ServerRoom]:
        """Have a room loaded, with its store, for the length of the block; what is written there is saved at
        its end.

        Args:
            name: The room's name.

        Raises:
            RoomNameError: It cannot be one.
            TooManyRoomsError: All rooms that may be open are in use.
            SyncClosedError: The server is not started.
            PersisterError: The room's database cannot be used.

        Example::

            async with server.open_room("my-room") as room:
                room.store.set_row("todo", "1", {"text": "Buy milk"})
        """
        if self._ticker is None:
            raise SyncClosedError("the server is not started: await start() or use `async with`")
        async with self._rooms.entered(room_name("/" + quote(name))) as opened:
            room = await opened.server_room.load_store()
            yield room
            await room.flush()

    async def start(self) -> Self:
        """Listen; starting a started server does nothing.

        Raises:
            SyncError: The address is taken, or the folder cannot be made or written.
            ExtensionNotFoundError: The cr-sqlite extension is not installed.
        """
        if self._server is not None:
            return self
        await self._begin()
        try:
            self._server = await serve(
                self._handle,
                self._host,
                self._port,
                process_request=self._process_request,
                compression=None,
                ssl=self._ssl,
                open_timeout=self._limits.handshake_seconds,
                max_size=self._limits.message_bytes,
                server_header=None,
                create_connection=self._arrivals.begin(),
                ssl_handshake_timeout=None if self._ssl is None else self._limits.handshake_seconds,
            )
        except BaseException as error:
            await self.close()
            if isinstance(error, OSError):
                raise SyncError(
                    f"cannot serve on {self._host}, port {self._port}: {in_plain_words(error)}"
                ) from error
            raise
        return self

    async def close(self) -> None:
        """Send the clients away, who come back by themselves when a server is there again, and close the
        rooms."""
        if self._mounted is not None:
            self._mounted.turn_away()
        async with self._is_changing:
            ticker, self._ticker = self._ticker, None
            if ticker is None:
                return
            ticker.cancel()
            self._pages.phase = "shutting down"
            self._reception.close_to_new_rooms(True)
            server, self._server = self._server, None
            if server is not None:
                await self._arrivals.stop(server)
                server.close(code=CLOSE_CODES["restart"], reason=_RESTARTING)
                await server.wait_closed()
            if self._mounted is not None:
                await self._mounted.dismiss(CLOSE_CODES["restart"], _RESTARTING)
            await self._rooms.close()
            await self._node.backplane.close()

    def announce_closing(self) -> None:
        """Say at ``/readyz`` from now on that the server goes away, so that nobody is sent here any more; it
        serves on until `close`."""
        self._pages.phase = "shutting down"

    def asgi(self) -> AsgiApp:
        """Return an ASGI application that serves the rooms below the path at which it is mounted, in
        Starlette, FastAPI and others, in place of a port of its own: `start` is not called.

        The server starts with the application's lifespan, or with ``async with`` around the application, or
        else with the first request; it closes with it, or else with the event loop.

        Example::

            sync = SyncServer("rooms").asgi()
            app = Starlette(routes=[Mount("/sync", app=sync)])  # ws://host:port/sync/my-room
        """
        if self._mounted is None:
            self._mounted = AsgiApp(self._reception, self._begin, self.close)
        return self._mounted

    async def wait_closed(self) -> None:
        """Wait until the server is closed."""
        if self._server is not None:
            await self._server.wait_closed()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _begin(self) -> None:
        """Do what comes before the first client, whichever way that comes; once."""
        async with self._is_changing:
            if self._ticker is not None:
                return
            # Told now, not to each client that comes.
            extension_path()
            _make_writable(self._data_dir)
            await self._node.backplane.start()
            self._ticker = asyncio.get_running_loop().create_task(self._tick())
            self._reception.close_to_new_rooms(False)
            self._pages.phase = "serving"

    async def _process_request(self, connection: ServerConnection, request: HttpRequest) -> Response | None:
        """Answer what needs no websocket, and refuse what may not have one."""
        if "Upgrade" not in request.headers:
            authorization = next(iter(request.headers.get_all("Authorization")), "")
            page = await self._pages.answer(urlsplit(request.path).path, authorization)
            if page is not None:
                return _respond(connection, page)
        if not isinstance(connection, ArrivedConnection):
            raise TypeError("the connection was made by somebody else")
        peer = connection.remote_address
        host = str(peer[0]) if peer else ""
        answer = await self._reception.receive(
            connection.visit, request.path, request.headers.raw_items(), host
        )
        return None if answer is None else _respond(connection, answer)

    async def _handle(self, websocket: ServerConnection) -> None:
        if isinstance(websocket, ArrivedConnection):
            await self._reception.serve(WebsocketTransport(websocket), websocket.visit)

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        next_tick = loop.time() + _TICK_SECONDS
        while True:
            beat = loop.time() + _BEAT_SECONDS
            await asyncio.sleep(_BEAT_SECONDS)
            now = loop.time()
            self._counts.loop_delay_seconds.observe(max(0.0, now - beat))
            if now >= next_tick:
                next_tick = now + _TICK_SECONDS
                self._reception.tick(now)


def _one_of(
    authenticate: Authenticate | None, tokens: Iterable[str], read_only_tokens: Iterable[str]
) -> Authenticate:
    known = _several("tokens", tokens), _several("read_only_tokens", read_only_tokens)
    if authenticate is None:
        return StaticTokens(*known)
    if any(known):
        raise SyncError("give either authenticate= or tokens=: StaticTokens is one that knows tokens")
    return authenticate


def _respond(connection: ServerConnection, answer: Answer) -> Response:
    response = connection.respond(answer.status, answer.text)
    for name, value in answer.headers:
        if name == "Content-Type":
            del response.headers[name]
        response.headers[name] = value
    return response


def _several(name: str, given: Iterable[str]) -> list[str]:
    # A text is a sequence of texts too, and each of its letters would let somebody in.
    if isinstance(given, str):
        raise SyncError(f"{name} is a list of texts, not one text: put it in brackets")
    return list(given)


def _check_origin(origin: str) -> None:
    parts = urlsplit(origin)
    if origin not in ("*", "null") and (
        not parts.scheme or not parts.netloc or parts.path or parts.query or parts.fragment
    ):
        raise SyncError(f"the origin {origin!r} is none: it looks like https://example.com, or is * for all")


def _make_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise SyncError(
            f"the rooms cannot be kept in {folder}: {error.strerror}; choose one that may be written"
        ) from error
