"""What a server counts of itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicell.persisters.crsqlite.changes import Change
from replicell.sync.counts import Counts, Histogram, count_changes
from replicell.sync.messages import Ack, Changes, Hello, encode

NUMBERS = st.integers(0, 2**62)


@given(NUMBERS, NUMBERS, st.integers(0, 2**31), st.integers(0, 40_000), st.booleans())
def test_changes_in_a_frame_are_counted_without_decoding_it(
    since: int, until: int, batch: int, part: int, last: bool
) -> None:
    row = Change("todo", b"\x01\x0b\x011", "text", "x", 1, 1, 0, 1)
    for count in (0, 1, 15, 16, 300):
        frame = encode(Changes(b"e" * 16, since, until, batch, part, last, [row] * count))
        assert count_changes(frame) == count


def test_many_changes_are_counted_too() -> None:
    row = Change("t", b"\x01\x0b\x011", "c", None, 1, 1, 0, 1)

    assert count_changes(encode(Changes(b"e" * 16, 1, 2, 3, 0, True, [row] * 70_000))) == 70_000


@pytest.mark.parametrize("message", [Ack(7), Hello(1, b"s" * 16, [], [])])
def test_other_messages_hold_no_changes(message: Ack | Hello) -> None:
    assert count_changes(encode(message)) == 0


def test_a_frame_that_goes_to_many_is_counted_for_each() -> None:
    row = Change("t", b"\x01\x0b\x011", "c", None, 1, 1, 0, 1)
    frame = encode(Changes(b"e" * 16, 1, 2, 3, 0, True, [row, row]))
    counts = Counts()

    for _ in range(3):
        counts.sent(frame)
    counts.sent(encode(Ack(1)))

    assert counts.changes_out == 6
    assert counts.bytes_out == 3 * len(frame) + len(encode(Ack(1)))


def test_a_bound_belongs_to_its_bucket() -> None:
    sizes = Histogram((1.0, 2.0))
    for size in (1.0, 1.5, 2.0, 2.1):
        sizes.observe(size)

    assert sizes.cumulated() == [1, 3, 4]
    assert sizes.total == pytest.approx(6.6)
