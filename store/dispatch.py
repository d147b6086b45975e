"""Telling listeners what a transaction did: TinyBase's order of kinds within one phase.

A phase runs twice, for mutators and for normal listeners. Mutators may write, so they are told of a snapshot
taken when the phase begins; normal listeners may not, so they are told of the record itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from replicell.store.cells import EncodedCell, decode_cell, is_same_cell
from replicell.store.changes import EncodedRow, EncodedTable, IdChanges, Transition
from replicell.store.edits import Edits
from replicell.store.ids import Id
from replicell.store.listeners import Bucket, Listener, PhaseListeners, Wildcards
from replicell.store.missing import MISSING, MissingType

__all__ = ["Dispatching"]

Touched: TypeAlias = Mapping[Id, Mapping[Id, Mapping[Id, EncodedCell | MissingType]]]
"""The old content of touched cells."""

_NO_ROWS: EncodedTable = {}
_NO_CELLS: EncodedRow = {}


class Dispatching(Edits):
    """Calls the listeners of one phase."""

    __slots__ = ()

    def _call_phase(self, phase: PhaseListeners) -> None:
        record = self._record
        if record.invalid_cells and phase.invalid_cell:
            self._call_invalid_cells(phase)
        if record.cells and phase.hears_tables:
            if phase is self._listeners.mutators:
                self._call_tabular_snapshot(phase)
            else:
                self._call_tabular(
                    phase,
                    record.cells,
                    self._tables,
                    record.table_ids,
                    record.table_cell_ids,
                    record.row_ids,
                    record.cell_ids,
                )
        if record.invalid_values or record.values:
            self._call_phase_of_values(phase)

    def _call_phase_of_values(self, phase: PhaseListeners) -> None:
        record = self._record
        if record.invalid_values and phase.invalid_value:
            invalid_values = [(value_id, list(bad)) for value_id, bad in record.invalid_values.items()]
            for value_id, invalid in invalid_values:
                self._call(phase.invalid_value.find(value_id), value_id, invalid)
        if record.values and phase.hears_values:
            self._call_values(phase)

    def _call_invalid_cells(self, phase: PhaseListeners) -> None:
        invalid_cells = [
            (table_id, row_id, cell_id, list(invalid))
            for table_id, rows in self._record.invalid_cells.items()
            for row_id, cells in rows.items()
            for cell_id, invalid in cells.items()
        ]
        for table_id, row_id, cell_id, invalid in invalid_cells:
            found = phase.invalid_cell.find(table_id, row_id, cell_id)
            self._call(found, table_id, row_id, cell_id, invalid)

    def _call_tabular_snapshot(self, phase: PhaseListeners) -> None:
        record = self._record
        touched = {
            table_id: {row_id: dict(cells) for row_id, cells in rows.items()}
            for table_id, rows in record.cells.items()
        }
        tables: dict[Id, EncodedTable] = {}
        for table_id, rows in touched.items():
            table = self._tables.get(table_id, _NO_ROWS)
            tables[table_id] = {row_id: dict(table[row_id]) for row_id in rows if row_id in table}
        self._call_tabular(
            phase,
            touched,
            tables,
            dict(record.table_ids),
            {table_id: dict(ids) for table_id, ids in record.table_cell_ids.items()},
            {table_id: dict(ids) for table_id, ids in record.row_ids.items()},
            {
                table_id: {row_id: dict(ids) for row_id, ids in rows.items()}
                for table_id, rows in record.cell_ids.items()
            },
        )

    def _call_tabular(
        self,
        phase: PhaseListeners,
        touched: Touched,
        tables: Mapping[Id, EncodedTable],
        table_ids: IdChanges,
        table_cell_ids: Mapping[Id, IdChanges],
        row_ids: Mapping[Id, IdChanges],
        cell_ids: Mapping[Id, Mapping[Id, IdChanges]],
    ) -> None:
        if phase.has_tables:
            has_tables = bool(self._tables)
            had_tables = len(self._tables) != sum(self._record.table_ids.values())
            if has_tables is not had_tables:
                self._call(phase.has_tables.find(), has_tables)
        if phase.hears_ids:
            self._call_ids(table_ids, phase.table_ids, phase.has_table)
            for table_id, ids in table_cell_ids.items():
                self._call_ids(ids, phase.table_cell_ids, phase.has_table_cell, table_id)
            if phase.row_count:
                for table_id, ids in row_ids.items():
                    if sum(ids.values()) != 0:
                        self._call(phase.row_count.find(table_id), table_id, self.get_row_count(table_id))
            for table_id, ids in row_ids.items():
                if self._call_ids(ids, phase.row_ids, phase.has_row, table_id) and phase.sorted_row_ids:
                    self._call(phase.sorted_row_ids.of_table(table_id))
            if phase.sorted_row_ids:
                self._call_sorted_by_cells(phase.sorted_row_ids, touched, tables, row_ids)
            for table_id, rows in cell_ids.items():
                for row_id, ids in rows.items():
                    self._call_ids(ids, phase.cell_ids, phase.has_cell, table_id, row_id)
        if phase.hears_content:
            self._call_content(phase, touched, tables)

    def _call_ids(self, changes: IdChanges, of_ids: Wildcards, of_has: Wildcards, *parents: Id) -> bool:
        if not changes:
            return False
        if of_ids:
            self._call(of_ids.find(*parents), *parents, changes.copy)
        if of_has:
            for thing_id, change in list(changes.items()):
                self._call(of_has.find(*parents, thing_id), *parents, thing_id, change == 1)
        return True

    def _call_sorted_by_cells(
        self,
        listeners: Wildcards,
        touched: Touched,
        tables: Mapping[Id, EncodedTable],
        row_ids: Mapping[Id, IdChanges],
    ) -> None:
        for table_id, rows in touched.items():
            if row_ids.get(table_id):
                continue
            table = tables.get(table_id, _NO_ROWS)
            changed: dict[Id, None] = {}
            for row_id, olds in rows.items():
                row = table.get(row_id, _NO_CELLS)
                for cell_id, old in olds.items():
                    if cell_id not in changed and not is_same_cell(old, row.get(cell_id, MISSING)):
                        changed[cell_id] = None
            for cell_id in changed:
                bucket = listeners.buckets.get((table_id, cell_id))
                if bucket is not None:
                    self._call([bucket])

    def _call_content(
        self, phase: PhaseListeners, touched: Touched, tables: Mapping[Id, EncodedTable]
    ) -> None:
        of_cells = phase.cell
        get_cell_change = self._get_cell_change
        any_table_changed = False
        for table_id, rows in touched.items():
            table = tables.get(table_id, _NO_ROWS)
            table_changed = False
            for row_id, olds in rows.items():
                row = table.get(row_id, _NO_CELLS)
                row_changed = False
                for cell_id, old in olds.items():
                    new = row.get(cell_id, MISSING)
                    if old is new or (old == new and (type(old) is bool) is (type(new) is bool)):
                        continue
                    row_changed = True
                    if not of_cells.patterns:
                        continue
                    found = of_cells.find_cell(table_id, row_id, cell_id)
                    if found:
                        told_new: Any = decode_cell(new) if type(new) is str else new
                        told_old: Any = decode_cell(old) if type(old) is str else old
                        self._call(found, table_id, row_id, cell_id, told_new, told_old, get_cell_change)
                if row_changed:
                    table_changed = True
                    if phase.row.patterns:
                        self._call(phase.row.find(table_id, row_id), table_id, row_id, get_cell_change)
            if table_changed:
                any_table_changed = True
                if phase.table.patterns:
                    self._call(phase.table.find(table_id), table_id, get_cell_change)
        if any_table_changed and phase.tables.patterns:
            self._call(phase.tables.find(), get_cell_change)

    def _call_update(
        self,
        phase: PhaseListeners,
        table_id: Id,
        row_id: Id,
        cell_id: Id,
        new: EncodedCell,
        old: EncodedCell,
    ) -> None:
        """Do what `_call_phase` does, for a transaction that has replaced one cell by another."""
        of_cells = phase.cell
        if of_cells.patterns:
            told_new: Any = decode_cell(new) if type(new) is str else new
            told_old: Any = decode_cell(old) if type(old) is str else old
            get_cell_change = self._get_cell_change
            for bucket in of_cells.find_cell(table_id, row_id, cell_id):
                # As in `_call`, but spelled out: this is what a store does most.
                for listener in bucket:
                    callback = listener.callback
                    if callback is not None:
                        try:
                            callback(self, table_id, row_id, cell_id, told_new, told_old, get_cell_change)
                        except Exception as error:
                            self._explain(error, listener, (table_id, row_id, cell_id, told_new, told_old))
                            raise
        if phase.hears_beyond_cells:
            self._call(phase.row.find(table_id, row_id), table_id, row_id, self._get_cell_change)
            self._call(phase.table.find(table_id), table_id, self._get_cell_change)
            self._call(phase.tables.find(), self._get_cell_change)

    def _call_values(self, phase: PhaseListeners) -> None:
        touched, values, ids = self._record.values, self._values, self._record.value_ids
        if phase is self._listeners.mutators:
            touched, values, ids = dict(touched), dict(values), dict(ids)
        if phase.has_values:
            has_values = bool(self._values)
            had_values = len(self._values) != sum(self._record.value_ids.values())
            if has_values is not had_values:
                self._call(phase.has_values.find(), has_values)
        self._call_ids(ids, phase.value_ids, phase.has_value)
        any_changed = False
        for value_id, old in touched.items():
            new = values.get(value_id, MISSING)
            if is_same_cell(old, new):
                continue
            any_changed = True
            found = phase.value.find(value_id)
            if found:
                self._call(found, value_id, _decoded(new), _decoded(old), self._get_value_change)
        if any_changed:
            self._call(phase.values.find(), self._get_value_change)

    def _call(self, buckets: Iterable[Bucket], *arguments: Any) -> None:
        for bucket in buckets:
            # A listener added meanwhile to this bucket is called as well, one removed is not.
            for listener in bucket:
                callback = listener.callback
                if callback is not None:
                    try:
                        callback(self, *arguments)
                    except Exception as error:
                        self._explain(error, listener, arguments)
                        raise

    def _call_every(self, listeners: Wildcards, errors: list[BaseException]) -> None:
        """Call all transaction listeners, also when one of them fails, and collect the errors."""
        for bucket in listeners.find():
            for listener in bucket:
                callback = listener.callback
                if callback is not None:
                    try:
                        callback(self)
                    except Exception as error:
                        self._explain(error, listener, ())
                        errors.append(error)

    def _explain(self, error: BaseException, listener: Listener, arguments: tuple[object, ...]) -> None:
        error.add_note(f"{listener.describe(arguments)}, in {self._record}")

    def _get_cell_change(self, table_id: Id, row_id: Id, cell_id: Id) -> Transition:
        new = self._tables.get(table_id, _NO_ROWS).get(row_id, _NO_CELLS).get(cell_id, MISSING)
        olds = self._record.cells.get(table_id, {}).get(row_id, {})
        if cell_id in olds:
            return Transition(True, _decoded(olds[cell_id]), _decoded(new))
        return Transition(False, _decoded(new), _decoded(new))

    def _get_value_change(self, value_id: Id) -> Transition:
        new = self._values.get(value_id, MISSING)
        if value_id in self._record.values:
            return Transition(True, _decoded(self._record.values[value_id]), _decoded(new))
        return Transition(False, _decoded(new), _decoded(new))


def _decoded(cell: EncodedCell | MissingType) -> Any:
    return MISSING if cell is MISSING else decode_cell(cell)
