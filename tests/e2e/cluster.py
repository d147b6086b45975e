"""A whole cluster for the tests: NATS servers, server nodes and clients, all of which may fail."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from time import monotonic
from urllib.error import HTTPError
from urllib.request import urlopen

from examples.cluster.gateway import Gateway
from examples.cluster.server_node import ServerNode
from replicell.persisters import CrSqliteDatabase
from replicell.persisters.crsqlite.schema import create_table
from replicell.sync import Backoff, SyncClient
from tests.e2e.parted_nats import PartedNats
from tests.sync.support import TODO, put, rows

QUICK = Backoff(initial=0.05, maximum=0.3)
PATIENCE = 60.0
_LOOK_SECONDS = 0.2


class Cluster:
    """Three NATS servers and two nodes, all behind gateways that can be cut.

    Args:
        folder: Where everything is kept.
        stack: Closes everything.
    """

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self.nats = PartedNats(folder)
        self.nodes: list[ServerNode] = []
        self.ways: list[list[Gateway]] = []
        """For each node its ways to the NATS servers."""

    async def start(self, nodes: int = 2) -> None:
        await self.nats.lay_ways(self._stack)
        self._stack.enter_context(self.nats)
        for number in range(nodes):
            ways = [
                await self._stack.enter_async_context(Gateway([port], looks_after=False))
                for port in self.nats.ports
            ]
            node = ServerNode(
                self.folder / f"node-{number}", [f"nats://127.0.0.1:{way.port}" for way in ways]
            )
            self.ways.append(ways)
            self.nodes.append(node)
            self._stack.push_async_callback(node.kill)
            await node.start()

    async def gateway(self, *order: int) -> Gateway:
        """Clients come in by this, and land on the first of these nodes that is well."""
        return await self._stack.enter_async_context(Gateway([self.nodes[each].port for each in order]))

    async def client(
        self, name: str, port: int, *, room: str = "room"
    ) -> tuple[CrSqliteDatabase, SyncClient]:
        db = await self._stack.enter_async_context(CrSqliteDatabase(self.folder / f"{name}.db"))
        await db.run(create_table, TODO)
        sync = SyncClient(db, f"ws://127.0.0.1:{port}/{room}", backoff=QUICK)
        await self._stack.enter_async_context(sync)
        return db, sync

    async def readiness(self, node: int) -> tuple[int, str]:
        """Return what a node answers at ``/readyz``: the status, and why."""
        return await asyncio.to_thread(_read, f"http://127.0.0.1:{self.nodes[node].port}/readyz")

    async def becomes_ready(self, node: int, *, ready: bool) -> str:
        """Wait until a node says that it is ready, or that it is not; return why."""
        async with asyncio.timeout(PATIENCE):
            while True:
                status, why = await self.readiness(node)
                if (status == HTTPStatus.OK) == ready:
                    return why
                await asyncio.sleep(_LOOK_SECONDS)


@asynccontextmanager
async def cluster_in(folder: Path, nodes: int = 2) -> AsyncIterator[Cluster]:
    async with AsyncExitStack() as stack:
        cluster = Cluster(folder, stack)
        await cluster.start(nodes)
        yield cluster


def _read(url: str) -> tuple[int, str]:
    try:
        with urlopen(url, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


class Writer:
    """Writes a row, waits until it is acknowledged, writes the next one, and so on.

    Args:
        name: Begins its rows' keys.
        db: Its database.
        sync: Its client.
    """

    def __init__(self, name: str, db: CrSqliteDatabase, sync: SyncClient) -> None:
        self.name = name
        self.db = db
        self.sync = sync
        self.acknowledged: list[str] = []
        self.pauses: list[float] = []
        self.under_way = ""
        """The row that was written last."""
        self._enough = asyncio.Event()
        self._progress = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._write())

    @property
    def longest_pause(self) -> float:
        """Seconds from a row's commit to its acknowledgement, at worst."""
        return max(self.pauses)

    async def acknowledged_more(self, count: int = 20) -> None:
        """Wait until so many more rows are acknowledged."""
        goal = len(self.acknowledged) + count
        async with asyncio.timeout(PATIENCE):
            while len(self.acknowledged) < goal:
                if self._task.done():
                    self._task.result()
                self._progress.clear()
                await self._progress.wait()

    async def stop(self) -> None:
        self._enough.set()
        await self._task

    async def _write(self) -> None:
        try:
            while not self._enough.is_set():
                key = self.under_way = f"{self.name}{len(self.acknowledged):05}"
                await put(self.db, key, key)
                start = monotonic()
                await self.sync.wait_until_synced(PATIENCE)
                self.pauses.append(monotonic() - start)
                self.acknowledged.append(key)
                self._progress.set()
        finally:
            self._progress.set()


async def agree(*databases: CrSqliteDatabase, holding: Callable[[], set[str]]) -> dict[str, object]:
    """Wait until all databases hold the same rows, certain ones among them, and return the rows."""
    changed = asyncio.Event()
    subscriptions = [db.on_change(lambda _: changed.set()) for db in databases]
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                changed.clear()
                found = [await rows(db) for db in databases]
                if all(one == found[0] for one in found) and holding() <= found[0].keys():
                    return found[0]
                await changed.wait()
    finally:
        for subscription in subscriptions:
            subscription.cancel()
