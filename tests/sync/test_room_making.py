"""Making new rooms: one after the other, and seldom while others do something."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from replicell.sync.errors import SyncClosedError, TooManyRoomsError
from replicell.sync.messages import Welcome
from replicell.sync.room_making import RoomMaking
from replicell.sync.server import SyncServer
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


async def test_beside_others_they_are_made_one_after_the_other(clock: Clock) -> None:
    turns, times = Turns(clock), list[float]()
    turns.enter().delay()
    making = RoomMaking(turns)
    await asyncio.gather(*(make(making, clock, "anna", times) for _ in range(20)))
    assert times == sorted(times)
    assert times[19] - times[3] == pytest.approx(16 * 0.5, rel=0.1)


class Slow:
    """Makes rooms that are ready when the test says so."""

    def __init__(self, making: RoomMaking) -> None:
        self.making = making
        self.begun = asyncio.Semaphore(0)
        self.may_end = asyncio.Event()

    async def make(self, party: str) -> None:
        async with self.making.turn(party):
            self.begun.release()
            await self.may_end.wait()


async def test_who_is_alone_makes_many_at_once() -> None:
    slow = Slow(RoomMaking(Turns(lambda: 0.0)))
    tasks = [asyncio.create_task(slow.make("anna")) for _ in range(200)]
    for _ in tasks:
        await slow.begun.acquire()
    slow.may_end.set()
    await asyncio.gather(*tasks)


async def test_nobody_waits_for_those_that_another_one_makes() -> None:
    turns = Turns(lambda: 0.0)
    turns.enter().delay()
    slow = Slow(RoomMaking(turns))
    tasks = [asyncio.create_task(slow.make(party)) for party in ("anna", "anna", "ben")]
    for _ in range(2):
        await slow.begun.acquire()
    assert slow.begun.locked()
    slow.may_end.set()
    await asyncio.gather(*tasks)


async def test_only_so_many_wait_and_those_who_do_are_sent_away_when_the_server_closes() -> None:
    turns = Turns(lambda: 0.0)
    turns.enter().delay()
    slow = Slow(RoomMaking(turns))
    first = asyncio.create_task(slow.make("anna"))
    await slow.begun.acquire()
    waiting = [asyncio.create_task(slow.make("anna")) for _ in range(101)]
    with pytest.raises(TooManyRoomsError, match="already 100 new rooms are waited for"):
        await waiting[100]
    slow.making.is_over = True
    slow.may_end.set()
    await first
    ends = await asyncio.gather(*waiting[:100], return_exceptions=True)
    assert {type(end) for end in ends} == {SyncClosedError}
    assert turns.enter(("rooms", "anna")).share.connections == 1


async def test_a_server_that_was_closed_makes_rooms_again(tmp_path: Path) -> None:
    server = SyncServer(tmp_path / "rooms", port=0)
    for room in ("a", "b"):
        async with server, connect(f"{server.url}/{room}") as websocket:
            await tell(websocket, HELLO)
            await hear(websocket, Welcome)


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
