"""Groups of selected rows that agree in all cells without an aggregate."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeAlias

from replicell.store.cells import is_rich
from replicell.store.changes import EncodedRow
from replicell.store.extractors import get_cell_of
from replicell.store.ids import Id, IdPool
from replicell.store.missing import MISSING
from replicell.store.queries.aggregates import Aggregator, aggregator_of
from replicell.store.queries.clauses import Clauses, Group
from replicell.store.queries.equality import key_of
from replicell.store.queries.links import Failed, Put
from replicell.store.sorted_rows import default_sort_key

__all__ = ["Grouping"]

_Key: TypeAlias = tuple[Hashable, ...]


class _Leaf:
    """One group."""

    __slots__ = ("aggregators", "cells", "is_shown", "row_id", "size", "sort_key")

    def __init__(self, cells: EncodedRow, sort_key: tuple[object, ...]) -> None:
        self.cells = cells
        """What all its rows agree in."""
        self.sort_key = sort_key
        self.size = 0
        self.row_id: Id | None = None
        """The id of its result row, which it keeps, shown or not, as long as it lives."""
        self.is_shown = False
        self.aggregators: dict[Id, tuple[tuple[Id, Aggregator], ...]] = {}


class Grouping:
    """The groups of one query, kept up to date row by row.

    Args:
        clauses: What the query says.
        selected_ids: The ids of all selected cells; those that are not aggregated make the groups.
    """

    __slots__ = (
        "_aggregated",
        "_havings",
        "_key_ids",
        "_leaf_of_row",
        "_leaves",
        "_numbered",
        "_pool",
        "found_rich",
    )

    def __init__(self, clauses: Clauses, selected_ids: tuple[Id, ...]) -> None:
        named = {group.id: group for group in clauses.groups}
        self._aggregated: dict[Id, list[Group]] = {}
        for group in named.values():
            self._aggregated.setdefault(group.selected_id, []).append(group)
        self._key_ids = tuple([cell_id for cell_id in selected_ids if cell_id not in self._aggregated])
        self._havings = clauses.havings
        self._leaves: dict[_Key, _Leaf] = {}
        self._leaf_of_row: dict[Id, _Leaf] = {}
        """The shown groups, by the ids of their result rows."""
        self._pool = IdPool()
        self._numbered = 0
        """How many groups have an id."""
        self.found_rich = False
        """Whether an aggregate ever was an object or array."""

    def sort_key(self, row_id: Id) -> tuple[object, ...]:
        """Return what the cells of a group sort by, which does not depend on how it came about."""
        return self._leaf_of_row[row_id].sort_key

    def move(
        self, row_id: Id, old: EncodedRow | None, new: EncodedRow | None, put: Put, failed: Failed
    ) -> None:
        """Take in that a selected row came (`old` is None), went (`new` is None) or changed."""
        old_key = None if old is None else self._key(old)
        new_key = None if new is None else self._key(new)
        if old_key is not None and old_key != new_key:
            leaf = self._leaves[old_key]
            leaf.size -= 1
            if not leaf.size:
                del self._leaves[old_key]
            self._aggregate(leaf, row_id, old, None, failed)
            self._show(leaf, put, failed)
        if new is not None and new_key is not None:
            leaf = self._leaves.get(new_key) or self._plant(new_key, new)
            if old_key != new_key:
                leaf.size += 1
            self._aggregate(leaf, row_id, old if old_key == new_key else None, new, failed)
            self._show(leaf, put, failed)

    def _key(self, row: EncodedRow) -> _Key:
        return tuple([key_of(row.get(cell_id, MISSING)) for cell_id in self._key_ids])

    def _plant(self, key: _Key, row: EncodedRow) -> _Leaf:
        cells = {cell_id: row[cell_id] for cell_id in self._key_ids if cell_id in row}
        sort_key = tuple([default_sort_key(row.get(cell_id, MISSING)) for cell_id in self._key_ids])
        leaf = self._leaves[key] = _Leaf(cells, (sort_key, tuple(map(repr, key))))
        leaf.aggregators = {
            selected_id: tuple([(group.id, aggregator_of(group)) for group in groups])
            for selected_id, groups in self._aggregated.items()
        }
        return leaf

    def _aggregate(
        self, leaf: _Leaf, row_id: Id, old: EncodedRow | None, new: EncodedRow | None, failed: Failed
    ) -> None:
        for selected_id, aggregators in leaf.aggregators.items():
            old_cell = MISSING if old is None else old.get(selected_id, MISSING)
            new_cell = MISSING if new is None else new.get(selected_id, MISSING)
            if key_of(old_cell) != key_of(new_cell):
                for _, aggregator in aggregators:
                    try:
                        aggregator.change(row_id, old_cell, new_cell)
                    except Exception as error:
                        failed(error)

    def _show(self, leaf: _Leaf, put: Put, failed: Failed) -> None:
        """Give the result row of a group as it is now, or take it away."""
        row = self._row(leaf) if leaf.size else {}
        if row and self._passes(row, failed):
            if leaf.row_id is None:
                leaf.row_id = self._pool.take()
                self._numbered += 1
            if not leaf.is_shown:
                leaf.is_shown = True
                self._leaf_of_row[leaf.row_id] = leaf
            put(leaf.row_id, row)
            return
        if leaf.row_id is None:
            return
        if leaf.is_shown:
            leaf.is_shown = False
            put(leaf.row_id, None)
            del self._leaf_of_row[leaf.row_id]
        if not leaf.size:
            self._pool.release(leaf.row_id)
            self._numbered -= 1
            if not self._numbered:
                self._pool = IdPool()

    def _row(self, leaf: _Leaf) -> EncodedRow:
        row = dict(leaf.cells)
        for aggregators in leaf.aggregators.values():
            for grouped_id, aggregator in aggregators:
                result = aggregator.result()
                if result is not MISSING:
                    row[grouped_id] = result
                    self.found_rich = self.found_rich or is_rich(result)
                else:
                    row.pop(grouped_id, None)
        return row

    def _passes(self, row: EncodedRow, failed: Failed) -> bool:
        get_cell = get_cell_of(row)
        try:
            return all(having(get_cell) for having in self._havings)
        except Exception as error:
            failed(error)
            return False
