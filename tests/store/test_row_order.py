"""What a sorted-row-ids listener is told: read like a list, never changing, and made without copying."""

from __future__ import annotations

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicell.store import RowOrder, create_store

PIECES = st.lists(st.lists(st.text(max_size=2), min_size=1, max_size=4), max_size=4)


@given(PIECES, st.booleans(), st.integers(-20, 20), st.integers(-20, 20))
def test_it_reads_like_the_list_of_the_same_ids(
    pieces: list[list[str]], is_reversed: bool, one: int, other: int
) -> None:
    expected = [row_id for piece in pieces for row_id in piece]
    if is_reversed:
        expected.reverse()
    order = RowOrder(pieces, len(expected), is_reversed)
    assert list(order) == expected
    assert len(order) == len(expected)
    assert list(reversed(order)) == expected[::-1]
    assert order[one:other] == expected[one:other]
    assert repr(order) == repr(expected)
    if -len(expected) <= one < len(expected):
        assert order[one] == expected[one]
        assert expected[one] in order
    else:
        with pytest.raises(IndexError, match=f"none at {one}"):
            order[one]


def test_it_equals_lists_tuples_and_orders_of_the_same_ids() -> None:
    order = RowOrder((["1"], ["2"]), 2)
    assert order == ["1", "2"]
    expected = ["1", "2"]
    assert expected == order
    assert order == ("1", "2")
    assert order == RowOrder((["2", "1"],), 2, is_reversed=True)
    assert order != ["1", "3"]
    assert order != ["1"]
    assert order != {"1", "2"}


def test_it_cannot_be_a_key_as_a_list_cannot() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(RowOrder((), 0))


def test_copies_and_pickles_are_equal() -> None:
    order = RowOrder((["1"], ["2"]), 2, is_reversed=True)
    assert copy.deepcopy(order) == order == pickle.loads(pickle.dumps(order))


def test_what_a_listener_was_told_does_not_change_afterwards() -> None:
    store = create_store().set_table("t", {str(number): {"n": number} for number in range(3000)})
    told: list[RowOrder] = []
    store.add_sorted_row_ids_listener("t", "n", False, 0, None, lambda *args: told.append(args[-1]))
    expected = []
    for number in (5, 2500, 17):
        store.set_cell("t", str(number), "n", number + 1000.5)
        expected.append(copy.copy(store).get_sorted_row_ids("t", "n"))
    store.del_row("t", "0").set_row("t", "new", {"n": -1})
    assert told[:3] == expected
    assert told[0] != told[1]
