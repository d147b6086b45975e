"""The same tests for every backplane: several servers on it, with clients."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from replicell.sync.backplane import Backplane, InProcessBackplane, LinkOptions
from replicell.sync.server import SyncServer

QUICK_LINK = LinkOptions(beacon_interval=0.05, check_interval=3600.0, snapshot_jitter=0.0)

OpenNode: TypeAlias = Callable[..., Awaitable[SyncServer]]
MakeBackplane: TypeAlias = Callable[[], Awaitable[Backplane]]


@pytest.fixture(params=["in-process"])
async def make_backplane(request: pytest.FixtureRequest) -> AsyncIterator[MakeBackplane]:
    """Gives each node its access to one and the same backplane."""
    hub = InProcessBackplane()

    async def make() -> Backplane:
        return hub

    yield make


@pytest.fixture
def open_node(stack: AsyncExitStack, tmp_path: Path, make_backplane: MakeBackplane) -> OpenNode:
    """Start a server that keeps its rooms in a folder of its own."""

    async def start(name: str, *, folder: Path | None = None, **options: Any) -> SyncServer:
        options = {"port": 0, "link_options": QUICK_LINK, "backplane": await make_backplane(), **options}
        return await stack.enter_async_context(SyncServer(folder or tmp_path / f"node-{name}", **options))

    return start
