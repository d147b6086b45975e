"""One history of a whole deployment: server nodes that share rooms, their clients, and the log between them,
all of it decided by a seed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, Final

from replicell.persisters.errors import PersisterError
from replicell.sync.actions import SessionOptions
from replicell.sync.backplane.options import LinkOptions
from tests.simulation.cluster.code import TALLIED, ServerPrograms
from tests.simulation.cluster.disasters import Disasters
from tests.simulation.cluster.log import LogWeather, LossyHub
from tests.simulation.cluster.loop import Life, VirtualLoop, current_life
from tests.simulation.cluster.machines import Client, Machine, Node, Replica
from tests.simulation.cluster.network import Network, Weather
from tests.simulation.cluster.oracle import Oracle
from tests.simulation.cluster.programs import Programs
from tests.simulation.cluster.seeded import Router, seeded
from tests.simulation.cluster.watch import Watch
from tests.simulation.cluster.worker import Fate, PacedWorker
from tests.simulation.course import Course
from tests.simulation.oracle import BrokenPromiseError

__all__ = ["WELL", "ClusterHistory"]

SECONDS: Final = 10.0
STILL_SECONDS: Final = 4.0
PATIENCE: Final = 120.0
WELL: Final = "all is well from now on"
_PLAIN_ROOMS: Final = ("plain", "other/one", "other/two")
_ROOMS: Final = (TALLIED, *_PLAIN_ROOMS)


class ClusterHistory(Course, Router):
    """A deployment that runs for some seconds of virtual time, then heals, and must then come to rest in
    agreement.

    Args:
        seed: Decides everything.
        folder: An empty folder for the databases.
    """

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self.folder = folder
        rng = self.rng = Random(f"cluster {seed}")
        self.loop = VirtualLoop(rng)
        super().__init__(lambda: self.loop.now)
        self._tasks: set[asyncio.Task[Any]] = set()
        self.healing = False
        self.well_at = SECONDS
        """When nothing goes wrong any more."""
        self.disks_are_lost = rng.random() < 0.6
        self.keeps_transactions = self.disks_are_lost
        """Whether parts of a transaction are never seen: entries that the log has lost come back in parts."""
        self.crash_rate = rng.choice((0.0, 0.0, 0.003, 0.01))
        self.disk_failure_rate = rng.choice((0.0, 0.0, 0.0, 0.01))
        self.room_idle_seconds = rng.choice((0.5, 60.0, 60.0))
        # Nodes that lack something derive something else, and correct each other until they have it.
        rooms = _ROOMS if self.disks_are_lost else _PLAIN_ROOMS
        self.rooms = rooms[: rng.choice((1, 1, 2, 3))]
        self.options = SessionOptions(
            handshake_timeout=3.0,
            heartbeat_interval=1.0,
            window_bytes=rng.choice((2000, 100_000)),
            window_batches=rng.choice((1, 4, 64)),
            part_bytes=rng.choice((2000, 100_000)),
            part_changes=rng.choice((5, 20, 1000)),
            snapshot_bytes=rng.choice((None, 1, 1)),
        )
        self.link_options = LinkOptions(
            beacon_interval=rng.choice((0.2, 1.0)),
            check_interval=rng.choice((2.0, 5.0)),
            snapshot_bytes=rng.choice((2000, 20_000, 10_000_000)),
            snapshot_jitter=rng.choice((0.0, 1.0)),
            presence_interval=1.0,
            catch_up_timeout=rng.choice((0.1, 2.0)),
        )
        self.log_weather = LogWeather(
            latency=rng.choice((0.002, 0.05, 0.3)),
            answer_loss=rng.choice((0.0, 0.0, 0.1)),
            telling_loss=rng.choice((0.0, 0.1)),
            max_payload=rng.choice((2000, 10_000, 1_000_000)),
        )
        weather = Weather(latency=rng.choice((0.005, 0.05, 0.3)), buffer_bytes=rng.choice((1000, 1_000_000)))
        if rng.random() < 0.3:
            weather.loss = rng.choice((0.0, 0.02, 0.1))
            weather.duplication = rng.choice((0.0, 0.05))
            weather.reordering = rng.choice((0.0, 0.1, 0.3))
        self.network = Network(self.loop, rng, weather, self.digest)
        self.failure: BaseException | None = None
        """The first promise that was broken where nobody awaits it."""
        self.programs = Programs(self)
        self.code = ServerPrograms(self)
        self.oracle = Oracle(self)
        self.hub = LossyHub()
        self.watch = Watch(self)
        self.is_over = False
        """Whether all machines are being stopped."""
        self.clients: list[Client] = []
        self.gone: list[Client] = []
        """Clients that never come back."""
        self.nodes: list[Node] = []
        self.strangers: list[Life] = []
        """The processes of those who keep to no rule."""

    @property
    def disks_fail(self) -> bool:
        """Whether writing fails now and then."""
        return self.disk_failure_rate > 0

    def run(self) -> None:
        """Live through it.

        Raises:
            BrokenPromiseError: Something that replicell promises did not hold.
        """
        with seeded(self.seed, self.loop, self, self), self._heard_errors():
            self.loop.set_exception_handler(self._on_exception)
            try:
                self.loop.run_until_complete(self._history())
                self._raise_failure()
            finally:
                self._end()

    def find(self, client: str, host: str) -> Node:
        """Return the node of that name; behind the cluster's own it is the client's home, mostly."""
        if host != "cluster":
            return next(node for node in self.nodes if node.name == host)
        home = next(one.home for one in self.clients if one.name == client)
        node = self.nodes[home]
        return node if node.up and self.rng.random() < 0.9 else self.rng.choice(self.nodes)

    # -- what the machines ask --

    def seconds_of_job(self) -> float:
        return self.rng.random() ** 3 * 0.02

    def fate_of_job(self, life: Life) -> Fate:
        if self.healing:
            return "fine"
        if self.rng.random() < self.crash_rate:
            fate: Fate = self.rng.choice(("crash before commit", "crash after commit"))
            self.note(f"{life.name} crashes: {fate}")
            self.boot_later(self._machine(life.name))
            return fate
        if self.rng.random() < self.disk_failure_rate:
            self.note(f"the disk of {life.name} fails")
            return "disk fails"
        return "fine"

    def opened(self, life: Life, worker: PacedWorker) -> None:
        machine = self._machine(life.name)
        if machine.life is life:
            machine.workers[worker.path] = worker
            self._guarded(self.watch.opened, worker)

    def reopened(self, life: Life) -> None:
        self.note(f"{life.name} changes its file")

    def committed(self, worker: PacedWorker) -> None:
        if worker.connection is not None:
            self.oracle.check_commit(Replica(worker))
            self.watch.committed()

    def needs_repair(self, name: str) -> None:
        """A node asks another one for what it lacks, which is for logs that have lost something."""
        self.note(f"{name} asks for what it lacks")
        if self.disks_are_lost:
            self.fail(f"{name} lacks something, although the log has lost nothing")

    def fail(self, reason: str) -> None:
        """A promise was broken."""
        self.failure = self.failure or BrokenPromiseError(reason)

    def after(self, seconds: float, call: Callable[[], object]) -> None:
        """Do something later, whoever is still there then."""
        self.loop.call_later(seconds, call)

    def begin(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Do something that takes time, on nobody's behalf."""
        task = self.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def boot_later(self, machine: Machine) -> None:
        """Let a machine come back."""
        self.after(0.05 + self.rng.random() * 2, partial(self._boot, machine))

    def resume(self, client: Client) -> None:
        """Let a client that has paused go on."""
        if client.up and client.life is not None and client.sync is not None:
            client.life.begin(client.sync.resume())

    @contextmanager
    def troubles(self) -> Iterator[None]:
        """Disks may fail while this is done, and processes end."""
        try:
            yield
        except PersisterError as error:
            life = current_life()
            if not self.disks_fail and life is not None and not life.is_over:
                raise BrokenPromiseError(f"{life.name}: {error!r}") from error

    # -- the course --

    async def _history(self) -> None:
        self.nodes = [Node(self, f"node{number}") for number in range(self.rng.choice((2, 2, 3)))]
        self.disasters = Disasters(self)
        for node in self.nodes:
            node.boot()
        await self._live()
        self._heal()
        await self._rest()
        self.watch.look()
        self.oracle.judge()
        await self._stay_still()
        await self._close()

    async def _live(self) -> None:
        for number in range(self.rng.randint(2, 4)):
            client = self.disasters.come(self.rooms[number % len(self.rooms)])
            if number == 0 or self.rng.random() < 0.5:
                self.after(0.1, partial(self.programs.make_tables, client))
        programs = self.programs
        for deed, most in ((programs.write, 50), (programs.acknowledge, 12), (programs.show, 8)):
            for _ in range(self.rng.randint(most // 3, most)):
                self.after(0.2 + self.rng.random() * SECONDS, deed)
        for _ in range(self.rng.choice((0, 6, 12, 20))):
            self.after(self.rng.random() * SECONDS, self.disasters.strike)
        await self._pass(SECONDS)

    def _heal(self) -> None:
        self.watch.look()
        self.note(WELL)
        self.healing = True
        self.network.partitions.clear()
        self.network.weather.calm()
        self.hub.heal()
        self.hub.doomed.clear()
        self.log_weather.answer_loss = self.log_weather.telling_loss = 0.0
        for machine in (*self.nodes, *self.clients):
            self._boot(machine)
        for node in self.nodes:
            if node.backplane is not None:
                node.backplane.mend()
        for client in self.clients:
            self.resume(client)

    async def _rest(self) -> None:
        deadline = self.loop.now + PATIENCE
        reason = ""
        while self.loop.now < deadline:
            await self._pass(1.0)
            self._keep_all_open()
            self._tell_copies_apart()
            reason = self.oracle.unrest()
            if not reason:
                return
        raise BrokenPromiseError(f"no agreement {PATIENCE} seconds after all was well: {reason}")

    def _keep_all_open(self) -> None:
        """Have each room loaded at each node, so that it can be looked at."""
        for node in self.nodes:
            if node.up and node.life is not None and node.server is not None and not node.keeps_open:
                node.keeps_open = True
                for room in self.rooms:
                    node.life.begin(node.keep_open(room))

    def _tell_copies_apart(self) -> None:
        """Copies of a file that are at different nodes are told apart when one of them connects anew."""
        seen: set[bytes] = set()
        for client in self.clients:
            replica = client.replica(client.path)
            site_id = replica.conn.execute("SELECT crsql_site_id()").get if replica is not None else None
            if isinstance(site_id, bytes):
                if site_id in seen and client.synced:
                    self.note(f"{client.name} has another one's site id, and connects anew")
                    self.disasters.cut(client)
                seen.add(site_id)

    async def _stay_still(self) -> None:
        """Nothing takes effect twice: replicas that agree have nothing more to write."""
        before = self.oracle.versions()
        await self._pass(STILL_SECONDS)
        after = self.oracle.versions()
        if before != after:
            raise BrokenPromiseError(f"all agreed, and yet something was written: {before} -> {after}")

    async def _close(self) -> None:
        """All ends as it should, in time and with nothing left behind."""
        async with asyncio.timeout(PATIENCE):
            for machine in (*self.clients, *self.nodes):
                await machine.shut_down()
        self.note("all is closed")

    async def _pass(self, seconds: float) -> None:
        end = self.loop.now + seconds
        while self.loop.now < end:
            await asyncio.sleep(min(0.5, end - self.loop.now))
            self._raise_failure()

    def _boot(self, machine: Machine) -> None:
        if not machine.up and (machine in self.nodes or machine in self.clients):
            self.note(f"{machine.name} is up")
            machine.boot()

    def _machine(self, name: str) -> Machine:
        machines: tuple[Machine, ...] = (*self.nodes, *self.clients, *self.gone)
        return next(machine for machine in machines if machine.name == name)

    # -- what must not happen --

    def _guarded(self, check: Callable[..., None], *args: Any) -> None:
        """Look at something where an error would be taken for somebody else's."""
        try:
            check(*args)
        except BrokenPromiseError as error:
            self.failure = self.failure or error

    def _raise_failure(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _on_exception(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        life = current_life()
        if self.failure is None and not (life is not None and life.is_over):
            error = context.get("exception")
            if isinstance(error, AssertionError):
                self.failure = error
            else:
                self.fail(f"{context['message']}: {error!r}")

    @contextmanager
    def _heard_errors(self) -> Iterator[None]:
        """What replicell logs as an error has gone wrong, unless something broke that explains it."""
        logger = logging.getLogger("replicell")
        level, propagates = logger.level, logger.propagate
        handler = _Handler(self._on_error_logged)
        logger.addHandler(handler)
        logger.setLevel(logging.ERROR)
        logger.propagate = False
        try:
            yield
        finally:
            logger.setLevel(level)
            logger.propagate = propagates
            logger.removeHandler(handler)

    def _on_error_logged(self, record: logging.LogRecord) -> None:
        life = current_life()
        if self.disks_fail or (life is not None and life.is_over):
            return
        if not self.disks_are_lost and record.name == "replicell.sync.backplane":
            return
        if "snapshot of the room cannot be used" in record.msg:
            # A table has come while it was made: then the changes are fetched instead.
            return
        text = logging.Formatter().format(record)
        self.fail(f"{life.name if life else 'somebody'} logs an error: {text}")

    def _end(self) -> None:
        self.is_over = True
        for machine in (*self.nodes, *self.clients, *self.gone):
            machine.kill()
        for stranger in self.strangers:
            stranger.kill()
        for task in self._tasks:
            task.cancel()
        self.loop.run_until_complete(_turns(20))
        left = asyncio.all_tasks(self.loop)
        self.loop.close()
        if left and self.failure is None:
            raise BrokenPromiseError(f"tasks that do not end: {left}")


class _Handler(logging.Handler):
    def __init__(self, take: Callable[[logging.LogRecord], None]) -> None:
        super().__init__(logging.ERROR)
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        self._take(record)


async def _turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)
