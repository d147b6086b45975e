"""The sync client, over real sockets: what it does by itself, and what it tells."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.sync import connection_cycle
from replicell.sync.backoff import Backoff
from replicell.sync.client import SyncClient
from replicell.sync.errors import RefusedError, SyncClosedError, SyncError, SyncTimeoutError
from replicell.sync.status import SyncStatus
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, eventually, has_rows, put, rows


async def reached(sync: SyncClient, *statuses: SyncStatus) -> None:
    """Wait until the client has one of the statuses."""
    changed = asyncio.Event()
    listener = sync.add_status_listener(lambda *_: changed.set())
    async with asyncio.timeout(PATIENCE):
        while sync.status not in statuses:
            await changed.wait()
            changed.clear()
    sync.del_listener(listener)


async def test_what_one_replica_writes_the_other_gets(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server()
    a, b = await open_database("a"), await open_database("b", with_table=False)
    await open_client(a, f"{server.url}/room")
    await open_client(b, f"{server.url}/room")

    await put(a, "1", "milk")
    await eventually(b, lambda: has_rows(b, 1))
    await put(b, "1", "bread")
    await eventually(a, lambda: _has(a, {"1": "bread"}))

    assert await rows(a) == await rows(b) == {"1": "bread"}


async def _has(db: CrSqliteDatabase, wanted: dict[str, object]) -> bool:
    return await rows(db) == wanted


async def test_rooms_are_apart(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server()
    a, b = await open_database("a"), await open_database("b")
    one = await open_client(a, f"{server.url}/one")
    two = await open_client(b, f"{server.url}/two")
    await put(a, "1", "milk")
    await one.wait_until_synced(PATIENCE)
    await two.wait_until_synced(PATIENCE)

    assert await rows(b) == {}
    assert server.rooms == ["one", "two"]


async def test_offline_edits_on_both_sides_are_merged_when_they_meet_again(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server()
    a, b = await open_database("a"), await open_database("b")
    sync_a, sync_b = await open_client(a, f"{server.url}/room"), await open_client(b, f"{server.url}/room")
    await put(a, "shared", "start")
    await sync_a.wait_until_synced(PATIENCE)
    await sync_b.wait_until_synced(PATIENCE)

    await sync_a.pause()
    await sync_b.pause()
    await put(a, "a", "only a")
    await a.execute("UPDATE todo SET text = 'by a' WHERE id = 'shared'")
    await put(b, "b", "only b")
    await b.execute("UPDATE todo SET n = 5 WHERE id = 'shared'")
    await sync_a.resume()
    await sync_b.resume()
    for sync in (sync_a, sync_b, sync_a):
        await sync.wait_until_synced(PATIENCE)

    merged = [("a", "only a", None), ("b", "only b", None), ("shared", "by a", 5)]
    assert await a.execute("SELECT * FROM todo ORDER BY id") == merged
    assert await b.execute("SELECT * FROM todo ORDER BY id") == merged


async def test_a_deletion_wins_against_an_edit_of_the_same_row(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server()
    a, b = await open_database("a"), await open_database("b")
    sync_a, sync_b = await open_client(a, f"{server.url}/room"), await open_client(b, f"{server.url}/room")
    await put(a, "1", "milk")
    await sync_a.wait_until_synced(PATIENCE)
    await sync_b.wait_until_synced(PATIENCE)

    await sync_a.pause()
    await sync_b.pause()
    await a.execute("DELETE FROM todo WHERE id = '1'")
    for text in ("more", "and more", "milk"):
        await put(b, "1", text)
    await sync_b.resume()
    await sync_b.wait_until_synced(PATIENCE)
    await sync_a.resume()
    await sync_a.wait_until_synced(PATIENCE)
    await sync_b.wait_until_synced(PATIENCE)

    assert await rows(a) == await rows(b) == {}


async def test_many_transactions_written_before_the_first_connection_arrive(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server()
    a, b = await open_database("a"), await open_database("b", with_table=False)
    for number in range(300):
        await put(a, f"{number:03}", number)
    sync_a = await open_client(a, f"{server.url}/room")
    sync_b = await open_client(b, f"{server.url}/room")
    await sync_a.wait_until_synced(PATIENCE)
    await sync_b.wait_until_synced(PATIENCE)

    assert await rows(a) == await rows(b)
    assert len(await rows(b)) == 300


async def test_a_new_column_and_a_new_table_travel_before_their_cells(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    from replicell.persisters.crsqlite.schema import TableSchema, add_columns, create_table

    server = await open_server()
    a, b = await open_database("a"), await open_database("b", with_table=False)
    sync_a = await open_client(a, f"{server.url}/room")
    sync_b = await open_client(b, f"{server.url}/room")
    await sync_a.wait_until_synced(PATIENCE)
    await sync_b.wait_until_synced(PATIENCE)

    await a.run(add_columns, "todo", ["late"])
    await a.run(create_table, TableSchema("tag", ("id",), ("name",)))
    await a.execute("INSERT INTO todo(id, late) VALUES ('1', 'x')")
    await a.execute("INSERT INTO tag VALUES ('t', 'y')")
    await sync_a.wait_until_synced(PATIENCE)
    await sync_b.wait_until_synced(PATIENCE)

    assert await b.execute("SELECT id, late FROM todo") == [("1", "x")]
    assert await b.execute("SELECT * FROM tag") == [("t", "y")]
    assert await b.execute("SELECT count(*) FROM replicell_parked") == [(0,)]


async def test_it_tells_how_it_is_doing(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server()
    db = await open_database("a")
    sync = SyncClient(db, f"{server.url}/room")
    seen: list[SyncStatus] = []
    sync.add_status_listener(lambda client, status, detail: seen.append(status))
    assert sync.status is SyncStatus.CLOSED

    async with sync:
        await reached(sync, SyncStatus.SYNCED)
        await sync.pause()
        await reached(sync, SyncStatus.PAUSED)
        await sync.resume()
        await reached(sync, SyncStatus.SYNCED)
        await put(db, "1", "x")
        await sync.wait_until_synced(PATIENCE)
        await server.close()
        await reached(sync, SyncStatus.OFFLINE)
        assert sync.status_detail

    assert seen[:3] == [SyncStatus.CONNECTING, SyncStatus.SYNCING, SyncStatus.SYNCED]
    assert seen[-1] is SyncStatus.CLOSED


async def test_a_listener_that_fails_or_is_deleted_disturbs_nobody(
    open_server: OpenServer, open_database: OpenDatabase
) -> None:
    server = await open_server()
    sync = SyncClient(await open_database("a"), f"{server.url}/room")
    seen: list[SyncStatus] = []

    def fails(*_: object) -> None:
        raise RuntimeError("oh")

    sync.add_status_listener(fails)
    deleted = sync.add_status_listener(lambda *_: seen.append(SyncStatus.CLOSED))
    sync.del_listener(deleted).del_listener("no such id")
    async with sync:
        await reached(sync, SyncStatus.SYNCED)
    assert seen == []


async def test_without_a_server_it_tries_again_and_local_work_goes_on(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server()
    port = server.port
    await server.close()
    db = await open_database("a")
    sync = await open_client(db, f"ws://127.0.0.1:{port}/room")
    await reached(sync, SyncStatus.OFFLINE)
    assert "cannot connect" in sync.status_detail

    await put(db, "1", "x")
    await open_server(port=port)

    await sync.wait_until_synced(PATIENCE)


async def test_waiting_has_an_end(open_database: OpenDatabase, open_client: OpenClient) -> None:
    db = await open_database("a")
    sync = SyncClient(db, "ws://127.0.0.1:9/room")
    with pytest.raises(SyncClosedError, match="not running"):
        await sync.wait_until_synced()
    async with sync:
        with pytest.raises(SyncTimeoutError, match=r"not synced after 0.05 seconds"):
            await sync.wait_until_synced(0.05)
        waiting = asyncio.ensure_future(sync.wait_until_synced())
        await sync.pause()
        await sync.close()
        with pytest.raises(SyncClosedError, match=r"not running|was closed"):
            await waiting


async def test_starting_and_closing_twice_is_allowed(
    open_server: OpenServer, open_database: OpenDatabase
) -> None:
    server = await open_server()
    sync = SyncClient(await open_database("a"), f"{server.url}/room")
    await sync.start()
    await sync.start()
    await reached(sync, SyncStatus.SYNCED)
    await sync.close()
    await sync.close()
    assert (sync.status, sync.status_detail) == (SyncStatus.CLOSED, "closed")
    await sync.start()
    await reached(sync, SyncStatus.SYNCED)
    await sync.close()


async def test_closing_the_database_closes_the_client(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server()
    db = await open_database("a")
    sync = await open_client(db, f"{server.url}/room")
    await reached(sync, SyncStatus.SYNCED)

    await db.close()

    assert sync.status is SyncStatus.CLOSED


@pytest.mark.parametrize("url", ["http://x/room", "room", "ws://", ""])
async def test_an_address_that_is_none_is_refused_at_once(open_database: OpenDatabase, url: str) -> None:
    with pytest.raises(SyncError, match="ws://host:port/room"):
        SyncClient(await open_database("a"), url)


async def test_a_client_that_is_resumed_while_it_still_disconnects_is_back_at_once(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server()
    patient = Backoff(initial=3600, maximum=3600, random=lambda: 1.0)
    sync = await open_client(await open_database("a"), f"{server.url}/room", backoff=patient)
    await sync.wait_until_synced(PATIENCE)

    pausing = asyncio.create_task(sync.pause())
    await asyncio.sleep(0)
    await sync.resume()
    await pausing

    await sync.wait_until_synced(PATIENCE)
    assert sync.status is SyncStatus.SYNCED


async def test_an_unknown_schema_policy_is_refused_at_once(open_database: OpenDatabase) -> None:
    with pytest.raises(SyncError, match="'auto' or 'strict'"):
        SyncClient(await open_database("a"), "ws://x/room", schema_policy="maybe")  # type: ignore[arg-type]  # on purpose


async def test_a_wrong_token_is_a_refusal_that_is_not_tried_again_at_once(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server(tokens=["right"])
    db = await open_database("a")
    sync = await open_client(db, f"{server.url}/room", token="wrong")
    await reached(sync, SyncStatus.REFUSED)
    assert "401" in sync.status_detail
    with pytest.raises(RefusedError, match="not valid") as caught:
        await sync.wait_until_synced()
    assert caught.value.code == "unauthorized"

    right = await open_client(await open_database("b"), f"{server.url}/room", token="right")
    await right.wait_until_synced(PATIENCE)


async def test_without_a_token_the_first_message_is_the_last(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server(tokens=["right"])
    sync = await open_client(await open_database("a"), f"{server.url}/room")

    await reached(sync, SyncStatus.REFUSED)

    assert "give one with token=" in sync.status_detail
    assert server.rooms == []
    with pytest.raises(RefusedError) as caught:
        await sync.wait_until_synced()
    assert caught.value.code == "unauthorized"


async def test_a_token_in_the_address_will_do(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server(tokens=["right"])
    sync = await open_client(await open_database("a"), f"{server.url}/room?token=right")

    await sync.wait_until_synced(PATIENCE)


async def test_a_read_only_client_gets_everything_and_gives_nothing(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server(tokens=["write"], read_only_tokens=["read"])
    a, b = await open_database("a"), await open_database("b")
    writer = await open_client(a, f"{server.url}/room", token="write")
    reader = await open_client(b, f"{server.url}/room", token="read")
    await put(a, "1", "from a")
    await put(b, "2", "from b")
    await writer.wait_until_synced(PATIENCE)
    await reader.wait_until_synced(PATIENCE)
    await writer.wait_until_synced(PATIENCE)

    assert await rows(b) == {"1": "from a", "2": "from b"}
    assert await rows(a) == {"1": "from a"}


async def test_a_server_that_talks_nonsense_is_left_alone_for_a_while(
    open_database: OpenDatabase, open_client: OpenClient
) -> None:
    connections = 0

    async def nonsense(websocket: ServerConnection) -> None:
        nonlocal connections
        connections += 1
        await websocket.recv()
        await websocket.send(b"\xc1nonsense")
        await websocket.wait_closed()

    async with serve(nonsense, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        backoff = Backoff(initial=0.001, maximum=0.001, refused=60.0)
        sync = await open_client(await open_database("a"), f"ws://127.0.0.1:{port}/room", backoff=backoff)
        await reached(sync, SyncStatus.REFUSED)
        assert "no message of protocol" in sync.status_detail
        assert connections == 1

        await sync.resume()
        await reached(sync, SyncStatus.CONNECTING, SyncStatus.SYNCING)
        await reached(sync, SyncStatus.REFUSED)
        assert connections == 2


async def test_after_waiting_it_is_called_synced(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server()
    sync = await open_client(await open_database("a", with_table=False), f"{server.url}/room")
    db = await open_database("b")
    other = await open_client(db, f"{server.url}/room")
    told = []
    for number in range(20):
        await put(db, str(number), number)
        for client in (other, sync):
            await client.wait_until_synced(PATIENCE)
            told.append(client.status)

    assert told == [SyncStatus.SYNCED] * 40


async def test_a_database_that_is_not_open_is_told_at_the_start(tmp_path: Path) -> None:
    sync = SyncClient(CrSqliteDatabase(tmp_path / "a.db"), "ws://127.0.0.1:1/room")

    with pytest.raises(SyncClosedError, match=r"a\.db is not open: open it before"):
        await sync.start()
    assert sync.status is SyncStatus.CLOSED


@pytest.mark.parametrize("options", [{"token": ""}, {"max_message_size": 10}, {"open_timeout": 0}])
async def test_options_that_make_no_sense_are_refused_at_once(
    open_database: OpenDatabase, options: dict[str, Any]
) -> None:
    db = await open_database("a")
    (name,) = options

    with pytest.raises(SyncError, match=name):
        SyncClient(db, "ws://127.0.0.1:1/room", **options)


async def test_why_it_is_offline_is_said_in_plain_words(
    open_database: OpenDatabase, open_client: OpenClient
) -> None:
    sync = await open_client(await open_database("a"), "ws://127.0.0.1:1/room")
    await reached(sync, SyncStatus.OFFLINE)

    assert sync.status_detail == "cannot connect: connection refused, no server listens there"


async def test_a_refusal_is_a_warning_in_the_log_without_the_token(
    open_server: OpenServer,
    open_database: OpenDatabase,
    open_client: OpenClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = await open_server(tokens=["right"])
    sync = await open_client(await open_database("a"), f"{server.url}/room?token=wrong")
    await reached(sync, SyncStatus.REFUSED)

    warnings = [record.getMessage() for record in caplog.records if record.name == "replicell.sync.client"]
    assert [f"{server.url}/room is refused: the server answers 401" in text for text in warnings] == [True]
    assert "wrong" not in repr(sync)


async def test_the_page_of_a_server_that_is_not_ours_is_told_in_one_short_line(
    open_database: OpenDatabase, open_client: OpenClient
) -> None:
    def answer(connection: ServerConnection, request: Request) -> Response:
        return connection.respond(HTTPStatus.NOT_FOUND, "<html>\n<h1>nothing\there</h1>\n" * 1000)

    async def never(connection: ServerConnection) -> None:
        raise AssertionError

    async with serve(never, "127.0.0.1", 0, process_request=answer) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        sync = await open_client(await open_database("a"), f"ws://127.0.0.1:{port}/room")
        await reached(sync, SyncStatus.REFUSED)

        assert sync.status_detail.startswith("the server answers 404: <html> <h1>nothing here</h1> <html>")
        assert len(sync.status_detail) < 250
        with pytest.raises(RefusedError) as caught:
            await sync.wait_until_synced()
        assert caught.value.code == "protocol"


async def test_a_client_that_was_started_is_connecting_from_the_first_moment(
    open_database: OpenDatabase,
) -> None:
    sync = SyncClient(await open_database("a"), "ws://127.0.0.1:1/room")
    async with sync:
        assert (sync.status, sync.status_detail) == (SyncStatus.CONNECTING, "")


async def test_a_fault_of_its_own_is_logged_and_does_not_end_it(
    open_server: OpenServer,
    open_database: OpenDatabase,
    open_client: OpenClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    failures = [RuntimeError("nobody has thought of this")]

    def fails_once(*args: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return connect(*args, **options)

    monkeypatch.setattr(connection_cycle, "connect", fails_once)
    server = await open_server()
    sync = await open_client(await open_database("a"), f"{server.url}/room")
    await sync.wait_until_synced(PATIENCE)

    (record,) = [record for record in caplog.records if record.name == "replicell.sync.client"]
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "nobody has thought of this"
