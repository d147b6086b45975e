"""Middleware: asked before every write, and able to leave nothing of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from replicell.store import MISSING, InvalidCellError, Store, create_middleware


def noting(seen: list[Any], callback: Callable[..., Any]) -> Callable[..., Any]:
    """A callback that notes what it was given."""

    def noted(*arguments: Any) -> Any:
        seen.append(arguments)
        return callback(*arguments)

    return noted


def test_a_store_without_callbacks_is_not_guarded() -> None:
    store = Store()
    middleware = create_middleware(store)
    assert store._guard is None
    assert store._swift
    middleware.add_will_set_cell_callback(lambda t, r, c, cell: cell)
    assert store._guard is not None
    assert not store._swift
    middleware.destroy()
    assert store._guard is None
    assert store._swift


def test_callbacks_get_what_the_one_before_returned_until_one_vetoes() -> None:
    store = Store()
    seen: list[Any] = []
    middleware = create_middleware(store)
    middleware.add_will_set_cell_callback(lambda t, r, c, cell: cell + 1)
    middleware.add_will_set_cell_callback(lambda t, r, c, cell: cell * 10 if cell < 5 else MISSING)
    middleware.add_will_set_cell_callback(noting(seen, lambda t, r, c, cell: cell))
    assert store.set_cell("t", "r", "c", 1).get_cell("t", "r", "c") == 20
    assert store.set_cell("t", "r", "c", 7).get_cell("t", "r", "c") == 20
    assert seen == [("t", "r", "c", 20)]


def test_a_vetoed_row_leaves_no_trace_and_has_no_id() -> None:
    store = Store()
    heard: list[Any] = []
    store.add_table_ids_listener(lambda store, changes: heard.append(changes()))
    store.add_row_ids_listener(None, lambda store, table_id, changes: heard.append(changes()))
    middleware = create_middleware(store).add_will_set_row_callback(lambda t, r, row: MISSING)
    assert store.add_row("t", {"c": 1}) is MISSING
    store.set_row("t", "r", {"c": 1}).set_table("t", {"r": {"c": 1}}).set_cell("t", "r", "c", 1)
    middleware.add_will_set_cell_callback(lambda *args: MISSING)
    store.set_partial_row("t", "r", {"c": 1}).apply_changes(({"t": {"r": {"c": 1}}}, {}, 1))
    assert (store.get_tables(), store.get_table_ids(), store.get_row_ids("t"), heard) == ({}, [], [], [])


def test_a_callback_that_returns_nothing_vetoes_all_but_cells_and_values() -> None:
    store = Store()
    middleware = create_middleware(store).add_will_set_row_callback(lambda *args: None)
    assert store.set_row("t", "r", {"c": 1}).get_tables() == {}
    middleware.destroy()
    create_middleware(store).add_will_set_cell_callback(lambda *args: None)
    assert store.set_row("t", "r", {"c": 1}).get_tables() == {"t": {"r": {"c": None}}}


def test_callbacks_get_copies_with_objects_decoded_and_may_change_them() -> None:
    store = Store()
    given = {"c": {"k": [1]}}

    def add(table_id: str, row_id: str, row: dict[str, Any]) -> dict[str, Any]:
        row["c"]["k"].append(2)
        row["d"] = True
        return row

    create_middleware(store).add_will_set_row_callback(add)
    assert store.set_row("t", "r", given).get_row("t", "r") == {"c": {"k": [1, 2]}, "d": True}
    assert given == {"c": {"k": [1]}}
    store.set_tables_json('{"t":{"r":{"c":"\ufffd{\\"k\\":[]}"}}}')
    assert store.get_row("t", "r") == {"c": {"k": [2]}, "d": True}


def test_what_they_return_is_validated_cell_by_cell() -> None:
    store = Store().set_tables_schema({"t": {"n": {"type": "number", "default": 0}, "s": {"type": "string"}}})
    invalid: list[Any] = []
    store.add_invalid_cell_listener(None, None, None, lambda store, t, r, c, bad: invalid.append((c, bad)))
    create_middleware(store).add_will_set_row_callback(lambda t, r, row: {"n": "three", "s": "x", "other": 1})
    assert store.set_row("t", "r", {"n": 3, "s": "y"}).get_row("t", "r") == {"n": 0, "s": "x"}
    assert invalid == [("n", ["three"]), ("other", [1])]


def test_a_strict_store_refuses_what_they_return() -> None:
    store = Store(strict=True)
    create_middleware(store).add_will_set_cell_callback(lambda *args: object())
    with pytest.raises(InvalidCellError):
        store.set_cell("t", "r", "c", 1)
    assert store.get_tables() == {}


def test_callbacks_may_write_in_the_same_transaction() -> None:
    store = Store()

    def count(table_id: str, row_id: str, cell_id: str, cell: Any) -> Any:
        store.set_value("writes", lambda count: (count or 0) + 1)
        return cell

    create_middleware(store).add_will_set_cell_callback(count)
    heard: list[Any] = []
    store.add_did_finish_transaction_listener(lambda store: heard.append(store.get_transaction_changes()))
    store.set_row("t", "r", {"a": 1, "b": 2})
    assert heard == [({"t": {"r": {"a": 1, "b": 2}}}, {"writes": 2}, 1)]


def test_an_error_in_a_callback_undoes_the_transaction() -> None:
    store = Store().set_cell("t", "r", "a", 1)

    def fail(*args: Any) -> None:
        raise RuntimeError("failed")

    create_middleware(store).add_will_del_cell_callback(fail)
    with pytest.raises(RuntimeError, match="failed"), store.transaction():
        store.set_cell("t", "r", "b", 2).del_cell("t", "r", "a")
    assert store.get_tables() == {"t": {"r": {"a": 1}}}


def test_a_rollback_asks_nobody() -> None:
    store = Store().set_cell("t", "r", "a", 1)
    create_middleware(store).add_will_set_cell_callback(lambda t, r, c, cell: 99)
    with store.transaction(do_rollback=lambda store: True):
        store.del_tables()
    assert store.get_tables() == {"t": {"r": {"a": 1}}}


def test_deletions_are_asked_for_at_every_level_and_parts_may_stay() -> None:
    store = Store().set_tables({"t": {"r": {"a": 1, "b": 2}, "s": {"a": 1}}}).set_values({"v": 1, "w": 2})
    asked: list[Any] = []
    middleware = create_middleware(store)
    middleware.add_will_del_tables_callback(noting(asked, lambda: True))
    middleware.add_will_del_table_callback(noting(asked, lambda *ids: True))
    middleware.add_will_del_row_callback(noting(asked, lambda *ids: True))
    middleware.add_will_del_cell_callback(noting(asked, lambda *ids: ids[2] != "b"))
    middleware.add_will_del_values_callback(noting(asked, lambda: True))
    middleware.add_will_del_value_callback(lambda value_id: value_id != "w")
    store.del_tables().del_values()
    assert store.get_content() == ({"t": {"r": {"b": 2}}}, {"w": 2})
    rows = [("t", "r"), ("t", "r", "a"), ("t", "r", "b"), ("t", "s"), ("t", "s", "a")]
    assert asked == [(), ("t",), *rows, ()]


def test_the_id_of_a_row_that_stays_is_not_given_out() -> None:
    store = Store()
    assert store.add_row("t", {"a": 1}) == "0"
    create_middleware(store).add_will_del_row_callback(lambda *ids: False)
    store.del_row("t", "0")
    assert store.add_row("t", {"a": 1}) == "1"


def test_only_what_can_be_called_is_asked() -> None:
    with pytest.raises(TypeError, match="will_set_cell callback must be callable"):
        create_middleware(Store()).add_will_set_cell_callback("veto")  # type: ignore[arg-type]  # what is refused


def test_a_destroyed_middleware_is_replaced() -> None:
    store = Store()
    old = create_middleware(store)
    old.destroy()
    old.add_will_set_cell_callback(lambda *args: MISSING)
    assert create_middleware(store) is not old
    assert create_middleware(store).get_store() is store
    assert store.set_cell("t", "r", "c", 1).has_cell("t", "r", "c")
