"""How a sync client is doing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum

__all__ = ["StatusReport", "SyncStatus"]

_log = logging.getLogger("replicell.sync.client")


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


class StatusReport:
    """The present status of a client, and who is told when it changes."""

    def __init__(self) -> None:
        self.status = SyncStatus.CLOSED
        """How it is doing."""
        self.detail = "not started"
        """One sentence more, for people."""
        self._listeners: dict[str, Callable[[SyncStatus, str], object]] = {}

    def add_listener(self, listener_id: str, listener: Callable[[SyncStatus, str], object]) -> None:
        """Call a listener with each new status and its detail."""
        self._listeners[listener_id] = listener

    def del_listener(self, listener_id: str) -> None:
        """Call a listener no more; an unknown id is ignored."""
        self._listeners.pop(listener_id, None)

    def change(self, status: SyncStatus, detail: str) -> None:
        """It is doing otherwise."""
        self.status, self.detail = status, detail
        for listener in list(self._listeners.values()):
            try:
                listener(status, detail)
            except Exception:
                _log.exception("a status listener failed")
