"""What is loaded is no edit, however it comes into the store."""

from __future__ import annotations

from contextlib import suppress

import pytest

from replicell.persisters.content import LoadedContent, LoadedRow, LoadedTable, RowForm
from replicell.persisters.tracking import EVERYTHING, ChangeTracker, Scope
from replicell.store import Store, create_store

PLAIN_ROWS: dict[str, LoadedRow] = {"1": {"a": 1, "b": "x"}, "2": {"a": 2, "b": "y"}}
forms = pytest.mark.parametrize("form", [RowForm.UNCHECKED, RowForm.PLAIN])


def part(form: RowForm, rows: dict[str, LoadedRow] | None = None) -> LoadedContent:
    rows = PLAIN_ROWS if rows is None else rows
    copies = {row_id: None if row is None else dict(row) for row_id, row in rows.items()}
    table = LoadedTable(copies, frozenset("ab"), is_complete=True, is_slice=True, form=form)
    return LoadedContent({"t": table})


def tracking(store: Store, scope: Scope = EVERYTHING) -> ChangeTracker:
    tracker = ChangeTracker(store, scope)
    tracker.start(lambda: None)
    return tracker


@forms
def test_loaded_rows_are_not_unsaved(form: RowForm) -> None:
    store = create_store()
    tracker = tracking(store)
    tracker.apply(part(form), ())
    assert store.get_table("t") == PLAIN_ROWS
    assert not tracker.has_unsaved
    assert tracker.was_applied


@forms
def test_what_is_loaded_is_an_edit_to_another_persister_of_the_store(form: RowForm) -> None:
    store = create_store()
    tracker, other = tracking(store), tracking(store)
    tracker.apply(part(form), ())
    assert not tracker.has_unsaved
    assert {row_id: row.cells for row_id, row in other.take().tables["t"].items()} == PLAIN_ROWS


@forms
def test_rows_that_are_saved_elsewhere_are_to_be_saved_there(form: RowForm) -> None:
    store = create_store()
    tracker = tracking(store, Scope(None, None, frozenset(), None, None))
    tracker.apply(part(form), ())
    assert [*tracker.take().tables["t"]] == ["1", "2"]


@forms
def test_unsaved_cells_and_deletions_are_kept(form: RowForm) -> None:
    store = create_store().set_row("t", "1", {"a": 9}).set_row("t", "2", {"a": 9})
    tracker = tracking(store)
    store.set_cell("t", "1", "a", 10).del_row("t", "2")
    tracker.apply(part(form), ())
    assert store.get_table("t") == {"1": {"a": 10, "b": "x"}}
    assert {*tracker.take().tables["t"]} == {"1", "2"}


@forms
def test_what_an_observer_writes_about_loaded_rows_is_unsaved(form: RowForm) -> None:
    store = create_store()
    tracker = tracking(store)

    def note(count: int) -> None:
        if count:
            store.set_value("count", count)

    store.observe_row_count("t").subscribe(note)
    tracker.apply(part(form), ())
    assert store.get_values() == {"count": 2}
    unsaved = tracker.take()
    assert (unsaved.tables, unsaved.values) == ({}, {"count": 2})


def test_a_table_with_a_schema_gets_what_the_schema_makes_of_loaded_rows() -> None:
    store = create_store().set_tables_schema(
        {"t": {"a": {"type": "number"}, "c": {"type": "string", "default": "z"}}}
    )
    tracker = tracking(store)
    problems = tracker.apply(part(RowForm.PLAIN), ())
    assert store.get_table("t") == {"1": {"a": 1, "c": "z"}, "2": {"a": 2, "c": "z"}}
    assert len(problems) == 2
    assert not tracker.has_unsaved


def test_rows_loaded_within_an_open_transaction_may_yet_be_undone() -> None:
    store = create_store()
    tracker = tracking(store)
    store.start_transaction()
    tracker.apply(part(RowForm.PLAIN), ())
    assert not tracker.was_applied
    store.finish_transaction(do_rollback=lambda store: True)
    assert store.get_tables() == {}


def load_in_vain(tracker: ChangeTracker, store: Store) -> None:
    """Load rows within a transaction that fails."""
    with suppress(ZeroDivisionError), store.transaction():
        tracker.apply(part(RowForm.PLAIN), ())
        _ = 1 // 0


def test_rows_that_were_loaded_in_vain_do_not_count_in_the_next_transaction() -> None:
    store = create_store().set_row("t", "2", {"a": 0, "b": "y"})
    tracker = tracking(store)
    load_in_vain(tracker, store)
    assert store.get_table("t") == {"2": {"a": 0, "b": "y"}}
    with store.transaction():
        store.set_cell("t", "2", "b", "z").set_cell("t", "2", "b", "y")
    assert not tracker.has_unsaved
    load_in_vain(tracker, store)
    store.set_row("t", "1", {"a": 1, "b": "x"})
    assert {row_id: row.cells for row_id, row in tracker.take().tables["t"].items()} == {
        "1": {"a": 1, "b": "x"}
    }


def test_rows_that_were_loaded_in_vain_can_be_loaded_again() -> None:
    store = create_store()
    tracker = tracking(store)
    for _ in range(2):
        load_in_vain(tracker, store)
    tracker.apply(part(RowForm.UNCHECKED), ())
    assert tracker.was_applied
    assert store.get_table("t") == PLAIN_ROWS
    assert not tracker.has_unsaved
    assert store.get_listener_stats()["transaction"] == 1
