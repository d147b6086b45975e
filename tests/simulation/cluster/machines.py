"""The machines of a deployment: server nodes and clients, each a process that may be killed and its files."""

from __future__ import annotations

import asyncio
import shutil
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.sync.access import room_file_name
from replicell.sync.backoff import Backoff
from replicell.sync.client import SyncClient
from replicell.sync.errors import SyncClosedError
from replicell.sync.server import SyncServer
from replicell.sync.server_code import ServerRoom
from replicell.sync.status import SyncStatus
from tests.simulation.cluster.log import NodeBackplane
from tests.simulation.cluster.loop import Life
from tests.simulation.cluster.worker import PacedWorker

if TYPE_CHECKING:
    from tests.simulation.cluster.history import ClusterHistory

__all__ = ["Client", "Machine", "Node", "Replica"]


class Replica:
    """One database of a machine, as the oracle looks at it.

    Args:
        worker: What works on it.
    """

    up = True

    def __init__(self, worker: PacedWorker) -> None:
        assert worker.connection is not None
        self.name = worker.life.name
        self.path = Path(worker.path)
        self.conn: apsw.Connection = worker.connection
        self.catalog = Catalog()


class Machine(ABC):
    """A machine on which one process runs, or none.

    Args:
        world: The history that it is part of.
        name: Its name.
    """

    def __init__(self, world: ClusterHistory, name: str) -> None:
        self.world = world
        self.name = name
        self.life: Life | None = None
        self.workers: dict[str, PacedWorker] = {}
        self._stop = asyncio.Event()
        self._ahead = 0.0

    @property
    def up(self) -> bool:
        """Whether its process runs."""
        return self.life is not None and not self.life.is_over

    def boot(self) -> None:
        """Start its process, unless it runs."""
        if not self.up:
            self.life = Life(self.world.loop, self.name)
            self.life.ahead = self._ahead
            self.workers = {}
            self._stop = asyncio.Event()
            self.life.on_kill.append(self.halted)
            self.life.begin(self._run(self._stop))

    def kill(self) -> None:
        """End its process at once."""
        if self.life is not None:
            self.life.kill()

    def jump(self, seconds: float) -> None:
        """Let its clock go on later."""
        self._ahead += seconds
        if self.life is not None:
            self.life.ahead = self._ahead

    async def shut_down(self) -> None:
        """End its process as its user would, and wait until it has ended."""
        if self.up and self.life is not None:
            self._stop.set()
            while self.life.tasks:
                await asyncio.wait(list(self.life.tasks))
            self.life.kill()

    def halted(self) -> None:
        """Its process has ended."""
        for worker in self.workers.values():
            self.world.watch.ends(worker)
        self.workers = {}

    def replica(self, path: Path) -> Replica | None:
        """Return one of its databases if it is open."""
        worker = self.workers.get(str(path))
        return Replica(worker) if worker is not None and worker.connection is not None else None

    @abstractmethod
    async def _run(self, stop: asyncio.Event) -> None:
        """Live until it is told to stop."""


class Node(Machine):
    """A server node with its folder of rooms."""

    def __init__(self, world: ClusterHistory, name: str) -> None:
        super().__init__(world, name)
        self.folder = world.folder / name
        self.backplane: NodeBackplane | None = None
        self.server: SyncServer | None = None
        self.app: Callable[..., Awaitable[None]] | None = None
        self.rooms: dict[str, ServerRoom] = {}
        """The rooms that are loaded, as server code has them."""
        self.keeps_open = False
        """Whether all rooms are kept loaded."""

    def halted(self) -> None:
        super().halted()
        self.keeps_open = False
        self.app = self.server = self.backplane = None
        self.rooms = {}

    def path(self, room: str) -> Path:
        """Return a room's file."""
        return self.folder / room_file_name(room)

    def wipe(self, room: str | None = None) -> None:
        """Lose all files, or a room's; the process must not run."""
        self.world.watch.replaced(self.folder if room is None else self.path(room))
        if room is None:
            shutil.rmtree(self.folder, ignore_errors=True)
        else:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self.path(room)}{suffix}").unlink(missing_ok=True)

    async def keep_open(self, room: str) -> None:
        """Keep a room loaded until the process is shut down."""
        assert self.server is not None
        # It may be closing already.
        with suppress(SyncClosedError), self.world.troubles():
            async with self.server.open_room(room):
                await self._stop.wait()

    async def _run(self, stop: asyncio.Event) -> None:
        world = self.world
        assert self.life is not None
        backplane = NodeBackplane(world.hub, self.life, world.loop, world.rng, world.log_weather, world)
        self.backplane = backplane
        server = SyncServer(
            self.folder,
            backplane=backplane,
            link_options=world.link_options,
            options=world.options,
            clock=world.loop.time,
            row_id_column="id",
            room_idle_seconds=world.room_idle_seconds,
        )
        world.code.install(server, self)
        app = server.asgi()
        async with app:
            self.server, self.app = server, app
            world.note(f"{self.name} serves")
            await stop.wait()
            self.app = None


class Client(Machine):
    """A replica of one room with a program that writes."""

    def __init__(self, world: ClusterHistory, name: str, room: str) -> None:
        super().__init__(world, name)
        self.room = room
        self.path = world.folder / f"{name}.db"
        self.home = 0
        """The number of the node that it connects to through the cluster's name, if that runs."""
        self.knows_nodes = world.rng.random() < 0.4
        """Whether it has the nodes' own addresses, and finds another one by itself."""
        self.shown: dict[str, Any] | None = None
        self.db: CrSqliteDatabase | None = None
        self.sync: SyncClient | None = None

    @property
    def synced(self) -> bool:
        """Whether it thinks so."""
        return self.sync is not None and self.sync.status is SyncStatus.SYNCED

    def halted(self) -> None:
        super().halted()
        self.db = self.sync = None

    def show(self, state: dict[str, Any] | None) -> None:
        """Take part in presence, or no more."""
        self.shown = state
        if self.sync is not None and self.life is not None:
            self.life.context.run(self.sync.set_presence, state)

    def write(self, work: Callable[[apsw.Connection], None], committed: Callable[[], None]) -> None:
        """Let its program write in one transaction, and call back once that is committed."""
        if self.up and self.life is not None and self.db is not None:
            self.life.begin(self._write(self.db, work, committed))

    async def _write(
        self, db: CrSqliteDatabase, work: Callable[[apsw.Connection], None], committed: Callable[[], None]
    ) -> None:
        with self.world.troubles():
            await db.write(work)
            committed()

    def alter(self, work: Callable[[apsw.Connection], None]) -> None:
        """Let its program change the schema."""
        if self.up and self.life is not None and self.db is not None:
            self.life.begin(self._alter(self.db, work))

    async def _alter(self, db: CrSqliteDatabase, work: Callable[[apsw.Connection], None]) -> None:
        with self.world.troubles():
            await db.run(work)

    async def _run(self, stop: asyncio.Event) -> None:
        world = self.world
        hosts = [node.name for node in world.nodes] if self.knows_nodes else ["cluster"]
        urls = [f"ws://{host}/{self.room}" for host in hosts[self.home :] + hosts[: self.home]]
        backoff = Backoff(initial=0.1, maximum=2.0, refused=2.0, random=world.rng.random)
        async with (
            CrSqliteDatabase(self.path) as db,
            SyncClient(db, urls, backoff=backoff, options=world.options, open_timeout=3.0) as sync,
        ):
            self.db, self.sync = db, sync
            if self.shown is not None:
                sync.set_presence(self.shown)
            await stop.wait()
