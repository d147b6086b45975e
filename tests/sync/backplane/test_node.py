"""A node of a cluster: what a room begins with."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.schema import create_table
from replicell.sync.actions import SessionOptions
from replicell.sync.backplane import BackplaneError, InProcessBackplane, LinkOptions, RoomLog
from replicell.sync.backplane.link import RoomLink
from replicell.sync.backplane.node import Node
from replicell.sync.backplane.snapshots import save_snapshot
from replicell.sync.limits import Limits
from replicell.sync.rooms import RoomHost
from tests.sync.backplane.conftest import QUICK_LINK
from tests.sync.backplane.node_sites import journaled
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, TODO, has_rows, put, rows

LONG = 1000.0
"""So many seconds nothing may come; the clock is moved on by hand."""


class Forgetful(InProcessBackplane):
    """Its logs are lost whenever somebody has just opened one."""

    async def open_room(self, name: str) -> RoomLog:  # type: ignore[override]  # the class of logs is private
        log = await super().open_room(name)
        self.forget()
        return log


class Snapshots(InProcessBackplane):
    """Gives a snapshot of each room in a way of its own.

    Args:
        load: Writes the file, and says with each piece that it gets on.
    """

    def __init__(self, load: Callable[[Path, Callable[[], None]], object]) -> None:
        super().__init__()
        self._load = load

    async def open_room(self, name: str) -> RoomLog:  # type: ignore[override]  # the class of logs is private
        log = await super().open_room(name)

        async def load_snapshot(target: Path, arrived: Callable[[], None] | None = None) -> int | None:
            assert arrived is not None
            given = self._load(target, arrived)
            if asyncio.iscoroutine(given):
                await given
            return 1

        log.load_snapshot = load_snapshot  # type: ignore[method-assign]  # only that is another one
        return log


@pytest.fixture
async def move_clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Moves the event loop's clock on."""
    loop = asyncio.get_running_loop()
    real, ahead = loop.time, 0.0

    def move(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds

    monkeypatch.setattr(loop, "time", lambda: real() + ahead)
    return move


@pytest.fixture
async def content(tmp_path: Path, open_database: OpenDatabase) -> bytes:
    """A snapshot of a room with one row."""
    room = await journaled(await open_database("room of another node"))
    hub = InProcessBackplane()
    log = await hub.open_room("room")
    await save_snapshot(log, room)
    target = tmp_path / "content"
    assert await log.load_snapshot(target) is not None
    return await asyncio.to_thread(target.read_bytes)


def fill(target: Path, content: bytes) -> None:
    target.write_bytes(content)


def files_of_the_room(folder: Path) -> list[Path]:
    return list(folder.glob("room.db*"))


def patient_node(backplane: InProcessBackplane) -> Node:
    return Node(backplane, LinkOptions(catch_up_timeout=LONG))


async def test_a_room_whose_log_is_lost_while_it_is_looked_for_begins_empty(tmp_path: Path) -> None:
    path = tmp_path / "room.db"
    await Node(Forgetful()).prepare("room", path)
    assert not path.exists()


async def test_what_another_program_writes_while_a_room_catches_up_goes_to_the_other_nodes_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_followed, may_be_served = asyncio.Event(), asyncio.Event()

    async def catch_up(link: RoomLink) -> bool:
        assert await link.drain(PATIENCE)
        is_followed.set()
        await may_be_served.wait()
        return True

    monkeypatch.setattr(RoomLink, "catch_up", catch_up)
    hub = InProcessBackplane()
    host = RoomHost(
        tmp_path,
        schema_policy="auto",
        options=SessionOptions(),
        limits=Limits(),
        idle_seconds=0.0,
        node=Node(hub),
    )

    async def enter() -> None:
        async with host.entered("room"):
            pass

    async with asyncio.timeout(PATIENCE):
        entering = asyncio.create_task(enter())
        await is_followed.wait()
        async with CrSqliteDatabase(tmp_path / "room.db") as other:
            await other.run(create_table, TODO)
            await put(other, "1", "x")
        log = await hub.open_room("room")
        async with aclosing(log.follow(0)) as coming:
            assert await anext(coming)
        await log.close()
        may_be_served.set()
        await entering
        await host.close()


async def test_a_snapshot_may_take_any_time_as_long_as_it_gets_on(
    tmp_path: Path, content: bytes, move_clock: Callable[[float], None]
) -> None:
    async def load(target: Path, arrived: Callable[[], None]) -> None:
        for _ in range(5):
            move_clock(0.9 * LONG)
            arrived()
            await asyncio.sleep(0)
        fill(target, content)

    path = tmp_path / "room.db"
    await patient_node(Snapshots(load)).prepare("room", path)
    async with CrSqliteDatabase(path) as room:
        assert await rows(room) == {"1": "x"}


async def test_a_snapshot_of_which_nothing_more_comes_is_not_waited_for(
    tmp_path: Path, move_clock: Callable[[float], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def load(target: Path, arrived: Callable[[], None]) -> None:
        arrived()
        fill(target, b"the first piece")
        move_clock(1.1 * LONG)
        await asyncio.Event().wait()

    path = tmp_path / "room.db"
    await patient_node(Snapshots(load)).prepare("room", path)
    assert [record.getMessage() for record in caplog.records] == [
        "room 'room' begins empty: nothing of its log has come for 1000 s"
    ]
    assert not files_of_the_room(tmp_path)


def no_database(target: Path, _: Callable[[], None]) -> None:
    target.write_bytes(b"no database at all" * 1000)


def not_replicated(target: Path, _: Callable[[], None]) -> None:
    target.write_bytes(b"")


def no_space(target: Path, _: Callable[[], None]) -> None:
    target.write_bytes(b"a part of it")
    raise OSError(28, "No space left on device")


def damaged(_: Path, __: Callable[[], None]) -> None:
    raise BackplaneError("a piece of a snapshot is damaged")


@pytest.mark.parametrize("load", [no_database, not_replicated, no_space, damaged])
async def test_a_room_whose_snapshot_cannot_be_taken_begins_empty_and_the_log_says_why(
    tmp_path: Path, load: Callable[[Path, Callable[[], None]], None], caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "room.db"
    await Node(Snapshots(load), QUICK_LINK).prepare("room", path)
    (record,) = caplog.records
    assert record.getMessage().startswith("room 'room' begins empty, for its snapshot cannot be taken: ")
    assert record.levelno == logging.ERROR
    assert not files_of_the_room(tmp_path)


async def test_clients_of_a_room_whose_snapshot_cannot_be_taken_are_served(
    open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    hub = Snapshots(no_database)
    node = await open_server(backplane=hub, link_options=QUICK_LINK)
    a, b = await open_database("a"), await open_database("b", with_table=False)
    sync = await open_client(a, f"{node.url}/room")
    await put(a, "1", "x")
    await sync.wait_until_synced(PATIENCE)
    await (await open_client(b, f"{node.url}/room")).wait_until_synced(PATIENCE)
    assert await has_rows(b, 1)
