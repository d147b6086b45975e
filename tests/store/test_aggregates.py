from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicell.store import MISSING
from replicell.store.aggregates import (
    Aggregate,
    Average,
    CountDistinct,
    Sum,
    maximum,
    minimum,
    to_number,
)

numbers = st.one_of(st.integers(-(10**20), 10**20), st.floats(-1e300, 1e300))


@given(st.lists(st.tuples(numbers, st.booleans())))
def test_whatever_came_and_went_all_equal_those_computed_anew(
    steps: list[tuple[float, bool]],
) -> None:
    kept: list[float] = []
    aggregates: list[Aggregate] = [Sum(), Average(), minimum(), maximum(), CountDistinct()]
    for number, stays in steps:
        for aggregate in aggregates:
            aggregate.add(number)
            if not stays:
                aggregate.remove(number)
        kept += [number] if stays else []
        exact = sum(map(Fraction, kept), Fraction())
        expected: list[Any] = [MISSING] * 5
        if kept:
            whole = all(Fraction(number).denominator == 1 for number in kept)
            total = exact.numerator if whole else float(exact)
            expected = [total, float(exact / len(kept)), min(kept), max(kept), len(set(kept))]
        assert [aggregate.result() for aggregate in aggregates] == expected


def test_a_sum_is_rounded_once() -> None:
    total = Sum()
    for _ in range(10):
        total.add(0.1)
    assert total.result() == 1.0
    assert math.fsum([0.1] * 10) == total.result()


def test_a_sum_of_integers_is_one_also_after_fractions_have_gone() -> None:
    total = Sum()
    total.add(2**70)
    total.add(0.5)
    total.remove(0.5)
    assert total.result() == 2**70
    assert type(total.result()) is int


def test_infinite_numbers_and_sums_beyond_all_bounds_have_no_result() -> None:
    total, mean, least = Sum(), Average(), minimum()
    for aggregate in (total, mean, least):
        aggregate.add(-math.inf)
        assert aggregate.result() is MISSING
        aggregate.remove(-math.inf)
        aggregate.add(1)
        assert aggregate.result() == 1
    total.add(1.7e308)
    total.add(1.7e308)
    total.add(0.5)
    assert total.result() is MISSING


def test_the_greatest_of_many_may_go_again_and_again() -> None:
    greatest = maximum()
    for number in range(1000):
        greatest.add(number)
    for number in range(999, 0, -1):
        greatest.remove(number)
        assert greatest.result() == number - 1


def test_numbers_that_come_and_go_leave_nothing_behind() -> None:
    least = minimum()
    for number in range(10_000):
        least.add(-number)
        least.remove(-number)
    assert len(least._heap) <= 66


def test_distinct_things_are_told_apart_as_cells_are() -> None:
    distinct = CountDistinct()
    things: list[Any] = [1, 1.0, True, "1", None, {"a": [1]}, {"a": [1]}, [1], "x"]
    for thing in things:
        distinct.add(thing)
    assert distinct.result() == 7
    for thing in things:
        distinct.remove(thing)
    assert distinct.result() is MISSING


@pytest.mark.parametrize(
    ("thing", "number"),
    [
        (5, 5),
        (-2.5, -2.5),
        ("5", 5),
        (" 7\n", 7),
        ("0x10", 16),
        ("0b11", 3),
        ("0o17", 15),
        ("1e2", 100),
        (".5", 0.5),
        ("5.", 5),
        ("+5", 5),
        (" ", 0),
        ("Infinity", math.inf),
        (None, 0),
        ([], 0),
        ([5], 5),
        ([[3]], 3),
        ([None], 0),
        ("", MISSING),
        ("x", MISSING),
        ("1_0", MISSING),
        ("nan", MISSING),
        ("inf", MISSING),
        ("-0x10", MISSING),
        ("٣", MISSING),
        (True, MISSING),
        (False, MISSING),
        (MISSING, MISSING),
        (math.nan, MISSING),
        ([1, 2], MISSING),
        ([True], MISSING),
        ([{}], MISSING),
        ({}, MISSING),
    ],
    ids=repr,
)
def test_numbers_are_made_of_things_as_javascript_does_with_exceptions(thing: Any, number: Any) -> None:
    assert to_number(thing) == number
