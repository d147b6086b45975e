"""What is looked at while a history of sessions goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tests.simulation.knowledge import Knowledge, check_cursors, check_has_all
from tests.simulation.oracle import BrokenPromiseError, logged

if TYPE_CHECKING:
    from tests.simulation.history import History
    from tests.simulation.nodes import Client, Machine

__all__ = ["Watch"]

_COMMITS: Final = 24
"""Looking at everything takes longer than a commit does."""


class Watch:
    """Looks whether anybody believes to have, or to have given, more than is there.

    Args:
        world: The history.
    """

    def __init__(self, world: History) -> None:
        self._world = world
        self._commits = 0
        self._known: dict[str, tuple[object, Knowledge]] = {}
        self._seen: dict[str, object] = {}
        self._on_disk: dict[str, set[str]] = {}
        """By machine: the entries of the log that its file had when its process ended."""
        self.acknowledged: set[str] = set()
        """The entries of the log that the server has said to have, and did not lose with its disk."""
        self.copied: set[str] = set()
        """Those who have, or had, one file and one id with somebody else: they are judged at the end."""
        self.is_over = False

    def committed(self) -> None:
        """Look now and then."""
        self._commits += 1
        if self._commits % _COMMITS == 0:
            self.look()

    def ends(self, machine: Machine) -> None:
        """A process is about to end."""
        if not self.is_over:
            self.look()
            self._on_disk[machine.name] = logged(machine)

    def started(self, machine: Machine) -> None:
        """A process has opened its file."""
        lost = self._on_disk.pop(machine.name, set()) - logged(machine)
        if lost:
            raise BrokenPromiseError(f"{machine.name} had before it ended, and has no more: {sorted(lost)}")
        self.look()

    def replaced(self, machine: Machine) -> None:
        """A machine's file was lost or is another one now, and nobody is to blame."""
        self._on_disk.pop(machine.name, None)
        if machine is self._world.server:
            self.acknowledged &= logged(machine) if machine.path.exists() else set()

    def look(self) -> None:
        """Look at all databases that are open.

        Raises:
            BrokenPromiseError: A cursor is ahead of the data, or something acknowledged is not there.
        """
        server = self._world.server
        if not server.up:
            return
        for client in self._world.clients:
            if client.up and client.name not in self.copied and self._has_news(client):
                self._compare(client)
        lost = self.acknowledged - logged(server)
        if lost:
            raise BrokenPromiseError(f"acknowledged and lost: {sorted(lost)}")

    def _has_news(self, client: Client) -> bool:
        """Tell whether something was written there or at the server, or acknowledged, since it was asked."""
        written = client.written, self._world.server.written
        pushed = client.session.pushed if client.session is not None else 0
        is_new = self._seen.get(client.name) != (written, pushed)
        self._seen[client.name] = written, pushed
        return is_new

    def _compare(self, client: Client) -> None:
        of_client, of_server = self._knowledge(client), self._knowledge(self._world.server)
        check_cursors(of_client, of_server)
        check_cursors(of_server, of_client)
        if client.session is not None:
            pushed = client.session.pushed
            claim = f"{client.name} is told that all up to {pushed} is on the server's disk"
            check_has_all(of_client, of_server, pushed, claim)
            self.acknowledged |= {str(key) for table, key, *_ in of_client.until(pushed) if table == "log"}

    def _knowledge(self, machine: Machine) -> Knowledge:
        """Return what a machine knows; read again only after something was written."""
        known = self._known.get(machine.name)
        if known is None or known[0] != machine.written:
            known = self._known[machine.name] = machine.written, Knowledge(machine)
        return known[1]
