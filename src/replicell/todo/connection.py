"""What the program knows of the server: one state to show, and a switch."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple, Protocol

__all__ = ["Connection", "ConnectionState", "LocalOnly", "Phase"]


class Phase(Enum):
    """How things stand with the server; the value is the word that is shown."""

    LOCAL = "local only"
    OFFLINE = "offline"
    CONNECTING = "connecting"
    SYNCING = "syncing"
    SYNCED = "synced"
    PAUSED = "paused"
    REFUSED = "refused"


class ConnectionState(NamedTuple):
    """A phase, why it is that one, and how many changes the server has not acknowledged, if known."""

    phase: Phase
    reason: str = ""
    unsent: int | None = None


class Connection(Protocol):
    """What the screen needs of a connection."""

    @property
    def state(self) -> ConnectionState: ...

    def on_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` whenever the state may have changed; return the function that ends this."""
        ...

    async def toggle(self) -> None:
        """Pause, or go on."""
        ...


class LocalOnly:
    """The connection of a list that was given no server."""

    state = ConnectionState(Phase.LOCAL, "no --server was given")

    def on_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Do nothing, as nothing will change."""
        return lambda: None

    async def toggle(self) -> None:
        """Do nothing, as there is nothing to pause."""
