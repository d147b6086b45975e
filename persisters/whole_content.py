"""For media that only know their whole content: what has changed in it, and what it becomes by a save."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from replicell.persisters.content import LoadedContent, LoadedRow, LoadedTable
from replicell.persisters.errors import UnreadableCellError
from replicell.persisters.unsaved import RowState, UnsavedCells, UnsavedChanges, UnsavedRow
from replicell.store.cells import EncodedCell, encode_cell, is_same_cell
from replicell.store.ids import Id
from replicell.store.missing import MISSING

__all__ = ["WholeContent"]

EncodedRow = Mapping[Id, EncodedCell]
_VALUES = ""


class WholeContent(NamedTuple):
    """All tables and values of a medium, encoded as in the store; it is never modified.

    Args:
        tables: Rows by table.
        values: The values.
        unreadable: What was left out because no cell can hold it.

    >>> before = WholeContent({"todo": {"1": {"text": "Milk"}, "2": {"text": "Tea"}}}, {})
    >>> now = WholeContent({"todo": {"1": {"text": "Bread"}}}, {})
    >>> dict(now.since(before).tables["todo"].rows)
    {'1': {'text': 'Bread'}, '2': None}
    """

    tables: Mapping[Id, Mapping[Id, EncodedRow]]
    values: EncodedRow
    unreadable: tuple[UnreadableCellError, ...] = ()

    @classmethod
    def of(cls, tables: Mapping[Id, Any], values: Mapping[Id, Any]) -> Self:
        """Encode content as `Store.get_content` returns it."""
        unreadable: list[UnreadableCellError] = []
        encoded: dict[Id, dict[Id, EncodedRow]] = {}
        for table_id, table in tables.items():
            encoded[table_id] = {
                row_id: _encoded(row, table_id, row_id, unreadable) for row_id, row in table.items()
            }
        return cls(encoded, _encoded(values, None, None, unreadable), tuple(unreadable))

    def since(self, before: WholeContent | None) -> LoadedContent:
        """Return what is different from an earlier content; everything if there is none.

        Args:
            before: What the medium held when it was last loaded or saved.

        Returns:
            The difference, with this content as its version.
        """
        if before is None:
            return LoadedContent(
                {
                    table_id: LoadedTable(table, frozenset(), is_complete=True)
                    for table_id, table in self.tables.items()
                },
                LoadedTable({_VALUES: self.values} if self.values else {}, frozenset(), is_complete=True),
                self.unreadable,
                self,
            )
        tables = {}
        for table_id in {**before.tables, **self.tables}:
            table = _difference(before.tables.get(table_id, {}), self.tables.get(table_id, {}))
            if table.rows:
                tables[table_id] = table
        values = None
        if not _is_same_row(before.values, self.values):
            cell_ids = frozenset((*before.values, *self.values))
            values = LoadedTable({_VALUES: self.values}, cell_ids, is_complete=False)
        return LoadedContent(tables, values, self.unreadable, self)

    def with_changes(self, tables: Mapping[Id, Any], values: Mapping[Id, Any]) -> WholeContent:
        """Return the content as it is after changes as `Store.get_transaction_changes` gives them.

        >>> before = WholeContent({"todo": {"1": {"text": "Milk"}}}, {})
        >>> before.with_changes({"todo": {"1": MISSING, "2": {"text": "Tea"}}}, {"open": True})[:2]
        ({'todo': {'2': {'text': 'Tea'}}}, {'open': True})
        """
        unreadable: list[UnreadableCellError] = []
        unsaved = UnsavedChanges()
        for table_id, rows in tables.items():
            if rows is MISSING:
                rows = dict.fromkeys(self.tables.get(table_id, ()), MISSING)
            for row_id, row in rows.items():
                cells = {} if row is MISSING else _encoded_changes(row, table_id, row_id, unreadable)
                state = RowState.GONE if row is MISSING else RowState.PARTIAL
                unsaved.add_row(table_id, row_id, UnsavedRow(cells, state))
        unsaved.add_values(_encoded_changes(values, None, None, unreadable))
        return self.with_unsaved(unsaved)._replace(unreadable=tuple(unreadable))

    def with_unsaved(self, unsaved: UnsavedChanges) -> WholeContent:
        """Return the content as it is after unsaved changes were written over it."""
        tables = dict(self.tables)
        for table_id, rows in unsaved.tables.items():
            table = dict(tables.get(table_id, {}))
            for row_id, row in rows.items():
                if row.state is RowState.GONE:
                    table.pop(row_id, None)
                elif merged := _overlaid(table.get(row_id, {}), row.cells):
                    table[row_id] = merged
                else:
                    table.pop(row_id, None)
            if table:
                tables[table_id] = table
            else:
                tables.pop(table_id, None)
        return WholeContent(tables, _overlaid(self.values, unsaved.values))


def _encoded(
    row: Mapping[Id, Any], table_id: Id | None, row_id: Id | None, unreadable: list[UnreadableCellError]
) -> EncodedRow:
    encoded: dict[Id, EncodedCell] = {}
    for cell_id, cell in row.items():
        cell = encode_cell(cell)
        if cell is MISSING:
            unreadable.append(UnreadableCellError(table_id, row_id, cell_id, "no cell can hold it"))
        else:
            encoded[cell_id] = cell
    return encoded


def _encoded_changes(
    row: Mapping[Id, Any], table_id: Id | None, row_id: Id | None, unreadable: list[UnreadableCellError]
) -> UnsavedCells:
    there = {cell_id: cell for cell_id, cell in row.items() if cell is not MISSING}
    deleted = dict.fromkeys((cell_id for cell_id in row if cell_id not in there), MISSING)
    return {**deleted, **_encoded(there, table_id, row_id, unreadable)}


def _difference(before: Mapping[Id, EncodedRow], now: Mapping[Id, EncodedRow]) -> LoadedTable:
    rows: dict[Id, LoadedRow] = {}
    cell_ids: set[Id] = set()
    for row_id, row in now.items():
        old = before.get(row_id, {})
        if row is not old and not _is_same_row(old, row):
            rows[row_id] = row
            cell_ids.update(old, row)
    rows.update((row_id, None) for row_id in before if row_id not in now)
    return LoadedTable(rows, frozenset(cell_ids), is_complete=False)


def _is_same_row(one: EncodedRow, other: EncodedRow) -> bool:
    return len(one) == len(other) and all(
        is_same_cell(cell, other.get(cell_id, MISSING)) for cell_id, cell in one.items()
    )


def _overlaid(row: EncodedRow, unsaved: UnsavedCells) -> EncodedRow:
    merged = {**row, **unsaved}
    return {cell_id: cell for cell_id, cell in merged.items() if cell is not MISSING}
