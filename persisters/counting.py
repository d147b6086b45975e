"""Telling how far something is that takes long."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Final, TypeAlias, TypeVar

__all__ = ["Counter", "Report"]

_T = TypeVar("_T")

Report: TypeAlias = Callable[[int, int], object]
"""Called with how much is done and how much is to be done."""

_THINGS_A_REPORT: Final = 1_000


class Counter:
    """Counts things as they go by.

    Args:
        total: How many there are.
        report: Told every thousand, and after the last; None if nobody asks.

    >>> counter = Counter(1_500, print)
    >>> sum(counter.counting(range(1_500)))
    1000 1500
    1500 1500
    1124250
    """

    __slots__ = ("_done", "_report", "_total")

    def __init__(self, total: int, report: Report | None) -> None:
        self._total = total
        self._report = report
        self._done = 0

    def counting(self, things: Iterable[_T]) -> Iterable[_T]:
        """Hand on things, and count them on the way."""
        return things if self._report is None else self._counted(things, self._report)

    def _counted(self, things: Iterable[_T], report: Report) -> Iterator[_T]:
        remaining = iter(things)
        while part := [*islice(remaining, _THINGS_A_REPORT)]:
            yield from part
            self._done += len(part)
            report(self._done, self._total)
