"""A backplane that is away, forgets, or is full of holes: no acknowledged change is lost, and the nodes end
up the same."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest

from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.sync.backplane import InProcessBackplane, LinkOptions
from replicell.sync.client import SyncClient
from replicell.sync.errors import SyncTimeoutError
from replicell.sync.status import SyncStatus
from tests.sync.backplane.conftest import OpenNode
from tests.sync.conftest import OpenClient, OpenDatabase
from tests.sync.support import PATIENCE, eventually, has_rows, put, rows

IMPATIENT_LINK = LinkOptions(beacon_interval=0.05, snapshot_jitter=0.0, catch_up_timeout=0.05)


@pytest.fixture
def open_node(open_node_at_hub: OpenNode) -> OpenNode:
    return open_node_at_hub


async def becomes(sync: SyncClient, status: SyncStatus) -> None:
    """Wait until a client has a status."""
    reached = asyncio.Event()

    def hear(_: SyncClient, now: SyncStatus, __: str) -> None:
        if now is status:
            reached.set()

    listener = sync.add_status_listener(hear)
    if sync.status is not status:
        async with asyncio.timeout(PATIENCE):
            await reached.wait()
    sync.del_listener(listener)


async def test_while_the_backplane_is_away_changes_flow_at_their_node_and_are_not_acknowledged(
    hub: InProcessBackplane, open_node: OpenNode, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    one, two = await open_node("1"), await open_node("2")
    a, b, far = [await open_database(name) for name in ("a", "b", "far")]
    sync_a = await open_client(a, f"{one.url}/room")
    sync_b = await open_client(b, f"{one.url}/room")
    sync_far = await open_client(far, f"{two.url}/room")
    for sync in (sync_a, sync_b, sync_far):
        await sync.wait_until_synced(PATIENCE)

    hub.cut()
    await put(a, "1", "x")
    await eventually(b, lambda: has_rows(b, 1))
    await becomes(sync_b, SyncStatus.SYNCED)
    with pytest.raises(SyncTimeoutError, match="syncing"):
        await sync_a.wait_until_synced(0.3)
    assert await rows(far) == {}

    hub.heal()
    await sync_a.wait_until_synced(PATIENCE)
    await eventually(far, lambda: has_rows(far, 1))


async def test_what_was_not_acknowledged_is_not_so_after_a_restart_of_the_node_either(
    hub: InProcessBackplane,
    open_node: OpenNode,
    open_database: OpenDatabase,
    open_client: OpenClient,
    tmp_path: Path,
) -> None:
    one = await open_node("1", link_options=IMPATIENT_LINK)
    a = await open_database("a")
    sync = await open_client(a, f"{one.url}/room")
    await sync.wait_until_synced(PATIENCE)
    hub.cut()
    await put(a, "1", "x")
    async with CrSqliteDatabase(tmp_path / "node-1" / "room.db") as room:
        await eventually(room, lambda: has_rows(room, 1))
    port = one.port
    await one.close()

    one = await open_node("1", port=port, link_options=IMPATIENT_LINK)
    await becomes(sync, SyncStatus.SYNCING)
    async with CrSqliteDatabase(tmp_path / "node-1" / "room.db") as room:
        assert await rows(room) == {"1": "x"}
    with pytest.raises(SyncTimeoutError, match="syncing"):
        await sync.wait_until_synced(0.3)

    hub.heal()
    await sync.wait_until_synced(PATIENCE)
    two = await open_node("2")
    b = await open_database("b", with_table=False)
    await (await open_client(b, f"{two.url}/room")).wait_until_synced(PATIENCE)
    assert await rows(b) == {"1": "x"}


async def test_a_backplane_that_has_lost_everything_is_filled_again_by_the_nodes(
    hub: InProcessBackplane, open_node: OpenNode, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    one, two = await open_node("1"), await open_node("2")
    a, b = await open_database("a"), await open_database("b")
    sync_a = await open_client(a, f"{one.url}/room")
    sync_b = await open_client(b, f"{two.url}/room")
    await put(a, "1", "from a")
    await put(b, "2", "from b")
    for db in (a, b):
        await eventually(db, partial(has_rows, db, 2))
    await two.close()

    hub.forget()
    await put(a, "3", "later")
    await sync_a.wait_until_synced(PATIENCE)

    three = await open_node("3")
    c = await open_database("c", with_table=False)
    await (await open_client(c, f"{three.url}/room")).wait_until_synced(PATIENCE)
    assert await rows(c) == {"1": "from a", "2": "from b", "3": "later"}
    await sync_b.close()


async def test_a_wiped_node_has_everything_again(
    open_node: OpenNode, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    one, two = await open_node("1"), await open_node("2")
    a = await open_database("a")
    sync = await open_client(a, f"{one.url}/room")
    await put(a, "1", "x")
    await sync.wait_until_synced(PATIENCE)
    await sync.close()
    await one.close()
    for path in (tmp_path / "node-1").iterdir():
        path.unlink()

    one = await open_node("1")
    b = await open_database("b", with_table=False)
    await (await open_client(b, f"{one.url}/room")).wait_until_synced(PATIENCE)
    assert await rows(b) == {"1": "x"}
    await two.close()
