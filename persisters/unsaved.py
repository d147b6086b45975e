"""What has changed in a store and is not saved yet, cell by cell."""

from __future__ import annotations

import gc
from collections.abc import ItemsView, Iterable, Iterator, Mapping
from enum import Enum
from itertools import chain
from typing import Any, TypeAlias

from replicell.persisters.row_blocks import ROWS_A_BLOCK, RowBlock, RowBlocks
from replicell.store.cells import EncodedCell
from replicell.store.ids import Id
from replicell.store.missing import MissingType

__all__ = ["EncodedRows", "RowState", "UnsavedCells", "UnsavedChanges", "UnsavedRow", "UnsavedTable"]

UnsavedCells: TypeAlias = dict[Id, EncodedCell | MissingType]
"""Encoded cells by id, `MISSING` for those that were deleted."""

EncodedRows: TypeAlias = Mapping[Id, Mapping[Id, EncodedCell | MissingType]]

PackedRow: TypeAlias = tuple[Any, ...]
"""The ids of a row's cells, in a tuple that rows alike share, and then the cells."""


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

    Whole rows, of which there can be very many, are in blocks, or packed: each is one tuple of plain values,
    which is small and which the garbage collector need not look at.
    """

    __slots__ = ("_blocks", "_noted_by", "_packed", "_shapes", "others")

    def __init__(self) -> None:
        self._blocks: RowBlocks | None = None
        self._noted_by: object = None
        self._packed: dict[Id, PackedRow] = {}
        self._shapes: dict[tuple[Id, ...], tuple[Id, ...]] = {}
        self.others: dict[Id, UnsavedRow] = {}
        """The rows of which not all cells are unsaved."""

    def add(self, row_id: Id, row: UnsavedRow) -> None:
        """Note what happened to a row after everything noted so far."""
        if self._blocks is not None:
            self._split(self._blocks, row_id)
        earlier = self.find(row_id)
        now = row if earlier is None else earlier.followed_by(row)
        if now.state is RowState.WHOLE:
            self.others.pop(row_id, None)
            self._pack(row_id, tuple(now.cells), now.cells.values())
        else:
            self._packed.pop(row_id, None)
            self.others[row_id] = now

    def add_whole(self, rows: EncodedRows) -> None:
        """Note rows of which all cells are unsaved."""
        if self.touches(rows):
            for row_id, row in rows.items():
                self.add(row_id, UnsavedRow(dict(row), RowState.WHOLE))
        else:
            for row_id, row in rows.items():
                self._pack(row_id, tuple(row), row.values())

    def add_block(self, block: RowBlock, whole: object) -> None:
        """Note some of very many rows of which all cells are unsaved.

        Args:
            block: The rows.
            whole: What they are a part of; no row is in two parts of it.
        """
        if self._blocks is None:
            self._blocks, self._noted_by = RowBlocks(), whole
        is_new = self._noted_by is whole and not any(
            noted and not noted.keys().isdisjoint(block.row_ids) for noted in (self._packed, self.others)
        )
        if is_new:
            self._blocks.add(block)
            if gc.isenabled():
                # It will look at each new block once. At many of them together it would look for very long.
                gc.collect(0)
        else:
            for row_id, *cells in block:
                row = dict(zip(block.cell_ids, cells, strict=True))
                self.add(row_id, UnsavedRow(row, RowState.WHOLE))

    def touches(self, row_ids: Mapping[Id, object]) -> bool:
        """Tell whether anything of some rows is unsaved."""
        return (
            not self._packed.keys().isdisjoint(row_ids)
            or not self.others.keys().isdisjoint(row_ids)
            or (self._blocks is not None and any(map(self._blocks.find, row_ids)))
        )

    def blocks(self) -> Iterator[RowBlock]:
        """Return the rows of which all cells are unsaved, those with the same cells together."""
        yield from self._blocks or ()
        by_shape: dict[tuple[Id, ...], list[Id]] = {}
        for row_id, row in self._packed.items():
            by_shape.setdefault(row[0], []).append(row_id)
        for shape, row_ids in by_shape.items():
            for start in range(0, len(row_ids), ROWS_A_BLOCK):
                part = row_ids[start : start + ROWS_A_BLOCK]
                _, *columns = zip(*map(self._packed.__getitem__, part), strict=True)
                yield RowBlock(part, shape, columns)

    def forget(self, rows_at_once: int) -> Iterator[None]:
        """See :meth:`UnsavedChanges.forget`."""
        freed = 0
        while self._blocks is not None and self._blocks:
            freed += len(self._blocks.pop())
            if freed >= rows_at_once:
                freed = 0
                yield
        while len(self._packed) > rows_at_once:
            for _ in range(rows_at_once):
                self._packed.popitem()
            yield

    def _split(self, blocks: RowBlocks, row_id: Id) -> None:
        """Pack the rows of a block one by one, because one of them changes."""
        block = blocks.find(row_id)
        if block is not None:
            blocks.remove(block)
            for packed_id, *cells in block:
                self._pack(packed_id, block.cell_ids, cells)

    def _pack(self, row_id: Id, cell_ids: tuple[Id, ...], cells: Iterable[Any]) -> None:
        self._packed[row_id] = (self._shapes.setdefault(cell_ids, cell_ids), *cells)

    def find(self, row_id: Id) -> UnsavedRow | None:
        """Return what is unsaved of a row."""
        row = self.others.get(row_id)
        if row is not None:
            return row
        packed = self._packed.get(row_id)
        if packed is not None:
            return UnsavedRow(dict(zip(packed[0], packed[1:], strict=True)), RowState.WHOLE)
        block = None if self._blocks is None else self._blocks.find(row_id)
        return None if block is None else UnsavedRow(block.row(row_id), RowState.WHOLE)

    def __getitem__(self, row_id: Id) -> UnsavedRow:
        row = self.find(row_id)
        if row is None:
            raise KeyError(row_id)
        return row

    def items(self) -> ItemsView[Id, UnsavedRow]:
        """Return all rows, at less cost than one by one."""
        return _Rows(self)

    def __iter__(self) -> Iterator[Id]:
        in_blocks = chain.from_iterable(block.row_ids for block in self._blocks or ())
        return chain(in_blocks, self._packed, self.others)

    def __len__(self) -> int:
        return sum(map(len, self._blocks or ())) + len(self._packed) + len(self.others)


class _Rows(ItemsView[Id, UnsavedRow]):
    _mapping: UnsavedTable

    def __iter__(self) -> Iterator[tuple[Id, UnsavedRow]]:
        for block in self._mapping.blocks():
            for row_id, *cells in block:
                yield row_id, UnsavedRow(dict(zip(block.cell_ids, cells, strict=True)), RowState.WHOLE)
        yield from self._mapping.others.items()


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

    def add_whole_rows(self, table_id: Id, rows: EncodedRows) -> None:
        """Note rows of a table of which all cells are unsaved."""
        if rows:
            self._table(table_id).add_whole(rows)

    def add_block(self, table_id: Id, block: RowBlock, whole: object) -> None:
        """Note some of very many rows of a table; see :meth:`UnsavedTable.add_block`."""
        self._table(table_id).add_block(block, whole)

    def add_values(self, values: Mapping[Id, EncodedCell | MissingType]) -> None:
        """Note what happened to values after everything noted so far."""
        self.values.update(values)

    def row(self, table_id: Id, row_id: Id) -> UnsavedRow | None:
        """Return what is unsaved of a row."""
        rows = self.tables.get(table_id)
        return None if rows is None else rows.find(row_id)

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
            yield from table.forget(rows_at_once)

    def _table(self, table_id: Id) -> UnsavedTable:
        table = self.tables.get(table_id)
        if table is None:
            table = self.tables[table_id] = UnsavedTable()
        return table
