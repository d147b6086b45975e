"""What of a load goes into the store."""

from __future__ import annotations

from replicell.persisters.content import LoadedContent, LoadedTable
from replicell.persisters.reconciling import reconcile
from replicell.persisters.schema_facts import SchemaFacts
from replicell.persisters.unsaved import RowState, UnsavedChanges, UnsavedRow
from replicell.store import MISSING, create_store


def unsaved(state: RowState, **cells: object) -> UnsavedChanges:
    changes = UnsavedChanges()
    changes.add_row("todo", "1", UnsavedRow(dict(cells), state))  # type: ignore[arg-type]  # plain cells
    return changes


def test_what_stood_in_a_row_that_a_save_deleted_stays_away_though_the_row_has_come_back() -> None:
    store = create_store().set_row("todo", "1", {"c": "new"})
    content = LoadedContent(
        {"todo": LoadedTable({"1": {"a": "others'", "b": "others'"}}, frozenset("abc"), is_complete=False)}
    )
    just_saved = unsaved(RowState.GONE, b=MISSING)
    not_saved = unsaved(RowState.WHOLE, c="new")
    assert reconcile(store, content, (just_saved, not_saved), (), SchemaFacts()).tables == {}


def test_what_others_wrote_into_a_row_that_is_deleted_and_new_but_not_saved_meets_the_new_cells() -> None:
    store = create_store().set_row("todo", "1", {"c": "new"})
    content = LoadedContent(
        {"todo": LoadedTable({"1": {"a": "others'", "b": "others'"}}, frozenset("abc"), is_complete=False)}
    )
    not_saved = unsaved(RowState.GONE, b=MISSING).followed_by(unsaved(RowState.WHOLE, c="new"))
    outcome = reconcile(store, content, (not_saved,), (), SchemaFacts())
    assert outcome.tables == {"todo": {"1": {"a": "others'"}}}
