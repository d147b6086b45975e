"""One history: what happens to a few replicas and a server, all of it decided by a seed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from random import Random

from replicell.persisters.crsqlite.schema import create_table, read_schema
from replicell.sync.actions import SessionOptions
from tests.simulation.course import Course
from tests.simulation.disasters import Disasters
from tests.simulation.merging import seeded_merging
from tests.simulation.network import Clock, Weather
from tests.simulation.nodes import Client, Machine, Server
from tests.simulation.oracle import (
    BrokenPromiseError,
    check_transactions_are_whole,
    contents,
    difference,
    logged,
    versions,
)
from tests.simulation.plan import Fate
from tests.simulation.programs import TABLES, Programs
from tests.simulation.randomness import seeded_bytes
from tests.simulation.waiting import Wait, live_session
from tests.simulation.watch import Watch

SECONDS = 12.0
WAITING_SECONDS = 3.0
STILL_SECONDS = 5.0
PATIENCE = 120.0
WELL = "all is well from now on"


class History(Course):
    """A world that runs for some seconds of virtual time, then heals, and must then come to rest in
    agreement.

    Args:
        seed: Decides everything.
        folder: An empty folder for the databases.
    """

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self.folder = folder
        self.rng = Random(seed)
        self.clock = Clock()
        super().__init__(lambda: self.clock.now)
        self.weather = self._weather()
        self.options = SessionOptions(
            handshake_timeout=3.0,
            heartbeat_interval=1.0,
            window_bytes=self.rng.choice((400, 2000, 100_000)),
            window_batches=self.rng.choice((1, 4, 64)),
            part_bytes=self.rng.choice((200, 2000, 100_000)),
            part_changes=self.rng.choice((3, 20, 1000)),
            transaction_bytes=self.rng.choice((500, 10_000_000, 10_000_000)),
        )
        self.crash_rate = self.rng.choice((0.0, 0.0, 0.01, 0.03))
        self.disk_failure_rate = self.rng.choice((0.0, 0.0, 0.0, 0.02))
        self.healing = False
        self.server = Server(self, folder / "server.db")
        self.clients: list[Client] = []
        self.watch = Watch(self)
        self._written: dict[str, object] = {}
        self.programs = Programs(self)
        self.disasters = Disasters(self)

    def run(self) -> None:
        """Live through it.

        Raises:
            BrokenPromiseError: Something that replicell promises did not hold.
        """
        with seeded_bytes(Random(f"bytes {self.seed}")), seeded_merging(self.seed):
            try:
                self._begin()
                self._live()
                self._heal()
                self._rest()
                self._judge()
                self._wait_while_all_write()
                self._rest()
                self._judge()
                self._stay_still()
            finally:
                self.end()

    def end(self) -> None:
        """Stop all machines."""
        self.watch.is_over = True
        for machine in (self.server, *self.clients):
            machine.halt()

    def fate_of_job(self, machine: Machine) -> Fate:
        if self.healing:
            return "fine"
        if self.rng.random() < self.crash_rate:
            return self.rng.choice(("crash before commit", "crash after commit"))
        if self.rng.random() < self.disk_failure_rate:
            self.note(f"the disk of {machine.name} fails")
            return "disk fails"
        return "fine"

    def crash(self, machine: Machine) -> None:
        self.note(f"{machine.name} crashes")
        machine.halt()
        self.clock.after(self.rng.random() * 2, partial(self.boot, machine))

    def boot(self, machine: Machine) -> None:
        if machine.up:
            return
        machine.boot()
        self.note(f"{machine.name} is up")
        for client in self.clients:
            if client.connection is None and (client is machine or machine is self.server):
                self.reconnect_later(client)

    def add_client(self, name: str) -> Client:
        client = Client(self, name, self.folder / f"{name}.db")
        self.clients.append(client)
        return client

    def check(self, machine: Machine) -> None:
        if self._written.get(machine.name) == machine.written:
            return
        self._written[machine.name] = machine.written
        if self.options.transaction_bytes > 1000:
            check_transactions_are_whole(machine)
        self.watch.committed()

    def ends(self, machine: Machine) -> None:
        self.watch.ends(machine)

    def started(self, machine: Machine) -> None:
        self.watch.started(machine)

    def reconnect_later(self, client: Client) -> None:
        self.clock.after(0.05 + self.rng.random(), lambda: client.connect(self.server))

    def closed(self, reason: str) -> None:
        self.note(f"closed by {reason}")
        if "internal" in reason and self.disk_failure_rate:
            return
        if "internal" in reason or "malformed" in reason or "protocol" in reason:
            raise BrokenPromiseError(f"a session gave up: {reason}")

    def _weather(self) -> Weather:
        rng = self.rng
        buffer = rng.choice((1000, 10_000, 1_000_000, 1_000_000))
        if rng.random() < 0.3:
            return Weather(latency=rng.choice((0.01, 0.2)), buffer_bytes=buffer)
        return Weather(
            loss=rng.choice((0.0, 0.02, 0.1)),
            duplication=rng.choice((0.0, 0.05)),
            reordering=rng.choice((0.0, 0.1, 0.3)),
            latency=rng.choice((0.01, 0.05, 0.5)),
            buffer_bytes=buffer,
        )

    def _begin(self) -> None:
        self.server.boot()
        one_makes_the_schema = self.rng.random() < 0.5
        for number in range(self.rng.randint(2, 3)):
            client = self.add_client(f"client{number}")
            client.boot()
            if number == 0 or not one_makes_the_schema:
                for table in TABLES:
                    create_table(client.conn, table)
            elif self.rng.random() < 0.2:
                client.policy = "strict"
            self.clock.after(self.rng.random() * 2, partial(client.connect, self.server))

    def _live(self) -> None:
        for _ in range(self.rng.randint(15, 45)):
            self.clock.after(self.rng.random() * SECONDS, self.programs.write)
        for _ in range(self.rng.choice((0, 2, 4, 8))):
            self.clock.after(self.rng.random() * SECONDS, self.disasters.strike)
        self.clock.run_until(SECONDS)

    def _heal(self) -> None:
        self.note(WELL)
        self.healing = True
        self.weather.loss = self.weather.duplication = self.weather.reordering = 0.0
        for machine in (self.server, *self.clients):
            self.boot(machine)
        for client in self.clients:
            client.partitioned = False
            self.reconnect_later(client)

    def _rest(self) -> None:
        deadline = self.clock.now + PATIENCE
        reason = ""
        while self.clock.now < deadline:
            self.clock.run_until(self.clock.now + 1)
            self._give_strict_clients_the_schema()
            unsynced = [client.name for client in self.clients if not client.synced]
            reason = f"{unsynced} are not synced" if unsynced else self._disagreement()
            if not reason:
                return
        raise BrokenPromiseError(f"no agreement {PATIENCE} seconds after all was well: {reason}")

    def _wait_while_all_write(self) -> None:
        """On good connections, whoever waits for being synced is soon told, and it is true."""
        begin = self.clock.now
        for _ in range(self.rng.randint(5, 20)):
            self.clock.after(self.rng.random() * WAITING_SECONDS, self.programs.write)
        self.clock.after(self.rng.random() * WAITING_SECONDS, self.programs.write_at_the_server)
        waits: list[Wait] = []
        for client in self.clients:
            begin_waiting = partial(self._begin_waiting, client, waits)
            self.clock.after(self.rng.random() * WAITING_SECONDS, begin_waiting)
            self.clock.after(WAITING_SECONDS, begin_waiting)
        while self.clock.now < begin + WAITING_SECONDS or waits:
            if self.clock.now > begin + PATIENCE:
                raise BrokenPromiseError(f"nothing comes of waiting: {'; '.join(map(str, waits))}")
            self.clock.step()
            waits[:] = [wait for wait in waits if not wait.ended]

    def _begin_waiting(self, client: Client, waits: list[Wait]) -> None:
        if self.server.up and live_session(client) is not None:
            waits.append(Wait(client, self.server, self.next_number()))

    def _give_strict_clients_the_schema(self) -> None:
        for client in self.clients:
            if client.policy == "strict" and self.server.up and client.up:
                own = read_schema(client.conn)
                for name, table in read_schema(self.server.conn).items():
                    if name not in own or set(own[name].columns) < set(table.columns):
                        client.alter(partial(create_table, schema=table))

    def _disagreement(self) -> str:
        return "; ".join(text for client in self.clients if (text := difference(self.server, client)))

    def _judge(self) -> None:
        lost = self.programs.committed - logged(self.server)
        if lost:
            raise BrokenPromiseError(f"committed and lost: {sorted(lost)}")
        self.watch.look()

    def _stay_still(self) -> None:
        """Nothing takes effect twice: replicas that agree have nothing more to write."""
        machines = (self.server, *self.clients)
        before = versions(machines)
        self.clock.run_until(self.clock.now + STILL_SECONDS)
        after = versions(machines)
        if before != after:
            raise BrokenPromiseError(f"all agreed, and yet something was written: {before} -> {after}")
        for machine in machines:
            self.digest(machine.name, repr(contents(machine)).encode())
