"""What has changed in a store and is not saved yet, cell by cell."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TypeAlias

from replicell.store.cells import EncodedCell
from replicell.store.ids import Id
from replicell.store.missing import MissingType

__all__ = ["RowState", "UnsavedCells", "UnsavedChanges", "UnsavedRow"]

UnsavedCells: TypeAlias = dict[Id, EncodedCell | MissingType]
"""Encoded cells by id, `MISSING` for those that were deleted."""


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
        self.tables: dict[Id, dict[Id, UnsavedRow]] = {}
        self.values: UnsavedCells = {}

    def __bool__(self) -> bool:
        return bool(self.tables or self.values)

    def add_row(self, table_id: Id, row_id: Id, row: UnsavedRow) -> None:
        """Note what happened to a row after everything noted so far."""
        rows = self.tables.setdefault(table_id, {})
        earlier = rows.get(row_id)
        rows[row_id] = row if earlier is None else earlier.followed_by(row)

    def add_rows(self, table_id: Id, rows: dict[Id, UnsavedRow]) -> None:
        """Note what happened to rows of a table, as :meth:`add_row` does for one."""
        if table_id not in self.tables:
            self.tables[table_id] = rows
            return
        for row_id, row in rows.items():
            self.add_row(table_id, row_id, row)

    def add_values(self, values: Mapping[Id, EncodedCell | MissingType]) -> None:
        """Note what happened to values after everything noted so far."""
        self.values.update(values)

    def row(self, table_id: Id, row_id: Id) -> UnsavedRow | None:
        """Return what is unsaved of a row."""
        rows = self.tables.get(table_id)
        return None if rows is None else rows.get(row_id)

    def followed_by(self, later: UnsavedChanges) -> UnsavedChanges:
        """Return what is unsaved after both, which must not be used any more."""
        for table_id, rows in later.tables.items():
            for row_id, row in rows.items():
                self.add_row(table_id, row_id, row)
        self.values.update(later.values)
        return self
