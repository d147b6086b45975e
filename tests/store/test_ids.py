"""Identifiers and the pools that hand them out."""

from __future__ import annotations

from typing import Any

import pytest

from replicell.store import MISSING, Store
from replicell.store.ids import IdPool, to_id
from replicell.store.numbers import number_text


@pytest.mark.parametrize(
    ("given", "text"),
    [(1, "1"), (True, "true"), (False, "false"), (None, "null"), (2.0, "2"), (1.5, "1.5"), ("x", "x")],
)
def test_ids_are_made_strings_as_javascript_does(given: Any, text: str) -> None:
    assert to_id(given) == text
    store = Store().set_cell(given, given, given, 1)
    assert store.get_tables() == {text: {text: {text: 1}}}
    assert store.get_cell(given, given, given) == 1
    assert store.has_cell(given, given, given)


@pytest.mark.parametrize("odd", ["", "__proto__", "constructor", "a.b", "\x00", "é"])
def test_any_string_is_an_id(odd: str) -> None:
    assert Store().set_cell(odd, odd, odd, 1).get_tables() == {odd: {odd: {odd: 1}}}


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (-float("inf"), "-Infinity"),
        (1e20, "100000000000000000000"),
        (-1.25e-9, "-1.25e-9"),
        (0.000001, "0.000001"),
        (123.456, "123.456"),
        (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"),
    ],
)
def test_numbers_are_written_as_javascript_does(number: float, text: str) -> None:
    assert number_text(number) == text


def test_add_row_counts_up_and_reuses_released_ids_oldest_first() -> None:
    store = Store()
    assert [store.add_row("t", {"n": n}) for n in range(4)] == ["0", "1", "2", "3"]
    store.del_row("t", "2").del_row("t", "0")
    assert [store.add_row("t", {"n": n}) for n in range(3)] == ["2", "0", "4"]


def test_add_row_without_reuse_leaves_released_ids_alone() -> None:
    store = Store()
    store.add_row("t", {"n": 0})
    store.add_row("t", {"n": 1})
    store.del_row("t", "0")
    assert store.add_row("t", {"n": 2}, reuse_row_ids=False) == "2"
    assert store.add_row("t", {"n": 2}) == "0"


def test_add_row_skips_ids_that_are_taken_and_uses_them_up() -> None:
    store = Store().set_row("t", "0", {"n": 1}).set_row("t", "1", {"n": 1})
    assert store.add_row("t", {"n": 2}) == "2"


def test_only_ids_of_digits_are_released_also_chosen_ones() -> None:
    store = Store().set_table("t", {"007": {"n": 1}, "x": {"n": 1}, "²": {"n": 1}, "stays": {"n": 1}})
    for row_id in ("x", "²", "007"):
        store.del_row("t", row_id)
    assert store.add_row("t", {"n": 1}) == "007"
    assert store.add_row("t", {"n": 1}) == "0"


def test_rows_that_vanish_with_their_last_cell_do_not_release_their_id() -> None:
    store = Store()
    store.add_row("t", {"n": 0})
    store.add_row("t", {"n": 1})
    store.del_cell("t", "0", "n")
    assert store.add_row("t", {"n": 2}) == "2"


def test_the_pool_goes_with_its_table() -> None:
    store = Store()
    store.add_row("t", {"n": 0})
    store.add_row("t", {"n": 1})
    store.del_table("t")
    assert store.add_row("t", {"n": 2}) == "0"


def test_a_rollback_does_not_take_ids_back() -> None:
    store = Store()
    assert store.add_row("t", {"n": 0}) == "0"
    with store.transaction(do_rollback=lambda store: True):
        assert store.add_row("t", {"n": 1}) == "1"
    assert store.add_row("t", {"n": 2}) == "2"


def test_add_row_of_an_invalid_row_is_missing() -> None:
    assert Store().add_row("t", {}) is MISSING


def test_a_pool_remembers_a_thousand_released_ids() -> None:
    pool = IdPool()
    taken = [pool.take() for _ in range(1001)]
    for thing_id in taken:
        pool.release(thing_id)
    assert [pool.take() for _ in range(1001)] == [*taken[:1000], "1001"]
