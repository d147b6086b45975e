"""The order of results, and which of them are within the limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from replicell.store.changes import EncodedRow, EncodedTable
from replicell.store.extractors import get_cell_of
from replicell.store.ids import Id
from replicell.store.key_order import sort_key
from replicell.store.missing import MISSING
from replicell.store.queries.clauses import Clauses, Order
from replicell.store.queries.links import Failed, Put
from replicell.store.sorted_rows import SortedView, default_sort_key, same_order

__all__ = ["Ordering"]

_Key: TypeAlias = tuple[Any, ...]
"""What is compared, all keys of a row one after the other."""


class _Descending:
    """A key that comes the later the smaller it is."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Descending) and bool(self.key == other.key)

    def __lt__(self, other: _Descending) -> bool:
        return bool(other.key < self.key)

    def __hash__(self) -> int:
        return hash(self.key)


class _NoPlaces(dict[Id, int]):
    """Places that tell no rows apart: their keys do."""

    def __missing__(self, row_id: Id) -> int:
        return 0


_NO_PLACES: Mapping[Id, int] = _NoPlaces()


class Ordering:
    """All rows of a query in order, of which the result holds a window.

    Args:
        clauses: What the query says.
        last_key: What tells rows apart that compare equal, given the row's id.
        failed: Takes errors of the query's functions.
    """

    __slots__ = ("_edge", "_failed", "_keys", "_last_key", "_limit", "_offset", "_view", "rows")

    def __init__(self, clauses: Clauses, last_key: Callable[[Id], _Key], failed: Failed) -> None:
        self._offset = clauses.offset
        self._limit = clauses.limit
        self._failed = failed
        self._keys = [self._key(order) for order in clauses.orders]
        self._last_key = last_key
        self._view = SortedView(self._key_of)
        self._edge: _Key | None = None
        """The key of the last row in the window, if what comes after it cannot concern the window."""
        self.rows: EncodedTable = {}
        """All rows, also those beyond the limit."""

    @property
    def is_window(self) -> bool:
        """Whether the result may hold fewer rows than there are."""
        return self._limit is not None or self._offset > 0

    @property
    def row_ids(self) -> list[Id]:
        """The ids of the rows in the result, in order."""
        return self._view.window(self._offset, self._limit, False)

    def load(self, rows: EncodedTable, put: Put) -> None:
        """Take all rows there are, and give those in the window."""
        self.rows = rows
        self._view.rebuild(rows, _NO_PLACES)
        for row_id in self.row_ids:
            put(row_id, rows[row_id])
        self._find_edge()

    def follow(
        self, row_ids: Iterable[Id], shown: Mapping[Id, object], put: Put, *, notes_moves: bool
    ) -> bool:
        """Move the rows that have changed, and give what this changes in the window.

        Args:
            row_ids: The rows.
            shown: What is in the result so far.
            put: Takes the rows that come into the window, change in it or leave it.
            notes_moves: Whether anybody wants to know the following.

        Returns:
            Whether rows in the window are in another order now, or others.
        """
        changed = dict.fromkeys(row_ids)
        window = self.row_ids if notes_moves and self.is_window else []
        before = self._view.snapshot() if notes_moves and not self.is_window else ()
        if self._view.stale or len(changed) > 64 + len(self.rows) // 8:
            self._view.rebuild(self.rows, _NO_PLACES)
        else:
            self._view.follow(changed, self.rows, _NO_PLACES)
        if not self.is_window:
            for row_id in changed:
                put(row_id, self.rows.get(row_id))
            return notes_moves and not same_order(before, self._view.snapshot())
        if all(self._stays_beyond(row_id, shown) for row_id in changed):
            return False
        self._move_window(changed, shown, put)
        self._find_edge()
        return notes_moves and window != self.row_ids

    def _stays_beyond(self, row_id: Id, shown: Mapping[Id, object]) -> bool:
        if self._edge is None or row_id in shown:
            return False
        row = self.rows.get(row_id)
        return row is None or self._edge < self._key_of(row_id, row)

    def _find_edge(self) -> None:
        self._edge = None
        if not self._offset and self._limit and len(self._view) >= self._limit:
            self._edge = self._entry(self._near(self._limit - 1, self._limit)[0])

    def _move_window(self, changed: dict[Id, None], shown: Mapping[Id, object], put: Put) -> None:
        """Give what comes and goes; beside the changed rows, only those near an edge of the window can."""
        reach = len(changed)
        size = len(self._view)
        start = min(self._offset, size)
        stop = size if self._limit is None else min(self._offset + self._limit, size)
        inside = dict.fromkeys(self._near(start, min(start + reach, stop)))
        inside.update(dict.fromkeys(self._near(max(stop - reach, start), stop)))
        outside = dict.fromkeys(self._near(max(start - reach, 0), start))
        outside.update(dict.fromkeys(self._near(stop, min(stop + reach, size))))
        edges = (self._near(start, start + 1), self._near(stop - 1, stop)) if start < stop else ()
        first, last = [self._entry(edge[0]) for edge in edges] or (None, None)
        for row_id in changed:
            if row_id not in self.rows or first is None or last is None:
                outside[row_id] = None
            elif not (self._entry(row_id) < first or last < self._entry(row_id)):
                inside[row_id] = None
            else:
                outside[row_id] = None
        for row_id in outside:
            if row_id in shown:
                put(row_id, None)
        for row_id in inside:
            if row_id in changed or row_id not in shown:
                put(row_id, self.rows[row_id])

    def _near(self, start: int, stop: int) -> list[Id]:
        return self._view.window(start, stop - start, False) if start < stop else []

    def _entry(self, row_id: Id) -> _Key:
        return self._key_of(row_id, self.rows[row_id])

    def _key_of(self, row_id: Id, row: EncodedRow) -> _Key:
        whole: _Key = ()
        for key in self._keys:
            whole += key(row)
        return whole + self._last_key(row_id)

    def _key(self, order: Order) -> Callable[[EncodedRow], _Key]:
        by = order.by
        if not callable(by):
            cell_id = by
            if order.descending:
                return lambda row: (_Descending(default_sort_key(row.get(cell_id, MISSING))),)
            return lambda row: default_sort_key(row.get(cell_id, MISSING))
        function = by

        def key(row: EncodedRow) -> _Key:
            try:
                found = sort_key(function(get_cell_of(row)))
            except Exception as error:
                self._failed(error)
                found = sort_key(MISSING)
            return (_Descending(found),) if order.descending else found

        return key
