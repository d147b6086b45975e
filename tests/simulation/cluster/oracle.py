"""What must be true of a deployment: while it runs, and once it has come to rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import apsw

from replicell.persisters.crsqlite.epochs import current_epoch
from tests.simulation.cluster.code import TALLIED, tally_of
from tests.simulation.cluster.machines import Client, Node, Replica
from tests.simulation.oracle import (
    BrokenPromiseError,
    check_transactions_are_whole,
    contents,
    difference,
    has_table,
    logged,
)

if TYPE_CHECKING:
    from tests.simulation.cluster.history import ClusterHistory

__all__ = ["Oracle"]

_LEDGERS = ("replicell_peers", "replicell_peers_elsewhere", "replicell_servers")


class Oracle:
    """Looks at all databases of a history at once.

    Args:
        world: The history.
    """

    def __init__(self, world: ClusterHistory) -> None:
        self._world = world
        self._newest: dict[str, int] = {}
        """By room: the newest entry of its log when it was last looked at."""

    def check_commit(self, replica: Replica) -> None:
        """Nobody ever sees a part of a transaction."""
        if self._world.keeps_transactions:
            check_transactions_are_whole(replica)

    def unrest(self) -> str:
        """Say what has not come to agree yet; nothing once all has."""
        world = self._world
        unsynced = [client.name for client in world.clients if not client.synced]
        if unsynced:
            return f"{unsynced} are not synced"
        for room in world.rooms:
            reason = self._growth(room) or self._disagreement(room) or self._absence(room)
            if reason:
                return f"room {room}: {reason}"
        return ""

    def judge(self) -> None:
        """Look at what has come of all that was written.

        Raises:
            BrokenPromiseError: It is not what was promised.
        """
        for room in self._world.rooms:
            self._check_nothing_is_lost(room)
            replicas = self.replicas(room)
            for owner in replicas:
                for holder in replicas:
                    _check_cursors(owner, holder)
            if room == TALLIED:
                for node in self._world.nodes:
                    self._check_code(node)

    def replicas(self, room: str) -> list[Replica]:
        """Return all databases of a room that are open."""
        nodes = [node.replica(node.path(room)) for node in self._world.nodes]
        clients = [client.replica(client.path) for client in self._members(room)]
        return [replica for replica in (*nodes, *clients) if replica is not None]

    def _members(self, room: str) -> list[Client]:
        return [client for client in self._world.clients if client.room == room]

    def versions(self) -> dict[str, int]:
        """Return how often each database has been written."""
        return {
            f"{room} at {replica.name}": replica.catalog.latest_version(replica.conn)
            for room in self._world.rooms
            for replica in self.replicas(room)
        }

    def _growth(self, room: str) -> str:
        """Say who has something to tell the others yet, which they may have already."""
        entries = self._world.hub._topics[room].entries
        newest = entries[-1].sequence if entries else 0
        if self._newest.get(room) != newest:
            self._newest[room] = newest
            return "its log has just grown"
        for node in self._world.nodes:
            replica = node.replica(node.path(room))
            position: Any = replica and replica.conn.execute("SELECT position FROM replicell_log").get
            if position is None or position < newest:
                return f"{node.name} has not read all of the log"
        return ""

    def _disagreement(self, room: str) -> str:
        replicas = self.replicas(room)
        if len(replicas) < len(self._world.nodes) + len(self._members(room)):
            return f"only {[replica.name for replica in replicas]} have it open"
        first, *others = replicas
        seen = _filled(first)
        for other in others:
            if _filled(other) != seen:
                return difference(first, other)
        return ""

    def _absence(self, room: str) -> str:
        """Say who sees others than there are."""
        members = [client for client in self._world.clients if client.room == room]
        shown = {client.name: client.shown for client in members if client.shown is not None}
        for client in members:
            expected = {name: state for name, state in shown.items() if name != client.name}
            if client.shown is None:
                expected = {}
            assert client.sync is not None
            seen = [dict(peer.state) for peer in client.sync.peers.values()]
            if sorted(seen, key=repr) != sorted(expected.values(), key=repr):
                return f"{client.name} sees {seen}, there are {expected}"
        for node in self._world.nodes:
            if room in node.rooms:
                seen = [dict(peer.state) for peer in node.rooms[room].peers.values()]
                if sorted(seen, key=repr) != sorted(shown.values(), key=repr):
                    return f"{node.name} sees {seen}, there are {shown}"
        return ""

    def _check_nothing_is_lost(self, room: str) -> None:
        world = self._world
        expected = set(world.programs.acknowledged.get(room, ()))
        for client in world.clients:
            if client.room == room:
                expected |= world.programs.written.get(client.name, set())
        for replica in self.replicas(room):
            lost = expected - logged(replica)
            if lost:
                raise BrokenPromiseError(f"lost in room {room} at {replica.name}: {sorted(lost)}")

    def _check_code(self, node: Node) -> None:
        replica = node.replica(node.path(TALLIED))
        room = node.rooms.get(TALLIED)
        if replica is None or room is None:
            raise BrokenPromiseError(f"the code of {node.name} does not run")
        todo = _rows(replica.conn, "todo")
        kept = {text: row["n"] for text, row in _rows(replica.conn, "tally").items()}
        if kept != tally_of(todo):
            raise BrokenPromiseError(f"{node.name} has derived {kept}, it is {tally_of(todo)}")
        for table in ("todo", "pair", "log", "tally"):
            stored, rows = room.store.get_table(table), _rows(replica.conn, table)
            if stored != rows:
                raise BrokenPromiseError(f"the store of {node.name} has {stored}, its database {rows}")


def _filled(replica: Replica) -> dict[str, list[Any]]:
    """Return what is in a database; tables travel between nodes with their first row."""
    return {name: rows for name, rows in contents(replica).items() if rows}


def _rows(conn: apsw.Connection, table: str) -> dict[str, dict[str, Any]]:
    """Return a table as a store has it: what is NULL is not there, nor what has a blob for a key, as rows of
    intruders may."""
    if not has_table(conn, table):
        return {}
    cursor = conn.execute(f"SELECT * FROM \"{table}\" WHERE typeof(id) <> 'blob'")
    found = {}
    for row in cursor:
        names = [column[0] for column in cursor.get_description()]
        cells = {name: value for name, value in zip(names, row, strict=True) if value is not None}
        key = cells.pop("id")
        if cells:
            found[str(key)] = cells
    return found


def _check_cursors(owner: Replica, holder: Replica) -> None:
    """No cursor is ahead of the data it speaks of."""
    latest = owner.catalog.latest_version(owner.conn)
    site_id = owner.conn.execute("SELECT crsql_site_id()").get
    for ledger in _LEDGERS:
        if not has_table(holder.conn, ledger):
            continue
        cursors: Any = holder.conn.execute(
            f"SELECT version FROM {ledger} WHERE site_id = ? AND epoch = ?",
            (site_id, current_epoch(owner.conn)),
        ).fetchall()
        for (version,) in cursors:
            if version > latest:
                raise BrokenPromiseError(
                    f"{holder.name} believes in {ledger} to have {owner.name} up to {version} of {latest}"
                )
