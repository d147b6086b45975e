"""Transactions: nesting, rolling back, the order of events, and what errors do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from replicell.store import MISSING, Store, Transition
from replicell.store.changes import TransactionEdits
from replicell.store.testing import Recorder


def fails(*arguments: object) -> Any:
    raise ZeroDivisionError("on purpose")


def test_a_function_runs_in_a_transaction_and_its_result_is_returned() -> None:
    calls, store = Recorder(), Store()
    store.add_did_finish_transaction_listener(calls.named("did"))
    assert (
        store.transaction(
            lambda: store.set_cell("t", "r", "a", 1).set_cell("t", "r", "b", 1).get_row_count("t")
        )
        == 1
    )
    assert calls.taken() == [("did",)]


def test_only_the_outermost_end_counts() -> None:
    calls, store = Recorder(), Store()
    store.add_cell_listener(None, None, None, calls.named("cell"))
    store.start_transaction().set_cell("t", "r", "c", 1)
    with store.transaction(do_rollback=lambda store: True):
        store.set_cell("t", "r", "c", 2)
    assert calls.taken() == []
    store.finish_transaction()
    assert calls.taken() == [("cell", "t", "r", "c", 2, MISSING)]
    store.finish_transaction().finish_transaction()
    assert store.set_cell("t", "r", "c", 3).get_cell("t", "r", "c") == 3
    assert len(calls.taken()) == 1


def test_an_exception_undoes_everything_and_is_raised() -> None:
    store = Store().set_cell("t", "r", "c", 1).set_value("v", 1)
    calls = Recorder()
    store.add_tables_listener(calls.named("tables"))
    store.add_will_finish_transaction_listener(calls.named("will"))
    store.add_did_finish_transaction_listener(calls.named("did"))
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.del_tables().set_value("v", 2).set_cell("u", "r", "c", 1)
        fails()
    with pytest.raises(ZeroDivisionError):
        store.transaction(lambda: (store.del_tables(), fails()))
    with pytest.raises(ZeroDivisionError):
        store.set_cell("t", "r", "c", fails)
    assert store.get_content() == ({"t": {"r": {"c": 1}}}, {"v": 1})
    assert calls.taken() == []
    assert store.set_value("v", 3).get_value("v") == 3


def test_an_exception_in_an_inner_transaction_dooms_the_outer_one_even_if_caught() -> None:
    store = Store()
    with store.transaction():
        store.set_cell("t", "r", "c", 1)
        with pytest.raises(ZeroDivisionError), store.transaction():
            fails()
        store.set_cell("t", "r", "d", 1)
    assert store.get_tables() == {}


def test_rolling_back_restores_objects_and_what_was_deleted() -> None:
    content: Any = ({"t": {"r": {"a": {"x": [1]}, "b": 1}, "s": {"a": [1]}}}, {"v": {"y": 1}})
    store = Store().set_content(content)
    with store.transaction(do_rollback=lambda store: True):
        store.set_cell("t", "r", "a", {"x": 2}).del_row("t", "s").del_table("t").set_value("v", 1).add_row(
            "t", {"z": 1}
        )
    assert store.get_content() == content
    assert sorted(store.get_table_cell_ids("t")) == ["a", "b"]


def test_do_rollback_is_asked_after_mutators_and_may_read_and_write() -> None:
    store = Store()
    store.add_cell_listener("t", "r", "c", lambda store, *_: store.set_value("mutated", True), mutator=True)
    asked: list[Any] = []

    def do_rollback(store: Store) -> bool:
        asked.append(store.get_transaction_changes())
        store.set_value("asked", True)
        return False

    store.transaction(lambda: store.set_cell("t", "r", "c", 1), do_rollback)
    assert asked == [({"t": {"r": {"c": 1}}}, {"mutated": True}, 1)]
    assert store.get_values() == {"mutated": True, "asked": True}


def test_after_a_rollback_only_invalid_and_did_finish_listeners_are_told() -> None:
    calls, store = Recorder(), Store()
    store.add_cell_listener(None, None, None, calls.named("cell"))
    store.add_invalid_cell_listener(None, None, None, calls.named("invalid"))
    store.add_will_finish_transaction_listener(calls.named("will"))
    store.add_did_finish_transaction_listener(calls.named("did"))
    with store.transaction(do_rollback=lambda store: True):
        store.set_cell("t", "r", "c", 1).set_cell("t", "r", "d", "\ufffc")
    assert calls.taken() == [("will",), ("invalid", "t", "r", "d", ["\ufffc"]), ("did",)]


def test_the_phases_come_in_order() -> None:
    calls, store = Recorder(), Store()
    store.add_did_finish_transaction_listener(calls.named("did"))
    store.add_will_finish_transaction_listener(calls.named("will"))
    store.add_start_transaction_listener(calls.named("start"))
    store.add_cell_listener(None, None, None, calls.named("cell"))
    store.add_cell_listener(None, None, None, calls.named("mutator"), mutator=True)
    store.transaction(
        lambda: (calls.named("actions")(store), store.set_cell("t", "r", "c", 1)),
        calls.named("do_rollback"),
    )
    names = [call[0] for call in calls.taken()]
    assert names == ["start", "actions", "mutator", "do_rollback", "will", "cell", "did"]


def test_an_empty_transaction_still_starts_and_finishes() -> None:
    calls, store = Recorder(), Store()
    store.add_start_transaction_listener(calls.named("start"))
    store.add_did_finish_transaction_listener(calls.named("did"))
    store.add_tables_listener(calls.named("tables"))
    store.del_table("nobody").set_tables_json("no JSON")
    assert calls.taken() == [("start",), ("did",)]


def test_what_start_and_will_finish_listeners_write_belongs_to_the_transaction() -> None:
    store = Store()
    store.add_start_transaction_listener(lambda store: store.set_value("start", True))
    store.add_will_finish_transaction_listener(lambda store: store.set_value("will", True))
    told: list[Any] = []
    store.add_did_finish_transaction_listener(
        lambda store: told.append(store.get_transaction_changes().values)
    )
    store.set_value("own", True)
    assert told == [{"start": True, "own": True, "will": True}]


def test_normal_and_did_finish_listeners_cannot_write() -> None:
    store = Store()
    results: list[Any] = []

    def write(store: Store, *_: object) -> None:
        store.set_value("v", 1).del_tables().set_tables_schema({"t": {"c": {"type": "string"}}})
        results.append((store.add_row("t", {"a": 1}), store.transaction(lambda: results.append("ran"))))
        with store.transaction():
            store.set_cell("t", "r", "c", 2)

    store.add_tables_listener(write)
    store.add_did_finish_transaction_listener(write)
    store.set_cell("t", "r", "c", 1)
    assert results == [(MISSING, MISSING)] * 2
    assert store.get_content() == ({"t": {"r": {"c": 1}}}, {})
    assert not store.has_tables_schema()


def test_what_is_put_back_is_not_told_but_was_touched() -> None:
    calls, store = Recorder(), Store().set_cell("t", "r", "c", 1)
    store.add_cell_listener(None, None, None, calls.named("cell"))
    store.add_row_ids_listener(None, calls.named("row_ids"))
    logs: list[Any] = []
    store.add_did_finish_transaction_listener(lambda store: logs.append(store.get_transaction_log()))
    with store.transaction():
        store.set_cell("t", "r", "c", 2).set_cell("t", "r", "c", 1).set_row("t", "s", {"c": 1}).del_row(
            "t", "s"
        )
    assert calls.taken() == []
    assert logs == [(True, False, {}, {}, {}, {}, {}, {}, {}, {})]


def test_changes_are_net_minimal_and_empty_outside() -> None:
    store = (
        Store()
        .set_tables({"gone": {"r": {"c": 1}}, "t": {"r": {"a": 1, "b": 1}, "s": {"a": 1}}})
        .set_value("v", 1)
    )
    with store.transaction():
        store.del_table("gone").del_row("t", "s").del_cell("t", "r", "a").set_cell("t", "r", "b", {"x": None})
        store.set_cell("t", "new", "a", None).set_cell("same", "r", "c", 1).del_table("same").del_value("v")
        changes = store.get_transaction_changes()
    assert changes == (
        {
            "gone": MISSING,
            "t": {"s": MISSING, "r": {"a": MISSING, "b": {"x": None}}, "new": {"a": None}},
        },
        {"v": MISSING},
        1,
    )
    assert store.get_transaction_changes() == ({}, {}, 1)
    assert store.get_transaction_log() == (False, False, {}, {}, {}, {}, {}, {}, {}, {})


def test_a_table_deleted_and_made_again_is_listed_cell_by_cell() -> None:
    store = Store().set_tables({"t": {"r": {"a": 1, "b": 1}}})
    with store.transaction():
        store.del_table("t").set_cell("t", "r", "a", 2)
        assert store.get_transaction_changes().tables == {"t": {"r": {"a": 2, "b": MISSING}}}


def test_the_log_tells_everything_with_cells_encoded() -> None:
    store = Store().set_cell("t", "r", "a", [1]).set_value("v", 1)
    with store.transaction():
        store.set_cell("t", "r", "b", "\ufffc").set_value("v", float("inf"))
        store.set_cell("t", "r", "a", [2]).set_cell("t", "s", "a", 1).del_value("v")
        log = store.get_transaction_log()
    assert log.changed_cells == {"t": {"r": {"a": ("\ufffd[1]", "\ufffd[2]")}, "s": {"a": (MISSING, 1)}}}
    assert log.invalid_cells == {"t": {"r": {"b": ["\ufffc"]}}}
    assert log.changed_values == {"v": (1, MISSING)}
    assert log.invalid_values == {"v": [float("inf")]}
    assert (log.changed_table_ids, log.changed_row_ids) == ({}, {"t": {"s": 1}})
    assert (log.changed_cell_ids, log.changed_value_ids) == ({"t": {"s": {"a": 1}}}, {"v": -1})


def test_get_cell_change_answers_for_any_cell() -> None:
    store = Store().set_row("t", "r", {"a": 1, "b": 2})
    told: list[Transition] = []
    store.add_tables_listener(lambda store, change: told.extend(change("t", "r", c) for c in "abx"))
    store.set_cell("t", "r", "a", 3)
    assert told == [(True, 1, 3), (False, 2, 2), (False, MISSING, MISSING)]


def test_an_error_in_a_mutator_undoes_the_transaction_and_says_where() -> None:
    store = Store().set_cell("t", "r", "c", 1)
    listener_id = store.add_cell_listener("t", None, None, fails, mutator=True)
    with pytest.raises(ZeroDivisionError) as caught:
        store.set_cell("t", "r", "c", 2)
    assert store.get_cell("t", "r", "c") == 1
    (note,) = caught.value.__notes__
    assert f"cell mutator listener '{listener_id}' (fails)" in note
    assert "'t', 'r', 'c', 2, 1" in note
    assert "the transaction that touched t/r/c" in note


@pytest.mark.parametrize("cells", [1, 2])
def test_an_error_in_a_normal_listener_stops_the_others_and_keeps_the_data(cells: int) -> None:
    calls, store = Recorder(), Store().set_row("t", "r", {"c0": 0, "c1": 0})
    store.add_cell_listener("t", "r", "c0", fails)
    store.add_cell_listener(None, None, None, calls.named("cell"))
    store.add_tables_listener(calls.named("tables"))
    store.add_did_finish_transaction_listener(calls.named("did"))
    with pytest.raises(ZeroDivisionError), store.transaction():
        for cell in range(cells):
            store.set_cell("t", "r", f"c{cell}", 1)
    assert calls.taken() == [("did",)]
    with pytest.raises(ZeroDivisionError):
        store.set_cell("t", "r", "c0", 2)
    assert store.get_cell("t", "r", "c0") == 2
    assert calls.taken() == [("did",)]


def test_all_will_finish_listeners_run_and_an_error_in_one_undoes_the_transaction() -> None:
    calls, store = Recorder(), Store()
    store.add_will_finish_transaction_listener(fails)
    store.add_will_finish_transaction_listener(calls.named("will"))
    store.add_tables_listener(calls.named("tables"))
    store.add_did_finish_transaction_listener(lambda store: calls.calls.append(("did", store.get_tables())))
    with pytest.raises(ZeroDivisionError):
        store.set_cell("t", "r", "c", 1)
    assert calls.taken() == [("will",), ("did", {})]


def test_several_errors_come_as_a_group() -> None:
    store = Store()
    store.add_cell_listener(None, None, None, fails)
    store.add_did_finish_transaction_listener(fails)
    store.add_did_finish_transaction_listener(fails)
    with pytest.raises(ExceptionGroup) as caught:
        store.set_cell("t", "r", "c", 1)
    assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError] * 3
    assert "t/r/c" in str(caught.value)
    assert store.get_cell("t", "r", "c") == 1


def test_an_error_in_a_start_listener_prevents_the_transaction() -> None:
    calls, store = Recorder(), Store()
    store.add_start_transaction_listener(lambda store: store.set_value("v", 1))
    listener_id = store.add_start_transaction_listener(fails)
    with pytest.raises(ZeroDivisionError):
        store.transaction(lambda: calls.calls.append(("ran",)))
    assert (calls.taken(), store.get_values()) == ([], {})
    assert store.del_listener(listener_id).set_cell("t", "r", "c", 1).get_values() == {"v": 1}


def test_a_keyboard_interrupt_undoes_the_transaction_too() -> None:
    store = Store()

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    store.add_cell_listener(None, None, None, interrupted, mutator=True)
    with pytest.raises(KeyboardInterrupt):
        store.set_cell("t", "r", "c", 1)
    assert store.get_tables() == {}
    assert store.get_transaction_changes() == ({}, {}, 1)


def test_finishing_within_a_mutator_does_nothing() -> None:
    store = Store()
    store.add_cell_listener(None, None, None, lambda store, *_: store.finish_transaction(), mutator=True)
    assert store.set_cell("t", "r", "c", 1).get_cell("t", "r", "c") == 1


def test_changes_replayed_elsewhere_make_the_same_content() -> None:
    original, replica = Store(), Store()
    original.add_did_finish_transaction_listener(
        lambda store: replica.apply_changes(store.get_transaction_changes())
    )
    original.set_tables({"t": {"r": {"a": {"x": 1}, "b": None}, "s": {"a": 1}}}).set_values({"v": 1, "w": []})
    original.del_row("t", "s").set_cell("t", "r", "c", True).del_value("v").del_cell("t", "r", "b")
    assert replica.get_content() == original.get_content()


# ---------------------------------------------------------------------------------- what persisters take over


def edits_of(store: Store, actions: Callable[[], object]) -> list[TransactionEdits]:
    edits: list[TransactionEdits] = []

    def take(store: Store) -> None:
        found = store.get_transaction_edits()
        row_ids = {table_id: dict(ids) for table_id, ids in found.row_ids.items()}
        edits.append(found._replace(row_ids=row_ids))

    listener_id = store.add_did_finish_transaction_listener(take)
    store.transaction(actions)
    store.del_listener(listener_id)
    return edits


def test_the_edits_of_a_transaction_are_what_it_has_written_in_encoded_form() -> None:
    store = Store().set_row("t", "old", {"a": 1, "b": 2}).set_row("t", "gone", {"a": 1})
    store.set_values({"v": 1, "w": 1})

    def write() -> None:
        store.set_row("t", "new", {"a": {"x": 1}, "b": True})
        store.set_cell("t", "old", "a", 3).del_cell("t", "old", "b").del_row("t", "gone")
        store.set_value("v", [1]).del_value("w")

    [edits] = edits_of(store, write)
    assert edits.cells == {
        "t": {
            "new": {"a": '\ufffd{"x":1}', "b": True},
            "old": {"a": 3, "b": MISSING},
            "gone": {"a": MISSING},
        }
    }
    assert edits.row_ids == {"t": {"new": 1, "gone": -1}}
    assert edits.values == {"v": "\ufffd[1]", "w": MISSING}


def test_what_a_transaction_put_back_or_made_and_deleted_is_no_edit() -> None:
    store = Store().set_row("t", "old", {"a": 1})

    def write() -> None:
        store.set_cell("t", "old", "a", 2).set_cell("t", "old", "a", 1)
        store.set_row("t", "new", {"a": 1}).del_row("t", "new")
        store.set_row("t", "less", {"a": 1, "b": 1}).del_cell("t", "less", "b")

    [edits] = edits_of(store, write)
    assert edits.cells == {"t": {"less": {"a": 1}}}


def test_the_edits_say_what_was_refused() -> None:
    store = Store().set_tables_schema({"t": {"a": {"type": "number"}}})
    refused: list[Any] = []
    store.add_did_finish_transaction_listener(
        lambda store: refused.append(
            {t: dict(rows) for t, rows in store.get_transaction_edits().invalid_cells.items()}
        )
    )
    store.set_row("t", "1", {"a": "x"})
    assert refused == [{"t": {"1": {"a": ["x"]}}}]
