"""What changed in a store between two moments, so that it can be undone and done again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, TypeAlias

from replicell.store.cells import EncodedCell, is_same_cell
from replicell.store.ids import Id
from replicell.store.missing import MISSING, MissingType

if TYPE_CHECKING:
    from replicell.store.store import Store

__all__ = ["NEW", "OLD", "Delta", "Side"]

Pair: TypeAlias = tuple["EncodedCell | MissingType", "EncodedCell | MissingType"]
"""What a cell or value was at one checkpoint, and at the next."""

Side: TypeAlias = Literal[0, 1]
OLD: Side = 0
NEW: Side = 1


class Delta:
    """What changed between two checkpoints, net."""

    __slots__ = ("cells", "values")

    def __init__(self) -> None:
        self.cells: dict[Id, dict[Id, dict[Id, Pair]]] = {}
        self.values: dict[Id, Pair] = {}

    def __bool__(self) -> bool:
        return bool(self.cells or self.values)

    def every_cell(self) -> Iterator[tuple[Id, Id, Id, Pair]]:
        """Go through the changed cells."""
        for table_id, rows in self.cells.items():
            for row_id, cells in rows.items():
                for cell_id, pair in cells.items():
                    yield table_id, row_id, cell_id, pair

    def note_cell(
        self,
        table_id: Id,
        row_id: Id,
        cell_id: Id,
        old: EncodedCell | MissingType,
        new: EncodedCell | MissingType,
    ) -> None:
        """Take in a change of a cell; one that comes back to what it was is no change."""
        rows = self.cells.get(table_id)
        if rows is None:
            rows = self.cells[table_id] = {}
        cells = rows.get(row_id)
        if cells is None:
            cells = rows[row_id] = {}
        _note(cells, cell_id, old, new)
        if not cells:
            del rows[row_id]
            if not rows:
                del self.cells[table_id]

    def note_value(
        self, value_id: Id, old: EncodedCell | MissingType, new: EncodedCell | MissingType
    ) -> None:
        """Take in a change of a value."""
        _note(self.values, value_id, old, new)

    def restore(self, store: Store, side: Side) -> None:
        """Write what was at one of the two moments, as far as the schema allows it today."""
        rules = store._tables_rules or {}
        for table_id, row_id, cell_id, pair in self.every_cell():
            cell = pair[side]
            if cell is MISSING:
                store._delete_cell(table_id, row_id, cell_id, True)
                continue
            cell = store._accept_cell(table_id, row_id, cell_id, cell)
            if cell is not MISSING:
                store._put_cell(table_id, row_id, cell_id, cell)
        for table_id, rows in self.cells.items():
            defaults = rules[table_id].defaults if table_id in rules else {}
            for row_id in rows if defaults else ():
                row = store._find_row(table_id, row_id)
                for cell_id, default in defaults.items():
                    if row and cell_id not in row:
                        store._put_cell(table_id, row_id, cell_id, default)
        for value_id, pair in self.values.items():
            value = pair[side]
            if value is not MISSING:
                store._write_value(value_id, value)
            elif value_id in store._values:
                store._delete_value(value_id)

    def is_restored(self, store: Store, side: Side) -> bool:
        """Tell whether everything is as it was at one of the two moments."""
        return all(
            is_same_cell(store._find_row(table_id, row_id).get(cell_id, MISSING), pair[side])
            for table_id, row_id, cell_id, pair in self.every_cell()
        ) and all(
            is_same_cell(store._values.get(value_id, MISSING), pair[side])
            for value_id, pair in self.values.items()
        )


def _note(
    pairs: dict[Id, Pair], thing_id: Id, old: EncodedCell | MissingType, new: EncodedCell | MissingType
) -> None:
    present = pairs.get(thing_id)
    first = old if present is None else present[0]
    if is_same_cell(first, new):
        pairs.pop(thing_id, None)
    else:
        pairs[thing_id] = (first, new)
