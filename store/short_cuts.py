"""Short cuts for the commonest writes, where part of a transaction's work would be for nobody.

They change nothing that can be noticed: content, cell ids in use, id pools, and what listeners are told and
when are the same as by the long way. A store takes them only outside transactions and while it is
unobserved: without a schema or a listener of any kind.
"""

from __future__ import annotations

from replicell.store.changes import EncodedRow, EncodedTable
from replicell.store.ids import Id
from replicell.store.transactions import Transactions

__all__ = ["ShortCuts"]


class ShortCuts(Transactions):
    """Writes that keep no record of themselves."""

    __slots__ = ()

    def _insert_row_unobserved(self, table_id: Id, row_id: Id, row: EncodedRow) -> None:
        table = self._tables.get(table_id)
        if table is None:
            self._tables[table_id] = {row_id: row}
            self._cell_counts[table_id] = dict.fromkeys(row, 1)
            return
        table[row_id] = row
        counts = self._cell_counts[table_id]
        for cell_id in row:
            if cell_id in counts:
                counts[cell_id] += 1
            else:
                counts[cell_id] = 1

    def _insert_table_unobserved(self, table_id: Id, table: EncodedTable) -> None:
        self._tables[table_id] = table
        # Most rows of a table have the same cells, so counting rows alike comes first.
        shapes: dict[tuple[Id, ...], int] = {}
        for row in table.values():
            shape = tuple(row)
            shapes[shape] = shapes.get(shape, 0) + 1
        counts = self._cell_counts[table_id] = {}
        for shape, rows in shapes.items():
            for cell_id in shape:
                counts[cell_id] = counts.get(cell_id, 0) + rows

    def _remove_row_unobserved(self, table_id: Id, row_id: Id) -> None:
        table = self._tables.get(table_id)
        row = None if table is None else table.pop(row_id, None)
        if table is None or row is None:
            return
        if not table:
            del self._tables[table_id], self._cell_counts[table_id]
            self._pools.pop(table_id, None)
            return
        counts = self._cell_counts[table_id]
        for cell_id in row:
            count = counts[cell_id]
            if count == 1:
                del counts[cell_id]
            else:
                counts[cell_id] = count - 1
        self._release_row_id(table_id, row_id)
