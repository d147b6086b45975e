"""Reading what a listener of changes will want right after the commit, while the thread is there."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar

import apsw

__all__ = ["Found", "Prefetch"]

_T = TypeVar("_T")


class Found(NamedTuple, Generic[_T]):
    """What was read before it was asked for.

    Args:
        read: What was wanted.
        result: What it returned.
    """

    read: Callable[[apsw.Connection], _T]
    result: _T


class Prefetch(Generic[_T]):
    """Spares a listener of changes the way to the database's thread and back, which costs more than a small
    read.

    Nothing is promised: where the thread has other things to do, or nothing was wanted, nothing is found, and
    the listener reads as ever.

    Args:
        origin: Whose own writes it is not for.

    >>> prefetch = Prefetch(None)
    >>> prefetch.want(print)
    >>> prefetch.begin(), prefetch.begin()
    (<built-in function print>, None)
    """

    def __init__(self, origin: object) -> None:
        self.origin = origin
        self._wanted: deque[Callable[[apsw.Connection], _T]] = deque(maxlen=1)
        self._found: Found[_T] | None = None

    def want(self, read: Callable[[apsw.Connection], _T] | None) -> None:
        """Have something read after the next commit, in place of what was wanted before; None for nothing.

        Args:
            read: Called once on the database's thread, in a transaction that sees one state.
        """
        self._wanted.clear()
        if read is not None:
            self._wanted.append(read)

    def take(self) -> Found[_T] | None:
        """Return what was read after the commit that the listener is just told of, None if nothing was."""
        found, self._found = self._found, None
        return found

    def begin(self) -> Callable[[apsw.Connection], Any] | None:
        """Return what is wanted, which then is not wanted any more; called on the database's thread."""
        try:
            return self._wanted.pop()
        except IndexError:
            return None

    def show(self, found: Found[_T] | None) -> None:
        """Keep what was read for as long as listeners are told."""
        self._found = found
