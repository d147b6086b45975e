"""The rooms a server has open: one opener, one file, closed when nobody is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from replicell.persisters.errors import PersisterError
from replicell.sync.actions import SessionOptions
from replicell.sync.limits import Limits
from replicell.sync.rooms import OpenRoom, RoomHost


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[RoomHost]:
    made = RoomHost(
        tmp_path, schema_policy="auto", options=SessionOptions(), limits=Limits(), idle_seconds=1000
    )
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
    host = RoomHost(
        tmp_path, schema_policy="auto", options=SessionOptions(), limits=Limits(), idle_seconds=0.0
    )
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


def test_a_room_that_is_not_open_has_no_content(tmp_path: Path) -> None:
    from replicell.persisters.crsqlite.database import CrSqliteDatabase

    with pytest.raises(RuntimeError, match="not open yet"):
        _ = OpenRoom("room", CrSqliteDatabase(tmp_path / "a.db")).room
