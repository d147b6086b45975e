"""What the program knows of the server: one state to show, and a switch."""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from replicell.sync import SyncClient, SyncStatus
from replicell.todo.company import describe_company, name_of, own_state
from replicell.todo.listeners import Listeners

__all__ = ["Connection", "ConnectionState", "LocalOnly", "Phase", "ServerConnection"]

_log = logging.getLogger("replicell.todo")


class Phase(Enum):
    """How things stand with the server; the value is the word that is shown."""

    LOCAL = "local only"
    OFFLINE = "offline"
    CONNECTING = "connecting"
    SYNCING = "syncing"
    SYNCED = "synced"
    PAUSED = "paused"
    REFUSED = "refused"


PHASES = {
    SyncStatus.OFFLINE: Phase.OFFLINE,
    SyncStatus.CONNECTING: Phase.CONNECTING,
    SyncStatus.SYNCING: Phase.SYNCING,
    SyncStatus.SYNCED: Phase.SYNCED,
    SyncStatus.PAUSED: Phase.PAUSED,
    SyncStatus.REFUSED: Phase.REFUSED,
    SyncStatus.CLOSED: Phase.OFFLINE,
}


class ConnectionState(NamedTuple):
    """A phase, and one line that says why it is that one, or where the server is."""

    phase: Phase
    reason: str = ""


class Connection(Protocol):
    """What the screen needs of a connection."""

    @property
    def state(self) -> ConnectionState:
        """How things stand now."""
        ...

    @property
    def company(self) -> str:
        """Who else has the list open, in a few words; empty for nobody."""
        ...

    def on_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` whenever one of them has changed; return the function that ends this."""
        ...

    async def toggle(self) -> None:
        """Pause, or go on."""
        ...


class LocalOnly:
    """The connection of a list that was given no server."""

    state = ConnectionState(Phase.LOCAL, "no --server was given")
    company = ""

    def on_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Do nothing, as nothing will change."""
        return lambda: None

    async def toggle(self) -> None:
        """Do nothing, as there is nothing to pause."""


class ServerConnection:
    """The connection that a started `SyncClient` keeps.

    Args:
        client: the client.
        me: what the others are told to call this program's user; empty for nothing.
    """

    def __init__(self, client: SyncClient, me: str = "") -> None:
        self._client = client
        self._listeners = Listeners()
        self._listener_ids = (
            client.add_status_listener(self._on_status),
            client.add_presence_listener(lambda *_: self._listeners.call()),
        )
        client.set_presence(own_state(me))

    def close(self) -> None:
        """Stop listening to the client."""
        for listener_id in self._listener_ids:
            self._client.del_listener(listener_id)

    @property
    def company(self) -> str:
        """Who else has the list open, in a few words; empty for nobody."""
        return describe_company(map(name_of, self._client.peers.values()))

    @property
    def state(self) -> ConnectionState:
        """How things stand now."""
        phase = PHASES[self._client.status]
        if phase is Phase.PAUSED:
            return ConnectionState(phase, "press s to go on")
        return ConnectionState(phase, self._client.status_detail or readable_address(self._client.url))

    def on_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` whenever one of them has changed; return the function that ends this."""
        return self._listeners.add(listener)

    async def toggle(self) -> None:
        """Pause, or go on."""
        if self._client.status is SyncStatus.PAUSED:
            await self._client.resume()
        else:
            await self._client.pause()

    def _on_status(self, _client: SyncClient, status: SyncStatus, detail: str) -> None:
        _log.info("the server is %s%s", status.value, f": {detail}" if detail else "")
        self._listeners.call()


def readable_address(url: str) -> str:
    """Return the server and the room of an address, without what may be secret in it.

    Example:
        >>> readable_address("wss://anna:secret@example.org:8040/my-room?token=secret")
        'example.org:8040/my-room'
    """
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2] + parts.path
