"""Waiting between attempts: longer each time, and by chance."""

from __future__ import annotations

from replicell.sync.backoff import Backoff


def test_the_longest_possible_wait_doubles_up_to_the_maximum() -> None:
    backoff = Backoff(initial=0.1, maximum=1.0, random=lambda: 1.0)

    assert [round(backoff.delay(attempt), 3) for attempt in range(6)] == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


def test_the_wait_is_anything_between_nothing_and_the_longest() -> None:
    assert Backoff(initial=1.0, random=lambda: 0.0).delay(3) == 0.0
    assert Backoff(initial=1.0, random=lambda: 0.25).delay(1) == 0.5


def test_a_client_that_has_tried_for_months_still_gets_a_number() -> None:
    assert 0 <= Backoff(maximum=15.0).delay(10**9) <= 15.0
