"""What a session's frames travel through: one interface for all kinds of websocket servers and clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import ClassVar, Protocol, TypeAlias

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.connection import Connection, broadcast
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK
from websockets.frames import Frame, Opcode
from websockets.protocol import Event

__all__ = ["DirectClientConnection", "DirectConnection", "TakeFrame", "Transport", "WebsocketTransport"]

TakeFrame: TypeAlias = Callable[[bytes], bool]
"""Takes a frame, or says False if it is to wait with those that come after it."""


class Transport(Protocol):
    """An open websocket."""

    lost: ClassVar[type[Exception]]
    """What `recv` and `send` raise, and iterating may raise, when the connection has ended."""

    def __aiter__(self) -> AsyncIterator[bytes | str]:
        """Give all frames that come, until the connection ends."""
        ...

    def hand_over(self, take: TakeFrame | None) -> None:
        """Call a function with frames that come when none waits, where that is possible, before they are
        given to who iterates; None for no more."""
        ...

    async def recv(self) -> bytes | str:
        """Wait for the next frame."""
        ...

    def send_at_once(self, frame: bytes | str) -> bool:
        """Send a frame if that is possible without waiting, and nothing else waits.

        Returns:
            False if it was not sent: `send` waits until there is room, or raises `lost` if there is no
            connection any more.
        """
        ...

    async def send(self, frame: bytes | str) -> None:
        """Send a frame, and wait until there is room for the next one."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close the connection; a closed one is left as it is."""
        ...


class DirectConnection(Connection):
    """A connection of the package websockets that need not wake a task for each frame.

    A frame that comes alone is mostly waited for. It is handed over as soon as it is there, which spares it a
    turn of the event loop. Of frames that come together only the first is, so that other connections have
    their turn.
    """

    take: TakeFrame | None = None
    """Who is asked to take frames."""
    waiting = 0
    """How many messages nobody has taken and nobody has received."""
    _is_first = False

    def data_received(self, data: bytes) -> None:
        self._is_first = True
        super().data_received(data)

    def process_event(self, event: Event) -> None:
        if isinstance(event, Frame) and event.opcode in _DATA and event.fin:
            is_first, self._is_first = self._is_first, False
            if (
                is_first
                and self.take is not None
                and not self.waiting
                and event.opcode is Opcode.BINARY
                and self.take(bytes(event.data))
            ):
                return
            self.waiting += 1
        super().process_event(event)


_DATA = (Opcode.BINARY, Opcode.TEXT, Opcode.CONT)


class DirectClientConnection(DirectConnection, ClientConnection):
    """Such a connection of a client."""


class WebsocketTransport:
    """A connection of the package websockets.

    Args:
        websocket: The connection, open; a `DirectConnection`.
    """

    __slots__ = ("_websocket",)

    lost: ClassVar[type[Exception]] = ConnectionClosed

    def __init__(self, websocket: Connection) -> None:
        if not isinstance(websocket, DirectConnection):
            raise TypeError(f"the connection is a {type(websocket).__name__}, not a DirectConnection")
        self._websocket = websocket

    async def __aiter__(self) -> AsyncIterator[bytes | str]:
        try:
            while True:
                yield await self.recv()
        except ConnectionClosedOK:
            return

    async def recv(self) -> bytes | str:
        """See `Transport.recv`."""
        frame = await self._websocket.recv()
        self._websocket.waiting -= 1
        return frame

    def hand_over(self, take: TakeFrame | None) -> None:
        """See `Transport.hand_over`."""
        self._websocket.take = take

    def send_at_once(self, frame: bytes | str) -> bool:
        """See `Transport.send_at_once`."""
        transport = self._websocket.transport
        # A socket that has failed tells its connection in the next turn of the loop, and logs what is written
        # to it until then.
        if transport.is_closing() or transport.get_write_buffer_size():
            return False
        broadcast((self._websocket,), frame)
        return True

    async def send(self, frame: bytes | str) -> None:
        """See `Transport.send`."""
        await self._websocket.send(frame)

    async def close(self, code: int, reason: str) -> None:
        """See `Transport.close`."""
        await self._websocket.close(code, reason)
