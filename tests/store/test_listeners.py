"""Listeners: every kind, wildcards, order, mutators, and coming and going."""

from __future__ import annotations

from typing import Any

import pytest

from replicell.store import MISSING, Store
from replicell.store.testing import Recorder

TABULAR = (
    "has_tables",
    "table_ids",
    "has_table",
    "table_cell_ids",
    "has_table_cell",
    "row_count",
    "row_ids",
    "has_row",
    "cell_ids",
    "has_cell",
    "cell",
    "row",
    "table",
    "tables",
    "has_values",
    "value_ids",
    "has_value",
    "value",
    "values",
)


@pytest.mark.parametrize("mutator", [False, True])
def test_every_kind_is_told_in_its_order(mutator: bool) -> None:
    calls, store = Recorder(), Store()
    calls.listen_to(store, *reversed(TABULAR), mutator=mutator)
    with store.transaction():
        store.set_row("t", "r", {"a": 1, "b": [2]}).set_value("v", 1)
    assert calls.taken() == [
        ("has_tables", True),
        ("table_ids", {"t": 1}),
        ("has_table", "t", True),
        ("table_cell_ids", "t", {"a": 1, "b": 1}),
        ("has_table_cell", "t", "a", True),
        ("has_table_cell", "t", "b", True),
        ("row_count", "t", 1),
        ("row_ids", "t", {"r": 1}),
        ("has_row", "t", "r", True),
        ("cell_ids", "t", "r", {"a": 1, "b": 1}),
        ("has_cell", "t", "r", "a", True),
        ("has_cell", "t", "r", "b", True),
        ("cell", "t", "r", "a", 1, MISSING),
        ("cell", "t", "r", "b", [2], MISSING),
        ("row", "t", "r"),
        ("table", "t"),
        ("tables",),
        ("has_values", True),
        ("value_ids", {"v": 1}),
        ("has_value", "v", True),
        ("value", "v", 1, MISSING),
        ("values",),
    ]
    store.set_cell("t", "r", "a", 2)
    assert [call[0] for call in calls.taken()] == ["cell", "row", "table", "tables"]
    with store.transaction():
        store.del_tables().del_values()
    told = {call[0]: call[1:] for call in calls.taken()}
    assert told["has_tables"] == (False,)
    assert told["row_ids"] == ("t", {"r": -1})
    assert told["cell"] == ("t", "r", "b", MISSING, [2])
    assert told["has_value"] == ("v", False)
    assert told["row_count"] == ("t", 0)


def test_exact_ids_come_before_wildcards_the_leftmost_first() -> None:
    calls, store = Recorder(), Store()
    patterns = [(t, r, c) for t in (None, "t") for r in (None, "r") for c in (None, "c")]
    for pattern in patterns:
        store.add_cell_listener(*pattern, calls.named(repr(pattern)))
    store.set_cell("t", "r", "c", 1)
    assert [call[0] for call in calls.taken()] == [repr(pattern) for pattern in reversed(patterns)]
    store.set_cell("t", "x", "c", 1)
    assert [call[0] for call in calls.taken()] == [
        repr(("t", None, "c")),
        repr(("t", None, None)),
        repr((None, None, "c")),
        repr((None, None, None)),
    ]


def test_within_a_bucket_listeners_are_told_in_the_order_they_came() -> None:
    calls, store = Recorder(), Store()
    for name in "abc":
        store.add_value_listener("v", calls.named(name))
    store.set_value("v", 1)
    assert [call[0] for call in calls.taken()] == ["a", "b", "c"]


def test_numbers_among_a_listeners_ids_are_the_ids_methods_make_of_them() -> None:
    calls, store = Recorder(), Store()
    store.add_cell_listener("t", 1, "c", calls.named("cell"))
    store.set_cell("t", 1, "c", True)
    assert calls.taken() == [("cell", "t", "1", "c", True, MISSING)]


def test_a_row_replaced_by_another_changes_row_ids_but_not_the_count() -> None:
    calls, store = Recorder(), Store().set_cell("t", "r", "c", 1)
    store.add_row_count_listener("t", calls.named("count"))
    store.add_row_ids_listener("t", calls.named("ids"))
    with store.transaction():
        store.del_row("t", "r").set_cell("t", "s", "c", 1)
    assert calls.taken() == [("ids", "t", {"r": -1, "s": 1})]


def test_mutators_hear_of_a_snapshot_and_normal_listeners_of_everything() -> None:
    calls, store = Recorder(), Store()
    store.add_cell_listener("t", "r", "a", lambda store, *_: store.set_cell("t", "r", "b", 1), mutator=True)
    store.add_cell_listener("t", "r", "b", calls.named("mutator"), mutator=True)
    store.add_cell_listener(None, None, None, calls.named("normal"))
    store.set_cell("t", "r", "a", 1)
    assert calls.taken() == [("normal", "t", "r", "a", 1, MISSING), ("normal", "t", "r", "b", 1, MISSING)]


@pytest.mark.parametrize("existing", [False, True])
def test_values_that_cell_mutators_write_reach_value_mutators_and_cells_the_other_way_do_not(
    existing: bool,
) -> None:
    calls, store = Recorder(), Store()
    if existing:
        store.set_cell("t", "r", "a", 0)
    store.add_cell_listener(
        "t", "r", "a", lambda store, *_: store.set_value("v", 1).set_value("w", float("nan")), mutator=True
    )
    store.add_value_listener("v", lambda store, *_: store.set_cell("t", "r", "b", 1), mutator=True)
    store.add_invalid_value_listener(None, lambda store, *_: calls.calls.append(("invalid",)), mutator=True)
    store.add_cell_listener("t", "r", "b", calls.named("mutator"), mutator=True)
    store.add_tables_listener(calls.named("tables"))
    store.set_cell("t", "r", "a", 1)
    assert calls.taken() == [("invalid",), ("tables",)]
    assert store.get_cell("t", "r", "b") == 1


def put_back(store: Store, t: str, r: str, c: str, new: Any, old: Any, change: object) -> None:
    store.set_cell(t, r, c, old)


def test_what_a_mutator_puts_back_is_not_told() -> None:
    calls, store = Recorder(), Store().set_cell("t", "r", "c", 1)
    store.add_cell_listener("t", "r", "c", put_back, mutator=True)
    store.add_cell_listener("t", "r", "c", calls.named("normal"))
    assert store.set_cell("t", "r", "c", 2).get_cell("t", "r", "c") == 1
    assert calls.taken() == []


def test_a_mutator_can_put_things_right() -> None:
    store = Store()

    def clamp(store: Store, t: str, r: str, c: str, new: Any, *_: object) -> None:
        if new > 10:
            store.set_cell(t, r, c, 10)

    store.add_cell_listener("t", None, "c", clamp, mutator=True)
    assert store.set_cell("t", "r", "c", 99).get_cell("t", "r", "c") == 10
    assert store.set_cell("t", "r", "c", 98).get_cell("t", "r", "c") == 10


def test_ids_of_removed_listeners_are_used_again_oldest_first() -> None:
    store = Store()
    ids = [store.add_tables_listener(lambda *_: None) for _ in range(4)]
    assert ids == ["0", "1", "2", "3"]
    store.del_listener("2").del_listener("0").del_listener("unknown").del_listener("0")
    assert [store.add_values_listener(lambda *_: None) for _ in range(3)] == ["2", "0", "4"]


def test_a_removed_listener_is_not_called_not_even_by_the_dispatch_under_way() -> None:
    calls, store = Recorder(), Store()
    store.add_value_listener("v", lambda store, *_: store.del_listener(last))
    last = store.add_value_listener("v", calls.named("removed"))
    store.add_value_listener("v", calls.named("stays"))
    store.set_value("v", 1)
    assert calls.taken() == [("stays", "v", 1, MISSING)]
    store.set_value("v", 2)
    assert calls.taken() == [("stays", "v", 2, 1)]
    assert store.get_listener_stats()["value"] == 2


def test_a_listener_added_to_the_bucket_being_told_is_told_as_well() -> None:
    calls, store = Recorder(), Store()

    def add(store: Store, *_: object) -> None:
        store.del_listener(adder)
        store.add_value_listener("v", calls.named("same bucket"))
        store.add_value_listener(None, calls.named("new bucket"))

    adder = store.add_value_listener("v", add)
    store.add_value_listener("v", calls.named("old"))
    store.set_value("v", 1)
    assert [call[0] for call in calls.taken()] == ["old", "same bucket"]
    store.set_value("v", 2)
    assert [call[0] for call in calls.taken()] == ["old", "same bucket", "new bucket"]


def test_a_did_finish_listener_added_by_a_listener_is_told_of_the_same_transaction() -> None:
    calls, store = Recorder(), Store().set_cell("t", "r", "c", 0)

    def add(store: Store, *_: object) -> None:
        store.del_listener(adder)
        store.add_did_finish_transaction_listener(calls.named("did"))

    adder = store.add_cell_listener("t", "r", "c", add)
    store.set_cell("t", "r", "c", 1)
    assert calls.taken() == [("did",)]


def test_call_listener_expands_wildcards_over_what_there_is() -> None:
    calls, store = (
        Recorder(),
        Store().set_tables({"t": {"r": {"a": 1, "b": [2]}}, "u": {"s": {"a": 3}}}).set_value("v", 1),
    )
    expected: dict[tuple[str, tuple[Any, ...]], list[tuple[Any, ...]]] = {
        ("cell", (None, None, "a")): [("t", "r", "a", 1, 1), ("u", "s", "a", 3, 3)],
        ("cell", ("t", "r", None)): [("t", "r", "a", 1, 1), ("t", "r", "b", [2], [2])],
        ("cell", ("x", "y", "z")): [("x", "y", "z", MISSING, MISSING)],
        ("has_table_cell", ("t", None)): [("t", "a", True), ("t", "b", True)],
        ("has_row", ("x", "y")): [("x", "y", False)],
        ("row", (None, None)): [("t", "r"), ("u", "s")],
        ("row_count", (None,)): [("t", 1), ("u", 1)],
        ("row_ids", ("t",)): [("t", {})],
        ("tables", ()): [()],
        ("has_tables", ()): [(True,)],
        ("value", (None,)): [("v", 1, 1)],
        ("has_value", ("w",)): [("w", False)],
        ("values", ()): [()],
        ("invalid_cell", (None, "r", "c")): [],
        ("invalid_cell", ("t", "r", "c")): [("t", "r", "c", [])],
        ("invalid_value", ("v",)): [("v", [])],
        ("start_transaction", ()): [()],
        ("did_finish_transaction", ()): [()],
    }
    for (kind, path), told in expected.items():
        listener_id = getattr(store, f"add_{kind}_listener")(*path, calls.named(kind))
        store.call_listener(listener_id).del_listener(listener_id)
        assert calls.taken() == [(kind, *arguments) for arguments in told]
    assert store.call_listener("unknown") is store


def test_call_listener_goes_on_when_the_listener_removes_itself() -> None:
    store = Store().set_table("t", {"r": {"a": 1}, "s": {"a": 1}})
    rows: list[Any] = []

    def once(store: Store, table_id: str, row_id: str, change: object) -> None:
        rows.append(row_id)
        store.del_listener(listener_id)

    listener_id = store.add_row_listener("t", None, once)
    store.call_listener(listener_id)
    assert rows == ["r", "s"]


def test_stats_count_each_kind_and_all_transaction_listeners_together() -> None:
    calls, store = Recorder(), Store()
    assert set(store.get_listener_stats().values()) == {0}
    assert len(store.get_listener_stats()) == 23
    calls.listen_to(store, *TABULAR)
    calls.listen_to(store, *TABULAR, mutator=True)
    store.add_start_transaction_listener(calls.named("start"))
    store.add_will_finish_transaction_listener(calls.named("will"))
    store.add_did_finish_transaction_listener(calls.named("did"))
    stats = store.get_listener_stats()
    assert {
        kind: stats.pop(kind) for kind in ("transaction", "sorted_row_ids", "invalid_cell", "invalid_value")
    } == {
        "transaction": 3,
        "sorted_row_ids": 0,
        "invalid_cell": 0,
        "invalid_value": 0,
    }
    assert set(stats.values()) == {2}


def test_something_that_cannot_be_called_is_refused_at_once() -> None:
    with pytest.raises(TypeError, match="must be callable"):
        Store().add_cell_listener(None, None, None, "not a function")  # type: ignore[arg-type]  # on purpose
