"""Changes as objects: what one transaction did to one cell or one value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar, cast

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
            wanted_row, wanted_cell = self._row_id, self._cell_id
            for table_id, rows in _of(self._table_id, record.cells):
                table = tables.get(table_id, _NO_ROWS)
                for row_id, olds in rows.items() if wanted_row is None else _of(wanted_row, rows):
                    row = table.get(row_id, _NO_CELLS)
                    for cell_id, old in olds.items() if wanted_cell is None else _of(wanted_cell, olds):
                        new = row.get(cell_id, MISSING)
                        # As in `is_same_cell`, but spelled out: a watch does this most.
                        if old != new or (type(old) is bool) is not (type(new) is bool):
                            changes.append(_cell_change(table_id, row_id, cell_id, old, new))
        if self._wants_values and record.values:
            for value_id, old in _of(self._value_id, record.values):
                new = values.get(value_id, MISSING)
                if not is_same_cell(old, new):
                    changes.append(ValueChange(value_id, _decoded(old), _decoded(new)))
        return changes


class _OpenCellChange:
    """A `CellChange` before it is frozen."""

    __slots__ = ("cell_id", "new", "old", "row_id", "table_id")

    def __init__(self, table_id: Id, row_id: Id, cell_id: Id, old: Any, new: Any) -> None:
        self.table_id = table_id
        self.row_id = row_id
        self.cell_id = cell_id
        self.old = old
        self.new = new


def _cell_change(
    table_id: Id, row_id: Id, cell_id: Id, old: EncodedCell | MissingType, new: EncodedCell | MissingType
) -> CellChange:
    # A frozen dataclass fills itself one `object.__setattr__` at a time, which takes several times as long.
    change: Any = _OpenCellChange(
        table_id,
        row_id,
        cell_id,
        decode_cell(old) if type(old) is str else old,
        decode_cell(new) if type(new) is str else new,
    )
    change.__class__ = CellChange
    return cast("CellChange", change)


def _of(wanted: Id | None, things: Mapping[Id, _T]) -> Iterable[tuple[Id, _T]]:
    if wanted is None:
        return things.items()
    return ((wanted, things[wanted]),) if wanted in things else ()


def _id_or_none(thing_id: IdLike | None) -> Id | None:
    return None if thing_id is None else to_id(thing_id)


def _decoded(cell: EncodedCell | MissingType) -> Cell | MissingType:
    return decode_cell(cell) if type(cell) is str else cell
