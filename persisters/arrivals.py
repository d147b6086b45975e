"""Loaded changes on their way into the store: what of a transaction they are, and what is an edit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from operator import is_
from typing import Any, Final, TypeAlias

from replicell.persisters.errors import UnreadableCellError
from replicell.persisters.reconciling import Reconciliation, whole_row
from replicell.persisters.schema_facts import SchemaFacts
from replicell.persisters.unsaved import RowState, UnsavedCells, UnsavedRow
from replicell.store.cells import EncodedCell, is_same_cell
from replicell.store.changes import TransactionEdits
from replicell.store.ids import Id
from replicell.store.missing import MISSING, MissingType
from replicell.store.store import Store

__all__ = ["CAME", "REFUSED", "Arrival", "EditedCells", "row_state"]

EditedCells: TypeAlias = Mapping[Id, UnsavedCells]
"""By row, the cells that a transaction has changed, as they are now."""

REFUSED: Final = "the store's schema refuses it; it stays as it is in the medium"

CAME: Final = 1
_WENT: Final = -1
_STATES: Final = {CAME: RowState.WHOLE, _WENT: RowState.GONE, None: RowState.PARTIAL}


def row_state(row_ids: Mapping[Id, int], row_id: Id) -> RowState:
    """Return what the changed cells of a row are, given which rows of its table came and went."""
    return _STATES[row_ids.get(row_id)]


class Arrival:
    """What was loaded, from before it is applied to the store until that transaction has ended.

    Args:
        outcome: What is applied.
        schema: The store's schema.

    Attributes:
        is_left_open: Whether somebody else will end the transaction.
        refused: What of it the store would not take.
    """

    def __init__(self, outcome: Reconciliation, schema: SchemaFacts) -> None:
        self._outcome = outcome
        self._schema = schema
        self.is_left_open = False
        self.refused: list[UnreadableCellError] = []

    def edited_rows(self, table_id: Id, rows: EditedCells, row_ids: Mapping[Id, int]) -> dict[Id, UnsavedRow]:
        """Return what of a transaction that applied loaded rows was not loaded."""
        brought = self._outcome.tables.get(table_id, {})
        defaults = self._schema.defaults.get(table_id, {})
        edited: dict[Id, UnsavedRow] = {}
        for row_id, now in rows.items():
            loaded = brought.get(row_id)
            if loaded is None:
                edited[row_id] = UnsavedRow(now, row_state(row_ids, row_id))
            elif loaded is MISSING or not _is_all_brought(loaded, now):
                cells = {
                    cell_id: cell
                    for cell_id, cell in now.items()
                    if not _is_brought(loaded, cell_id, cell, defaults)
                }
                if cells:
                    state = RowState.GONE if row_ids.get(row_id) == _WENT else RowState.PARTIAL
                    edited[row_id] = UnsavedRow(cells, state)
        return edited

    @property
    def tables(self) -> Iterable[Id]:
        """The tables of which something was loaded."""
        return self._outcome.tables

    def undone_rows(self, store: Store, table_id: Id, edits: TransactionEdits) -> dict[Id, UnsavedRow]:
        """Return what of a table was loaded, and was written once more as it was before."""
        touched = edits.touched_cells.get(table_id, {})
        changed = edits.cells.get(table_id, {})
        defaults = self._schema.defaults.get(table_id, {})
        undone: dict[Id, UnsavedRow] = {}
        for row_id, loaded in self._outcome.tables[table_id].items():
            olds, news = touched.get(row_id), changed.get(row_id, {})
            if olds is None or len(olds) == len(news):
                continue
            if not store.has_row(table_id, row_id):
                if loaded is not MISSING and not news:
                    undone[row_id] = UnsavedRow({}, RowState.GONE)
            elif loaded is MISSING:
                undone[row_id] = whole_row(store, table_id, row_id)
            else:
                row = store.get_encoded_row(table_id, row_id)
                cells = {
                    cell_id: row.get(cell_id, MISSING)
                    for cell_id in olds
                    if cell_id in loaded and cell_id not in news
                }
                cells = {
                    cell_id: cell
                    for cell_id, cell in cells.items()
                    if cell_id not in defaults or not is_same_cell(cell, defaults[cell_id])
                }
                if cells:
                    undone[row_id] = UnsavedRow(cells, RowState.PARTIAL)
        return undone

    def undone_values(self, store: Store, edits: TransactionEdits) -> dict[Id, Any]:
        """Return the values that were loaded, and were written once more as they were before."""
        if len(edits.touched_values) == len(edits.values):
            return {}
        now = store.get_encoded_values()
        defaults = self._schema.default_values
        return {
            value_id: now.get(value_id, MISSING)
            for value_id in edits.touched_values
            if value_id in self._outcome.values
            and value_id not in edits.values
            and (value_id not in defaults or not is_same_cell(now.get(value_id), defaults[value_id]))
        }

    def brought_value(self, value_id: Id, value: object) -> bool:
        """Tell whether a value is what was loaded."""
        return value_id in self._outcome.values and is_same_cell(value, self._outcome.values[value_id])

    def note_refused(self, edits: TransactionEdits) -> None:
        """Note what the store would not take."""
        for table_id, rows in edits.invalid_cells.items():
            for row_id, cells in rows.items():
                for cell_id, refused in cells.items():
                    if self._has_loaded(table_id, row_id, cell_id, refused):
                        self._refuse(table_id, row_id, cell_id)
        for value_id, refused in edits.invalid_values.items():
            if value_id in self._outcome.values and any(value is not MISSING for value in refused):
                self._refuse(None, None, value_id)

    def _has_loaded(self, table_id: Any, row_id: Any, cell_id: Any, refused: list[Any]) -> bool:
        # MISSING is what the schema missed in a row, not what was loaded.
        row = self._outcome.tables.get(table_id, {}).get(row_id, MISSING)
        return row is not MISSING and cell_id in row and any(cell is not MISSING for cell in refused)

    def _refuse(self, table_id: Any, row_id: Any, cell_id: Any) -> None:
        self.refused.append(UnreadableCellError(table_id, row_id, cell_id, REFUSED))


def _is_all_brought(loaded: UnsavedCells, now: UnsavedCells) -> bool:
    """Tell, without a look at each cell, whether a row is what was loaded: the same objects in one order."""
    return loaded.keys() == now.keys() and all(map(is_, loaded.values(), now.values()))


def _is_brought(
    loaded: UnsavedCells | MissingType, cell_id: Id, cell: object, defaults: Mapping[Id, EncodedCell]
) -> bool:
    if loaded is MISSING:
        return cell is MISSING
    if cell_id in loaded:
        return is_same_cell(cell, loaded[cell_id])
    return is_same_cell(cell, defaults.get(cell_id, MISSING))
