"""What is looked at while a deployment runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import apsw

from replicell.persisters.crsqlite.keys import unpack_key
from replicell.sync.backplane.entries import decode_part, decode_publication
from tests.simulation.cluster.machines import Replica
from tests.simulation.knowledge import Knowledge, check_cursors
from tests.simulation.oracle import BrokenPromiseError, has_table, logged

if TYPE_CHECKING:
    from tests.simulation.cluster.history import ClusterHistory
    from tests.simulation.cluster.log import LossyHub
    from tests.simulation.cluster.worker import PacedWorker

__all__ = ["Watch", "entries_on_disk"]

_COMMITS: Final = 32
"""Looking at everything takes longer than a commit does."""


class Watch:
    """Looks whether anybody believes to have more than is there, and whether what was acknowledged is safe.

    Args:
        world: The history.
    """

    def __init__(self, world: ClusterHistory) -> None:
        self._world = world
        self._log = _LogReader(world.hub)
        self._commits = 0
        self._known: dict[str, tuple[object, Knowledge]] = {}
        self._compared: dict[tuple[str, str], tuple[Knowledge, Knowledge]] = {}
        self._on_disk: dict[Path, set[str]] = {}
        """By file: the entries of the log that it had when its process was killed."""

    def committed(self) -> None:
        """Look now and then."""
        self._commits += 1
        if self._commits % _COMMITS == 0:
            self.look()

    def ends(self, worker: PacedWorker) -> None:
        """A process is killed that has a file open."""
        if worker.connection is not None and not self._world.is_over:
            self._on_disk[Path(worker.path)] = logged(Replica(worker))

    def opened(self, worker: PacedWorker) -> None:
        """A process has opened a file."""
        lost = self._on_disk.pop(Path(worker.path), set()) - logged(Replica(worker))
        if lost:
            raise BrokenPromiseError(
                f"{worker.life.name} had before it was killed, and has no more: {sorted(lost)}"
            )
        self.look()

    def replaced(self, path: Path) -> None:
        """A file, or a folder, is gone or another one now."""
        for file in [each for each in self._on_disk if each.is_relative_to(path)]:
            del self._on_disk[file]

    def look(self) -> None:
        """Look at all databases that are open.

        Raises:
            BrokenPromiseError: A cursor is ahead of the data, or something acknowledged is not safe.
        """
        for room in self._world.rooms:
            self._compare(room)
            self._check_acknowledged(room)

    def _compare(self, room: str) -> None:
        if not self._world.disks_are_lost:
            # What the log has lost is behind everybody's position, until the nodes have repaired it.
            return
        known = [self._knowledge(replica) for replica in self._world.oracle.replicas(room)]
        for owner in known:
            for holder in known:
                names = owner.name, holder.name
                if owner is not holder and self._compared.get(names) != (owner, holder):
                    check_cursors(owner, holder)
                    self._compared[names] = owner, holder

    def _knowledge(self, replica: Replica) -> Knowledge:
        """Return what a replica knows; read again only after something was written."""
        where = f"{replica.name} {replica.path}"
        state = replica.conn, replica.conn.total_changes()
        known = self._known.get(where)
        if known is None or known[0] != state:
            known = self._known[where] = state, Knowledge(replica)
        return known[1]

    def _check_acknowledged(self, room: str) -> None:
        """Each way of losing something leaves what the other one takes: there it must be."""
        acknowledged = self._world.programs.acknowledged.get(room)
        if not acknowledged:
            return
        if self._world.disks_are_lost:
            safe, where = self._log.entries(room), "in the log"
        else:
            safe = set().union(*(entries_on_disk(node.path(room)) for node in self._world.nodes))
            where = "on a node's disk"
        if not acknowledged <= safe:
            raise BrokenPromiseError(
                f"acknowledged in room {room}, and not {where}: {sorted(acknowledged - safe)}"
            )


class _LogReader:
    """Knows which rows of the programs' log are in the rooms' logs."""

    def __init__(self, hub: LossyHub) -> None:
        self._hub = hub
        self._chunks: dict[tuple[bytes, int], dict[int, bytes]] = {}
        self._read: dict[int, set[str]] = {}
        """By sequence: the rows of the publication that is whole with that entry."""
        self._snapshots: dict[str, tuple[int, set[str]]] = {}

    def entries(self, room: str) -> set[str]:
        """Return those of a room, in entries and in the snapshot."""
        topic = self._hub._topics[room]
        found: set[str] = set()
        if topic.snapshot is not None:
            position, content = topic.snapshot
            if self._snapshots.get(room, (0, set()))[0] != position:
                self._snapshots[room] = position, _in_file(content)
            found |= self._snapshots[room][1]
        for entry in topic.entries:
            if entry.sequence not in self._read:
                self._read[entry.sequence] = self._rows(entry.payload)
            found |= self._read[entry.sequence]
        return found

    def _rows(self, payload: bytes) -> set[str]:
        part = decode_part(payload)
        chunks = self._chunks.setdefault((part.run, part.batch), {})
        chunks[part.number] = part.chunk
        if len(chunks) < part.parts:
            return set()
        publication = decode_publication(b"".join(chunks[number] for number in range(part.parts)))
        return {str(unpack_key(row.pk)[0]) for row in publication.rows if row.table == "log"}


def _in_file(content: bytes) -> set[str]:
    conn = apsw.Connection(":memory:")
    try:
        conn.deserialize("main", content)
        return _ids(conn)
    finally:
        conn.close()


def entries_on_disk(path: Path) -> set[str]:
    """Return the entries of the programs' log in a file, whoever has it open."""
    if not path.exists():
        return set()
    conn = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return _ids(conn)
    finally:
        conn.close()


def _ids(conn: apsw.Connection) -> set[str]:
    if not has_table(conn, "log"):
        return set()
    rows: Any = conn.execute("SELECT id FROM log")
    return {str(key) for (key,) in rows}
