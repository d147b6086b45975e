"""The few ways in which content changes inside a transaction; all else is built from them.

Each keeps four things together: the content, the count of cell ids in use, the record of the open
transaction and, where somebody listens to sorted row ids, the order of rows. What they store is encoded and
valid already.
"""

from __future__ import annotations

from collections import Counter
from sys import intern

from replicell.store.cells import EncodedCell
from replicell.store.changes import EncodedRow, EncodedTable, SharedCells, note_id
from replicell.store.ids import Id, IdPool
from replicell.store.missing import MISSING
from replicell.store.reading import Reading

__all__ = ["Edits"]


class Edits(Reading):
    """Changes single cells, rows and values, and notes what they were."""

    __slots__ = ()

    def _put_cell(self, table_id: Id, row_id: Id, cell_id: Id, new: EncodedCell) -> None:
        table = self._tables.get(table_id)
        row = None if table is None else table.get(row_id)
        if table is None or row is None:
            self._add_row(table_id, row_id, {intern(cell_id): new})
            return
        old = row.get(cell_id, MISSING)
        if old is MISSING:
            cell_id = intern(cell_id)
            self._count_cell(table_id, cell_id)
            self._record.touch_cell_id(table_id, row_id, cell_id, 1)
        elif old == new and (type(old) is bool) is (type(new) is bool):
            return
        # As TransactionRecord.touch_cell does it; here it is the hottest code of the store.
        rows = self._record.cells.get(table_id)
        if rows is None:
            self._record.cells[table_id] = {row_id: {cell_id: old}}
        else:
            cells = rows.get(row_id)
            if cells is None:
                rows[row_id] = {cell_id: old}
            elif cell_id not in cells:
                if type(cells) is SharedCells:
                    cells = rows[row_id] = dict(cells)
                cells[cell_id] = old
        row[cell_id] = new

    def _add_row(self, table_id: Id, row_id: Id, row: EncodedRow) -> None:
        """Store a row that is not there yet; `row` is kept as it is."""
        record = self._record
        table = self._tables.get(table_id)
        if table is None:
            table = self._tables[table_id] = {}
            self._cell_counts[table_id] = {}
            note_id(record.table_ids, table_id, 1)
        table[row_id] = row
        if self._sorted.views:
            self._sorted.row_came(table_id, row_id)
        record.touch_new_row(table_id, row_id, row)
        counts = self._cell_counts[table_id]
        for cell_id in row:
            if cell_id in counts:
                counts[cell_id] += 1
            else:
                counts[cell_id] = 1
                record.touch_table_cell_id(table_id, cell_id, 1)

    def _add_first_rows(self, table_id: Id, rows: EncodedTable) -> None:
        """Store rows that are not there yet, as a transaction's first act; they are kept as they are."""
        record = self._record
        table = self._tables.get(table_id)
        if table is None:
            table = self._tables[table_id] = {}
            self._cell_counts[table_id] = {}
            note_id(record.table_ids, table_id, 1)
        table.update(rows)
        if self._sorted.views:
            for row_id in rows:
                self._sorted.row_came(table_id, row_id)
        shapes = Counter(map(tuple, rows.values()))
        record.touch_first_rows(table_id, rows, shapes)
        counts = self._cell_counts[table_id]
        for shape, count in shapes.items():
            for cell_id in shape:
                if cell_id not in counts:
                    record.touch_table_cell_id(table_id, cell_id, 1)
                counts[cell_id] = counts.get(cell_id, 0) + count

    def _remove_cell(self, table_id: Id, row_id: Id, cell_id: Id) -> None:
        row = self._tables[table_id][row_id]
        self._record.touch_cell(table_id, row_id, cell_id, row.pop(cell_id))
        self._record.touch_cell_id(table_id, row_id, cell_id, -1)
        self._uncount_cell(table_id, cell_id)
        if not row:
            note_id(self._record.row_ids.setdefault(table_id, {}), row_id, -1)
            self._drop_row(table_id, row_id)

    def _remove_row(self, table_id: Id, row_id: Id) -> None:
        """Remove a row with all its cells, whatever their defaults."""
        row = self._tables[table_id][row_id]
        self._record.touch_old_row(table_id, row_id, row)
        for cell_id in row:
            self._uncount_cell(table_id, cell_id)
        self._drop_row(table_id, row_id)

    def _release_row_id(self, table_id: Id, row_id: Id) -> None:
        if row_id.isascii() and row_id.isdigit():
            pool = self._pools.get(table_id)
            if pool is None:
                pool = self._pools[table_id] = IdPool()
            pool.release(row_id)

    def _put_value(self, value_id: Id, new: EncodedCell) -> None:
        old = self._values.get(value_id, MISSING)
        if old is MISSING:
            note_id(self._record.value_ids, value_id, 1)
        elif old == new and (type(old) is bool) is (type(new) is bool):
            return
        self._record.values.setdefault(value_id, old)
        self._values[value_id] = new

    def _remove_value(self, value_id: Id) -> None:
        self._record.values.setdefault(value_id, self._values.pop(value_id))
        note_id(self._record.value_ids, value_id, -1)

    def _count_cell(self, table_id: Id, cell_id: Id) -> None:
        counts = self._cell_counts[table_id]
        if cell_id in counts:
            counts[cell_id] += 1
        else:
            counts[cell_id] = 1
            self._record.touch_table_cell_id(table_id, cell_id, 1)

    def _uncount_cell(self, table_id: Id, cell_id: Id) -> None:
        counts = self._cell_counts[table_id]
        if counts[cell_id] == 1:
            del counts[cell_id]
            self._record.touch_table_cell_id(table_id, cell_id, -1)
        else:
            counts[cell_id] -= 1

    def _drop_row(self, table_id: Id, row_id: Id) -> None:
        table = self._tables[table_id]
        del table[row_id]
        if self._sorted.views:
            self._sorted.row_went(table_id, row_id)
        if not table:
            del self._tables[table_id]
            del self._cell_counts[table_id]
            self._pools.pop(table_id, None)
            note_id(self._record.table_ids, table_id, -1)
