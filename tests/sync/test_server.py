"""The sync server, over real sockets: whom it lets in, and what it answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar
from urllib.request import urlopen

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from replicell.persisters.crsqlite.changes import Change
from replicell.persisters.crsqlite.keys import pack_key
from replicell.persisters.errors import ExtensionNotFoundError
from replicell.sync.errors import SyncClosedError, SyncError
from replicell.sync.limits import Limits
from replicell.sync.messages import (
    PROTOCOL,
    Ack,
    Changes,
    Encoding,
    Hello,
    Message,
    Problem,
    Ready,
    TableAnnouncement,
    Welcome,
    decode,
    encode,
)
from replicell.sync.server import SyncServer
from replicell.sync.status import SyncStatus
from tests.sync.certificates import make_certificate
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, put, rows
from tests.sync.test_client import reached

SITE, EPOCH = b"c" * 16, b"e" * 16
TODO = TableAnnouncement("todo", ["id"], ["text", "n"], ["TEXT"])
HELLO = Hello(PROTOCOL, SITE, [], [TODO])

M = TypeVar("M", bound=Message)


HASTY = Limits(handshake_seconds=0.5)
PATIENT = Limits(handshake_seconds=1_000_000)


async def tell(websocket: ClientConnection, message: Message, encoding: Encoding = "msgpack") -> None:
    await websocket.send(encode(message, encoding))


async def hear(websocket: ClientConnection, kind: type[M]) -> M:
    """Wait for a message of a kind; others are passed over."""
    async with asyncio.timeout(PATIENCE):
        while not isinstance(message := decode(await websocket.recv()), kind):
            continue
    return message


async def close_code(websocket: ClientConnection) -> int | None:
    """Wait until the server closes the connection and return the code."""
    async with asyncio.timeout(PATIENCE):
        try:
            while True:
                await websocket.recv()
        except ConnectionClosed:
            return websocket.close_code


async def test_health_is_told_over_plain_http(open_server: OpenServer) -> None:
    server = await open_server(tokens=["secret"])
    address = server.url.replace("ws://", "http://") + "/healthz"

    def ask() -> tuple[int, bytes]:
        with urlopen(address, timeout=10) as response:
            return response.status, response.read()

    assert await asyncio.to_thread(ask) == (200, b"ok\n")


@pytest.mark.parametrize(
    "path", ["/", "/../secret", "/a/../../b", "/%2e%2e/b", "/a%00b", "/" + "x" * 200, "/a%5cb"]
)
async def test_an_odd_room_name_is_refused_before_anything_is_opened(
    open_server: OpenServer, tmp_path: Path, path: str
) -> None:
    server = await open_server()

    with pytest.raises(InvalidStatus) as refused:
        await connect(server.url + path, compression=None)

    assert refused.value.response.status_code == HTTPStatus.BAD_REQUEST
    assert list((tmp_path / "rooms").iterdir()) == []


async def test_a_wrong_token_is_refused_before_the_upgrade(open_server: OpenServer) -> None:
    server = await open_server(tokens=["right"])

    for url, headers in (
        (f"{server.url}/room", {"Authorization": "Bearer wrong"}),
        (f"{server.url}/room?token=wrong", {}),
    ):
        with pytest.raises(InvalidStatus) as refused:
            await connect(url, additional_headers=headers)
        assert refused.value.response.status_code == HTTPStatus.UNAUTHORIZED


async def test_a_token_may_come_in_the_first_message(open_server: OpenServer) -> None:
    server = await open_server(tokens=["right"])
    async with connect(f"{server.url}/room") as websocket:
        await tell(websocket, Hello(PROTOCOL, SITE, [], [], token="right"))
        assert (await hear(websocket, Welcome)).protocol == PROTOCOL

    async with connect(f"{server.url}/other") as websocket:
        await tell(websocket, Hello(PROTOCOL, SITE, [], [], token="wrong"))
        assert (await hear(websocket, Problem)).code == "unauthorized"
        assert await close_code(websocket) == 4401
    assert server.rooms == ["room"]


async def test_a_stranger_who_says_nothing_is_sent_away(open_server: OpenServer, tmp_path: Path) -> None:
    patient = await open_server(tokens=["right"], data_dir=tmp_path / "patient", limits=PATIENT)
    hasty = await open_server(tokens=["right"], limits=HASTY)
    async with connect(f"{patient.url}/room") as waiting, connect(f"{hasty.url}/room") as websocket:
        assert await close_code(websocket) == 4408
        assert websocket.close_reason == "no first message came"
        await tell(waiting, Hello(PROTOCOL, SITE, [], [], token="right"))
        assert await hear(waiting, Welcome)
    assert hasty.rooms == []


async def test_a_client_that_does_not_finish_its_handshake_is_sent_away(
    open_server: OpenServer, tmp_path: Path
) -> None:
    patient = await open_server(data_dir=tmp_path / "patient", limits=PATIENT)
    hasty = await open_server(limits=HASTY)
    async with connect(f"{patient.url}/room") as waiting, connect(f"{hasty.url}/room") as websocket:
        assert await close_code(websocket) == 4408
        await tell(waiting, HELLO)
        assert await hear(waiting, Welcome)


@pytest.mark.parametrize(
    ("origins", "origin", "welcome"),
    [
        ([], None, True),
        ([], "https://example.com", False),
        (["https://example.com"], "https://example.com", True),
        (["https://example.com"], "https://evil.example", False),
        (["*"], "https://evil.example", True),
    ],
)
async def test_browsers_may_come_only_from_the_origins_that_are_allowed(
    open_server: OpenServer, origins: list[str], origin: str | None, welcome: bool
) -> None:
    server = await open_server(origins=origins)
    given = None if origin is None else Origin(origin)
    if welcome:
        async with connect(f"{server.url}/room", origin=given) as websocket:
            await tell(websocket, HELLO)
            assert await hear(websocket, Welcome)
        return
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{server.url}/room", origin=given)
    assert refused.value.response.status_code == HTTPStatus.FORBIDDEN


async def test_a_message_that_is_too_big_ends_the_connection(open_server: OpenServer) -> None:
    server = await open_server(limits=Limits(message_bytes=128 * 1024))
    async with connect(f"{server.url}/room") as websocket:
        await websocket.send(b"x" * (128 * 1024 + 1))
        assert await close_code(websocket) == 1009


async def test_the_biggest_message_is_still_taken(open_server: OpenServer) -> None:
    server = await open_server(limits=Limits(message_bytes=128 * 1024))
    async with connect(f"{server.url}/room") as websocket:
        await websocket.send(b"\xc1" + b"x" * (128 * 1024 - 1))
        assert (await hear(websocket, Problem)).code == "malformed"
        assert await close_code(websocket) == 4400


async def test_people_with_a_browser_console_are_answered_in_json(open_server: OpenServer) -> None:
    server = await open_server()
    async with connect(f"{server.url}/room") as websocket:
        await tell(websocket, HELLO, "json")
        answer = await websocket.recv()
        assert isinstance(answer, str)
        assert isinstance(decode(answer), Welcome)
        await tell(websocket, Ready(EPOCH, 0), "json")
        row = Change("todo", pack_key(["a"]), "text", b"\xff", 1, 1, 0, 1)
        await tell(websocket, Changes(EPOCH, 0, 1, 1, 0, True, [row]), "json")
        assert (await hear(websocket, Ack)).version == 1


async def test_a_json_client_gets_others_changes_as_text(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server()
    db = await open_database("a")
    async with connect(f"{server.url}/room") as websocket:
        await tell(websocket, HELLO, "json")
        await hear(websocket, Welcome)
        await tell(websocket, Ready(EPOCH, 0), "json")
        sync = await open_client(db, f"{server.url}/room")
        await put(db, "1", "milk")
        await sync.wait_until_synced(PATIENCE)

        changes = await hear(websocket, Changes)

    assert ("text", "milk") in {(row.cid, row.val) for row in changes.rows}


async def test_a_client_goes_on_where_it_was_after_a_restart_of_the_server(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server()
    port = server.port
    a = await open_database("a")
    sync = await open_client(a, f"{server.url}/room")
    await put(a, "1", "before")
    await sync.wait_until_synced(PATIENCE)

    await server.close()
    await put(a, "2", "meanwhile")
    server = await open_server(port=port)
    await sync.wait_until_synced(PATIENCE)
    b = await open_database("b")
    await (await open_client(b, f"{server.url}/room")).wait_until_synced(PATIENCE)

    assert await rows(b) == {"1": "before", "2": "meanwhile"}


async def test_clients_are_told_that_the_server_will_be_back(open_server: OpenServer) -> None:
    server = await open_server()
    async with connect(f"{server.url}/room") as websocket:
        await tell(websocket, HELLO)
        await hear(websocket, Welcome)
        await server.close()
        assert await close_code(websocket) == 1012


@contextmanager
def closed_rooms() -> Iterator[asyncio.Event]:
    """Give an event that is set when the server logs that it has closed a room."""
    closed = asyncio.Event()

    class Watcher(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().endswith("is closed"):
                closed.set()

    logger, watcher = logging.getLogger("replicell.sync.server"), Watcher()
    before = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(watcher)
    try:
        yield closed
    finally:
        logger.removeHandler(watcher)
        logger.setLevel(before)


async def test_an_idle_room_is_closed_and_opened_again(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    server = await open_server(room_idle_seconds=0.0)
    db = await open_database("a")
    sync = await open_client(db, f"{server.url}/room")
    await put(db, "1", "x")
    await sync.wait_until_synced(PATIENCE)
    with closed_rooms() as closed:
        await sync.pause()
        async with asyncio.timeout(PATIENCE):
            await closed.wait()
    assert server.rooms == []
    await put(db, "2", "y")
    await sync.resume()
    await sync.wait_until_synced(PATIENCE)
    assert server.rooms == ["room"]


async def test_another_programs_writes_to_a_rooms_file_reach_the_clients(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    from replicell.persisters.crsqlite.database import CrSqliteDatabase
    from tests.sync.support import eventually, has_rows

    server = await open_server()
    db = await open_database("a")
    sync = await open_client(db, f"{server.url}/room")
    await sync.wait_until_synced(PATIENCE)

    async with CrSqliteDatabase(tmp_path / "rooms" / "room.db") as room:
        await put(room, "1", "from the server")
        await eventually(db, lambda: has_rows(db, 1))

    assert await rows(db) == {"1": "from the server"}


async def test_a_room_whose_file_is_damaged_is_refused_and_the_others_are_served(
    open_server: OpenServer,
    open_database: OpenDatabase,
    open_client: OpenClient,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = await open_server()
    (tmp_path / "rooms" / "bad.db").write_bytes(b"this is no database" * 1000)
    async with connect(f"{server.url}/bad") as websocket:
        assert await close_code(websocket) == 1011
    (complaint,) = [record for record in caplog.records if "cannot be opened" in record.getMessage()]
    assert "room 'bad'" in complaint.getMessage()
    assert complaint.exc_info is None
    db = await open_database("a")
    await (await open_client(db, f"{server.url}/good")).wait_until_synced(PATIENCE)


async def test_tls_is_a_matter_of_an_ssl_context(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient, tmp_path: Path
) -> None:
    certificate = await asyncio.to_thread(make_certificate, tmp_path)
    server = await open_server(ssl=certificate.serving())
    assert server.url.startswith("wss://")

    db = await open_database("a")
    sync = await open_client(db, f"{server.url}/room", ssl=certificate.trusting())
    await sync.wait_until_synced(PATIENCE)


async def test_certificates_that_the_system_trusts_need_no_context(
    open_server: OpenServer,
    open_database: OpenDatabase,
    open_client: OpenClient,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    certificate = await asyncio.to_thread(make_certificate, tmp_path)
    server = await open_server(ssl=certificate.serving())
    stranger = await open_client(await open_database("a"), f"{server.url}/room")
    await reached(stranger, SyncStatus.OFFLINE)
    assert stranger.status_detail.startswith("cannot connect: the server's certificate is not trusted: ")
    await stranger.close()

    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.chain))
    sync = await open_client(await open_database("b"), f"{server.url}/room")
    await sync.wait_until_synced(PATIENCE)


async def test_a_taken_port_is_told(open_server: OpenServer, tmp_path: Path) -> None:
    server = await open_server()
    with pytest.raises(SyncError, match=f"port {server.port}: the port is in use; choose another"):
        await SyncServer(tmp_path / "other", port=server.port).start()


async def test_a_server_that_is_not_started_has_no_port(tmp_path: Path) -> None:
    server = SyncServer(tmp_path / "rooms")
    with pytest.raises(SyncClosedError, match="not started"):
        _ = server.url
    await server.wait_closed()
    await server.close()


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"schema_policy": "maybe"}, "'auto' or 'strict', not 'maybe'"),
        ({"port": 65536}, "from 0 .any free one. to 65535, not 65536"),
        ({"port": -1}, "from 0 .any free one. to 65535, not -1"),
        ({"room_idle_seconds": -1}, "0 or more, not -1"),
        ({"room_idle_seconds": float("nan")}, "0 or more, not nan"),
        ({"tokens": "secret"}, "tokens is a list of texts"),
        ({"tokens": [""]}, "a token is a text that is not empty"),
        ({"read_only_tokens": ["two words"]}, "a token holds no spaces"),
        ({"origins": ["example.com"]}, "'example.com' is none: it looks like https://example.com"),
        ({"origins": ["https://example.com/page"]}, "it looks like https://example.com"),
    ],
)
def test_options_out_of_range_are_refused(tmp_path: Path, options: dict[str, object], rule: str) -> None:
    with pytest.raises(SyncError, match=rule):
        SyncServer(tmp_path, **options)  # type: ignore[arg-type]  # on purpose


async def test_a_folder_that_is_a_file_is_told_before_anybody_comes(tmp_path: Path) -> None:
    (tmp_path / "rooms").write_text("I am a file")

    with pytest.raises(SyncError, match=r"rooms cannot be kept in .*rooms: .*; choose one"):
        await SyncServer(tmp_path / "rooms", port=0).start()


async def test_a_folder_that_may_not_be_written_is_told_before_anybody_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(dir: Path) -> None:
        raise PermissionError(13, "Permission denied", str(dir))

    # Whoever runs the tests as root may write everywhere.
    monkeypatch.setattr("replicell.sync.server.TemporaryFile", refuse)

    with pytest.raises(SyncError, match=r"rooms cannot be kept in .*: Permission denied; choose one"):
        await SyncServer(tmp_path / "rooms", port=0).start()


async def test_a_missing_extension_is_told_before_anybody_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CRSQLITE_PATH", raising=False)
    monkeypatch.setenv("REPLICELL_CACHE", str(tmp_path / "cache"))

    with pytest.raises(ExtensionNotFoundError, match="replicell extension install"):
        await SyncServer(tmp_path / "rooms", port=0).start()


async def test_a_room_cannot_have_the_address_of_the_health_check(open_server: OpenServer) -> None:
    server = await open_server()

    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{server.url}/healthz", compression=None)

    assert refused.value.response.status_code == HTTPStatus.BAD_REQUEST
    assert b"'healthz' is not allowed" in refused.value.response.body


async def test_a_host_that_does_not_exist_is_told_in_plain_words(tmp_path: Path) -> None:
    with pytest.raises(
        SyncError, match=r"cannot serve on nobody.invalid, port 0: the name of the host is not"
    ):
        await SyncServer(tmp_path / "rooms", host="nobody.invalid", port=0).start()


async def test_a_start_that_is_cancelled_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening = asyncio.Event()

    async def never(*_: object, **__: object) -> None:
        listening.set()
        await asyncio.Event().wait()

    monkeypatch.setattr("replicell.sync.server.serve", never)
    before = asyncio.all_tasks()
    server = SyncServer(tmp_path, port=0)
    starting = asyncio.create_task(server.start())
    await listening.wait()

    starting.cancel()
    await asyncio.wait([starting])

    assert starting.cancelled()
    with pytest.raises(SyncClosedError, match="not started"):
        async with server.open_room("room"):
            pass
    await asyncio.wait_for(left_alone(before), PATIENCE)


async def left_alone(before: set[asyncio.Task[object]]) -> None:
    """Wait until all tasks that are not of before, and not this one, have ended."""
    before = {*before, *filter(None, [asyncio.current_task()])}
    while others := asyncio.all_tasks() - before:
        await asyncio.wait(others)
