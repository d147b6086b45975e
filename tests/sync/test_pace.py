"""Doing something at once, and then at most every so often."""

from __future__ import annotations

import pytest

from replicell.sync.pace import Pace
from tests.sync.support import Timers


class TestPace:
    """The first is done at once, what comes in the rest is done once."""

    def test_often_asked_seldom_done(self) -> None:
        timers = Timers()
        done: list[int] = []

        def act() -> float:
            done.append(len(done))
            return 0.5

        pace = Pace(timers.emit, act)
        for _ in range(5):
            pace.ask()
        assert (done, [later.seconds for later in timers.waiting]) == ([0], [0.5])
        timers.pass_time()
        assert done == [0, 1]
        timers.pass_time()
        assert (done, timers.waiting) == ([0, 1], [])
        pace.ask()
        assert done == [0, 1, 2]

    def test_asking_while_it_is_done_is_asking_for_the_next_time(self) -> None:
        timers = Timers()
        done: list[str] = []

        def act() -> float:
            done.append("begins")
            if len(done) < 3:
                pace.ask()
            done.append("ends")
            return 0.0

        pace = Pace(timers.emit, act)
        pace.ask()
        assert done == ["begins", "ends"]
        timers.pass_time()
        assert done == ["begins", "ends"] * 2
        assert timers.waiting == []

    def test_a_failure_does_not_stop_it_for_ever(self) -> None:
        timers = Timers()
        done: list[int] = []

        def act() -> float:
            done.append(1)
            if len(done) == 1:
                raise RuntimeError("once")
            return 0.0

        pace = Pace(timers.emit, act)
        with pytest.raises(RuntimeError):
            pace.ask()
        pace.ask()
        assert len(done) == 2
