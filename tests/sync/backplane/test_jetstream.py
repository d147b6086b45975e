"""What only JetStream can bring about: streams that are deleted, slow followers, nobody there at all."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from examples.cluster.nats_cluster import NatsCluster
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.sync.backplane import BackplaneError, LinkOptions, jetstream, jetstream_log
from replicell.sync.backplane.jetstream import JetStreamBackplane
from replicell.sync.backplane.jetstream_health import LONGEST_PAUSE
from replicell.sync.backplane.nats_connection import Reply
from replicell.sync.errors import SyncClosedError, SyncTimeoutError
from replicell.sync.server import SyncServer
from tests.sync.backplane.conftest import QUICK_LINK, OpenNode
from tests.sync.conftest import OpenClient, OpenDatabase
from tests.sync.support import PATIENCE, eventually, has_rows, put, rows


class Listening(logging.Handler):
    """Sets an event when something is logged that contains a text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text
        self.told = asyncio.Event()
        self.levels: list[int] = []

    def emit(self, record: logging.LogRecord) -> None:
        if self._text in record.getMessage():
            self.levels.append(record.levelno)
            self.told.set()


@contextmanager
def logged(text: str) -> Iterator[Listening]:
    """Listen to what the backplane logs."""
    logger, listening = logging.getLogger("replicell.sync.backplane"), Listening(text)
    logger.addHandler(listening)
    try:
        yield listening
    finally:
        logger.removeHandler(listening)


async def change(backplane: JetStreamBackplane, stream: str, **changes: Any) -> None:
    """Change a stream's configuration, as somebody may with other means."""
    configuration = (await backplane.api(f"STREAM.INFO.{stream}", {}))["config"]
    answer = await backplane.api(f"STREAM.UPDATE.{stream}", {**configuration, **changes})
    assert "error" not in answer, answer


@pytest.fixture
def stream() -> str:
    return f"test-{os.urandom(4).hex()}"


@pytest.fixture
async def backplane(nats_cluster: NatsCluster, stream: str, stack: AsyncExitStack) -> JetStreamBackplane:
    made = JetStreamBackplane(nats_cluster.urls, stream=stream)
    await made.start()
    stack.push_async_callback(made.close)
    return made


@pytest.fixture
def open_node(stack: AsyncExitStack, tmp_path: Path, nats_cluster: NatsCluster, stream: str) -> OpenNode:
    async def start(name: str, **options: Any) -> SyncServer:
        backplane = JetStreamBackplane(nats_cluster.urls, stream=stream)
        options = {"port": 0, "link_options": QUICK_LINK, "backplane": backplane, **options}
        return await stack.enter_async_context(SyncServer(tmp_path / f"node-{name}", **options))

    return start


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"servers": []}, "servers is empty"),
        ({"servers": ["nats://localhost"], "stream": "a.b"}, "stream name"),
        ({"servers": ["nats://localhost"], "replicas": 2}, "1, 3 or 5"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(arguments: dict[str, Any], rule: str) -> None:
    with pytest.raises(BackplaneError, match=rule):
        JetStreamBackplane(**arguments)


def test_only_the_module_about_jetstream_needs_its_package_and_says_how_to_get_it() -> None:
    program = (
        "import sys; sys.modules['nats'] = None\n"
        "import replicell.sync.errors, replicell.sync.backplane\n"
        "try:\n    import replicell.sync.backplane.jetstream\n"
        "except replicell.sync.errors.MissingPackageError as error: print(error)"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout == 'JetStream needs the package nats-py: pip install "replicell[cluster]"\n'


async def test_a_backplane_that_is_not_started_opens_no_room() -> None:
    with pytest.raises(SyncClosedError, match="not started"):
        await JetStreamBackplane(["nats://localhost"]).open_room("room")


async def test_a_server_starts_and_serves_while_nobody_can_be_reached(
    open_node: OpenNode, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    nowhere = JetStreamBackplane(["nats://127.0.0.1:9"])
    node = await open_node("1", backplane=nowhere, link_options=LinkOptions(catch_up_timeout=0.05))
    a, b = await open_database("a"), await open_database("b")
    await open_client(a, f"{node.url}/room")
    await open_client(b, f"{node.url}/room")
    await put(a, "1", "x")
    await eventually(b, lambda: has_rows(b, 1))
    assert not nowhere.connected


async def test_streams_that_somebody_deletes_are_made_anew_and_filled_by_the_nodes(
    open_node: OpenNode,
    open_database: OpenDatabase,
    open_client: OpenClient,
    backplane: JetStreamBackplane,
    stream: str,
) -> None:
    one = await open_node("1")
    a = await open_database("a")
    sync = await open_client(a, f"{one.url}/room")
    await put(a, "1", "before")
    await sync.wait_until_synced(PATIENCE)

    for name in (stream, f"{stream}-snapshots"):
        assert (await backplane.api(f"STREAM.DELETE.{name}", {}))["success"]
    await put(a, "2", "after")
    await sync.wait_until_synced(PATIENCE)

    two = await open_node("2")
    b = await open_database("b", with_table=False)
    await (await open_client(b, f"{two.url}/room")).wait_until_synced(PATIENCE)
    assert await rows(b) == {"1": "before", "2": "after"}


async def test_a_new_node_begins_with_a_snapshot(
    open_node: OpenNode,
    open_database: OpenDatabase,
    open_client: OpenClient,
    backplane: JetStreamBackplane,
    tmp_path: Path,
) -> None:
    one = await open_node("1", link_options=LinkOptions(snapshot_jitter=0.0, snapshot_bytes=1))
    a = await open_database("a")
    sync = await open_client(a, f"{one.url}/room")
    log = await backplane.open_room("room")
    edits = 0
    while not await log.snapshot_position():
        await put(a, "same row", "x" * 10_000 + str(edits))
        await sync.wait_until_synced(PATIENCE)
        edits += 1
        assert edits < 500
    await put(a, "end", "x")
    await sync.wait_until_synced(PATIENCE)

    two = await open_node("2")
    b = await open_database("b", with_table=False)
    await (await open_client(b, f"{two.url}/room")).wait_until_synced(PATIENCE)
    assert await rows(b) == await rows(a)
    async with CrSqliteDatabase(tmp_path / "node-2" / "room.db") as room:
        # Its journal began at the snapshot, with what the other node knew.
        assert await room.execute(
            "SELECT count(*) FROM replicell_log_marks WHERE site_id IS NOT ?", (room.site_id,)
        )
    await log.close()


async def test_a_snapshot_with_a_damaged_piece_is_refused(
    backplane: JetStreamBackplane, stream: str, tmp_path: Path
) -> None:
    log = await backplane.open_room("room")
    piece = await backplane.request(f"{stream}.snapshot.room.pieces", b"its mark" + b"not compressed")
    first = json.loads(piece.data)["seq"]
    manifest = {"snapshot": "its mark", "position": 1, "first": first, "pieces": 1}
    await backplane.request(f"{stream}.snapshot.room.manifest", json.dumps(manifest).encode())
    arrived: list[bool] = []
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(BackplaneError, match="a piece of a snapshot is damaged"):
            await log.load_snapshot(tmp_path / "target", lambda: arrived.append(True))
    # It is told of each answer, the last of which says that there are no more.
    assert len(arrived) == 2
    await log.close()


async def test_a_slow_follower_costs_bounded_memory_and_misses_nothing(
    backplane: JetStreamBackplane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jetstream_log, "_QUEUE_BYTES", 5000)
    log = await backplane.open_room("room")
    found: list[bytes] = []
    async with asyncio.timeout(PATIENCE), aclosing(log.follow(0)) as coming:
        await log.append(b"first", "first")
        found.extend(entry.payload for entry in await anext(coming))
        for number in range(300):
            await log.append(b"%d" % number + b"x" * 100, f"id {number}")
        assert log._queued_bytes <= 5200
        while len(found) < 301:
            found.extend(entry.payload for entry in await anext(coming))
    assert [entry.partition(b"x")[0] for entry in found[1:]] == [b"%d" % number for number in range(300)]


async def test_a_stream_that_is_full_acknowledges_nothing_until_it_has_room(
    backplane: JetStreamBackplane, stream: str
) -> None:
    log = await backplane.open_room("room")
    first = await log.append(b"first", "first id")
    await change(backplane, stream, max_msgs=1)
    with logged("is full") as listening:
        async with asyncio.timeout(PATIENCE):
            appending = asyncio.create_task(log.append(b"second", "second id"))
            await listening.told.wait()
            assert not appending.done()
            await change(backplane, stream, max_msgs=-1)
            assert await appending > first
    await log.close()


async def test_a_stream_that_is_there_with_fewer_copies_acknowledges_nothing_until_it_has_more(
    nats_cluster: NatsCluster,
    stack: AsyncExitStack,
    stream: str,
    open_node: OpenNode,
    open_database: OpenDatabase,
    open_client: OpenClient,
) -> None:
    of_development = JetStreamBackplane(nats_cluster.urls, stream=stream, replicas=1)
    await of_development.start()
    stack.push_async_callback(of_development.close)
    await (await of_development.open_room("room")).close()

    backplane = JetStreamBackplane(nats_cluster.urls, stream=stream)
    with logged("num_replicas is 1, not 3 or more") as listening:
        node = await open_node("1", backplane=backplane, link_options=LinkOptions(catch_up_timeout=0.05))
        async with asyncio.timeout(PATIENCE):
            await listening.told.wait()
    assert listening.levels == [logging.ERROR]
    a = await open_database("a")
    sync = await open_client(a, f"{node.url}/room")
    await put(a, "1", "x")
    with pytest.raises(SyncTimeoutError, match="syncing"):
        await sync.wait_until_synced(0.3)
    assert not backplane.connected
    assert "num_replicas is 1, not 3 or more" in str(backplane.trouble)

    for name in (stream, f"{stream}-snapshots"):
        await change(of_development, name, num_replicas=3)
    await sync.wait_until_synced(PATIENCE)
    assert backplane.connected
    assert backplane.trouble is None


async def test_a_stream_that_is_changed_to_drop_entries_acknowledges_nothing_until_it_keeps_them(
    backplane: JetStreamBackplane, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jetstream, "_LOOK_SECONDS", 0.05)
    log = await backplane.open_room("room")
    first = await log.append(b"first", "first id")
    with logged("max_age is 3600000000000, not unlimited") as listening:
        await change(backplane, stream, max_age=3600 * 10**9)
        async with asyncio.timeout(PATIENCE):
            await listening.told.wait()
    assert not backplane.connected
    appending = asyncio.create_task(log.append(b"second", "second id"))
    done, _ = await asyncio.wait([appending], timeout=0.3)
    assert not done
    await change(backplane, stream, max_age=0)
    async with asyncio.timeout(PATIENCE):
        assert await appending > first
    await log.close()


async def test_a_silence_that_outlasts_the_loss_of_a_machine_is_trouble_until_an_entry_is_acknowledged(
    nats_cluster: NatsCluster, stream: str, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(jetstream, "monotonic", lambda: now)
    backplane = JetStreamBackplane(nats_cluster.urls, stream=stream)
    assert "was not found yet" in str(backplane.trouble)
    await backplane.start()
    stack.push_async_callback(backplane.close)
    log = await backplane.open_room("room")
    assert backplane.trouble is None

    backplane.append_failed("an entry")
    now = LONGEST_PAUSE - 0.1
    assert not backplane.connected
    assert backplane.trouble is None
    now = LONGEST_PAUSE
    assert "acknowledged nothing and found no leader for 10 seconds" in str(backplane.trouble)
    async with asyncio.timeout(PATIENCE):
        await log.append(b"another", "another entry")
    assert backplane.trouble is None
    await log.close()


class LeaderCutOff(JetStreamBackplane):
    """Says of each entry that it is there already: first as a leader that could not replicate it, then as one
    that has it."""

    def __init__(self, payload: bytes) -> None:
        super().__init__(["nats://localhost"])
        self.stored = [b"", b"something else", payload]
        self.looks = 0
        self.failures = 0

    @property
    def max_payload(self) -> int:
        return 1000

    async def request(self, subject: str, payload: bytes, headers: dict[str, str] | None = None) -> Reply:
        return Reply(json.dumps({"stream": self.stream, "seq": 7, "duplicate": True}).encode(), {})

    async def api(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        assert name == f"STREAM.MSG.GET.{self.stream}"
        assert arguments == {"seq": 7}
        stored = self.stored[self.looks]
        self.looks += 1
        return (
            {"message": {"data": base64.b64encode(stored).decode()}} if stored else {"error": {"code": 404}}
        )

    async def verify(self, identity: str) -> None:
        assert identity == self.identity

    def append_failed(self, entry: object) -> None:
        self.failures += 1


async def test_an_entry_that_is_said_to_be_there_already_is_acknowledged_once_it_is_found_there() -> None:
    backplane = LeaderCutOff(b"payload")
    log = jetstream_log.JetStreamLog(backplane, "room")
    assert await log.append(b"payload", "id") == 7
    assert (backplane.looks, backplane.failures) == (3, 2)


SECOND = 10**9


@pytest.mark.parametrize(
    ("others", "alone"),
    [
        ([], False),
        ([(0.1, False), (0.2, False)], False),
        ([(0.1, False), (60, True)], False),
        ([(4, False), (5, False)], True),
        ([(0.1, True), (0.1, True)], True),
        ([(0.1, False), (0.1, False), (9, True), (9, True)], False),
        ([(0.1, False), (9, False), (9, True), (9, True)], True),
    ],
)
def test_a_leader_that_has_not_heard_of_a_majority_lately_leads_nobody(
    others: list[tuple[float, bool]], alone: bool
) -> None:
    replicas = [{"active": int(seconds * SECOND), "offline": offline} for seconds, offline in others]
    assert jetstream._is_alone({"cluster": {"leader": "n1", "replicas": replicas}}) is alone


def test_a_stream_on_one_server_is_led_by_it() -> None:
    assert not jetstream._is_alone({"created": "some time"})
