"""What `SyncClient.wait_until_synced` promises, waited for in virtual time and checked when it says so."""

from __future__ import annotations

from replicell.persisters.crsqlite.versions import latest_version
from replicell.sync.client_session import ClientSession
from tests.simulation.nodes import Client, Server
from tests.simulation.oracle import BrokenPromiseError, logged


class Wait:
    """One client waits until both sides' changes up to now are over, as `SyncClient` does it.

    Args:
        client: Who waits; its session is live.
        server: The other side.
        number: What the client asks under.
    """

    def __init__(self, client: Client, server: Server, number: int) -> None:
        self._client = client
        self._server = server
        self._session = live_session(client)
        self._own_version = latest_version(client.conn)
        self._number = number
        self._here = logged(client)
        self._there = logged(server)
        if self._session is not None:
            self._session.ask_mark(self._number)
            self._session.local_changes()

    @property
    def ended(self) -> bool:
        """Whether it was reached, or its connection was lost, and somebody would have to ask again."""
        session = self._session
        if session is None or session is not self._client.session or session.state != "live":
            return True
        marks = session.marks
        reached = (
            self._number in marks
            and session.pulled >= marks[self._number]
            and session.has_pushed(self._own_version)
        )
        if reached:
            self._check()
        return reached

    def __str__(self) -> str:
        session = self._session
        if session is None:
            return f"{self._client.name} has no session"
        return (
            f"{self._client.name} waits for mark {session.marks.get(self._number)} and its own version "
            f"{self._own_version}; it has pulled {session.pulled}, pushed {session.pushed}, and thinks that "
            f"it is {'' if session.synced else 'not '}synced"
        )

    def _check(self) -> None:
        unpushed = self._here - logged(self._server)
        if unpushed:
            raise BrokenPromiseError(f"{self._client.name} is said to be synced, unpushed: {unpushed}")
        unpulled = self._there - logged(self._client)
        if unpulled:
            raise BrokenPromiseError(f"{self._client.name} is said to be synced, unpulled: {unpulled}")


def live_session(client: Client) -> ClientSession | None:
    """Return a client's session if its handshake is over."""
    session = client.session
    return session if session is not None and session.state == "live" else None
