"""What a server counts of itself: plain numbers, so that counting costs next to nothing."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Final

__all__ = ["Counts", "Histogram", "count_changes"]

_APPLY_BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_DELAY_BOUNDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_ARRAY: Final = 0x98
"""How a frame of changes begins: an array of eight; all other messages are maps."""
_CHANGES: Final = b"\xa7changes"
_EPOCH_AT: Final = 1 + len(_CHANGES)
_LONGER: Final = {0xCC: 2, 0xCD: 3, 0xCE: 5, 0xCF: 9, 0xD0: 2, 0xD1: 3, 0xD2: 5, 0xD3: 9}
_SIZES: Final = bytes(_LONGER.get(head, 1) for head in range(256))
"""How many bytes a number or a truth value has in MessagePack, by its first one."""


class Histogram:
    """How often a value was how big.

    Args:
        bounds: The upper bounds of its buckets, ascending; one more holds what is bigger.

    >>> sizes = Histogram((1, 10))
    >>> for size in (0.5, 1, 3, 20):
    ...     sizes.observe(size)
    >>> sizes.cumulated(), sizes.total
    ([2, 3, 4], 24.5)
    """

    __slots__ = ("_counts", "bounds", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self._counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulated(self) -> list[int]:
        """Return how many values were at most each bound, and how many there were at all."""
        counts, sum_so_far = [], 0
        for count in self._counts:
            sum_so_far += count
            counts.append(sum_so_far)
        return counts


class Counts:
    """What has happened since the server was made."""

    def __init__(self) -> None:
        self.changes_in = 0
        self.changes_out = 0
        self.bytes_out = 0
        self.unopened_rooms = 0
        """How often a client got into no room because its database could not be opened."""
        self.refused_changes: Counter[str] = Counter()
        """By `RefusalCode`; those that wait for their table or column are ``unknown_table`` and
        ``unknown_column``."""
        self.refused_connections: Counter[str] = Counter()
        """By the HTTP status, or by the reason of a close code; ``overcrowded`` are those for whom there was
        not even the place to be told."""
        self.closed_connections: Counter[str] = Counter()
        """Connections that the server has ended, by the reason."""
        self.apply_seconds = Histogram(_APPLY_BOUNDS)
        self.loop_delay_seconds = Histogram(_DELAY_BOUNDS)
        self._frame: object = None
        self._changes_in_frame = 0

    def sent(self, frame: bytes | str) -> None:
        """Count a frame that goes to a client."""
        self.bytes_out += len(frame)
        # The same object goes to all clients of a room, one after the other.
        if frame is not self._frame:
            self._frame, self._changes_in_frame = frame, count_changes(frame)
        self.changes_out += self._changes_in_frame


def count_changes(frame: bytes | str) -> int:
    """Return how many changes an encoded message holds, without decoding them; 0 in JSON, which people read.

    >>> count_changes(b"\\x81\\xa4type\\xa3ack")
    0
    """
    if isinstance(frame, str) or frame[0] != _ARRAY or not frame.startswith(_CHANGES, 1):
        return 0
    # The epoch, four numbers and a truth value come before the changes.
    position = _EPOCH_AT + 2 + frame[_EPOCH_AT + 1]
    for _ in range(5):
        position += _SIZES[frame[position]]
    head = frame[position]
    if head & 0xF0 == 0x90:
        return head & 0x0F
    return int.from_bytes(frame[position + 1 : position + (3 if head == 0xDC else 5)])
