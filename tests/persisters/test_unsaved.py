"""Unsaved changes add up."""

from __future__ import annotations

from replicell.persisters.unsaved import RowState, UnsavedChanges, UnsavedRow
from replicell.store import MISSING


def test_later_cells_replace_earlier_ones_and_the_row_stays_whole() -> None:
    changes = UnsavedChanges()
    changes.add_row("t", "r", UnsavedRow({"a": 1, "b": 2}, RowState.WHOLE))
    changes.add_row("t", "r", UnsavedRow({"b": MISSING}, RowState.PARTIAL))
    row = changes.row("t", "r")
    assert row is not None
    assert (row.cells, row.state) == ({"a": 1, "b": MISSING}, RowState.WHOLE)


def test_a_row_that_goes_and_comes_again_is_whole() -> None:
    changes = UnsavedChanges()
    changes.add_row("t", "r", UnsavedRow({"a": MISSING}, RowState.GONE))
    changes.add_row("t", "r", UnsavedRow({"b": 1}, RowState.WHOLE))
    row = changes.row("t", "r")
    assert row is not None
    assert (row.cells, row.state) == ({"a": MISSING, "b": 1}, RowState.WHOLE)


def test_changes_that_could_not_be_saved_come_before_those_made_since() -> None:
    failed, since = UnsavedChanges(), UnsavedChanges()
    failed.add_row("t", "r", UnsavedRow({"a": 1, "b": 1}, RowState.PARTIAL))
    failed.add_values({"v": 1, "w": 1})
    since.add_row("t", "r", UnsavedRow({"a": 2}, RowState.PARTIAL))
    since.add_row("t", "s", UnsavedRow({"a": 3}, RowState.WHOLE))
    since.add_values({"v": 2})
    both = failed.followed_by(since)
    assert {row_id: row.cells for row_id, row in both.tables["t"].items()} == {
        "r": {"a": 2, "b": 1},
        "s": {"a": 3},
    }
    assert both.values == {"v": 2, "w": 1}


def test_only_something_unsaved_is_true() -> None:
    changes = UnsavedChanges()
    assert not changes
    assert changes.row("t", "r") is None
    changes.add_values({"v": None})
    assert changes
