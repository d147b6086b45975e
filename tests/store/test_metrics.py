"""Metrics: numbers over all rows of a table, that neither drift nor recount."""

from __future__ import annotations

from typing import Any

import pytest

from replicell.store import MISSING, Metrics, Store, create_metrics


def priced(*prices: Any) -> Store:
    return Store().set_table("pets", {f"r{i}": {"price": price} for i, price in enumerate(prices)})


def test_named_aggregates() -> None:
    metrics = create_metrics(priced(1, 2, 6, 1))
    for name, expected in (("sum", 10), ("avg", 2.5), ("min", 1), ("max", 6), ("count_distinct", 3)):
        assert metrics.set_metric_definition("m", "pets", name, "price").get_metric("m") == expected


def test_any_other_name_is_a_sum_and_no_number_counts_rows() -> None:
    metrics = create_metrics(priced(1, 2))
    assert metrics.set_metric_definition("m", "pets", "no such", "price").get_metric("m") == 3
    assert metrics.set_metric_definition("m", "pets").get_metric("m") == 2


def test_distinct_cells_are_counted_whatever_they_are() -> None:
    store = priced(1, True, "1", "1", None, [1], [1])
    metrics = create_metrics(store).set_metric_definition("m", "pets", "count_distinct", "price")
    assert metrics.get_metric("m") == 5
    store.del_row("pets", "r2")
    assert metrics.get_metric("m") == 5
    store.del_row("pets", "r3")
    assert metrics.get_metric("m") == 4
    store.del_tables()
    assert metrics.get_metric("m") is None
    assert metrics.set_metric_definition("m", "pets", "countDistinct", "price").get_metric("m", 0) == 0


def test_a_sum_that_came_in_steps_equals_one_from_scratch() -> None:
    store = Store()
    stepwise = create_metrics(store).set_metric_definition("m", "pets", "sum", "price")
    for number in range(100):
        store.set_row("pets", str(number), {"price": number / 10})
    for number in range(0, 100, 2):
        store.del_row("pets", str(number))
    anew = create_metrics(Store().set_tables(store.get_tables()))
    assert stepwise.get_metric("m") == anew.set_metric_definition("m", "pets", "sum", "price").get_metric("m")


def test_listeners_get_new_and_old_and_missing_where_there_is_none() -> None:
    store = Store()
    seen: list[Any] = []
    metrics = create_metrics(store).set_metric_definition("m", "pets", "max", "price")
    metrics.add_metric_listener(None, lambda metrics, metric_id, new, old: seen.append((metric_id, new, old)))
    store.set_row("pets", "fido", {"price": 5}).set_cell("pets", "fido", "price", 5).del_tables()
    assert seen == [("m", 5, MISSING), ("m", MISSING, 5)]


def test_functions_may_return_nothing_to_have_all_computed_anew() -> None:
    asked: list[int] = []

    def aggregate(numbers: list[Any], length: int) -> int:
        asked.append(length)
        return sum(number * number for number in numbers)

    store = priced(1, 2)
    metrics = create_metrics(store).set_metric_definition(
        "m", "pets", aggregate, "price", lambda metric, add, length: metric + add * add, lambda *args: None
    )
    store.set_row("pets", "r2", {"price": 3})
    assert (metrics.get_metric("m"), asked) == (14, [2])
    store.del_row("pets", "r0")
    assert (metrics.get_metric("m"), asked) == (13, [2, 2])
    store.set_cell("pets", "r1", "price", 1)
    assert (metrics.get_metric("m"), asked) == (10, [2, 2, 2])


def test_what_is_not_a_finite_number_is_no_result() -> None:
    metrics = create_metrics(priced(1))
    results: list[Any] = [float("nan"), float("inf"), None, MISSING, "1", True]
    while results:
        metrics.set_metric_definition("m", "pets", lambda numbers, length: results.pop())
        assert not metrics.has_metric("m")
        assert metrics.get_metric_ids() == ["m"]


def test_a_failing_aggregate_is_made_up_for() -> None:
    store = priced(1, 2)
    fails = False

    def aggregate(numbers: list[Any], length: int) -> Any:
        if fails:
            raise RuntimeError("failed")
        return sum(numbers)

    metrics = create_metrics(store).set_metric_definition("m", "pets", aggregate, "price")
    fails = True
    with pytest.raises(BaseException, match="failed"):
        store.set_cell("pets", "r0", "price", 5)
    fails = False
    store.set_cell("pets", "r1", "price", 5)
    assert metrics.get_metric("m") == 10


def test_a_definition_that_goes_is_told_to_ids_listeners_only() -> None:
    seen: list[Any] = []
    metrics = create_metrics(priced(1)).set_metric_definition("m", "pets")
    metrics.add_metric_ids_listener(lambda metrics: seen.append(metrics.get_metric_ids()))
    metrics.add_metric_listener("m", lambda *args: seen.append(args))
    assert metrics.del_metric_definition("m").get_table_id("m") is None
    assert seen == [[]]


def test_there_is_one_metrics_object_a_store() -> None:
    store = Store()
    assert create_metrics(store) is create_metrics(store)
    assert isinstance(create_metrics(store), Metrics)
    assert create_metrics(store).get_store() is store
