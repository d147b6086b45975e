"""Servers that share a backplane share their rooms: what every backplane must bring about."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import apsw
from websockets.asyncio.client import connect

from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.schema import TableSchema, create_table
from replicell.persisters.crsqlite.versions import latest_version
from replicell.sync.client import SyncClient
from replicell.sync.ledger import server_cursors
from replicell.sync.limits import Limits
from replicell.sync.messages import PROTOCOL, Hello, Welcome, decode, encode
from tests.sync.backplane.conftest import OpenNode
from tests.sync.conftest import QUICK, OpenClient, OpenDatabase
from tests.sync.support import PATIENCE, eventually, has_rows, put, rows

_NEWEST_STEP = (
    "SELECT version, max(position) FROM replicell_log_marks WHERE site_id = ?"
    " GROUP BY version ORDER BY version DESC LIMIT 1"
)


async def test_a_rooms_clients_may_sit_on_any_node(
    open_node: OpenNode, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    one, two = await open_node("1"), await open_node("2")
    a, b = await open_database("a"), await open_database("b", with_table=False)
    sync_a = await open_client(a, f"{one.url}/room")
    await open_client(b, f"{two.url}/room")

    await put(a, "1", "from a")
    await eventually(b, lambda: has_rows(b, 1))
    await put(b, "2", "from b")
    await eventually(a, lambda: has_rows(a, 2))

    await sync_a.wait_until_synced(PATIENCE)
    assert await rows(a) == await rows(b) == {"1": "from a", "2": "from b"}


async def test_rooms_do_not_mix(
    open_node: OpenNode, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    one, two = await open_node("1"), await open_node("2")
    a, b, c = [await open_database(name) for name in "abc"]
    await open_client(a, f"{one.url}/first")
    await open_client(b, f"{two.url}/first")
    sync_c = await open_client(c, f"{two.url}/Second.room")
    await put(a, "1", "x")
    await eventually(b, lambda: has_rows(b, 1))
    await sync_c.wait_until_synced(PATIENCE)
    assert await rows(c) == {}


async def test_a_node_that_comes_late_has_all_that_was_ever_acknowledged(
    open_node: OpenNode, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    one = await open_node("1")
    a = await open_database("a")
    sync = await open_client(a, f"{one.url}/room")
    for number in range(50):
        await put(a, f"{number:02}", number)
    await sync.wait_until_synced(PATIENCE)
    await one.close()

    two = await open_node("2")
    b = await open_database("b", with_table=False)
    await (await open_client(b, f"{two.url}/room")).wait_until_synced(PATIENCE)
    assert await rows(b) == await rows(a)
    assert len(await rows(b)) == 50


async def test_a_room_that_was_closed_goes_on_where_it_was(
    open_node: OpenNode, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    one, two = await open_node("1"), await open_node("2")
    a, b = await open_database("a"), await open_database("b")
    sync_a = await open_client(a, f"{one.url}/room")
    await (await open_client(b, f"{two.url}/room")).wait_until_synced(PATIENCE)
    await two.close()
    for number in range(20):
        await put(a, str(number), number)
    await sync_a.wait_until_synced(PATIENCE)

    two = await open_node("2")
    c = await open_database("c", with_table=False)
    await (await open_client(c, f"{two.url}/room")).wait_until_synced(PATIENCE)
    assert len(await rows(c)) == 20


async def test_a_transaction_stays_whole_across_nodes(
    open_node: OpenNode, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    one, two = await open_node("1"), await open_node("2")
    a, b = await open_database("a"), await open_database("b", with_table=False)
    sync_a = await open_client(a, f"{one.url}/room")
    await open_client(b, f"{two.url}/room")
    counts: set[int] = set()

    async def seen() -> bool:
        tables = await b.execute("SELECT name FROM sqlite_master WHERE name = 'todo'")
        count = (await b.execute("SELECT count(*) FROM todo"))[0][0] if tables else 0
        counts.add(int(str(count)))
        return count == 9000

    def fill(conn: apsw.Connection, first: int) -> None:
        conn.executemany(
            "INSERT INTO todo(id, text) VALUES (?, ?)",
            ((f"{n:05}", "x" * 300) for n in range(first, first + 3000)),
        )

    for first in (0, 3000, 6000):
        await a.write(fill, first)
    await eventually(b, seen)
    await sync_a.wait_until_synced(PATIENCE)
    assert counts <= {0, 3000, 6000, 9000}


async def test_a_value_that_is_bigger_than_an_entry_arrives(
    open_node: OpenNode, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    limits = Limits(message_bytes=8 * 1024 * 1024)
    one, two = await open_node("1", limits=limits), await open_node("2", limits=limits)
    a, b = await open_database("a"), await open_database("b")
    sync_a = await open_client(a, f"{one.url}/room", max_message_size=8 * 1024 * 1024)
    await open_client(b, f"{two.url}/room", max_message_size=8 * 1024 * 1024)
    big = "0123456789" * 150_000
    for key in "abc":
        await put(a, key, big)
    await eventually(b, lambda: has_rows(b, 3))
    await sync_a.wait_until_synced(PATIENCE)
    assert await rows(b) == dict.fromkeys("abc", big)


async def test_edits_of_the_same_row_at_several_nodes_end_up_the_same_everywhere(
    open_node: OpenNode, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    nodes = [await open_node(name) for name in "123"]
    databases = [await open_database(name) for name in "abc"]
    syncs = [await open_client(db, f"{node.url}/room") for db, node in zip(databases, nodes, strict=True)]
    for number in range(30):
        for name, db in zip("abc", databases, strict=True):
            await put(db, str(number % 5), f"{name}{number}")
            if number % 7 == 0:
                await db.execute("DELETE FROM todo WHERE id = ?", (str((number + 1) % 5),))
    await put(databases[0], "end", "of a")
    await put(databases[1], "end too", "of b")
    await put(databases[2], "end as well", "of c")

    async def all_are_there() -> bool:
        found = [await rows(db) for db in databases]
        return all(len(one) >= 3 and one == found[0] for one in found)

    for _ in range(2):
        for sync in syncs:
            await sync.wait_until_synced(PATIENCE)
    await eventually_of_all(databases, all_are_there)


async def test_tables_and_columns_travel_between_nodes(
    open_node: OpenNode, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    one, two = await open_node("1"), await open_node("2")
    a, b = await open_database("a"), await open_database("b", with_table=False)
    await open_client(a, f"{one.url}/room")
    await open_client(b, f"{two.url}/room")
    await a.run(create_table, TableSchema("note", ("id",), ("words",)))
    await put(a, "1", "x")
    await a.execute("INSERT INTO note(id, words) VALUES ('n', 'in a new table')")

    async def has_note() -> bool:
        tables = await b.execute("SELECT name FROM sqlite_master WHERE name = 'note'")
        return bool(tables) and await b.execute("SELECT words FROM note") == [("in a new table",)]

    await eventually(b, has_note)


async def test_what_waits_for_a_table_at_one_node_waits_at_the_others_too(
    open_node: OpenNode, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    one, two = await open_node("1", schema_policy="strict"), await open_node("2", schema_policy="strict")
    a, b = await open_database("a"), await open_database("b")
    sync_a = await open_client(a, f"{one.url}/room")
    sync_b = await open_client(b, f"{two.url}/room")
    await put(a, "1", "x")
    await sync_a.wait_until_synced(PATIENCE)
    await put(b, "2", "y")
    await sync_b.wait_until_synced(PATIENCE)
    for name in "12":
        async with CrSqliteDatabase(tmp_path / f"node-{name}" / "room.db") as db:

            async def both_wait(db: CrSqliteDatabase = db) -> bool:
                return await db.execute("SELECT count(DISTINCT pk) FROM replicell_parked") == [(2,)]

            await eventually(db, both_wait)


async def test_a_node_with_rooms_of_its_own_brings_them_into_the_cluster(
    open_node: OpenNode, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    alone = await open_node("1", backplane=None)
    a = await open_database("a")
    sync = await open_client(a, f"{alone.url}/room")
    await put(a, "1", "from before")
    await sync.wait_until_synced(PATIENCE)
    await sync.close()
    await alone.close()

    one, two = await open_node("1"), await open_node("2")
    b, c = await open_database("b"), await open_database("c", with_table=False)
    await (await open_client(b, f"{one.url}/room")).wait_until_synced(PATIENCE)
    await open_client(c, f"{two.url}/room")
    await eventually(c, lambda: has_rows(c, 1))


async def test_what_another_program_writes_into_a_rooms_file_reaches_the_other_nodes(
    open_node: OpenNode, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    one, two = await open_node("1"), await open_node("2")
    a, b = await open_database("a"), await open_database("b")
    await (await open_client(a, f"{one.url}/room")).wait_until_synced(PATIENCE)
    await open_client(b, f"{two.url}/room")
    async with CrSqliteDatabase(tmp_path / "node-1" / "room.db") as room:
        await put(room, "1", "written on the server")
        await eventually(b, lambda: has_rows(b, 1))


async def test_a_client_that_changes_nodes_loses_nothing_and_repeats_next_to_nothing(
    open_node: OpenNode, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    one, two = await open_node("1"), await open_node("2")
    a, other = await open_database("a"), await open_database("other")
    await open_client(other, f"{two.url}/room")
    async with SyncClient(a, f"{one.url}/room", backoff=QUICK) as sync:
        for number in range(200):
            await put(a, f"a{number:03}", number)
            await put(other, f"o{number:03}", number)
        await sync.wait_until_synced(PATIENCE)
        await eventually(a, lambda: has_rows(a, 400))
        await eventually(other, lambda: has_rows(other, 400))
    await two_knows_of(tmp_path, a.site_id)

    await put(a, "offline", 1)
    welcome = await greeting(a, f"{two.url}/room")
    assert welcome.known is not None
    assert welcome.known.version >= 200
    assert welcome.since >= welcome.version - 20
    async with SyncClient(a, f"{two.url}/room", backoff=QUICK) as sync:
        await sync.wait_until_synced(PATIENCE)
        await eventually(other, lambda: has_rows(other, 401))
    assert await rows(a) == await rows(other)


async def greeting(db: CrSqliteDatabase, url: str) -> Welcome:
    """What a server answers a client that greets it with the cursors it has."""
    cursors = await db.read(server_cursors, 16)
    async with connect(url) as websocket:
        await websocket.send(encode(Hello(PROTOCOL, db.site_id, cursors, [])))
        welcome = decode(await websocket.recv())
    assert isinstance(welcome, Welcome)
    return welcome


async def two_knows_of(folder: Path, site_id: bytes) -> None:
    """Wait until node 2 has heard how far node 1 is, and has a client, and has noted how far it is itself."""
    async with (
        CrSqliteDatabase(folder / "node-1" / "room.db") as one,
        CrSqliteDatabase(folder / "node-2" / "room.db") as two,
    ):

        async def known() -> bool:
            told = await one.execute(_NEWEST_STEP, (one.site_id,))
            heard = await two.execute(_NEWEST_STEP, (one.site_id,))
            peers = await two.execute("SELECT 1 FROM replicell_peers_elsewhere WHERE site_id = ?", (site_id,))
            noted = await two.execute("SELECT pushed FROM replicell_log")
            return told == heard and bool(peers) and noted == [(await two.read(latest_version),)]

        await eventually(two, known)


async def eventually_of_all(databases: list[CrSqliteDatabase], true: Callable[[], Awaitable[bool]]) -> None:
    """Wait until a condition holds that a change of any of the databases may make true."""
    changed = asyncio.Event()
    subscriptions = [db.on_change(lambda _: changed.set()) for db in databases]
    try:
        async with asyncio.timeout(PATIENCE):
            while not await true():
                await changed.wait()
                changed.clear()
    finally:
        for subscription in subscriptions:
            subscription.cancel()
