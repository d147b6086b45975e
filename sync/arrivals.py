"""Who arrives at a server's port: counted from the first moment, and sent away when the server closes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, ClassVar, Final

from websockets.asyncio.server import Server, ServerConnection

from replicell.sync.attendance import Attendance
from replicell.sync.reception import Visit
from replicell.sync.transport import DirectConnection

__all__ = ["Arrivals", "ArrivedConnection"]

_READ_BYTES: Final = 16 * 1024


class Arrivals:
    """The connections of one server, whether they have got through their handshakes or not.

    Args:
        attendance: Where they count.
    """

    def __init__(self, attendance: Attendance) -> None:
        self.attendance = attendance
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

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it, or end it if there is no place; called by the event loop."""
        super().connection_made(transport)
        self.arrivals.present.add(self)
        self.visit.seat.arrive()
        # What is read at once is also parsed at once, while the other connections wait.
        reader: Any = self.transport
        if hasattr(reader, "max_size"):
            reader.max_size = _READ_BYTES
        if self.arrivals.are_over or self.arrivals.attendance.overcrowded:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Count it no more; called by the event loop."""
        self.arrivals.present.discard(self)
        self.visit.seat.leave()
        super().connection_lost(exc)
