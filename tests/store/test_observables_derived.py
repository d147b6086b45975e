"""Observables of metrics, indexes, relationships, links, queries and checkpoints."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest

from replicell.store import (
    Store,
    create_checkpoints,
    create_indexes,
    create_links,
    create_metrics,
    create_queries,
    create_relationships,
)


def test_metrics_indexes_and_relationships_are_observed() -> None:
    store = Store()
    metrics = create_metrics(store).set_metric_definition("sum", "pets", "sum", "age")
    indexes = create_indexes(store).set_index_definition("by", "pets", "species", "age")
    relationships = create_relationships(store).set_relationship_definition(
        "of", "pets", "species", "species"
    )
    links = create_links(store).set_link_definition("played", "pets", "s", "species", "p", "age")
    seen: dict[str, list[Any]] = {}
    for name, observable in {
        "metric": metrics.observe_metric("sum"),
        "slices": indexes.observe_slice_ids("by"),
        "slice": indexes.observe_slice_row_ids("by", "dog"),
        "remote": relationships.observe_remote_row_id("of", "fido"),
        "local": relationships.observe_local_row_ids("of", "dog"),
        "linked": relationships.observe_linked_row_ids("of", "fido"),
        "right": links.observe_right_row_ids("played", "dog"),
        "left": links.observe_left_row_ids("played", "3"),
    }.items():
        observable.subscribe(seen.setdefault(name, []).append)
    store.set_row("pets", "fido", {"species": "dog", "age": 3})
    store.set_row("pets", "rex", {"species": "dog", "age": 1})
    store.set_cell("pets", "rex", "color", "brown")
    store.del_table("pets")
    assert seen == {
        "metric": [None, 3, 4, None],
        "slices": [[], ["dog"], []],
        "slice": [[], ["fido"], ["rex", "fido"], []],
        "remote": [None, "dog", None],
        "local": [[], ["fido"], ["fido", "rex"], []],
        "linked": [["fido"]],
        "right": [[], ["3"], ["3", "1"], []],
        "left": [[], ["dog"], []],
    }


def test_results_of_queries_are_observed_and_subscribers_may_write() -> None:
    store = Store().set_table("pets", {"fido": {"age": 3}, "rex": {"age": 1}})
    queries = create_queries(store)
    queries.set_query_definition(
        "old", "pets", lambda q: (q.select("age"), q.where(lambda get: get("age") > 2))
    )
    seen: dict[str, list[Any]] = {}
    for name, observable in {
        "table": queries.observe_result_table("old"),
        "row_ids": queries.observe_result_row_ids("old"),
        "sorted": queries.observe_result_sorted_row_ids("old", "age"),
        "count": queries.observe_result_row_count("old"),
        "cell": queries.observe_result_cell("old", "rex", "age"),
    }.items():
        observable.subscribe(seen.setdefault(name, []).append)

    def write(count: int) -> None:
        store.set_value("count", count)

    queries.observe_result_row_count("old").subscribe(write)
    store.set_cell("pets", "rex", "age", 2).set_cell("pets", "rex", "age", 4)
    assert store.get_value("count") == 2
    queries.del_query_definition("old")
    assert store.get_value("count") == 0
    assert seen == {
        "table": [{"fido": {"age": 3}}, {"fido": {"age": 3}, "rex": {"age": 4}}, {}],
        "row_ids": [["fido"], ["fido", "rex"], []],
        "sorted": [["fido"], ["fido", "rex"], []],
        "count": [1, 2, 0],
        "cell": [None, 4, None],
    }


def test_checkpoints_are_observed() -> None:
    store = Store()
    checkpoints = create_checkpoints(store)
    seen: list[Any] = []
    with checkpoints.observe_checkpoint_ids().subscribe(seen.append):
        store.set_value("v", 1)
        checkpoints.add_checkpoint()
    assert seen == [([], "0", []), (["0"], None, []), (["0"], "1", [])]
    assert checkpoints.get_listener_stats()["checkpoint_ids"] == 0


def test_what_is_derived_is_told_although_a_listener_failed() -> None:
    store = Store()
    metrics = create_metrics(store).set_metric_definition("count", "t")
    indexes = create_indexes(store).set_index_definition("all", "t")
    seen: list[Any] = []
    metrics.observe_metric("count").subscribe(seen.append)
    indexes.observe_slice_row_ids("all", "").subscribe(seen.append)
    store.on_cell(None, None, None).attach(lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        store.set_cell("t", "r", "c", 1)
    assert seen == [None, [], 1, ["r"]]


def test_a_definition_outside_a_transaction_is_told_at_once() -> None:
    store = Store().set_cell("t", "r", "c", 1)
    metrics = create_metrics(store)
    seen: list[Any] = []
    metrics.observe_metric("count").subscribe(seen.append)
    metrics.set_metric_definition("count", "t")
    assert seen == [None, 1]


@pytest.mark.parametrize("within", [False, True], ids=["outside", "within a transaction"])
def test_what_goes_with_a_definition_is_told(within: bool) -> None:
    store = Store().set_table("t", {"1": {"of": "2"}, "2": {"n": 3}})
    metrics = create_metrics(store).set_metric_definition("count", "t")
    indexes = create_indexes(store).set_index_definition("by", "t", "n")
    relationships = create_relationships(store).set_relationship_definition("of", "t", "t", "of")
    links = create_links(store).set_link_definition("to", "t", "t", "of", "t", "of")
    queries = create_queries(store).set_query_definition("q", "t", lambda q: q.select("n"))
    seen: dict[str, list[Any]] = {}
    for name, observable in {
        "metric": metrics.observe_metric("count"),
        "slice": indexes.observe_slice_row_ids("by", "3"),
        "remote": relationships.observe_remote_row_id("of", "1"),
        "local": relationships.observe_local_row_ids("of", "2"),
        "right": links.observe_right_row_ids("to", "2"),
        "result": queries.observe_result_row_ids("q"),
    }.items():
        observable.subscribe(seen.setdefault(name, []).append)
    with store.transaction() if within else nullcontext():
        metrics.del_metric_definition("count").del_metric_definition("other")
        indexes.del_index_definition("by")
        relationships.del_relationship_definition("of")
        links.del_link_definition("to")
        queries.del_query_definition("q")
    assert seen == {
        "metric": [2, None],
        "slice": [["2"], []],
        "remote": ["2", None],
        "local": [["1"], []],
        "right": [["2"], []],
        "result": [["2"], []],
    }
    assert store.set_cell("t", "3", "n", 1).get_row_count("t") == 3
