"""Whose turn it is: who has much to apply does not hold up those who have little."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Final

from replicell.sync.limits import TokenBucket

__all__ = ["Turn", "Turns"]

_SHARE: Final = 0.2
"""Which part of the time a busy client, or all of one identity together, may have while others are there."""
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

    The connections of one identity have no more together than one of them would have, also if they end and
    come again.

    Args:
        clock: The time in seconds, from any clock that only goes forward.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._active: dict[Turn, float] = {}
        self._shares: dict[Hashable, _Share] = {}

    def enter(self, identity: Hashable | None = None) -> Turn:
        """Return a further client's part.

        Args:
            identity: Whose it is; None for somebody who has nothing in common with anybody.
        """
        share = None if identity is None else self._shares.get(identity)
        if share is None:
            share = _Share(self.clock)
            if identity is not None:
                self._shares[identity] = share
        share.connections += 1
        return Turn(self, share)

    def leave(self, turn: Turn) -> None:
        """A client has gone; what it had to wait for is waited for by the next one of its identity."""
        self._forget(turn)
        share = turn.share
        share.connections -= 1
        share.left_at = self.clock()
        turn.has_left = True
        share.owe(turn)

    def tick(self) -> None:
        """Forget about those who have done nothing for long."""
        oldest = self.clock() - _ACTIVE_SECONDS
        for turn, asked_at in list(self._active.items()):
            if asked_at >= oldest:
                break
            self._forget(turn)
        for identity, share in list(self._shares.items()):
            if (
                not share.connections
                and max(share.owed_until, share.left_at) < oldest
                and share.allowance.full
            ):
                del self._shares[identity]

    def note(self, turn: Turn) -> None:
        """A client has something to apply; the one that asked last stands last."""
        self._active.pop(turn, None)
        self._active[turn] = self.clock()
        turn.share.active.add(turn)

    def has_others(self, turn: Turn) -> bool:
        """Tell whether another client has had something to apply lately."""
        for other, asked_at in reversed(self._active.items()):
            if other is not turn:
                return asked_at >= self.clock() - _ACTIVE_SECONDS
        return False

    def _forget(self, turn: Turn) -> None:
        self._active.pop(turn, None)
        turn.share.active.discard(turn)


class _Share:
    """What the connections of one identity have together."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.allowance = TokenBucket(_SHARE, _BURST_SECONDS, clock)
        self.active: set[Turn] = set()
        self.connections = 0
        self.left_at = float("-inf")
        self.owed_until = float("-inf")
        """When those would be free again who have left."""

    def owe(self, turn: Turn) -> None:
        """Somebody who has left would have had to wait: so will the next one."""
        self.owed_until = max(self.owed_until, turn.free_at)


class Turn:
    """One client's part of the time.

    Args:
        turns: The whole.
        share: What it has in common with others of its identity.
    """

    def __init__(self, turns: Turns, share: _Share) -> None:
        self._turns = turns
        self.share = share
        self.free_at = share.owed_until
        self.has_left = False

    def delay(self) -> float:
        """Return the seconds to wait before the next changes are applied."""
        self._turns.note(self)
        return max(0.0, self.free_at - self._turns.clock()) if self._turns.has_others(self) else 0.0

    def size(self) -> int:
        """Return about how many changes may be applied at once."""
        return _SHORT_TURN if self._turns.has_others(self) else _LONG_TURN

    def used(self, seconds: float) -> None:
        """Applying the last changes has taken so long."""
        # Who was alone has taken nothing from anybody.
        if self._turns.has_others(self) and self.share.allowance.take(seconds) > 0:
            sharing = max(1, len(self.share.active))
            self.free_at = self._turns.clock() + seconds * (sharing / _SHARE - 1)
            if self.has_left:
                self.share.owe(self)
