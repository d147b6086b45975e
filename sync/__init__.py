"""Sync: keep a cr-sqlite database and a server's room the same, over websockets, through every kind of
trouble."""

from replicell.sync.access import Identity, JwtTokens, Request, StaticTokens
from replicell.sync.backoff import Backoff
from replicell.sync.change_sets import CellChange, ChangeSet
from replicell.sync.client import SyncClient
from replicell.sync.errors import (
    AccessDeniedError,
    PresenceError,
    RefusedError,
    RoomNameError,
    SyncClosedError,
    SyncError,
    SyncTimeoutError,
)
from replicell.sync.limits import Limits
from replicell.sync.messages import RefusedChange
from replicell.sync.presence import Peer
from replicell.sync.server import SyncServer
from replicell.sync.server_code import ServerRoom
from replicell.sync.status import SyncStatus

__all__ = [
    "AccessDeniedError",
    "Backoff",
    "CellChange",
    "ChangeSet",
    "Identity",
    "JwtTokens",
    "Limits",
    "Peer",
    "PresenceError",
    "RefusedChange",
    "RefusedError",
    "Request",
    "RoomNameError",
    "ServerRoom",
    "StaticTokens",
    "SyncClient",
    "SyncClosedError",
    "SyncError",
    "SyncServer",
    "SyncStatus",
    "SyncTimeoutError",
]
