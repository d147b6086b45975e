"""Making new rooms: one after the other, and seldom while others do something."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import connect

from replicell.sync.messages import Welcome
from replicell.sync.room_making import RoomMaking
from replicell.sync.turns import Turns
from tests.sync.conftest import OpenServer
from tests.sync.support import Clock
from tests.sync.test_server import HELLO, hear, tell


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A time in which whoever sleeps lets it pass."""
    clock, give_way = Clock(), asyncio.sleep

    async def sleep(seconds: float) -> None:
        clock.now += seconds
        await give_way(0)

    monkeypatch.setattr("replicell.sync.room_making.asyncio.sleep", sleep)
    return clock


async def make(making: RoomMaking, clock: Clock, party: str, times: list[float]) -> None:
    async with making.turn(party):
        times.append(clock.now)
        clock.now += 0.1


async def test_who_makes_many_rooms_beside_others_has_a_fifth_of_the_time_for_it(clock: Clock) -> None:
    turns, times = Turns(clock), list[float]()
    making, other = RoomMaking(turns), turns.enter()
    for _ in range(50):
        other.delay()
        await make(making, clock, "anna", times)
        turns.tick()
    # The first ones are free; it makes no difference that each came alone.
    assert times[2] == pytest.approx(0.2)
    assert times[49] == pytest.approx(50 * 0.1 / 0.2, rel=0.1)


async def test_who_is_alone_makes_them_one_after_the_other_without_a_pause(clock: Clock) -> None:
    making, times = RoomMaking(Turns(clock)), list[float]()
    await asyncio.gather(*(make(making, clock, "anna", times) for _ in range(50)))
    assert times == pytest.approx([number * 0.1 for number in range(50)])


async def test_nobody_waits_for_those_that_another_one_makes() -> None:
    turns = Turns(lambda: 0.0)
    making, begun, may_end = RoomMaking(turns), asyncio.Event(), asyncio.Event()

    async def make_slowly() -> None:
        async with making.turn("anna"):
            begun.set()
            await may_end.wait()

    slow = asyncio.create_task(make_slowly())
    await begun.wait()
    second = asyncio.create_task(make_slowly())
    async with making.turn("ben"):
        assert not second.done()
    may_end.set()
    await asyncio.gather(slow, second)


async def test_only_new_rooms_are_waited_for(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    parties: list[Hashable] = []
    turn = RoomMaking.turn

    @asynccontextmanager
    async def watched(making: RoomMaking, party: Hashable) -> AsyncIterator[None]:
        parties.append(party)
        async with turn(making, party):
            yield

    monkeypatch.setattr(RoomMaking, "turn", watched)
    server = await open_server(room_idle_seconds=0)
    for room in ("a", "b", "a"):
        async with connect(f"{server.url}/{room}") as websocket:
            await tell(websocket, HELLO)
            await hear(websocket, Welcome)
    await server.close()
    server = await open_server(port=0)
    async with connect(f"{server.url}/a") as websocket:
        await tell(websocket, HELLO)
        await hear(websocket, Welcome)
    assert parties == [("address", "127.0.0.1")] * 2
