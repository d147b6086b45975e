"""A server that closes while somebody arrives leaves nobody waiting and no socket open."""

from __future__ import annotations

import asyncio
import gc
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from replicell.sync.limits import Limits
from tests.sync.conftest import OpenServer
from tests.sync.support import PATIENCE

REQUEST = (
    b"GET /room HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
CLOSING_FRAME = b"\x88"


@contextmanager
def nothing_left_open() -> Iterator[None]:
    """Fail if a socket or transport is found that nobody has closed."""
    found: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        yield
        gc.collect()
    found.extend(str(warning.message) for warning in caught if warning.category is ResourceWarning)
    assert found == []


@pytest.mark.parametrize("turns", range(8))
@pytest.mark.parametrize("said", [b"", REQUEST[:20], REQUEST], ids=["nothing", "half", "all"])
async def test_who_arrives_while_it_closes_is_sent_away(
    open_server: OpenServer, said: bytes, turns: int
) -> None:
    with nothing_left_open():
        server = await open_server(limits=Limits(handshake_seconds=1e6))
        with socket.create_connection(("127.0.0.1", server.port)) as visitor:
            visitor.sendall(said)
            # The accepting of a connection takes the server several turns of the loop.
            for _ in range(turns):
                await asyncio.sleep(0)
            leaving = asyncio.create_task(asyncio.to_thread(stay_until_sent_away, visitor))
            async with asyncio.timeout(PATIENCE):
                await server.close()
                await leaving


def stay_until_sent_away(visitor: socket.socket) -> None:
    """Hear what the server says until it ends the connection, or asks for its end with a closing frame."""
    visitor.settimeout(PATIENCE)
    said = b""
    try:
        while (more := visitor.recv(4096)) and CLOSING_FRAME not in (said := said + more):
            continue
    except ConnectionResetError:
        return
    finally:
        visitor.close()
