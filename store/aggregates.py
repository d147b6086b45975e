"""Sums, averages, extremes and counts that are kept as things come and go.

None of them drifts or recounts: a sum is kept exactly and rounded only when it is read, so it always equals
one computed from scratch, and the least of many numbers is known however many of them go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from heapq import heapify, heappop, heappush
from math import isfinite, isinf, isnan
from typing import Any, Protocol, TypeAlias

from replicell.store.cells import encode_cell
from replicell.store.ids import to_id
from replicell.store.missing import MISSING, MissingType

__all__ = [
    "Aggregate",
    "Average",
    "CountDistinct",
    "Extreme",
    "Number",
    "Sum",
    "finite_or_missing",
    "maximum",
    "minimum",
    "to_number",
]

Number: TypeAlias = int | float

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?|Infinity)")
_RADIX = re.compile(r"0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+")
_JAVASCRIPT_SPACE = "\t\n\v\f\r \xa0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    [chr(code) for code in range(0x2000, 0x200B)]
)


class Aggregate(Protocol):
    """Something that is kept over things that come and go."""

    def add(self, thing: Any, /) -> None:
        """Take in one more."""

    def remove(self, thing: Any, /) -> None:
        """Take out one that was added."""

    def result(self) -> Number | MissingType:
        """Return what it comes to, or MISSING if there is nothing or it is not finite."""
        ...


class Sum:
    """The exact sum of numbers.

    >>> total = Sum()
    >>> for number in [0.1] * 10: total.add(number)
    >>> total.result()
    1.0
    """

    __slots__ = ("_count", "_fractions", "_infinite", "_numerator", "_shift")

    def __init__(self) -> None:
        # The sum is _numerator / 2 ** _shift, which every finite float is.
        self._numerator = 0
        self._shift = 0
        self._fractions = 0
        self._infinite = 0
        self._count = 0

    def add(self, number: Number) -> None:
        """Take in one more."""
        self._change(number, 1)

    def remove(self, number: Number) -> None:
        """Take out one that was added."""
        self._change(number, -1)

    def result(self) -> Number | MissingType:
        """Return the sum, rounded once, or MISSING if there is none."""
        if self._shift == 0 and self._count and not self._infinite:
            return self._numerator
        return self._divided_by(1)

    def _change(self, number: Number, sign: int) -> None:
        self._count += sign
        if isinstance(number, int):
            self._numerator += sign * number << self._shift
            return
        if isinf(number):
            self._infinite += sign
            return
        numerator, denominator = number.as_integer_ratio()
        shift = denominator.bit_length() - 1
        if shift > 0:
            self._fractions += sign
            if shift > self._shift:
                self._numerator <<= shift - self._shift
                self._shift = shift
        self._numerator += sign * numerator << self._shift - shift
        if self._fractions == 0 and self._shift > 0:
            self._numerator >>= self._shift
            self._shift = 0

    def _divided_by(self, divisor: int) -> Number | MissingType:
        if self._count == 0 or self._infinite:
            return MISSING
        try:
            return self._numerator / (divisor << self._shift)
        except OverflowError:
            return MISSING


class Average(Sum):
    """The mean of numbers, rounded once.

    >>> mean = Average()
    >>> mean.add(1), mean.add(2), mean.result()
    (None, None, 1.5)
    """

    __slots__ = ()

    def result(self) -> Number | MissingType:
        """Return the mean, or MISSING if there is none."""
        return self._divided_by(self._count)


class Extreme:
    """The least of numbers, or with `sign` -1 the greatest.

    >>> least = minimum()
    >>> for number in (3, 1, 2): least.add(number)
    >>> least.remove(1)
    >>> least.result()
    2
    """

    __slots__ = ("_counts", "_heap", "_sign")

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._counts: dict[Number, int] = {}
        self._heap: list[Number] = []
        """All numbers there are, and some that have gone."""

    def add(self, number: Number) -> None:
        """Take in one more."""
        count = self._counts.get(number, 0)
        self._counts[number] = count + 1
        if count == 0:
            heappush(self._heap, self._sign * number)
            if len(self._heap) > 64 + 2 * len(self._counts):
                self._heap = [self._sign * other for other in self._counts]
                heapify(self._heap)

    def remove(self, number: Number) -> None:
        """Take out one that was added."""
        count = self._counts[number]
        if count == 1:
            del self._counts[number]
        else:
            self._counts[number] = count - 1

    def result(self) -> Number | MissingType:
        """Return the least, or the greatest, or MISSING if there is none."""
        heap, sign, counts = self._heap, self._sign, self._counts
        while heap and sign * heap[0] not in counts:
            heappop(heap)
        return finite_or_missing(sign * heap[0]) if heap else MISSING


def minimum() -> Extreme:
    """Return an aggregate that is the least number."""
    return Extreme(1)


def maximum() -> Extreme:
    """Return an aggregate that is the greatest number."""
    return Extreme(-1)


class CountDistinct:
    """How many different things there are; None, True and 1 differ, equal objects and arrays do not.

    >>> distinct = CountDistinct()
    >>> for thing in (1, True, "1", 1.0, {"a": 1}, {"a": 1}): distinct.add(thing)
    >>> distinct.result()
    4
    """

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[tuple[bool, Any], int] = {}

    def add(self, thing: Any) -> None:
        """Take in one more."""
        key = _identity(thing)
        self._counts[key] = self._counts.get(key, 0) + 1

    def remove(self, thing: Any) -> None:
        """Take out one that was added."""
        key = _identity(thing)
        if self._counts[key] == 1:
            del self._counts[key]
        else:
            self._counts[key] -= 1

    def result(self) -> Number | MissingType:
        """Return how many, or MISSING if there is nothing."""
        return len(self._counts) or MISSING


def _identity(thing: Any) -> tuple[bool, Any]:
    return isinstance(thing, bool), encode_cell(thing) if isinstance(thing, (Mapping, list, tuple)) else thing


def finite_or_missing(result: object) -> Number | MissingType:
    """Return a finite number as it is, and MISSING for anything else."""
    if isinstance(result, (int, float)) and not isinstance(result, bool) and isfinite(result):
        return result
    return MISSING


def to_number(thing: Any) -> Number | MissingType:
    """Make a number of something as TinyBase's metrics do, or MISSING if it counts for nothing.

    Booleans, the empty string and what JavaScript makes no number of count for nothing; None is 0.

    >>> [to_number(thing) for thing in (1, "5", "0x10", " ", None, [5], True, "", "x", {})]
    [1, 5, 16, 0, 0, 5, MISSING, MISSING, MISSING, MISSING]
    """
    if isinstance(thing, bool) or thing is MISSING or thing == "":
        return MISSING
    if thing is None:
        return 0
    if isinstance(thing, (int, float)):
        return MISSING if isnan(thing) else thing
    if isinstance(thing, (list, tuple)):
        return _number_of_text(_text_of_list(thing))
    return _number_of_text(thing) if isinstance(thing, str) else MISSING


def _number_of_text(text: str) -> Number | MissingType:
    text = text.strip(_JAVASCRIPT_SPACE)
    if not text:
        return 0
    if _RADIX.fullmatch(text):
        return int(text, 0)
    if not text.isascii() or not _NUMBER.fullmatch(text):
        return MISSING
    number = float(text)
    return int(number) if isfinite(number) and number.is_integer() and abs(number) < 2**53 else number


def _text_of_list(things: Any) -> str:
    """Write an array as JavaScript does where it wants a string."""
    return ",".join([_text_of_item(item) for item in things])


def _text_of_item(item: Any) -> str:
    if item is None or item is MISSING:
        return ""
    if isinstance(item, (list, tuple)):
        return _text_of_list(item)
    return "[object Object]" if isinstance(item, Mapping) else to_id(item)
