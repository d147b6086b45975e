"""Identifiers: what is accepted as one, and the pools that hand out new ones."""

from __future__ import annotations

from collections import deque
from typing import TypeAlias

from replicell.store.numbers import number_text

__all__ = ["Id", "IdLike", "IdPool", "to_id"]

Id: TypeAlias = str
"""A table, row, cell, value or listener id: any string at all, the empty one too."""

IdLike: TypeAlias = str | int
"""What methods accept as an id; numbers become their text, as in JavaScript."""


def to_id(thing: object) -> Id:
    """Turn whatever was given as an id into a string, as JavaScript's ``'' + thing`` does.

    So a program ported from TinyBase finds its rows under the same ids.

    >>> to_id(1), to_id(1.0), to_id(True), to_id(None)
    ('1', '1', 'true', 'null')
    """
    if isinstance(thing, str):
        return str.__str__(thing)
    if thing is None:
        return "null"
    if thing is True:
        return "true"
    if thing is False:
        return "false"
    if isinstance(thing, int):
        return int.__repr__(thing)
    if isinstance(thing, float):
        return number_text(thing)
    return str(thing)


class IdPool:
    """Hands out ``'0'``, ``'1'``, ... and gives released ids out again, oldest first."""

    __slots__ = ("_next", "_released")

    LIMIT = 1000
    """How many released ids are remembered."""

    def __init__(self) -> None:
        self._next = 0
        self._released: deque[Id] = deque()

    def take(self, reuse: bool = True) -> Id:
        """Return the oldest released id, or a new one if there is none or `reuse` is false."""
        if reuse and self._released:
            return self._released.popleft()
        taken = str(self._next)
        self._next += 1
        return taken

    def release(self, thing_id: Id) -> None:
        """Offer an id for another use; only ids made of the digits 0 to 9 are kept.

        >>> pool = IdPool()
        >>> pool.take(), pool.take()
        ('0', '1')
        >>> pool.release("0")
        >>> pool.take(), pool.take()
        ('0', '2')
        """
        if len(self._released) < self.LIMIT and thing_id.isascii() and thing_id.isdigit():
            self._released.append(thing_id)
