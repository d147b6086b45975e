"""A websocket server that only reads, ends with its input: `python -m benchmarks.bare_server`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from benchmarks.crowd import allow_many_files


async def read(websocket: ServerConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        async for _ in websocket:
            continue


async def main() -> None:
    async with serve(read, "localhost", 0, compression=None) as server:
        print(json.dumps({"port": next(iter(server.sockets)).getsockname()[1]}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    allow_many_files()
    asyncio.run(main())
