"""The helpers for tests: what they record, and that they find every kind."""

from __future__ import annotations

import pytest

from replicell.store import (
    MISSING,
    ArgumentError,
    InvalidCellError,
    Store,
    create_indexes,
    create_metrics,
    create_queries,
)
from replicell.store.testing import FakeClock, Recorder, store_of


def test_a_recorder_listens_to_every_kind_of_a_store() -> None:
    store, recorder = Store(), Recorder()
    listener_ids = recorder.listen_to(store)
    store.set_cell("t", "r", "c", 1).set_cell("t", "r", "d", float("nan"))
    store.set_value("v", float("nan")).set_value("v", 1)
    called = {name for name, *_ in recorder.taken()}
    stats = {kind for kind, count in store.get_listener_stats().items() if count}
    assert called == stats - {"transaction"} | {
        "start_transaction",
        "will_finish_transaction",
        "did_finish_transaction",
    }
    assert set(store.get_listener_stats()) - stats == {"sorted_row_ids"}
    for listener_id in listener_ids:
        store.del_listener(listener_id)
    store.set_value("v", 2)
    assert recorder.taken() == []


def test_a_recorder_listens_to_what_is_derived() -> None:
    store, recorder = Store(), Recorder()
    recorder.listen_to(create_metrics(store), "metric")
    recorder.listen_to(create_indexes(store), "slice_ids")
    recorder.listen_to(create_queries(store), "result_row_ids", "result_cell")
    create_metrics(store).set_metric_definition("m", "t")
    create_indexes(store).set_index_definition("i", "t", "c")
    create_queries(store).set_query_definition("q", "t", lambda q: q.select("c"))
    store.set_cell("t", "r", "c", "x")
    assert recorder.taken() == [
        ("metric", "m", 1, MISSING),
        ("slice_ids", "i"),
        ("result_row_ids", "q", {"r": 1}),
        ("result_cell", "q", "r", "c", "x", MISSING),
    ]


def test_mutators_are_recorded_before_the_others() -> None:
    store, recorder = Store(), Recorder()
    store.add_value_listener("v", recorder.named("normal"))
    recorder.listen_to(store, "value", mutator=True)
    store.set_value("v", 1)
    assert [name for name, *_ in recorder.taken()] == ["value", "normal"]


@pytest.mark.parametrize("kind", ["colour", "sorted_row_ids"])
def test_a_kind_that_cannot_listen_to_everything_is_refused_before_any_is_added(kind: str) -> None:
    store = Store()
    with pytest.raises(ArgumentError, match=f"cannot listen to all of '{kind}'"):
        Recorder().listen_to(store, "cell", kind)
    assert store.get_listener_stats()["cell"] == 0


def test_a_clock_goes_only_as_it_is_wound() -> None:
    clock = FakeClock()
    clock.advance(1.5)
    clock.advance(0)
    assert (clock(), clock.milliseconds()) == (1.5, 1500)
    with pytest.raises(ArgumentError, match="goes forward"):
        clock.advance(-1)
    clock.now = 1
    assert clock() == 1


def test_a_filled_store_refuses_what_it_cannot_hold() -> None:
    assert store_of().get_content() == ({}, {})
    with pytest.raises(InvalidCellError):
        store_of({"t": {"r": {"c": float("nan")}}})
    assert store_of({"t": {"r": {"c": float("nan"), "d": 1}}}, strict=False).get_row("t", "r") == {"d": 1}
