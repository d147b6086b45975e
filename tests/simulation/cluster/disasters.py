"""What goes wrong in a deployment: connections, processes, disks, and the log between the nodes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import apsw

from replicell.persisters.crsqlite.connection import close_connection, open_connection, transaction
from tests.simulation.cluster.machines import Client, Machine, Node
from tests.simulation.oracle import has_table
from tests.simulation.programs import upsert

if TYPE_CHECKING:
    from tests.simulation.cluster.history import ClusterHistory

__all__ = ["Disasters"]

_MOST_CLIENTS: Final = 6


class Disasters:
    """Strikes somebody, whom the seed chooses, whenever told to.

    A history loses either disks or entries of the log, never both: what is in the log is safe from the one,
    what is on the disks from the other.

    Args:
        world: The history that they happen in.
    """

    def __init__(self, world: ClusterHistory) -> None:
        self._world = world
        self._rng = world.rng
        self._backups: list[tuple[Node, str, Path]] = []
        common: tuple[Callable[[], None], ...] = (
            self._move, self._move, self._cut, self._partition, self._stall, self._crash_node,
            self._crash_node, self._restart_node, self._crash_client, self._pause, self._cut_log,
            self._cut_all_from_log, self._come, self._lose_file, self._write_at_node, world.programs.alter,
        )  # fmt: skip
        at_disks = (
            self._wipe, self._wipe_room, self._back_up, self._restore, self._leave, self._burn, self._burn
        )  # fmt: skip
        at_log = (self._lose_entry, self._lose_entry, self._lose_entry, self._forget_log)
        self._kinds = (*common, *(at_disks if world.disks_are_lost else at_log))

    def strike(self) -> None:
        """Let one of them happen."""
        self._rng.choice(self._kinds)()
        self._world.watch.look()

    def come(self, room: str) -> Client:
        """Let a new client come to a room, with nothing."""
        world = self._world
        client = Client(world, f"client{world.next_number()}", room)
        client.home = self._rng.randrange(len(world.nodes))
        world.clients.append(client)
        client.boot()
        world.note(f"{client.name} comes to {room}")
        return client

    def _move(self) -> None:
        client = self._some_client()
        client.home = self._rng.randrange(len(self._world.nodes))
        self._world.note(f"{client.name} moves to {self._world.nodes[client.home].name}")
        self._break(client)

    def _cut(self) -> None:
        client = self._some_client()
        self._world.note(f"{client.name} loses its connection")
        self._break(client)

    def _partition(self) -> None:
        world = self._world
        client, node = self._some_client(), self._some_node()
        world.note(f"{client.name} is cut off from {node.name}")
        ends = client.name, node.name
        world.network.partitions.add(ends)
        self._break(client)
        world.after(self._rng.random() * 6, partial(world.network.partitions.discard, ends))

    def _stall(self) -> None:
        """What one side sends arrives late, or, if the connection breaks before, not at all."""
        client = self._some_client()
        upwards = self._rng.random() < 0.5
        for connection in list(self._world.network.connections):
            if connection.ends[0] == client.name:
                self._world.note(f"{client.name} is {'not heard' if upwards else 'deaf'} for a while")
                connection.stall(upwards=upwards, seconds=self._rng.random() * 8)

    def _crash_node(self) -> None:
        self._crash(self._some_node())

    def _crash_client(self) -> None:
        self._crash(self._some_client())

    def _crash(self, machine: Machine) -> None:
        self._world.note(f"{machine.name} is killed")
        machine.kill()
        self._world.boot_later(machine)

    def _restart_node(self) -> None:
        node = self._some_node()
        self._world.note(f"{node.name} is restarted")
        self._world.begin(self._restart(node))

    async def _restart(self, node: Node) -> None:
        await node.shut_down()
        self._world.boot_later(node)

    def _pause(self) -> None:
        client = self._some_client()
        if client.up and client.life is not None and client.sync is not None:
            self._world.note(f"{client.name} pauses")
            client.life.begin(client.sync.pause())
            self._world.after(self._rng.random() * 4, partial(self._world.resume, client))

    def _cut_log(self) -> None:
        backplane = self._some_node().backplane
        if backplane is not None:
            self._world.note(f"{backplane.life.name} is cut off from the log")
            backplane.cut()
            self._world.after(self._rng.random() * 6, backplane.mend)

    def _cut_all_from_log(self) -> None:
        self._world.note("all are cut off from the log")
        self._world.hub.cut()
        self._world.after(self._rng.random() * 4, self._world.hub.heal)

    def _come(self) -> None:
        if len(self._world.clients) < _MOST_CLIENTS:
            client = self.come(self._rng.choice(self._world.rooms))
            if self._rng.random() < 0.3:
                client.show({"name": client.name})

    def _leave(self) -> None:
        """A client never comes back; what it was told to be safe must do without it."""
        if len(self._world.clients) > 2:
            client = self._some_client()
            self._world.note(f"{client.name} leaves for ever")
            self._world.clients.remove(client)
            self._world.gone.append(client)
            client.kill()

    def _lose_file(self) -> None:
        """A client begins anew with nothing."""
        client = self._some_client()
        self._world.note(f"{client.name} loses its file")
        self._begin_anew(client)

    def _begin_anew(self, client: Client) -> None:
        client.kill()
        self._world.programs.written.pop(client.name, None)
        self._world.watch.replaced(client.path)
        for path in client.path.parent.glob(f"{client.path.name}*"):
            path.unlink()
        self._world.boot_later(client)

    def _burn(self) -> None:
        """A room with a node and its clients goes up in flames, not long after it was cut off."""
        node = self._some_node()
        if node.backplane is None:
            return
        self._world.note(f"{node.name} is cut off from the log, for it is on fire")
        node.backplane.cut()
        clients = [client for client in self._world.clients if self._world.network.joins(client.name, node)]
        for client in clients:
            self._world.programs.work_hard(client)
        self._world.after(0.5 + self._rng.random() * 2, partial(self._burn_down, node, clients))

    def _burn_down(self, node: Node, clients: list[Client]) -> None:
        if self._world.healing:
            return
        self._world.note(f"{node.name} has burnt with {[client.name for client in clients]}")
        for client in clients:
            self._begin_anew(client)
        node.kill()
        node.wipe()
        self._world.boot_later(node)

    def _write_at_node(self) -> None:
        """Another program writes to a room's file."""
        node, room = self._some_node(), self._rng.choice(self._world.rooms)
        worker = node.workers.get(str(node.path(room)))
        if worker is None or worker.connection is None or not has_table(worker.connection, "todo"):
            return
        self._world.note(f"room {room} is written at {node.name}")
        conn = open_connection(node.path(room))
        try:
            conn.execute("PRAGMA synchronous = OFF")
            with transaction(conn):
                upsert(conn, "todo", "k3", {"text": f"at {node.name}"})
        finally:
            close_connection(conn)
        self._world.after(self._rng.random() * 0.05, worker.look)

    def _wipe(self) -> None:
        node = self._some_node()
        self._world.note(f"{node.name} is wiped")
        node.kill()
        node.wipe()
        self._world.boot_later(node)

    def _wipe_room(self) -> None:
        node, room = self._some_node(), self._rng.choice(self._world.rooms)
        self._world.note(f"room {room} is wiped at {node.name}")
        node.kill()
        node.wipe(room)
        self._world.boot_later(node)

    def _back_up(self) -> None:
        node, room = self._some_node(), self._rng.choice(self._world.rooms)
        if node.path(room).exists():
            backup = self._world.folder / f"backup{len(self._backups)}.db"
            source, target = apsw.Connection(str(node.path(room))), apsw.Connection(str(backup))
            target.execute("PRAGMA synchronous = OFF")
            with target.backup("main", source, "main") as copying:
                copying.step()
            source.close()
            target.close()
            self._backups.append((node, room, backup))
            self._world.note(f"room {room} is backed up at {node.name}")

    def _restore(self) -> None:
        if not self._backups:
            self._back_up()
            return
        node, room, backup = self._rng.choice(self._backups)
        self._world.note(f"room {room} is restored at {node.name}")
        node.kill()
        node.wipe(room)
        node.folder.mkdir(exist_ok=True)
        shutil.copy(backup, node.path(room))
        self._world.boot_later(node)

    def _lose_entry(self) -> None:
        """Somebody purges an entry, and most of the nodes have not read it yet."""
        room = self._rng.choice(self._world.rooms)
        self._world.note(f"the log loses the next entry of room {room}")
        self._world.hub.doomed.add(room)

    def _forget_log(self) -> None:
        self._world.note("the log is lost")
        self._world.hub.forget()

    def _break(self, client: Client) -> None:
        for connection in list(self._world.network.connections):
            if connection.ends[0] == client.name:
                connection.break_down()

    def _some_client(self) -> Client:
        return self._rng.choice(self._world.clients)

    def _some_node(self) -> Node:
        return self._rng.choice(self._world.nodes)
