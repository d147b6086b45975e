"""The same tests for every backplane: several servers on it, with clients."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from examples.cluster.nats_cluster import NatsCluster
from replicell.sync.backplane import Backplane, InProcessBackplane, LinkOptions
from replicell.sync.backplane.jetstream import JetStreamBackplane
from replicell.sync.server import SyncServer

QUICK_LINK = LinkOptions(
    beacon_interval=0.05, check_interval=3600.0, snapshot_jitter=0.0, catch_up_timeout=20.0
)

OpenNode: TypeAlias = Callable[..., Awaitable[SyncServer]]
MakeBackplane: TypeAlias = Callable[[], Backplane]


@pytest.fixture(scope="session")
def nats_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    """Three NATS servers for all tests; each test has streams of its own."""
    with NatsCluster(tmp_path_factory.mktemp("nats")) as cluster:
        yield cluster


@pytest.fixture(params=["in-process", "jetstream"])
async def make_backplane(request: pytest.FixtureRequest) -> AsyncIterator[MakeBackplane]:
    """Gives each node its access to one and the same backplane."""
    if request.param == "in-process":
        hub = InProcessBackplane()
        yield lambda: hub
        return
    cluster: NatsCluster = request.getfixturevalue("nats_cluster")
    stream = f"test-{os.urandom(4).hex()}"
    yield lambda: JetStreamBackplane(cluster.urls, stream=stream)


@pytest.fixture
def hub() -> InProcessBackplane:
    """What nodes of one process share; it can be cut, and lose entries."""
    return InProcessBackplane()


@pytest.fixture
def open_node_at_hub(stack: AsyncExitStack, tmp_path: Path, hub: InProcessBackplane) -> OpenNode:
    """Start a server that shares its rooms through the hub."""

    async def start(name: str, **options: Any) -> SyncServer:
        options = {"port": 0, "link_options": QUICK_LINK, "backplane": hub, **options}
        return await stack.enter_async_context(SyncServer(tmp_path / f"node-{name}", **options))

    return start


@pytest.fixture
def open_node(stack: AsyncExitStack, tmp_path: Path, make_backplane: MakeBackplane) -> OpenNode:
    """Start a server that keeps its rooms in a folder of its own."""

    async def start(name: str, *, folder: Path | None = None, **options: Any) -> SyncServer:
        options = {"port": 0, "link_options": QUICK_LINK, "backplane": make_backplane(), **options}
        return await stack.enter_async_context(SyncServer(folder or tmp_path / f"node-{name}", **options))

    return start
