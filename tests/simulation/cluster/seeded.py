"""All that would make two runs of a history differ, decided by its seed: ids, jitter, clocks, threads; and
how changes are merged."""

from __future__ import annotations

import asyncio
import gc
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit

from replicell.persisters.replies import Reply
from replicell.persisters.sqlite import database
from replicell.persisters.sqlite import worker as worker_module
from replicell.sync import connection_cycle, rooms, server, serving
from replicell.sync.backplane import link
from replicell.sync.serving import ServedConnection
from replicell.sync.snapshot_shelf import SnapshotShelf
from tests.simulation.cluster.loop import VirtualLoop, current_life
from tests.simulation.cluster.network import Connection, Network, Station
from tests.simulation.cluster.worker import PacedWorker, Plan
from tests.simulation.merging import seeded_merging
from tests.simulation.randomness import seeded_bytes

__all__ = ["Router", "seeded"]


class Router(ABC):
    """Finds the node to which a client's next connection goes."""

    network: Network

    @abstractmethod
    def find(self, client: str, host: str) -> Station:
        """Return the node for a client that asks for a host."""


@contextmanager
def seeded(seed: int, loop: VirtualLoop, plan: Plan, router: Router) -> Iterator[None]:
    """Have a block decided by a seed alone.

    Args:
        seed: The seed.
        loop: The event loop, whose time is the only one.
        plan: Decides about database work.
        router: Decides where connections go.
    """
    rng = Random(f"ids {seed}")
    worker: Any = type("_PlannedWorker", (PacedWorker,), {"plan": plan})
    clock = SimpleNamespace(time=loop.time, monotonic=loop.time, perf_counter=_work_clock(loop, rng))
    with ExitStack() as stack:
        stack.enter_context(seeded_bytes(rng))
        stack.enter_context(seeded_merging(seed))
        stack.enter_context(patch.object(link, "random", rng))
        stack.enter_context(patch.object(link, "_size", lambda _: 0))
        stack.enter_context(patch.object(server, "time", clock))
        stack.enter_context(patch.object(serving, "time", clock))
        stack.enter_context(patch.object(rooms, "SnapshotShelf", partial(SnapshotShelf, now=loop.time)))
        # Then sets of them are in the order in which they came, and not in that of their addresses.
        stack.enter_context(patch.object(ServedConnection, "__hash__", lambda _: 0))
        stack.enter_context(patch.object(Reply, "__hash__", lambda _: 0))
        stack.enter_context(patch.object(database, "Worker", worker))
        threads = SimpleNamespace(Thread=_NoThread, Lock=threading.Lock)
        stack.enter_context(patch.object(worker_module, "threading", threads))
        stack.enter_context(patch.object(connection_cycle, "connect", partial(_Connecting, router)))
        stack.enter_context(patch.object(connection_cycle, "WebsocketTransport", lambda websocket: websocket))
        # When cycles are found depends on all that was done before.
        gc.disable()
        stack.callback(gc.enable)
        yield


class _NoThread:
    """Does on no thread what a database's does on its own."""

    def __init__(self, **_: object) -> None:
        return

    def start(self) -> None:
        """Begin nothing."""

    def join(self) -> None:
        """Wait for nothing."""


class _Connecting:
    """What `websockets.connect` returns."""

    def __init__(self, router: Router, url: str, *, open_timeout: float, **_: object) -> None:
        self._router = router
        self._url = urlsplit(url)
        self._timeout = open_timeout
        self._connection: Connection | None = None

    async def __aenter__(self) -> Connection:
        life = current_life()
        assert life is not None
        node = self._router.find(life.name, self._url.netloc)
        async with asyncio.timeout(self._timeout):
            self._connection = await self._router.network.connect(life, node, self._url.path)
        return self._connection

    async def __aexit__(self, *_: object) -> None:
        if self._connection is not None:
            await self._connection.close()


def _work_clock(loop: VirtualLoop, rng: Random) -> Any:
    """A clock on which everything that is measured takes up to some milliseconds."""
    spent = 0.0

    def read() -> float:
        nonlocal spent
        spent += rng.random() ** 4 * 0.03
        return loop.now + spent

    return read
