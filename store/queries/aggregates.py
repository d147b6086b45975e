"""Aggregates of the cells of a group, kept up to date cell by cell.

Each is an object that takes cells as they come and go and can say its result at any time. Whatever came and
went before, the result is that of the cells there are: sums of floats are kept exactly, so they do not drift.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from heapq import heappop, heappush
from typing import Any, Protocol

from replicell.store.cells import EncodedCell, decode_cell, encode_cell
from replicell.store.extractors import decoded
from replicell.store.ids import Id
from replicell.store.missing import MISSING, MissingType
from replicell.store.queries.clauses import Group
from replicell.store.queries.equality import key_of

__all__ = [
    "Aggregator",
    "Average",
    "Count",
    "CountDistinct",
    "Custom",
    "Extreme",
    "Sum",
    "aggregator_of",
]

_SCALE = 1074
"""Every float is a whole multiple of 2 to the power of minus so many."""


class Aggregator(Protocol):
    """The aggregate of one cell over one group."""

    def change(self, row_id: Id, old: EncodedCell | MissingType, new: EncodedCell | MissingType) -> None:
        """Take in that a row's cell came (`old` is MISSING), went (`new` is) or was replaced."""

    def result(self) -> EncodedCell | MissingType:
        """Return the aggregate as a cell, or `MISSING` if it is none."""


class Count:
    """How many rows have the cell."""

    __slots__ = ("_count",)

    def __init__(self) -> None:
        self._count = 0

    def change(self, row_id: Id, old: EncodedCell | MissingType, new: EncodedCell | MissingType) -> None:
        """Take in one change."""
        self._count += (new is not MISSING) - (old is not MISSING)

    def result(self) -> EncodedCell | MissingType:
        """Return the count, or `MISSING` for 0, as TinyBase does."""
        return self._count or MISSING


class CountDistinct:
    """How many different cells there are."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[Hashable, int] = {}

    def change(self, row_id: Id, old: EncodedCell | MissingType, new: EncodedCell | MissingType) -> None:
        """Take in one change."""
        if old is not MISSING:
            _uncount(self._counts, key_of(old))
        if new is not MISSING:
            key = key_of(new)
            self._counts[key] = self._counts.get(key, 0) + 1

    def result(self) -> EncodedCell | MissingType:
        """Return the count, or `MISSING` for 0."""
        return len(self._counts) or MISSING


class _Numeric(ABC):
    """An aggregate of numbers: booleans count as 1 and 0, None as 0, and anything else makes it no number."""

    __slots__ = ("_count", "_others")

    def __init__(self) -> None:
        self._count = 0
        self._others = 0
        """How many cells are no numbers."""

    def change(self, row_id: Id, old: EncodedCell | MissingType, new: EncodedCell | MissingType) -> None:
        """Take in one change."""
        if old is not MISSING:
            self._take(old, -1)
        if new is not MISSING:
            self._take(new, 1)

    def result(self) -> EncodedCell | MissingType:
        """Return the aggregate, or `MISSING` if there is no number, or something else."""
        return MISSING if self._others or not self._count else self._number()

    def _take(self, cell: EncodedCell | MissingType, sign: int) -> None:
        self._count += sign
        if isinstance(cell, float):
            self._take_number(cell, sign)
        elif isinstance(cell, int):
            self._take_number(int(cell), sign)
        elif cell is None:
            self._take_number(0, sign)
        else:
            self._others += sign

    @abstractmethod
    def _take_number(self, number: int | float, sign: int) -> None: ...

    @abstractmethod
    def _number(self) -> EncodedCell | MissingType: ...


class Sum(_Numeric):
    """The sum, an integer as long as all its parts are."""

    __slots__ = ("_floats", "_fraction", "_whole")

    def __init__(self) -> None:
        super().__init__()
        self._whole = 0
        """The sum of the integers."""
        self._fraction = 0
        """The sum of the floats, in units of 2 to the power of minus `_SCALE`."""
        self._floats = 0

    def _take_number(self, number: int | float, sign: int) -> None:
        if isinstance(number, float):
            numerator, denominator = number.as_integer_ratio()
            self._fraction += sign * (numerator << (_SCALE + 1 - denominator.bit_length()))
            self._floats += sign
        else:
            self._whole += sign * number

    def _number(self) -> EncodedCell | MissingType:
        return self._divided(1) if self._floats else self._whole

    def _divided(self, divisor: int) -> EncodedCell | MissingType:
        try:
            if self._floats:
                return ((self._whole << _SCALE) + self._fraction) / (divisor << _SCALE)
            return self._whole / divisor
        except OverflowError:
            return MISSING


class Average(Sum):
    """The mean."""

    __slots__ = ()

    def _number(self) -> EncodedCell | MissingType:
        return self._divided(self._count)


class Extreme(_Numeric):
    """The smallest number, or the largest.

    Args:
        sign: 1 for the smallest, -1 for the largest.
    """

    __slots__ = ("_counts", "_heap", "_sign")

    def __init__(self, sign: int) -> None:
        super().__init__()
        self._sign = sign
        self._counts: dict[int | float, int] = {}
        self._heap: list[int | float] = []
        """All numbers there are and some that are gone, which are dropped when they come to the top."""

    def _take_number(self, number: int | float, sign: int) -> None:
        if sign < 0:
            _uncount(self._counts, number)
        elif number in self._counts:
            self._counts[number] += 1
        else:
            self._counts[number] = 1
            if len(self._heap) > 2 * len(self._counts) + 64:
                self._heap = sorted(self._sign * known for known in self._counts)
            else:
                heappush(self._heap, self._sign * number)

    def _number(self) -> EncodedCell | MissingType:
        while self._sign * self._heap[0] not in self._counts:
            heappop(self._heap)
        return self._sign * self._heap[0]


class Custom:
    """What a function makes of all cells, with short cuts if there are any."""

    __slots__ = ("_cells", "_group", "_result")

    def __init__(self, group: Group) -> None:
        self._group = group
        self._cells: dict[Id, EncodedCell] = {}
        self._result: Any = MISSING

    def change(self, row_id: Id, old: EncodedCell | MissingType, new: EncodedCell | MissingType) -> None:
        """Take in one change."""
        count = len(self._cells)
        if new is MISSING:
            self._cells.pop(row_id, None)
        else:
            self._cells[row_id] = new
        result = MISSING if self._result is MISSING or not self._cells else self._shorter(old, new, count)
        if result is MISSING and self._cells:
            aggregate: Any = self._group.aggregate
            result = aggregate([decode_cell(cell) for cell in self._cells.values()], len(self._cells))
        self._result = result if encode_cell(result) is not MISSING else MISSING

    def result(self) -> EncodedCell | MissingType:
        """Return what the functions made of the cells."""
        return MISSING if self._result is MISSING else encode_cell(self._result)

    def _shorter(self, old: EncodedCell | MissingType, new: EncodedCell | MissingType, count: int) -> Any:
        group = self._group
        if old is MISSING:
            return MISSING if group.add is None else group.add(self._result, decoded(new), count)
        if new is MISSING:
            return MISSING if group.remove is None else group.remove(self._result, decoded(old), count)
        if group.replace is None:
            return MISSING
        return group.replace(self._result, decoded(new), decoded(old), count)


_NAMED: dict[str, Callable[[], Aggregator]] = {
    "sum": Sum,
    "avg": Average,
    "min": lambda: Extreme(1),
    "max": lambda: Extreme(-1),
    "count_distinct": CountDistinct,
}


def aggregator_of(group: Group) -> Aggregator:
    """Return a new aggregator of the kind that a clause asks for."""
    if callable(group.aggregate):
        return Custom(group)
    return _NAMED.get(group.aggregate, Count)()


def _uncount(counts: dict[Any, int], key: Hashable) -> None:
    count = counts[key]
    if count == 1:
        del counts[key]
    else:
        counts[key] = count - 1
