"""Sync: keep a cr-sqlite database and a server's room the same, over websockets, through every kind of
trouble."""

from replicell.sync.backoff import Backoff
from replicell.sync.client import SyncClient
from replicell.sync.errors import (
    RefusedError,
    RoomNameError,
    SyncClosedError,
    SyncError,
    SyncTimeoutError,
)
from replicell.sync.messages import RefusedChange
from replicell.sync.server import SyncServer
from replicell.sync.status import SyncStatus

__all__ = [
    "Backoff",
    "RefusedChange",
    "RefusedError",
    "RoomNameError",
    "SyncClient",
    "SyncClosedError",
    "SyncError",
    "SyncServer",
    "SyncStatus",
    "SyncTimeoutError",
]
