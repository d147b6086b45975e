"""Media that only know their whole content: what is different, and what a save makes of it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from replicell.persisters.reconciling import reconcile
from replicell.persisters.schema_facts import SchemaFacts
from replicell.persisters.unsaved import RowState, UnsavedChanges, UnsavedRow
from replicell.persisters.whole_content import WholeContent
from replicell.store import MISSING, create_store

IDS = st.sampled_from(["1", "2", "3"])
CELLS = st.one_of(st.integers(0, 2), st.booleans(), st.none(), st.just({"a": 1}))
TABLES = st.dictionaries(
    st.sampled_from(["t", "u"]),
    st.dictionaries(IDS, st.dictionaries(IDS, CELLS, min_size=1), min_size=1),
)
VALUES = st.dictionaries(IDS, CELLS)


@given(TABLES, VALUES, TABLES, VALUES)
def test_the_difference_brings_a_store_from_one_content_to_the_next(
    tables: dict[str, Any], values: dict[str, Any], next_tables: dict[str, Any], next_values: dict[str, Any]
) -> None:
    before, now = WholeContent.of(tables, values), WholeContent.of(next_tables, next_values)
    store = create_store()
    store.set_content((tables, values))
    outcome = reconcile(store, now.since(before), (), (), SchemaFacts())
    store.apply_encoded_changes((outcome.tables, outcome.values, 1))
    assert store.get_content() == (next_tables, next_values)
    assert not outcome.unsaved


@given(TABLES, VALUES)
def test_nothing_is_different_from_the_same_content(tables: dict[str, Any], values: dict[str, Any]) -> None:
    content = WholeContent.of(tables, values).since(WholeContent.of(tables, values))
    assert content.tables == {}
    assert content.values is None


def test_a_true_cell_is_different_from_one() -> None:
    before, now = WholeContent.of({"t": {"1": {"a": 1}}}, {}), WholeContent.of({"t": {"1": {"a": True}}}, {})
    assert now.since(before).tables["t"].rows == {"1": {"a": True}}


def test_unsaved_changes_are_written_over_the_content_which_itself_stays_as_it_is() -> None:
    content = WholeContent.of({"t": {"1": {"a": 1, "b": 1}, "2": {"a": 1}}, "u": {"1": {"a": 1}}}, {"v": 1})
    unsaved = UnsavedChanges()
    unsaved.add_row("t", "1", UnsavedRow({"a": MISSING, "c": 3}, RowState.PARTIAL))
    unsaved.add_row("t", "2", UnsavedRow({"a": MISSING}, RowState.PARTIAL))
    unsaved.add_row("t", "3", UnsavedRow({"a": 3}, RowState.WHOLE))
    unsaved.add_row("u", "1", UnsavedRow({"a": MISSING}, RowState.GONE))
    unsaved.add_values({"v": MISSING, "w": 2})
    merged = content.with_unsaved(unsaved)
    assert merged.tables == {"t": {"1": {"b": 1, "c": 3}, "3": {"a": 3}}}
    assert merged.values == {"w": 2}
    assert content.tables["t"]["1"] == {"a": 1, "b": 1}


def test_what_no_cell_can_hold_is_left_out_and_named() -> None:
    content = WholeContent.of({"t": {"1": {"a": object(), "b": 1}}}, {"v": float("inf")})
    assert content.tables == {"t": {"1": {"b": 1}}}
    assert [(error.table_id, error.row_id, error.cell_id) for error in content.unreadable] == [
        ("t", "1", "a"),
        (None, None, "v"),
    ]
