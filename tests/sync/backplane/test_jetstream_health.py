"""What a node makes of the answers that JetStream gives or owes it, by a clock that is set by hand."""

from __future__ import annotations

import pytest

from replicell.sync.backplane.jetstream_health import LONGEST_PAUSE, Health


class Clock:
    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def health(clock: Clock) -> Health:
    return Health(clock)


def test_nothing_that_was_asked_is_no_silence(health: Health, clock: Clock) -> None:
    clock.time += 100
    assert health.silent_seconds == 0
    assert health.answers
    assert not health.is_doubtful
    assert not health.leave()


def test_a_leader_that_is_looked_for_in_vain_is_silence_until_one_answers(
    health: Health, clock: Clock
) -> None:
    health.look_begins()
    clock.time += 2
    assert health.answers
    health.look_begins()
    clock.time += 2
    assert health.silent_seconds == 4
    assert not health.answers
    health.look_ends(leader_is_alone=False)
    assert health.silent_seconds == 0
    assert health.answers


def test_an_entry_that_is_not_acknowledged_is_silence_though_a_leader_answers(
    health: Health, clock: Clock
) -> None:
    health.append_failed("entry")
    clock.time += LONGEST_PAUSE
    health.append_failed("entry")
    health.look_begins()
    health.look_ends(leader_is_alone=False)
    assert health.silent_seconds == LONGEST_PAUSE


def test_one_acknowledged_entry_ends_the_silence_for_all(health: Health, clock: Clock) -> None:
    assert not health.append_succeeded()
    health.append_failed("entry")
    health.append_failed("another")
    clock.time += LONGEST_PAUSE
    assert health.append_succeeded()
    assert health.silent_seconds == 0


def test_an_entry_that_nobody_tries_to_append_any_more_is_no_silence(health: Health, clock: Clock) -> None:
    health.append_failed("entry of a room that is closed")
    clock.time += LONGEST_PAUSE
    health.append_ended("entry of a room that is closed")
    assert health.silent_seconds == 0
    assert not health.leave()


def test_a_leader_that_is_alone_is_left_at_once_and_stays_silence_until_another_is_found(
    health: Health, clock: Clock
) -> None:
    health.look_begins()
    health.look_ends(leader_is_alone=True)
    assert health.leave()
    assert not health.leave()
    clock.time += 4
    assert health.silent_seconds == 4
    health.look_begins()
    health.look_ends(leader_is_alone=True)
    assert health.silent_seconds == 4
    health.look_begins()
    health.look_ends(leader_is_alone=False)
    assert health.silent_seconds == 0


def test_a_server_is_given_a_second_before_it_is_left(health: Health, clock: Clock) -> None:
    health.look_ends(leader_is_alone=True)
    assert health.leave()
    clock.time += 0.5
    health.look_ends(leader_is_alone=True)
    assert not health.leave()
    clock.time += 0.5
    assert health.leave()


@pytest.mark.parametrize(("seconds", "is_left"), [(2.9, False), (3.0, True)])
def test_a_server_that_takes_no_entries_is_left(
    health: Health, clock: Clock, seconds: float, is_left: bool
) -> None:
    health.append_failed("entry")
    clock.time += seconds
    assert health.leave() is is_left


def test_each_server_has_the_same_time_and_the_silence_goes_on(health: Health, clock: Clock) -> None:
    health.look_begins()
    clock.time += 5
    assert health.leave()
    clock.time += 4.9
    assert not health.leave()
    assert health.silent_seconds == pytest.approx(9.9)
    clock.time += 0.1
    assert health.leave()


@pytest.mark.parametrize(("seconds", "is_left"), [(4.9, False), (5.0, True)])
def test_a_second_server_that_takes_no_entries_is_not_left_amid_an_election(
    health: Health, clock: Clock, seconds: float, is_left: bool
) -> None:
    health.append_failed("entry")
    clock.time += 3
    assert health.leave()
    clock.time += seconds
    assert health.leave() is is_left


def test_who_has_reasons_not_to_ask_is_owed_nothing(health: Health, clock: Clock) -> None:
    health.look_begins()
    health.append_failed("entry")
    clock.time += LONGEST_PAUSE
    health.nothing_is_asked()
    assert health.silent_seconds == 0
    assert not health.leave()
