"""What goes wrong in a deployment: connections, processes, disks, and the log between the nodes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import apsw

from replicell.persisters.crsqlite.connection import close_connection, open_connection, transaction
from tests.simulation.cluster.intruder import Intruder
from tests.simulation.cluster.machines import Client, Machine, Node
from tests.simulation.oracle import has_table
from tests.simulation.programs import upsert

if TYPE_CHECKING:
    from tests.simulation.cluster.history import ClusterHistory

__all__ = ["Disasters"]

_MOST_CLIENTS: Final = 6
_SECONDS_TO_BE_SEEN: Final = 1.0
"""After which all in a room know of somebody who shows himself."""


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
            self._block_one_way, self._intrude, self._clone, self._jump_in_time, self._sleep,
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
        self.cut(client)

    def _cut(self) -> None:
        client = self._some_client()
        self._world.note(f"{client.name} loses its connection")
        self.cut(client)

    def _partition(self) -> None:
        world = self._world
        client, node = self._some_client(), self._some_node()
        world.note(f"{client.name} is cut off from {node.name}")
        ends = client.name, node.name
        world.network.partitions.add(ends)
        self.cut(client)
        world.after(self._rng.random() * 6, partial(world.network.partitions.discard, ends))

    def _stall(self) -> None:
        """What one side sends arrives late, or, if the connection breaks before, not at all."""
        client = self._some_client()
        upwards = self._rng.random() < 0.5
        for connection in list(self._world.network.connections):
            if connection.ends[0] == client.name:
                self._world.note(f"{client.name} is {'not heard' if upwards else 'deaf'} for a while")
                connection.stall(upwards=upwards, seconds=self._rng.random() * 8)

    def _block_one_way(self) -> None:
        """What one side sends does not arrive any more; it hears the other as before."""
        world, client = self._world, self._some_client()
        upwards, seconds = self._rng.random() < 0.5, 0.5 + self._rng.random() * 5
        for connection in list(world.network.connections):
            if connection.ends[0] == client.name:
                node = connection.ends[1]
                world.note(f"{client.name} {'only hears' if upwards else 'is only heard by'} {node}")
                world.network.partitions.add(connection.ends)
                connection.mute(upwards=upwards, seconds=seconds)
                world.after(seconds, partial(world.network.partitions.discard, connection.ends))

    def _intrude(self) -> None:
        node = self._some_node()
        if node.up:
            self._world.note(f"an intruder comes to {node.name}")
            Intruder(self._world, node, self._some_client()).come_in()

    def _clone(self) -> None:
        """Somebody copies a client's file, and both copies go on."""
        world, original = self._world, self._some_client()
        if len(world.clients) >= _MOST_CLIENTS or not original.path.exists():
            return
        twin = Client(world, f"client{world.next_number()}", original.room)
        twin.home = self._rng.randrange(len(world.nodes))
        _copy(original.path, twin.path)
        world.programs.copied(original, twin)
        world.clients.append(twin)
        twin.boot()
        world.note(f"{twin.name} is a copy of {original.name}")

    def _jump_in_time(self) -> None:
        machine = self._rng.choice([*self._world.nodes, *self._world.clients])
        self._world.note(f"the clock of {machine.name} jumps")
        machine.jump(self._rng.choice((2.0, 60.0, 100_000.0)))

    def _sleep(self) -> None:
        """A laptop is closed, a virtual machine suspended: it goes on where the others' time has come."""
        world = self._world
        machine: Machine = self._rng.choice([*world.nodes, *world.clients])
        seconds = min(self._rng.random() * 6, world.well_at - world.loop.now)
        if machine.up and machine.life is not None:
            world.note(f"{machine.name} falls asleep")
            machine.life.sleep(seconds)
            for connection in list(world.network.connections):
                if machine.name in connection.ends:
                    connection.stall(upwards=connection.ends[1] == machine.name, seconds=seconds)

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
        clients = [client for client in self._world.clients if self._world.network.joins(client.name, node)]
        for client in clients:
            if client.shown is None:
                client.show({"name": client.name})
        self._world.after(_SECONDS_TO_BE_SEEN, partial(self._catch_fire, node, clients))

    def _catch_fire(self, node: Node, clients: list[Client]) -> None:
        if node.backplane is None or self._world.healing:
            return
        self._world.note(f"{node.name} is cut off from the log, for it is on fire")
        node.backplane.cut()
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
            _copy(node.path(room), backup)
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

    def cut(self, client: Client) -> None:
        """Break all connections of a client."""
        for connection in list(self._world.network.connections):
            if connection.ends[0] == client.name:
                connection.break_down()

    def _some_client(self) -> Client:
        return self._rng.choice(self._world.clients)

    def _some_node(self) -> Node:
        return self._rng.choice(self._world.nodes)


def _copy(path: Path, target: Path) -> None:
    """Copy a database as it is committed now."""
    source, copy = apsw.Connection(str(path)), apsw.Connection(str(target))
    copy.execute("PRAGMA synchronous = OFF")
    with copy.backup("main", source, "main") as copying:
        copying.step()
    source.close()
    copy.close()
