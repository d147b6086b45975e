"""Server nodes that share rooms through three NATS servers, beside one server on its own.

Everything runs on this one machine: the nodes, NATS and the clients share its cores, so more nodes do not
make it faster here; what is seen is what sharing costs, and how long a loss stops whom.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeAlias

import apsw
from websockets.asyncio.client import connect

from benchmarks.measure import Figure, Target, at_most
from examples.cluster.gateway import Gateway
from examples.cluster.nats_cluster import NatsCluster
from examples.cluster.server_node import ServerNode
from replicell.persisters import CrSqliteDatabase
from replicell.persisters.crsqlite.schema import TableSchema, create_table
from replicell.sync import Backoff, SyncClient
from replicell.sync.messages import PROTOCOL, Hello, encode

__all__ = ["cluster_figures"]

SECTION = "Cluster"
ALONE = "one server, no cluster"
PATIENCE = 60.0
EDITS = 200
ROOMS = 6
TRANSACTIONS = 150
ROWS_IN_EACH = 10
OPEN_ROOMS = 200
BEFORE_LOSS = 1.0
QUICK = Backoff(initial=0.05, maximum=0.5)
NOTE = TableSchema("note", ("id",), ("words", "number"))
PUT = (
    "INSERT INTO note(id, words, number) VALUES (?, ?, ?)"
    " ON CONFLICT(id) DO UPDATE SET number = excluded.number"
)
TEN_SECONDS = at_most(10.0, "10 s")


class Bench:
    """Servers and clients in a folder of their own.

    Args:
        folder: Where everything is kept.
        nodes: How many server nodes.
        shared: Whether they share rooms through NATS.
        stack: Closes everything.
    """

    def __init__(self, folder: Path, nodes: int, shared: bool, stack: AsyncExitStack) -> None:
        self.folder = folder
        self.stack = stack
        self.nats = stack.enter_context(NatsCluster(folder)) if shared else None
        urls = self.nats.urls if self.nats else []
        self.nodes = [ServerNode(folder / f"node-{number}", urls) for number in range(nodes)]
        self._names = 0

    async def start(self) -> None:
        for node in self.nodes:
            self.stack.push_async_callback(node.kill)
            await node.start()

    async def client(self, port: int, room: str) -> tuple[CrSqliteDatabase, SyncClient]:
        self._names += 1
        db = await self.stack.enter_async_context(CrSqliteDatabase(self.folder / f"client-{self._names}.db"))
        await db.run(create_table, NOTE)
        sync = SyncClient(db, f"ws://127.0.0.1:{port}/{room}", backoff=QUICK)
        await self.stack.enter_async_context(sync)
        await sync.wait_until_synced(PATIENCE)
        return db, sync


@asynccontextmanager
async def bench(nodes: int, *, shared: bool) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        made = Bench(folder, nodes, shared, stack)
        await made.start()
        yield made


Loss: TypeAlias = Callable[[Bench], Coroutine[None, None, None]]


def cluster_figures() -> Iterator[Figure]:
    """Measure all lines."""
    alone_trip, alone_ack = asyncio.run(journeys(1, shared=False))
    trip, ack = asyncio.run(journeys(2, shared=True))
    yield figure("one edit, from a node's client to another node's, p50", trip, alone_trip)
    yield figure("one edit until it is acknowledged, p50", ack, alone_ack)

    alone = asyncio.run(throughput(1, shared=False))
    for nodes in (1, 2, 3):
        shared = asyncio.run(throughput(nodes, shared=True))
        note = f"{1 / shared:,.0f} rows/s; transactions of {ROWS_IN_EACH}, {ROOMS} rooms"
        yield figure(
            f"a row until it is acknowledged, {nodes} node{'s' * (nodes > 1)}", shared, alone, note=note
        )

    alone_memory, alone_opening = asyncio.run(room_costs(shared=False))
    memory, opening = asyncio.run(room_costs(shared=True))
    yield Figure(
        SECTION, "memory of an open room with a client", memory, ALONE, alone_memory, None, "cost", "bytes"
    )
    yield figure("opening a room", opening, alone_opening)

    losses: list[tuple[str, Loss]] = [
        ("the loss of the clients' server node", lose_node),
        ("the loss of a NATS server", lose_follower),
        ("the loss of the stream's leader", lose_leader),
    ]
    for name, lose in losses:
        pause, usual = asyncio.run(longest_pause(lose))
        yield figure(f"longest pause at {name}", pause, usual, TEN_SECONDS, peer="before")


def figure(
    name: str, ours: float, theirs: float, target: Target | None = None, note: str = "", peer: str = ALONE
) -> Figure:
    return Figure(SECTION, name, ours, peer, theirs, target, "cost", note=note)


async def journeys(nodes: int, *, shared: bool) -> tuple[float, float]:
    """Make edits one at a time: seconds to another client's database, and to the acknowledgement."""
    async with bench(nodes, shared=shared) as made:
        editor, sync = await made.client(made.nodes[0].port, "room")
        receiver, _ = await made.client(made.nodes[-1].port, "room")
        arrived = asyncio.Event()
        receiver.on_change(lambda _: arrived.set())
        trips, acks = [], []
        for number in range(EDITS):
            start = time.monotonic()
            await editor.execute(PUT, ("edited", "words", number))
            async with asyncio.timeout(PATIENCE):
                while await receiver.execute("SELECT number FROM note") != [(number,)]:
                    await arrived.wait()
                    arrived.clear()
            trips.append(time.monotonic() - start)
        for number in range(EDITS):
            start = time.monotonic()
            await editor.execute(PUT, ("acknowledged", "words", number))
            await sync.wait_until_synced(PATIENCE)
            acks.append(time.monotonic() - start)
        return statistics.median(trips), statistics.median(acks)


async def throughput(nodes: int, *, shared: bool) -> float:
    """Write in several rooms at once: seconds a row until all are acknowledged."""
    async with bench(nodes, shared=shared) as made:
        writers = [
            await made.client(made.nodes[number % nodes].port, f"room-{number}") for number in range(ROOMS)
        ]
        start = time.monotonic()
        await asyncio.gather(*(write(db, sync) for db, sync in writers))
        return (time.monotonic() - start) / (ROOMS * TRANSACTIONS * ROWS_IN_EACH)


async def write(db: CrSqliteDatabase, sync: SyncClient) -> None:
    for number in range(TRANSACTIONS):
        rows = [(f"{number}-{each}", "some words of a note", each) for each in range(ROWS_IN_EACH)]
        await db.write(partial(put_all, rows=rows))
    await sync.wait_until_synced(PATIENCE)


def put_all(conn: apsw.Connection, rows: list[tuple[str, str, int]]) -> None:
    conn.executemany(PUT, rows)


async def room_costs(*, shared: bool) -> tuple[float, float]:
    """Open many rooms with a client each: the node's memory and the seconds for each."""
    async with bench(1, shared=shared) as made, AsyncExitStack() as sockets:
        node = made.nodes[0]

        async def enter(number: int) -> None:
            websocket = await sockets.enter_async_context(connect(f"{node.url}/room-{number}"))
            await websocket.send(encode(Hello(PROTOCOL, number.to_bytes(16), [], [])))
            await websocket.recv()

        await enter(1)
        before, start = resident_bytes(node.pid), time.monotonic()
        for number in range(2, OPEN_ROOMS + 2):
            await enter(number)
        seconds = time.monotonic() - start
        return (resident_bytes(node.pid) - before) / OPEN_ROOMS, seconds / OPEN_ROOMS


async def longest_pause(lose: Loss) -> tuple[float, float]:
    """Write row after row, each once the one before is acknowledged, and lose a machine meanwhile: the
    longest time for a row, and the usual one."""
    async with bench(2, shared=True) as made:
        gateway = await made.stack.enter_async_context(Gateway([node.port for node in made.nodes]))
        db, sync = await made.client(gateway.port, "room")
        pauses: list[float] = []
        loss: asyncio.Task[None] | None = None
        begin = time.monotonic()
        lost_at: float | None = None
        while lost_at is None or time.monotonic() < lost_at + BEFORE_LOSS:
            start = time.monotonic()
            await db.execute(PUT, (f"{len(pauses)}", "words", 1))
            await sync.wait_until_synced(PATIENCE)
            pauses.append(time.monotonic() - start)
            if loss is None and time.monotonic() > begin + BEFORE_LOSS:
                loss = asyncio.get_running_loop().create_task(lose(made))
            elif loss is not None and loss.done() and lost_at is None:
                loss.result()
                lost_at = time.monotonic()
        return max(pauses), statistics.median(pauses)


async def lose_node(made: Bench) -> None:
    await made.nodes[0].kill()


async def lose_follower(made: Bench) -> None:
    await lose_nats(made, leader=False)


async def lose_leader(made: Bench) -> None:
    await lose_nats(made, leader=True)


async def lose_nats(made: Bench, *, leader: bool) -> None:
    if made.nats is None:
        raise RuntimeError("these servers do not share rooms")
    number = await made.nats.leader()
    made.nats.kill(number if leader else (number + 1) % made.nats.size)


def resident_bytes(pid: int) -> int:
    """Memory of a process, as Linux counts it."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096
