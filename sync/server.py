"""The sync server: keeps rooms for clients, one database file each, and passes their changes on."""

from __future__ import annotations

import asyncio
import logging
import ssl as ssl_module
from collections.abc import Iterable
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import Final, Self
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Origin

from replicell.persisters.crsqlite.extension import extension_path
from replicell.persisters.errors import PersisterError
from replicell.sync.access import StaticTokens, room_name
from replicell.sync.actions import CLOSE_CODES, SessionOptions
from replicell.sync.addresses import check_port, check_token, in_plain_words
from replicell.sync.announcements import SchemaPolicy
from replicell.sync.errors import DecodeError, RoomNameError, SyncClosedError, SyncError
from replicell.sync.messages import Hello, Problem, decode, encode
from replicell.sync.room import DEFAULT_MAX_MESSAGE_SIZE
from replicell.sync.rooms import RoomHost
from replicell.sync.server_session import Access, ServerSession
from replicell.sync.wire import Wire

__all__ = ["SyncServer"]

_log = logging.getLogger("replicell.sync.server")

_TICK_SECONDS: Final = 1.0
_HEALTH_PATH: Final = "/healthz"


class SyncServer:
    """Serves rooms to `replicell.sync.SyncClient`.

    A room is the path of its address, and a cr-sqlite database file in ``data_dir``, made when the first
    client comes. What a client is told to be acknowledged is on this disk.

    Args:
        data_dir: The folder of the rooms' files; it is created if it is missing.
        host: The address to listen on.
        port: The port; 0 for any free one, see `port`.
        tokens: Tokens whose bearers may read and write. Without any token at all everybody may.
        read_only_tokens: Tokens whose bearers may only read.
        origins: Web pages that may connect from browsers, as ``https://example.com``; ``*`` for all. Programs
            that are no browsers send no origin and are not concerned.
        schema_policy: ``auto`` creates tables and columns that clients announce; ``strict`` parks their
            changes until they have been created in the room's file.
        max_message_size: The biggest frame that is taken, in bytes.
        room_idle_seconds: How long a room stays open without clients.
        ssl: A server-side context, for ``wss://``.
        options: Times and sizes of the protocol.

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
        origins: Iterable[str] = (),
        schema_policy: SchemaPolicy = "auto",
        max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE,
        room_idle_seconds: float = 60.0,
        ssl: ssl_module.SSLContext | None = None,
        options: SessionOptions | None = None,
    ) -> None:
        if schema_policy not in ("auto", "strict"):
            raise SyncError(f"schema_policy is 'auto' or 'strict', not {schema_policy!r}")
        if max_message_size < _SMALLEST_MESSAGE_SIZE:
            raise SyncError(
                f"max_message_size is at least {_SMALLEST_MESSAGE_SIZE} bytes, not {max_message_size}"
            )
        if not 0 <= room_idle_seconds < float("inf"):
            raise SyncError(f"room_idle_seconds is a number of seconds, 0 or more, not {room_idle_seconds}")
        allowed = _several("origins", origins)
        for origin in allowed:
            _check_origin(origin)
        self._data_dir = Path(data_dir)
        self._host = host
        self._port = check_port(port)
        self._tokens = StaticTokens(
            map(check_token, _several("tokens", tokens)),
            map(check_token, _several("read_only_tokens", read_only_tokens)),
        )
        self._origins = None if "*" in allowed else [None, *map(Origin, allowed)]
        self._ssl = ssl
        self._options = options or SessionOptions()
        self._max_message_size = max_message_size
        self._rooms = RoomHost(
            self._data_dir,
            schema_policy=schema_policy,
            options=self._options,
            max_message_size=max_message_size,
            idle_seconds=room_idle_seconds,
        )
        self._sessions: set[ServerSession] = set()
        self._server: Server | None = None
        self._ticker: asyncio.Task[None] | None = None

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

    async def start(self) -> Self:
        """Listen; starting a started server does nothing.

        Raises:
            SyncError: The address is taken, or the folder cannot be made or written.
            ExtensionNotFoundError: The cr-sqlite extension is not installed.
        """
        if self._server is not None:
            return self
        # Told now, not to each client that comes.
        extension_path()
        _make_writable(self._data_dir)
        try:
            self._server = await serve(
                self._handle,
                self._host,
                self._port,
                process_request=self._process_request,
                origins=self._origins,
                compression=None,
                ssl=self._ssl,
                open_timeout=self._options.handshake_timeout,
                max_size=self._max_message_size,
                server_header=None,
            )
        except OSError as error:
            raise SyncError(
                f"cannot serve on {self._host}, port {self._port}: {in_plain_words(error)}"
            ) from error
        self._ticker = asyncio.get_running_loop().create_task(self._tick())
        return self

    async def close(self) -> None:
        """Send the clients away, who come back by themselves when a server is there again, and close the
        rooms."""
        server, self._server = self._server, None
        if server is None:
            return
        if self._ticker is not None:
            self._ticker.cancel()
        server.close(code=CLOSE_CODES["restart"], reason="the server is going away and will be back")
        await server.wait_closed()
        await self._rooms.close()

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

    def _process_request(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer what needs no websocket, and refuse what may not have one."""
        if urlsplit(request.path).path == _HEALTH_PATH and "Upgrade" not in request.headers:
            return connection.respond(HTTPStatus.OK, "ok\n")
        try:
            room_name(urlsplit(request.path).path)
        except RoomNameError as error:
            return connection.respond(HTTPStatus.BAD_REQUEST, f"{error}\n")
        try:
            token = _token(request)
        except ValueError:
            return connection.respond(
                HTTPStatus.BAD_REQUEST, "the Authorization header was sent more than once\n"
            )
        if token is not None and self._tokens.access(token) is None:
            return connection.respond(
                HTTPStatus.UNAUTHORIZED, "the token is not valid here: ask for one where the server is run\n"
            )
        return None

    async def _handle(self, websocket: ServerConnection) -> None:
        request = websocket.request
        if request is None:
            return
        name = room_name(urlsplit(request.path).path)
        try:
            access, first = await self._admit(websocket, _token(request))
        except (ConnectionClosed, TimeoutError):
            return
        if access is None:
            return
        try:
            async with self._rooms.entered(name) as opened:
                wire = Wire(websocket, opened.db, opened)
                session = ServerSession(emit=wire.emit, room=opened.room, access=access)
                self._sessions.add(session)
                try:
                    await wire.run(session, first)
                finally:
                    self._sessions.discard(session)
        except PersisterError as error:
            _log.error("room %r cannot be opened: %s", name, error)
            await websocket.close(CLOSE_CODES["internal"], "the room cannot be opened, see the server's log")

    async def _admit(
        self, websocket: ServerConnection, token: str | None
    ) -> tuple[Access | None, bytes | str | None]:
        """Find out what a client may do, if need be from its first message; nothing is opened for
        strangers."""
        if token is not None or self._tokens.open_to_all:
            return self._tokens.access(token), None
        async with asyncio.timeout(self._options.handshake_timeout):
            first = await websocket.recv()
        try:
            hello = decode(first)
        except DecodeError:
            hello = None
        access = self._tokens.access(hello.token if isinstance(hello, Hello) else None)
        if access is None:
            text = "this room needs a valid token: give one in the Authorization header, the address or Hello"
            await websocket.send(
                encode(Problem("unauthorized", text), "json" if isinstance(first, str) else "msgpack")
            )
            await websocket.close(
                CLOSE_CODES["unauthorized"], "this room needs a valid token: give one with token= or --token"
            )
        return access, first

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_TICK_SECONDS)
            for session in list(self._sessions):
                session.tick(loop.time())


_SMALLEST_MESSAGE_SIZE: Final = 128 * 1024


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


def _token(request: Request) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    given = parse_qs(urlsplit(request.path).query).get("token")
    return given[0] if given else None
