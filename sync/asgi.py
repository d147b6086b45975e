"""The server as an ASGI application, to be mounted in a web application under a path."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from http import HTTPStatus
from types import TracebackType
from typing import Any, ClassVar, Final, Self, TypeAlias
from urllib.parse import quote

from replicell.errors import ReplicellError
from replicell.sync.errors import SyncError
from replicell.sync.pages import Answer
from replicell.sync.reception import Reception, Visit
from replicell.sync.transport import TakeFrame

__all__ = ["AsgiApp", "AsgiTransport", "Receive", "Scope", "Send"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_log = logging.getLogger("replicell.sync.server")

_TOO_BIG: Final = 1009
_GOING: Final = 1001
_FAREWELL_SECONDS: Final = 5.0
_OVER: Final = Answer(
    HTTPStatus.SERVICE_UNAVAILABLE, "the server is going away and will be back\n", (("Retry-After", "1"),)
)
_RESPONSE_EXTENSION: Final = "websocket.http.response"


class DisconnectedError(SyncError):
    """The other side of an ASGI websocket has gone."""


class AsgiTransport:
    """An accepted websocket of an ASGI server.

    Args:
        receive: Gives the server's next event.
        send: Takes an event.
        most_bytes: The biggest frame that is taken.
    """

    lost: ClassVar[type[Exception]] = DisconnectedError

    def __init__(self, receive: Receive, send: Send, most_bytes: int) -> None:
        self._receive = receive
        self._send = send
        self._most_bytes = most_bytes
        self._is_open = True

    async def __aiter__(self) -> AsyncIterator[bytes | str]:
        while True:
            try:
                frame = await self.recv()
            except DisconnectedError:
                return
            yield frame

    async def recv(self) -> bytes | str:
        """See `Transport.recv`."""
        event = await self._receive()
        if event["type"] != "websocket.receive":
            self._is_open = False
            raise DisconnectedError("the client has gone")
        content, text = event.get("bytes"), event.get("text")
        size = len(content) if content is not None else len((text or "").encode())
        if size > self._most_bytes:
            await self.close(_TOO_BIG, f"a message may have {self._most_bytes} bytes")
            raise DisconnectedError("a message was too big")
        return content if content is not None else text or ""

    def hand_over(self, take: TakeFrame | None) -> None:
        """ASGI has frames asked for."""

    def send_at_once(self, frame: bytes | str) -> bool:
        """ASGI cannot say whether somebody would have to wait."""
        return False

    async def send(self, frame: bytes | str) -> None:
        """See `Transport.send`."""
        if not self._is_open:
            raise DisconnectedError("the client has gone")
        kind = "text" if isinstance(frame, str) else "bytes"
        try:
            await self._send({"type": "websocket.send", kind: frame})
        except Exception as error:
            # Servers disagree on what they raise when the client has gone.
            self._is_open = False
            raise DisconnectedError(f"the client has gone: {error!r}") from error

    async def close(self, code: int, reason: str) -> None:
        """See `Transport.close`."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            await self._send({"type": "websocket.close", "code": code, "reason": reason})
        except Exception as error:
            _log.debug("the client has gone before it was told why: %r", error)


class AsgiApp:
    """Serves the rooms of a `replicell.sync.SyncServer` as an ASGI application; see `SyncServer.asgi`.

    The room's name is the rest of the path below the one at which it is mounted; plain HTTP requests get what
    the server tells of itself, as ``healthz``.

    Args:
        reception: Lets clients in and serves them.
        begin: Starts the server, unless it runs.
        end: Closes it.
    """

    def __init__(
        self,
        reception: Reception,
        begin: Callable[[], Awaitable[None]],
        end: Callable[[], Awaitable[None]],
    ) -> None:
        self._reception = reception
        self._begin = begin
        self._end = end
        self._open: dict[AsgiTransport, asyncio.Task[Any] | None] = {}
        self._is_cared_for = False
        self._is_over = False
        self._keeper: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "lifespan":
                await self._lifespan(receive, send)
            case "websocket":
                await self._serve_websocket(scope, receive, send)
            case "http":
                await self._serve_page(scope, receive, send)
            case other:
                raise SyncError(f"ASGI scopes are lifespan, websocket and http, not {other!r}")

    async def __aenter__(self) -> Self:
        self._is_over = False
        await self._begin()
        self._is_cared_for = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()
        self._is_cared_for = False

    def turn_away(self) -> None:
        """Let nobody in any more, until the application is started anew; called by the server."""
        self._is_over = True

    async def dismiss(self, code: int, reason: str) -> None:
        """Send all clients away; called by the server.

        Args:
            code: The close code.
            reason: Why.
        """
        tasks = [task for task in self._open.values() if task is not None]
        for transport in list(self._open):
            await transport.close(code, reason)
        if tasks:
            await asyncio.wait(tasks, timeout=_FAREWELL_SECONDS)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            event = await receive()
            if event["type"] == "lifespan.shutdown":
                await self.__aexit__(None, None, None)
                await send({"type": "lifespan.shutdown.complete"})
                return
            try:
                await self.__aenter__()
            except Exception as error:
                # Some servers take an exception for a sign that lifespans are of no interest, and go on.
                level = logging.ERROR if isinstance(error, ReplicellError) else logging.CRITICAL
                _log.log(level, "the rooms cannot be served: %s", error, exc_info=level > logging.ERROR)
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            await send({"type": "lifespan.startup.complete"})

    async def _start(self) -> Answer | None:
        """Start the server if nobody else has; returns what to answer if that is not wanted any more."""
        if self._is_over:
            return _OVER
        await self._begin()
        if not self._is_cared_for and self._keeper is None:
            self._keeper = asyncio.get_running_loop().create_task(self._keep(), name="SyncServer.asgi")
        return None

    async def _keep(self) -> None:
        """Close the server when the event loop ends, because nobody else does."""
        try:
            await asyncio.Event().wait()
        finally:
            self._keeper = None
            await self._end()

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        visit = Visit(self._reception.attendance)
        visit.seat.arrive()
        try:
            client = scope.get("client")
            answer = await self._start() or await self._reception.receive(
                visit, _target(scope), _headers(scope), str(client[0]) if client else ""
            )
            if answer is None and self._is_over:
                answer = _OVER
            if answer is not None:
                await _refuse(scope, send, answer)
                return
            await send({"type": "websocket.accept"})
            transport = AsgiTransport(receive, send, self._reception.limits.message_bytes)
            self._open[transport] = asyncio.current_task()
            try:
                await self._reception.serve(transport, visit)
                await transport.close(_GOING, "")
            finally:
                del self._open[transport]
        finally:
            visit.seat.leave()

    async def _serve_page(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = await self._start() or await self._reception.pages.answer(
            _target(scope).partition("?")[0], dict(_headers(scope)).get("authorization", "")
        )
        if answer is None:
            answer = Answer(
                HTTPStatus.UPGRADE_REQUIRED,
                "rooms are entered with a websocket: replicell.sync.SyncClient makes one\n",
                (("Upgrade", "websocket"),),
            )
        elif scope["method"] not in ("GET", "HEAD"):
            answer = Answer(HTTPStatus.METHOD_NOT_ALLOWED, "only GET\n", (("Allow", "GET, HEAD"),))
        await _respond(send, answer, "http.response", has_body=scope["method"] != "HEAD")


def _target(scope: Scope) -> str:
    """Return the path below the one at which the application is mounted, and the query, percent-encoded."""
    root = scope.get("root_path", "").rstrip("/")
    raw = scope.get("raw_path")
    path = raw.decode("ascii", errors="replace") if raw else quote(scope["path"])
    for prefix in (root, quote(root)):
        if prefix and path.startswith(f"{prefix}/"):
            path = path[len(prefix) :]
            break
    query = scope.get("query_string", b"").decode("ascii", errors="replace")
    return f"{path}?{query}" if query else path


def _headers(scope: Scope) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]


async def _refuse(scope: Scope, send: Send, answer: Answer) -> None:
    if _RESPONSE_EXTENSION in (scope.get("extensions") or {}):
        await _respond(send, answer, _RESPONSE_EXTENSION)
    else:
        # All that plain ASGI can do: the server makes a 403 of it.
        await send({"type": "websocket.close", "code": _GOING, "reason": answer.text.strip()})


async def _respond(send: Send, answer: Answer, kind: str, *, has_body: bool = True) -> None:
    body = answer.text.encode()
    headers = {
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(body)),
        **dict(answer.headers),
    }
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": f"{kind}.start", "status": int(answer.status), "headers": encoded})
    await send({"type": f"{kind}.body", "body": body if has_body else b""})
