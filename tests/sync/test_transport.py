"""Frames that come alone are handed over at once, and none overtakes another."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from replicell.sync.log_records import log_handler
from replicell.sync.messages import Welcome
from replicell.sync.transport import DirectConnection, WebsocketTransport
from tests.sync.conftest import OpenServer
from tests.sync.support import PATIENCE
from tests.sync.test_server import HELLO, close_code, hear, tell

ALL = 10


class Connection(DirectConnection, ServerConnection):
    """A server's end that hands frames over."""


class Reader:
    """Reads a transport's frames when it may, and takes those that are handed over if it likes."""

    def __init__(self, likes: Callable[[bytes], bool]) -> None:
        self._likes = likes
        self.may_read = asyncio.Event()
        self.taken: list[bytes | str] = []
        self.frames: list[bytes | str] = []
        self.heard = asyncio.Condition()

    async def run(self, websocket: ServerConnection) -> None:
        transport = WebsocketTransport(websocket)
        transport.hand_over(self._take)
        async for frame in transport:
            await self.may_read.wait()
            self._note(frame)
        transport.hand_over(None)

    async def has(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE), self.heard:
            await self.heard.wait_for(lambda: len(self.frames) >= count)

    def _take(self, frame: bytes) -> bool:
        if not self._likes(frame):
            return False
        self.taken.append(frame)
        self._note(frame)
        return True

    def _note(self, frame: bytes | str) -> None:
        self.frames.append(frame)
        self._wake = asyncio.ensure_future(self._tell())

    async def _tell(self) -> None:
        async with self.heard:
            self.heard.notify_all()


@asynccontextmanager
async def joined(reader: Reader) -> AsyncIterator[ClientConnection]:
    async with serve(reader.run, "127.0.0.1", 0, create_connection=Connection) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}") as websocket:
            yield websocket


async def test_a_frame_that_comes_alone_is_handed_over() -> None:
    reader = Reader(likes=lambda _: True)
    async with joined(reader) as websocket:
        for number in range(3):
            await websocket.send(bytes([number]))
            await reader.has(number + 1)

    assert reader.taken == reader.frames == [b"\x00", b"\x01", b"\x02"]


async def test_what_is_not_taken_waits_and_nothing_overtakes_it() -> None:
    reader = Reader(likes=lambda frame: frame != b"\x01")
    async with joined(reader) as websocket:
        await websocket.send(b"\x00")
        await reader.has(1)
        for number in range(1, ALL):
            await websocket.send(bytes([number]))
        await asyncio.wait_for(await websocket.ping(), PATIENCE)  # so that all are there
        assert reader.frames == [b"\x00"]
        reader.may_read.set()
        await reader.has(ALL)
        await websocket.send(b"end")
        await reader.has(ALL + 1)

    assert reader.frames == [*(bytes([number]) for number in range(ALL)), b"end"]
    assert reader.taken == [b"\x00", b"end"]


async def test_text_and_messages_in_pieces_are_given_to_who_reads() -> None:
    reader = Reader(likes=lambda _: True)
    reader.may_read.set()
    async with joined(reader) as websocket:
        await websocket.send("text")
        await websocket.send([b"in ", b"three ", b"pieces"])
        await reader.has(2)
        await websocket.send(b"alone")
        await reader.has(3)

    assert reader.frames == ["text", b"in three pieces", b"alone"]
    assert reader.taken == [b"alone"]


async def test_nothing_is_sent_at_once_to_a_socket_that_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    told: asyncio.Future[list[bool]] = asyncio.get_running_loop().create_future()

    async def handle(websocket: ServerConnection) -> None:
        transport = WebsocketTransport(websocket)
        # As when a write finds that the other side is gone; the connection hears of it in the next turn.
        websocket.transport.abort()
        told.set_result([transport.send_at_once(b"frame") for _ in range(ALL)])
        await websocket.wait_closed()
        with pytest.raises(transport.lost):
            await transport.send(b"frame")

    async with serve(handle, "127.0.0.1", 0, create_connection=Connection) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}"):
            assert await asyncio.wait_for(told, PATIENCE) == [False] * ALL

    assert [record.getMessage() for record in caplog.records if record.name == "asyncio"] == []


async def test_a_connection_that_cannot_hand_over_is_refused() -> None:
    refused: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def handle(websocket: ServerConnection) -> None:
        try:
            WebsocketTransport(websocket)
        except TypeError as error:
            refused.set_result(str(error))

    async with serve(handle, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}"):
            assert "DirectConnection" in await asyncio.wait_for(refused, PATIENCE)


async def test_what_a_frame_that_was_handed_over_has_logged_names_its_connection(
    open_server: OpenServer,
) -> None:
    logger, stream, handler = logging.getLogger("replicell.sync.server"), io.StringIO(), log_handler("json")
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    logger.addHandler(handler)
    try:
        server = await open_server()
        async with connect(f"{server.url}/kitchen") as websocket:
            await tell(websocket, HELLO)
            await hear(websocket, Welcome)
            await websocket.send(b"no message")
            assert await close_code(websocket) == 4400
    finally:
        logger.removeHandler(handler)

    lines = map(json.loads, stream.getvalue().splitlines())
    (line,) = [line for line in lines if "refused a" in line["message"]]
    assert line["room"] == "kitchen"
