"""Everything that can go wrong between replicas and a server, with real sockets, processes and files."""

from __future__ import annotations

import asyncio
import shutil
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
import pytest

from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.schema import TableSchema, add_columns, create_table
from replicell.sync.actions import SessionOptions
from replicell.sync.client import SyncClient
from replicell.sync.limits import Limits
from replicell.sync.status import SyncStatus
from tests.sync.conftest import QUICK, OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, TODO, eventually, has_rows, put, rows, synced


def room_file(folder: Path) -> CrSqliteDatabase:
    """The database of the room that the tests use, to be opened where no server runs."""
    return CrSqliteDatabase(folder / "rooms" / "room.db")


async def make_file_with_a_past(path: Path, url: str) -> None:
    """Leave a file whose one row the server has."""
    async with CrSqliteDatabase(path) as db:
        await db.run(create_table, TODO)
        async with SyncClient(db, url) as sync:
            await put(db, "1", "common past")
            await synced(sync)


@asynccontextmanager
async def server_process(data_dir: Path, port: int = 0) -> AsyncIterator[tuple[Process, str]]:
    """Run ``replicell server`` and give its process and address."""
    command = [sys.executable, "-m", "replicell", "server", "--data-dir", str(data_dir), "--port", str(port)]
    process = await asyncio.create_subprocess_exec(*command, "--log-level", "error", stdout=PIPE)
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            line = (await process.stdout.readline()).decode()
        assert line.startswith("listening on ws://")
        yield process, line.split()[-1]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_server_killed_in_mid_stream_loses_nothing_that_was_acknowledged(
    open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    a = await open_database("a")
    async with server_process(tmp_path / "rooms") as (process, url):
        port = int(url.rpartition(":")[2])
        sync = await open_client(a, f"{url}/room")
        await synced(sync)
        for number in range(100):
            await put(a, f"{number:03}", number)
        await synced(sync)
        acknowledged = await rows(a)
        for number in range(100, 600):
            await put(a, f"{number:03}", number)
            if number == 400:
                process.kill()
                await process.wait()

    async with room_file(tmp_path) as room:
        kept = await rows(room)
    assert acknowledged.items() <= kept.items()

    async with server_process(tmp_path / "rooms", port):
        b = await open_database("b", with_table=False)
        sync_b = await open_client(b, f"ws://127.0.0.1:{port}/room")
        await synced(sync, sync_b)
        assert await rows(b) == await rows(a)
        assert len(await rows(b)) == 600


async def test_a_server_process_ends_in_order_on_sigterm(
    open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    a = await open_database("a")
    async with server_process(tmp_path / "rooms") as (process, url):
        sync = await open_client(a, f"{url}/room")
        await put(a, "1", "x")
        await synced(sync)

        process.terminate()

        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0
    async with room_file(tmp_path) as room:
        assert await rows(room) == {"1": "x"}


async def test_a_wiped_server_is_filled_again_by_its_clients(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    server = await open_server()
    port, url = server.port, f"{server.url}/room"
    a, b, c = [await open_database(name) for name in "abc"]
    syncs = [await open_client(db, url) for db in (a, b, c)]
    for number, db in enumerate((a, b, c)):
        await put(db, str(number), f"by {number}")
    await synced(*syncs, *syncs)

    await syncs[2].close()
    await server.close()
    shutil.rmtree(tmp_path / "rooms")
    await open_server(port=port)
    await synced(*syncs[:2])

    newcomer = await open_database("d")
    await synced(await open_client(newcomer, url))
    assert await rows(newcomer) == {"0": "by 0", "1": "by 1", "2": "by 2"}


async def test_a_server_restored_from_a_backup_gets_back_what_its_clients_still_have(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    server = await open_server()
    port, url = server.port, f"{server.url}/room"
    a, b = await open_database("a"), await open_database("b")
    sync_a, sync_b = await open_client(a, url), await open_client(b, url)
    await put(a, "1", "in the backup")
    await synced(sync_a)
    await server.close()
    shutil.copytree(tmp_path / "rooms", tmp_path / "backup")

    server = await open_server(port=port)
    await put(a, "2", "after the backup")
    await synced(sync_a, sync_b)
    await sync_a.close()
    await server.close()
    shutil.rmtree(tmp_path / "rooms")
    shutil.copytree(tmp_path / "backup", tmp_path / "rooms")
    await open_server(port=port)

    # Only b is left, and it has the lost row from the server itself.
    await synced(sync_b)
    newcomer = await open_database("c")
    await synced(await open_client(newcomer, url))
    assert await rows(newcomer) == {"1": "in the backup", "2": "after the backup"}
    assert await b.execute("SELECT push_all_until FROM replicell_servers") == [(0,)]


async def test_a_client_restored_from_an_old_copy_of_its_file_gets_and_gives_everything(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    server = await open_server()
    url = f"{server.url}/room"
    await make_file_with_a_past(tmp_path / "a.db", url)
    shutil.copy(tmp_path / "a.db", tmp_path / "copy.db")
    async with CrSqliteDatabase(tmp_path / "a.db") as a, SyncClient(a, url) as sync:
        first_id = a.site_id
        await put(a, "2", "lost at the client")
        await synced(sync)

    shutil.copy(tmp_path / "copy.db", tmp_path / "a.db")
    async with CrSqliteDatabase(tmp_path / "a.db") as a:
        assert a.site_id == first_id
        await put(a, "3", "written before it found out")
        async with SyncClient(a, url, backoff=QUICK) as sync:
            await synced(sync)
            assert a.site_id != first_id
            everything = {"1": "common past", "2": "lost at the client", "3": "written before it found out"}
            assert await rows(a) == everything

    newcomer = await open_database("b")
    await synced(await open_client(newcomer, url))
    assert await rows(newcomer) == everything


async def test_of_a_file_copied_to_a_second_client_one_gets_a_new_site_id_and_nothing_is_skipped(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    server = await open_server()
    url = f"{server.url}/room"
    await make_file_with_a_past(tmp_path / "a.db", url)
    shutil.copy(tmp_path / "a.db", tmp_path / "b.db")

    a, b = await open_database("a"), await open_database("b")
    assert a.site_id == b.site_id
    await put(a, "a", "only a")
    await put(b, "b", "only b")
    sync_a, sync_b = await open_client(a, url), await open_client(b, url)
    await eventually(a, lambda: has_rows(a, 3))
    await eventually(b, lambda: has_rows(b, 3))
    await synced(sync_a, sync_b)

    assert a.site_id != b.site_id
    assert await rows(a) == await rows(b) == {"1": "common past", "a": "only a", "b": "only b"}


async def test_copies_that_are_connected_at_the_same_time_find_each_other_out(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    server = await open_server()
    url = f"{server.url}/room"
    a = await open_database("a")
    sync_a = await open_client(a, url)
    await put(a, "1", "common past")
    await synced(sync_a)
    await a.execute("VACUUM INTO ?", (str(tmp_path / "b.db"),))

    b = await open_database("b")
    sync_b = await open_client(b, url)
    await put(b, "b", "only b")
    await put(a, "a", "only a")
    await eventually(a, lambda: has_rows(a, 3))
    await eventually(b, lambda: has_rows(b, 3))
    await synced(sync_a, sync_b)

    assert a.site_id != b.site_id
    assert await rows(a) == await rows(b)


async def test_a_copy_of_the_servers_file_is_a_good_start_for_a_client(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    server = await open_server()
    url = f"{server.url}/room"
    a = await open_database("a")
    sync_a = await open_client(a, url)
    await put(a, "1", "x")
    await synced(sync_a)
    async with room_file(tmp_path) as room:
        await room.execute("VACUUM INTO ?", (str(tmp_path / "b.db"),))
        room_id = room.site_id

    b = await open_database("b")
    sync_b = await open_client(b, url)
    await put(b, "2", "y")
    await synced(sync_b, sync_a)

    assert b.site_id != room_id
    assert await rows(a) == await rows(b) == {"1": "x", "2": "y"}


async def test_a_big_transaction_stays_whole(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server()
    a, b = await open_database("a"), await open_database("b")
    sync_a = await open_client(a, f"{server.url}/room")
    sync_b = await open_client(b, f"{server.url}/room")
    await synced(sync_b)
    reads: list[asyncio.Future[int]] = []
    b.on_change(lambda _: reads.append(b.read(_count)))

    await a.write(_fill)
    await synced(sync_a, sync_b)

    seen = [await read for read in reads]
    assert set(seen) <= {0, 5000}
    assert seen[-1] == 5000


def _fill(conn: apsw.Connection) -> None:
    conn.executemany("INSERT INTO todo VALUES (?, ?, ?)", [(str(n), f"text {n}", n) for n in range(5000)])


def _count(conn: apsw.Connection) -> int:
    found: int = conn.execute("SELECT count(*) FROM todo").get
    return found


async def test_a_transaction_that_is_too_big_to_hold_back_arrives_all_the_same(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    options = SessionOptions(transaction_bytes=50_000, part_changes=200)
    server = await open_server(options=options)
    a, b = await open_database("a"), await open_database("b")
    await a.write(_fill)
    sync_a = await open_client(a, f"{server.url}/room", options=options)
    sync_b = await open_client(b, f"{server.url}/room", options=options)
    await synced(sync_a, sync_b)

    assert await rows(a) == await rows(b)


async def test_a_strict_server_parks_what_it_does_not_know_and_the_rest_goes_on(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    (tmp_path / "rooms").mkdir()
    async with room_file(tmp_path) as room:
        await room.run(create_table, TableSchema("todo", ("id",), ("text",)))
    server = await open_server(schema_policy="strict")
    a, b = await open_database("a"), await open_database("b", with_table=False)
    await a.run(create_table, TableSchema("tag", ("id",), ("name",)))
    sync_a = await open_client(a, f"{server.url}/room")
    sync_b = await open_client(b, f"{server.url}/room")
    await a.execute("INSERT INTO todo VALUES ('1', 'x', 5); INSERT INTO tag VALUES ('t', 'y')")
    await put(a, "2", "later")
    await synced(sync_a, sync_b)

    assert await rows(b) == {"1": "x", "2": "later"}
    assert {(change.table, change.cid) for change in sync_a.refused_changes} >= {
        ("todo", "n"),
        ("tag", "name"),
    }
    assert "strict" in sync_a.refused_changes[0].reason or "here" in sync_a.refused_changes[0].reason

    async with room_file(tmp_path) as room:
        await room.run(add_columns, "todo", ["n"])
        await room.run(create_table, TableSchema("tag", ("id",), ("name",)))
        await put(room, "3", "from the server")
    await eventually(b, lambda: has_rows(b, 3))
    await synced(sync_b)
    await eventually(b, lambda: _has_number(b, 5))
    assert await b.execute("SELECT * FROM tag") == [("t", "y")]


async def _has_number(db: CrSqliteDatabase, number: int) -> bool:
    return await db.execute("SELECT n FROM todo WHERE id = '1'") == [(number,)]


async def test_a_strict_client_gets_parked_changes_when_it_has_the_column(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server()
    a, b = await open_database("a"), await open_database("b", with_table=False)
    await b.run(create_table, TableSchema("todo", ("id",), ("text",)))
    sync_a = await open_client(a, f"{server.url}/room")
    sync_b = await open_client(b, f"{server.url}/room", schema_policy="strict")
    await a.execute("INSERT INTO todo VALUES ('1', 'x', 5)")
    await synced(sync_a, sync_b)
    assert await b.execute("SELECT * FROM todo") == [("1", "x")]
    assert await b.execute("SELECT count(*) FROM replicell_parked") == [(1,)]

    await b.run(add_columns, "todo", ["n"])
    await eventually(b, lambda: _has_number(b, 5))

    assert await b.execute("SELECT count(*) FROM replicell_parked") == [(0,)]


async def test_names_that_differ_only_in_case_are_refused_clearly_and_parked(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server()
    a, b = await open_database("a"), await open_database("b", with_table=False)
    await b.run(create_table, TableSchema("Todo", ("id",), ("text",)))
    sync_a = await open_client(a, f"{server.url}/room")
    await put(a, "1", "x")
    await synced(sync_a)
    sync_b = await open_client(b, f"{server.url}/room")
    await synced(sync_b)

    assert await b.execute("SELECT DISTINCT tbl FROM replicell_parked") == [("todo",)]
    assert "todo" in sync_b.refused_changes[0].reason


async def test_a_value_that_no_message_can_hold_is_named_and_does_not_stop_the_rest(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server(limits=Limits(message_bytes=256 * 1024))
    a, b = await open_database("a"), await open_database("b")
    sync_a = await open_client(a, f"{server.url}/room")
    sync_b = await open_client(b, f"{server.url}/room")
    await put(a, "big", "x" * 300_000)
    await put(a, "small", "y")
    await synced(sync_a, sync_b)

    assert (await rows(b))["small"] == "y"
    assert ["bigger than" in change.reason for change in sync_a.refused_changes] == [True]
    assert sync_a.status is SyncStatus.SYNCED
    assert sync_a.status_detail == (
        "a change of table 'todo', column 'text' is left out: it is bigger than what the server takes in one "
        "message (its max_message_size)"
    )


async def test_two_programs_on_one_file_in_one_room_are_told_and_lose_nothing(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    server = await open_server()
    a, again = await open_database("a"), await open_database("a")
    told: list[str] = []
    syncs = [await open_client(db, f"{server.url}/room") for db in (a, again)]
    for sync in syncs:
        sync.add_status_listener(lambda client, status, detail: told.append(detail))
    async with asyncio.timeout(PATIENCE):
        while not any("close one" in detail for detail in told):
            await put(a, str(len(told)), "x")
            await synced(syncs[0], syncs[1])

    await syncs[1].close()
    await synced(syncs[0])
    async with room_file(tmp_path) as room:
        assert await rows(room) == await rows(a)


@pytest.mark.parametrize("size", [100, 100_000])
async def test_values_of_many_sizes_arrive(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, size: int
) -> None:
    server = await open_server(limits=Limits(message_bytes=256 * 1024))
    a, b = await open_database("a"), await open_database("b")
    for number in range(40):
        await put(a, str(number), "x" * size)
    sync_a = await open_client(a, f"{server.url}/room")
    await synced(sync_a)
    sync_b = await open_client(b, f"{server.url}/room")
    await synced(sync_b)

    assert await rows(a) == await rows(b)
