"""Unsaved changes add up."""

from __future__ import annotations

import pytest

from replicell.persisters.row_blocks import RowBlock
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


def test_whole_rows_are_noted_together_and_read_one_by_one() -> None:
    changes = UnsavedChanges()
    changes.add_whole_rows("t", {})
    assert not changes
    changes.add_whole_rows("t", {"r": {"a": 1, "b": 2}, "s": {"a": 3, "b": 4}})
    changes.add_row("t", "u", UnsavedRow({"a": MISSING}, RowState.GONE))
    table = changes.tables["t"]
    assert ({row_id: row.cells for row_id, row in table.items()}, len(table)) == (
        {"r": {"a": 1, "b": 2}, "s": {"a": 3, "b": 4}, "u": {"a": MISSING}},
        3,
    )
    assert [row.state for row in table.values()] == [RowState.WHOLE, RowState.WHOLE, RowState.GONE]
    assert ("s" in table, "x" in table, changes.row("t", "x")) == (True, False, None)


def test_whole_rows_follow_what_was_noted_before() -> None:
    changes = UnsavedChanges()
    changes.add_row("t", "r", UnsavedRow({"old": MISSING}, RowState.GONE))
    changes.add_whole_rows("t", {"r": {"a": 1}, "s": {"a": 2}})
    changes.add_whole_rows("t", {"s": {"b": 3}})
    changes.add_row("t", "r", UnsavedRow({"a": MISSING}, RowState.GONE))
    assert {row_id: (row.cells, row.state) for row_id, row in changes.tables["t"].items()} == {
        "s": ({"a": 2, "b": 3}, RowState.WHOLE),
        "r": ({"old": MISSING, "a": MISSING}, RowState.GONE),
    }


def test_rows_are_touched_if_anything_of_them_is_unsaved() -> None:
    changes = UnsavedChanges()
    changes.add_whole_rows("t", {"r": {"a": 1}})
    changes.add_row("t", "s", UnsavedRow({"a": 1}, RowState.PARTIAL))
    assert [changes.touches("t", {row_id: None}) for row_id in "rsx"] == [True, True, False]
    assert not changes.touches("u", {"r": None})


def test_very_many_rows_are_let_go_of_some_at_a_time() -> None:
    changes = UnsavedChanges()
    changes.add_whole_rows("t", {str(number): {"a": number} for number in range(10)})
    assert [len(changes.tables["t"]) for _ in changes.forget(4)] == [6, 2]


@pytest.mark.parametrize("is_same_whole", [True, False])
def test_what_happens_to_rows_of_a_part_follows_it_and_the_rest_stays(is_same_whole: bool) -> None:
    changes, whole = UnsavedChanges(), object()
    changes.add_row("t", "gone", UnsavedRow({"a": MISSING, "b": MISSING}, RowState.GONE))
    changes.add_block("t", RowBlock(["r", "s", "u"], ("a",), [(1, 2, 3)]), whole)
    changes.add_block("t", RowBlock(["v", "gone"], ("a",), [(4, 5)]), whole if is_same_whole else object())
    changes.add_row("t", "r", UnsavedRow({"a": 6}, RowState.PARTIAL))
    changes.add_row("t", "s", UnsavedRow({"a": MISSING}, RowState.GONE))
    found = {row_id: (row.cells, row.state) for row_id, row in changes.tables["t"].items()}
    assert found == {
        "r": ({"a": 6}, RowState.WHOLE),
        "s": ({"a": MISSING}, RowState.GONE),
        "u": ({"a": 3}, RowState.WHOLE),
        "v": ({"a": 4}, RowState.WHOLE),
        "gone": ({"a": 5, "b": MISSING}, RowState.WHOLE),
    }
    assert len(changes.tables["t"]) == 5
    assert [changes.touches("t", {row_id: None}) for row_id in ("u", "x")] == [True, False]
    whole_rows = sorted(row_id for block in changes.tables["t"].blocks() for row_id in block.row_ids)
    assert (whole_rows, list(changes.tables["t"].others)) == (["gone", "r", "u", "v"], ["s"])


def test_rows_that_are_noted_twice_are_there_once() -> None:
    changes = UnsavedChanges()
    for _ in range(2):
        changes.add_block("t", RowBlock(["r", "s"], ("a",), [(1, 2)]), object())
    assert len(changes.tables["t"]) == 2
    assert [row for block in changes.tables["t"].blocks() for row in block] == [("r", 1), ("s", 2)]


def test_very_many_rows_in_blocks_are_let_go_of_some_at_a_time() -> None:
    changes, whole = UnsavedChanges(), object()
    for start in range(0, 12, 2):
        changes.add_block("t", RowBlock([str(start), str(start + 1)], ("a",), [(start, start + 1)]), whole)
    assert [len(changes.tables["t"]) for _ in changes.forget(4)] == [8, 4, 0]
