"""The few functions that want to hear when something has changed."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Listeners"]


class Listeners:
    """Functions without arguments, called in the order in which they were added.

    Example:
        >>> listeners = Listeners()
        >>> remove = listeners.add(lambda: print("changed"))
        >>> listeners.call()
        changed
        >>> remove()
        >>> listeners.call()
    """

    def __init__(self) -> None:
        self._listeners: list[Callable[[], None]] = []

    def add(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Add a listener and return the function that removes it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def call(self) -> None:
        """Call all listeners."""
        for listener in tuple(self._listeners):
            listener()
