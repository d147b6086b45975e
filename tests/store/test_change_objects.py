"""Changes as objects: immutable, comparable, and they say what came and what went."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError

import pytest

from replicell.store import MISSING, CellChange, Change, Store, ValueChange


@pytest.mark.parametrize(
    ("old", "new", "added", "removed"),
    [(MISSING, 1, True, False), (1, MISSING, False, True), (1, 2, False, False), (None, 1, False, False)],
)
def test_they_say_whether_something_came_or_went(
    old: object, new: object, added: bool, removed: bool
) -> None:
    for change in (CellChange("t", "r", "c", old, new), ValueChange("v", old, new)):  # type: ignore[arg-type]  # any cell
        assert (change.added, change.removed) == (added, removed)


def test_they_are_equal_by_content_hashable_and_survive_copying_and_pickling() -> None:
    change = CellChange("t", "r", "c", MISSING, 1)
    assert change == CellChange("t", "r", "c", MISSING, 1) != CellChange("t", "r", "c", None, 1)
    assert len({change, CellChange("t", "r", "c", MISSING, 1)}) == 1
    assert copy.deepcopy(change) == pickle.loads(pickle.dumps(change)) == change
    of_value, of_cell = ValueChange("v", 1, 2), CellChange("v", "v", "v", 1, 2)
    assert len({of_value, of_cell}) == 2


def test_they_cannot_be_changed_and_hold_nothing_else() -> None:
    change = ValueChange("v", 1, 2)
    with pytest.raises(FrozenInstanceError):
        change.new = 3  # type: ignore[misc]  # what is refused
    assert not hasattr(change, "__dict__")


def test_those_that_a_store_makes_are_like_those_made_by_hand() -> None:
    told: list[list[Change]] = []
    store = Store().set_cell("t", "r", "c", [1])
    store.changes().subscribe(told.append)
    store.set_cell("t", "r", "c", {"a": "x"})
    (change,) = told[0]
    by_hand = CellChange("t", "r", "c", [1], {"a": "x"})
    assert (type(change), change, repr(change)) == (CellChange, by_hand, repr(by_hand))
    assert copy.deepcopy(change) == pickle.loads(pickle.dumps(change)) == by_hand
    assert not hasattr(change, "__dict__")
    with pytest.raises(FrozenInstanceError):
        change.new = 3  # type: ignore[misc]  # what is refused
