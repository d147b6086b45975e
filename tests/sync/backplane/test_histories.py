"""Random histories of three nodes and their clients, decided by a seed: whatever happens, nothing that was
acknowledged is lost and all end up the same."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import pytest

from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.schema import add_columns, create_table
from replicell.sync.backplane import InProcessBackplane, LinkOptions
from replicell.sync.client import SyncClient
from replicell.sync.errors import SyncTimeoutError
from replicell.sync.server import SyncServer
from tests.sync.conftest import QUICK
from tests.sync.support import PATIENCE, TODO, put, rows

LINK = LinkOptions(
    beacon_interval=0.02,
    check_interval=0.5,
    snapshot_bytes=200_000,
    snapshot_jitter=0.0,
    catch_up_timeout=0.3,
)
NODES = 3
CLIENTS = 4
STEPS = 60


class Replica:
    """A client's database, and where it is connected."""

    def __init__(self, name: str, db: CrSqliteDatabase) -> None:
        self.name = name
        self.db = db
        self.sync: SyncClient | None = None
        self.written: dict[str, str] = {}

    async def leave(self) -> None:
        sync, self.sync = self.sync, None
        if sync is not None:
            await sync.close()


class History:
    """One history.

    In every other one the log may be lost as a whole; in the others half of the clients go for ever in the
    end, and what they were told to be acknowledged must be there without them.

    Args:
        seed: Decides what happens.
        folder: Where everything is kept.
    """

    def __init__(self, seed: int, folder: Path) -> None:
        self.rng = random.Random(seed)
        self.clients_go = seed % 2 == 1
        self.folder = folder
        self.hub = InProcessBackplane()
        self.nodes: list[SyncServer | None] = [None] * NODES
        self.replicas: list[Replica] = []
        self.acknowledged: set[str] = set()
        self.columns = 0

    async def live(self) -> None:
        async with AsyncExitStack() as stack:
            for number in range(NODES):
                await self.boot(number)
            for name in "abcd"[:CLIENTS]:
                db = await stack.enter_async_context(CrSqliteDatabase(self.folder / f"{name}.db"))
                await db.run(create_table, TODO)
                self.replicas.append(Replica(name, db))
                await self.move(self.replicas[-1])
            for _ in range(STEPS):
                await self.rng.choice(self.deeds())()
            await self.rest()

    def deeds(self) -> list[Callable[[], Awaitable[None]]]:
        often = [self.write, self.write, self.write, self.write, self.acknowledge, self.edit_shared]
        rare = [self.delete, self.move_one, self.restart, self.wipe, self.cut, self.heal, self.alter]
        return [*often, *often, *rare, self.wipe if self.clients_go else self.forget]

    async def write(self) -> None:
        replica = self.rng.choice(self.replicas)
        for _ in range(self.rng.choice((1, 1, 1, 30))):
            key = f"{replica.name}{len(replica.written):04}"
            replica.written[key] = "x" * self.rng.choice((1, 10, 2000))
            await put(replica.db, key, replica.written[key])

    async def edit_shared(self) -> None:
        replica = self.rng.choice(self.replicas)
        await put(replica.db, f"shared{self.rng.randrange(3)}", f"{replica.name}{self.rng.random()}")

    async def delete(self) -> None:
        replica = self.rng.choice(self.replicas)
        await replica.db.execute("DELETE FROM todo WHERE id = ?", (f"shared{self.rng.randrange(3)}",))

    async def alter(self) -> None:
        self.columns += 1
        column = f"c{self.columns}"
        replica = self.rng.choice(self.replicas)
        await replica.db.run(add_columns, "todo", (column,))
        await replica.db.execute(
            f"INSERT INTO todo(id, {column}) VALUES (?, 1) ON CONFLICT(id) DO UPDATE SET {column} = 1",
            (f"with {column}",),
        )

    async def acknowledge(self) -> None:
        replica = self.rng.choice(self.replicas)
        written = set(replica.written)
        if replica.sync is not None:
            with suppress(SyncTimeoutError):
                await replica.sync.wait_until_synced(0.5)
                self.acknowledged |= written

    async def move_one(self) -> None:
        await self.move(self.rng.choice(self.replicas))

    async def move(self, replica: Replica) -> None:
        await replica.leave()
        up = [node for node in self.nodes if node is not None]
        replica.sync = await SyncClient(replica.db, f"{self.rng.choice(up).url}/room", backoff=QUICK).start()

    async def restart(self) -> None:
        number = self.rng.randrange(NODES)
        homeless = await self.halt(number)
        await self.boot(number)
        for replica in homeless:
            await self.move(replica)

    async def wipe(self) -> None:
        number = self.rng.randrange(NODES)
        homeless = await self.halt(number)
        with suppress(FileNotFoundError):
            shutil.rmtree(self.folder / f"node-{number}")
        await self.boot(number)
        for replica in homeless:
            await self.move(replica)

    async def cut(self) -> None:
        self.hub.cut()

    async def heal(self) -> None:
        self.hub.heal()

    async def forget(self) -> None:
        self.hub.forget()

    async def halt(self, number: int) -> list[Replica]:
        """Close a node; returns its clients, who have nowhere to go."""
        node, self.nodes[number] = self.nodes[number], None
        if node is None:
            return []
        homeless = [
            replica
            for replica in self.replicas
            if replica.sync and replica.sync.url.startswith(f"{node.url}/")
        ]
        for replica in homeless:
            await replica.leave()
        await node.close()
        return homeless

    async def boot(self, number: int) -> None:
        server = SyncServer(
            self.folder / f"node-{number}",
            port=0,
            backplane=self.hub,
            link_options=LINK,
            room_idle_seconds=3600,
        )
        self.nodes[number] = await server.start()

    async def rest(self) -> None:
        self.hub.heal()
        if self.clients_go:
            for replica in self.replicas[: CLIENTS // 2]:
                await replica.leave()
            self.replicas = self.replicas[CLIENTS // 2 :]
        for replica in self.replicas:
            await self.move(replica)
        async with asyncio.timeout(PATIENCE):
            while True:
                for replica in self.replicas:
                    assert replica.sync is not None
                    await replica.sync.wait_until_synced(PATIENCE)
                found = [await rows(replica.db) for replica in self.replicas]
                if all(one == found[0] for one in found):
                    break
        for replica in self.replicas:
            await replica.leave()
        lost = {key for replica in self.replicas for key in replica.written} - found[0].keys()
        assert not lost
        assert self.acknowledged <= found[0].keys()
        for number in range(NODES):
            await self.halt(number)


@pytest.mark.parametrize("seed", range(6))
async def test_after_a_random_history_all_replicas_hold_the_same_and_everything(
    seed: int, tmp_path: Path
) -> None:
    await History(seed, tmp_path).live()
