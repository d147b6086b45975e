"""A client that was taken for having what the log has lost, because it came from a node that should have it:
it gets it as soon as that node does, in whichever way."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.sync.backplane import InProcessBackplane, LinkOptions
from replicell.sync.client import SyncClient
from replicell.sync.server import SyncServer
from tests.sync.backplane.conftest import OpenNode
from tests.sync.conftest import OpenClient, OpenDatabase
from tests.sync.support import PATIENCE, eventually, has_rows, put, rows

CHECKING = LinkOptions(beacon_interval=0.05, check_interval=0.05)
TRIMMING = LinkOptions(
    beacon_interval=0.05, check_interval=3600.0, snapshot_jitter=0.0, snapshot_bytes=1, catch_up_timeout=20.0
)


@pytest.fixture
def open_node(open_node_at_hub: OpenNode) -> OpenNode:
    return open_node_at_hub


@dataclass
class Scene:
    """Three nodes that do not compare their content. A row was written at node 1; node 3 has it, too. Node 2
    does not, for the log has lost it, and a client that came from there to node 1 does not either.

    Args:
        nodes: The nodes.
        ports: Their ports.
        files: Their databases of the room.
        writer: The client at node 1 that has written the row.
        witness: The client at node 3.
        mover: The client that has gone from node 2 to node 1.
        sync: How they are connected.
    """

    nodes: dict[str, SyncServer]
    ports: dict[str, int]
    files: dict[str, CrSqliteDatabase]
    writer: CrSqliteDatabase
    witness: CrSqliteDatabase
    mover: CrSqliteDatabase
    sync: dict[str, SyncClient]

    def url(self, name: str) -> str:
        """Return where a node has the room."""
        return f"ws://127.0.0.1:{self.ports[name]}/room"


async def has_placed(room: CrSqliteDatabase, other: CrSqliteDatabase, position: int) -> bool:
    """Whether a node knows of another one that it has the log up to a position."""
    sql = "SELECT max(position) FROM replicell_log_marks WHERE site_id = ?"
    return await room.execute(sql, (other.site_id,)) == [(position,)]


@pytest.fixture
async def scene(
    hub: InProcessBackplane,
    open_node: OpenNode,
    open_database: OpenDatabase,
    open_client: OpenClient,
    stack: AsyncExitStack,
    tmp_path: Path,
) -> Scene:
    files = {}
    for name in "123":
        (tmp_path / f"node-{name}").mkdir()
        file = CrSqliteDatabase(tmp_path / f"node-{name}" / "room.db")
        files[name] = await stack.enter_async_context(file)
    nodes = {name: await open_node(name) for name in "123"}
    ports = {name: node.port for name, node in nodes.items()}
    writer, mover, witness = [await open_database(name) for name in ("writer", "mover", "witness")]
    scene = Scene(nodes, ports, files, writer, witness, mover, {})
    for name, db, node in (("writer", writer, "1"), ("mover", mover, "2"), ("witness", witness, "3")):
        scene.sync[name] = await open_client(db, scene.url(node))
    await put(writer, "0", "everywhere")
    for db in (mover, witness):
        await eventually(db, partial(has_rows, db, 1))
    # Node 2 misses an entry that somebody has purged, and does not know it.
    await scene.sync["mover"].close()
    await nodes["2"].close()
    await put(writer, "lost", "purged by somebody")
    await scene.sync["writer"].wait_until_synced(PATIENCE)
    await eventually(witness, lambda: has_rows(witness, 2))
    log = await hub.open_room("room")
    hub.lose("room", await log.last())
    await put(writer, "end", "after the hole")
    await scene.sync["writer"].wait_until_synced(PATIENCE)
    nodes["2"] = await open_node("2", port=ports["2"])
    scene.sync["mover"] = await open_client(mover, scene.url("2"))
    await scene.sync["mover"].wait_until_synced(PATIENCE)
    for name in "13":
        file = scene.files[name]
        await eventually(file, partial(has_placed, file, scene.files["2"], await log.last()))
    await scene.sync["mover"].close()
    scene.sync["mover"] = await open_client(mover, scene.url("1"))
    await scene.sync["mover"].wait_until_synced(PATIENCE)
    assert set(await rows(mover)) == {"0", "end"}
    return scene


@pytest.mark.parametrize("meanwhile", ["stays", "is away", "goes on to a third node"])
async def test_a_client_that_went_to_another_node_before_the_repair_gets_what_it_lacks(
    meanwhile: str,
    scene: Scene,
    open_node: OpenNode,
    open_database: OpenDatabase,
    open_client: OpenClient,
) -> None:
    if meanwhile != "stays":
        await scene.sync["mover"].close()
    for name, node in scene.nodes.items():
        await node.close()
        await open_node(name, link_options=CHECKING, port=scene.ports[name])
    await open_client(await open_database("guest", with_table=False), scene.url("2"))
    await eventually(scene.files["2"], lambda: has_rows(scene.files["2"], 3))
    if meanwhile != "stays":
        await open_client(scene.mover, scene.url("1" if meanwhile == "is away" else "3"))
    await eventually(scene.mover, lambda: has_rows(scene.mover, 3))


async def test_so_does_it_when_a_client_brings_it_to_the_node_that_lacked_it(
    scene: Scene, open_client: OpenClient
) -> None:
    await scene.sync["witness"].close()
    # Node 2 knows how far node 3 had it; under another name it gives everything.
    await scene.witness.reidentify()
    await open_client(scene.witness, scene.url("2"))
    await eventually(scene.files["2"], lambda: has_rows(scene.files["2"], 3))
    await eventually(scene.mover, lambda: has_rows(scene.mover, 3))


async def test_so_does_it_when_the_whole_log_is_lost_and_all_nodes_publish_what_they_have(
    scene: Scene, hub: InProcessBackplane, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    await open_client(await open_database("guest", with_table=False), scene.url("2"))
    # Then only node 1 has it, and nobody will tell that it was missing.
    await scene.sync["witness"].close()
    await scene.nodes["3"].close()
    hub.forget()
    await eventually(scene.files["2"], lambda: has_rows(scene.files["2"], 3))
    await eventually(scene.mover, lambda: has_rows(scene.mover, 3))


async def test_so_does_it_when_the_node_that_lacked_it_merges_a_snapshot(
    scene: Scene,
    hub: InProcessBackplane,
    open_node: OpenNode,
    open_database: OpenDatabase,
    open_client: OpenClient,
) -> None:
    for node in scene.nodes.values():
        await node.close()
    await open_node("1", port=scene.ports["1"], link_options=TRIMMING)
    sync = scene.sync["writer"]
    log = await hub.open_room("room")
    reached, edits = await log.last(), 0
    # The entries must outweigh the file before a snapshot is worth while.
    while await log.snapshot_position() <= reached:
        await put(scene.writer, "end", "x" * 10_000 + str(edits))
        await sync.wait_until_synced(PATIENCE)
        edits += 1
        assert edits < 500
    await eventually(scene.mover, lambda: has_rows(scene.mover, 2))

    await open_node("2", port=scene.ports["2"])
    guest = await open_database("guest", with_table=False)
    await open_client(guest, scene.url("2"))
    await eventually(guest, lambda: has_rows(guest, 3))
    await eventually(scene.mover, lambda: has_rows(scene.mover, 3))
