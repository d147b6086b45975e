"""Clients that have nothing yet begin with the room as a file, and then follow."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from replicell.persisters import create_crsqlite_persister
from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.changes import read_page
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.schema import TableSchema, create_table
from replicell.store import create_store
from replicell.sync import Backoff, SyncClient, SyncStatus
from replicell.sync.actions import Action, ReadSnapshot, SessionOptions
from replicell.sync.backplane import InProcessBackplane
from replicell.sync.errors import ProtocolError
from replicell.sync.messages import AskPart, Message, Part, decode
from replicell.sync.snapshot_desk import SnapshotDesk
from replicell.sync.snapshot_shelf import SnapshotShelf
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, eventually, has_rows, put, rows

ALWAYS = SessionOptions(snapshot_bytes=1, part_bytes=4096)
NEVER = SessionOptions(snapshot_bytes=None)
LOGGED = "begins with a snapshot"


async def fill(db: CrSqliteDatabase, count: int) -> None:
    def write(conn: Any) -> None:
        conn.executemany(
            "INSERT INTO todo(id, text, n) VALUES (?, ?, ?)",
            [(f"row{number:05}", f"text {number}" * 3, number) for number in range(count)],
        )

    await db.write(write)


async def same(first: CrSqliteDatabase, second: CrSqliteDatabase) -> bool:
    def cells(conn: Any) -> list[tuple[object, ...]]:
        changes = read_page(conn, Catalog(), 0, max_changes=100_000, max_bytes=2**30).changes
        return sorted(
            (change.table, change.pk, change.cid, repr(change.val), change.col_version, change.cl)
            for change in changes
        )

    return await first.read(cells) == await second.read(cells)


async def test_a_client_without_anything_begins_with_a_snapshot_and_follows(
    open_server: OpenServer,
    open_database: OpenDatabase,
    open_client: OpenClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = await open_server(options=ALWAYS)
    first = await open_database("first")
    await fill(first, 2000)
    await put(first, "gone", "x")
    await first.execute("DELETE FROM todo WHERE id = 'gone'")
    await (await open_client(first, f"{server.url}/room")).wait_until_synced(PATIENCE)
    caplog.set_level("INFO")

    second = await open_database("second", with_table=False)
    client = await open_client(second, f"{server.url}/room", options=ALWAYS)
    await client.wait_until_synced(PATIENCE)

    assert LOGGED in caplog.text
    assert await same(first, second)
    await put(second, "row00001", "edited")
    await client.wait_until_synced(PATIENCE)
    await put(first, "later", "followed")
    await eventually(second, lambda: same(first, second))
    assert (await rows(second))["later"] == "followed"
    assert (await rows(first))["row00001"] == "edited"


async def first_of(
    server_url: str, open_database: OpenDatabase, open_client: OpenClient, count: int = 2000
) -> CrSqliteDatabase:
    """A client that has filled the room."""
    db = await open_database("first")
    await fill(db, count)
    await (await open_client(db, server_url)).wait_until_synced(PATIENCE)
    return db


def begins(caplog: pytest.LogCaptureFixture) -> int:
    return sum(LOGGED in record.getMessage() for record in caplog.records)


def files_beside(db: CrSqliteDatabase) -> list[str]:
    return [path.name for path in Path(db.path).parent.glob(f"{Path(db.path).name}-snapshot-*")]


def copies_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if "-copy-" in path.name]


async def test_a_client_that_may_only_read_begins_with_a_snapshot_too(
    open_server: OpenServer,
    open_database: OpenDatabase,
    open_client: OpenClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    server = await open_server(options=ALWAYS, tokens=["w"], read_only_tokens=["r"])
    first = await open_database("first")
    await fill(first, 300)
    await (await open_client(first, f"{server.url}/room", token="w")).wait_until_synced(PATIENCE)
    second = await open_database("second", with_table=False)

    await (await open_client(second, f"{server.url}/room", token="r")).wait_until_synced(PATIENCE)

    assert begins(caplog) == 1
    assert await same(first, second)


@pytest.mark.parametrize("case", ["own rows", "rows that are gone", "another key", "it does not want to"])
async def test_who_has_no_use_for_a_snapshot_gets_the_changes(
    open_server: OpenServer,
    open_database: OpenDatabase,
    open_client: OpenClient,
    caplog: pytest.LogCaptureFixture,
    case: str,
) -> None:
    caplog.set_level("INFO")
    server = await open_server(options=ALWAYS)
    await first_of(f"{server.url}/room", open_database, open_client, 100)
    second = await open_database("second", with_table=case != "another key")
    if case.startswith(("own rows", "rows that")):
        await put(second, "own", "edit")
    if case == "rows that are gone":
        await second.execute("DELETE FROM todo")
    if case == "another key":
        await second.run(create_table, TableSchema("todo", ("other",), ("text", "n")))

    options = NEVER if case == "it does not want to" else ALWAYS
    client = await open_client(second, f"{server.url}/room", options=options)
    await client.wait_until_synced(PATIENCE)

    assert begins(caplog) == 0
    if case != "another key":
        ((count,),) = await second.execute("SELECT count(*) FROM todo")
        assert count == 100 + (case == "own rows")


async def test_a_strict_client_begins_with_a_snapshot_only_if_it_has_all_the_tables(
    open_server: OpenServer,
    open_database: OpenDatabase,
    open_client: OpenClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    server = await open_server(options=ALWAYS)
    await first_of(f"{server.url}/room", open_database, open_client, 100)
    without, within = await open_database("without", with_table=False), await open_database("within")

    for db, snapshots in ((without, 0), (within, 1)):
        client = await open_client(db, f"{server.url}/room", schema_policy="strict")
        await client.wait_until_synced(PATIENCE)
        assert begins(caplog) == snapshots


async def test_a_store_on_the_database_sees_the_rows_and_keeps_its_own(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server(options=ALWAYS)
    first = await first_of(f"{server.url}/room", open_database, open_client, 300)
    second = await open_database("second")
    store = create_store()
    tables = {
        "load": {"todo": {"tableId": "todo", "rowIdColumnName": "id"}},
        "save": {"todo": {"tableName": "todo", "rowIdColumnName": "id"}},
    }
    persister = create_crsqlite_persister(store, second, {"mode": "tabular", "tables": tables})
    await persister.start_auto_load()
    await persister.start_auto_save()
    loaded = asyncio.Event()
    store.add_row_count_listener("todo", lambda _, __, count: loaded.set() if count == 301 else None)

    client = await open_client(second, f"{server.url}/room")
    store.set_row("todo", "own", {"text": "written meanwhile"})
    async with asyncio.timeout(PATIENCE):
        await loaded.wait()
    await persister.flush()
    await client.wait_until_synced(PATIENCE)

    assert store.get_cell("todo", "row00007", "n") == 7
    assert store.get_cell("todo", "own", "text") == "written meanwhile"
    await eventually(first, lambda: has_rows(first, 301))
    await persister.close()


async def broken_off(url: str, db: CrSqliteDatabase, parts: int) -> None:
    """Let a client fetch some parts of a snapshot, and end its connection then."""
    pieces = 0
    gone = asyncio.Event()

    async def relay(client: ServerConnection) -> None:
        nonlocal pieces
        async with connect(url, compression=None) as server:

            async def up() -> None:
                async for frame in client:
                    await server.send(frame)

            forward = asyncio.create_task(up())
            async for frame in server:
                message = decode(frame)
                pieces += isinstance(message, Part)
                if pieces > parts:
                    break
                await client.send(frame)
            forward.cancel()
            await asyncio.gather(forward, return_exceptions=True)
        await client.close(1012)
        gone.set()

    async with serve(relay, "127.0.0.1", 0, compression=None) as between:
        port = next(iter(between.sockets)).getsockname()[1]
        slow = Backoff(initial=100, maximum=100, random=lambda: 1.0)
        async with SyncClient(db, f"ws://127.0.0.1:{port}/room", options=ALWAYS, backoff=slow) as client:
            offline = asyncio.Event()
            client.add_status_listener(
                lambda _, status, __: offline.set() if status is SyncStatus.OFFLINE else None
            )
            async with asyncio.timeout(PATIENCE):
                await gone.wait()
                await offline.wait()


async def test_a_download_that_was_broken_off_goes_on_where_it_was(
    open_server: OpenServer,
    open_database: OpenDatabase,
    open_client: OpenClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    server = await open_server(options=ALWAYS)
    first = await first_of(f"{server.url}/room", open_database, open_client)
    second = await open_database("second", with_table=False)

    await broken_off(f"{server.url}/room", second, parts=5)

    (left,) = files_beside(second)
    size = (Path(second.path).parent / left).stat().st_size
    assert 0 < size <= 5 * ALWAYS.part_bytes
    assert await second.execute("SELECT count(*) FROM todo") == [(0,)]
    details: list[str] = []
    client = SyncClient(second, f"{server.url}/room", options=ALWAYS)
    client.add_status_listener(lambda _, __, detail: details.append(detail))
    async with client:
        await client.wait_until_synced(PATIENCE)
    assert begins(caplog) == 1
    assert sum("for new clients" in record.getMessage() for record in caplog.records) == 1
    shares = [int(detail.split(" %")[0]) for detail in details if "%" in detail]
    assert min(shares) > 0
    assert await same(first, second)
    assert files_beside(second) == []


async def test_what_was_begun_of_a_snapshot_that_is_gone_is_begun_anew(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server(options=ALWAYS)
    first = await first_of(f"{server.url}/room", open_database, open_client)
    second = await open_database("second", with_table=False)
    (Path(second.path).parent / f"second.db-snapshot-{'ab' * 16}").write_bytes(b"of another time" * 1000)

    await (await open_client(second, f"{server.url}/room")).wait_until_synced(PATIENCE)

    assert await same(first, second)
    assert files_beside(second) == []


async def test_a_snapshot_that_came_wrong_is_not_used(
    open_server: OpenServer,
    open_database: OpenDatabase,
    open_client: OpenClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    server = await open_server(options=ALWAYS)
    first = await first_of(f"{server.url}/room", open_database, open_client)
    second = await open_database("second", with_table=False)
    # A byte that was changed on the disk between two connections.
    await broken_off(f"{server.url}/room", second, parts=5)
    (left,) = files_beside(second)
    path = Path(second.path).parent / left
    path.write_bytes(path.read_bytes()[:-1] + b"?")

    await (await open_client(second, f"{server.url}/room")).wait_until_synced(PATIENCE)

    assert begins(caplog) == 0
    assert await same(first, second)
    assert files_beside(second) == []


async def test_a_server_that_cannot_make_a_snapshot_sends_the_changes(
    open_server: OpenServer,
    open_database: OpenDatabase,
    open_client: OpenClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("replicell.sync.snapshot_shelf.write_copy", fails)
    server = await open_server(options=ALWAYS)
    first = await first_of(f"{server.url}/room", open_database, open_client, 100)
    second = await open_database("second", with_table=False)

    await (await open_client(second, f"{server.url}/room")).wait_until_synced(PATIENCE)

    assert await same(first, second)


async def test_small_rooms_are_sent_as_changes(
    open_server: OpenServer,
    open_database: OpenDatabase,
    open_client: OpenClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    server = await open_server()
    await first_of(f"{server.url}/room", open_database, open_client, 100)
    second = await open_database("second")

    await (await open_client(second, f"{server.url}/room")).wait_until_synced(PATIENCE)

    assert begins(caplog) == 0


async def test_a_room_that_is_unloaded_leaves_no_snapshots(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    server = await open_server(options=ALWAYS)
    await first_of(f"{server.url}/room", open_database, open_client, 100)
    await (await open_client(await open_database("second"), f"{server.url}/room")).wait_until_synced(PATIENCE)
    assert len(copies_in(tmp_path / "rooms")) == 1

    await server.close()

    assert copies_in(tmp_path / "rooms") == []


async def test_parts_are_answered_one_by_one_and_not_without_end() -> None:
    sent: list[Message] = []
    actions: list[Action] = []
    desk = SnapshotDesk(emit=actions.append, send=sent.append, failed=lambda _: None)
    desk.hold(True)
    for number in range(8):
        desk.receive(AskPart(b"i" * 16, number, 1))
    with pytest.raises(ProtocolError, match="at most 8"):
        desk.receive(AskPart(b"i" * 16, 8, 1))
    assert actions == []

    desk.hold(False)

    (read,) = actions
    assert isinstance(read, ReadSnapshot)
    read.done(b"x")
    assert sent == [Part(b"i" * 16, 0, b"x")]
    assert len(actions) == 2


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, 0), (0, -1), (0, 1024 * 1024 + 1)])
def test_parts_that_make_no_sense_are_refused(offset: int, length: int) -> None:
    desk = SnapshotDesk(emit=lambda _: None, send=lambda _: None, failed=lambda _: None)

    with pytest.raises(ProtocolError, match="a part of a snapshot has"):
        desk.receive(AskPart(b"i" * 16, offset, length))


async def test_a_shelf_gives_all_the_same_for_a_while_and_keeps_only_so_many(tmp_path: Path) -> None:
    async with CrSqliteDatabase(tmp_path / "room.db") as db:
        await db.run(create_table, TableSchema("todo", ("id",), ("text", "n")))
        await fill(db, 10)
        now = 0.0
        shelf = SnapshotShelf(db.path, lambda: now)

        first, again = await asyncio.gather(shelf.find(b""), shelf.find(b""))

        assert first == again
        content = await shelf.read(first.id, 0, 2**20)
        assert len(content) == first.size
        assert hashlib.blake2b(content, digest_size=32).digest() == first.digest
        newest = first
        for _ in range(4):
            now += 31.0
            newest = await shelf.find(b"")
        assert newest != first
        assert await shelf.find(newest.id) == newest
        assert await shelf.read(first.id, 0, 10) == b""
        assert len(copies_in(tmp_path)) == 3
        await shelf.close()
        assert copies_in(tmp_path) == []


async def test_a_shelf_removes_what_a_killed_server_has_left(tmp_path: Path) -> None:
    (tmp_path / "room.db-copy-of-another-life").write_bytes(b"x")
    async with CrSqliteDatabase(tmp_path / "room.db") as db:
        shelf = SnapshotShelf(db.path)

        await shelf.find(b"")

        assert not (tmp_path / "room.db-copy-of-another-life").exists()
        await shelf.close()


async def test_who_began_with_a_snapshot_at_one_node_goes_on_at_another(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    backplane = InProcessBackplane()
    near = await open_server(options=ALWAYS, backplane=backplane, data_dir=tmp_path / "near")
    far = await open_server(options=ALWAYS, backplane=backplane, data_dir=tmp_path / "far")
    first = await first_of(f"{near.url}/room", open_database, open_client, 300)
    second = await open_database("second", with_table=False)
    client = await open_client(second, f"{near.url}/room")
    await client.wait_until_synced(PATIENCE)
    await client.close()

    await put(first, "later", "while it was away")
    moved = await open_client(second, f"{far.url}/room")
    await put(second, "own", "at the other node")
    await moved.wait_until_synced(PATIENCE)

    await eventually(second, lambda: has_rows(second, 302))
    await eventually(first, lambda: has_rows(first, 302))
    await eventually(second, lambda: same(first, second))


@pytest.mark.parametrize("size", [300_000, 10_000_000])
async def test_big_parts_fit_into_the_smallest_frame_that_a_client_takes(
    open_server: OpenServer,
    open_database: OpenDatabase,
    open_client: OpenClient,
    caplog: pytest.LogCaptureFixture,
    size: int,
) -> None:
    caplog.set_level("INFO")
    server = await open_server(options=ALWAYS)
    first = await first_of(f"{server.url}/room", open_database, open_client, 20_000)
    second = await open_database("second", with_table=False)

    options = SessionOptions(part_bytes=size)
    client = await open_client(second, f"{server.url}/room", options=options, max_message_size=1024 * 1024)
    await client.wait_until_synced(PATIENCE)

    assert begins(caplog) == 1
    assert await same(first, second)


async def test_a_room_without_any_change_is_not_worth_a_snapshot(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    server = await open_server(options=ALWAYS)
    async with server.open_room("room"):
        db = await open_database("first")

        await (await open_client(db, f"{server.url}/room")).wait_until_synced(PATIENCE)

        assert copies_in(tmp_path / "rooms") == []
