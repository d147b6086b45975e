"""How often a client may show another state: what comes faster is superseded, and costs nobody else."""

from __future__ import annotations

import asyncio

from websockets.asyncio.client import connect

from replicell.sync.limits import Limits
from replicell.sync.messages import (
    PROTOCOL,
    Hello,
    Mark,
    Marked,
    Message,
    Peers,
    Present,
    Problem,
    Ready,
    Welcome,
    decode,
)
from replicell.sync.showing import Showing
from tests.sync.conftest import OpenServer
from tests.sync.support import PATIENCE, Timers
from tests.sync.test_server import EPOCH, HELLO, hear, tell


def showing(per_second: float | None) -> tuple[Showing, list[str | None], Timers]:
    shown: list[str | None] = []
    timers = Timers()
    return Showing(timers.emit, per_second, shown.append), shown, timers


def test_the_first_is_shown_at_once_and_of_those_that_come_too_soon_the_last() -> None:
    some, shown, timers = showing(4.0)
    for state in ("a", "b", "c"):
        some.take(state)
    assert (shown, [later.seconds for later in timers.waiting]) == (["a"], [0.25])

    timers.pass_time()

    assert shown == ["a", "c"]


def test_what_comes_no_faster_than_it_may_is_all_shown() -> None:
    some, shown, timers = showing(4.0)
    for state in ("a", "b", "c"):
        some.take(state)
        timers.pass_time()
    assert shown == ["a", "b", "c"]


def test_who_takes_no_part_any_more_is_not_shown_again() -> None:
    some, shown, timers = showing(4.0)
    for state in ("a", "b", None):
        some.take(state)
    timers.pass_time()
    assert shown == ["a", None]


def test_without_a_limit_all_are_shown() -> None:
    some, shown, timers = showing(None)
    for number in range(100):
        some.take(str(number))
    assert (len(shown), timers.waiting) == (100, [])


async def test_a_flood_is_read_to_its_end_and_its_last_state_counts(open_server: OpenServer) -> None:
    server = await open_server(limits=Limits(presence_per_second=1000.0))
    async with connect(f"{server.url}/room") as flooder, connect(f"{server.url}/room") as other:
        for websocket, site in ((flooder, b"1" * 16), (other, b"2" * 16)):
            await tell(websocket, Hello(PROTOCOL, site, [], []))
            await hear(websocket, Welcome)
            await tell(websocket, Ready(EPOCH, 0))
        await tell(other, Present("{}"))
        for number in range(500):
            await tell(flooder, Present(f'{{"n":{number}}}'))
        await tell(flooder, Mark(1))
        assert (await hear(flooder, Marked)).number == 1

        told: list[str] = []
        while '{"n":499}' not in told:
            told += [announcement.state for announcement in (await hear(other, Peers)).here]
        assert told.count('{"n":499}') == 1


async def test_a_flood_of_what_cannot_be_shown_is_no_flood_of_complaints(open_server: OpenServer) -> None:
    server = await open_server(limits=Limits(presence_per_second=1e-3, presence_bytes=2))
    async with connect(f"{server.url}/room") as websocket:
        await tell(websocket, HELLO)
        await hear(websocket, Welcome)
        await tell(websocket, Ready(EPOCH, 0))
        for _ in range(5):
            await tell(websocket, Present('{"too":"much"}'))
        await tell(websocket, Mark(1))
        heard: list[Message] = []
        async with asyncio.timeout(PATIENCE):
            while not heard or not isinstance(heard[-1], Marked):
                heard.append(decode(await websocket.recv()))
        assert [message.code for message in heard if isinstance(message, Problem)] == ["presence"]
