"""How a sync client is doing."""

from __future__ import annotations

from enum import Enum

__all__ = ["SyncStatus"]


class SyncStatus(Enum):
    """How a `replicell.sync.client.SyncClient` is doing."""

    OFFLINE = "offline"
    """Not connected; it tries again by itself."""
    CONNECTING = "connecting"
    """A connection is being made."""
    SYNCING = "syncing"
    """Connected, and something is still to be sent, acknowledged or applied."""
    SYNCED = "synced"
    """Connected, all own changes are on the server's disk and all of the server's changes are here."""
    PAUSED = "paused"
    """Not connected because it was told so."""
    REFUSED = "refused"
    """The server does not take this client; the detail says why. What time may cure is tried again now and
    then; after a refused token or room name it stays so until `resume` or another token."""
    CLOSED = "closed"
    """Not started, or closed."""
