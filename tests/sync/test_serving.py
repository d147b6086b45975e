"""Who may do what, over real sockets: hooks that let in, tokens that run out, changes that are refused."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from replicell.persisters.crsqlite.changes import Change
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.keys import pack_key
from replicell.sync import (
    AccessDeniedError,
    CellChange,
    ChangeSet,
    Identity,
    Limits,
    RefusedChange,
    Request,
    StaticTokens,
    SyncClient,
    SyncStatus,
)
from replicell.sync.access import Right
from replicell.sync.backoff import Backoff
from replicell.sync.errors import RefusedError, SyncError
from replicell.sync.messages import (
    PROTOCOL,
    Ack,
    AskRow,
    Changes,
    Hello,
    Problem,
    Ready,
    Renewed,
    Row,
    Token,
    Welcome,
)
from replicell.sync.server import SyncServer
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, eventually, has_rows, put, rows
from tests.sync.test_client import reached
from tests.sync.test_server import EPOCH, HELLO, SITE, TODO, close_code, hear, tell

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


def no_beer(changes: ChangeSet, identity: Identity) -> str | None:
    """Refuse whole transactions in which somebody but Anna drinks."""
    drinks = any(change.value == "beer" for change in changes.changes)
    return "no beer here" if drinks and identity.name != "anna" else None


class TestChangesThatAreRefused:
    """A ``validate`` hook refuses by content; its reasons reach the client, which can take back."""

    @pytest.fixture
    async def pair(
        self, open_database: OpenDatabase, open_client: OpenClient, open_server: OpenServer
    ) -> tuple[CrSqliteDatabase, SyncClient, CrSqliteDatabase, SyncClient]:
        server = await open_server(validate=no_beer)
        a, b = await open_database("a"), await open_database("b")
        sync_a = await open_client(a, f"{server.url}/room")
        sync_b = await open_client(b, f"{server.url}/room")
        return a, sync_a, b, sync_b

    async def test_the_client_is_told_which_and_why_and_the_others_never_see_them(
        self, pair: tuple[CrSqliteDatabase, SyncClient, CrSqliteDatabase, SyncClient]
    ) -> None:
        a, sync_a, b, sync_b = pair
        told: list[RefusedChange] = []
        listener = sync_a.add_refused_listener(lambda _, changes: told.extend(changes))
        await put(a, "1", "milk")
        await put(a, "2", "beer")
        await put(a, "3", "bread")
        for sync in (sync_a, sync_b, sync_a):
            await sync.wait_until_synced(PATIENCE)

        assert await rows(b) == {"1": "milk", "3": "bread"}
        assert {(change.table, change.key, change.column, change.reason) for change in told} == {
            ("todo", ("2",), "text", "no beer here"),
            ("todo", ("2",), "n", "no beer here"),
        }
        assert set(told) == set(sync_a.refused_changes)
        assert "no beer here" in sync_a.status_detail
        assert sync_a.status is SyncStatus.SYNCED
        sync_a.del_listener(listener)

    async def test_a_refused_edit_stays_until_it_is_taken_back(
        self, pair: tuple[CrSqliteDatabase, SyncClient, CrSqliteDatabase, SyncClient]
    ) -> None:
        a, sync_a, b, sync_b = pair
        await put(a, "1", "milk")
        await sync_a.wait_until_synced(PATIENCE)
        await put(a, "1", "beer")
        await put(a, "2", "beer")
        await sync_a.wait_until_synced(PATIENCE)
        assert await rows(a) == {"1": "beer", "2": "beer"}

        reverted = await sync_a.revert()

        assert await rows(a) == {"1": "milk"}
        assert {change.key for change in reverted} == {("1",), ("2",)}
        assert sync_a.refused_changes == ()
        await sync_b.wait_until_synced(PATIENCE)
        await put(b, "1", "bread")
        await sync_b.wait_until_synced(PATIENCE)
        await sync_a.wait_until_synced(PATIENCE)
        assert await rows(a) == await rows(b) == {"1": "bread"}

    async def test_only_some_may_be_taken_back(
        self, pair: tuple[CrSqliteDatabase, SyncClient, CrSqliteDatabase, SyncClient]
    ) -> None:
        a, sync_a, *_ = pair
        await put(a, "1", "beer")
        await put(a, "2", "beer")
        await sync_a.wait_until_synced(PATIENCE)

        assert await sync_a.revert([]) == ()
        await sync_a.revert(change for change in sync_a.refused_changes if change.key == ("1",))

        assert await rows(a) == {"2": "beer"}
        assert {change.key for change in sync_a.refused_changes} == {("2",)}

    async def test_a_better_edit_is_judged_anew_and_not_taken_back(
        self, pair: tuple[CrSqliteDatabase, SyncClient, CrSqliteDatabase, SyncClient]
    ) -> None:
        a, sync_a, b, sync_b = pair
        await put(a, "1", "beer")
        await sync_a.wait_until_synced(PATIENCE)
        refused = sync_a.refused_changes
        await put(a, "1", "juice")
        await sync_a.wait_until_synced(PATIENCE)
        await sync_b.wait_until_synced(PATIENCE)
        assert await rows(b) == {"1": "juice"}

        reverted = await sync_a.revert(change for change in refused if change.column == "text")

        assert reverted == ()
        assert await rows(a) == {"1": "juice"}

    async def test_a_persisted_store_follows_what_is_taken_back(
        self, pair: tuple[CrSqliteDatabase, SyncClient, CrSqliteDatabase, SyncClient]
    ) -> None:
        from replicell.persisters import create_crsqlite_persister
        from replicell.store import Store

        a, sync_a, *_ = pair
        store = Store()
        persister = create_crsqlite_persister(
            store,
            a,
            {
                "mode": "tabular",
                "tables": {
                    "load": {"todo": {"table_id": "todo", "row_id_column_name": "id"}},
                    "save": {"todo": {"table_name": "todo", "row_id_column_name": "id"}},
                },
            },
        )
        await persister.start_auto_load()
        await persister.start_auto_save()
        store.set_row("todo", "1", {"text": "milk"})
        await persister.save()
        await sync_a.wait_until_synced(PATIENCE)
        gone = asyncio.Event()
        store.add_row_ids_listener("todo", lambda *_: gone.set() if not store.has_row("todo", "2") else None)
        store.set_cell("todo", "1", "text", "beer")
        store.set_row("todo", "2", {"text": "beer"})
        await persister.save()
        await sync_a.wait_until_synced(PATIENCE)
        gone.clear()

        await sync_a.revert()

        async with asyncio.timeout(PATIENCE):
            await gone.wait()
        await persister.load()
        assert store.get_tables() == {"todo": {"1": {"text": "milk"}}}
        await persister.destroy()

    async def test_the_hook_sees_whole_transactions_decoded(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        seen: list[ChangeSet] = []

        def validate(changes: ChangeSet, identity: Identity) -> None:
            seen.append(changes)

        server = await open_server(validate=validate)
        db = await open_database("a")
        sync = await open_client(db, f"{server.url}/a/b")
        await db.execute(
            "INSERT INTO todo(id, text, n) VALUES ('1', '\ufffd{\"a\":[1]}', '\ufffdtrue'), ('2', 'x', NULL)"
        )
        await sync.wait_until_synced(PATIENCE)
        await db.execute("UPDATE todo SET text = NULL WHERE id = '2'")
        await db.execute("DELETE FROM todo WHERE id = '1'")
        await sync.wait_until_synced(PATIENCE)

        assert [change_set.room for change_set in seen] == ["a/b"] * len(seen)
        assert all(change_set.complete and change_set.author == db.site_id for change_set in seen)
        assert seen[0].cells("todo") == {("1",): {"text": {"a": [1]}, "n": True}, ("2",): {"text": "x"}}
        later = [change for change_set in seen[1:] for change in change_set.changes]
        assert [(change.kind, change.key, change.column) for change in later] == [
            ("clear", ("2",), "text"),
            ("delete", ("1",), None),
        ]

    async def test_a_part_of_a_transaction_may_be_refused(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        async def validate(changes: ChangeSet, identity: Identity) -> dict[CellChange, str]:
            return {change: "not this" for change in changes.changes if change.value == "beer"}

        server = await open_server(validate=validate)
        a, b = await open_database("a"), await open_database("b")
        sync_a = await open_client(a, f"{server.url}/room")
        sync_b = await open_client(b, f"{server.url}/room")
        await a.execute("INSERT INTO todo(id, text, n) VALUES ('1', 'beer', 5), ('2', 'milk', 6)")
        await sync_a.wait_until_synced(PATIENCE)
        await sync_b.wait_until_synced(PATIENCE)

        assert await b.execute("SELECT id, text, n FROM todo ORDER BY id") == [
            ("1", None, 5),
            ("2", "milk", 6),
        ]
        assert [(change.key, change.column) for change in sync_a.refused_changes] == [(("1",), "text")]

    async def test_more_than_a_hundred_refused_changes_are_all_told(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server(validate=lambda changes, identity: "closed on Sundays")
        db = await open_database("a")
        sync = await open_client(db, f"{server.url}/room")
        await db.execute(
            "WITH RECURSIVE up(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM up WHERE i < 150)"
            " INSERT INTO todo(id, text) SELECT CAST(i AS TEXT), 'x' FROM up"
        )
        await sync.wait_until_synced(PATIENCE)

        assert len({(change.key, change.column) for change in sync.refused_changes}) == 300

    @pytest.mark.parametrize("fault", ["fail", "hang", "nonsense"])
    async def test_while_the_hook_fails_or_hangs_nothing_is_lost_and_nothing_applied(
        self,
        open_server: OpenServer,
        open_database: OpenDatabase,
        open_client: OpenClient,
        caplog: pytest.LogCaptureFixture,
        fault: str,
    ) -> None:
        broken = True

        async def validate(changes: ChangeSet, identity: Identity) -> Any:
            if broken and any(change.value == "trigger" for change in changes.changes):
                if fault == "fail":
                    raise RuntimeError("secret detail")
                if fault == "hang":
                    await asyncio.Event().wait()
                return 7
            return None

        server = await open_server(validate=validate, limits=Limits(hook_seconds=0.05))
        a, b = await open_database("a"), await open_database("b")
        sync_a = await open_client(a, f"{server.url}/room")
        sync_b = await open_client(b, f"{server.url}/room")
        await sync_a.wait_until_synced(PATIENCE)
        await put(a, "1", "trigger")
        await reached(sync_a, SyncStatus.OFFLINE)
        assert "could not judge" in sync_a.status_detail
        assert "secret" not in sync_a.status_detail
        await put(b, "2", "from the other")
        await sync_b.wait_until_synced(PATIENCE)
        assert await rows(b) == {"2": "from the other"}
        assert "could not be judged" in caplog.text

        broken = False
        await eventually(b, lambda: has_rows(b, 2))
        await sync_a.wait_until_synced(PATIENCE)
        assert sync_a.refused_changes == ()

    async def test_what_cannot_be_decoded_never_gets_past_the_hook(self, open_server: OpenServer) -> None:
        seen: list[CellChange] = []

        def validate(changes: ChangeSet, identity: Identity) -> None:
            seen.extend(changes.changes)

        server = await open_server(validate=validate)
        good = Change("todo", pack_key(["a"]), "text", "good", 1, 1, 0, 1)
        bad = Change("todo", b"\x01\x49" + b"\0" * 20, "text", "bad", 1, 1, 0, 1)
        nested: Any = {"a": 1}
        odd = Change("todo", pack_key(["b"]), "text", nested, 1, 1, 0, 1)
        async with connect(f"{server.url}/room") as websocket:
            await tell(websocket, HELLO)
            await hear(websocket, Welcome)
            await tell(websocket, Ready(EPOCH, 0))
            await tell(websocket, Changes(EPOCH, 0, 1, 1, 0, True, [bad, good, odd]))
            problem = await hear(websocket, Problem)
            assert {row.pk for row in problem.rows} == {bad.pk, odd.pk}
        assert [change.value for change in seen] == ["good"]

    async def test_a_row_is_told_as_it_stands(self, open_server: OpenServer) -> None:
        server = await open_server()
        row = Change("todo", pack_key(["a"]), "text", "good", 1, 1, 0, 1)
        async with connect(f"{server.url}/room") as websocket:
            await tell(websocket, HELLO)
            await hear(websocket, Welcome)
            await tell(websocket, Ready(EPOCH, 0))
            await tell(websocket, Changes(EPOCH, 0, 1, 1, 0, True, [row]))
            await hear(websocket, Ack)
            for number, (table, pk) in enumerate(
                [("todo", row.pk), ("todo", b""), ("todo", pack_key([1, 2])), ("none", row.pk)]
            ):
                await tell(websocket, AskRow(number, table, pk))
            answers = [await hear(websocket, Row) for _ in range(4)]
        assert [(answer.number, [change.val for change in answer.rows]) for answer in answers] == [
            (0, ["good"]), (1, []), (2, []), (3, []),
        ]  # fmt: skip
