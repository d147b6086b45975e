"""Who arrives at a server's port: counted from the first moment, and sent away when the server closes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, ClassVar, Final

from websockets.asyncio.server import Server, ServerConnection
from websockets.frames import CloseCode

from replicell.sync.attendance import Attendance
from replicell.sync.counts import Counts
from replicell.sync.reception import Visit
from replicell.sync.transport import DirectConnection

__all__ = ["Arrivals", "ArrivedConnection"]

_READ_BYTES: Final = 16 * 1024


class Arrivals:
    """The connections of one server, whether they have got through their handshakes or not.

    Args:
        attendance: Where they count.
        counts: Where it is counted what becomes of those that nobody else hears of.
        handshake_seconds: How long their handshakes may take.
    """

    def __init__(self, attendance: Attendance, counts: Counts, handshake_seconds: float) -> None:
        self.attendance = attendance
        self.counts = counts
        self.handshake_seconds = handshake_seconds
        self.present: set[ArrivedConnection] = set()
        """Those that were made and are not lost."""
        self.are_over = False
        """Whether nobody is let in any more."""

    def begin(self) -> type[ArrivedConnection]:
        """Return the class of the connections to be made from now on."""
        self.are_over = False
        return type("_ArrivedConnection", (ArrivedConnection,), {"arrivals": self})

    async def stop(self, server: Server) -> None:
        """Accept nobody any more, and end the connections of those who have not said yet what they want.

        asyncio accepts a connection in one turn of the loop and tells its server of it in the next one. A
        server that is closed in between fails to take it, and the connection would stay open with nobody to
        close it; so that next turn is waited for.

        Args:
            server: Is to be closed as soon as this returns.
        """
        self.are_over = True
        loop = asyncio.get_running_loop()
        # Event loops that do not accept with readers do not have that gap.
        with contextlib.suppress(NotImplementedError):
            for listening in server.sockets:
                loop.remove_reader(listening.fileno())
        await asyncio.sleep(0)
        for connection in list(self.present):
            if connection.request is None:
                connection.transport.abort()


class ArrivedConnection(DirectConnection, ServerConnection):
    """A connection that is counted from the first moment to the last."""

    arrivals: ClassVar[Arrivals]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.visit = Visit(self.arrivals.attendance)
        self._made_at = float("inf")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it, or end it if there is no place; called by the event loop."""
        super().connection_made(transport)
        self._made_at = self.loop.time()
        self.arrivals.present.add(self)
        self.visit.seat.arrive()
        # What is read at once is also parsed at once, while the other connections wait.
        reader: Any = self.transport
        if hasattr(reader, "max_size"):
            reader.max_size = _READ_BYTES
        if self.arrivals.attendance.overcrowded:
            self.arrivals.counts.refused_connections["overcrowded"] += 1
            self._made_at = float("inf")
            self.transport.abort()
        elif self.arrivals.are_over:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more; called by the event loop."""
        self.arrivals.present.discard(self)
        self.visit.seat.leave()
        self._count_end()
        super().connection_lost(exc)

    def _count_end(self) -> None:
        """Count it if the package websockets has ended it, which tells nobody."""
        counts, sent = self.arrivals.counts, self.protocol.close_sent
        if self.response is None and self.loop.time() >= self._made_at + self.arrivals.handshake_seconds:
            counts.refused_connections["timeout"] += 1
        elif sent is not None and sent.code == CloseCode.MESSAGE_TOO_BIG:
            counts.closed_connections["too_big"] += 1
