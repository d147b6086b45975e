from __future__ import annotations

import random
from math import nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicell.store import MISSING
from replicell.store.key_order import KeyOrder, comparable, sort_key


def test_ties_stay_in_the_order_they_came() -> None:
    order = KeyOrder()
    for thing_id, key in (("b", 1), ("a", 1), ("c", 0), ("d", 1)):
        order.add(thing_id, key)
    assert list(order) == ["c", "b", "a", "d"]


def test_a_moved_id_comes_before_its_equals_from_below_and_after_them_from_above() -> None:
    order = KeyOrder()
    order.fill("abcd", {"a": 1, "b": 2, "c": 2, "d": 3})
    assert order.rekey({"a": 2}) is False
    assert list(order) == ["a", "b", "c", "d"]
    assert order.rekey({"d": 2}) is False
    assert list(order) == ["a", "b", "c", "d"]
    assert order.rekey({"b": 3}) is True
    assert list(order) == ["a", "c", "d", "b"]


def test_discarding_finds_an_id_among_its_equals() -> None:
    order = KeyOrder()
    order.add_all(dict.fromkeys("abcde", 1))
    order.discard("c")
    order.discard("no such")
    assert list(order) == ["a", "b", "d", "e"]
    assert (len(order), "c" in order, "d" in order) == (4, False, True)


def test_a_comparison_that_never_finds_equals_will_do() -> None:
    wrap = comparable(lambda one, other: -1 if one < other else 1)
    order = KeyOrder()
    order.add_all({thing_id: wrap(key) for thing_id, key in (("a", 1), ("b", 1), ("c", 0))})
    order.discard("a")
    assert list(order) == ["c", "b"]


@pytest.mark.parametrize("bucket", [2, 3, 512])
@given(st.data())
def test_it_is_always_what_stable_sorts_would_leave(bucket: int, data: st.DataObject) -> None:
    class SmallOrder(KeyOrder):
        BUCKET = bucket

    order, expected, keys = SmallOrder(), [], dict[str, int]()
    a_key = st.integers(0, 4)
    for step in range(data.draw(st.integers(0, 25))):
        action = data.draw(st.sampled_from(("add", "add", "discard", "rekey", "add_all")))
        if action == "add":
            keys[f"{step}"] = key = data.draw(a_key)
            expected.append(f"{step}")
            order.add(f"{step}", key)
        elif action == "add_all":
            added = {f"{step}.{number}": data.draw(a_key) for number in range(data.draw(st.integers(0, 5)))}
            keys |= added
            expected += added
            order.add_all(added)
        elif expected and action == "discard":
            gone = data.draw(st.sampled_from(expected))
            expected.remove(gone)
            del keys[gone]
            order.discard(gone)
        elif expected:
            chosen = data.draw(st.sets(st.sampled_from(expected), min_size=1))
            changed = {thing_id: data.draw(a_key) for thing_id in sorted(chosen)}
            keys |= changed
            before = list(expected)
            expected.sort(key=keys.__getitem__)
            assert order.rekey(changed) is (before != expected)
        expected.sort(key=keys.__getitem__)
        assert list(order) == expected
        assert len(order) == len(expected)


def test_many_changes_at_once_sort_anew_with_the_same_result() -> None:
    rng = random.Random(1)
    order, keys = KeyOrder(), {f"{number}": number % 7 for number in range(500)}
    expected = sorted(keys, key=keys.__getitem__)
    order.fill(keys, keys)
    changed = {thing_id: rng.randrange(7) for thing_id in rng.sample(expected, 300)}
    keys |= changed
    assert order.rekey(changed) is True
    assert list(order) == sorted(expected, key=keys.__getitem__)


@pytest.mark.parametrize(
    ("ascending"),
    [
        [None, 1, 2.5, "a", "b"],
        [-1, MISSING, 1],
        [False, True, "x"],
        [(1,), (1, "a"), (1, "b"), (2,)],
        ["\U00010000", "\ue000"],
        [nan, 1],
        [1, "z", {"a": 1}, [1]],
    ],
)
def test_the_default_order_is_total(ascending: list[Any]) -> None:
    shuffled = random.Random(1).sample(ascending, len(ascending))
    assert [id(thing) for thing in sorted(shuffled, key=sort_key)] == [id(thing) for thing in ascending]
