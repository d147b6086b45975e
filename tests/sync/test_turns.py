"""Turns: who has much to apply waits for those who have little, and only then."""

from __future__ import annotations

import pytest

from replicell.sync.turns import Turns
from tests.sync.support import Clock


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
