"""Which of several servers a client tries next, and when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from replicell.sync.backoff import Backoff
from replicell.sync.endings import Ending, seconds_to_rest

__all__ = ["Rest", "Rounds"]

_LASTING_SECONDS: Final = 2.0
"""A connection that held so long was a good one; the next attempt may follow at once."""


class Rest(NamedTuple):
    """What comes after all servers were tried.

    Args:
        why: How the connection ended that decides when it goes on.
        seconds: How long to wait; None for until something is changed here.
    """

    why: Ending
    seconds: float | None


class Rounds:
    """Goes from server to server, and rests only once each was tried.

    Args:
        urls: The addresses of one room, at least one; the first is tried first.
        backoff: How long to rest.

    >>> rounds = Rounds(["ws://one/room", "ws://two/room"], Backoff(initial=1, random=lambda: 0.5))
    >>> rounds.ended(Ending("no answer"), held=0.0, renewable=False), rounds.url
    (None, 'ws://two/room')
    >>> rounds.ended(Ending("no answer"), held=0.0, renewable=False).seconds, rounds.url
    (0.5, 'ws://one/room')
    """

    def __init__(self, urls: Sequence[str], backoff: Backoff) -> None:
        self._urls = urls
        self._backoff = backoff
        self._at = 0
        self._failures: list[Ending] = []
        self._rests = 0

    @property
    def url(self) -> str:
        """The address whose turn it is."""
        return self._urls[self._at]

    @property
    def last_failure(self) -> str:
        """What went wrong before this turn, empty for nothing since the last rest."""
        return self._failures[-1].detail if self._failures else ""

    def ended(self, end: Ending, *, held: float, renewable: bool) -> Rest | None:
        """A connection has ended, or none could be made: it is the next server's turn, if another one may do
        better.

        Args:
            end: How it ended.
            held: For how many seconds there was a connection.
            renewable: Whether the next attempt has another token.

        Returns:
            How long to rest first; None to go on at once.
        """
        if held > _LASTING_SECONDS:
            self._failures.clear()
            self._rests = 0
        if len(self._urls) > 1:
            end = end._replace(detail=f"{_host(self.url)}: {end.detail}")
        self._failures.append(end)
        if end.elsewhere:
            self._at = (self._at + 1) % len(self._urls)
            if len(self._failures) < len(self._urls):
                return None
        else:
            self._failures = [end]
        rests = [
            Rest(why, seconds_to_rest(why, self._rests, self._backoff, renewable=renewable))
            for why in self._failures
        ]
        self._failures.clear()
        self._rests += 1
        return min(rests, key=_patience)


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _patience(rest: Rest) -> float:
    return float("inf") if rest.seconds is None else rest.seconds
