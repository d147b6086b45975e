"""The rooms a server has open: one opener, one file, closed when nobody is left."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from replicell.persisters.errors import PersisterError
from replicell.sync.access import room_file_name
from replicell.sync.actions import SessionOptions
from replicell.sync.backplane import InProcessBackplane
from replicell.sync.backplane.node import Node
from replicell.sync.errors import NoRoomError, TooManyRoomsError
from replicell.sync.limits import Limits
from replicell.sync.room_census import RoomCensus
from replicell.sync.rooms import OpenRoom, RoomHost
from replicell.sync.server_code import ServerCode, ServerRoom
from replicell.sync.snapshot_shelf import SnapshotShelf
from tests.sync.support import PATIENCE, Clock


def host_in(
    folder: Path, *, idle_seconds: float = 1000, limits: Limits | None = None, node: Node | None = None
) -> RoomHost:
    return RoomHost(
        folder,
        schema_policy="auto",
        options=SessionOptions(),
        limits=limits or Limits(),
        idle_seconds=idle_seconds,
        node=node,
    )


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[RoomHost]:
    made = host_in(tmp_path)
    yield made
    await made.close()


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("*.db")]


async def test_clients_that_come_at_the_same_time_share_one_opener(host: RoomHost, tmp_path: Path) -> None:
    async def enter() -> OpenRoom:
        async with host.entered("room") as opened:
            return opened

    first, *others = await asyncio.gather(*(enter() for _ in range(5)))

    assert all(other is first for other in others)
    assert host.names == ["room"]
    assert files(tmp_path) == ["room.db"]


async def test_a_client_that_gives_up_does_not_take_the_opener_from_the_others(host: RoomHost) -> None:
    async def enter() -> str:
        async with host.entered("room") as opened:
            return opened.name

    impatient, patient = asyncio.ensure_future(enter()), asyncio.ensure_future(enter())
    await asyncio.sleep(0)
    impatient.cancel()

    assert await patient == "room"


async def test_a_room_that_cannot_be_opened_is_tried_again_the_next_time(
    host: RoomHost, tmp_path: Path
) -> None:
    (tmp_path / "room.db").write_bytes(b"no database" * 1000)
    with pytest.raises(PersisterError):
        async with host.entered("room"):
            pass
    assert host.names == []

    (tmp_path / "room.db").unlink()
    async with host.entered("room") as opened:
        assert opened.db.is_open


async def test_an_idle_room_stays_open_for_a_while_and_is_closed_with_the_host(host: RoomHost) -> None:
    async with host.entered("room") as opened:
        pass
    assert opened.db.is_open
    async with host.entered("room") as again:
        assert again is opened

    await host.close()

    assert not opened.db.is_open
    assert host.names == []


async def test_a_room_stays_open_for_who_came_while_it_was_opened_and_another_left_at_once(
    tmp_path: Path,
) -> None:
    host = host_in(tmp_path, idle_seconds=0.0)
    stays, idle = asyncio.Event(), asyncio.Event()

    async def leave_at_once() -> None:
        async with host.entered("room"):
            # What is due at the same time as the closing of an idle room, and was planned later.
            asyncio.get_running_loop().call_later(0.0, idle.set)

    async def stay() -> None:
        async with host.entered("room") as opened:
            await stays.wait()
            assert host.names == ["room"]
            await opened.db.execute("SELECT 1")

    first, second = asyncio.create_task(leave_at_once()), asyncio.create_task(stay())
    await first
    await idle.wait()
    stays.set()
    await second
    await host.close()


async def test_rooms_are_counted_in_a_thread_and_once_while_there_may_be_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[threading.Thread] = []
    scandir = os.scandir

    def watched(folder: Path) -> Any:
        looks.append(threading.current_thread())
        return scandir(folder)

    monkeypatch.setattr("replicell.sync.room_census.os.scandir", watched)
    for name in ("a.db", "b.db", "a.db-wal", "notes.txt"):
        (tmp_path / name).touch()
    clock = Clock()
    census = RoomCensus(tmp_path, 4, list, clock)
    for room in ("a", "c", "d", "c"):
        await census.admit(room)
        (tmp_path / room_file_name(room)).touch()
    assert len(looks) == 1
    assert threading.main_thread() not in looks

    for clock.now in (1.0, 9.0, 10.0, 11.0):
        with pytest.raises(TooManyRoomsError, match="there are 4 rooms already"):
            await census.admit("e")
        await census.admit("b")
    assert len(looks) == 2


async def test_a_room_that_was_removed_makes_place_for_another(tmp_path: Path) -> None:
    clock = Clock()
    for name in ("a.db", "b.db"):
        (tmp_path / name).touch()
    census = RoomCensus(tmp_path, 2, lambda: ["a"], clock)
    with pytest.raises(TooManyRoomsError):
        await census.admit("c")

    (tmp_path / "a.db").unlink()
    (tmp_path / "b.db").unlink()
    clock.now = 10.0
    await census.admit("c")
    with pytest.raises(TooManyRoomsError):
        await census.admit("d")


async def test_clients_that_come_together_make_no_more_rooms_than_there_may_be(tmp_path: Path) -> None:
    host = host_in(tmp_path, limits=Limits(rooms=3))

    async def enter(name: str) -> bool:
        try:
            async with host.entered(name):
                return True
        except TooManyRoomsError:
            return False

    entered = await asyncio.gather(*(enter(name) for name in "aabbccddee"))
    await host.close()
    assert sum(entered) == 6
    assert len(files(tmp_path)) == 3


async def test_a_room_is_made_only_for_who_may_make_it(host: RoomHost, tmp_path: Path) -> None:
    with pytest.raises(NoRoomError, match="there is no room 'room' yet"):
        async with host.entered("room", may_make=False):
            pass
    assert files(tmp_path) == []
    assert host.names == []

    async with host.entered("room"), host.entered("room", may_make=False) as opened:
        assert opened.db.is_open
    await host.close()
    async with host.entered("room", may_make=False) as opened:
        assert opened.db.is_open


async def test_server_code_or_other_nodes_may_have_what_a_room_without_a_file_holds(
    host: RoomHost, tmp_path: Path
) -> None:
    host.code.append(ServerCode(lambda room: None, False))
    node = host_in(tmp_path / "node", node=Node(InProcessBackplane()))
    (tmp_path / "node").mkdir()
    for each in (host, node):
        async with each.entered("room", may_make=False) as opened:
            assert opened.db.is_open
    await node.close()


class SlowNode(Node):
    """Opens rooms when it may, or fails to; and tells."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.fails = False

    async def prepare(self, name: str, path: Path) -> None:
        self.is_asked.set()
        await self.may_go_on.wait()
        if self.fails:
            raise OSError("no space left")


async def test_a_room_that_all_who_waited_for_have_left_is_closed_like_any_idle_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, close = asyncio.Event(), OpenRoom.close

    async def tell_of_close(room: OpenRoom) -> None:
        await close(room)
        closed.set()

    monkeypatch.setattr(OpenRoom, "close", tell_of_close)
    node = SlowNode()
    host = host_in(tmp_path, idle_seconds=0.0, node=node)
    await give_up(host, node)
    assert host.names in (["room"], [])

    node.may_go_on.set()

    await asyncio.wait_for(closed.wait(), PATIENCE)
    assert host.names == []
    await host.close()


async def test_a_room_that_could_not_be_opened_when_nobody_waited_any_more_is_tried_again(
    tmp_path: Path,
) -> None:
    before = asyncio.all_tasks()
    node = SlowNode()
    host = host_in(tmp_path, node=node)
    await give_up(host, node)
    node.fails = True
    node.may_go_on.set()
    await asyncio.wait(asyncio.all_tasks() - before)
    assert host.names == []

    node.fails = False
    async with host.entered("room") as opened:
        assert opened.db.is_open
    await host.close()


async def give_up(host: RoomHost, node: SlowNode) -> None:
    """Ask for a room and leave before it is open."""

    async def enter() -> None:
        async with host.entered("room"):
            pass

    waiting = asyncio.create_task(enter())
    await node.is_asked.wait()
    waiting.cancel()
    await asyncio.wait([waiting])


async def test_a_room_is_not_opened_again_before_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    closes, may_close, close = asyncio.Event(), asyncio.Event(), OpenRoom.close

    async def close_when_told(room: OpenRoom) -> None:
        closes.set()
        await may_close.wait()
        await close(room)
        events.append("closed")

    monkeypatch.setattr(OpenRoom, "close", close_when_told)
    host = host_in(tmp_path, idle_seconds=0.0)

    async def enter() -> None:
        async with host.entered("room"):
            events.append("entered")

    await enter()
    await closes.wait()
    again = asyncio.create_task(enter())
    done, _ = await asyncio.wait([again], timeout=0.2)
    assert not done
    may_close.set()
    await asyncio.wait_for(again, PATIENCE)
    await host.close()

    assert events == ["entered", "closed", "entered", "closed"]


async def test_whatever_fails_when_a_room_is_closed_the_rest_of_it_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(ServerRoom, "close", fail)
    monkeypatch.setattr(SnapshotShelf, "close", fail)
    before = asyncio.all_tasks()
    host = host_in(tmp_path, node=Node(InProcessBackplane()))
    async with host.entered("room") as opened:
        assert opened.link is not None

    await host.close()

    assert not opened.db.is_open
    assert asyncio.all_tasks() == before
    assert "room 'room' could not be closed properly" in caplog.text


def test_a_room_that_is_not_open_has_no_content(tmp_path: Path) -> None:
    from replicell.persisters.crsqlite.database import CrSqliteDatabase

    with pytest.raises(RuntimeError, match="not open yet"):
        _ = OpenRoom("room", CrSqliteDatabase(tmp_path / "a.db")).room
