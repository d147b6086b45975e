"""What has changed in a store and is not saved yet, cell by cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from itertools import chain
from typing import Any, TypeAlias

from replicell.store.cells import EncodedCell
from replicell.store.ids import Id
from replicell.store.missing import MissingType

__all__ = ["PackedRow", "RowState", "UnsavedCells", "UnsavedChanges", "UnsavedRow", "UnsavedTable"]

UnsavedCells: TypeAlias = dict[Id, EncodedCell | MissingType]
"""Encoded cells by id, `MISSING` for those that were deleted."""

PackedRow: TypeAlias = tuple[Any, ...]
"""The ids of a row's cells, in a tuple, and then the cells."""


class RowState(Enum):
    """What the unsaved cells of a row are."""

    PARTIAL = "some cells of a row that the medium has"
    WHOLE = "all cells of a row that the medium may not have"
    GONE = "the cells of a row that was deleted"


class UnsavedRow:
    """The unsaved cells of one row."""

    __slots__ = ("cells", "state")

    def __init__(self, cells: UnsavedCells, state: RowState) -> None:
        self.cells = cells
        self.state = state

    def followed_by(self, later: UnsavedRow) -> UnsavedRow:
        """Return what is unsaved after both."""
        state = self.state if later.state is RowState.PARTIAL else later.state
        return UnsavedRow(self.cells | later.cells, state)


class UnsavedTable(Mapping[Id, UnsavedRow]):
    """The unsaved rows of one table.

    Whole rows, of which there can be very many, are packed: each is one tuple of plain values, which is small
    and which the garbage collector need not look at.

    Attributes:
        packed: The rows of which all cells are unsaved: the cell ids, in a tuple that rows alike share, and
            then the cells.
        others: All other rows.
    """

    __slots__ = ("_shapes", "others", "packed")

    def __init__(self) -> None:
        self.packed: dict[Id, PackedRow] = {}
        self.others: dict[Id, UnsavedRow] = {}
        self._shapes: dict[tuple[Id, ...], tuple[Id, ...]] = {}

    def add(self, row_id: Id, row: UnsavedRow) -> None:
        """Note what happened to a row after everything noted so far."""
        earlier = self.get(row_id)
        now = row if earlier is None else earlier.followed_by(row)
        if now.state is RowState.WHOLE:
            self.others.pop(row_id, None)
            self._pack(row_id, now.cells)
        else:
            self.packed.pop(row_id, None)
            self.others[row_id] = now

    def add_whole(self, rows: Mapping[Id, Mapping[Id, EncodedCell | MissingType]]) -> None:
        """Note rows of which all cells are unsaved."""
        if self.packed.keys().isdisjoint(rows) and self.others.keys().isdisjoint(rows):
            shapes = self._shapes
            for row_id, row in rows.items():
                shape = tuple(row)
                self.packed[row_id] = (shapes.setdefault(shape, shape), *row.values())
        else:
            for row_id, row in rows.items():
                self.add(row_id, UnsavedRow(dict(row), RowState.WHOLE))

    def touches(self, row_ids: Mapping[Id, object]) -> bool:
        """Tell whether anything of some rows is unsaved."""
        return not (self.packed.keys().isdisjoint(row_ids) and self.others.keys().isdisjoint(row_ids))

    def _pack(self, row_id: Id, cells: UnsavedCells) -> None:
        shape = tuple(cells)
        self.packed[row_id] = (self._shapes.setdefault(shape, shape), *cells.values())

    def __getitem__(self, row_id: Id) -> UnsavedRow:
        packed = self.packed.get(row_id)
        return self.others[row_id] if packed is None else _unpacked(packed)

    def __contains__(self, row_id: object) -> bool:
        return row_id in self.packed or row_id in self.others

    def __iter__(self) -> Iterator[Id]:
        return chain(self.packed, self.others)

    def __len__(self) -> int:
        return len(self.packed) + len(self.others)


class UnsavedChanges:
    """The unsaved cells and values of a store.

    >>> changes = UnsavedChanges()
    >>> changes.add_row("todo", "1", UnsavedRow({"text": "Milk"}, RowState.WHOLE))
    >>> changes.add_row("todo", "1", UnsavedRow({"done": True}, RowState.PARTIAL))
    >>> changes.tables["todo"]["1"].cells, changes.tables["todo"]["1"].state.name
    ({'text': 'Milk', 'done': True}, 'WHOLE')
    """

    __slots__ = ("tables", "values")

    def __init__(self) -> None:
        self.tables: dict[Id, UnsavedTable] = {}
        self.values: UnsavedCells = {}

    def __bool__(self) -> bool:
        return bool(self.tables or self.values)

    def add_row(self, table_id: Id, row_id: Id, row: UnsavedRow) -> None:
        """Note what happened to a row after everything noted so far."""
        self._table(table_id).add(row_id, row)

    def add_whole_rows(self, table_id: Id, rows: Mapping[Id, Mapping[Id, EncodedCell | MissingType]]) -> None:
        """Note rows of a table of which all cells are unsaved."""
        if rows:
            self._table(table_id).add_whole(rows)

    def add_values(self, values: Mapping[Id, EncodedCell | MissingType]) -> None:
        """Note what happened to values after everything noted so far."""
        self.values.update(values)

    def row(self, table_id: Id, row_id: Id) -> UnsavedRow | None:
        """Return what is unsaved of a row."""
        rows = self.tables.get(table_id)
        return None if rows is None else rows.get(row_id)

    def touches(self, table_id: Id, row_ids: Mapping[Id, object]) -> bool:
        """Tell whether anything of some rows is unsaved."""
        rows = self.tables.get(table_id)
        return rows is not None and rows.touches(row_ids)

    def followed_by(self, later: UnsavedChanges) -> UnsavedChanges:
        """Return what is unsaved after both, which must not be used any more."""
        for table_id, rows in later.tables.items():
            if table_id not in self.tables:
                self.tables[table_id] = rows
                continue
            for row_id, row in rows.items():
                self.add_row(table_id, row_id, row)
        self.values.update(later.values)
        return self

    def forget(self, rows_at_once: int) -> Iterator[None]:
        """Let go of very many rows some at a time, because freeing all of them at once takes long.

        Args:
            rows_at_once: How many rows are freed in one step; so many may stay.
        """
        for table in self.tables.values():
            while len(table.packed) > rows_at_once:
                for _ in range(rows_at_once):
                    table.packed.popitem()
                yield

    def _table(self, table_id: Id) -> UnsavedTable:
        table = self.tables.get(table_id)
        if table is None:
            table = self.tables[table_id] = UnsavedTable()
        return table


def _unpacked(row: PackedRow) -> UnsavedRow:
    return UnsavedRow(dict(zip(row[0], row[1:], strict=True)), RowState.WHOLE)
