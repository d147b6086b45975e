"""Who is let in, over real sockets: what hooks are asked, and how who is refused is told."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from replicell.sync import (
    AccessDeniedError,
    Identity,
    Limits,
    Request,
    StaticTokens,
    SyncStatus,
)
from replicell.sync.backoff import Backoff
from replicell.sync.errors import RefusedError, SyncError
from replicell.sync.messages import (
    PROTOCOL,
    Hello,
    Problem,
    Welcome,
)
from replicell.sync.server import SyncServer
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, put
from tests.sync.test_client import reached
from tests.sync.test_server import HELLO, SITE, TODO, close_code, hear, tell

ROOMS = StaticTokens(
    identities={
        "anna": Identity(name="anna", rooms={"team/*": "write", "team/archive": "read"}),
        "ben": Identity(name="ben", rooms={"*": "read"}),
    }
)


async def status_of(url: str, **headers: str) -> tuple[int, str]:
    """Return how a request for a connection is refused."""
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, additional_headers=headers, compression=None)
    response = refused.value.response
    return response.status_code, (response.body or b"").decode()


class TestAtTheGate:
    """An ``authenticate`` hook decides, before the connection is opened where that can be."""

    async def test_rights_go_by_room(self, open_server: OpenServer) -> None:
        server = await open_server(authenticate=ROOMS)
        async with server.open_room("team/archive"):
            pass  # Who may only read makes no room.
        read_only = {}
        for room in ("team/plans", "team/archive"):
            async with connect(f"{server.url}/{room}?token=anna") as websocket:
                await tell(websocket, HELLO)
                read_only[room] = (await hear(websocket, Welcome)).read_only
        assert read_only == {"team/plans": False, "team/archive": True}

        status, text = await status_of(f"{server.url}/other?token=anna")
        assert (status, text) == (HTTPStatus.FORBIDDEN, "anna may not enter this room\n")
        status, text = await status_of(f"{server.url}/team/plans?token=guess")
        assert (status, text.split(":")[0]) == (HTTPStatus.UNAUTHORIZED, "the token is not valid here")

    async def test_the_hook_sees_who_asks_for_what(self, open_server: OpenServer) -> None:
        seen: list[Request] = []

        async def authenticate(request: Request) -> Identity | None:
            seen.append(request)
            return Identity()

        server = await open_server(authenticate=authenticate, origins=["https://example.com"])
        headers = {"Authorization": "Bearer header", "Cookie": "session=1", "X-Own": "a"}
        async with connect(
            f"{server.url}/a%20b?token=query&x=1",
            additional_headers=headers,
            origin="https://example.com",  # type: ignore[arg-type]  # a str is one
        ):
            (request,) = seen
        assert (request.room, request.token, request.address) == ("a b", "header", "127.0.0.1")
        assert (request.origin, request.query) == ("https://example.com", {"token": ["query"], "x": ["1"]})
        assert (request.headers["cookie"], request.headers["x-own"]) == ("session=1", "a")

    async def test_without_a_token_the_hook_is_asked_again_with_that_of_the_first_message(
        self, open_server: OpenServer
    ) -> None:
        seen: list[str | None] = []

        def authenticate(request: Request) -> Identity | None:
            seen.append(request.token)
            return Identity() if request.token == "right" else None

        server = await open_server(authenticate=authenticate)
        async with connect(f"{server.url}/room") as websocket:
            await tell(websocket, Hello(PROTOCOL, SITE, [], [TODO], token="right"))
            await hear(websocket, Welcome)
        assert seen == [None, "right"]

    @pytest.mark.parametrize(
        ("token", "problem", "code"), [("anna", "forbidden", 4403), ("guess", "unauthorized", 4401)]
    )
    async def test_after_the_upgrade_refusals_have_close_codes_of_their_own(
        self, open_server: OpenServer, token: str, problem: str, code: int
    ) -> None:
        server = await open_server(authenticate=ROOMS)
        async with connect(f"{server.url}/other") as websocket:
            await tell(websocket, Hello(PROTOCOL, SITE, [], [TODO], token=token))
            assert (await hear(websocket, Problem)).code == problem
            assert await close_code(websocket) == code
        assert server.rooms == []

    @pytest.mark.parametrize("forbidden", [False, True])
    async def test_a_hook_may_say_why_not(self, open_server: OpenServer, forbidden: bool) -> None:
        def authenticate(request: Request) -> Identity:
            raise AccessDeniedError("your subscription has ended", forbidden=forbidden)

        server = await open_server(authenticate=authenticate)
        status, text = await status_of(f"{server.url}/room?token=x")
        assert text == "your subscription has ended\n"
        assert status == (HTTPStatus.FORBIDDEN if forbidden else HTTPStatus.UNAUTHORIZED)

    async def test_a_hook_that_refuses_with_a_reason_does_not_wait_for_a_token(
        self, open_server: OpenServer
    ) -> None:
        def authenticate(request: Request) -> Identity:
            raise AccessDeniedError("not from there")

        server = await open_server(authenticate=authenticate)
        assert await status_of(f"{server.url}/room") == (HTTPStatus.UNAUTHORIZED, "not from there\n")

    async def test_an_identity_that_has_run_out_already_does_not_open_the_room(
        self, open_server: OpenServer
    ) -> None:
        server = await open_server(authenticate=lambda _: Identity(expires_at=1.0))
        async with connect(f"{server.url}/room") as websocket:
            assert await close_code(websocket) == 4419
        assert server.rooms == []

    async def test_a_hook_that_fails_or_hangs_lets_nobody_in_and_the_server_goes_on(
        self, open_server: OpenServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def authenticate(request: Request) -> Identity:
            if request.token == "fail":
                raise RuntimeError("secret detail")
            if request.token == "hang":
                await asyncio.Event().wait()
            return Identity()

        server = await open_server(authenticate=authenticate, limits=Limits(hook_seconds=0.05))
        for token in ("fail", "hang"):
            status, text = await status_of(f"{server.url}/room?token={token}")
            assert status == HTTPStatus.INTERNAL_SERVER_ERROR
            assert "secret" not in text
        assert "authenticate hook failed" in caplog.text
        assert "took longer than 0.05 seconds" in caplog.text
        async with connect(f"{server.url}/room?token=good") as websocket:
            await tell(websocket, HELLO)
            await hear(websocket, Welcome)

    async def test_a_repeated_authorization_header_is_refused(self, open_server: OpenServer) -> None:
        server = await open_server(authenticate=ROOMS)
        headers = [("Authorization", "Bearer anna"), ("Authorization", "Bearer ben")]
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"{server.url}/team/a", additional_headers=headers)
        assert refused.value.response.status_code == HTTPStatus.BAD_REQUEST

    async def test_a_hook_and_tokens_exclude_each_other(self, tmp_path: Any) -> None:
        with pytest.raises(SyncError, match="either authenticate= or tokens="):
            SyncServer(tmp_path, authenticate=ROOMS, tokens=["x"])


class TestRefusals:
    """A refused client does not storm the server."""

    async def test_a_client_with_a_wrong_token_asks_once_and_then_rests(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        asked: list[str | None] = []

        def authenticate(request: Request) -> Identity | None:
            asked.append(request.token)
            return Identity() if request.token == "right" else None

        server = await open_server(authenticate=authenticate)
        backoff = Backoff(initial=0.001, maximum=0.001, refused=0.001)
        db = await open_database("a")
        sync = await open_client(db, f"{server.url}/room", token="wrong", backoff=backoff)
        await reached(sync, SyncStatus.REFUSED)
        for number in range(20):
            await put(db, str(number), "x")
        assert asked == ["wrong"]

        await sync.resume()
        await reached(sync, SyncStatus.CONNECTING)
        await reached(sync, SyncStatus.REFUSED)
        assert asked == ["wrong", "wrong"]

        await sync.set_token("right")
        await sync.wait_until_synced(PATIENCE)

    async def test_a_room_that_is_not_ones_own_is_forbidden(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server(authenticate=ROOMS)
        sync = await open_client(await open_database("a"), f"{server.url}/other", token="anna")
        await reached(sync, SyncStatus.REFUSED)
        with pytest.raises(RefusedError, match="anna may not enter this room") as caught:
            await sync.wait_until_synced(PATIENCE)
        assert caught.value.code == "forbidden"

    async def test_a_room_name_that_cannot_be_is_asked_for_once(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server()
        backoff = Backoff(initial=0.001, maximum=0.001, refused=0.001)
        sync = await open_client(await open_database("a"), f"{server.url}/a//b", backoff=backoff)
        statuses: list[SyncStatus] = []
        await reached(sync, SyncStatus.REFUSED)
        sync.add_status_listener(lambda _, status, __: statuses.append(status))
        other = await open_client(await open_database("b"), f"{server.url}/a/b")
        await other.wait_until_synced(PATIENCE)
        assert statuses == []
        assert "the room name 'a//b' is not allowed" in sync.status_detail
