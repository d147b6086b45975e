"""What has been committed in a room and its clients have not been told yet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from replicell.sync.envelopes import join_changes

__all__ = ["Gathering", "News"]

_MOST_BYTES: Final = 64 * 1024
"""How big commits may be to be told of as one; of bigger ones there is nothing to save."""


class News(NamedTuple):
    """Some commits that clients are told of together.

    Args:
        until: The version they reach.
        authors: Who wrote all of it, and so need not get it back.
        frames: The encoded `Changes`, one frame or several parts.
    """

    until: int
    authors: frozenset[bytes]
    frames: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Bytes of its frames."""
        return sum(map(len, self.frames))


class Gathering:
    """Commits in the order of their versions, without a gap; small ones that follow one another become one.

    Args:
        next_batch: Gives a number for a batch.
    """

    def __init__(self, next_batch: Callable[[], int]) -> None:
        self._next_batch = next_batch
        self._commits: list[News] = []

    @property
    def until(self) -> int:
        """The version that the last one reaches, 0 if there is none."""
        return self._commits[-1].until if self._commits else 0

    def add(self, until: int, authors: frozenset[bytes], frames: Sequence[bytes]) -> None:
        """Add a commit.

        Args:
            until: The version that it made.
            authors: Who wrote all of it.
            frames: Its changes, as `TakenIn.frames` has them.
        """
        self._commits.append(News(until, authors, tuple(frames)))

    def take(self) -> list[News]:
        """Hand out what there is, and begin anew."""
        commits, self._commits = self._commits, []
        joined: list[News] = []
        together: list[News] = []
        size = 0
        for commit in commits:
            if together and (size + commit.size > _MOST_BYTES or len(commit.frames) > 1):
                joined.append(self._join(together))
                together, size = [], 0
            together.append(commit)
            size += commit.size if len(commit.frames) == 1 else _MOST_BYTES
        if together:
            joined.append(self._join(together))
        return joined

    def _join(self, commits: list[News]) -> News:
        if len(commits) == 1:
            return commits[0]
        frame = join_changes([commit.frames[0] for commit in commits], self._next_batch())
        authors = frozenset.intersection(*(commit.authors for commit in commits))
        return News(commits[-1].until, authors, (frame,))
