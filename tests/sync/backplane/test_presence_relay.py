"""Who is in a room is told among the nodes, again and again, as what is told may get lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, cast

import pytest

from replicell.sync.actions import Action
from replicell.sync.backplane.entries import Company, decode_telling, encode_telling
from replicell.sync.backplane.interface import RoomLog
from replicell.sync.backplane.presence_relay import PresenceRelay
from replicell.sync.messages import PeerAnnouncement
from replicell.sync.presence import PresenceBoard, Shown
from tests.sync.backplane.conftest import OpenNode
from tests.sync.conftest import OpenClient, OpenDatabase
from tests.sync.test_presence import Screen
from tests.sync.test_presence_clients import seen, states


def board_without_rests() -> PresenceBoard:
    def emit(action: Action) -> None:
        asyncio.get_running_loop().call_soon(cast(Any, action).call)

    return PresenceBoard(emit)


class Node:
    """One node's board and relay, and what it has told."""

    def __init__(self, name: str, now: list[float], interval: float = 3600.0) -> None:
        self.board = board_without_rests()
        self.relay = PresenceRelay(name.encode(), self.board, interval, lambda: now[0])
        self.told: asyncio.Queue[Company] = asyncio.Queue()
        self.is_deaf = False
        self.others: list[Node] = []

    async def tell(self, payload: bytes) -> None:
        telling = decode_telling(payload)
        assert isinstance(telling, Company)
        self.told.put_nowait(telling)
        for other in self.others:
            if not other.is_deaf:
                other.relay.hear(telling)

    @property
    def sees(self) -> list[str]:
        return sorted(self.board.everybody.peers)

    async def until_it_sees(self, *peers: str) -> None:
        changed = asyncio.Event()
        listener = self.board.everybody.add_listener(lambda *_: changed.set())
        async with asyncio.timeout(10):
            while self.sees != sorted(peers):
                await changed.wait()
                changed.clear()
        self.board.everybody.del_listener(listener)


@pytest.fixture
async def nodes() -> AsyncIterator[tuple[Node, Node, list[float]]]:
    """Two nodes; only one of them has begun."""
    now = [0.0]
    one, two = Node("one", now), Node("two", now)
    one.others, two.others = [two], [one]
    task = asyncio.create_task(one.relay.run(cast(RoomLog, one)))
    yield one, two, now
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


class TestRelay:
    async def test_who_comes_and_goes_here_is_told_there(self, nodes: tuple[Node, Node, list[float]]) -> None:
        one, two, _ = nodes
        screen = Screen()
        one.board.show(screen, "a", Shown('{"x":1}', "anna"))
        await two.until_it_sees("a")
        assert two.board.everybody.peers["a"] == ("a", {"x": 1}, "anna")
        one.board.leave(screen)
        await two.until_it_sees()

    async def test_a_node_that_begins_asks_and_is_told(self, nodes: tuple[Node, Node, list[float]]) -> None:
        one, two, _ = nodes
        two.is_deaf = True
        one.board.show(Screen(), "a", Shown("{}"))
        await one.until_it_sees("a")
        two.is_deaf = False
        two.board.show(Screen(), "b", Shown("{}"))
        task = asyncio.create_task(two.relay.run(cast(RoomLog, two)))
        await two.until_it_sees("a", "b")
        await one.until_it_sees("a", "b")
        task.cancel()

    async def test_what_got_lost_is_made_good_when_everything_is_told(
        self, nodes: tuple[Node, Node, list[float]]
    ) -> None:
        one, two, _ = nodes
        screen = Screen()
        one.board.show(screen, "a", Shown("{}"))
        one.board.show(Screen(), "b", Shown("{}"))
        await two.until_it_sees("a", "b")
        two.is_deaf = True
        one.board.leave(screen)
        await one.until_it_sees("b")
        while (await one.told.get()).gone != ["a"]:
            continue
        two.is_deaf = False
        one.relay.hear(Company(b"three", [], [], None, True))
        await two.until_it_sees("b")

    async def test_who_has_moved_to_another_node_is_not_gone_when_the_first_one_says_so(
        self, nodes: tuple[Node, Node, list[float]]
    ) -> None:
        one, _, _ = nodes
        moved = [PeerAnnouncement("a", "{}")]
        one.relay.hear(Company(b"two", moved, [], None, False))
        one.relay.hear(Company(b"three", moved, [], None, False))
        one.relay.hear(Company(b"two", [], ["a"], None, False))
        await one.until_it_sees("a")
        one.relay.hear(Company(b"three", [], [], [], False))
        await one.until_it_sees()

    async def test_a_node_that_is_silent_for_long_has_nobody(self) -> None:
        now = [0.0]
        one = Node("one", now, interval=0.02)
        task = asyncio.create_task(one.relay.run(cast(RoomLog, one)))
        one.relay.hear(Company(b"two", [PeerAnnouncement("a", "{}")], [], ["a"], False))
        one.relay.hear(Company(b"three", [PeerAnnouncement("b", "{}")], [], ["b"], False))
        await one.until_it_sees("a", "b")
        now[0] = 0.05
        one.relay.hear(Company(b"three", [], [], None, False))
        now[0] = 0.07
        await one.until_it_sees("b")
        task.cancel()

    async def test_of_the_others_clients_a_node_tells_nothing(
        self, nodes: tuple[Node, Node, list[float]]
    ) -> None:
        one, _, _ = nodes
        one.relay.hear(Company(b"two", [PeerAnnouncement("a", "{}")], [], ["a"], False))
        one.relay.hear(Company(b"two", [], ["a"], None, False))
        one.board.show(Screen(), "b", Shown("{}"))
        told: list[Company] = []
        while not any(company.here for company in told):
            told.append(await asyncio.wait_for(one.told.get(), 10))
        assert [peer.id for company in told for peer in company.here] == ["b"]
        assert [company.gone for company in told if company.gone] == []

    def test_what_is_told_can_be_read(self) -> None:
        company = Company(b"run", [PeerAnnouncement("a", "{}", "anna")], ["b"], ["a"], True)
        assert decode_telling(encode_telling(company)) == company


async def test_clients_of_different_nodes_see_each_other(
    open_node: OpenNode, open_database: OpenDatabase, open_client: OpenClient
) -> None:
    one, two = await open_node("1"), await open_node("2")
    anna = await open_client(await open_database("a"), f"{one.url}/room")
    ben = await open_client(await open_database("b"), f"{two.url}/room")
    anna.set_presence({"name": "Anna"})
    ben.set_presence({"name": "Ben"})
    await seen(anna, lambda: states(anna) == [{"name": "Ben"}])
    await seen(ben, lambda: states(ben) == [{"name": "Anna"}])
    anna.set_presence({"name": "Anna", "x": 1})
    await seen(ben, lambda: states(ben) == [{"name": "Anna", "x": 1}])
    await anna.close()
    await seen(ben, lambda: states(ben) == [])
