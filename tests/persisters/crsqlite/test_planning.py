"""What is to be written is the same whether rows are planned together or one by one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicell.persisters.crsqlite.affinity import Affinity
from replicell.persisters.crsqlite.planning import SavePlan, plan_save
from replicell.persisters.crsqlite.schema import TableSchema
from replicell.persisters.crsqlite.tables import ColumnFacts, MappedTable
from replicell.persisters.row_blocks import RowBlock
from replicell.persisters.unsaved import RowState, UnsavedChanges, UnsavedRow
from replicell.store.missing import MISSING

NO_FACTS = ColumnFacts({}, frozenset())
TODO = MappedTable("todo", "id", "t")


def whole(**rows: dict[str, Any]) -> UnsavedChanges:
    changes = UnsavedChanges()
    changes.add_whole_rows("t", rows)
    return changes


def planned(
    unsaved: UnsavedChanges,
    target: MappedTable = TODO,
    columns: tuple[str, ...] = ("a", "b"),
    facts: ColumnFacts = NO_FACTS,
) -> SavePlan:
    return plan_save(unsaved, [target], {"todo": TableSchema("todo", ("id",), columns)}, {"todo": facts})


def written(plan: SavePlan) -> dict[tuple[str, ...], list[tuple[Any, ...]]]:
    rows: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
    for table in plan.tables:
        for columns, bindings in table.batches():
            rows.setdefault(columns, []).extend(bindings)
    return rows


def cells_by_row(plan: SavePlan) -> list[tuple[str, str]]:
    """What is in the rows afterwards, in whatever order the columns come; nothing is in new ones as yet."""
    new = {column for table in plan.tables for column in table.new_columns}

    def is_there(cell: tuple[str, Any]) -> bool:
        return cell[1] is not None or cell[0] not in new

    return sorted(
        (row_id, repr(sorted(filter(is_there, zip(columns, cells, strict=True)))))
        for columns, rows in written(plan).items()
        for row_id, *cells in rows
    )


def refused(plan: SavePlan) -> list[tuple[str | None, str | None]]:
    return [(problem.row_id, problem.cell_id) for problem in plan.unstorable]


def test_rows_with_the_same_cells_are_written_by_the_same_statement() -> None:
    plan = planned(whole(r={"a": 1, "b": "x"}, s={"a": 2.5, "b": None}, t={"b": True}))
    assert written(plan) == {
        ("a", "b"): [("r", 1, "x"), ("s", 2.5, "\ufffdnull")],
        ("b",): [("t", "\ufffdtrue")],
    }
    assert (plan.row_count, plan.tables[0].partial) == (3, [])


def test_what_sqlite_cannot_hold_is_left_out_and_everything_else_is_written() -> None:
    plan = planned(
        whole(
            r={"a": 2**63, "b": 1},
            s={"a": "\ud800", "b": 2},
            t={"a": 2**63 - 1, "b": 3},
            **{"\ud800": {"a": 1}},
        )
    )
    assert written(plan) == {("b",): [("r", 1), ("s", 2)], ("a", "b"): [("t", 2**63 - 1, 3)]}
    assert refused(plan) == [("r", "a"), ("s", "a"), ("\ud800", None)]


def test_columns_that_are_missing_are_added_and_those_that_cannot_be_are_reported_for_each_row() -> None:
    plan = planned(whole(r={"new": 1, "ID": 2}, s={"new": 3, "ID": 4}))
    assert written(plan) == {("new",): [("r", 1), ("s", 3)]}
    assert plan.tables[0].new_columns == ["new"]
    assert refused(plan) == [("r", "ID"), ("s", "ID")]


def test_only_chosen_cells_are_written() -> None:
    chosen = MappedTable("todo", "id", "t", frozenset({"b"}))
    assert written(planned(whole(r={"a": 1, "b": 2}, s={"a": 3}), chosen)) == {("b",): [("r", 2)]}


def test_cells_that_a_typed_column_would_change_are_refused() -> None:
    facts = ColumnFacts({"a": Affinity.TEXT}, frozenset())
    plan = planned(whole(r={"a": 1}, s={"a": "x"}), facts=facts)
    assert written(plan) == {("a",): [("s", "x")]}
    assert refused(plan) == [("r", "a")]


def test_rows_that_are_not_kept_are_not_written() -> None:
    unsaved = whole(r={"a": 1}, s={"a": 2})
    unsaved.add_row("t", "u", UnsavedRow({"a": 3}, RowState.PARTIAL))
    unsaved.add_row("t", "v", UnsavedRow({"a": MISSING}, RowState.GONE))
    plan = planned(unsaved)
    assert written(plan) == {("a",): [("r", 1), ("s", 2), ("u", 3)]}
    plan.tables[0].restrict(lambda row_id: row_id == "s")
    assert written(plan) == {("a",): [("s", 2)]}
    assert (plan.tables[0].deleted, plan.tables[0].partial) == ([], [])


cells = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters())
    | st.sampled_from(['\ufffd{"a":1}', "\ud800", 2**63, -(2**63), MISSING])
)
rows = st.dictionaries(
    st.text(st.characters(), max_size=2),
    st.dictionaries(st.sampled_from(["a", "b", "new", "id"]), cells, min_size=1),
    max_size=6,
)


@pytest.mark.parametrize("is_typed", [False, True])
@settings(max_examples=60)
@given(content=rows)
def test_random_rows_are_planned_together_as_one_by_one(
    is_typed: bool, content: dict[str, dict[str, Any]]
) -> None:
    facts = ColumnFacts({"a": Affinity.TEXT} if is_typed else {}, frozenset())
    in_blocks, packed, one_by_one = UnsavedChanges(), UnsavedChanges(), UnsavedChanges()
    alike: dict[tuple[str, ...], list[str]] = {}
    for row_id, row in content.items():
        alike.setdefault(tuple(row), []).append(row_id)
        one_by_one.add_row("t", row_id, UnsavedRow(row, RowState.PARTIAL))
    for cell_ids, row_ids in alike.items():
        columns = [[content[row_id][cell_id] for row_id in row_ids] for cell_id in cell_ids]
        in_blocks.add_block("t", RowBlock(row_ids, cell_ids, columns), content)
    packed.add_whole_rows("t", content)
    first, *others = (planned(changes, facts=facts) for changes in (one_by_one, in_blocks, packed))
    for other in others:
        assert cells_by_row(first) == cells_by_row(other)
        assert sorted(refused(first), key=repr) == sorted(refused(other), key=repr)
        assert [table.new_columns for table in first.tables] == [table.new_columns for table in other.tables]
