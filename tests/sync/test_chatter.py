"""A client that talks without end is listened to a little at a time."""

from __future__ import annotations

from websockets.asyncio.client import connect

from replicell.sync.chatter import MOST_IN_A_MOMENT, Chatter
from replicell.sync.messages import Heartbeat, Mark, Marked, Ready, Welcome
from tests.sync.conftest import OpenServer
from tests.sync.support import Timers
from tests.sync.test_server import EPOCH, HELLO, hear, tell


def test_too_much_in_a_moment_is_not_listened_to_until_it_is_over() -> None:
    timers = Timers()
    chatter = Chatter(timers.emit)
    for _ in range(MOST_IN_A_MOMENT - 1):
        chatter.note(10.0)
    assert (chatter.is_too_much, timers.waiting) == (False, [])

    chatter.note(10.005)

    assert chatter.is_too_much
    assert [round(later.seconds, 6) for later in timers.waiting] == [0.015]
    timers.pass_time()
    assert not chatter.is_too_much


def test_of_five_thousand_in_a_second_a_hundred_come_at_a_time() -> None:
    timers, now = Timers(), 0.0
    bursts: list[int] = []
    chatter = Chatter(timers.emit)
    while now < 1.0:
        bursts.append(0)
        while not chatter.is_too_much:
            chatter.note(now)
            bursts[-1] += 1
        now += timers.waiting[0].seconds
        timers.pass_time()
    assert set(bursts) == {100}
    assert 4_900 <= sum(bursts) <= 5_100


def test_as_much_over_a_longer_time_is_no_reason_to_rest() -> None:
    timers = Timers()
    chatter = Chatter(timers.emit)
    for number in range(10 * MOST_IN_A_MOMENT):
        chatter.note(number * 0.001)
        assert not chatter.is_too_much
    assert timers.waiting == []


async def test_who_floods_is_heard_to_the_end(open_server: OpenServer) -> None:
    server = await open_server()
    async with connect(f"{server.url}/room") as websocket:
        await tell(websocket, HELLO)
        await hear(websocket, Welcome)
        await tell(websocket, Ready(EPOCH, 0))
        for _ in range(3 * MOST_IN_A_MOMENT):
            await tell(websocket, Heartbeat(0))
        await tell(websocket, Mark(7))
        assert (await hear(websocket, Marked)).number == 7
