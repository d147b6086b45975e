"""What goes wrong in a history, beside the weather: connections, processes, disks and clocks."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.simulation.intruder import Intruder
from tests.simulation.nodes import Client, Machine
from tests.simulation.oracle import logged

if TYPE_CHECKING:
    from tests.simulation.history import History

MOST_CLIENTS = 5


class Disasters:
    """Strikes somebody, whom the seed chooses, whenever told to.

    Args:
        world: The history that they happen in.
    """

    def __init__(self, world: History) -> None:
        self._world = world
        self._rng = world.rng
        self._backups: list[tuple[Machine, Path]] = []
        self._kinds: tuple[Callable[[], None], ...] = (
            self._cut,
            self._partition,
            self._block_one_way,
            self._jump_in_time,
            self._restart_client,
            self._restart_server,
            self._wipe_server,
            self._back_up,
            self._back_up,
            self._restore,
            self._clone,
            self._intrude,
            world.programs.alter,
            world.programs.write_at_the_server,
        )

    def strike(self) -> None:
        """Let one of them happen."""
        self._rng.choice(self._kinds)()
        self._world.watch.look()

    def _cut(self) -> None:
        client = self._some_client()
        if client.connection is not None:
            self._world.note(f"{client.name} loses its connection")
            client.connection.cut()

    def _partition(self) -> None:
        client = self._some_client()
        self._world.note(f"{client.name} is cut off")
        client.partitioned = True
        if client.connection is not None:
            client.connection.cut()
        self._world.clock.after(self._rng.random() * 6, partial(self._reunite, client))

    def _reunite(self, client: Client) -> None:
        client.partitioned = False
        client.connect(self._world.server)

    def _block_one_way(self) -> None:
        """What one side sends does not arrive; it learns of it only by the other's silence."""
        client = self._some_client()
        if client.connection is not None:
            upwards = self._rng.random() < 0.5
            self._world.note(f"{client.name} is {'not heard' if upwards else 'deaf'} for a while")
            client.connection.block(upwards=upwards, seconds=self._rng.random() * 8)

    def _jump_in_time(self) -> None:
        """A laptop was asleep: its clock goes on where the others' have come."""
        machine = self._rng.choice([self._world.server, *self._world.clients])
        self._world.note(f"the clock of {machine.name} jumps")
        machine.ahead += self._rng.choice((2.0, 60.0, 100_000.0))

    def _restart_client(self) -> None:
        client = self._some_client()
        if client.up:
            self._world.crash(client)

    def _restart_server(self) -> None:
        if self._world.server.up:
            self._world.crash(self._world.server)

    def _wipe_server(self) -> None:
        self._world.note("the server is wiped")
        self._lose(self._world.server, None)

    def _back_up(self) -> None:
        world = self._world
        machine = self._rng.choice([world.server, world.server, *world.clients])
        path = world.folder / f"backup{len(self._backups)}.db"
        machine.copy_to(path)
        world.note(f"{machine.name} is backed up")
        self._backups.append((machine, path))

    def _restore(self) -> None:
        if not self._backups:
            self._back_up()
            return
        machine, backup = self._rng.choice(self._backups)
        self._world.note(f"{machine.name} is restored from {backup.name}")
        self._lose(machine, backup)

    def _clone(self) -> None:
        world = self._world
        original = self._rng.choice([world.server, *world.clients, *world.clients])
        if len(world.clients) < MOST_CLIENTS:
            twin = world.add_client(f"twin{len(world.clients)}")
            if isinstance(original, Client):
                twin.policy = original.policy
            original.copy_to(twin.path)
            world.watch.copied |= {twin.name, original.name}
            world.note(f"{twin.name} is a copy of {original.name}")
            world.boot(twin)

    def _intrude(self) -> None:
        if self._world.server.up:
            self._world.note("an intruder comes")
            Intruder(self._world, self._some_client()).come_in()

    def _some_client(self) -> Client:
        return self._rng.choice(self._world.clients)

    def _lose(self, machine: Machine, backup: Path | None) -> None:
        """A machine's file is gone, or another one; what only it had is lost, and nobody is to blame."""
        world = self._world
        had = logged(machine)
        machine.halt()
        machine.delete_file()
        if backup is not None:
            shutil.copy(backup, machine.path)
        others = [other for other in (world.server, *world.clients) if other is not machine]
        kept = set().union(*map(logged, others))
        if machine.path.exists():
            kept |= logged(machine)
        world.watch.replaced(machine)
        world.programs.committed -= had - kept
        world.clock.after(self._rng.random(), partial(world.boot, machine))
