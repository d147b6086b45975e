"""Observables: what is there now, then what each transaction makes of it."""

from __future__ import annotations

from typing import Any

import pytest
from reactivex import operators as ops

from replicell.store import Store


def test_a_cell_is_told_at_once_and_after_each_transaction_that_changes_it() -> None:
    store = Store()
    seen: list[Any] = []
    store.observe_cell("t", "r", "c").subscribe(seen.append)
    store.set_cell("t", "r", "c", 1).set_cell("t", "r", "d", 1).set_cell("t", "r", "c", 1.0)
    with store.transaction():
        store.set_cell("t", "r", "c", 2).set_cell("t", "r", "c", 3)
        assert seen == [None, 1]
    with store.transaction():
        store.set_cell("t", "r", "c", 4).set_cell("t", "r", "c", 3)
    store.set_cell("t", "r", "c", True).del_cell("t", "r", "c")
    assert seen == [None, 1, 3, True, None]


def test_equal_consecutive_items_are_left_out_but_true_is_not_one() -> None:
    store = Store().set_cell("t", "r", "c", [1, {"a": True}])
    seen: list[Any] = []
    store.observe_cell("t", "r", "c").subscribe(seen.append)
    store.set_cell("t", "r", "c", [1, {"a": 1}]).set_cell("t", "r", "c", [1, {"a": 1, "b": 2}])
    store.del_cell("t", "r", "c").set_cell("t", "r", "c", None)
    assert seen == [[1, {"a": True}], [1, {"a": 1}], [1, {"a": 1, "b": 2}], None]


def test_rows_and_tables_are_observed_whole() -> None:
    store = Store()
    rows: list[Any] = []
    tables: list[Any] = []
    store.observe_row("t", 1).subscribe(rows.append)
    store.observe_table("t").subscribe(tables.append)
    store.set_row("t", "1", {"a": 1, "b": [2]}).set_cell("t", "2", "a", 1).del_row("t", "1").set_cell(
        "u", "1", "a", 1
    )
    assert rows == [{}, {"a": 1, "b": [2]}, {}]
    assert tables == [
        {},
        {"1": {"a": 1, "b": [2]}},
        {"1": {"a": 1, "b": [2]}, "2": {"a": 1}},
        {"2": {"a": 1}},
    ]


def test_what_is_told_is_a_copy() -> None:
    store = Store().set_cell("t", "r", "c", 1)
    rows: list[Any] = []
    store.observe_row("t", "r").subscribe(rows.append)
    rows[0]["c"] = 2
    assert store.get_cell("t", "r", "c") == 1


def test_a_rolled_back_transaction_is_not_told() -> None:
    store = Store().set_cell("t", "r", "c", 1)
    seen: list[Any] = []
    store.observe_cell("t", "r", "c").subscribe(seen.append)
    with store.transaction(do_rollback=lambda store: True):
        store.set_cell("t", "r", "c", 2)
    assert seen == [1]


def test_a_failing_listener_does_not_hide_a_change_from_observers() -> None:
    store = Store()
    seen: list[Any] = []
    store.observe_cell("t", "r", "c").subscribe(seen.append)
    store.add_tables_listener(lambda store, change: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        store.set_cell("t", "r", "c", 1)
    assert seen == [None, 1]


def test_subscribers_may_write_and_are_told_in_order() -> None:
    store = Store().set_cell("t", "r", "c", 0)
    seen: list[Any] = []

    def count_to_three(cell: Any) -> None:
        if cell < 3:
            store.set_cell("t", "r", "c", cell + 1)

    store.observe_cell("t", "r", "c").subscribe(seen.append)
    with store.observe_cell("t", "r", "c").pipe(ops.skip(1)).subscribe(count_to_three):
        store.set_cell("t", "r", "c", 1)
    assert seen == [0, 1, 2, 3]
    assert store.set_cell("t", "r", "c", 1).get_cell("t", "r", "c") == 1


def test_after_disposal_nothing_is_told_and_nothing_is_left() -> None:
    store = Store()
    seen: list[Any] = []
    subscription = store.observe_cell("t", "r", "c").subscribe(seen.append)
    subscription.dispose()
    subscription.dispose()
    store.set_cell("t", "r", "c", 1)
    assert seen == [None]
    assert store._unobserved


def fail(cell: object) -> None:
    raise ZeroDivisionError(cell)


def test_the_error_of_a_subscriber_reaches_the_writer_after_all_were_told() -> None:
    store = Store()
    seen: list[Any] = []
    store.observe_cell("t", "r", "c").pipe(ops.filter(bool)).subscribe(fail)
    store.observe_cell("t", "r", "c").subscribe(seen.append)
    with pytest.raises(ZeroDivisionError) as caught:
        store.set_cell("t", "r", "c", 1)
    assert "in an observer of t/r/c" in caught.value.__notes__
    assert (seen, store.get_cell("t", "r", "c")) == ([None, 1], 1)
