"""A gateway in front of the server nodes: passes each connection on to a node that can serve it.

It stands for the load balancer that a real cluster has. Each second it looks at every node's ``/readyz``, to
send those who come to a node that is ready, and to any that lives if none is; and at its ``/healthz``, to cut
the connections of one that does not answer, so that its clients come back and land on another one.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Final, Self

__all__ = ["Gateway"]

_LOOK_SECONDS: Final = 1.0
_PATIENCE_SECONDS: Final = 2.0
_BLOCK: Final = 64 * 1024


class Upstream:
    """A server that connections may be passed on to."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.is_well = True
        self.is_ready = True
        self.open: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        for task in list(self.open):
            task.cancel()


class Gateway:
    """Passes TCP connections on to the first of several ports of this machine that is ready.

    Args:
        ports: The upstreams, the one that is preferred first.
        looks_after: Whether the upstreams are asked how they are; only servers of rooms can tell.
    """

    def __init__(self, ports: list[int], *, looks_after: bool = True) -> None:
        self._upstreams = [Upstream(port) for port in ports]
        self._looks_after = looks_after
        self._server: asyncio.Server | None = None
        self._looker: asyncio.Task[None] | None = None
        self._is_cut = False
        self.port = 0

    async def start(self) -> Self:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        if self._looks_after:
            self._looker = asyncio.get_running_loop().create_task(self._look())
        return self

    def cut(self) -> None:
        """Let nothing through, as a network that is parted."""
        self._is_cut = True
        for upstream in self._upstreams:
            upstream.cut()

    def heal(self) -> None:
        """Let everything through again."""
        self._is_cut = False

    async def close(self) -> None:
        """Listen no more, and cut all connections."""
        if self._looker is not None:
            self._looker.cancel()
        if self._server is not None:
            self._server.close()
        tasks = [task for upstream in self._upstreams for task in upstream.open]
        self.cut()
        if tasks:
            await asyncio.wait(tasks)

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for upstream in sorted(self._upstreams, key=lambda one: not one.is_ready):
                if self._is_cut or not upstream.is_well:
                    continue
                with contextlib.suppress(OSError):
                    inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", upstream.port)
                    await self._pass_on(upstream, (reader, inner_writer), (inner_reader, writer))
                    return
        finally:
            writer.transport.abort()

    async def _pass_on(
        self, upstream: Upstream, *ways: tuple[asyncio.StreamReader, asyncio.StreamWriter]
    ) -> None:
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(_copy(*way)) for way in ways]
        upstream.open.update(tasks)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            upstream.open.difference_update(tasks)
            for _, writer in ways:
                writer.transport.abort()

    async def _look(self) -> None:
        while True:
            for upstream in self._upstreams:
                was_well = upstream.is_well
                upstream.is_ready, upstream.is_well = await asyncio.gather(
                    _answers(upstream.port, "/readyz"), _answers(upstream.port, "/healthz")
                )
                if was_well and not upstream.is_well:
                    upstream.cut()
            await asyncio.sleep(_LOOK_SECONDS)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while block := await reader.read(_BLOCK):
            writer.write(block)
            await writer.drain()


async def _answers(port: int, path: str) -> bool:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
                writer.write(request.encode())
                return b" 200 " in await reader.readline()
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):
        return False
