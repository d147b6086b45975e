"""The course of a history: what has happened in it, in words for people and as a sum of every byte."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

__all__ = ["Course"]


class Course:
    """Takes note of what happens.

    Args:
        now: Tells the history's own time in seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.trace: list[str] = []
        """What has happened, a line each."""
        self._now = now
        self._sum = blake2b(digest_size=16)
        self._numbers = 0

    @property
    def fingerprint(self) -> str:
        """Tells this course from any other: of all that was noted and of every frame, with its time."""
        return self._sum.hexdigest()

    def note(self, what: str) -> None:
        """Take note of something that people want to read of."""
        self.trace.append(f"{self._now():9.4f} {what}")
        self.digest("note", what.encode())

    def digest(self, where: str, content: bytes) -> None:
        """Take note of bytes that have come somewhere."""
        self._sum.update(f"{self._now()!r} {where} {len(content)} ".encode())
        self._sum.update(content)

    def next_number(self) -> int:
        """Return 1, then 2, and so on."""
        self._numbers += 1
        return self._numbers
