"""Doing something at once, and then at most every so often, however often it is asked for."""

from __future__ import annotations

from collections.abc import Callable

from replicell.sync.actions import Emit, Later

__all__ = ["Pace"]


class Pace:
    """Does something when asked, and after each time rests before it does it again.

    What is asked for during a rest is done once, when the rest is over.

    Args:
        emit: Takes the `Later` actions that end the rests.
        act: Called without arguments; returns how many seconds to rest.
    """

    def __init__(self, emit: Emit, act: Callable[[], float]) -> None:
        self._emit = emit
        self._act = act
        self._is_resting = False
        self._is_wanted = False

    def ask(self) -> None:
        """Have it done, now or when the rest is over."""
        self._is_wanted = True
        if not self._is_resting:
            self._go()

    def _go(self) -> None:
        self._is_wanted = False
        # What it brings about may ask for it again, which must not begin before this has ended.
        self._is_resting = True
        seconds = 0.0
        try:
            seconds = self._act()
        finally:
            self._is_resting = seconds > 0 or self._is_wanted
            if self._is_resting:
                self._emit(Later(seconds, self._rested))

    def _rested(self) -> None:
        self._is_resting = False
        if self._is_wanted:
            self._go()
