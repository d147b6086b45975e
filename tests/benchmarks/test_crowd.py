"""How long the clients of a crowd hear nothing: from the first moment to the last."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.crowd import Crowd, Member
from replicell.persisters.crsqlite.changes import Change
from replicell.sync.envelopes import Envelope, open_changes
from replicell.sync.messages import Changes, encode


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the time that members go by."""

    class Time:
        now = 0.0

        def monotonic(self) -> float:
            return self.now

    time = Time()
    monkeypatch.setattr("benchmarks.crowd.time", time)

    def set_time(now: float) -> None:
        time.now = now

    return set_time


def news() -> Envelope:
    frame = encode(Changes(b"e" * 16, 0, 1, 1, 0, True, [Change("t", b"\x01\x09\x01", "n", 1, 1, 1, 0, 1)]))
    assert isinstance(frame, bytes)
    return open_changes(frame)


def test_the_time_before_the_first_message_counts(at: Callable[[float], None]) -> None:
    member = Member("one", listens=False)
    at(10.0)
    member.begin()
    at(19.0)
    member.hear(news())
    at(20.0)
    member.hear(news())
    assert member.silence(20.5) == 9.0


def test_the_time_after_the_last_message_counts(at: Callable[[float], None]) -> None:
    member = Member("one", listens=False)
    at(10.0)
    member.begin()
    at(11.0)
    member.hear(news())
    assert member.silence(17.0) == 6.0
    # What came after the last edit is no silence.
    at(18.0)
    member.begin()
    at(18.5)
    member.hear(news())
    assert member.silence(18.2) == 0.5


async def test_who_never_hears_anything_is_told_of(at: Callable[[float], None]) -> None:
    crowd = Crowd()
    crowd.members = [Member("deaf", listens=False), Member("other", listens=False)]
    at(5.0)
    assert await crowd.edit(seconds=0.0, rate=1.0, step=1) == 0
    at(8.0)
    assert (await crowd.report())["silences"] == [0.0, 0.0]
    crowd.edited_until = 8.0
    crowd.members[1].hear(news())
    assert (await crowd.report())["silences"] == [3.0, 3.0]
