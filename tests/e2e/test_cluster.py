"""Machines of a cluster fail, one after the other and all at once: nothing that was acknowledged is lost, all
replicas end up the same, and the loss of any one machine stops nobody for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from http import HTTPStatus
from pathlib import Path

import pytest

from replicell.persisters import CrSqliteDatabase
from replicell.sync import SyncTimeoutError
from tests.e2e.cluster import PATIENCE, Cluster, Writer, agree, cluster_in
from tests.sync.support import eventually, put, rows

LONGEST_PAUSE = 10.0

pytestmark = pytest.mark.timeout(150)


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with cluster_in(tmp_path) as started:
        yield started


async def test_a_node_is_killed_and_its_disk_is_lost(cluster: Cluster) -> None:
    gate = await cluster.gateway(0, 1)
    a, sync_a = await cluster.client("a", gate.port)
    b, sync_b = await cluster.client("b", cluster.nodes[1].port)
    writer, other = Writer("a", a, sync_a), Writer("b", b, sync_b)
    await writer.acknowledged_more()
    await other.acknowledged_more()

    await cluster.nodes[0].kill()
    cluster.nodes[0].wipe()
    await writer.acknowledged_more()
    await writer.stop()
    await other.stop()

    c, _ = await cluster.client("c", cluster.nodes[1].port)
    everything = {*writer.acknowledged, *other.acknowledged}
    assert (await agree(a, b, c, holding=lambda: everything)).keys() == everything
    assert writer.longest_pause < LONGEST_PAUSE
    assert other.longest_pause < LONGEST_PAUSE

    await cluster.nodes[0].start()
    d, _ = await cluster.client("d", cluster.nodes[0].port)
    await agree(a, d, holding=lambda: everything)


async def test_what_a_killed_node_had_acknowledged_is_at_the_others_even_if_its_clients_are_gone_too(
    cluster: Cluster,
) -> None:
    a, sync = await cluster.client("a", cluster.nodes[0].port)
    writer = Writer("a", a, sync)
    await writer.acknowledged_more(100)
    await cluster.nodes[0].kill()
    await writer.sync.close()
    with pytest.raises(Exception, match="closed"):
        await writer.stop()

    b, sync_b = await cluster.client("b", cluster.nodes[1].port)
    await sync_b.wait_until_synced(PATIENCE)
    assert set(writer.acknowledged) <= (await rows(b)).keys()
    assert len(writer.acknowledged) >= 100


async def test_a_node_that_stands_still_is_left_by_its_clients_and_catches_up_later(cluster: Cluster) -> None:
    gate = await cluster.gateway(0, 1)
    a, sync_a = await cluster.client("a", gate.port)
    writer = Writer("a", a, sync_a)
    await writer.acknowledged_more()
    cluster.nodes[0].freeze()
    await writer.acknowledged_more()
    cluster.nodes[0].thaw()
    await writer.acknowledged_more()
    await writer.stop()

    b, _ = await cluster.client("b", cluster.nodes[0].port)
    await agree(a, b, holding=lambda: set(writer.acknowledged))
    assert writer.longest_pause < LONGEST_PAUSE


async def test_each_of_the_nats_servers_is_killed_and_the_streams_leader_is_frozen(cluster: Cluster) -> None:
    writers = await writers_at_both_nodes(cluster)

    leader = await cluster.nats.leader()
    follower = (leader + 1) % 3
    for victim in (follower, leader):
        cluster.nats.kill(victim)
        for writer in writers:
            await writer.acknowledged_more()
        cluster.nats.start(victim)
        for writer in writers:
            await writer.acknowledged_more()

    leader = await cluster.nats.leader()
    cluster.nats.freeze(leader)
    for writer in writers:
        await writer.acknowledged_more()
    cluster.nats.thaw(leader)
    for writer in writers:
        await writer.acknowledged_more()
        await writer.stop()

    await agree_with(writers)
    assert max(writer.longest_pause for writer in writers) < LONGEST_PAUSE


async def test_all_nats_servers_are_killed_while_clients_write_and_come_back(cluster: Cluster) -> None:
    writers = await writers_at_both_nodes(cluster)
    a, b = [writer.db for writer in writers]
    near, _ = await cluster.client("near", cluster.nodes[0].port)

    for number in range(3):
        cluster.nats.kill(number)
    await put(a, "meanwhile", "a")
    await put(b, "meanwhile too", "b")
    for writer in writers:
        with pytest.raises(SyncTimeoutError, match="syncing"):
            await writer.sync.wait_until_synced(1)
    acknowledged = [len(writer.acknowledged) for writer in writers]
    # Who is at the same node has it at once; the other node's clients have to wait.
    await eventually(near, partial(holds, near, {"meanwhile", writers[0].under_way}))
    assert "meanwhile" not in await rows(b)
    assert [len(writer.acknowledged) for writer in writers] == acknowledged

    cluster.nats.start()
    for writer in writers:
        await writer.acknowledged_more()
        await writer.stop()
    everything = {key for writer in writers for key in writer.acknowledged}
    await agree(a, b, near, holding=lambda: everything | {"meanwhile", "meanwhile too"})


async def test_a_node_is_cut_off_from_nats_while_its_clients_go_on(cluster: Cluster) -> None:
    a, sync_a = await cluster.client("a", cluster.nodes[0].port)
    b, sync_b = await cluster.client("b", cluster.nodes[1].port)
    writer = Writer("b", b, sync_b)
    await writer.acknowledged_more()
    for way in cluster.ways[0]:
        way.cut()

    for number in range(50):
        await put(a, f"cut off {number}", number)
    with pytest.raises(SyncTimeoutError, match="syncing"):
        await sync_a.wait_until_synced(1)
    await writer.acknowledged_more()
    await cluster.nodes[0].kill()
    await cluster.nodes[0].start()

    for way in cluster.ways[0]:
        way.heal()
    await sync_a.wait_until_synced(PATIENCE)
    await writer.stop()
    mine = {f"cut off {number}" for number in range(50)}
    await agree(a, b, holding=lambda: mine | set(writer.acknowledged))
    assert writer.longest_pause < LONGEST_PAUSE


async def test_the_streams_leader_is_cut_off_from_the_other_nats_servers_but_not_from_the_nodes(
    cluster: Cluster,
) -> None:
    writers = await writers_at_both_nodes(cluster)
    leader = await cluster.nats.leader()
    leave_only(cluster, node=0, server=leader)
    await writers[0].acknowledged_more()
    for way in cluster.ways[0]:
        way.heal()

    # The first node is connected to nobody else, and finds out that there is nothing to be had any more.
    cluster.nats.part(leader)
    for writer in writers:
        await writer.acknowledged_more()
    assert await cluster.nats.routes(leader) == 0
    cluster.nats.unite()
    for writer in writers:
        await writer.acknowledged_more()
        await writer.stop()
    await agree_with(writers)
    assert max(writer.longest_pause for writer in writers) < LONGEST_PAUSE


async def test_a_node_and_one_nats_server_are_cut_off_together(cluster: Cluster) -> None:
    a, sync_a = await cluster.client("a", cluster.nodes[0].port)
    near, _ = await cluster.client("near", cluster.nodes[0].port)
    b, sync_b = await cluster.client("b", cluster.nodes[1].port)
    writer = Writer("b", b, sync_b)
    await put(a, "before", "a")
    await sync_a.wait_until_synced(PATIENCE)
    await writer.acknowledged_more()
    alone = (await cluster.nats.leader() + 1) % 3
    leave_only(cluster, node=0, server=alone)
    leave_out(cluster, node=1, server=alone)
    cluster.nats.part(alone)

    mine = {f"cut off {number}" for number in range(30)}
    for key in mine:
        await put(a, key, "a")
    await eventually(near, partial(holds, near, mine))
    with pytest.raises(SyncTimeoutError, match="syncing"):
        await sync_a.wait_until_synced(1)
    await writer.acknowledged_more()
    assert await cluster.nats.routes(alone) == 0
    assert not mine & (await rows(b)).keys()
    # Those who come now are better sent to the other node.
    assert "JetStream has acknowledged nothing" in await cluster.becomes_ready(0, ready=False)
    assert await cluster.readiness(1) == (HTTPStatus.OK, "ready\n")

    cluster.nats.unite()
    await sync_a.wait_until_synced(PATIENCE)
    await writer.acknowledged_more()
    await writer.stop()
    await agree(a, b, near, holding=lambda: {"before", *mine, *writer.acknowledged})
    assert writer.longest_pause < LONGEST_PAUSE
    await cluster.becomes_ready(0, ready=True)


def leave_only(cluster: Cluster, node: int, server: int) -> None:
    """Let a node reach one NATS server only."""
    for number, way in enumerate(cluster.ways[node]):
        if number != server:
            way.cut()


def leave_out(cluster: Cluster, node: int, server: int) -> None:
    """Let a node reach all NATS servers but one."""
    cluster.ways[node][server].cut()


async def writers_at_both_nodes(cluster: Cluster) -> list[Writer]:
    """Let a client write at each node, and wait until it goes well."""
    writers = []
    for name, node in zip("ab", cluster.nodes, strict=True):
        writers.append(Writer(name, *await cluster.client(name, node.port)))
    for writer in writers:
        await writer.acknowledged_more()
    return writers


async def agree_with(writers: list[Writer]) -> None:
    """Wait until the writers' databases hold the same, and all that was acknowledged."""
    everything = {key for writer in writers for key in writer.acknowledged}
    await agree(*(writer.db for writer in writers), holding=lambda: everything)


async def holds(db: CrSqliteDatabase, keys: set[str]) -> bool:
    return keys <= (await rows(db)).keys()


async def test_the_rooms_files_of_all_nodes_hold_the_same_in_the_end(cluster: Cluster) -> None:
    clients = [
        await cluster.client(name, cluster.nodes[number % 2].port) for number, name in enumerate("abcd")
    ]
    writers = [Writer(name, db, sync) for name, (db, sync) in zip("abcd", clients, strict=True)]
    for writer in writers:
        await writer.acknowledged_more(10)
    await asyncio.gather(*(writer.stop() for writer in writers))
    await agree(
        *(db for db, _ in clients), holding=lambda: {key for one in writers for key in one.acknowledged}
    )
    for node in cluster.nodes:
        await node.stop()
    contents = []
    for node in cluster.nodes:
        async with CrSqliteDatabase(node.folder / "room.db") as room:
            contents.append(await rows(room))
    assert contents[0] == contents[1] == await rows(clients[0][0])
