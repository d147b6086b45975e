"""A backplane that is away, forgets, or is full of holes: no acknowledged change is lost, and the nodes end
up the same."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.sync.backplane import InProcessBackplane, LinkOptions
from replicell.sync.client import SyncClient
from replicell.sync.errors import SyncTimeoutError
from replicell.sync.limits import Limits
from replicell.sync.server import SyncServer
from replicell.sync.status import SyncStatus
from tests.sync.backplane.conftest import QUICK_LINK, OpenNode
from tests.sync.conftest import OpenClient, OpenDatabase
from tests.sync.support import PATIENCE, eventually, has_rows, put, rows

IMPATIENT_LINK = LinkOptions(beacon_interval=0.05, snapshot_jitter=0.0, catch_up_timeout=0.05)


@pytest.fixture
def hub() -> InProcessBackplane:
    return InProcessBackplane()


@pytest.fixture
def open_node(stack: AsyncExitStack, tmp_path: Path, hub: InProcessBackplane) -> OpenNode:
    async def start(name: str, **options: Any) -> SyncServer:
        options = {"port": 0, "link_options": QUICK_LINK, "backplane": hub, **options}
        return await stack.enter_async_context(SyncServer(tmp_path / f"node-{name}", **options))

    return start


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


async def test_a_new_node_begins_with_a_snapshot_and_a_late_one_merges_it(
    hub: InProcessBackplane,
    open_node: OpenNode,
    open_database: OpenDatabase,
    open_client: OpenClient,
    tmp_path: Path,
) -> None:
    often = LinkOptions(beacon_interval=0.05, snapshot_jitter=0.0, snapshot_bytes=1)
    one, two = await open_node("1", link_options=often), await open_node("2", link_options=often)
    a, late = await open_database("a"), await open_database("late")
    sync = await open_client(a, f"{one.url}/room")
    sync_late = await open_client(late, f"{two.url}/room")
    await put(late, "late", "before it went")
    await sync_late.wait_until_synced(PATIENCE)
    await eventually(a, lambda: has_rows(a, 1))
    port = two.port
    await two.close()
    await put(late, "offline", "meanwhile")
    log = await hub.open_room("room")
    edits = 0
    # The entries must outweigh the file before a snapshot is worth while.
    while not await log.snapshot_position():
        await put(a, "same row", "x" * 2000 + str(edits))
        await sync.wait_until_synced(PATIENCE)
        edits += 1
        assert edits < 1000
    await put(a, "end", "x")
    await sync.wait_until_synced(PATIENCE)

    two = await open_node("2", port=port)
    three = await open_node("3")
    fresh = await open_database("fresh", with_table=False)
    await (await open_client(fresh, f"{three.url}/room")).wait_until_synced(PATIENCE)
    for db in (a, late, fresh):
        await eventually(db, partial(has_rows, db, 4))
    assert await rows(fresh) == await rows(late) == await rows(a)
    async with (
        CrSqliteDatabase(tmp_path / "node-3" / "room.db") as copy,
        CrSqliteDatabase(tmp_path / "node-1" / "room.db") as original,
    ):
        assert copy.site_id != original.site_id


@pytest.mark.parametrize("later", [{"end": "after the hole"}, {}], ids=["in the middle", "at the end"])
async def test_nodes_find_out_that_they_differ_and_fetch_from_each_other_what_they_lack(
    later: dict[str, str],
    hub: InProcessBackplane,
    open_node: OpenNode,
    open_database: OpenDatabase,
    open_client: OpenClient,
) -> None:
    checking = LinkOptions(beacon_interval=0.05, check_interval=0.05)
    one, two = await open_node("1", link_options=checking), await open_node("2", link_options=checking)
    a, b = await open_database("a"), await open_database("b")
    sync_a = await open_client(a, f"{one.url}/room")
    sync_b = await open_client(b, f"{two.url}/room")
    await put(a, "0", "everywhere")
    await eventually(b, lambda: has_rows(b, 1))
    await two.close()
    for number in range(1, 30):
        await put(a, str(number), "purged by somebody")
    await sync_a.wait_until_synced(PATIENCE)
    hub.lose("room", await (await hub.open_room("room")).last())
    for row_id, text in later.items():
        await put(a, row_id, text)
    await sync_a.wait_until_synced(PATIENCE)

    two = await open_node("2", link_options=checking)
    c = await open_database("c", with_table=False)
    await open_client(c, f"{two.url}/room")
    await eventually(c, lambda: has_rows(c, 30 + len(later)))
    await sync_b.close()


async def test_a_purged_value_that_is_bigger_than_an_entry_is_repaired_at_the_nodes_and_in_the_log(
    hub: InProcessBackplane, open_node: OpenNode, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    checking = LinkOptions(beacon_interval=0.05, check_interval=0.05)
    limits = Limits(message_bytes=8 * 1024 * 1024)
    one, two = [await open_node(name, link_options=checking, limits=limits) for name in "12"]
    a, b, c, d = [await open_database(name) for name in "abcd"]
    sync_a = await open_client(a, f"{one.url}/room", max_message_size=8 * 1024 * 1024)
    sync_b = await open_client(b, f"{two.url}/room", max_message_size=8 * 1024 * 1024)
    await put(a, "0", "everywhere")
    await eventually(b, lambda: has_rows(b, 1))
    await two.close()
    big = "0123456789" * 250_000
    await put(a, "big", big)
    await sync_a.wait_until_synced(PATIENCE)
    log = await hub.open_room("room")
    hub.lose("room", await log.last())
    await put(a, "end", "after the hole")
    await sync_a.wait_until_synced(PATIENCE)

    two = await open_node("2", link_options=checking, limits=limits)
    await open_client(c, f"{two.url}/room", max_message_size=8 * 1024 * 1024)
    await eventually(c, lambda: has_rows(c, 3))
    assert (await rows(c))["big"] == big

    # Who comes later finds it in the log, without anybody to compare with.
    await one.close()
    await two.close()
    three = await open_node("3", limits=limits)
    sync_d = await open_client(d, f"{three.url}/room", max_message_size=8 * 1024 * 1024)
    await sync_d.wait_until_synced(PATIENCE)
    assert await rows(d) == await rows(a)
    await sync_b.close()


async def has_placed(room: CrSqliteDatabase, other: CrSqliteDatabase, position: int) -> bool:
    """Whether a node knows of another one that it has the log up to a position."""
    sql = "SELECT max(position) FROM replicell_log_marks WHERE site_id = ?"
    return await room.execute(sql, (other.site_id,)) == [(position,)]


@pytest.mark.parametrize("meanwhile", ["stays", "is away", "goes on to a third node"])
async def test_a_client_that_went_to_another_node_before_the_repair_gets_what_it_lacks(
    meanwhile: str,
    hub: InProcessBackplane,
    open_node: OpenNode,
    open_database: OpenDatabase,
    open_client: OpenClient,
    stack: AsyncExitStack,
    tmp_path: Path,
) -> None:
    nodes = {name: await open_node(name) for name in "123"}
    ports = {name: node.port for name, node in nodes.items()}
    urls = {name: f"{node.url}/room" for name, node in nodes.items()}
    writer, mover, witness = [await open_database(name) for name in ("writer", "mover", "witness")]
    sync_writer = await open_client(writer, urls["1"])
    sync = await open_client(mover, urls["2"])
    await open_client(witness, urls["3"])
    await put(writer, "0", "everywhere")
    for db in (mover, witness):
        await eventually(db, partial(has_rows, db, 1))
    files = {
        name: await stack.enter_async_context(CrSqliteDatabase(tmp_path / f"node-{name}" / "room.db"))
        for name in "123"
    }
    # Node 2 misses an entry that somebody has purged, and does not know it.
    await sync.close()
    await nodes["2"].close()
    await put(writer, "lost", "purged by somebody")
    await sync_writer.wait_until_synced(PATIENCE)
    await eventually(witness, lambda: has_rows(witness, 2))
    log = await hub.open_room("room")
    hub.lose("room", await log.last())
    await put(writer, "end", "after the hole")
    await sync_writer.wait_until_synced(PATIENCE)
    nodes["2"] = await open_node("2", port=ports["2"])
    sync = await open_client(mover, urls["2"])
    await sync.wait_until_synced(PATIENCE)
    for name in "13":
        await eventually(files[name], partial(has_placed, files[name], files["2"], await log.last()))
    await sync.close()
    sync = await open_client(mover, urls["1"])
    await sync.wait_until_synced(PATIENCE)
    assert set(await rows(mover)) == {"0", "end"}
    if meanwhile != "stays":
        await sync.close()

    checking = LinkOptions(beacon_interval=0.05, check_interval=0.05)
    for name, node in nodes.items():
        await node.close()
        await open_node(name, link_options=checking, port=ports[name])
    await open_client(await open_database("guest", with_table=False), urls["2"])
    await eventually(files["2"], lambda: has_rows(files["2"], 3))
    if meanwhile != "stays":
        await open_client(mover, urls["1" if meanwhile == "is away" else "3"])
    await eventually(mover, lambda: has_rows(mover, 3))
