"""The result of a query: a table in a store of its own, so that it is read and listened to like any other."""

from __future__ import annotations

from collections.abc import Iterable
from threading import get_ident

from replicell.store.cells import EncodedCell, is_same_cell
from replicell.store.changes import EncodedRow, EncodedTable
from replicell.store.ids import Id
from replicell.store.missing import MissingType
from replicell.store.queries.plan import NO_ROWS
from replicell.store.store import Store

__all__ = ["ResultStore", "ResultTable"]


class ResultStore(Store):
    """A store that belongs to whatever thread its source belongs to."""

    __slots__ = ("_source",)

    def __init__(self, source: Store) -> None:
        super().__init__()
        self._source = source

    def _check_thread(self) -> None:
        if self._owner != get_ident():
            self._source._check_thread()
            self.move_to_current_thread()


class ResultTable:
    """The result of one query, written in transactions that are opened by the first difference."""

    __slots__ = ("is_open", "is_publishing", "is_rich", "query_id", "store")

    def __init__(self, query_id: Id, store: ResultStore) -> None:
        self.query_id = query_id
        self.store = store
        self.is_open = False
        """Whether differences have been written that nobody was told of."""
        self.is_publishing = False
        self.is_rich = False
        """Whether it may hold objects and arrays."""

    @property
    def rows(self) -> EncodedTable:
        """The result as it is now."""
        return self.store._tables.get(self.query_id, NO_ROWS)

    @property
    def is_busy(self) -> bool:
        """Whether listeners are being told, so that nothing can be written."""
        return self.store._depth < 0 or self.store._finishing

    @property
    def hears_row_ids(self) -> bool:
        """Whether anybody listens to which rows there are."""
        return bool(self.store._listeners.normal.row_ids)

    def put(self, row_id: Id, row: EncodedRow | None, cell_ids: Iterable[Id] | None = None) -> None:
        """Make a row what it is to be now.

        Args:
            row_id: The row.
            row: Its cells, kept as they are, or None if it is not to be there.
            cell_ids: The cells it can have, in the order in which they are written.
        """
        store, query_id = self.store, self.query_id
        present = store._tables.get(query_id, NO_ROWS).get(row_id)
        if row is None:
            if present is not None:
                self.open()
                store._remove_row(query_id, row_id)
        elif present is None:
            self.open()
            store._add_row(query_id, row_id, row)
        elif present.keys() == row.keys():
            changed = [
                cell_id
                for cell_id, cell in row.items()
                if cell is not present[cell_id] and not is_same_cell(cell, present[cell_id])
            ]
            if len(changed) == 1 and store._swift and not self.is_open:
                self._replace_cell(row_id, present, changed[0], row[changed[0]])
            elif changed:
                self.open()
                for cell_id in changed:
                    store._put_cell(query_id, row_id, cell_id, row[cell_id])
        else:
            self.open()
            if cell_ids is None:
                cell_ids = (*row, *[gone for gone in present if gone not in row])
            for cell_id in cell_ids:
                if cell_id in row:
                    store._put_cell(query_id, row_id, cell_id, row[cell_id])
                elif cell_id in self.rows.get(row_id, ()):
                    store._remove_cell(query_id, row_id, cell_id)

    def _replace_cell(self, row_id: Id, present: EncodedRow, cell_id: Id, cell: EncodedCell) -> None:
        """Do what `open` and `_put_cell` do, in the commonest case of all; see `Store.set_cell`."""
        store = self.store
        if not store._unobserved:
            self.is_open = True
            store._swift = False
            store._depth = 1
            store._record.cells[self.query_id] = {row_id: {cell_id: present[cell_id]}}
        present[cell_id] = cell

    def replace(self, rows: EncodedTable) -> None:
        """Make the whole result what it is to be now; the rows given are kept."""
        store, query_id = self.store, self.query_id
        if store._unobserved and not self.is_open:
            store._tables.pop(query_id, None)
            store._cell_counts.pop(query_id, None)
            if rows:
                store._insert_table_unobserved(query_id, rows)
            return
        self.open()
        for row_id in list(self.rows):
            store._remove_row(query_id, row_id)
        for row_id, row in rows.items():
            store._add_row(query_id, row_id, row)

    def note_rich(self) -> None:
        """Note that the result may hold objects and arrays, which are to be decoded when it is read."""
        self.is_rich = True
        self.store._rich_tables.add(self.query_id)

    def open(self) -> None:
        """Begin to note differences."""
        if not self.is_open:
            self.is_open = True
            self.store._begin()

    def close(self) -> None:
        """Tell listeners of the differences."""
        if self.is_open:
            self.is_open = False
            update = self._only_update()
            if update is None:
                self.store._end()
            else:
                self.store._finish_update(self.query_id, *update)

    def _only_update(self) -> tuple[Id, Id, EncodedCell, EncodedCell] | None:
        """If all that differs is one replaced cell, and nobody cares but listeners to content, return it."""
        store = self.store
        record = store._record
        if not store._swift_outside or record.row_ids or record.cell_ids or len(record.cells) != 1:
            return None
        rows = record.cells[self.query_id]
        if len(rows) != 1:
            return None
        [(row_id, olds)] = rows.items()
        if len(olds) != 1:
            return None
        [(cell_id, old)] = olds.items()
        new = store._tables[self.query_id][row_id][cell_id]
        if isinstance(old, MissingType) or is_same_cell(old, new):
            return None
        return row_id, cell_id, new, old
