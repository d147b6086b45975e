"""What a medium gives, and how it is handed out in parts."""

from __future__ import annotations

from replicell.persisters.content import LoadedContent, LoadedRow, LoadedTable, RowForm, RowParts

CELLS = frozenset({"a"})


def parts() -> RowParts:
    rows = RowParts()
    rows.add({"1": {"a": 1}, "2": {"a": 2}}, RowForm.PLAIN)
    rows.add({"3": {"a": "\ufffd[]"}}, RowForm.RICH)
    rows.add({"4": None}, RowForm.UNCHECKED)
    return rows


def test_rows_in_parts_are_one_mapping() -> None:
    rows = parts()
    assert dict(rows) == {"1": {"a": 1}, "2": {"a": 2}, "3": {"a": "\ufffd[]"}, "4": None}
    assert (len(rows), rows["3"], rows.get("5", "none"), "4" in rows, "5" in rows) == (
        4,
        {"a": "\ufffd[]"},
        "none",
        True,
        False,
    )
    assert rows.merged() == dict(rows)
    rows.clear()
    assert not rows


def test_all_that_is_known_of_rows_in_parts_is_what_is_known_of_each_part() -> None:
    rows = RowParts()
    assert rows.form is RowForm.PLAIN
    for form in (RowForm.PLAIN, RowForm.RICH, RowForm.UNCHECKED):
        rows.add({}, form)
        assert rows.form is form


def test_rows_in_parts_are_handed_out_in_these_parts_and_forgotten() -> None:
    rows = parts()
    table = LoadedTable(rows, CELLS, is_complete=True)
    slices = table.slices(size=1)
    first = next(slices)
    assert (first.rows, first.form, first.is_slice, first.is_complete, first.cell_ids) == (
        {"1": {"a": 1}, "2": {"a": 2}},
        RowForm.PLAIN,
        True,
        True,
        CELLS,
    )
    assert list(rows) == ["3", "4"]
    assert [part.form for part in slices] == [RowForm.RICH, RowForm.UNCHECKED]
    assert not rows


def test_other_rows_are_handed_out_some_at_a_time() -> None:
    rows: dict[str, LoadedRow] = {str(number): {"a": number} for number in range(5)}
    table = LoadedTable(rows, CELLS, is_complete=True, form=RowForm.PLAIN)
    slices = [*table.slices(2)]
    assert [[*part.rows] for part in slices] == [["0", "1"], ["2", "3"], ["4"]]
    assert {part.form for part in slices} == {RowForm.PLAIN}
    assert len(rows) == 5


def test_a_table_without_rows_is_handed_out_as_one_part() -> None:
    for table in (
        LoadedTable(RowParts(), CELLS, is_complete=True),
        LoadedTable({}, CELLS, is_complete=True),
    ):
        [part] = table.slices(2)
        assert (dict(part.rows), part.is_complete) == ({}, True)


def test_tables_that_are_not_complete_come_first_and_whole() -> None:
    changed = LoadedTable({"1": None}, CELLS, is_complete=False)
    values = LoadedTable({"": {"v": 1}}, CELLS, is_complete=True)
    content = LoadedContent({"t": LoadedTable(parts(), CELLS, is_complete=True), "u": changed}, values)
    assert (content.row_count, content.is_complete, content.is_empty) == (5, True, False)
    first, *others = content.slices(2)
    assert (first.tables, first.values) == ({"u": changed}, values)
    assert [dict(part.tables["t"].rows) for part in others] == [dict(part) for part in parts().parts()]


def test_content_is_empty_if_no_row_has_a_cell() -> None:
    gone = RowParts()
    gone.add({"1": None, "2": {}}, RowForm.UNCHECKED)
    assert LoadedContent({"t": LoadedTable(gone, CELLS, is_complete=True)}).is_empty
    assert not LoadedContent({"t": LoadedTable(parts(), CELLS, is_complete=True)}).is_empty
    assert LoadedContent({}, LoadedTable({}, CELLS, is_complete=True)).is_empty
