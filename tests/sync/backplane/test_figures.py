"""What a node tells of the cluster at ``/metrics``."""

from __future__ import annotations

import asyncio

import pytest

from replicell.sync.backplane import InProcessBackplane, LinkOptions
from replicell.sync.server import SyncServer
from tests.sync.backplane.conftest import OpenNode
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, eventually, has_rows, put
from tests.sync.test_pages import figures

CONNECTED = ("replicell_backplane_connected",)
WAITING = ("replicell_backplane_waiting_seconds_max",)
REPAIRS = ("replicell_backplane_repairs_total",)
CHECKING_LINK = LinkOptions(beacon_interval=0.05, check_interval=0.05)


@pytest.fixture
def open_node(open_node_at_hub: OpenNode) -> OpenNode:
    return open_node_at_hub


async def becomes_well(node: SyncServer) -> None:
    """Wait until a node can be reached and everything is acknowledged."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await figures(node)
            if (found[CONNECTED], found[WAITING]) == (1, 0):
                return


async def test_they_tell_that_acknowledgements_stand_still_and_for_how_long(
    hub: InProcessBackplane, open_node: OpenNode, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    node = await open_node("1")
    a, near = await open_database("a"), await open_database("near")
    sync = await open_client(a, f"{node.url}/room")
    await open_client(near, f"{node.url}/room")
    await put(a, "1", "x")
    await sync.wait_until_synced(PATIENCE)
    await becomes_well(node)
    assert (await figures(node))[REPAIRS] == 0

    hub.cut()
    await put(a, "2", "x")
    await eventually(near, lambda: has_rows(near, 2))
    first, second = await figures(node), await figures(node)
    assert first[CONNECTED] == first["replicell_ready",] == 0
    assert 0 < first[WAITING] < second[WAITING] < PATIENCE
    # The oldest counts: what comes later does not make it younger.
    await put(a, "3", "x")
    await eventually(near, lambda: has_rows(near, 3))
    assert second[WAITING] < (await figures(node))[WAITING]

    hub.heal()
    await sync.wait_until_synced(PATIENCE)
    await becomes_well(node)


async def test_they_tell_that_nodes_were_found_to_differ(
    hub: InProcessBackplane, open_node: OpenNode, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    one, two = [await open_node(name, link_options=CHECKING_LINK) for name in "12"]
    a, b = await open_database("a"), await open_database("b")
    sync_a = await open_client(a, f"{one.url}/room")
    await open_client(b, f"{two.url}/room")
    await put(a, "0", "everywhere")
    await eventually(b, lambda: has_rows(b, 1))
    await two.close()
    await put(a, "1", "purged by somebody")
    await sync_a.wait_until_synced(PATIENCE)
    hub.lose("room", await (await hub.open_room("room")).last())
    two = await open_node("2", link_options=CHECKING_LINK)
    c = await open_database("c", with_table=False)
    await open_client(c, f"{two.url}/room")
    await eventually(c, lambda: has_rows(c, 2))
    assert (await figures(two))[REPAIRS] >= 1


async def test_a_server_that_is_alone_tells_nothing_of_a_cluster(open_server: OpenServer) -> None:
    assert not [key for key in await figures(await open_server()) if "backplane" in key[0]]
