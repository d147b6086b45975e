"""Turns: who has much to apply waits for those who have little, and only then."""

from __future__ import annotations

from collections.abc import Hashable

import pytest
from websockets.asyncio.client import connect

from replicell.sync import Identity, StaticTokens
from replicell.sync.messages import Welcome
from replicell.sync.turns import Turn, Turns
from tests.sync.conftest import OpenServer
from tests.sync.support import Clock
from tests.sync.test_server import HELLO, hear, tell


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_who_is_alone_never_waits_and_has_long_turns(clock: Clock) -> None:
    turn = Turns(clock).enter()
    for _ in range(100):
        assert turn.delay() == 0.0
        clock.now += 1.0
        turn.used(1.0)
    assert turn.size() == 2000


def test_beside_others_a_busy_one_has_a_fifth_of_the_time_in_short_turns(clock: Clock) -> None:
    turns = Turns(clock)
    busy, other = turns.enter(), turns.enter()
    worked = 0.0
    for _ in range(1000):
        other.delay()
        clock.now += busy.delay()
        assert busy.size() == 100
        clock.now += 0.05
        worked += 0.05
        busy.used(0.05)
    assert worked / clock.now == pytest.approx(0.2, abs=0.01)


def test_a_short_effort_is_not_held_up(clock: Clock) -> None:
    turns = Turns(clock)
    turns.enter().delay()
    importer = turns.enter()
    for _ in range(5):
        assert importer.delay() == 0.0
        clock.now += 0.05
        importer.used(0.05)


def test_those_who_have_little_never_wait_beside_a_busy_one(clock: Clock) -> None:
    turns = Turns(clock)
    busy, typist = turns.enter(), turns.enter()
    for _ in range(1000):
        assert typist.delay() == 0.0
        typist.used(0.002)
        busy.delay()
        busy.used(0.05)
        clock.now += 0.1


def test_others_count_for_as_long_as_they_did_something_lately(clock: Clock) -> None:
    turns = Turns(clock)
    busy, other = turns.enter(), turns.enter()
    other.delay()
    busy.delay()
    busy.used(10.0)
    assert busy.delay() > 0
    clock.now = 10.5
    turns.tick()
    assert busy.delay() == 0.0
    assert busy.size() == 2000
    other.delay()
    assert busy.size() == 100


def worked(turns: Turns, busy: list[Turn], clock: Clock, *, until: float) -> float:
    """Have some work as often as they may, beside somebody else; return their part of the time."""
    other = turns.enter()
    free = dict.fromkeys(busy, clock.now)
    began, work = clock.now, 0.0
    while clock.now < until:
        other.delay()
        turn = min(busy, key=free.__getitem__)
        clock.now = max(clock.now, free[turn])
        turn.delay()
        clock.now += 0.01
        work += 0.01
        turn.used(0.01)
        free[turn] = clock.now + turn.delay()
        turns.tick()
    return work / (clock.now - began)


def test_five_connections_of_one_identity_have_no_more_than_one(clock: Clock) -> None:
    turns = Turns(clock)
    assert worked(turns, [turns.enter("anna") for _ in range(5)], clock, until=100.0) == pytest.approx(
        0.2, abs=0.01
    )


def test_connections_that_have_nothing_in_common_have_a_fifth_each(clock: Clock) -> None:
    turns = Turns(clock)
    assert worked(turns, [turns.enter(), turns.enter("ben")], clock, until=100.0) == pytest.approx(
        0.4, abs=0.01
    )


def test_who_comes_again_waits_on_and_has_no_new_quarter_of_a_second(clock: Clock) -> None:
    turns = Turns(clock)
    turns.enter().delay()
    first = turns.enter("anna")
    first.delay()
    first.used(0.3)
    waits = first.delay()
    assert waits == pytest.approx(1.2)
    turns.leave(first)
    turns.tick()

    second = turns.enter("anna")
    assert second.delay() == waits
    clock.now += waits
    assert second.delay() == 0.0
    second.used(0.3)
    assert second.delay() > 0


def test_what_was_still_being_applied_when_somebody_left_counts_too(clock: Clock) -> None:
    turns = Turns(clock)
    turns.enter().delay()
    hasty = turns.enter("anna")
    hasty.delay()
    turns.leave(hasty)
    turns.tick()
    hasty.used(1.0)
    assert turns.enter("anna").delay() == pytest.approx(4.0)


def test_who_has_little_waits_little_beside_a_busy_one_of_the_same_identity(clock: Clock) -> None:
    turns = Turns(clock)
    laptop, phone = turns.enter("anna"), turns.enter("anna")
    laptop.delay()
    phone.delay()
    laptop.used(15.0)
    assert laptop.delay() > 60
    phone.used(0.002)
    assert 0 < phone.delay() < 0.02


def test_an_identity_that_has_gone_and_owes_nothing_is_forgotten(clock: Clock) -> None:
    turns = Turns(clock)
    turns.enter().delay()
    before = turns.enter("anna")
    before.delay()
    before.used(0.3)
    turns.leave(before)
    clock.now += 100.0
    turns.tick()
    after = turns.enter("anna")
    assert after.share is not before.share
    assert turns.enter("anna").share is after.share


async def test_the_server_knows_the_connections_of_an_identity_by_its_name(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered: list[Turn] = []
    enter = Turns.enter

    def watched(turns: Turns, identity: Hashable | None = None) -> Turn:
        entered.append(enter(turns, identity))
        return entered[-1]

    monkeypatch.setattr(Turns, "enter", watched)
    names = {"laptop": "anna", "phone": "anna", "other": "ben", "first": "", "second": ""}
    identities = {token: Identity(name=name) for token, name in names.items()}
    server = await open_server(authenticate=StaticTokens(identities=identities))
    async with server.open_room("room"):
        pass  # Else making it would be a turn of its own.
    for token in names:
        async with connect(f"{server.url}/room?token={token}") as websocket:
            await tell(websocket, HELLO)
            await hear(websocket, Welcome)

    laptop, phone, *others = [turn.share for turn in entered]
    assert laptop is phone
    assert len({laptop, *others}) == 4
