"""Joining a room without a database of one's own, for clients that only measure the server."""

from __future__ import annotations

import os
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from replicell.sync.messages import PROTOCOL, Hello, Ready, TableAnnouncement, Welcome, decode, encode

__all__ = ["EPOCH", "join"]

EPOCH = b"benchmark-epoch!"


async def join(url: str, table: TableAnnouncement, **connecting: Any) -> tuple[ClientConnection, Welcome]:
    """Connect to a room, say which table one has, and that nothing has been sent yet.

    Args:
        url: Where the room is.
        table: The table whose changes will be sent.
        connecting: What else to tell `websockets.asyncio.client.connect`.
    """
    websocket = await connect(url, compression=None, max_size=None, **connecting)
    await websocket.send(encode(Hello(PROTOCOL, os.urandom(16), [], [table])))
    while not isinstance(welcome := decode(await websocket.recv()), Welcome):
        continue
    await websocket.send(encode(Ready(EPOCH, 0)))
    return websocket, welcome
