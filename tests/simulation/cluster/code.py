"""Code in the server nodes: it keeps a derived table, as replicas that all do so at once may."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from replicell.persisters.errors import PersisterError
from replicell.store.store import Store
from replicell.sync.server import SyncServer
from replicell.sync.server_code import ServerRoom
from tests.simulation.oracle import BrokenPromiseError

if TYPE_CHECKING:
    from tests.simulation.cluster.history import ClusterHistory
    from tests.simulation.cluster.machines import Node

__all__ = ["TALLIED", "ServerPrograms", "tally_of"]

TALLIED: Final = "tallied"
"""The room in which the nodes count how often each text is there."""
_PAUSE: Final = 0.5


class ServerPrograms:
    """What runs in the rooms of each node.

    Args:
        world: The history that it is part of.
    """

    def __init__(self, world: ClusterHistory) -> None:
        self._world = world

    def install(self, server: SyncServer, node: Node) -> None:
        """Have it run in a server's rooms."""

        @server.on_room(store=False)
        async def run(room: ServerRoom) -> None:
            node.rooms[room.name] = room
            room.on_close(lambda: node.rooms.pop(room.name, None))
            if room.name == TALLIED:
                await self._load(room)
                Tally(room.store, node.name)

    async def _load(self, room: ServerRoom) -> None:
        """Load a room's store, however often the disk fails."""
        while True:
            try:
                await room.load_store()
            except PersisterError:
                if not self._world.disks_fail:
                    raise
                await asyncio.sleep(_PAUSE)
            else:
                return


class Tally:
    """Keeps the table ``tally`` of a room: how often each text is in ``todo``.

    Other nodes count as well, and what they knew less may come after what this one has written. So the
    table is looked at again whenever it changes.

    Args:
        store: The room's store.
        name: The node's name.
    """

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name
        for table in ("todo", "tally"):
            store.add_table_listener(table, lambda *_: self._count(), mutator=True)
        store.add_table_listener("pair", lambda *_: self._check_pairs())
        self._count()

    def _count(self) -> None:
        wanted = tally_of(self._store.get_table("todo"))
        with self._store.transaction():
            for text in self._store.get_row_ids("tally"):
                if text not in wanted:
                    self._store.del_row("tally", text)
            for text, number in wanted.items():
                self._store.set_row("tally", text, {"n": number})

    def _check_pairs(self) -> None:
        """What was committed together comes into the store together."""
        groups: Counter[Any] = Counter()
        sizes: dict[Any, Any] = {}
        for row in self._store.get_table("pair").values():
            groups[row.get("grp")] += 1
            sizes[row.get("grp")] = row.get("n")
        if groups != sizes:
            raise BrokenPromiseError(f"the store of {self._name} sees parts of transactions: {groups}")


def tally_of(todo: Any) -> dict[str, int]:
    """Return how often each text is in a table."""
    return Counter(str(row["text"]) for row in todo.values() if row.get("text") is not None)
