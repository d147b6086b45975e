"""Row ids in an order, as they were at one moment, without a copy of them all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import ClassVar, overload

from replicell.store.ids import Id

__all__ = ["RowOrder"]


class RowOrder(Sequence[Id]):
    """The row ids that a sorted-row-ids listener is told: read like a list, and never changing.

    Making a list of ten thousand ids costs more than the write that moved one of them, so the ids stay in
    the pieces in which the store keeps them. It equals a list or tuple of the same ids; ``list(order)`` makes
    one.

    Args:
        pieces: The ids, in lists that are never changed again.
        size: How many there are in all.
        is_reversed: Whether the order is that of the pieces from their end.

    >>> order = RowOrder((["1", "2"], ["3"]), 3)
    >>> order, order[0], order[-1], order[1:], len(order), "2" in order
    (['1', '2', '3'], '1', '3', ['2', '3'], 3, True)
    >>> order == ["1", "2", "3"]
    True
    """

    __slots__ = ("_is_reversed", "_pieces", "_size")
    __hash__: ClassVar[None]  # type: ignore[assignment]  # as for a list, which it equals

    def __init__(self, pieces: Sequence[Sequence[Id]], size: int, is_reversed: bool = False) -> None:
        self._pieces = pieces
        self._size = size
        self._is_reversed = is_reversed

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Id]:
        if self._is_reversed:
            return chain.from_iterable(map(reversed, reversed(self._pieces)))
        return chain.from_iterable(self._pieces)

    @overload
    def __getitem__(self, index: int) -> Id: ...
    @overload
    def __getitem__(self, index: slice) -> list[Id]: ...
    def __getitem__(self, index: int | slice) -> Id | list[Id]:
        if isinstance(index, slice):
            return list(self)[index]
        place = index + self._size if index < 0 else index
        if not 0 <= place < self._size:
            raise IndexError(f"there are {self._size} row ids, none at {index}")
        if self._is_reversed:
            place = self._size - 1 - place
        for piece in self._pieces:
            if place < len(piece):
                return piece[place]
            place -= len(piece)
        raise AssertionError("the pieces hold fewer row ids than was said")

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (RowOrder, list, tuple)):
            return NotImplemented
        return len(self) == len(other) and all(
            one == another for one, another in zip(self, other, strict=True)
        )

    def __repr__(self) -> str:
        return repr(list(self))
