"""Hostile clients, over raw websockets: the server lives, the sender is told, and other clients go on."""

from __future__ import annotations

import asyncio
import tracemalloc
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from replicell.persisters.crsqlite.changes import ROW, Change
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.keys import pack_key
from replicell.sync.client import SyncClient
from replicell.sync.messages import (
    PROTOCOL,
    Ack,
    AskRow,
    Changes,
    Heartbeat,
    Hello,
    Message,
    Peers,
    Problem,
    Ready,
    Resend,
    Row,
    Schema,
    TableAnnouncement,
    Welcome,
    decode,
    encode,
)
from replicell.sync.server import SyncServer
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, eventually, has_rows, put, rows
from tests.sync.test_server import EPOCH, SITE, TODO, close_code, hear, tell

KEY = pack_key(["a"])
FLOOD = 5000
QUESTIONS = 1000
GOOD = Change("todo", KEY, "text", "good", 1, 1, 0, 1)


def bad(**fields: object) -> Change:
    return msgspec.structs.replace(GOOD, **{"pk": pack_key(["bad"]), **fields})


async def joined(server: SyncServer, site_id: bytes = SITE) -> ClientConnection:
    """Connect to the room and shake hands."""
    websocket = await connect(f"{server.url}/room", compression=None)
    await tell(websocket, Hello(PROTOCOL, site_id, [], [TODO]))
    await hear(websocket, Welcome)
    await tell(websocket, Ready(EPOCH, 0))
    return websocket


async def others_go_on(server: SyncServer, *syncs: SyncClient) -> None:
    """Let the honest clients exchange something."""
    for sync in (*syncs, *syncs):
        await sync.wait_until_synced(PATIENCE)


POISON = {
    "empty key": bad(pk=b""),
    "key with a byte count of 9": bad(pk=b"\x01\x49" + b"\0" * 20),
    "text key with a byte count of 31": bad(pk=b"\x01\xfb" + b"\0" * 40),
    "blob key with a byte count of 9": bad(pk=b"\x01\x4c" + b"\0" * 20),
    "key with too many columns": bad(pk=pack_key(["a", "b"])),
    "key with no columns": bad(pk=b"\0"),
    "key of another type": bad(pk=pack_key([7])),
    "null key": bad(pk=pack_key([None])),
    "key with trailing bytes": bad(pk=KEY + b"\0"),
    "key with a long integer": bad(pk=b"\x01\x13\x00\x01b"),
    "key that is not UTF-8": bad(pk=b"\x01\x0b\x01\xff"),
    "key that ends early": bad(pk=b"\x01\x0b\x09b"),
    "db_version at the end of the clock": bad(db_version=2**63 - 1),
    "col_version at the end of the counter": bad(col_version=2**63 - 1),
    "col_version far ahead": bad(col_version=2**53 - 1),
    "negative col_version": bad(col_version=-1),
    "causal length at the end": bad(cid=ROW, val=None, cl=2**63 - 2, col_version=2**63 - 2),
    "causal length far ahead": bad(cid=ROW, val=None, cl=2**53 - 2, col_version=2**53 - 2),
    "causal length 0": bad(cl=0),
    "negative causal length": bad(cl=-3),
    "cell of a deleted row": bad(cl=2),
    "row change with another col_version": bad(cid=ROW, val=None, cl=2, col_version=5),
    "row change with a value": bad(cid=ROW, cl=2, col_version=2),
    "negative seq": bad(seq=-1),
    "seq too big": bad(seq=2**63 - 1),
    "key column as a cell": bad(cid="id"),
    "value too big": bad(val=2**64 - 1),
    "value not a number": bad(val=float("nan")),
    "boolean value": bad(val=True),
    "list value": bad(val=[1, 2]),
    "map value": bad(val={"a": 1}),
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON)
async def test_a_poisonous_change_is_named_to_its_sender_and_the_good_ones_around_it_are_applied(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, poison: Change
) -> None:
    server = await open_server()
    db = await open_database("a")
    sync = await open_client(db, f"{server.url}/room")
    async with await joined(server) as websocket:
        later = msgspec.structs.replace(GOOD, pk=pack_key(["b"]))
        await tell(websocket, Changes(EPOCH, 0, 1, 1, 0, True, [GOOD, poison, later]))
        problem = await hear(websocket, Problem)
        assert problem.code == "refused"
        assert [(row.table, row.pk, row.cid) for row in problem.rows] == [
            (poison.table, poison.pk, poison.cid)
        ]
        assert problem.rows[0].reason

        await tell(
            websocket, Changes(EPOCH, 1, 2, 2, 0, True, [bad(pk=pack_key(["c"]), val="still welcome")])
        )
        await eventually(db, lambda: has_rows(db, 3))

    await put(db, "d", "from the honest one")
    await others_go_on(server, sync)
    assert await rows(db) == {
        "a": "good", "b": "good", "c": "still welcome", "d": "from the honest one"
    }  # fmt: skip


async def test_a_value_that_a_constraint_forbids_is_refused_and_writing_goes_on(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    server = await open_server()
    async with CrSqliteDatabase(tmp_path / "rooms" / "room.db") as room:
        await room.execute("CREATE TABLE age(id TEXT PRIMARY KEY NOT NULL, n CHECK (n IS NULL OR n < 200))")
        await room.execute("SELECT crsql_as_crr('age')")
    db = await open_database("a")
    sync = await open_client(db, f"{server.url}/room")
    async with await joined(server) as websocket:
        changes = [bad(table="age", cid="n", pk=pack_key([str(n)]), val=n) for n in (100, 300, 150)]
        await tell(websocket, Changes(EPOCH, 0, 1, 1, 0, True, changes))
        problem = await hear(websocket, Problem)
        assert [row.pk for row in problem.rows] == [pack_key(["300"])]
        assert problem.rows[0].reason == "constraint failed"
        assert "table 'age', column 'n': constraint failed" in problem.message

    await put(db, "a", "from the honest one")
    await others_go_on(server, sync)
    assert await db.execute("SELECT id, n FROM age ORDER BY id") == [("100", 100), ("150", 150)]
    async with CrSqliteDatabase(tmp_path / "rooms" / "room.db") as room:
        assert await rows(room) == {"a": "from the honest one"}


NONSENSE: dict[str, bytes | str] = {
    "nothing": b"",
    "noise": b"\xc1\xff\x00",
    "a long array that is not there": b"\xdd\xff\xff\xff\xff",
    "deep nesting": b"\x91" * 100_000,
    "deep JSON": "[" * 100_000,
    "text that is no JSON": "hello",
    "a change with a text for its key": msgspec.msgpack.encode(
        ["changes", EPOCH, 0, 1, 1, 0, True, [["todo", "a", "text", 1, 1, 1, 0, 1]]]
    ),
    "a change with a null for its key": msgspec.msgpack.encode(
        ["changes", EPOCH, 0, 1, 1, 0, True, [["todo", None, "text", 1, 1, 1, 0, 1]]]
    ),
    "a change with a fraction for its counter": msgspec.msgpack.encode(
        ["changes", EPOCH, 0, 1, 1, 0, True, [["todo", KEY, "text", 1, 1.5, 1, 0, 1]]]
    ),
    "a change with too many fields": msgspec.msgpack.encode(
        ["changes", EPOCH, 0, 1, 1, 0, True, [["todo", KEY, "text", 1, 1, 1, 0, 1, SITE]]]
    ),
    "text that is not UTF-8": b"\x98\xa7changes\xc4\x00\x00\x01\x01\x00\xc3\x91\x98\xa1\xff",
    "a message with a surprise": msgspec.msgpack.encode({"type": "ack", "version": 1, "surprise": 1}),
}


@pytest.mark.parametrize("frame", NONSENSE.values(), ids=NONSENSE)
async def test_nonsense_ends_its_senders_connection_with_a_reason(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, frame: bytes | str
) -> None:
    server = await open_server()
    sync = await open_client(await open_database("a"), f"{server.url}/room")
    async with await joined(server) as websocket:
        await websocket.send(frame)
        assert (await hear(websocket, Problem)).code == "malformed"
        assert await close_code(websocket) == 4400
    await others_go_on(server, sync)


MISPLACED: dict[str, Message] = {
    "a second hello": Hello(PROTOCOL, SITE, [], []),
    "a second ready": Ready(EPOCH, 0),
    "a servers message": Welcome(1, SITE, EPOCH, 0, None, 0, False, [], 1),
    "who is in the room": Peers([], ["a"], "b", []),
    "versions that go backwards": Changes(EPOCH, 5, 1, 1, 0, True, []),
    "a negative version": Changes(EPOCH, -1, 1, 1, 0, True, []),
    "a version beyond all": Changes(EPOCH, 0, 2**53, 1, 0, True, []),
    "a negative part": Changes(EPOCH, 0, 1, 1, -1, True, []),
    "an epoch of the wrong size": Changes(b"e", 0, 1, 1, 0, True, []),
}


@pytest.mark.parametrize("message", MISPLACED.values(), ids=MISPLACED)
async def test_a_message_that_is_not_allowed_ends_its_senders_connection(
    open_server: OpenServer, message: Message
) -> None:
    server = await open_server()
    async with await joined(server) as websocket:
        await tell(websocket, message)
        assert (await hear(websocket, Problem)).code == "protocol"
        assert await close_code(websocket) == 4422


@pytest.mark.parametrize(
    "hello",
    [
        Hello(2, SITE, [], []),
        Hello(PROTOCOL, b"", [], []),
        Hello(PROTOCOL, b"x" * 17, [], []),
        Ready(EPOCH, 0),
    ],
    ids=["a protocol to come", "no site id", "a long site id", "no hello"],
)
async def test_a_bad_beginning_is_the_end(open_server: OpenServer, hello: Message) -> None:
    server = await open_server()
    async with connect(f"{server.url}/room") as websocket:
        await tell(websocket, hello)
        assert (await hear(websocket, Problem)).code == "protocol"
        assert await close_code(websocket) == 4422


async def test_a_cursor_that_would_leave_a_gap_is_refused(open_server: OpenServer) -> None:
    server = await open_server()
    async with connect(f"{server.url}/room") as websocket:
        await tell(websocket, Hello(PROTOCOL, SITE, [], [TODO]))
        await hear(websocket, Welcome)
        await tell(websocket, Ready(EPOCH, 5))
        assert "gap" in (await hear(websocket, Problem)).message


async def test_a_gap_in_the_changes_is_asked_for_not_skipped(open_server: OpenServer) -> None:
    server = await open_server()
    async with await joined(server) as websocket:
        await tell(websocket, Changes(EPOCH, 3, 4, 1, 0, True, [GOOD]))
        assert (await hear(websocket, Resend)).since == 0


async def test_a_lost_acknowledgement_is_repeated_when_asked_for(open_server: OpenServer) -> None:
    server = await open_server()
    async with await joined(server) as websocket:
        await tell(websocket, Changes(EPOCH, 0, 4, 1, 0, True, [GOOD]))
        assert (await hear(websocket, Ack)).version == 4
        await tell(websocket, Heartbeat(4))
        assert (await hear(websocket, Ack)).version == 4
        await tell(websocket, Changes(EPOCH, 0, 4, 2, 0, True, [GOOD]))
        assert (await hear(websocket, Ack)).version == 4


@pytest.mark.parametrize(
    "name",
    ["order", "a b", 'a"b', "replicell_peers", "crsql_changes", "sqlite_master", "x; DROP TABLE todo", ""],
)
async def test_a_table_name_that_is_none_is_refused_and_harms_nothing(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, name: str
) -> None:
    server = await open_server()
    db = await open_database("a")
    sync = await open_client(db, f"{server.url}/room")
    await put(db, "1", "x")
    async with await joined(server) as websocket:
        await tell(websocket, Schema([TableAnnouncement(name, ["id"], ["v"], ["TEXT"])]))
        assert (await hear(websocket, Problem)).code == "schema"
        await tell(websocket, Changes(EPOCH, 0, 1, 1, 0, True, [bad(table=name, cid="v")]))
        assert (await hear(websocket, Problem)).code == "refused"
    await others_go_on(server, sync)
    assert await rows(db) == {"1": "x"}


async def test_announcing_too_many_columns_is_refused(open_server: OpenServer) -> None:
    server = await open_server()
    wide = TableAnnouncement("wide", ["id"], [f"c{number}" for number in range(600)], ["TEXT"])
    async with await joined(server) as websocket:
        await tell(websocket, Schema([wide]))
        assert "499" in (await hear(websocket, Problem)).message


async def test_a_client_that_never_reads_costs_bounded_memory_and_delays_nobody(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server()
    a, b = await open_database("a"), await open_database("b")
    sync_a = await open_client(a, f"{server.url}/room")
    sync_b = await open_client(b, f"{server.url}/room")
    deaf = await joined(server)
    deaf.transport.pause_reading()
    try:
        tracemalloc.start()
        for number in range(60):
            await put(a, str(number), "x" * 500_000)
        await others_go_on(server, sync_a, sync_b)
        held, _ = tracemalloc.get_traced_memory()
        assert len(await rows(b)) == 60
        # 30 MB went past it; what it may hold is the ring, a window and the socket's buffers.
        assert held < 16_000_000
    finally:
        tracemalloc.stop()
        deaf.transport.abort()
        with suppress(ConnectionClosed):
            await deaf.wait_closed()


async def test_a_flood_of_changes_lets_the_others_in_between(open_server: OpenServer) -> None:
    server = await open_server()
    async with await joined(server) as flooder, await joined(server, b"v" * 16) as other:
        applied, begun = 0, asyncio.Event()

        async def count() -> None:
            nonlocal applied
            while True:
                applied = (await hear(flooder, Ack)).version

        async def flood() -> None:
            for version in range(1, FLOOD + 1):
                change = bad(pk=pack_key([f"f{version}"]), val=version, db_version=version)
                await tell(flooder, Changes(EPOCH, version - 1, version, version, 0, True, [change]))
                if version == 300:
                    begun.set()

        async def edit(number: int) -> int:
            """Write as the other client; return how much of the flood was applied before that."""
            before = applied
            change = bad(pk=pack_key(["other"]), val=number, col_version=number, db_version=number)
            await tell(other, Changes(EPOCH, number - 1, number, number, 0, True, [change]))
            while (await hear(other, Ack)).version < number:
                continue
            return applied - before

        await edit(1)
        flooding = [asyncio.ensure_future(work()) for work in (count, flood)]
        await begun.wait()
        waited_for = [await edit(number) for number in range(2, 6)]
        # Turns that have begun are ended, and what was acknowledged is counted a little later; but most of
        # the flood, which has been here before, comes after.
        assert max(waited_for) <= FLOOD / 5
        assert applied < FLOOD
        # It is not read any further, so it could not say goodbye either.
        flooder.transport.abort()
        ends = await asyncio.gather(*flooding, return_exceptions=True)
        assert {type(end).__name__ for end in ends} <= {"ConnectionClosedError", "NoneType"}


async def test_a_flood_of_questions_waits_for_its_answers(open_server: OpenServer) -> None:
    server = await open_server()
    async with await joined(server) as flooder, await joined(server, b"v" * 16) as other:
        answered = 0

        async def count() -> None:
            nonlocal answered
            while answered < QUESTIONS:
                await hear(flooder, Row)
                answered += 1

        counting = asyncio.ensure_future(count())
        for number in range(QUESTIONS):
            await tell(flooder, AskRow(number, "todo", KEY))
        before = answered
        await tell(other, Changes(EPOCH, 0, 1, 1, 0, True, [GOOD]))
        await hear(other, Ack)
        assert answered - before < QUESTIONS / 4
        async with asyncio.timeout(PATIENCE):
            await counting


async def test_a_client_that_asks_and_never_reads_the_answers_costs_bounded_memory(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server()
    sync = await open_client(await open_database("a"), f"{server.url}/room")
    deaf = await joined(server)
    await tell(deaf, Changes(EPOCH, 0, 1, 1, 0, True, [bad(val="x" * 500_000)]))
    await hear(deaf, Ack)
    deaf.transport.pause_reading()
    try:
        tracemalloc.start()
        for number in range(200):
            await tell(deaf, AskRow(number, "todo", pack_key(["bad"])))
        await others_go_on(server, sync)
        held, _ = tracemalloc.get_traced_memory()
        # The answers would be 100 MB.
        assert held < 25_000_000
    finally:
        tracemalloc.stop()
        deaf.transport.abort()
        with suppress(ConnectionClosed):
            await deaf.wait_closed()


async def test_random_bytes_from_many_connections_do_not_stop_the_server(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    from random import Random

    rng = Random(1)
    server = await open_server()
    db = await open_database("a")
    sync = await open_client(db, f"{server.url}/room")
    template = encode(Changes(EPOCH, 0, 1, 1, 0, True, [GOOD, GOOD]))
    assert isinstance(template, bytes)

    async def attack(number: int) -> None:
        async with await joined(server, bytes([number]) * 16) as websocket:
            with suppress(ConnectionClosed):
                for _ in range(5):
                    frame = bytearray(template)
                    for _ in range(rng.randint(1, 6)):
                        frame[rng.randrange(len(frame))] = rng.randrange(256)
                    await websocket.send(bytes(frame))

    for number in range(1, 60):
        await attack(number)
    await put(db, "honest", "x")
    await asyncio.wait_for(others_go_on(server, sync), PATIENCE)
    assert (await rows(db))["honest"] == "x"


async def test_the_servers_answer_to_a_decodable_frame_is_always_a_message(open_server: OpenServer) -> None:
    server = await open_server()
    async with await joined(server) as websocket:
        await tell(websocket, Heartbeat(2**60))
        async with asyncio.timeout(PATIENCE):
            assert isinstance(decode(await websocket.recv()), Resend)
