"""Computed cells: cells that a function works out from the others of their row, and that stay right.

They are ordinary cells, so they can be listened to, indexed, queried, saved and synchronised. They are
written in the transaction that changes their row, after everybody else, so nobody is told of an old one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Self, TypeAlias

from replicell.store.cells import CellLike, encode_cell, is_same_cell
from replicell.store.errors import DefinitionError
from replicell.store.extractors import GetCell, get_cell_of
from replicell.store.ids import Id, IdLike, to_id
from replicell.store.missing import MISSING, MissingType
from replicell.store.modules import add_settler, module_of, remove_settler

if TYPE_CHECKING:
    from replicell.store.store import Store

__all__ = ["Compute", "ComputedCells", "create_computed_cells"]

Compute: TypeAlias = Callable[[GetCell, Id], "CellLike | MissingType"]
"""Given a `GetCell` and the row id, returns what the computed cell shall hold, or MISSING for no cell."""


class ComputedCells:
    """The computed cells of a store. TinyBase has none.

    A function of the row is called when any cell of the row has changed, and what it returns is written, or
    the cell deleted if it returns `MISSING`. It must cope with cells that are absent. What is written to a
    computed cell by hand is replaced at the end of the transaction, and a row of which only computed cells
    are left is deleted. A function may use other computed cells of its row, but not in a circle. There is one
    such object a store: `create_computed_cells` returns it.

    >>> store = Store()
    >>> _ = create_computed_cells(store).set_computed_cell(
    ...     "pets", "total", lambda get_cell, row_id: (get_cell("price") or 0) * (get_cell("count") or 0))
    >>> store.set_row("pets", "fido", {"price": 5, "count": 2}).get_cell("pets", "fido", "total")
    10
    >>> store.set_cell("pets", "fido", "count", 3).get_cell("pets", "fido", "total")
    15
    """

    __slots__ = ("_definitions", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._definitions: dict[Id, dict[Id, Compute]] = {}

    def get_store(self) -> Store:
        """Return the store."""
        return self._store

    def set_computed_cell(self, table_id: IdLike, cell_id: IdLike, compute: Compute) -> Self:
        """Say how a cell of every row of a table is computed, and compute it for the rows there are.

        Args:
            table_id: The table; it need not exist yet.
            cell_id: The computed cell. A schema, if there is one, must allow it.
            compute: A function ``(get_cell, row_id)`` of the row alone. If it raises, the transaction that
                changed the row is undone and the error reaches whoever made the change.

        Raises:
            DefinitionError: If `compute` cannot be called.
        """
        self._store._check_thread()
        if not callable(compute):
            raise DefinitionError(
                f"a computed cell needs a function (get_cell, row_id), but {compute!r} was given"
            )
        table_id, cell_id = to_id(table_id), to_id(cell_id)
        before = self._definitions.get(table_id, {}).get(cell_id)
        self._define(table_id, cell_id, compute)
        try:
            with self._store.transaction():
                for row_id in self._store.get_row_ids(table_id):
                    self._write(table_id, row_id, self._definitions[table_id])
        except BaseException:
            self._define(table_id, cell_id, before)
            raise
        return self

    def del_computed_cell(self, table_id: IdLike, cell_id: IdLike) -> Self:
        """Compute a cell no more; what was computed stays.

        >>> computed = create_computed_cells(Store())
        >>> _ = computed.set_computed_cell("pets", "legs", lambda get_cell, row_id: 4)
        >>> computed.del_computed_cell("pets", "legs").get_computed_cell_ids("pets")
        []
        """
        self._store._check_thread()
        self._define(to_id(table_id), to_id(cell_id), None)
        return self

    def get_computed_cell_ids(self, table_id: IdLike) -> list[Id]:
        """Return the ids of the computed cells of a table."""
        self._store._check_thread()
        return list(self._definitions.get(to_id(table_id), ()))

    def destroy(self) -> None:
        """Compute nothing any more; what was computed stays."""
        for table_id, cells in list(self._definitions.items()):
            for cell_id in list(cells):
                self._define(table_id, cell_id, None)

    def _define(self, table_id: Id, cell_id: Id, compute: Compute | None) -> None:
        had = bool(self._definitions)
        cells = self._definitions.setdefault(table_id, {})
        if compute is None:
            cells.pop(cell_id, None)
        else:
            cells[cell_id] = compute
        if not cells:
            del self._definitions[table_id]
        if self._definitions and not had:
            add_settler(self._store, self._settle)
        elif had and not self._definitions:
            remove_settler(self._store, self._settle)

    def _settle(self) -> bool:
        wrote = False
        for table_id, rows in list(self._store._record.cells.items()):
            cells = self._definitions.get(table_id)
            if cells:
                for row_id in list(rows):
                    wrote = self._write(table_id, row_id, cells) or wrote
        return wrote

    def _write(self, table_id: Id, row_id: Id, cells: Mapping[Id, Compute]) -> bool:
        store = self._store
        wrote = False
        for cell_id, compute in cells.items():
            row = store._find_row(table_id, row_id)
            if all(other_id in cells for other_id in row):
                store.del_row(table_id, row_id)
                return bool(row) or wrote
            old = row.get(cell_id, MISSING)
            new = compute(get_cell_of(row), row_id)
            if new is MISSING:
                store.del_cell(table_id, row_id, cell_id)
            elif old is MISSING or not is_same_cell(old, encode_cell(new)):
                store.set_cell(table_id, row_id, cell_id, new)
            if not is_same_cell(old, store._find_row(table_id, row_id).get(cell_id, MISSING)):
                wrote = True
        return wrote

    def _catch_up(self, touched: Mapping[Id, Iterable[Id]], committed: bool) -> None:
        """Computed cells are part of every transaction, so they cannot fall behind."""


def create_computed_cells(store: Store) -> ComputedCells:
    """Return the computed cells of a store.

    >>> store = Store()
    >>> create_computed_cells(store) is create_computed_cells(store)
    True
    """
    return module_of(store, "computed_cells", ComputedCells)
