"""The server mounted in web applications: the same rooms, rights, limits and close codes under a path."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.schema import create_table
from replicell.sync import Identity, Limits, Request, ServerRoom, StaticTokens, SyncClient, SyncServer
from replicell.sync.asgi import AsgiApp, AsgiTransport, Scope
from replicell.sync.messages import Present, Problem, Ready
from replicell.sync.status import SyncStatus
from tests.sync.conftest import QUICK, OpenClient, OpenDatabase
from tests.sync.support import PATIENCE, TODO, eventually, put, rows
from tests.sync.test_client import reached
from tests.sync.test_presence_clients import seen, states
from tests.sync.test_server import EPOCH, HELLO, close_code, hear, tell


class WebServer(uvicorn.Server):
    """Says when it may be connected to."""

    def __init__(self, app: Any, lifespan: str) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.ready = asyncio.Event()
        options: dict[str, Any] = {"lifespan": lifespan, "log_config": None, "timeout_graceful_shutdown": 5}
        super().__init__(uvicorn.Config(app, **options))

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@asynccontextmanager
async def served(app: Any, lifespan: str = "on") -> AsyncIterator[WebServer]:
    """Serve an application with uvicorn."""
    server = WebServer(app, lifespan)
    serving = asyncio.create_task(server.serve(sockets=[server.socket]))
    ready = asyncio.create_task(server.ready.wait())
    try:
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait([ready, serving], return_when=asyncio.FIRST_COMPLETED)
        yield server
    finally:
        ready.cancel()
        server.should_exit = True
        await serving


def inside_starlette(sync: AsgiApp, *, with_lifespan: bool = True) -> Starlette:
    """Return an application with a page of its own and the rooms below /sync."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with sync:
            yield

    async def home(_: Any) -> PlainTextResponse:
        return PlainTextResponse("home")

    routes = [Route("/", home), Mount("/sync", app=sync)]
    return Starlette(routes=routes, lifespan=lifespan if with_lifespan else None)


class TestMounted:
    """Below a path of a Starlette application, with real clients."""

    async def test_clients_sync_present_themselves_and_meet_server_code(
        self, tmp_path: Path, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = SyncServer(tmp_path / "rooms", row_id_column="id")

        @server.on_room
        def greet(room: ServerRoom) -> None:
            room.store.set_row("todo", "0", {"text": f"Welcome to {room.name}"})

        async with served(inside_starlette(server.asgi())) as web:
            anna, ben = [await open_database(name) for name in ("anna", "ben")]
            url = f"ws://{web.address}/sync/team/Zo%C3%A9%20%26%20co"
            clients = [await open_client(db, url) for db in (anna, ben)]
            await put(anna, "1", "Buy milk")
            expected = {"0": "Welcome to team/Zoé & co", "1": "Buy milk"}
            for db in (anna, ben):

                async def arrived(db: CrSqliteDatabase = db) -> bool:
                    return await rows(db) == expected

                await eventually(db, arrived)
            assert server.rooms == ["team/Zoé & co"]
            for client, name in zip(clients, ("Anna", "Ben"), strict=True):
                client.set_presence({"name": name})
            await seen(clients[0], lambda: states(clients[0]) == [{"name": "Ben"}])
            for client in clients:
                await client.close()
        assert server.rooms == []

    async def test_health_and_other_pages_are_answered_below_the_path(self, tmp_path: Path) -> None:
        app = inside_starlette(SyncServer(tmp_path / "rooms").asgi())
        async with served(app) as web, httpx.AsyncClient(base_url=f"http://{web.address}") as browser:
            assert (await browser.get("/")).text == "home"
            health = await browser.get("/sync/healthz")
            assert (health.status_code, health.text) == (HTTPStatus.OK, "ok\n")
            assert health.headers["content-type"].startswith("text/plain")
            head = await browser.head("/sync/healthz")
            assert (head.status_code, head.text) == (HTTPStatus.OK, "")
            assert (await browser.post("/sync/healthz")).status_code == HTTPStatus.METHOD_NOT_ALLOWED
            room = await browser.get("/sync/my-room")
            assert (room.status_code, "SyncClient" in room.text) == (HTTPStatus.UPGRADE_REQUIRED, True)

    async def test_the_same_are_refused_with_the_same_statuses_and_close_codes(self, tmp_path: Path) -> None:
        seen_by_hook: list[Request] = []
        tokens = StaticTokens(identities={"a": Identity(name="anna", rooms={"team/*": "write"})})

        def authenticate(request: Request) -> Any:
            seen_by_hook.append(request)
            return tokens(request)

        server = SyncServer(
            tmp_path / "rooms",
            authenticate=authenticate,
            origins=["https://example.com"],
            limits=Limits(connections_per_address=1),
        )
        async with served(inside_starlette(server.asgi())) as web:
            url = f"ws://{web.address}/sync"
            for path, headers, status in (
                ("/team/a?token=wrong", {}, HTTPStatus.UNAUTHORIZED),
                ("/other?token=a", {}, HTTPStatus.FORBIDDEN),
                ("/team/a?token=a", {"Origin": "https://elsewhere.com"}, HTTPStatus.FORBIDDEN),
                ("/team/%2e%2e/a?token=a", {}, HTTPStatus.BAD_REQUEST),
                ("/", {}, HTTPStatus.BAD_REQUEST),
            ):
                with pytest.raises(InvalidStatus) as refused:
                    await connect(url + path, additional_headers=headers)
                assert refused.value.response.status_code == status, path
            assert list((tmp_path / "rooms").iterdir()) == []

            async with connect(f"{url}/team/a", additional_headers={"X-Own": "1"}) as websocket:
                with pytest.raises(InvalidStatus) as refused:
                    await connect(f"{url}/team/a?token=a")
                assert refused.value.response.status_code == HTTPStatus.TOO_MANY_REQUESTS
                assert refused.value.response.headers["Retry-After"] == "5"
                await tell(websocket, HELLO)
                assert (await hear(websocket, Problem)).code == "unauthorized"
                assert await close_code(websocket) == 4401
        first = seen_by_hook[-1]
        assert (first.room, first.address, first.headers["x-own"]) == ("team/a", "127.0.0.1", "1")

    async def test_a_message_that_is_too_big_ends_the_connection(self, tmp_path: Path) -> None:
        server = SyncServer(tmp_path / "rooms", limits=Limits(message_bytes=128 * 1024))
        async with served(inside_starlette(server.asgi())) as web:
            for frame in (b"x" * (128 * 1024 + 1), "é" * 65 * 1024):
                async with connect(f"ws://{web.address}/sync/room") as websocket:
                    await websocket.send(frame)
                    assert await close_code(websocket) == 1009

    async def test_frames_in_json_are_answered_in_json(self, tmp_path: Path) -> None:
        async with (
            served(inside_starlette(SyncServer(tmp_path / "rooms").asgi())) as web,
            connect(f"ws://{web.address}/sync/room") as websocket,
        ):
            await tell(websocket, HELLO, "json")
            assert isinstance(await websocket.recv(), str)
            await tell(websocket, Ready(EPOCH, 0), "json")
            await tell(websocket, Present("{}"), "json")
            async with asyncio.timeout(PATIENCE):
                while not isinstance(frame := await websocket.recv(), str) or '"you":' not in frame:
                    continue

    async def test_a_big_transaction_flows_both_ways(
        self, tmp_path: Path, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = SyncServer(tmp_path / "rooms")
        async with served(inside_starlette(server.asgi())) as web:
            anna, ben = [await open_database(name) for name in ("anna", "ben")]
            for db in (anna, ben):
                await open_client(db, f"ws://{web.address}/sync/room")
            insert = (
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
                " INSERT INTO todo(id, text) SELECT i, hex(zeroblob(200)) FROM n"
            )
            await anna.execute(insert)

            async def arrived() -> bool:
                return await ben.execute("SELECT count(*) FROM todo") == [(3000,)]

            await eventually(ben, arrived)


class TestLifespan:
    """It starts and ends with the web application, however that is told."""

    async def test_as_the_whole_application_it_is_started_and_closed_by_the_web_server(
        self, tmp_path: Path, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = SyncServer(tmp_path / "rooms")
        db = await open_database("anna")
        async with served(server.asgi()) as web:
            client = await open_client(db, f"ws://{web.address}/room")
            await put(db, "1", "Buy milk")
            await client.wait_until_synced(PATIENCE)
        assert server.rooms == []
        await reached(client, SyncStatus.OFFLINE, SyncStatus.CONNECTING)
        # It can be started again, and nothing is lost.
        async with served(server.asgi()) as web:
            other = await open_database("ben")
            again = await open_client(other, f"ws://{web.address}/room")
            await again.wait_until_synced(PATIENCE)
            assert await rows(other) == {"1": "Buy milk"}

    async def test_what_keeps_it_from_starting_is_told_at_the_start(self, tmp_path: Path) -> None:
        (tmp_path / "rooms").write_text("a file")
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "lifespan.startup"}

        async def send(event: Any) -> None:
            sent.append(event)

        await SyncServer(tmp_path / "rooms").asgi()({"type": "lifespan"}, receive, send)
        (failed,) = sent
        assert failed["type"] == "lifespan.startup.failed"
        assert "the rooms cannot be kept in" in failed["message"]

    def test_where_nobody_tells_it_begins_with_the_first_client_and_closes_with_the_loop(
        self, tmp_path: Path
    ) -> None:
        server = SyncServer(tmp_path / "rooms")

        async def main() -> None:
            app = inside_starlette(server.asgi(), with_lifespan=False)
            async with served(app, "off") as web, CrSqliteDatabase(tmp_path / "anna.db") as db:
                await db.run(create_table, TODO)
                url = f"ws://{web.address}/sync/room"
                async with SyncClient(db, url, backoff=QUICK) as client:
                    await put(db, "1", "Buy milk")
                    await client.wait_until_synced(PATIENCE)
            assert server.rooms == ["room"]

        asyncio.run(main())
        assert server.rooms == []
        # A database that was closed properly leaves no log behind.
        assert [path.name for path in (tmp_path / "rooms").iterdir()] == ["room.db"]

    async def test_once_closed_it_lets_nobody_in_although_the_web_server_goes_on(
        self, tmp_path: Path, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = SyncServer(tmp_path / "rooms")
        async with served(inside_starlette(server.asgi())) as web:
            client = await open_client(await open_database("anna"), f"ws://{web.address}/sync/room")
            await client.wait_until_synced(PATIENCE)
            await server.close()
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://{web.address}/sync/room")
            assert refused.value.response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
            assert refused.value.response.headers["Retry-After"] == "1"
            async with httpx.AsyncClient(base_url=f"http://{web.address}") as browser:
                assert (await browser.get("/sync/healthz")).status_code == HTTPStatus.SERVICE_UNAVAILABLE
                assert (await browser.get("/")).text == "home"
            await reached(client, SyncStatus.OFFLINE, SyncStatus.CONNECTING)
            assert server.rooms == []
            async with server.asgi():
                await client.resume()
                await reached(client, SyncStatus.SYNCED)

    async def test_it_works_beside_a_port_of_its_own(
        self, tmp_path: Path, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        async with SyncServer(tmp_path / "rooms", port=0) as server:
            anna, ben = [await open_database(name) for name in ("anna", "ben")]
            async with AsyncExitStack() as stack:
                web = await stack.enter_async_context(served(inside_starlette(server.asgi())))
                await open_client(anna, f"ws://{web.address}/sync/room")
                await open_client(ben, f"{server.url}/room")
                await put(anna, "1", "Buy milk")

                async def arrived() -> bool:
                    return await rows(ben) == {"1": "Buy milk"}

                await eventually(ben, arrived)


class TestTransport:
    """A websocket of an ASGI server, as sessions see it."""

    async def test_it_ends_when_the_client_has_gone(self) -> None:
        events = iter([{"type": "websocket.receive", "bytes": b"1"}, {"type": "websocket.disconnect"}])

        async def receive() -> Any:
            return next(events)

        async def send(event: Any) -> None:
            raise AssertionError("nobody is there")

        transport = AsgiTransport(receive, send, 10)
        assert [frame async for frame in transport] == [b"1"]
        with pytest.raises(AsgiTransport.lost):
            await transport.send(b"2")
        await transport.close(1000, "")

    async def test_whatever_a_server_raises_when_the_client_has_gone_means_that(self) -> None:
        async def receive() -> Any:
            return {"type": "websocket.disconnect"}

        async def send(event: Any) -> None:
            raise OSError("broken pipe")

        with pytest.raises(AsgiTransport.lost, match="broken pipe"):
            await AsgiTransport(receive, send, 10).send("text")
        await AsgiTransport(receive, send, 10).close(1000, "")


class TestOtherServers:
    """What ASGI leaves to servers and frameworks."""

    @pytest.mark.parametrize(
        ("scope", "room"),
        [
            # Starlette and uvicorn: the whole path, and where it is mounted.
            ({"path": "/sync/a b", "raw_path": b"/sync/a%20b", "root_path": "/sync"}, "a b"),
            # Older frameworks: what is left of the path.
            ({"path": "/a b", "root_path": "/sync"}, "a b"),
            ({"path": "/sync/a/b", "root_path": "/sync/"}, "a/b"),
            ({"path": "/zoé/a", "raw_path": b"/zo%C3%A9/a", "root_path": "/zoé"}, "a"),
            ({"path": "/room", "raw_path": None}, "room"),
            # A name is not cut because it begins like the place where it is mounted.
            ({"path": "/sync/synced", "root_path": "/sync"}, "synced"),
            ({"path": "/synced", "root_path": "/sync"}, "synced"),
        ],
    )
    async def test_the_room_is_what_is_below_the_place(
        self, tmp_path: Path, scope: dict[str, Any], room: str
    ) -> None:
        asked: list[str] = []

        def authenticate(request: Request) -> None:
            asked.append(request.room)

        events = await self._connect(SyncServer(tmp_path / "rooms", authenticate=authenticate), scope)
        assert asked == [room]
        kinds = [event["type"].removeprefix("websocket.") for event in events]
        assert kinds == ["accept", "send", "close"]

    async def test_without_the_extension_refusing_is_closing(self, tmp_path: Path) -> None:
        events = await self._connect(SyncServer(tmp_path / "rooms"), {"path": "/"})
        assert [event["type"] for event in events] == ["websocket.close"]

    @staticmethod
    async def _connect(server: SyncServer, scope: dict[str, Any]) -> list[Any]:
        incoming = iter([{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "{}"}])
        sent: list[Any] = []

        async def receive() -> Any:
            return next(incoming, {"type": "websocket.disconnect", "code": 1005})

        async def send(event: Any) -> None:
            sent.append(event)

        whole: Scope = {"type": "websocket", "headers": [], "query_string": b"", "client": None, **scope}
        async with server.asgi() as app:
            await app(whole, receive, send)
        return sent
