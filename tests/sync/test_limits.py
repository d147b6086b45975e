"""Limits: at each of them the last that fits is taken, and the next one is not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from replicell.persisters.crsqlite.changes import ROW, Change, change_size
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.keys import pack_key
from replicell.sync import Identity, Limits, SyncStatus
from replicell.sync.attendance import Attendance, Party, Seat, party_of
from replicell.sync.backoff import Backoff
from replicell.sync.client_addresses import ClientAddresses, neighbourhood
from replicell.sync.errors import SyncError
from replicell.sync.limits import TokenBucket
from replicell.sync.messages import (
    PROTOCOL,
    Ack,
    Changes,
    Hello,
    Problem,
    Ready,
    TableAnnouncement,
    Welcome,
    decode,
)
from replicell.sync.room_limits import used_bytes
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, Clock, put, rows
from tests.sync.test_client import reached
from tests.sync.test_server import EPOCH, HELLO, SITE, TODO, close_code, hear, tell

ANNA = Party("name", "anna")


@asynccontextmanager
async def joined(
    url: str, tables: list[TableAnnouncement] | None = None, *, site: bytes = SITE
) -> AsyncIterator[ClientConnection]:
    """Connect and shake hands."""
    async with connect(url, compression=None) as websocket:
        await tell(websocket, Hello(PROTOCOL, site, [], [TODO] if tables is None else tables))
        await hear(websocket, Welcome)
        await tell(websocket, Ready(EPOCH, 0))
        yield websocket


def cell(key: str, val: Any, **fields: Any) -> Change:
    return Change(**{
        "table": "todo", "pk": pack_key([key]), "cid": "text", "val": val,
        "col_version": 1, "cl": 1, "seq": 0, "db_version": 1, **fields,
    })  # fmt: skip


async def refused_by(websocket: ClientConnection, number: int, *changes: Change) -> list[tuple[bytes, str]]:
    """Send changes as one version; the keys and reasons of those that were refused."""
    await tell(websocket, Changes(EPOCH, number - 1, number, number, 0, True, list(changes)))
    found: list[tuple[bytes, str]] = []
    async with asyncio.timeout(PATIENCE):
        while not isinstance(message := decode(await websocket.recv()), Ack):
            if isinstance(message, Problem):
                found += [(row.pk, row.reason) for row in message.rows]
    return found


class TestNumbers:
    @pytest.mark.parametrize(
        "limits",
        [
            {"connections": 0},
            {"rooms": -1},
            {"changes_per_second": float("nan")},
            {"idle_seconds": float("inf")},
            {"message_bytes": None},
            {"hook_seconds": None},
            {"message_bytes": 128 * 1024 - 1},
        ],
    )
    def test_numbers_that_make_no_sense_are_refused(self, limits: dict[str, Any]) -> None:
        (name,) = limits
        with pytest.raises(SyncError, match=name):
            Limits(**limits)

    def test_none_is_no_limit(self) -> None:
        limits = Limits(connections=None, rooms=None, changes_per_second=None)
        assert (limits.connections, limits.rooms, limits.changes_per_second) == (None, None, None)


class TestTokenBucket:
    def test_a_burst_passes_and_what_goes_beyond_it_waits(self) -> None:
        clock = Clock()
        bucket = TokenBucket(rate=10, burst=100, clock=clock)
        assert bucket.take(100) == 0.0
        assert bucket.take(1) == pytest.approx(0.1)

    def test_in_the_long_run_the_rate_passes(self) -> None:
        clock = Clock()
        bucket = TokenBucket(rate=10, burst=100, clock=clock)
        bucket.take(100)
        for _ in range(1000):
            clock.now += bucket.take(7)
        assert clock.now == pytest.approx(700)

    def test_it_is_never_fuller_than_the_burst(self) -> None:
        clock = Clock()
        bucket = TokenBucket(rate=10, burst=100, clock=clock)
        clock.now = 1e9
        assert bucket.full
        assert bucket.take(101) == pytest.approx(0.1)
        assert not bucket.full


class TestAttendance:
    def test_an_address_has_its_seats_and_gets_them_back(self) -> None:
        attendance = Attendance(Limits(connections_per_address=2), Clock())
        seats = [Seat(attendance) for _ in range(4)]
        for seat in seats:
            seat.arrive()
        assert [seat.take("10.0.0.1") is None for seat in seats[:3]] == [True, True, False]
        assert seats[3].take("10.0.0.2") is None

        seats[2].leave()
        seats[0].leave()
        seats[0].leave()
        newcomer = Seat(attendance)
        newcomer.arrive()
        assert newcomer.take("10.0.0.1") is None
        assert attendance.connections == 3

    def test_in_all_there_are_so_many(self) -> None:
        attendance = Attendance(Limits(connections=2), Clock())
        seats = [Seat(attendance) for _ in range(3)]
        taken = []
        for number, seat in enumerate(seats):
            seat.arrive()
            taken.append(seat.take(f"10.0.0.{number}") is None)
        assert taken == [True, True, False]
        assert not attendance.overcrowded
        for _ in range(100):
            Seat(attendance).arrive()
        assert attendance.overcrowded

    def test_from_one_address_so_many_try_at_once_and_so_many_a_second(self) -> None:
        clock = Clock()
        attendance = Attendance(Limits(connects_per_second=2), clock)
        assert [attendance.attempt("2001:db8::1") for _ in range(20)] == [0.0] * 20
        # Who tries in vain does not have to wait longer for that.
        assert [attendance.attempt("2001:db8::2") for _ in range(3)] == [0.5] * 3
        assert attendance.attempt("203.0.113.9") == 0.0
        clock.now = 0.5
        assert [attendance.attempt("2001:db8::1") for _ in range(2)] == [0.0, 0.5]
        clock.now = 10.4
        attendance.tick()
        assert [attendance.attempt("2001:db8::1") for _ in range(20)].count(0.0) == 19
        clock.now = 1000.0
        attendance.tick()
        assert [attendance.attempt("2001:db8::1") for _ in range(21)].count(0.0) == 20

    def test_a_rate_below_one_lets_one_try(self) -> None:
        attendance = Attendance(Limits(connects_per_second=0.01), Clock())
        assert [attendance.attempt("203.0.113.9") for _ in range(2)] == [0.0, 100.0]

    def test_all_connections_of_an_identity_share_what_it_may_do_also_when_they_come_again(self) -> None:
        clock = Clock()
        attendance = Attendance(Limits(changes_per_second=10, burst_changes=10), clock)
        first, second = attendance.bucket(ANNA), attendance.bucket(ANNA)
        assert first is not None
        assert second is first
        first.take(100)
        attendance.return_bucket(ANNA)
        attendance.return_bucket(ANNA)
        attendance.tick()
        assert attendance.bucket(ANNA) is first
        attendance.return_bucket(ANNA)
        clock.now = 1000.0
        attendance.tick()
        assert attendance.bucket(ANNA) is not first

    def test_without_a_rate_there_is_nothing_to_count(self) -> None:
        attendance = Attendance(Limits(), Clock())
        assert attendance.bucket(ANNA) is None
        attendance.return_bucket(ANNA)

    def test_a_name_that_looks_like_an_address_is_none(self) -> None:
        attendance = Attendance(Limits(changes_per_second=10), Clock())
        named = party_of(Identity(name="203.0.113.9"), "198.51.100.1")
        nameless = party_of(Identity(), "203.0.113.9")
        assert attendance.bucket(named) is not attendance.bucket(nameless)
        assert party_of(Identity(name="203.0.113.9"), "2001:db8::1") == named
        assert party_of(Identity(), "::ffff:203.0.113.9") == nameless


class TestAddresses:
    """Only what trusted proxies say is believed."""

    addresses = ClientAddresses(["10.0.0.0/8", "fd00::/8"], "X-Forwarded-For")

    @pytest.mark.parametrize(
        ("peer", "header", "found"),
        [
            ("203.0.113.1", None, "203.0.113.1"),
            ("203.0.113.1", "198.51.100.1", "203.0.113.1"),
            ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "6.6.6.6, 198.51.100.1,10.0.0.2 ,", "198.51.100.1"),
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("10.0.0.1", "198.51.100.1, unknown", "10.0.0.1"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("::ffff:10.0.0.1", "2001:db8::1", "2001:db8::1"),
            ("fd00::1", "198.51.100.1", "198.51.100.1"),
            ("", "198.51.100.1", ""),
        ],
    )
    def test_the_last_one_that_a_trusted_proxy_has_seen(
        self, peer: str, header: str | None, found: str
    ) -> None:
        headers = {} if header is None else {"x-forwarded-for": header}
        assert self.addresses.find(peer, headers) == found

    def test_no_proxy_is_trusted_unless_it_is_named(self) -> None:
        assert ClientAddresses().find("127.0.0.1", {"x-forwarded-for": "1.2.3.4"}) == "127.0.0.1"

    @pytest.mark.parametrize("proxies", [["somewhere"], ["10.0.0.1/8"], "10.0.0.1"])
    def test_what_is_no_network_is_refused(self, proxies: Any) -> None:
        with pytest.raises(SyncError, match="trusted"):
            ClientAddresses(proxies)

    def test_an_ipv6_network_counts_as_one_address(self) -> None:
        assert neighbourhood("2001:db8::1") == neighbourhood("2001:db8::ffff:1")
        assert neighbourhood("2001:db8::1") != neighbourhood("2001:db8:0:1::1")
        assert neighbourhood("no address") == "no address"


async def refused_with(url: str, **headers: str) -> tuple[int, str | None]:
    with pytest.raises(InvalidStatus) as refused:
        await connect(url, additional_headers=headers)
    response = refused.value.response
    return response.status_code, response.headers.get("Retry-After")


class TestConnections:
    async def test_from_one_address_so_many(self, open_server: OpenServer) -> None:
        server = await open_server(limits=Limits(connections_per_address=2))
        url = f"{server.url}/room"
        async with connect(url) as first:
            async with connect(url):
                assert await refused_with(url) == (HTTPStatus.TOO_MANY_REQUESTS, "5")
                # A header that nobody trusts changes nothing.
                assert (await refused_with(url, **{"X-Forwarded-For": "1.2.3.4"}))[0] == 429
            await first.close()
        async with connect(url), connect(url):
            assert (await refused_with(url))[0] == 429

    async def test_who_tries_too_often_is_refused_before_anybody_is_asked_who_it_is(
        self, open_server: OpenServer
    ) -> None:
        asked = 0

        def authenticate(_: object) -> Identity | None:
            nonlocal asked
            asked += 1
            return Identity() if asked > 5 else None

        # What was tried too often is in time again after many hours.
        server = await open_server(
            limits=Limits(connects_per_second=0.0001),
            authenticate=authenticate,
            trusted_proxies=["127.0.0.1"],
        )
        url = f"{server.url}/room?token=guess"
        guesser, other = {"X-Forwarded-For": "198.51.100.1"}, {"X-Forwarded-For": "198.51.100.2"}
        assert (await refused_with(url, **guesser))[0] == HTTPStatus.UNAUTHORIZED
        for _ in range(3):
            status, retry = await refused_with(url, **guesser)
            assert status == HTTPStatus.TOO_MANY_REQUESTS
            assert 9000 < int(retry or 0) <= 10_000
        assert asked == 1
        assert (await refused_with(url, **other))[0] == HTTPStatus.UNAUTHORIZED

    async def test_behind_a_trusted_proxy_the_clients_are_told_apart(self, open_server: OpenServer) -> None:
        server = await open_server(
            limits=Limits(connections_per_address=1),
            trusted_proxies=["127.0.0.1"],
            proxy_header="X-Real-Address",
        )
        url = f"{server.url}/room"
        one = {"X-Real-Address": "198.51.100.1"}
        async with connect(url, additional_headers=one):
            assert (await refused_with(url, **one))[0] == 429
            async with connect(url, additional_headers={"X-Real-Address": "198.51.100.2"}):
                pass

    async def test_in_all_so_many_also_those_that_say_nothing(self, open_server: OpenServer) -> None:
        server = await open_server(limits=Limits(connections=2))
        url = f"{server.url}/room"
        _, silent = await asyncio.open_connection("127.0.0.1", server.port)
        async with connect(url):
            assert (await refused_with(url))[0] == 429
            silent.close()
            await silent.wait_closed()

    async def test_a_crowded_server_is_asked_again_later_without_haste(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        asked = 0

        def authenticate(_: object) -> Identity:
            nonlocal asked
            asked += 1
            return Identity()

        server = await open_server(limits=Limits(connections_per_address=1), authenticate=authenticate)
        url = f"{server.url}/room"
        backoff = Backoff(initial=0.001, maximum=0.001)
        async with connect(url) as occupant:
            sync = await open_client(await open_database("a"), url, backoff=backoff)
            await reached(sync, SyncStatus.OFFLINE)
            assert "the server answers 429: there are already 1 connections" in sync.status_detail
            await occupant.close()
        # It would wait for the five seconds that the server asked for.
        await sync.resume()
        await sync.wait_until_synced(PATIENCE)
        assert asked == 2


async def welcome(url: str) -> bool:
    """Tell whether a room can be entered."""
    async with connect(url) as websocket:
        try:
            await tell(websocket, HELLO)
            await hear(websocket, Welcome)
        except ConnectionClosed:
            return False
    return True


class TestRooms:
    async def test_so_many_are_open_at_a_time(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server(limits=Limits(open_rooms=2))
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(joined(f"{server.url}/a"))
            second = await stack.enter_async_context(joined(f"{server.url}/b"))
            sync = await open_client(await open_database("a"), f"{server.url}/c")
            await reached(sync, SyncStatus.OFFLINE)
            assert "all the 2 rooms that may be open are in use" in sync.status_detail
            # An idle room makes way, once the server has noticed that it is one.
            await second.close()
            async with asyncio.timeout(PATIENCE):
                while not await welcome(f"{server.url}/c"):
                    continue
            assert server.rooms == ["a", "c"]
            await sync.resume()
            await sync.wait_until_synced(PATIENCE)

    async def test_so_many_are_made_at_all(self, open_server: OpenServer, tmp_path: Path) -> None:
        server = await open_server(limits=Limits(rooms=2), room_idle_seconds=0)
        for room in ("a", "b"):
            async with joined(f"{server.url}/{room}"):
                pass
        async with connect(f"{server.url}/c") as websocket:
            assert await close_code(websocket) == 4429
        async with joined(f"{server.url}/a"):
            pass
        assert sorted(path.name for path in (tmp_path / "rooms").glob("*.db")) == ["a.db", "b.db"]

    async def test_who_may_only_read_makes_none_and_comes_in_once_there_is_one(
        self,
        open_server: OpenServer,
        open_database: OpenDatabase,
        open_client: OpenClient,
        tmp_path: Path,
    ) -> None:
        server = await open_server(tokens=["w"], read_only_tokens=["r"])
        reader = await open_client(await open_database("a"), f"{server.url}/room", token="r")
        await reached(reader, SyncStatus.OFFLINE)
        assert "there is no room 'room' yet" in reader.status_detail
        async with connect(f"{server.url}/other?token=r") as websocket:
            assert await close_code(websocket) == 4404
        assert list((tmp_path / "rooms").iterdir()) == []

        writer = await open_client(await open_database("b"), f"{server.url}/room", token="w")
        await writer.wait_until_synced(PATIENCE)
        await reader.wait_until_synced(PATIENCE)


class TestTables:
    async def test_a_room_has_so_many_tables_and_a_table_so_many_columns(
        self, open_server: OpenServer
    ) -> None:
        server = await open_server(limits=Limits(tables=2, columns=2))

        def table(name: str, *columns: str) -> TableAnnouncement:
            return TableAnnouncement(name, ["id"], list(columns), ["TEXT"])

        tables = [
            table("one", "a", "b"),
            table("wide", "a", "b", "c"),
            table("two", "a"),
            table("three", "a"),
        ]
        async with connect(f"{server.url}/room") as websocket:
            await tell(websocket, Hello(PROTOCOL, SITE, [], tables))
            problem = await hear(websocket, Problem)
            welcome = await hear(websocket, Welcome)
        assert [known.name for known in welcome.tables] == ["one", "two"]
        assert problem.code == "schema"
        assert "'wide' gets no further columns: a table may have 2 here" in problem.message
        assert "'three' is not created: a room may have 2 tables here" in problem.message

    async def test_a_table_grows_up_to_its_columns(self, open_server: OpenServer) -> None:
        server = await open_server(limits=Limits(columns=2))
        for columns, grown in (
            (["a"], ["a"]),
            (["b"], ["a", "b"]),
            (["c"], ["a", "b"]),
            (["a", "b"], ["a", "b"]),
        ):
            async with connect(f"{server.url}/room") as websocket:
                await tell(
                    websocket, Hello(PROTOCOL, SITE, [], [TableAnnouncement("t", ["id"], columns, ["TEXT"])])
                )
                assert (await hear(websocket, Welcome)).tables[0].columns == grown


class TestSizes:
    @pytest.mark.parametrize("unit", ["x", "é", b"\xff"], ids=["letters", "accents", "bytes"])
    async def test_a_value_is_so_big(self, open_server: OpenServer, unit: Any) -> None:
        server = await open_server(limits=Limits(value_bytes=1000))
        size = len(unit.encode()) if isinstance(unit, str) else 1
        fits = unit * (1000 // size)
        async with joined(f"{server.url}/room") as websocket:
            refused = await refused_by(websocket, 1, cell("a", fits), cell("b", fits + unit), cell("c", 1))
        assert refused == [(pack_key(["b"]), "its value is bigger than the 1000 bytes that are taken here")]

    async def test_a_room_grows_up_to_its_size_and_then_takes_deletions_only(
        self, open_server: OpenServer, tmp_path: Path
    ) -> None:
        async with CrSqliteDatabase(tmp_path / "size.db") as db:
            assert 0 < await db.read(used_bytes) <= (tmp_path / "size.db").stat().st_size + 1024 * 1024
        server = await open_server(limits=Limits(room_bytes=400_000))
        text = "x" * 50_000
        async with joined(f"{server.url}/room") as websocket:
            taken, number = 0, 0
            while not (refused := await refused_by(websocket, number + 1, cell(str(number), text))):
                number, taken = number + 1, taken + 1
            assert 2 <= taken <= 7
            assert refused == [
                (pack_key([str(number)]), "the room is full: its database may have 400000 bytes")
            ]
            number += 1
            for key in range(taken):
                number += 1
                gone = cell(str(key), None, cid=ROW, cl=2, col_version=2)
                assert await refused_by(websocket, number, gone) == []
            number += 1
            assert await refused_by(websocket, number, cell("again", text)) == []

    async def test_the_last_byte_of_a_room_can_be_used(self, open_server: OpenServer, tmp_path: Path) -> None:
        server = await open_server()
        async with joined(f"{server.url}/room"):
            pass
        await server.close()
        async with CrSqliteDatabase(tmp_path / "rooms" / "room.db") as db:
            used = await db.read(used_bytes)
        change = cell("a", "x" * 1000)
        for limit, fits in ((used + change_size(change) - 1, False), (used + change_size(change), True)):
            server = await open_server(limits=Limits(room_bytes=limit))
            async with joined(f"{server.url}/room") as websocket:
                assert (await refused_by(websocket, 1, change) == []) is fits
            await server.close()

    async def test_what_a_full_room_refuses_is_told_and_stays_with_the_client(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server(limits=Limits(room_bytes=400_000))
        db = await open_database("a")
        sync = await open_client(db, f"{server.url}/room")
        for number in range(10):
            await put(db, str(number), "x" * 50_000)
            await sync.wait_until_synced(PATIENCE)
        assert sync.status is SyncStatus.SYNCED
        assert {change.reason for change in sync.refused_changes} == {
            "the room is full: its database may have 400000 bytes"
        }
        assert len(await rows(db)) == 10


async def test_the_hello_that_needs_no_limit_is_as_ever(open_server: OpenServer) -> None:
    server = await open_server(limits=Limits())
    async with connect(f"{server.url}/room") as websocket:
        await tell(websocket, HELLO)
        assert (await hear(websocket, Welcome)).max_message_size == Limits().message_bytes
