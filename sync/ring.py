"""The most recent batches of a room, encoded once and shared by all its clients."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from typing import Final

from replicell.sync.messages import TableAnnouncement

__all__ = ["DEFAULT_RING_BYTES", "Ring", "RingEntry"]

DEFAULT_RING_BYTES: Final = 4 * 1024 * 1024
_MAX_ENTRIES: Final = 4096


@dataclass(frozen=True, slots=True)
class RingEntry:
    """All changes of some versions, ready to send.

    Args:
        since: The version before the first.
        until: The last version.
        authors: Site ids of those who wrote all of it, and so need not get it back.
        frames: The encoded `Changes`, one frame or several parts.
        tables: The tables as they were then.
        cookie: The schema that this was.
    """

    since: int
    until: int
    authors: frozenset[bytes]
    frames: tuple[bytes, ...]
    tables: list[TableAnnouncement]
    cookie: object

    @property
    def size(self) -> int:
        """Bytes of its frames."""
        return sum(map(len, self.frames))


class Ring:
    """Batches from version ``since`` to ``until`` without a gap; the oldest make room for new ones.

    Args:
        version: The room's present version.
        max_bytes: How much is kept.
    """

    def __init__(self, version: int, max_bytes: int = DEFAULT_RING_BYTES) -> None:
        self._max_bytes = max_bytes
        self._entries: deque[RingEntry] = deque()
        self._size = 0
        self.since = version
        self.until = version

    def append(self, entry: RingEntry) -> None:
        """Add the batch that follows; one that is too big to keep empties the ring, and is read from the
        database."""
        self._entries.append(entry)
        self._size += entry.size
        self.until = entry.until
        while self._entries and (self._size > self._max_bytes or len(self._entries) > _MAX_ENTRIES):
            oldest = self._entries.popleft()
            self._size -= oldest.size
            self.since = oldest.until

    def restart(self, version: int) -> None:
        """Forget everything; what comes next follows this version."""
        self._entries.clear()
        self._size = 0
        self.since = self.until = version

    def after(self, version: int) -> RingEntry | None:
        """Return the batch that holds the version after this one, None if it is not here."""
        if not self.since <= version < self.until:
            return None
        return self._entries[bisect_right(self._entries, version, key=_until)]


def _until(entry: RingEntry) -> int:
    return entry.until
