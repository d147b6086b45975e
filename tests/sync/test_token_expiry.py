"""Tokens that run out, over real sockets: a client with a new one stays, another one is sent away."""

from __future__ import annotations

import asyncio

import pytest
from websockets.asyncio.client import connect

from replicell.sync import (
    Identity,
    Request,
    SyncStatus,
)
from replicell.sync.access import Right
from replicell.sync.backoff import Backoff
from replicell.sync.errors import RefusedError
from replicell.sync.messages import (
    Ack,
    Changes,
    Problem,
    Ready,
    Renewed,
    Token,
    Welcome,
)
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, put
from tests.sync.test_client import reached
from tests.sync.test_server import EPOCH, HELLO, close_code, hear, tell


class Clock:
    """The time of day, as the test wants it."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class TestTokensThatRunOut:
    """A client that sends a new one in time stays, another one is sent away."""

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock()

    @staticmethod
    def authenticate(request: Request) -> Identity | None:
        """Tokens say until when they are good, and what may be done."""
        if request.token is None:
            return None
        expires_at, _, right = request.token.partition("-")
        rights: dict[str, Right] = {"read": "read", "write": "write"}
        if right not in rights:
            return None
        return Identity(name="anna", rooms={"*": rights[right]}, expires_at=float(expires_at))

    async def test_a_client_without_a_new_token_is_sent_away(
        self, open_server: OpenServer, clock: Clock
    ) -> None:
        server = await open_server(authenticate=self.authenticate, clock=clock)
        async with connect(f"{server.url}/room?token=1000010-write") as websocket:
            await tell(websocket, HELLO)
            assert (await hear(websocket, Welcome)).expires_in == 10
            clock.now += 10
            assert await close_code(websocket) == 4419

    async def test_a_client_with_a_new_token_stays(self, open_server: OpenServer, clock: Clock) -> None:
        server = await open_server(authenticate=self.authenticate, clock=clock)
        async with connect(f"{server.url}/room?token=1000010-write") as websocket:
            await tell(websocket, HELLO)
            await hear(websocket, Welcome)
            await tell(websocket, Ready(EPOCH, 0))
            await tell(websocket, Token("nonsense"))
            assert (await hear(websocket, Problem)).code == "unauthorized"
            renewed = None
            while renewed is None:
                # Tokens are looked at one by one, and not one after the other at once.
                await tell(websocket, Token("1000100-write"))
                try:
                    renewed = await asyncio.wait_for(hear(websocket, Renewed), 0.1)
                except TimeoutError:
                    continue
            assert renewed.expires_in == 100
            clock.now += 50
            await tell(websocket, Changes(EPOCH, 0, 1, 1, 0, True, []))
            await hear(websocket, Ack)
            clock.now += 50
            assert await close_code(websocket) == 4419

    async def test_with_other_rights_it_must_connect_anew(
        self, open_server: OpenServer, clock: Clock
    ) -> None:
        server = await open_server(authenticate=self.authenticate, clock=clock)
        async with connect(f"{server.url}/room?token=1000010-write") as websocket:
            await tell(websocket, HELLO)
            await hear(websocket, Welcome)
            await tell(websocket, Ready(EPOCH, 0))
            await tell(websocket, Token("1000100-read"))
            assert await close_code(websocket) == 4419

    async def test_a_sync_client_renews_its_token_by_itself(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, clock: Clock
    ) -> None:
        server = await open_server(authenticate=self.authenticate, clock=clock)
        given: list[str] = []
        second = asyncio.Event()

        async def token() -> str:
            given.append(f"{clock.now + (1 if not given else 1000)}-write")
            if len(given) == 2:
                second.set()
            return given[-1]

        db = await open_database("a")
        sync = await open_client(db, f"{server.url}/room", token=token)
        ended: list[SyncStatus] = []
        await sync.wait_until_synced(PATIENCE)
        sync.add_status_listener(lambda _, status, __: ended.append(status))
        async with asyncio.timeout(PATIENCE):
            await second.wait()
        await sync.wait_until_synced(PATIENCE)
        clock.now += 100
        await put(db, "1", "still here")
        await sync.wait_until_synced(PATIENCE)

        assert len(given) == 2
        assert SyncStatus.OFFLINE not in ended

    async def test_a_sync_client_with_a_fixed_token_stops_until_it_gets_another(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, clock: Clock
    ) -> None:
        server = await open_server(authenticate=self.authenticate, clock=clock)
        sync = await open_client(await open_database("a"), f"{server.url}/room", token="1000010-write")
        await sync.wait_until_synced(PATIENCE)

        clock.now += 10
        await reached(sync, SyncStatus.REFUSED)
        assert "run out" in sync.status_detail
        with pytest.raises(RefusedError) as caught:
            await sync.wait_until_synced(PATIENCE)
        assert caught.value.code == "expired"

        await sync.set_token("1000100-write")
        await reached(sync, SyncStatus.SYNCED)

    async def test_a_token_set_in_time_prolongs_the_connection(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, clock: Clock
    ) -> None:
        server = await open_server(authenticate=self.authenticate, clock=clock)
        sync = await open_client(await open_database("a"), f"{server.url}/room", token="1000010-write")
        await sync.wait_until_synced(PATIENCE)
        statuses: list[SyncStatus] = []
        sync.add_status_listener(lambda _, status, __: statuses.append(status))

        await sync.set_token("1000100-write")
        await sync.wait_until_synced(PATIENCE)
        clock.now += 50
        await sync.wait_until_synced(PATIENCE)

        assert set(statuses) <= {SyncStatus.SYNCING, SyncStatus.SYNCED}

    async def test_a_fresh_token_is_asked_for_at_each_attempt(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server(tokens=["third"])
        tokens = iter(["first", "second", "third"])
        backoff = Backoff(initial=0.001, maximum=0.001, refused=0.001)
        sync = await open_client(
            await open_database("a"), f"{server.url}/room", token=lambda: next(tokens), backoff=backoff
        )
        await reached(sync, SyncStatus.SYNCED)

    async def test_a_token_function_that_fails_is_asked_again(
        self,
        open_server: OpenServer,
        open_database: OpenDatabase,
        open_client: OpenClient,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        server = await open_server(tokens=["right"])
        attempts = 0

        def token() -> str:
            nonlocal attempts
            attempts += 1
            if attempts == 1:
                raise OSError("the login server is away")
            return "right"

        sync = await open_client(await open_database("a"), f"{server.url}/room", token=token)
        await sync.wait_until_synced(PATIENCE)
        assert "no token could be had" in caplog.text
