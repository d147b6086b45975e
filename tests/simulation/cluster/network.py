"""Websockets without sockets, between clients and server nodes that both believe in them."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextvars import Context
from dataclasses import dataclass
from random import Random
from typing import Any, ClassVar, Final, Protocol

from websockets.datastructures import Headers
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response

from replicell.sync.errors import DecodeError
from replicell.sync.messages import Ack, Changes, Heartbeat, Resend, decode
from tests.simulation.cluster.loop import Life, VirtualLoop
from tests.simulation.network import as_bytes

__all__ = ["Connection", "LinkDownError", "Network", "Station", "Weather"]

_ABNORMAL: Final = 1006
_TICK: Final = 1e-6
_LONGEST_UNNOTICED: Final = 4.0
"""Seconds after which an end of a broken connection has noticed, at last."""


class LinkDownError(OSError):
    """Nobody can be reached there, or not any more."""


@dataclass
class Weather:
    """How the network is.

    Args:
        latency: Seconds that a frame takes at most.
        buffer_bytes: How much is under way before who sends has to wait.
        loss: Part of the frames that get lost, of those that the protocol sends again. A websocket loses
            none, but the protocol must do with it.
        duplication: Part of them that come twice.
        reordering: Part of them that overtake others.
    """

    latency: float
    buffer_bytes: int
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0

    def calm(self) -> None:
        """Let nothing get lost from now on, nor come twice or too soon."""
        self.loss = self.duplication = self.reordering = 0.0


class Station(Protocol):
    """A machine that clients connect to."""

    name: str

    @property
    def life(self) -> Life | None:
        """Its process, None while it is down."""
        ...

    @property
    def app(self) -> Callable[..., Awaitable[None]] | None:
        """The ASGI application that it runs, None as long as it serves nobody."""
        ...


class Network:
    """Carries frames, late, and no further than the partitions.

    Args:
        loop: The event loop.
        rng: Decides how late.
        weather: How it is in general.
        digest: Told of each frame that arrives.
    """

    def __init__(
        self, loop: VirtualLoop, rng: Random, weather: Weather, digest: Callable[[str, bytes], None]
    ) -> None:
        self.loop = loop
        self.rng = rng
        self.weather = weather
        self.digest = digest
        self.connections: dict[Connection, None] = {}
        self.partitions: set[tuple[str, str]] = set()
        self.mishaps: Counter[str] = Counter()
        """How many frames got lost, came twice or might overtake others."""
        self._ports = 1

    def joins(self, client: str, node: Station) -> bool:
        """Tell whether a client is connected to a node."""
        return any(connection.ends == (client, node.name) for connection in self.connections)

    async def connect(self, life: Life, node: Station, path: str) -> Connection:
        """Open a websocket from a client's process to a node.

        Raises:
            LinkDownError: The node does not answer.
            InvalidStatus: It answers otherwise.
        """
        await asyncio.sleep(self.rng.random() * self.weather.latency)
        if (life.name, node.name) in self.partitions:
            await asyncio.sleep(self.rng.random())
            raise LinkDownError(f"{node.name} cannot be reached from {life.name}")
        if node.life is None or node.life.is_over or node.app is None:
            raise LinkDownError(f"{node.name} is down")
        self._ports += 1
        connection = Connection(self, life, node.life, node.name, self._ports)
        self.connections[connection] = None
        connection.serve(node.app, path)
        await connection.opened
        return connection


class _Direction:
    """One direction of a connection: frames in order, and what ends them."""

    def __init__(self, network: Network, name: str) -> None:
        self._network = network
        self._name = name
        self._arrived: deque[bytes | str] = deque()
        self._under_way = 0
        self._last = 0.0
        self._floor = 0.0
        """When the last frame arrives that none may overtake."""
        self._is_mute = False
        self._changed = asyncio.Event()
        self.ending: tuple[int, str] | None = None
        """The close code and the reason that whoever reads finds at the end."""
        self.broken = False
        self.take: Callable[[bytes], bool] | None = None
        """Who is asked to take frames that arrive when none waits."""

    @property
    def is_free(self) -> bool:
        """Whether there is room for another frame."""
        return self._under_way < self._network.weather.buffer_bytes

    def stall(self, seconds: float) -> None:
        """Let nothing arrive for a while."""
        self._last = max(self._last, self._network.loop.now + seconds)

    def mute(self) -> None:
        """Let nothing arrive any more, without anybody being told."""
        self._is_mute = True

    def send(self, frame: bytes | str) -> None:
        """Put a frame on its way."""
        weather, rng = self._network.weather, self._network.rng
        if not (weather.loss or weather.duplication or weather.reordering) or not _is_sent_again(frame):
            self._put(frame)
            self._floor = self._last
        elif rng.random() < weather.loss:
            self._network.mishaps["loss"] += 1
        else:
            self._put_or_overtake(frame)
            if rng.random() < weather.duplication:
                self._network.mishaps["duplication"] += 1
                self._put_or_overtake(frame)

    def _put_or_overtake(self, frame: bytes | str) -> None:
        network = self._network
        if network.rng.random() >= network.weather.reordering:
            self._put(frame)
            return
        network.mishaps["reordering"] += 1
        self._under_way += len(frame)
        self._at(max(self._floor + _TICK, network.loop.now + self._lateness()), self._arrive, frame)

    def _put(self, frame: bytes | str) -> None:
        self._under_way += len(frame)
        self._after_the_others(self._arrive, frame)

    def end(self, code: int, reason: str) -> None:
        """Let an ending follow the frames."""
        self._after_the_others(self._end, code, reason)

    def cut(self, code: int, reason: str) -> None:
        """End it now; what was under way is lost."""
        self.broken = True
        self._end(code, reason)

    def drop(self) -> None:
        """Lose what is under way and what follows, without anybody being told."""
        self.broken = True

    async def wait_until_free(self) -> None:
        """Wait until there is room for another frame, or the connection has ended."""
        while not self.is_free and self.ending is None and not self.broken:
            await self._wait()

    async def read(self) -> bytes | str | None:
        """Return the next frame, None at the end."""
        while not self._arrived:
            if self.ending is not None:
                return None
            await self._wait()
        frame = self._arrived.popleft()
        self._under_way -= len(frame)
        self._wake()
        return frame

    def _after_the_others(self, call: Callable[..., None], *args: Any) -> None:
        # Timers of the same moment come in any order.
        self._last = max(self._last + _TICK, self._network.loop.now + self._lateness())
        self._at(self._last, call, *args)

    def _at(self, moment: float, call: Callable[..., None], *args: Any) -> None:
        if not self._is_mute:
            loop = self._network.loop
            loop.call_later(moment - loop.now, self._unless_broken, call, args, context=_nobodys())

    def _lateness(self) -> float:
        return self._network.rng.random() * self._network.weather.latency

    def _unless_broken(self, call: Callable[..., None], args: tuple[Any, ...]) -> None:
        if not self.broken:
            call(*args)

    def _arrive(self, frame: bytes | str) -> None:
        self._network.digest(self._name, as_bytes(frame))
        takes = self.take if not self._arrived else None
        if takes is not None and isinstance(frame, bytes) and takes(frame):
            self._under_way -= len(frame)
        else:
            self._arrived.append(frame)
        self._wake()

    def _end(self, code: int, reason: str) -> None:
        if self.ending is None:
            self.ending = code, reason
            self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _wait(self) -> None:
        await self._changed.wait()


class Connection:
    """An open websocket: to the client what its package gives it, to the node what an ASGI server does.

    Args:
        network: What it goes through.
        client: The client's process.
        server: The node's process.
        node: The node's name.
        port: The port at the client's end.
    """

    lost: ClassVar[type[Exception]] = LinkDownError

    def __init__(self, network: Network, client: Life, server: Life, node: str, port: int) -> None:
        self._network = network
        self._client = client
        self._server = server
        self._port = port
        self.ends = client.name, node
        self._up = _Direction(network, f"{client.name}>{node}")
        self._down = _Direction(network, f"{node}>{client.name}")
        self._is_known = False
        self._status: int | None = None
        self._body = b""
        self.opened: asyncio.Future[None] = network.loop.create_future()
        self.close_code: int | None = None
        self.close_reason = ""
        client.on_kill.append(self.break_down)
        server.on_kill.append(self.break_down)

    # -- the world's view --

    def stall(self, *, upwards: bool, seconds: float) -> None:
        """Let nothing arrive in one direction for a while."""
        (self._up if upwards else self._down).stall(seconds)

    def mute(self, *, upwards: bool, seconds: float) -> None:
        """Let nothing arrive any more in one direction; both ends notice after a while, as by a ping."""
        (self._up if upwards else self._down).mute()
        for direction in (self._up, self._down):
            self._network.loop.call_later(
                seconds, direction.cut, _ABNORMAL, "nothing comes back", context=_nobodys()
            )
        self._network.loop.call_later(seconds, self._never_opened, context=_nobodys())
        self._network.loop.call_later(seconds, self._forget, context=_nobodys())

    def break_down(self) -> None:
        """Lose what is under way; each end notices in its own time."""
        if self not in self._network.connections:
            return
        del self._network.connections[self]
        for direction in (self._up, self._down):
            direction.drop()
            seconds = self._network.rng.choice((0.0, 1.0)) * self._network.rng.random() * _LONGEST_UNNOTICED
            self._network.loop.call_later(
                seconds, direction.cut, _ABNORMAL, "the connection is broken", context=_nobodys()
            )
        self._network.loop.call_later(_LONGEST_UNNOTICED, self._never_opened, context=_nobodys())

    def _never_opened(self) -> None:
        if not self.opened.done():
            self.opened.set_exception(LinkDownError("the connection broke before it stood"))
            self.opened.exception()

    def _forget(self) -> None:
        self._network.connections.pop(self, None)

    # -- the client's end --

    async def __aenter__(self) -> Connection:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __aiter__(self) -> AsyncIterator[bytes | str]:
        return self

    async def __anext__(self) -> bytes | str:
        try:
            return await self.recv()
        except LinkDownError:
            raise StopAsyncIteration from None

    async def recv(self) -> bytes | str:
        frame = await self._down.read()
        if frame is None:
            assert self._down.ending is not None
            self.close_code, self.close_reason = self._down.ending
            raise LinkDownError("the connection has ended")
        return frame

    def hand_over(self, take: Callable[[bytes], bool] | None) -> None:
        self._down.take = take

    def send_at_once(self, frame: bytes | str) -> bool:
        if not self._up.is_free or self._down.ending is not None:
            return False
        self._up.send(frame)
        return True

    async def send(self, frame: bytes | str) -> None:
        await self._up.wait_until_free()
        if self._down.ending is not None:
            raise LinkDownError("the connection has ended")
        self._up.send(frame)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        if self.close_code is None:
            self.close_code, self.close_reason = code, reason
        self._up.end(code, reason)
        self._down.cut(code, reason)
        self._forget()

    # -- the node's end --

    def serve(self, app: Callable[..., Awaitable[None]], path: str) -> None:
        """Give the connection to the node's application."""
        scope = {
            "type": "websocket",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [],
            "client": ("10.0.0.1", self._port),
            "extensions": {"websocket.http.response": {}},
        }
        self._server.begin(self._run(app, scope))

    async def _run(self, app: Callable[..., Awaitable[None]], scope: dict[str, Any]) -> None:
        try:
            # A machine that is asleep does not even begin.
            await asyncio.sleep(_TICK)
            await app(scope, self._receive, self._send)
        finally:
            self._down.end(_ABNORMAL, "the node has ended it")
            self._never_opened()
            self._forget()

    async def _receive(self) -> MutableMapping[str, Any]:
        if not self._is_known:
            self._is_known = True
            return {"type": "websocket.connect"}
        frame = await self._up.read()
        if frame is None:
            assert self._up.ending is not None
            return {"type": "websocket.disconnect", "code": self._up.ending[0]}
        return {"type": "websocket.receive", "bytes" if isinstance(frame, bytes) else "text": frame}

    async def _send(self, event: MutableMapping[str, Any]) -> None:
        if self._server.is_over:
            return
        match event["type"]:
            case "websocket.accept":
                self._network.loop.call_later(
                    self._network.rng.random() * self._network.weather.latency,
                    self._accepted,
                    context=_nobodys(),
                )
            case "websocket.send":
                await self._down.wait_until_free()
                if self._up.ending is not None:
                    raise LinkDownError("the client has gone")
                self._down.send(event["bytes"] if event.get("bytes") is not None else event["text"])
            case "websocket.close":
                self._down.end(event["code"], event.get("reason", ""))
                self._up.cut(event["code"], event.get("reason", ""))
                self._forget()
            case "websocket.http.response.start":
                self._status = event["status"]
            case "websocket.http.response.body":
                self._refuse(event.get("body", b""))

    def _accepted(self) -> None:
        if not self.opened.done() and not self._down.broken:
            self.opened.set_result(None)

    def _refuse(self, body: bytes) -> None:
        if not self.opened.done():
            response = Response(self._status or 403, "", Headers(), body)
            self.opened.set_exception(InvalidStatus(response))
            self.opened.exception()


def _is_sent_again(frame: bytes | str) -> bool:
    """Whether the protocol does with the loss of a frame."""
    try:
        return isinstance(decode(frame), Changes | Ack | Heartbeat | Resend)
    except DecodeError:
        return False


def _nobodys() -> Context:
    """A context that belongs to no process: what is in the network outlives who has sent it."""
    return Context()
