"""Observers: who is looked at when something has changed, and how much that costs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from replicell.store import Store
from replicell.store.observers import NOTHING, Observation, ObservedPart, Observers, Part, same_content


def observing(store: Store) -> Observers:
    """Return the observers of a store, which has some from now on."""
    return store._begin_observation(Observers.follow, Observation("all", lambda: NOTHING, print))


def test_only_what_has_changed_is_read_however_much_is_observed() -> None:
    store = Store().set_table("t", {f"r{number}": {"c": 0, "d": 0} for number in range(1000)})
    observers, reads = observing(store), list[str]()
    for number in range(1000):
        name = f"r{number}"
        observers.observe(
            "cells", ("t", name, "c"), "content", Observation(name, partial(reads.append, name), print)
        )
    store.set_cell("t", "r7", "c", 1)
    with store.transaction():
        store.set_cell("t", "r8", "c", 1).set_cell("t", "r9", "d", 1)
        store.set_cell("t", "r5", "c", 1).set_cell("t", "r5", "c", 0)
    assert reads == ["r7", "r8"]


class Counting(dict[str, Any]):
    """A dict that counts how many of its items are gone through."""

    seen = 0

    def __iter__(self) -> Iterator[str]:
        for key in super().__iter__():
            self.seen += 1
            yield key


def test_a_large_transaction_is_not_gone_through_for_one_observed_row() -> None:
    store = Store()
    observers = observing(store)
    observers.observe("cells", ("t", "r5", "c"), "content", Observation("it", lambda: None, print))
    rows = Counting({f"r{number}": {"c": NOTHING} for number in range(1000)})
    store._record.cells["t"] = rows
    observers.collect(store._record)
    store._record.cells = {}
    assert rows.seen == 0


def test_nothing_is_left_of_observations_that_have_ended() -> None:
    whole = ObservedPart()
    observations = [Observation(str(number), list, print) for number in range(3)]
    parts: tuple[Part, ...] = ("content", "ids", "content")
    for observation, part in zip(observations, parts, strict=True):
        whole.add(("t", "r"), part, observation)
    for observation, part in zip(observations, parts, strict=True):
        assert whole
        whole.remove(("t", "r"), part, observation)
    assert not whole


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (1, True, False),
        ("1", 1, False),
        (None, 0, False),
        ([1, [2]], [1, [2.0]], True),
        ([0], [False], False),
        ([1], [1, 2], False),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, False),
        ({"a": {"b": [True]}}, {"a": {"b": [1]}}, False),
        ({}, [], False),
    ],
)
def test_content_is_compared_as_a_store_does(one: Any, other: Any, same: bool) -> None:
    assert same_content(one, other) is same is same_content(other, one)
