"""A replica that pycrdt's provider connects, with the commands of `benchmarks.sync_client`, in memory.

`python -m benchmarks.pycrdt_client URL`. A table is a shared map of shared maps, one for each row.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from pycrdt import Doc, Map, Provider
from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.exceptions import ConnectionClosed

from benchmarks.commanded import obey
from benchmarks.sync_client import small_row

__all__ = ["SocketChannel"]


class SocketChannel:
    """A websocket as pycrdt wants it.

    Args:
        websocket: The connection.
        path: The room.
    """

    def __init__(self, websocket: Connection, path: str) -> None:
        self._websocket = websocket
        self._path = path

    @property
    def path(self) -> str:
        """The room."""
        return self._path

    def __aiter__(self) -> SocketChannel:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self.recv()
        except ConnectionClosed:
            raise StopAsyncIteration from None

    async def send(self, message: bytes) -> None:
        """Send a message."""
        await self._websocket.send(message)

    async def recv(self) -> bytes:
        """Receive a message."""
        message = await self._websocket.recv(decode=False)
        return message if isinstance(message, bytes) else message.encode()


class Replica:
    """A document that is measured, with what has arrived in it and when."""

    def __init__(self, doc: Doc[Any]) -> None:
        self.doc = doc
        self.todos: Map[Any] = doc.get("todos", type=Map)
        self.arrived: dict[int, float] = {}
        self.rows_awaited = 0
        self.rows_arrived: asyncio.Future[float] | None = None
        self._subscription = self.todos.observe_deep(self._hear)

    def _hear(self, events: list[Any]) -> None:
        for event in events:
            if "rank" in event.keys and event.path == ["edited"]:
                self.arrived.setdefault(int(event.keys["rank"]["newValue"]), time.monotonic())
        awaited = self.rows_arrived
        if awaited is not None and not awaited.done() and len(self.todos) >= self.rows_awaited:
            awaited.set_result(time.monotonic())

    async def edit(self, first: int, count: int, pause: float) -> dict[int, float]:
        """One edit at a time, `pause` seconds apart: when each was made."""
        if "edited" not in self.todos:
            self.todos["edited"] = Map({"rank": -1})
        times = {}
        for rank in range(first, first + count):
            times[rank] = time.monotonic()
            self.todos["edited"]["rank"] = rank
            await asyncio.sleep(pause)
        return times

    async def arrivals(self) -> dict[int, float]:
        """When each edit was heard of."""
        return self.arrived

    async def rows_one_by_one(self, prefix: str, count: int) -> float:
        """Rows in transactions of their own, with a turn of the event loop after each."""
        start = time.monotonic()
        for index in range(count):
            self.todos[f"{prefix} {index}"] = Map(small_row(index))
            await asyncio.sleep(0)
        return start

    async def rows_in_one_transaction(self, prefix: str, count: int) -> float:
        """Rows in one transaction."""
        start = time.monotonic()
        with self.doc.transaction():
            for index in range(count):
                self.todos[f"{prefix} {index}"] = Map(small_row(index))
        return start

    async def await_rows(self, count: int) -> float:
        """When there are so many rows."""
        if len(self.todos) >= count:
            return time.monotonic()
        self.rows_awaited = count
        self.rows_arrived = asyncio.get_running_loop().create_future()
        return await self.rows_arrived


async def main(url: str) -> None:
    doc: Doc[Any] = Doc()
    replica = Replica(doc)
    async with (
        connect(url, compression=None, max_size=None) as websocket,
        Provider(doc, SocketChannel(websocket, "room")) as provider,
    ):
        await provider.synced.wait()
        await obey(replica)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
