"""Computed cells: always what a function makes of their row."""

from __future__ import annotations

from typing import Any

import pytest

from replicell.store import (
    MISSING,
    DefinitionError,
    Store,
    UnsettledError,
    create_checkpoints,
    create_computed_cells,
    create_indexes,
)


def total(get_cell: Any, row_id: str) -> Any:
    price, count = get_cell("price"), get_cell("count")
    return MISSING if price is MISSING or count is MISSING else price * count


def shop() -> Store:
    store = Store().set_table("items", {"a": {"price": 5, "count": 2}, "b": {"price": 3}})
    create_computed_cells(store).set_computed_cell("items", "total", total)
    return store


def test_rows_there_are_and_rows_to_come_are_computed() -> None:
    store = shop()
    assert store.get_cell("items", "a", "total") == 10
    assert not store.has_cell("items", "b", "total")
    store.set_cell("items", "b", "count", 4).set_row("items", "c", {"price": 1, "count": 1})
    assert [store.get_cell("items", row_id, "total") for row_id in "abc"] == [10, 12, 1]
    store.del_cell("items", "a", "price")
    assert store.get_row("items", "a") == {"count": 2}


def test_listeners_hear_of_it_in_the_same_transaction() -> None:
    store = shop()
    heard: list[Any] = []
    store.add_row_listener(
        "items", None, lambda store, t, r, change: heard.append(change("items", r, "total")[1:])
    )
    store.set_cell("items", "a", "count", 3)
    assert heard == [(10, 15)]


def test_what_mutators_and_will_finish_listeners_write_counts_too() -> None:
    store = shop()
    store.add_will_finish_transaction_listener(lambda store: store.set_cell("items", "a", "count", 7))
    store.set_cell("items", "a", "price", 2)
    assert store.get_cell("items", "a", "total") == 14


def test_writing_one_by_hand_does_not_last() -> None:
    store = shop()
    store.set_cell("items", "a", "total", 99).del_cell("items", "a", "total")
    assert store.get_cell("items", "a", "total") == 10


def test_one_may_depend_on_another_in_whatever_order_they_were_defined() -> None:
    store = Store()
    computed = create_computed_cells(store)
    computed.set_computed_cell("t", "c", lambda get_cell, row_id: get_cell("b") or 0)
    computed.set_computed_cell("t", "b", lambda get_cell, row_id: (get_cell("a") or 0) + 1)
    assert store.set_cell("t", "r", "a", 1).get_row("t", "r") == {"a": 1, "c": 2, "b": 2}


def test_a_circle_is_refused_and_the_transaction_undone() -> None:
    store = Store()
    computed = create_computed_cells(store)
    computed.set_computed_cell("t", "b", lambda get_cell, row_id: (get_cell("c") or 0) + 1)
    computed.set_computed_cell("t", "c", lambda get_cell, row_id: (get_cell("b") or 0) + 1)
    with pytest.raises(UnsettledError, match="in a circle"):
        store.set_cell("t", "r", "a", 1)
    assert store.get_tables() == {}


def test_a_row_of_which_only_computed_cells_are_left_goes() -> None:
    store = Store()
    create_computed_cells(store).set_computed_cell("t", "b", lambda get_cell, row_id: 1)
    assert store.set_cell("t", "r", "a", 1).get_row("t", "r") == {"a": 1, "b": 1}
    assert store.del_cell("t", "r", "a").get_tables() == {}


def test_an_error_undoes_the_transaction_and_a_definition_that_fails_is_none() -> None:
    store = Store().set_cell("t", "r", "a", 1)
    computed = create_computed_cells(store)
    with pytest.raises(TypeError):
        computed.set_computed_cell("t", "b", lambda get_cell, row_id: get_cell("a") + "x")
    assert computed.get_computed_cell_ids("t") == []
    computed.set_computed_cell("t", "b", lambda get_cell, row_id: 6 // get_cell("a"))
    with pytest.raises(ZeroDivisionError):
        store.set_cell("t", "r", "a", 0)
    assert store.get_row("t", "r") == {"a": 1, "b": 6}
    with pytest.raises(DefinitionError, match="needs a function"):
        computed.set_computed_cell("t", "b", 5)  # type: ignore[arg-type]  # what is refused


def test_what_a_schema_forbids_is_reported_once_and_not_stored() -> None:
    store = Store().set_tables_schema({"t": {"a": {"type": "number"}, "b": {"type": "string"}}})
    invalid: list[Any] = []
    create_computed_cells(store).set_computed_cell("t", "b", lambda get_cell, row_id: 5)
    store.set_cell("t", "r", "a", 1)
    store.add_invalid_cell_listener("t", "r", "b", lambda *args: invalid.append(args[4]))
    store.set_cell("t", "r", "a", 2)
    assert store.get_row("t", "r") == {"a": 2}
    assert invalid == [[5]]


def test_computed_cells_can_be_indexed_and_undone() -> None:
    store = shop()
    indexes = create_indexes(store).set_index_definition("i", "items", "total")
    checkpoints = create_checkpoints(store)
    store.set_cell("items", "a", "count", 3)
    assert indexes.get_slice_ids("i") == ["", "15"]
    checkpoints.add_checkpoint()
    checkpoints.go_backward()
    assert store.get_row("items", "a") == {"price": 5, "count": 2, "total": 10}
    assert checkpoints.get_checkpoint_ids() == ([], "0", ["1"])


def test_one_that_is_computed_no_more_stays_as_it_is() -> None:
    store = shop()
    computed = create_computed_cells(store)
    computed.del_computed_cell("items", "total").del_computed_cell("items", "no such")
    store.set_cell("items", "a", "count", 9)
    assert store.get_cell("items", "a", "total") == 10
    computed.set_computed_cell("items", "total", total).destroy()
    assert store._settlers == ()
    assert computed.get_store() is store
