"""From the rows of a query to the rows of a store, column by column.

Most columns hold plain values of one kind, which is told of many rows at once at a fraction of what a look at
each cell costs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain, repeat
from math import isfinite
from sys import intern
from typing import Any, Final, TypeAlias

from replicell.persisters.content import LoadedRow, RowForm
from replicell.persisters.crsqlite.cells import UnreadableValueError, decode_cell
from replicell.store.cells import RESERVED, EncodedCell, is_rich
from replicell.store.ids import Id
from replicell.store.missing import MISSING, MissingType

__all__ = ["Report", "RowDecoder"]

Report: TypeAlias = Callable[[Id | None, Id | None, str], object]
"""Told the row id, the cell id and the reason of what stands for no cell."""

_Column: TypeAlias = Sequence[EncodedCell | MissingType]

_PLAIN: Final = {str, int, float}


class RowDecoder:
    """Makes rows of what SQLite gave.

    Args:
        columns: The columns, which are the cell ids.
        booleans: Those of which 0 and 1 are booleans.
        report: Told of everything that stands for no cell; the other cells of its row are loaded.

    >>> decoder = RowDecoder(("text", "done"), frozenset(), print)
    >>> decoder.rows(("1", "2"), [("Milk", "Bread"), ("\\ufffdtrue", None)])[0]
    {'1': {'text': 'Milk', 'done': True}, '2': {'text': 'Bread'}}
    """

    def __init__(self, columns: Iterable[Id], booleans: Collection[Id], report: Report) -> None:
        self._columns = tuple(map(intern, columns))
        self._booleans = frozenset(booleans)
        self._report = report

    def rows(
        self, row_ids: Sequence[Id], columns: Sequence[Sequence[Any]]
    ) -> tuple[dict[Id, LoadedRow], RowForm]:
        """Return rows by id, and the form they are in.

        Args:
            row_ids: The rows.
            columns: What stands in each column, in the order of the rows.
        """
        if not columns:
            return {row_id: {} for row_id in row_ids}, RowForm.UNCHECKED
        decoded = [*map(self._decoded, self._columns, repeat(row_ids), columns)]
        if any(column is not given for column, given in zip(decoded, columns, strict=True)):
            return self._assembled(row_ids, decoded)
        cells = map(zip, repeat(self._columns), zip(*columns, strict=True))
        return dict(zip(row_ids, map(dict, cells), strict=True)), RowForm.PLAIN

    def _decoded(self, column: Id, row_ids: Sequence[Id], values: Sequence[Any]) -> _Column:
        """Return the cells of a column, which are the values themselves if all of them are plain."""
        if self._are_plain(column, values):
            return values
        holds_booleans = column in self._booleans
        known: dict[str, EncodedCell | MissingType] = {}
        cells: list[EncodedCell | MissingType] = []
        for row_id, value in zip(row_ids, values, strict=True):
            kind = value.__class__
            if value is None:
                cells.append(MISSING)
            elif (
                (kind is str and value < RESERVED)
                or (kind is int and not holds_booleans)
                or (kind is float and isfinite(value))
            ):
                cells.append(value)
            elif kind is str and value in known:
                cells.append(known[value])
            else:
                cell = self._cell(row_id, column, value)
                if kind is str and cell is not MISSING:
                    known[value] = cell
                cells.append(cell)
        return cells

    def _are_plain(self, column: Id, values: Sequence[Any]) -> bool:
        kinds = set(map(type, values))
        if len(kinds) > 1 or not kinds <= _PLAIN:
            return False
        if str in kinds:
            return bool(max(values) < RESERVED)
        if float in kinds:
            # The sum of numbers one of which is not finite is not finite.
            return isfinite(sum(values))
        return column not in self._booleans

    def _cell(self, row_id: Id, column: Id, value: Any) -> EncodedCell | MissingType:
        try:
            return decode_cell(value, column in self._booleans)
        except UnreadableValueError as error:
            self._report(row_id, column, str(error))
            return MISSING

    def _assembled(
        self, row_ids: Sequence[Id], columns: Sequence[_Column]
    ) -> tuple[dict[Id, LoadedRow], RowForm]:
        names = self._columns
        rows: dict[Id, LoadedRow] = {
            row_id: {name: cell for name, cell in zip(names, cells, strict=True) if cell is not MISSING}
            for row_id, cells in zip(row_ids, zip(*columns, strict=True), strict=True)
        }
        if not all(rows.values()):
            return rows, RowForm.UNCHECKED
        # Decoded columns are lists; the others hold nothing but plain values.
        cells = chain.from_iterable(column for column in columns if type(column) is list)
        return rows, RowForm.RICH if any(map(is_rich, cells)) else RowForm.PLAIN
