"""Whether JetStream brings anything about, as far as one node can tell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

__all__ = ["LONGEST_PAUSE", "Health"]

LONGEST_PAUSE: Final = 10.0
"""So many seconds the loss of a machine may cost, an election in NATS among them; longer is trouble."""
_DOUBT_SECONDS: Final = 3.0
_NO_LEADER_SECONDS: Final = 5.0
_NO_APPEND_SECONDS: Final = 3.0
"""After so long without an answer another NATS server is tried: this one may be cut off from the others."""
_STAY_SECONDS: Final = 1.0


class Health:
    """Takes note of what is asked of JetStream and answered.

    Args:
        now: A clock in seconds that only goes forward.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._looking_since: float | None = None
        self._failing: dict[object, float] = {}
        self._alone_since: float | None = None
        self._leader_is_alone = False
        self._moved_at = float("-inf")

    @property
    def is_doubtful(self) -> bool:
        """Whether the stream's leader should be looked for again soon."""
        return self._looking_since is not None or bool(self._failing)

    @property
    def silent_seconds(self) -> float:
        """For how long nothing has been brought about, or nothing was heard of those who should."""
        since = [*self._failing.values()]
        since += [each for each in (self._looking_since, self._alone_since) if each is not None]
        return self._now() - min(since) if since else 0.0

    @property
    def answers(self) -> bool:
        """Whether JetStream can be counted on just now."""
        return self.silent_seconds < _DOUBT_SECONDS

    def look_begins(self) -> None:
        """The stream's leader is asked for."""
        if self._looking_since is None:
            self._looking_since = self._now()

    def look_ends(self, *, leader_is_alone: bool) -> None:
        """The leader has answered.

        Args:
            leader_is_alone: It has not heard of the other servers lately.
        """
        self._looking_since = None
        self._leader_is_alone = leader_is_alone
        if not leader_is_alone:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = self._now()

    def append_failed(self, entry: object) -> None:
        """An entry was not acknowledged, and is going to be sent again."""
        self._failing.setdefault(entry, self._now())

    def append_succeeded(self) -> bool:
        """An entry was acknowledged, so others may be too; returns whether some had failed."""
        had_failed = bool(self._failing)
        self._failing.clear()
        return had_failed

    def append_ended(self, entry: object) -> None:
        """Nobody tries to append an entry any more."""
        self._failing.pop(entry, None)

    def nothing_is_asked(self) -> None:
        """Nothing is appended for now, and that is not for want of answers."""
        self._looking_since = None
        self._failing.clear()

    def leave(self) -> bool:
        """Whether to go to another NATS server now, for this one seems to be cut off from the others."""
        now = self._now()
        if now < self._moved_at + _STAY_SECONDS or not self._is_to_be_left(now):
            return False
        self._leader_is_alone = False
        self._moved_at = now
        return True

    def _is_to_be_left(self, now: float) -> bool:
        no_leader = now if self._looking_since is None else max(self._looking_since, self._moved_at)
        failing_since = min(self._failing.values(), default=now)
        if failing_since > self._moved_at:
            no_append_until = failing_since + _NO_APPEND_SECONDS
        else:
            # The first server was not to blame. Another step amid an election, perhaps to one that stands
            # still, would only make the pause longer.
            no_append_until = self._moved_at + _NO_LEADER_SECONDS
        return self._leader_is_alone or now >= no_leader + _NO_LEADER_SECONDS or now >= no_append_until
