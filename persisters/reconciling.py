"""What of a load goes into the store: everything but what the store has not saved yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias, cast

from replicell.persisters.content import LoadedContent, LoadedRow, LoadedTable
from replicell.persisters.schema_facts import SchemaFacts
from replicell.persisters.unsaved import RowState, UnsavedCells, UnsavedChanges, UnsavedRow
from replicell.store.cells import EncodedCell, is_same_cell
from replicell.store.ids import Id
from replicell.store.missing import MISSING, MissingType
from replicell.store.store import Store

__all__ = ["Place", "Reconciliation", "reconcile", "whole_row"]

Place: TypeAlias = tuple[Id | None, Id | None, Id]
"""Table, row and cell id; a value has neither table nor row."""

_NO_DEFAULTS: Mapping[Id, EncodedCell] = {}


class Reconciliation:
    """The outcome of a comparison of what was loaded with what the store holds.

    Attributes:
        tables: What is to be applied to the store's tables, `MISSING` for what is to be deleted.
        values: Likewise for the values.
        unsaved: What turned out to be unsaved: rows and values that the medium never had, and rows that
            somebody deleted there while the store had unsaved edits of them.
    """

    __slots__ = ("tables", "unsaved", "values")

    def __init__(self) -> None:
        self.tables: dict[Id, dict[Id, UnsavedCells | MissingType]] = {}
        self.values: UnsavedCells = {}
        self.unsaved = UnsavedChanges()


def reconcile(
    store: Store,
    content: LoadedContent,
    unsaved: Iterable[UnsavedChanges],
    unstorable: Iterable[Place],
    schema: SchemaFacts,
) -> Reconciliation:
    """Compare what was loaded with the store, without changing anything.

    Args:
        store: The store.
        content: What was loaded.
        unsaved: What a load must not overwrite, oldest first; the last of them has not been written yet.
        unstorable: Cells that the medium cannot hold, so that their absence there means nothing.
        schema: The store's schema.
    """
    return _Reconciler(store, tuple(unsaved), unstorable, schema).run(content)


def whole_row(store: Store, table_id: Id, row_id: Id) -> UnsavedRow:
    """Return all cells of a row of the store as unsaved."""
    return UnsavedRow(dict(store.get_encoded_row(table_id, row_id)), RowState.WHOLE)


class _Reconciler:
    def __init__(
        self,
        store: Store,
        unsaved: tuple[UnsavedChanges, ...],
        unstorable: Iterable[Place],
        schema: SchemaFacts,
    ) -> None:
        self._store = store
        self._unsaved = tuple(changes for changes in unsaved if changes)
        self._pending = unsaved[-1] if unsaved else UnsavedChanges()
        self._unstorable = frozenset(unstorable)
        self._schema = schema
        self._outcome = Reconciliation()

    def run(self, content: LoadedContent) -> Reconciliation:
        for table_id, table in content.tables.items():
            changes = self._table(table_id, table)
            if changes:
                self._outcome.tables[table_id] = changes
        if content.values is not None:
            self._values(content.values)
        return self._outcome

    def _table(self, table_id: Id, table: LoadedTable) -> dict[Id, UnsavedCells | MissingType]:
        store = self._store
        if not store.has_table(table_id) and not any(table_id in changes.tables for changes in self._unsaved):
            return {row_id: cast("UnsavedCells", cells) for row_id, cells in table.rows.items() if cells}
        changes = {}
        defaults = self._schema.defaults.get(table_id, _NO_DEFAULTS)
        for row_id, cells in table.rows.items():
            row = self._row(table_id, row_id, cells, table, defaults)
            if row or row is MISSING:
                changes[row_id] = row
        if table.is_complete and not table.is_slice:
            for row_id in store.get_row_ids(table_id):
                if row_id not in table.rows:
                    self._save_whole(table_id, row_id)
        return changes

    def _row(
        self,
        table_id: Id,
        row_id: Id,
        loaded: LoadedRow,
        table: LoadedTable,
        defaults: Mapping[Id, EncodedCell],
    ) -> UnsavedCells | MissingType:
        unsaved = self._unsaved_row(table_id, row_id) if self._unsaved else None
        if unsaved is None and not self._unstorable and not self._store.has_row(table_id, row_id):
            return cast("UnsavedCells", loaded or {})
        stored = self._store.get_encoded_row(table_id, row_id)
        if unsaved is None:
            if not loaded:
                return MISSING if stored else {}
            keep: Iterable[Id] = ()
        elif unsaved.state is RowState.GONE:
            self._delete_with_row(table_id, row_id, loaded or {})
            return {}
        elif self._was_just_deleted(table_id, row_id):
            return {}
        else:
            if loaded is None:
                self._save_whole(table_id, row_id)
                return {}
            keep = unsaved.cells
        changes: UnsavedCells = {cell_id: cell for cell_id, cell in loaded.items() if cell_id not in keep}
        self._keep_unstorable(table_id, row_id, changes)
        for cell_id, cell in stored.items():
            if cell_id in loaded or cell_id in keep or (table_id, row_id, cell_id) in self._unstorable:
                continue
            default = defaults.get(cell_id, MISSING)
            if cell_id in table.cell_ids:
                changes[cell_id] = default
            elif table.is_complete and not is_same_cell(cell, default):
                self._outcome.unsaved.add_row(table_id, row_id, UnsavedRow({cell_id: cell}, RowState.PARTIAL))
        return changes

    def _values(self, table: LoadedTable) -> None:
        store = self._store
        keep = {value_id for changes in self._unsaved for value_id in changes.values}
        keep.update(value_id for table_id, _, value_id in self._unstorable if table_id is None)
        for row in table.rows.values():
            for value_id, value in (row or {}).items():
                if value_id not in keep:
                    self._outcome.values[value_id] = value
        is_known = bool(table.rows) or not table.is_complete
        for value_id, value in store.get_encoded_values().items():
            if value_id in keep or value_id in self._outcome.values:
                continue
            default = self._schema.default_values.get(value_id, MISSING)
            if value_id in table.cell_ids and is_known:
                self._outcome.values[value_id] = default
            elif table.is_complete and not is_same_cell(value, default):
                self._outcome.unsaved.values[value_id] = value

    def _unsaved_row(self, table_id: Id, row_id: Id) -> UnsavedRow | None:
        unsaved = None
        for changes in self._unsaved:
            later = changes.row(table_id, row_id)
            if later is not None:
                unsaved = later if unsaved is None else unsaved.followed_by(later)
        return unsaved

    def _was_just_deleted(self, table_id: Id, row_id: Id) -> bool:
        """Tell whether the row was deleted in the medium after it was loaded, and only then written anew."""
        return any(
            row is not None and row.state is RowState.GONE
            for row in (changes.row(table_id, row_id) for changes in self._unsaved[:-1])
        )

    def _delete_with_row(self, table_id: Id, row_id: Id, loaded: Mapping[Id, EncodedCell]) -> None:
        """Note cells that others wrote into a row whose deletion is unsaved: it may yet come back without."""
        deletion = self._pending.row(table_id, row_id)
        if deletion is None or deletion.state is not RowState.GONE:
            return  # It was written after the cells were read.
        unknown = [cell_id for cell_id in loaded if cell_id not in deletion.cells]
        if unknown:
            cells: UnsavedCells = dict.fromkeys(unknown, MISSING)
            self._outcome.unsaved.add_row(table_id, row_id, UnsavedRow(cells, RowState.GONE))

    def _keep_unstorable(self, table_id: Id, row_id: Id, changes: UnsavedCells) -> None:
        if self._unstorable:
            for cell_id in list(changes):
                if (table_id, row_id, cell_id) in self._unstorable:
                    del changes[cell_id]

    def _save_whole(self, table_id: Id, row_id: Id) -> None:
        self._outcome.unsaved.add_row(table_id, row_id, whole_row(self._store, table_id, row_id))
