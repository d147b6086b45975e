"""Taking turns: what several persisters of one medium do happens one after the other."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Turns"]


class Turns:
    """Lets one at a time go on; who must wait is called when it may try again, first come, first served.

    >>> turns = Turns()
    >>> turns.take(print), turns.take(lambda: print("again"))
    (True, False)
    >>> turns.give_back()
    again
    """

    __slots__ = ("_is_taken", "_waiting")

    def __init__(self) -> None:
        self._is_taken = False
        self._waiting: dict[Callable[[], object], None] = {}

    def take(self, again: Callable[[], object]) -> bool:
        """Take the turn, or have a function called once it is free."""
        if self._is_taken:
            self._waiting[again] = None
            return False
        self._waiting.pop(again, None)
        self._is_taken = True
        return True

    def give_back(self) -> None:
        """End the turn; those who wait try to take it until one of them has."""
        self._is_taken = False
        for again in list(self._waiting):
            if self._is_taken:
                return
            if again in self._waiting:
                del self._waiting[again]
                again()

    def leave(self, again: Callable[[], object]) -> None:
        """Wait no more."""
        self._waiting.pop(again, None)
