"""Whose turn it is: who has much to apply does not hold up those who have little."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from replicell.sync.limits import TokenBucket

__all__ = ["Turn", "Turns"]

_SHARE: Final = 0.2
"""Which part of the time a busy client may have while others are there."""
_BURST_SECONDS: Final = 0.25
_ACTIVE_SECONDS: Final = 10.0
"""How long a client counts as being there after it has had something applied."""
_SHORT_TURN: Final = 100
_LONG_TURN: Final = 2000


class Turns:
    """Shares out the time in which a server applies changes, among all its clients.

    What several clients of a room send is applied one after the other, and all rooms share the event loop and
    the interpreter. So a client that has done much lately, while others do something too, waits after each
    turn for a few times as long as that took: the others find everything free most of the time. Who is alone
    never waits.

    Args:
        clock: The time in seconds, from any clock that only goes forward.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._active: dict[Turn, float] = {}

    def enter(self) -> Turn:
        """Return a further client's part."""
        return Turn(self)

    def tick(self) -> None:
        """Forget about those who have done nothing for long."""
        oldest = self.clock() - _ACTIVE_SECONDS
        for turn, asked_at in list(self._active.items()):
            if asked_at >= oldest:
                break
            del self._active[turn]

    def note(self, turn: Turn) -> None:
        """A client has something to apply; the one that asked last stands last."""
        self._active.pop(turn, None)
        self._active[turn] = self.clock()

    def has_others(self, turn: Turn) -> bool:
        """Tell whether another client has had something to apply lately."""
        for other, asked_at in reversed(self._active.items()):
            if other is not turn:
                return asked_at >= self.clock() - _ACTIVE_SECONDS
        return False


class Turn:
    """One client's part of the time.

    Args:
        turns: The whole.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._allowance = TokenBucket(_SHARE, _BURST_SECONDS, turns.clock)
        self._free_at = float("-inf")

    def delay(self) -> float:
        """Return the seconds to wait before the next changes are applied."""
        self._turns.note(self)
        return max(0.0, self._free_at - self._turns.clock()) if self._turns.has_others(self) else 0.0

    def size(self) -> int:
        """Return about how many changes may be applied at once."""
        return _SHORT_TURN if self._turns.has_others(self) else _LONG_TURN

    def used(self, seconds: float) -> None:
        """Applying the last changes has taken so long."""
        if self._allowance.take(seconds) > 0:
            self._free_at = self._turns.clock() + seconds * (1 / _SHARE - 1)
