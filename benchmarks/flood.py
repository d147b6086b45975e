"""Raw clients for the figures of limits: `python -m benchmarks.flood WORK URL COUNT`.

They speak the protocol without a database of their own, so that what is measured is the server. A flooder
says "ready" and does something as fast as that is taken, until it is ended: it sends transactions of so many
rows (flood), presence states of so many bytes (show) or messages that change nothing (mutter), or it enters
ever new rooms, so many at a time (wander). An editor (edit) makes so many edits, one after the other, and
tells the seconds until each was acknowledged, as a JSON line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import Iterator
from itertools import count, repeat

from websockets.exceptions import ConnectionClosed

from benchmarks.raw_client import EPOCH, join
from replicell.persisters.crsqlite.changes import Change
from replicell.persisters.crsqlite.keys import pack_key
from replicell.sync.messages import Ack, Changes, Heartbeat, Present, TableAnnouncement, decode, encode

TODO = TableAnnouncement("todo", ["id"], ["text"], ["TEXT"])
PAUSE = 0.01


def batch(version: int, keys: list[bytes]) -> bytes | str:
    rows = [Change("todo", key, "text", version, version, 1, seq, version) for seq, key in enumerate(keys)]
    return encode(Changes(EPOCH, version - 1, version, version, 0, True, rows))


async def flood(url: str, rows: int) -> None:
    """Send transactions of so many rows until the connection or the process ends."""
    keys = [pack_key([f"flood {row}"]) for row in range(rows)]
    await send_all(url, (batch(version, keys) for version in count(1)))


async def show(url: str, size: int) -> None:
    """Send presence states of so many bytes until the connection or the process ends."""
    await send_all(url, (encode(Present(json.dumps({"at": f"{number:{size}}"}))) for number in count(1)))


async def mutter(url: str, _: int) -> None:
    """Say that nothing was sent until the connection or the process ends."""
    await send_all(url, repeat(encode(Heartbeat(0))))


async def wander(url: str, together: int) -> None:
    """Enter ever new rooms, so many at a time, until the process ends."""
    base, numbers = url.rpartition("/")[0], count(1)

    async def go_on() -> None:
        for number in numbers:
            websocket, _ = await join(f"{base}/new-{os.getpid()}-{number}", TODO)
            await websocket.close()

    print("ready", flush=True)
    await asyncio.gather(*(go_on() for _ in range(together)))


async def send_all(url: str, frames: Iterator[bytes | str]) -> None:
    websocket, _ = await join(url, TODO)

    async def drain() -> None:
        with contextlib.suppress(ConnectionClosed):
            async for _ in websocket:
                continue

    draining = asyncio.create_task(drain())
    print("ready", flush=True)
    with contextlib.suppress(ConnectionClosed):
        for frame in frames:
            await websocket.send(frame)
    await draining


async def edit(url: str, edits: int) -> None:
    """Make edits one at a time and print how long each took to be acknowledged."""
    websocket, _ = await join(url, TODO)
    keys = [pack_key([f"edited by {os.getpid()}"])]
    times = []
    for version in range(1, edits + 1):
        began = time.perf_counter()
        await websocket.send(batch(version, keys))
        while True:
            message = decode(await websocket.recv())
            if isinstance(message, Ack) and message.version >= version:
                break
            if isinstance(message, Changes) and message.last:
                await websocket.send(encode(Ack(message.until)))
        times.append(time.perf_counter() - began)
        await asyncio.sleep(PAUSE)
    await websocket.close()
    print(json.dumps(times), flush=True)


if __name__ == "__main__":
    work = {"flood": flood, "show": show, "mutter": mutter, "wander": wander, "edit": edit}[sys.argv[1]]
    asyncio.run(work(sys.argv[2], int(sys.argv[3])))
