"""What a transaction has touched: enough to undo it, to tell listeners, and to replay it elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

from replicell.store.cells import Cell, EncodedCell, decode_cell, is_same_cell
from replicell.store.ids import Id
from replicell.store.missing import MISSING, MissingType

__all__ = [
    "Changes",
    "EncodedRow",
    "EncodedTable",
    "GetCellChange",
    "GetIdChanges",
    "GetValueChange",
    "IdChanges",
    "RowChanges",
    "SharedCells",
    "TransactionEdits",
    "TransactionLog",
    "TransactionRecord",
    "Transition",
    "note_id",
]

EncodedRow: TypeAlias = dict[Id, EncodedCell]
EncodedTable: TypeAlias = dict[Id, EncodedRow]

_NO_ROWS: Final[EncodedTable] = {}
_NO_CELLS: Final[EncodedRow] = {}

IdChanges: TypeAlias = dict[Id, Literal[1, -1]]
"""Which ids came (1) and which went (-1)."""


class Transition(NamedTuple):
    """What a transaction did to one cell, or to one value, as TinyBase's ``[changed, old, new]``."""

    changed: bool
    """Whether the transaction touched it; also when it was put back as it was."""
    old: Cell | MissingType
    """What it was before, or MISSING."""
    new: Cell | MissingType
    """What it is now, or MISSING."""


GetCellChange: TypeAlias = Callable[[Id, Id, Id], Transition]
GetValueChange: TypeAlias = Callable[[Id], Transition]
GetIdChanges: TypeAlias = Callable[[], IdChanges]

RowChanges: TypeAlias = Mapping[Id, Cell | MissingType]
"""New cells of a row by id; MISSING stands for a deleted one."""


class Changes(NamedTuple):
    """The net difference that a transaction made, to be replayed with `Store.apply_changes`.

    ``MISSING`` stands for a deleted table, row, cell or value. It is TinyBase's ``[tables, values, 1]``.
    """

    tables: dict[Id, dict[Id, dict[Id, Cell | MissingType] | MissingType] | MissingType]
    values: dict[Id, Cell | MissingType]
    is_changes: Literal[1] = 1


class TransactionLog(NamedTuple):
    """Everything there is to know about a transaction, as TinyBase's 10-tuple.

    Cells are in their encoded form (see `replicell.store.cells`), pairs are ``(old, new)``, and ids that were
    not given where something invalid was written are `MISSING`.
    """

    cells_touched: bool
    values_touched: bool
    changed_cells: dict[Id, dict[Id, dict[Id, tuple[EncodedCell | MissingType, EncodedCell | MissingType]]]]
    invalid_cells: dict[Id | MissingType, dict[Id | MissingType, dict[Id | MissingType, list[Any]]]]
    changed_values: dict[Id, tuple[EncodedCell | MissingType, EncodedCell | MissingType]]
    invalid_values: dict[Id | MissingType, list[Any]]
    changed_table_ids: IdChanges
    changed_row_ids: dict[Id, IdChanges]
    changed_cell_ids: dict[Id, dict[Id, IdChanges]]
    changed_value_ids: IdChanges


class TransactionEdits(NamedTuple):
    """What a transaction has written, as a persister takes it over.

    Cells are in their encoded form, `MISSING` where they were deleted. The cells and values belong to the
    caller; the rest is the store's own and valid only until the transaction is over.
    """

    cells: dict[Id, dict[Id, dict[Id, EncodedCell | MissingType]]]
    row_ids: Mapping[Id, IdChanges]
    values: dict[Id, EncodedCell | MissingType]
    invalid_cells: Mapping[Id | MissingType, Mapping[Id | MissingType, Mapping[Id | MissingType, list[Any]]]]
    invalid_values: Mapping[Id | MissingType, list[Any]]
    touched_cells: Mapping[Id, Mapping[Id, Mapping[Id, object]]]
    """What was written at all, also what is now as it was before."""
    touched_values: Mapping[Id, object]


class SharedCells(dict[Id, Any]):
    """The old cells, or the id changes, of rows that came; one object for all rows with the same cells.

    A transaction that adds many rows would otherwise hold two more dicts for each. Whoever wants to change
    one puts a plain copy in its place first.
    """

    __slots__ = ()


class TransactionRecord:
    """What the open transaction has touched so far.

    Only the first old content of each touched cell is kept; its new content is in the store. Ids are noted as
    they come and go, cancelling out, in the order in which listeners will hear of them.
    """

    __slots__ = (
        "cell_ids",
        "cells",
        "invalid_cells",
        "invalid_values",
        "row_ids",
        "shapes",
        "table_cell_ids",
        "table_ids",
        "value_ids",
        "values",
    )

    def __init__(self) -> None:
        self.cells: dict[Id, dict[Id, dict[Id, EncodedCell | MissingType]]] = {}
        self.table_ids: IdChanges = {}
        self.table_cell_ids: dict[Id, IdChanges] = {}
        self.row_ids: dict[Id, IdChanges] = {}
        self.cell_ids: dict[Id, dict[Id, IdChanges]] = {}
        self.values: dict[Id, EncodedCell | MissingType] = {}
        self.value_ids: IdChanges = {}
        self.shapes: dict[tuple[Id, ...], tuple[SharedCells, SharedCells]] = {}
        """What is shared by the rows that came, by their cell ids."""
        self.invalid_cells: dict[Id | MissingType, dict[Id | MissingType, dict[Id | MissingType, list[Any]]]]
        self.invalid_cells = {}
        self.invalid_values: dict[Id | MissingType, list[Any]] = {}

    def clear(self) -> None:
        """Forget everything; the new, empty `cells` stand for another transaction."""
        self.cells = {}
        if self.row_ids or self.cell_ids or self.values or self.invalid_cells or self.invalid_values:
            self.clear_changes()
            self.invalid_cells = {}
            self.invalid_values = {}

    def clear_changes(self) -> None:
        """Forget what was changed, but not what was invalid."""
        for noted in (
            self.cells,
            self.table_ids,
            self.table_cell_ids,
            self.row_ids,
            self.cell_ids,
            self.shapes,
            self.values,
            self.value_ids,
        ):
            noted.clear()

    def touch_cell(self, table_id: Id, row_id: Id, cell_id: Id, old: EncodedCell | MissingType) -> None:
        """Note what a cell was before its first change."""
        rows = self.cells.get(table_id)
        if rows is None:
            self.cells[table_id] = {row_id: {cell_id: old}}
            return
        cells = rows.get(row_id)
        if cells is None:
            rows[row_id] = {cell_id: old}
        elif cell_id not in cells:
            if type(cells) is SharedCells:
                cells = rows[row_id] = dict(cells)
            cells[cell_id] = old

    def touch_new_row(self, table_id: Id, row_id: Id, row: EncodedRow) -> None:
        """Note that a row came, with all its cells."""
        shape = tuple(row)
        shared = self.shapes.get(shape)
        if shared is None:
            shared = self._shared(shape)
        row_ids = self.row_ids.get(table_id)
        if row_ids is None:
            row_ids = self.row_ids[table_id] = {}
        rows = self.cells.get(table_id)
        if rows is None:
            rows = self.cells[table_id] = {}
        id_rows = self.cell_ids.get(table_id)
        if id_rows is None:
            id_rows = self.cell_ids[table_id] = {}
        if row_id not in rows:
            # Nothing is noted of it anywhere, as it is touched for the first time.
            rows[row_id], id_rows[row_id] = shared
            row_ids[row_id] = 1
            return
        note_id(row_ids, row_id, 1)
        for cell_id in row:
            self.touch_cell(table_id, row_id, cell_id, MISSING)
        for cell_id in row:
            self.touch_cell_id(table_id, row_id, cell_id, 1)

    def touch_first_rows(self, table_id: Id, rows: EncodedTable, shapes: Collection[tuple[Id, ...]]) -> None:
        """Note that rows came, of which nothing is noted yet.

        Args:
            table_id: The table.
            rows: The rows.
            shapes: Their cell ids; most often all rows have the same.
        """
        old = self.cells.setdefault(table_id, {})
        came = self.cell_ids.setdefault(table_id, {})
        if len(shapes) == 1:
            (shape,) = shapes
            shared_old, shared_came = self._shared(shape)
            old.update(dict.fromkeys(rows, shared_old))
            came.update(dict.fromkeys(rows, shared_came))
        else:
            for row_id, row in rows.items():
                old[row_id], came[row_id] = self._shared(tuple(row))
        self.row_ids.setdefault(table_id, {}).update(dict.fromkeys(rows, 1))

    def touch_old_row(self, table_id: Id, row_id: Id, row: EncodedRow) -> None:
        """Note what all cells of a row were, before it goes."""
        rows = self.cells.get(table_id)
        if rows is None:
            rows = self.cells[table_id] = {}
        if row_id not in rows:
            rows[row_id] = dict(row)
        else:
            for cell_id, old in row.items():
                self.touch_cell(table_id, row_id, cell_id, old)
        for cell_id in row:
            self.touch_cell_id(table_id, row_id, cell_id, -1)
        note_id(self.row_ids.setdefault(table_id, {}), row_id, -1)

    def touch_cell_id(self, table_id: Id, row_id: Id, cell_id: Id, change: Literal[1, -1]) -> None:
        """Note that a cell came or went."""
        rows = self.cell_ids.get(table_id)
        if rows is None:
            self.cell_ids[table_id] = {row_id: {cell_id: change}}
            return
        ids = rows.get(row_id)
        if ids is None:
            rows[row_id] = {cell_id: change}
            return
        if type(ids) is SharedCells:
            ids = rows[row_id] = dict(ids)
        note_id(ids, cell_id, change)

    def touch_table_cell_id(self, table_id: Id, cell_id: Id, change: Literal[1, -1]) -> None:
        """Note that the first cell of an id came to a table, or the last one went."""
        note_id(self.table_cell_ids.setdefault(table_id, {}), cell_id, change)

    def _shared(self, shape: tuple[Id, ...]) -> tuple[SharedCells, SharedCells]:
        shared = self.shapes.get(shape)
        if shared is None:
            shared = self.shapes[shape] = (
                SharedCells(dict.fromkeys(shape, MISSING)),
                SharedCells(dict.fromkeys(shape, 1)),
            )
        return shared

    def refuse_cell(
        self, table_id: Id | MissingType, row_id: Id | MissingType, cell_id: Id | MissingType, cell: object
    ) -> None:
        """Note that something could not be stored in a cell."""
        rows = self.invalid_cells.setdefault(table_id, {})
        rows.setdefault(row_id, {}).setdefault(cell_id, []).append(cell)

    def refuse_value(self, value_id: Id | MissingType, value: object) -> None:
        """Note that something could not be stored as a value."""
        self.invalid_values.setdefault(value_id, []).append(value)

    def changes(self, tables: Mapping[Id, EncodedTable], values: EncodedRow) -> Changes:
        """Return the net changes, given the store's present content."""
        table_changes: dict[Id, dict[Id, dict[Id, Cell | MissingType] | MissingType] | MissingType] = {}
        for table_id, rows in self.cells.items():
            if self.table_ids.get(table_id) == -1:
                table_changes[table_id] = MISSING
                continue
            row_ids = self.row_ids.get(table_id, {})
            table = tables.get(table_id, {})
            row_changes: dict[Id, dict[Id, Cell | MissingType] | MissingType] = {}
            for row_id, cells in rows.items():
                if row_ids.get(row_id) == -1:
                    row_changes[row_id] = MISSING
                else:
                    cell_changes = _net_changes(cells, table.get(row_id, {}))
                    if cell_changes:
                        row_changes[row_id] = cell_changes
            if row_changes:
                table_changes[table_id] = row_changes
        return Changes(table_changes, _net_changes(self.values, values))

    def edits(self, tables: Mapping[Id, EncodedTable], values: EncodedRow) -> TransactionEdits:
        """Return what is now in everything that has changed, given the store's present content."""
        edited: dict[Id, dict[Id, dict[Id, EncodedCell | MissingType]]] = {}
        for table_id, rows in self.cells.items():
            table = tables.get(table_id, _NO_ROWS)
            edited_rows: dict[Id, dict[Id, EncodedCell | MissingType]] = {}
            for row_id, olds in rows.items():
                row = table.get(row_id, _NO_CELLS)
                news = cast(
                    "dict[Id, EncodedCell | MissingType]",
                    dict(row) if type(olds) is SharedCells else _news(olds, row),
                )
                if news:
                    edited_rows[row_id] = news
            if edited_rows:
                edited[table_id] = edited_rows
        return TransactionEdits(
            edited,
            self.row_ids,
            _news(self.values, values) if self.values else {},
            self.invalid_cells,
            self.invalid_values,
            self.cells,
            self.values,
        )

    def log(self, tables: Mapping[Id, EncodedTable], values: EncodedRow) -> TransactionLog:
        """Return the whole record as copies, given the store's present content."""
        changed_cells = {}
        for table_id, rows in self.cells.items():
            table = tables.get(table_id, {})
            changed_rows = {}
            for row_id, cells in rows.items():
                pairs = _net_pairs(cells, table.get(row_id, {}))
                if pairs:
                    changed_rows[row_id] = pairs
            if changed_rows:
                changed_cells[table_id] = changed_rows
        return TransactionLog(
            bool(self.cells),
            bool(self.values),
            changed_cells,
            {
                t: {r: {c: list(bad) for c, bad in cells.items()} for r, cells in rows.items()}
                for t, rows in self.invalid_cells.items()
            },
            _net_pairs(self.values, values),
            {value_id: list(bad) for value_id, bad in self.invalid_values.items()},
            dict(self.table_ids),
            {table_id: dict(ids) for table_id, ids in self.row_ids.items() if ids},
            _copy_of_cell_ids(self.cell_ids),
            dict(self.value_ids),
        )

    def __str__(self) -> str:
        touched = [
            f"{table_id}/{row_id}/{cell_id}"
            for table_id, rows in self.cells.items()
            for row_id, cells in rows.items()
            for cell_id in cells
        ]
        touched += [f"value {value_id}" for value_id in self.values]
        if not touched:
            return "a transaction that touched nothing"
        more = f" and {len(touched) - 3} more" if len(touched) > 3 else ""
        return f"the transaction that touched {', '.join(touched[:3])}{more}"


def note_id(ids: IdChanges, thing_id: Id, change: Literal[1, -1]) -> None:
    """Note that an id came or went; going cancels coming, and the other way round."""
    if ids.get(thing_id) == -change:
        del ids[thing_id]
    else:
        ids[thing_id] = change


def _news(
    olds: Mapping[Id, EncodedCell | MissingType], row: EncodedRow
) -> dict[Id, EncodedCell | MissingType]:
    news = {}
    for thing_id, old in olds.items():
        new = row.get(thing_id, MISSING)
        if new is not old and not is_same_cell(old, new):
            news[thing_id] = new
    return news


def _net_changes(
    olds: Mapping[Id, EncodedCell | MissingType], news: EncodedRow
) -> dict[Id, Cell | MissingType]:
    changes: dict[Id, Cell | MissingType] = {}
    for thing_id, old in olds.items():
        new = news.get(thing_id, MISSING)
        if not is_same_cell(old, new):
            changes[thing_id] = MISSING if new is MISSING else decode_cell(new)
    return changes


def _net_pairs(
    olds: Mapping[Id, EncodedCell | MissingType], news: EncodedRow
) -> dict[Id, tuple[EncodedCell | MissingType, EncodedCell | MissingType]]:
    pairs = {}
    for thing_id, old in olds.items():
        new = news.get(thing_id, MISSING)
        if not is_same_cell(old, new):
            pairs[thing_id] = (old, new)
    return pairs


def _copy_of_cell_ids(cell_ids: dict[Id, dict[Id, IdChanges]]) -> dict[Id, dict[Id, IdChanges]]:
    copied = {
        table_id: {row_id: dict(ids) for row_id, ids in rows.items() if ids}
        for table_id, rows in cell_ids.items()
    }
    return {table_id: rows for table_id, rows in copied.items() if rows}
