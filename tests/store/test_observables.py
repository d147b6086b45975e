"""Observables: what is there now, then what each transaction makes of it."""

from __future__ import annotations

import gc
import random
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from reactivex import Observable
from reactivex import operators as ops

from replicell.store import (
    Store,
    create_metrics,
)


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


# --- every kind ---------------------------------------------------------------------------------------------

READ_AND_OBSERVED: dict[str, tuple[Callable[[Store], Any], Callable[[Store], Observable[Any]]]] = {
    "has_tables": (Store.has_tables, Store.observe_has_tables),
    "tables": (Store.get_tables, Store.observe_tables),
    "table_ids": (Store.get_table_ids, Store.observe_table_ids),
    "has_table": (lambda s: s.has_table("t0"), lambda s: s.observe_has_table("t0")),
    "table": (lambda s: s.get_table("t0"), lambda s: s.observe_table("t0")),
    "table_cell_ids": (lambda s: s.get_table_cell_ids("t0"), lambda s: s.observe_table_cell_ids("t0")),
    "has_table_cell": (
        lambda s: s.has_table_cell("t0", "c0"),
        lambda s: s.observe_has_table_cell("t0", "c0"),
    ),
    "row_count": (lambda s: s.get_row_count("t0"), lambda s: s.observe_row_count("t0")),
    "row_ids": (lambda s: s.get_row_ids("t0"), lambda s: s.observe_row_ids("t0")),
    "sorted_row_ids": (
        lambda s: s.get_sorted_row_ids("t0", "c0"),
        lambda s: s.observe_sorted_row_ids("t0", "c0"),
    ),
    "window": (
        lambda s: s.get_sorted_row_ids("t0", "c0", True, 1, 1),
        lambda s: s.observe_sorted_row_ids("t0", "c0", True, 1, 1),
    ),
    "has_row": (lambda s: s.has_row("t0", "r0"), lambda s: s.observe_has_row("t0", "r0")),
    "row": (lambda s: s.get_row("t0", "r0"), lambda s: s.observe_row("t0", "r0")),
    "cell_ids": (lambda s: s.get_cell_ids("t0", "r0"), lambda s: s.observe_cell_ids("t0", "r0")),
    "has_cell": (
        lambda s: s.has_cell("t0", "r0", "c0"),
        lambda s: s.observe_has_cell("t0", "r0", "c0"),
    ),
    "cell": (lambda s: s.get_cell("t0", "r0", "c0"), lambda s: s.observe_cell("t0", "r0", "c0")),
    "has_values": (Store.has_values, Store.observe_has_values),
    "values": (Store.get_values, Store.observe_values),
    "value_ids": (Store.get_value_ids, Store.observe_value_ids),
    "has_value": (lambda s: s.has_value("v0"), lambda s: s.observe_has_value("v0")),
    "value": (lambda s: s.get_value("v0"), lambda s: s.observe_value("v0")),
}


def write_something(store: Store, choose: random.Random) -> None:
    table_id, row_id, cell_id, value_id = (f"{kind}{choose.randrange(2)}" for kind in "trcv")
    cell = choose.choice([1, 2, True, "x", None, [1]])
    action = choose.randrange(9)
    if action <= 2:
        store.set_cell(table_id, row_id, cell_id, cell)
    elif action == 3:
        store.set_row(table_id, row_id, {cell_id: cell})
    elif action == 4:
        store.del_cell(table_id, row_id, cell_id)
    elif action == 5:
        store.del_row(table_id, row_id)
    elif action == 6:
        store.set_value(value_id, cell)
    elif action == 7:
        store.del_value(value_id)
    else:
        store.del_tables()


def compared(kind: str, content: Any) -> str:
    """Leave out the order of ids, which alone is no change to a store, but for those that are sorted."""
    if isinstance(content, dict):
        return repr(sorted((key, compared(kind, child)) for key, child in content.items()))
    is_set = isinstance(content, list) and kind.endswith("ids") and kind != "sorted_row_ids"
    return repr(sorted(content) if is_set else content)


@pytest.mark.parametrize("kind", READ_AND_OBSERVED)
@pytest.mark.parametrize("seed", range(3))
def test_what_is_observed_is_what_is_read_after_each_transaction_that_changes_it(
    kind: str, seed: int
) -> None:
    choose, store = random.Random(seed), Store()
    read, observe = READ_AND_OBSERVED[kind]
    seen: list[Any] = []
    subscription = observe(store).subscribe(seen.append)
    expected = [read(store)]
    for _ in range(150):
        with store.transaction(do_rollback=lambda store: choose.random() < 0.2):
            for _ in range(choose.randrange(1, 4)):
                write_something(store, choose)
        if compared(kind, read(store)) != compared(kind, expected[-1]):
            expected.append(read(store))
    assert [repr(it) for it in seen] == [repr(it) for it in expected]
    assert len(expected) > 2
    subscription.dispose()
    assert store._unobserved


def test_each_kind_of_content_can_be_observed() -> None:
    observed = {name.removeprefix("observe_") for name in dir(Store) if name.startswith("observe_")}
    assert observed == set(READ_AND_OBSERVED) - {"window"}


def test_sorted_rows_are_told_only_when_their_order_changes() -> None:
    store = Store().set_table("t", {"a": {"c": 1}, "b": {"c": 2}, "d": {"c": 3}})
    seen: list[Any] = []
    with store.observe_sorted_row_ids("t", "c", limit=2).subscribe(seen.append):
        store.set_cell("t", "a", "c", 0).set_cell("t", "d", "c", 9).set_cell("t", "d", "other", 1)
        store.set_cell("t", "d", "c", -1)
    assert seen == [["a", "b"], ["d", "a"]]
    assert not store._sorted.views


# --- within transactions ------------------------------------------------------------------------------------


def test_who_subscribes_within_a_transaction_is_corrected_if_it_is_undone() -> None:
    store = Store().set_cell("t", "r", "c", 1)
    seen: list[Any] = []
    rows: list[Any] = []
    kept: list[Any] = []
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.set_cell("t", "r", "c", 2)
        store.observe_cell("t", "r", "c").subscribe(seen.append)
        store.observe_sorted_row_ids("t", "c").subscribe(rows.append)
        raise ZeroDivisionError
    assert seen == [2, 1]
    assert rows == [["r"]]
    with store.transaction():
        store.set_cell("t", "r", "c", 3)
        store.observe_cell("t", "r", "c").subscribe(kept.append)
    assert kept == [3]
    store.set_cell("t", "r", "c", 4)
    assert kept == [3, 4]


def test_who_subscribes_within_a_listener_is_told_of_the_transaction_once() -> None:
    store = Store()
    seen: list[Any] = []
    hook = store.on_cell("t", "r", "c")
    hook.attach(lambda *_: store.observe_row("t", "r").subscribe(seen.append))
    store.set_cell("t", "r", "c", 1)
    hook.cancel()
    store.set_cell("t", "r", "c", 2)
    assert seen == [{"c": 1}, {"c": 2}]


def test_what_a_subscriber_writes_is_told_after_all_have_heard_what_was_before() -> None:
    store = Store().set_value("v", 0)
    heard: list[Any] = []

    def write(value: Any) -> None:
        heard.append(("first", value))
        if value == 1:
            store.set_value("v", 2)

    store.observe_value("v").subscribe(write)
    store.observe_value("v").subscribe(lambda value: heard.append(("second", value)))
    store.set_value("v", 1)
    assert heard[2:] == [("first", 1), ("second", 1), ("first", 2), ("second", 2)]


def test_a_write_in_answer_to_the_present_content_is_told_after_it() -> None:
    store = Store().set_value("v", 0)
    heard: list[Any] = []

    def write(value: Any) -> None:
        heard.append(("begins", value))
        if value == 0:
            store.set_value("v", 1)
        heard.append(("ends", value))

    store.observe_value("v").subscribe(write)
    assert heard == [("begins", 0), ("ends", 0), ("begins", 1), ("ends", 1)]


def test_observers_are_told_in_the_order_in_which_they_subscribed() -> None:
    store = Store()
    heard: list[str] = []

    def hear(name: str, content: object) -> None:
        heard.append(name)

    for name, observable in (
        ("table", store.observe_table("t")),
        ("cell", store.observe_cell("t", "r", "c")),
        ("tables", store.observe_tables()),
        ("row", store.observe_row("t", "r")),
    ):
        observable.pipe(ops.skip(1)).subscribe(partial(hear, name))
    store.set_cell("t", "r", "c", 1)
    store.set_cell("t", "r", "c", 2)
    assert heard == ["table", "cell", "tables", "row"] * 2


# --- ending -------------------------------------------------------------------------------------------------


def test_disposing_of_another_during_emission_keeps_it_from_being_told() -> None:
    store = Store().set_value("v", 0)
    seen: list[Any] = []
    later: list[Any] = []

    def dispose_of_later(value: Any) -> None:
        for subscription in later:
            subscription.dispose()

    store.observe_value("v").subscribe(dispose_of_later)
    later.append(store.observe_value("v").subscribe(seen.append))
    store.set_value("v", 1)
    assert seen == [0]


def test_taking_only_the_present_content_leaves_nothing_behind() -> None:
    store = Store().set_value("v", 1)
    seen: list[Any] = []
    store.observe_value("v").pipe(ops.take(1)).subscribe(seen.append)
    assert (seen, store._unobserved) == ([1], True)


def test_one_that_fails_on_the_present_content_leaves_nothing_behind() -> None:
    store = Store().set_value("v", 1)
    with pytest.raises(ZeroDivisionError):
        store.observe_value("v").subscribe(fail)
    assert store._unobserved


def test_disposing_in_another_thread_ends_it_at_once_and_lets_go_with_the_next_transaction() -> None:
    store = Store().set_value("v", 1)
    seen: list[Any] = []
    subscriptions = [
        store.observe_value("v").subscribe(seen.append),
        store.observe_sorted_row_ids("t").subscribe(seen.append),
        create_metrics(store).set_metric_definition("m", "t").observe_metric("m").subscribe(seen.append),
    ]
    thread = threading.Thread(target=lambda: [it.dispose() for it in subscriptions])
    thread.start()
    thread.join(10)
    store.set_value("v", 2).set_cell("t", "r", "c", 1)
    assert seen == [1, [], None]
    assert not store._sorted.views
    assert create_metrics(store).get_listener_stats() == {"metric": 0}


def test_subscriptions_that_nobody_holds_go_on() -> None:
    store = Store()
    seen: list[Any] = []
    store.observe_value("v").pipe(ops.map(lambda value: value)).subscribe(seen.append)
    gc.collect()
    store.set_value("v", 1)
    assert seen == [None, 1]


def test_several_that_fail_are_raised_as_a_group_and_the_rest_is_told() -> None:
    store = Store()
    seen: list[Any] = []
    for _ in range(2):
        store.observe_value("v").pipe(ops.filter(bool)).subscribe(fail)
    store.observe_value("v").subscribe(seen.append)
    with pytest.raises(ExceptionGroup) as caught:
        store.set_value("v", 1)
    assert len(caught.value.exceptions) == 2
    assert seen == [None, 1]


def test_what_a_subscriber_does_to_an_item_is_its_own_business() -> None:
    store = Store().set_row("t", "r", {"c": 1})
    seen: list[Any] = []
    store.observe_row("t", "r").subscribe(lambda row: row.update(c=2))
    store.observe_row("t", "r").subscribe(lambda row: seen.append(dict(row)))
    store.set_cell("t", "r", "c", 2)
    assert seen == [{"c": 1}, {"c": 2}]


def test_a_sorter_that_fails_reaches_the_writer_and_the_rest_is_told() -> None:
    def compare(one: Any, other: Any) -> int:
        if "bad" in (one, other):
            raise ZeroDivisionError
        return 0

    store = Store().set_table("t", {"a": {"c": 1}, "b": {"c": 2}})
    seen: list[Any] = []
    did_finish: list[Any] = []
    store.observe_sorted_row_ids("t", "c", sorter=compare).subscribe(seen.append)
    store.observe_cell("t", "a", "c").subscribe(seen.append)
    store.on_did_finish_transaction()(did_finish.append)
    with pytest.raises(ZeroDivisionError) as caught:
        store.set_cell("t", "a", "c", "bad")
    assert "in an observer of sorted row ids of t" in caught.value.__notes__
    assert (seen, did_finish) == ([["a", "b"], 1, "bad"], [store])
