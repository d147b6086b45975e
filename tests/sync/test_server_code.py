"""Code of the server's own in its rooms: it reacts to clients and writes, durably, like any other replica."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.schema import TableSchema, create_table
from replicell.store import Store
from replicell.sync import Peer, RoomNameError, ServerRoom, SyncClosedError, SyncError, SyncServer
from replicell.sync.limits import Limits
from tests.persisters.waiting_for import until_store
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, eventually, put, rows


async def counts_in(db: CrSqliteDatabase) -> list[tuple[object, ...]]:
    tables = await db.execute("SELECT name FROM sqlite_schema WHERE name = 'counts'")
    return await db.execute("SELECT * FROM counts") if tables else []


def count_todos(room: ServerRoom) -> None:
    """Keep how many todos there are in a table of its own."""

    def count(store: Store, *_: object) -> None:
        store.set_cell("counts", "todo", "rows", store.get_row_count("todo"))

    room.store.add_row_ids_listener("todo", count, mutator=True)
    count(room.store)


async def write_and_wait(store: Store, number: int) -> None:
    assert store.get_cell("counts", "todo", "rows") in (None, number - 1)
    store.set_row("todo", str(number), {"text": "by the server"})
    await until_store(store, lambda: store.get_cell("counts", "todo", "rows") == number)


class TestInRooms:
    async def test_what_clients_write_reaches_it_and_what_it_writes_reaches_them(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server(row_id_column="id")
        assert server.on_room(count_todos) is count_todos
        anna, ben = [await open_database(name) for name in ("anna", "ben")]
        for db in (anna, ben):
            await open_client(db, f"{server.url}/room")
        await put(anna, "1", "Buy milk")
        await put(ben, "2", "Call Ben")
        for db in (anna, ben):

            async def counted(db: CrSqliteDatabase = db) -> bool:
                return await counts_in(db) == [("todo", 2)]

            await eventually(db, counted)

    async def test_what_it_wrote_is_there_after_a_restart_and_it_goes_on(self, tmp_path: Path) -> None:
        for number in (1, 2):
            server = SyncServer(tmp_path / "rooms", port=0)
            server.on_room(count_todos)
            async with server, server.open_room("room") as room:
                await write_and_wait(room.store, number)
        async with CrSqliteDatabase(tmp_path / "rooms" / "room.db") as db:
            assert await db.execute("SELECT rows FROM counts") == [(2,)]
            assert await db.execute("SELECT count(*) FROM todo") == [(2,)]

    async def test_a_coroutine_lives_as_long_as_the_room_is_loaded(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server(room_idle_seconds=0)
        began, ended, cleaned = asyncio.Event(), asyncio.Event(), asyncio.Event()
        order: list[str] = []

        @server.on_room
        async def work(room: ServerRoom) -> None:
            @room.on_close
            async def clean_up() -> None:
                order.append("cleaned")
                room.store.set_row("log", "1", {"text": "closed"})
                cleaned.set()

            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                order.append("ended")
                ended.set()

        db = await open_database("anna")
        client = await open_client(db, f"{server.url}/room")
        async with asyncio.timeout(PATIENCE):
            await began.wait()
            assert not ended.is_set()
            await client.close()
            await ended.wait()
            await cleaned.wait()
        assert order == ["ended", "cleaned"]
        # What was written at the end is saved, and found when the room is loaded again.
        again = await open_client(db, f"{server.url}/room")
        await again.wait_until_synced(PATIENCE)
        assert await db.execute("SELECT text FROM log") == [("closed",)]

    async def test_what_is_called_at_the_end_of_a_room_does_not_keep_it_open_for_ever(
        self, open_server: OpenServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr("replicell.sync.server_code._LAST_WORDS_SECONDS", 0.05)
        server = await open_server(row_id_column="id")
        is_cancelled = asyncio.Event()

        async def never_end() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                is_cancelled.set()

        async with server.open_room("home") as room:
            room.on_close(lambda: room.store.set_row("log", "1", {"text": "also called"}))
            room.on_close(never_end)

        await asyncio.wait_for(server.close(), PATIENCE)

        await asyncio.wait_for(is_cancelled.wait(), PATIENCE)
        assert f"room 'home': {never_end.__qualname__} takes too long to end" in caplog.text
        assert room.store.get_cell("log", "1", "text") == "also called"

    async def test_code_that_raises_is_logged_with_the_rooms_name_and_hurts_nobody(
        self,
        open_server: OpenServer,
        open_database: OpenDatabase,
        open_client: OpenClient,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        server = await open_server(row_id_column="id")

        @server.on_room(store=False)
        def bad(room: ServerRoom) -> None:
            raise ValueError("bad")

        @server.on_room(store=False)
        async def worse(room: ServerRoom) -> None:
            await asyncio.sleep(0)
            raise ValueError("worse")

        @server.on_room
        def with_a_bad_listener(room: ServerRoom) -> None:
            def fail(*_: object) -> None:
                raise ValueError("a listener")

            room.store.add_row_listener("todo", None, fail)

        server.on_room(count_todos)
        anna = await open_database("anna")
        client = await open_client(anna, f"{server.url}/team/home")
        for number in range(3):
            await put(anna, str(number), "Buy milk")
            await client.wait_until_synced(PATIENCE)

        async def counted() -> bool:
            return await counts_in(anna) == [("todo", 3)]

        await eventually(anna, counted)
        for text in ("bad", "worse"):
            assert f"room 'team/home': server code {bad.__qualname__[:-3]}{text} failed" in caplog.text
        assert "room 'team/home': a listener" in caplog.text

    async def test_a_room_that_nobody_needs_in_memory_is_not_loaded(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server()
        rooms: list[ServerRoom] = []
        server.on_room(rooms.append, store=False)
        db = await open_database("anna")
        client = await open_client(db, f"{server.url}/room")
        await put(db, "1", "Buy milk")
        await client.wait_until_synced(PATIENCE)
        (room,) = rooms
        with pytest.raises(SyncError, match="the store of room 'room' is not loaded"):
            _ = room.store
        # SQL does as well, and what it writes reaches the clients.
        assert await rows(room.database) == {"1": "Buy milk"}
        await put(room.database, "2", "Call Ben")

        async def arrived() -> bool:
            return await rows(db) == {"1": "Buy milk", "2": "Call Ben"}

        await eventually(db, arrived)
        await room.load_store()
        assert room.store.get_row_count("todo") == 2

    async def test_it_sees_who_is_there(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server()
        news: asyncio.Queue[tuple[Peer | None, Peer | None]] = asyncio.Queue()
        rooms: list[ServerRoom] = []

        @server.on_room(store=False)
        def watch(room: ServerRoom) -> None:
            rooms.append(room)
            room.add_presence_listener(lambda _, now, before: news.put_nowait((now, before)))

        client = await open_client(await open_database("anna"), f"{server.url}/room")
        client.set_presence({"name": "Anna"})
        async with asyncio.timeout(PATIENCE):
            now, before = await news.get()
            assert (now and dict(now.state), before) == ({"name": "Anna"}, None)
            assert list(rooms[0].peers) == [client.peer_id or (now and now.id)]
            await client.close()
            now, before = await news.get()
            assert (now, before and dict(before.state)) == (None, {"name": "Anna"})


class TestOpeningARoom:
    """`SyncServer.open_room`, for code that has a room's name."""

    async def test_it_is_loaded_and_what_is_written_is_saved(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server(row_id_column="id")
        async with server.open_room("Zoé's list") as room:
            room.store.set_row("todo", "1", {"text": "Buy milk"})
        db = await open_database("anna")
        client = await open_client(db, f"{server.url}/Zo%C3%A9's%20list")
        await client.wait_until_synced(PATIENCE)
        assert await rows(db) == {"1": "Buy milk"}
        async with server.open_room("Zoé's list") as again:
            assert again.store.get_tables() == {"todo": {"1": {"text": "Buy milk"}}}

    async def test_it_needs_a_name_and_a_server_that_runs(
        self, open_server: OpenServer, tmp_path: Path
    ) -> None:
        with pytest.raises(SyncError, match="a function"):
            SyncServer(tmp_path / "rooms").on_room("welcome")  # type: ignore[call-overload]  # on purpose
        with pytest.raises(SyncClosedError):
            async with SyncServer(tmp_path / "rooms").open_room("room"):
                pass
        server = await open_server(limits=Limits(open_rooms=1))
        for name in ("", "../room", "a//b", "healthz"):
            with pytest.raises(RoomNameError):
                async with server.open_room(name):
                    pass

    async def test_what_is_written_when_the_server_closes_is_saved_and_what_comes_later_is_an_error(
        self, open_server: OpenServer, tmp_path: Path
    ) -> None:
        server = await open_server()
        with pytest.raises(SyncClosedError, match="the room 'room' is not loaded any more"):
            async with server.open_room("room") as room:
                room.store.set_row("todo", "1", {"text": "before"})
                await server.close()
                room.store.set_row("todo", "2", {"text": "after"})
        async with CrSqliteDatabase(tmp_path / "rooms" / "room.db") as db:
            assert await db.execute("SELECT text FROM todo") == [("before",)]

    async def test_tables_that_clients_make_later_come_into_the_store(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server()
        async with server.open_room("room") as room:
            db = await open_database("anna")
            await open_client(db, f"{server.url}/room")
            await put(db, "1", "Buy milk")
            await until_store(room.store, lambda: room.store.has_row("todo", "1"))
            await db.run(create_table, TableSchema("pets", ("_id",), ("name",)))
            await db.execute("INSERT INTO pets VALUES ('1', 'Fido')")
            await until_store(room.store, lambda: room.store.has_row("pets", "1"))
            room.store.set_cell("pets", "1", "name", "Felix")

            async def arrived() -> bool:
                return await db.execute("SELECT name FROM pets") == [("Felix",)]

            await eventually(db, arrived)
