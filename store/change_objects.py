"""Changes as objects: what one transaction did to one cell or one value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from replicell.store.cells import Cell, EncodedCell, decode_cell, is_same_cell
from replicell.store.changes import EncodedRow, EncodedTable, TransactionRecord
from replicell.store.ids import Id, IdLike, to_id
from replicell.store.missing import MISSING, MissingType

__all__ = ["CellChange", "Change", "ChangeFilter", "ValueChange"]

_T = TypeVar("_T")

_NO_ROWS: EncodedTable = {}
_NO_CELLS: EncodedRow = {}


@dataclass(frozen=True, slots=True)
class CellChange:
    """What a transaction did to one cell.

    Attributes:
        table_id: The table.
        row_id: The row.
        cell_id: The cell.
        old: What it was before, or `MISSING`.
        new: What it is now, or `MISSING`.

    >>> CellChange("pets", "fido", "age", MISSING, 3).added
    True
    """

    table_id: Id
    row_id: Id
    cell_id: Id
    old: Cell | MissingType
    new: Cell | MissingType

    @property
    def added(self) -> bool:
        """Whether the cell was not there before."""
        return self.old is MISSING

    @property
    def removed(self) -> bool:
        """Whether the cell is not there any more."""
        return self.new is MISSING


@dataclass(frozen=True, slots=True)
class ValueChange:
    """What a transaction did to one keyed value.

    Attributes:
        value_id: The value.
        old: What it was before, or `MISSING`.
        new: What it is now, or `MISSING`.

    >>> ValueChange("open", True, MISSING).removed
    True
    """

    value_id: Id
    old: Cell | MissingType
    new: Cell | MissingType

    @property
    def added(self) -> bool:
        """Whether the value was not there before."""
        return self.old is MISSING

    @property
    def removed(self) -> bool:
        """Whether the value is not there any more."""
        return self.new is MISSING


Change: TypeAlias = CellChange | ValueChange


class ChangeFilter:
    """Which changes somebody wants; without any id, all of them.

    Args:
        table_id: Only cells of this table.
        row_id: Only cells of rows of this id.
        cell_id: Only cells of this id.
        value_id: Only this value, beside the cells that the other ids ask for.
    """

    __slots__ = ("_cell_id", "_row_id", "_table_id", "_value_id", "_wants_cells", "_wants_values")

    def __init__(
        self,
        table_id: IdLike | None = None,
        row_id: IdLike | None = None,
        cell_id: IdLike | None = None,
        value_id: IdLike | None = None,
    ) -> None:
        self._table_id, self._row_id = _id_or_none(table_id), _id_or_none(row_id)
        self._cell_id, self._value_id = _id_or_none(cell_id), _id_or_none(value_id)
        names_cells = any(thing_id is not None for thing_id in (table_id, row_id, cell_id))
        self._wants_cells = names_cells or value_id is None
        self._wants_values = value_id is not None or not names_cells

    def changes_of(
        self, record: TransactionRecord, tables: Mapping[Id, EncodedTable], values: EncodedRow
    ) -> list[Change]:
        """Return the net changes of a transaction: cells in the order they were touched, then values."""
        changes: list[Change] = []
        if self._wants_cells and record.cells:
            for table_id, rows in _of(self._table_id, record.cells):
                table = tables.get(table_id, _NO_ROWS)
                for row_id, olds in _of(self._row_id, rows):
                    row = table.get(row_id, _NO_CELLS)
                    for cell_id, old in _of(self._cell_id, olds):
                        new = row.get(cell_id, MISSING)
                        if not is_same_cell(old, new):
                            changes.append(
                                CellChange(table_id, row_id, cell_id, _decoded(old), _decoded(new))
                            )
        if self._wants_values and record.values:
            for value_id, old in _of(self._value_id, record.values):
                new = values.get(value_id, MISSING)
                if not is_same_cell(old, new):
                    changes.append(ValueChange(value_id, _decoded(old), _decoded(new)))
        return changes


def _of(wanted: Id | None, things: Mapping[Id, _T]) -> Iterable[tuple[Id, _T]]:
    if wanted is None:
        return things.items()
    return ((wanted, things[wanted]),) if wanted in things else ()


def _id_or_none(thing_id: IdLike | None) -> Id | None:
    return None if thing_id is None else to_id(thing_id)


def _decoded(cell: EncodedCell | MissingType) -> Cell | MissingType:
    return decode_cell(cell) if type(cell) is str else cell
