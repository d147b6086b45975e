"""The gateway of the example sends those who come to a node that is ready, and to any if none is."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from examples.cluster import gateway
from examples.cluster.gateway import Gateway
from tests.e2e.cluster import PATIENCE


class Upstream:
    """Answers as a node does that lives, and is ready or not; otherwise it says its name.

    Args:
        name: The name.
        ready: Whether it is ready.
    """

    def __init__(self, name: str, *, ready: bool) -> None:
        self.name = name
        self.ready = ready
        self.looked_at = asyncio.Condition()
        self.looks = 0
        self.port = 0

    async def start(self, stack: AsyncExitStack) -> None:
        server = await stack.enter_async_context(await asyncio.start_server(self._answer, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]

    async def seen(self) -> None:
        """Wait until what the gateway thinks of it is what it says now."""
        async with asyncio.timeout(PATIENCE), self.looked_at:
            # The second look from now began after the first one, which found it as it is, was over.
            until = self.looks + 2
            await self.looked_at.wait_for(lambda: self.looks >= until)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await reader.readline()
            if b"/readyz" in request:
                async with self.looked_at:
                    self.looks += 1
                    self.looked_at.notify_all()
                writer.write(
                    b"HTTP/1.1 200 OK\r\n" if self.ready else b"HTTP/1.1 503 Service Unavailable\r\n"
                )
            elif b"/healthz" in request:
                writer.write(b"HTTP/1.1 200 OK\r\n")
            else:
                writer.write(self.name.encode())
            await writer.drain()
        finally:
            writer.close()


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "_LOOK_SECONDS", 0.02)


@pytest.mark.parametrize(
    ("ready", "lands_on"),
    [((True, True), "first"), ((False, True), "second"), ((False, False), "first")],
)
async def test_who_comes_lands_on_the_first_that_is_ready_or_lives_if_none_is(
    ready: tuple[bool, bool], lands_on: str
) -> None:
    async with AsyncExitStack() as stack:
        upstreams = [
            Upstream(name, ready=each) for name, each in zip(("first", "second"), ready, strict=True)
        ]
        for upstream in upstreams:
            await upstream.start(stack)
        way = await stack.enter_async_context(Gateway([upstream.port for upstream in upstreams]))
        for upstream in upstreams:
            await upstream.seen()
        reader, writer = await asyncio.open_connection("127.0.0.1", way.port)
        writer.write(b"who is there?\r\n")
        async with asyncio.timeout(PATIENCE):
            assert (await reader.read()).decode() == lands_on
        writer.close()


async def test_a_connection_stays_when_its_node_is_not_ready_any_more() -> None:
    async with AsyncExitStack() as stack:
        upstream = Upstream("first", ready=True)
        await upstream.start(stack)
        way = await stack.enter_async_context(Gateway([upstream.port]))
        reader, writer = await asyncio.open_connection("127.0.0.1", way.port)
        upstream.ready = False
        await upstream.seen()
        writer.write(b"who is there?\r\n")
        async with asyncio.timeout(PATIENCE):
            assert (await reader.read()).decode() == "first"
        writer.close()
