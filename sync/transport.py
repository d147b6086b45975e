"""What a session's frames travel through: one interface for all kinds of websocket servers and clients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import ClassVar, Protocol

from websockets.asyncio.connection import Connection, broadcast
from websockets.exceptions import ConnectionClosed

__all__ = ["Transport", "WebsocketTransport"]


class Transport(Protocol):
    """An open websocket."""

    lost: ClassVar[type[Exception]]
    """What `recv` and `send` raise, and iterating may raise, when the connection has ended."""

    def __aiter__(self) -> AsyncIterator[bytes | str]:
        """Give all frames that come, until the connection ends."""
        ...

    async def recv(self) -> bytes | str:
        """Wait for the next frame."""
        ...

    def send_at_once(self, frame: bytes | str) -> bool:
        """Send a frame if that is possible without waiting, and nothing else waits; False if it is not."""
        ...

    async def send(self, frame: bytes | str) -> None:
        """Send a frame, and wait until there is room for the next one."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close the connection; a closed one is left as it is."""
        ...


class WebsocketTransport:
    """A connection of the package websockets.

    Args:
        websocket: The connection, open.
    """

    __slots__ = ("_websocket",)

    lost: ClassVar[type[Exception]] = ConnectionClosed

    def __init__(self, websocket: Connection) -> None:
        self._websocket = websocket

    def __aiter__(self) -> AsyncIterator[bytes | str]:
        return self._websocket.__aiter__()

    async def recv(self) -> bytes | str:
        """See `Transport.recv`."""
        return await self._websocket.recv()

    def send_at_once(self, frame: bytes | str) -> bool:
        """See `Transport.send_at_once`."""
        if self._websocket.transport.get_write_buffer_size():
            return False
        broadcast((self._websocket,), frame)
        return True

    async def send(self, frame: bytes | str) -> None:
        """See `Transport.send`."""
        await self._websocket.send(frame)

    async def close(self, code: int, reason: str) -> None:
        """See `Transport.close`."""
        await self._websocket.close(code, reason)
