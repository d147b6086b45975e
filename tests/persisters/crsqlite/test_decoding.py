"""Rows of a query become rows of a store, whatever stands in them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicell.persisters.content import LoadedRow, RowForm
from replicell.persisters.crsqlite.cells import UnreadableValueError, decode_cell
from replicell.persisters.crsqlite.decoding import RowDecoder
from replicell.store import Store
from replicell.store.cells import is_same_cell

Reports = list[tuple[str | None, str | None, str]]


def decoded(
    columns: dict[str, list[Any]], booleans: frozenset[str] = frozenset()
) -> tuple[dict[str, LoadedRow], RowForm, Reports]:
    reports: Reports = []
    decoder = RowDecoder(columns, booleans, lambda *report: reports.append(report))
    count = max(map(len, columns.values()), default=2)
    rows, form = decoder.rows([str(number) for number in range(count)], [*columns.values()])
    return rows, form, reports


@pytest.mark.parametrize(
    ("values", "cells", "form"),
    [
        (["Milk", ""], ["Milk", ""], RowForm.PLAIN),
        ([1, 2**63 - 1], [1, 2**63 - 1], RowForm.PLAIN),
        ([1.5, -1e308], [1.5, -1e308], RowForm.PLAIN),
        ([1e308, 1e308], [1e308, 1e308], RowForm.PLAIN),
        ([1, 1.0], [1, 1.0], RowForm.PLAIN),
        (["\ufffdtrue", "\ufffdtrue"], [True, True], RowForm.PLAIN),
        (["\ufffdnull", "Milk"], [None, "Milk"], RowForm.PLAIN),
        (['\ufffd{"a":1}', "\ufffd[]"], ['\ufffd{"a":1}', "\ufffd[]"], RowForm.RICH),
        (["\uffff", "\ufffe"], ["\uffff", "\ufffe"], RowForm.PLAIN),
    ],
)
def test_a_column_says_what_its_rows_are(values: list[Any], cells: list[Any], form: RowForm) -> None:
    rows, found, reports = decoded({"a": values})
    assert [*rows.values()] == [{"a": cell} for cell in cells]
    assert all(
        row is not None and type(row["a"]) is type(cell)
        for row, cell in zip(rows.values(), cells, strict=True)
    )
    assert (found, reports) == (form, [])


def test_null_is_an_absent_cell_and_rows_without_cells_are_not_for_the_store_to_keep() -> None:
    assert decoded({"a": [1, None], "b": ["x", "y"]}) == (
        {"0": {"a": 1, "b": "x"}, "1": {"b": "y"}},
        RowForm.PLAIN,
        [],
    )
    assert decoded({"a": [1, None]}) == ({"0": {"a": 1}, "1": {}}, RowForm.UNCHECKED, [])
    assert decoded({}) == ({"0": {}, "1": {}}, RowForm.UNCHECKED, [])


def test_0_and_1_are_booleans_where_the_schema_says_so() -> None:
    rows, _, _ = decoded({"done": [0, 1, 2], "rank": [0, 1, 2]}, frozenset({"done"}))
    assert rows == {
        "0": {"done": False, "rank": 0},
        "1": {"done": True, "rank": 1},
        "2": {"done": 2, "rank": 2},
    }
    assert rows["0"] is not None
    assert rows["0"]["done"] is False


def test_each_value_that_is_no_cell_is_reported_and_the_rest_is_loaded() -> None:
    rows, form, reports = decoded({"a": [b"x", 1, "\ufffdx", "\ufffdx"], "b": [float("inf"), 2.0, 3.0, 4.0]})
    assert rows == {"0": {}, "1": {"a": 1, "b": 2.0}, "2": {"b": 3.0}, "3": {"b": 4.0}}
    assert form is RowForm.UNCHECKED
    assert [report[:2] for report in reports] == [("0", "a"), ("2", "a"), ("3", "a"), ("0", "b")]


sql_values = (
    st.none()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text()
    | st.binary()
    | st.sampled_from(["\ufffdtrue", "\ufffdfalse", "\ufffdnull", "\ufffd[1]", "\ufffd", "\ufffc", 0, 1])
)


@given(st.lists(st.tuples(sql_values, sql_values), min_size=1, max_size=8), st.booleans())
def test_many_rows_are_decoded_as_each_cell_is(found: list[tuple[Any, Any]], has_boolean: bool) -> None:
    booleans = frozenset({"a"} if has_boolean else ())
    columns = {name: [row[place] for row in found] for place, name in enumerate("ab")}
    rows, form, reports = decoded(columns, booleans)
    unreadable = 0
    for number, row in enumerate(found):
        cells = rows[str(number)]
        assert cells is not None
        for name, value in zip("ab", row, strict=True):
            try:
                if value is not None:
                    cell = decode_cell(value, name in booleans)
                    assert name in cells
                    assert is_same_cell(cells[name], cell)
                    continue
            except UnreadableValueError:
                unreadable += 1
            assert name not in cells
    assert len(reports) == unreadable
    if form is not RowForm.UNCHECKED:
        store, applied = Store(), Store()
        inserted: Any = {row_id: dict(row or {}) for row_id, row in rows.items()}
        assert store.insert_encoded_rows("t", inserted, has_rich=form is RowForm.RICH)
        applied.apply_encoded_changes([{"t": rows}, {}, 1])
        assert store.get_content() == applied.get_content()
