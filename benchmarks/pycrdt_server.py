"""pycrdt-websocket's own server, in memory; tells its port, ends with its input: `python -m
benchmarks.pycrdt_server`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

from pycrdt.websocket import WebsocketServer
from websockets.asyncio.server import ServerConnection, serve

from benchmarks.pycrdt_client import SocketChannel


async def main() -> None:
    async with WebsocketServer() as rooms:

        async def enter(websocket: ServerConnection) -> None:
            with contextlib.suppress(StopAsyncIteration):
                await rooms.serve(SocketChannel(websocket, "room"))

        async with serve(enter, "localhost", 0, compression=None, max_size=None) as server:
            print(json.dumps({"port": next(iter(server.sockets)).getsockname()[1]}), flush=True)
            await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
