"""Nodes that were away while entries went: trimmed for a snapshot, or lost. The same for every backplane."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.sync.backplane import (
    Backplane,
    BackplaneError,
    InProcessBackplane,
    LinkOptions,
    RoomLog,
    link,
)
from replicell.sync.backplane.jetstream import JetStreamBackplane
from replicell.sync.backplane.snapshots import save_snapshot
from replicell.sync.limits import Limits
from replicell.sync.server import SyncServer
from tests.sync.backplane.conftest import QUICK_LINK, MakeBackplane, OpenNode
from tests.sync.backplane.node_sites import journaled
from tests.sync.conftest import OpenClient, OpenDatabase
from tests.sync.support import PATIENCE, eventually, has_rows, put, rows

CHECKING_LINK = LinkOptions(beacon_interval=0.05, check_interval=0.05)
BIG_MESSAGE = 8 * 1024 * 1024


@pytest.fixture
async def backplane(make_backplane: MakeBackplane, stack: AsyncExitStack) -> AsyncIterator[Backplane]:
    """What the nodes share, as one more node has it."""
    made = make_backplane()
    await made.start()
    yield made
    await made.close()


async def lose_newest(backplane: Backplane, room: str) -> None:
    """Lose the newest entry of a room, as a stream does from which somebody deletes it."""
    log = await backplane.open_room(room)
    sequence = await log.last()
    await log.close()
    if isinstance(backplane, InProcessBackplane):
        backplane.lose(room, sequence)
        return
    assert isinstance(backplane, JetStreamBackplane)
    assert (await backplane.api(f"STREAM.MSG.DELETE.{backplane.stream}", {"seq": sequence}))["success"]


async def test_a_new_node_begins_with_a_snapshot_and_a_late_one_merges_it(
    backplane: Backplane,
    open_node: OpenNode,
    open_database: OpenDatabase,
    open_client: OpenClient,
    tmp_path: Path,
) -> None:
    often = LinkOptions(beacon_interval=0.05, snapshot_jitter=0.0, snapshot_bytes=1, catch_up_timeout=20.0)
    one, two = [await open_node(name, link_options=often) for name in "12"]
    a, late = await open_database("a"), await open_database("late")
    sync = await open_client(a, f"{one.url}/room")
    sync_late = await open_client(late, f"{two.url}/room")
    await put(late, "late", "before it went")
    await sync_late.wait_until_synced(PATIENCE)
    await eventually(a, lambda: has_rows(a, 1))
    port = two.port
    await two.close()
    await put(late, "offline", "meanwhile")
    log = await backplane.open_room("room")
    edits = 0
    # The entries must outweigh the file before a snapshot is worth while.
    while not await log.snapshot_position():
        await put(a, "same row", "x" * 10_000 + str(edits))
        await sync.wait_until_synced(PATIENCE)
        edits += 1
        assert edits < 500
    await log.close()
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


class DamagedAtFirst(InProcessBackplane):
    """Gives snapshots that cannot be read, so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    async def open_room(self, name: str) -> RoomLog:  # type: ignore[override]  # the class of logs is private
        log = await super().open_room(name)
        load = log.load_snapshot

        async def load_snapshot(target: Path, arrived: Callable[[], None] | None = None) -> int | None:
            if self.times:
                self.times -= 1
                raise BackplaneError("a piece of a snapshot is damaged")
            return await load(target, arrived)

        log.load_snapshot = load_snapshot  # type: ignore[method-assign]  # only that is another one
        return log


async def test_a_snapshot_that_cannot_be_read_is_told_in_a_line_and_asked_for_again(
    stack: AsyncExitStack,
    open_database: OpenDatabase,
    open_client: OpenClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(link, "_RETRY_SECONDS", 0.01)
    # Once in place of the new node's file, twice when it is merged.
    hub = DamagedAtFirst(times=3)
    log = await hub.open_room("room")
    original = await journaled(await open_database("room of another node"))
    assert await save_snapshot(log, original)
    node = await stack.enter_async_context(
        SyncServer(tmp_path / "node", port=0, backplane=hub, link_options=QUICK_LINK)
    )
    a = await open_database("a", with_table=False)
    await open_client(a, f"{node.url}/room")
    await eventually(a, lambda: has_rows(a, 1))
    told = [record for record in caplog.records if "damaged" in record.getMessage()]
    assert len(told) == 3
    assert all(record.exc_info is None for record in told)


@pytest.mark.parametrize("later", [{"end": "after the hole"}, {}], ids=["in the middle", "at the end"])
async def test_nodes_find_out_that_they_differ_and_fetch_from_each_other_what_they_lack(
    later: dict[str, str],
    backplane: Backplane,
    open_node: OpenNode,
    open_database: OpenDatabase,
    open_client: OpenClient,
) -> None:
    one, two = [await open_node(name, link_options=CHECKING_LINK) for name in "12"]
    a, b = await open_database("a"), await open_database("b")
    sync_a = await open_client(a, f"{one.url}/room")
    sync_b = await open_client(b, f"{two.url}/room")
    await put(a, "0", "everywhere")
    await eventually(b, lambda: has_rows(b, 1))
    await two.close()
    for number in range(1, 30):
        await put(a, str(number), "purged by somebody")
    await sync_a.wait_until_synced(PATIENCE)
    await lose_newest(backplane, "room")
    for row_id, text in later.items():
        await put(a, row_id, text)
    await sync_a.wait_until_synced(PATIENCE)

    two = await open_node("2", link_options=CHECKING_LINK)
    c = await open_database("c", with_table=False)
    await open_client(c, f"{two.url}/room")
    await eventually(c, lambda: has_rows(c, 30 + len(later)))
    await sync_b.close()


async def test_a_purged_value_that_is_bigger_than_an_entry_is_repaired_at_the_nodes_and_in_the_log(
    backplane: Backplane, open_node: OpenNode, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    limits = Limits(message_bytes=BIG_MESSAGE)
    one, two = [await open_node(name, link_options=CHECKING_LINK, limits=limits) for name in "12"]
    a, b, c, d = [await open_database(name) for name in "abcd"]
    sync_a = await open_client(a, f"{one.url}/room", max_message_size=BIG_MESSAGE)
    sync_b = await open_client(b, f"{two.url}/room", max_message_size=BIG_MESSAGE)
    await put(a, "0", "everywhere")
    await eventually(b, lambda: has_rows(b, 1))
    await two.close()
    big = "0123456789" * 250_000
    await put(a, "big", big)
    await sync_a.wait_until_synced(PATIENCE)
    await lose_newest(backplane, "room")
    await put(a, "end", "after the hole")
    await sync_a.wait_until_synced(PATIENCE)

    two = await open_node("2", link_options=CHECKING_LINK, limits=limits)
    await open_client(c, f"{two.url}/room", max_message_size=BIG_MESSAGE)
    await eventually(c, lambda: has_rows(c, 3))
    assert (await rows(c))["big"] == big

    # Who comes later finds it in the log, without anybody to compare with.
    await one.close()
    await two.close()
    three = await open_node("3", limits=limits)
    sync_d = await open_client(d, f"{three.url}/room", max_message_size=BIG_MESSAGE)
    await sync_d.wait_until_synced(PATIENCE)
    assert await rows(d) == await rows(a)
    await sync_b.close()
