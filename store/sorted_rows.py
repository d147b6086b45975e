"""Row ids in the order of a cell, and keeping that order as rows change without sorting anew.

A `SortedView` holds the order of one table by one cell in buckets of a few hundred rows, so that moving a
row costs a search and the copying of one bucket, and a window of rows is found without looking at the
others. Views are shared by all listeners that want the same order, and exist only while somebody listens.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from functools import cmp_to_key
from itertools import chain
from operator import eq
from typing import Any, NamedTuple, TypeAlias

from replicell.store.cells import RICH_PREFIX, EncodedCell, decode_cell
from replicell.store.changes import EncodedRow, EncodedTable
from replicell.store.errors import ArgumentError
from replicell.store.ids import Id, to_id
from replicell.store.missing import MISSING, MissingType

__all__ = ["SortedRows", "SortedRowsSpec", "SortedView", "Sorter", "default_sort_key", "same_order"]

Sorter: TypeAlias = Callable[[Any, Any], int | float]
"""Compares two cells (or row ids); negative if the first comes first. An absent cell is given as MISSING."""

KeyOf: TypeAlias = Callable[[Id, EncodedRow], Any]

_OPTIONS = {
    "tableId": "table_id",
    "cellId": "cell_id",
    "table_id": "table_id",
    "cell_id": "cell_id",
    "descending": "descending",
    "offset": "offset",
    "limit": "limit",
    "sorter": "sorter",
}


def default_sort_key(cell: EncodedCell | MissingType) -> tuple[int, Any]:
    """Return what the default order compares: numbers, with absent, None and False as 0, then strings.

    Strings compare by UTF-16 units as in JavaScript, which differs from Python only where characters beyond
    U+FFFF meet those from U+E000; objects and arrays come last, by their JSON text. TinyBase gives mixed
    types no consistent order, so a total one stands here.

    >>> sorted([3, None, "b", 2.5, "a", True], key=default_sort_key)
    [None, True, 2.5, 3, 'a', 'b']
    """
    if isinstance(cell, MissingType) or cell is None:
        return (0, 0)
    if isinstance(cell, str):
        if cell[:1] == RICH_PREFIX:
            return (2, cell)
        return (1, cell if cell.isascii() or max(cell) < "\U00010000" else _utf16_units(cell))
    return (0, cell)


def _utf16_units(text: str) -> str:
    encoded = text.encode("utf-16-be", "surrogatepass")
    return "".join([chr(high << 8 | low) for high, low in zip(encoded[::2], encoded[1::2], strict=True)])


class SortedRowsSpec(NamedTuple):
    """Which rows are wanted, and in which order."""

    table_id: Id
    cell_id: Id | None
    descending: bool
    offset: int
    limit: int | None
    sorter: Sorter | None

    @classmethod
    def from_arguments(
        cls,
        table_id: object,
        cell_id: object = None,
        descending: object = False,
        offset: int | None = 0,
        limit: int | MissingType | None = None,
        sorter: Sorter | None = None,
    ) -> SortedRowsSpec:
        """Take the arguments of `Store.get_sorted_row_ids`."""
        return cls(
            to_id(table_id),
            None if cell_id is None or cell_id is MISSING else to_id(cell_id),
            bool(descending),
            int(offset or 0),
            None if limit is None or isinstance(limit, MissingType) else int(limit),
            sorter,
        )

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> SortedRowsSpec:
        """Take the same as one mapping, in snake_case or TinyBase's spelling.

        Raises:
            ArgumentError: If an option is unknown or the table is not given.
        """
        known = ", ".join(sorted(set(_OPTIONS.values())))
        arguments = {}
        for name, value in options.items():
            if name not in _OPTIONS:
                raise ArgumentError(f"unknown sorting option {name!r}; there are {known}")
            arguments[_OPTIONS[name]] = value
        if "table_id" not in arguments:
            raise ArgumentError(f"the sorting options do not say which table: give table_id (of {known})")
        return cls.from_arguments(**arguments)

    @property
    def reversed(self) -> bool:
        """Whether the order is that of the view from its end: ties are reversed as well."""
        return self.descending and self.sorter is None

    def key_function(self, for_view: bool = False) -> KeyOf:
        """Return the function from a row to what is compared, ascending.

        Args:
            for_view: Whether a view must find a row again by it, which needs ties to compare as equal.
        """
        cell_id, sorter = self.cell_id, self.sorter
        if sorter is None:
            if cell_id is None:
                return lambda row_id, row: default_sort_key(row_id)
            return lambda row_id, row: default_sort_key(row.get(cell_id, MISSING))
        compare = sorter
        # cmp_to_key looks only at the sign, so any number will do, whatever its type hints say.
        signed: Callable[[Any, Any], Any] = compare
        if self.descending:
            signed = lambda one, other: -compare(one, other)  # noqa: E731  # a function either way
        wrap = cmp_to_key(_with_ties(signed) if for_view else signed)
        if cell_id is None:
            return lambda row_id, row: wrap(row_id)
        return lambda row_id, row: wrap(_decoded(row.get(cell_id, MISSING)))

    def sort(self, table: EncodedTable) -> list[Id]:
        """Sort a table's row ids and return the wanted ones."""
        key_of = self.key_function()
        row_ids = sorted(table, key=lambda row_id: key_of(row_id, table[row_id]))
        if self.reversed:
            row_ids.reverse()
        return row_ids[self.offset : None if self.limit is None else self.offset + self.limit]


class SortedView:
    """The row ids of one table in one order, kept up to date."""

    __slots__ = ("_entries", "_keys", "_last_keys", "_row_ids", "key_of", "settled", "stale", "users")

    BUCKET = 512
    """Buckets are split when they hold twice as many rows."""

    def __init__(self, key_of: KeyOf) -> None:
        self.key_of = key_of
        self.stale = True
        """Whether the order is unknown, because a sorter failed, and must be found by sorting."""
        self.settled = False
        """Whether it is up to date with a transaction that can write no more."""
        self.users = 0
        self._entries: dict[Id, tuple[Any, int]] = {}
        """For each row what it is sorted by: its key, and its place in the table to tell equals apart."""
        self._keys: list[list[tuple[Any, int]]] = []
        self._last_keys: list[tuple[Any, int]] = []
        self._row_ids: list[list[Id]] = []
        """The order, in buckets. Row id buckets are replaced, never changed, so that `snapshot` is cheap."""

    def __len__(self) -> int:
        return len(self._entries)

    def rebuild(self, table: EncodedTable, places: Mapping[Id, int]) -> None:
        """Sort everything."""
        self.stale = True
        key_of = self.key_of
        self._entries = {row_id: (key_of(row_id, row), places[row_id]) for row_id, row in table.items()}
        row_ids = sorted(self._entries, key=self._entries.__getitem__)
        starts = range(0, len(row_ids), self.BUCKET)
        self._row_ids = [row_ids[start : start + self.BUCKET] for start in starts]
        self._keys = [[self._entries[row_id] for row_id in bucket] for bucket in self._row_ids]
        self._last_keys = [keys[-1] for keys in self._keys]
        self.stale = False

    def follow(self, row_ids: Iterable[Id], table: EncodedTable, places: Mapping[Id, int]) -> None:
        """Put the rows that may have changed where they belong now."""
        self.stale = True
        for row_id in row_ids:
            row = table.get(row_id)
            old = self._entries.get(row_id)
            if row is None:
                if old is not None:
                    self._remove(row_id, old)
                continue
            new = (self.key_of(row_id, row), places[row_id])
            if old is None:
                self._insert(row_id, new)
            elif old != new:
                self._remove(row_id, old)
                self._insert(row_id, new)
        self.stale = False

    def snapshot(self) -> tuple[list[Id], ...]:
        """Return the present order in a form that is cheap to keep and compare; see `same_order`."""
        return tuple(self._row_ids)

    def window(self, offset: int, limit: int | None, from_end: bool) -> list[Id]:
        """Return some of the row ids in order, by the rules of a slice ``[offset : offset + limit]``."""
        start, stop, _ = slice(offset, None if limit is None else offset + limit).indices(len(self))
        if stop <= start:
            return []
        if not from_end:
            return self._between(start, stop)
        row_ids = self._between(len(self) - stop, len(self) - start)
        row_ids.reverse()
        return row_ids

    def _between(self, start: int, stop: int) -> list[Id]:
        found: list[Id] = []
        for bucket in self._row_ids:
            size = len(bucket)
            if start < size:
                found += bucket[max(start, 0) : stop] if start > 0 or stop < size else bucket
            start -= size
            stop -= size
            if stop <= 0:
                break
        return found

    def _insert(self, row_id: Id, entry: tuple[Any, int]) -> None:
        self._entries[row_id] = entry
        if not self._keys:
            self._keys, self._last_keys, self._row_ids = [[entry]], [entry], [[row_id]]
            return
        at = min(bisect_left(self._last_keys, entry), len(self._keys) - 1)
        keys, row_ids = self._keys[at], self._row_ids[at]
        place = bisect_left(keys, entry)
        keys.insert(place, entry)
        row_ids = [*row_ids[:place], row_id, *row_ids[place:]]
        self._row_ids[at] = row_ids
        self._last_keys[at] = keys[-1]
        if len(row_ids) >= 2 * self.BUCKET:
            half = self.BUCKET
            self._keys[at : at + 1] = [keys[:half], keys[half:]]
            self._last_keys[at : at + 1] = [keys[half - 1], keys[-1]]
            self._row_ids[at : at + 1] = [row_ids[:half], row_ids[half:]]

    def _remove(self, row_id: Id, entry: tuple[Any, int]) -> None:
        del self._entries[row_id]
        at = bisect_left(self._last_keys, entry)
        keys, row_ids = self._keys[at], self._row_ids[at]
        place = bisect_left(keys, entry)
        del keys[place]
        self._row_ids[at] = [*row_ids[:place], *row_ids[place + 1 :]]
        if keys:
            self._last_keys[at] = keys[-1]
        else:
            del self._keys[at], self._last_keys[at], self._row_ids[at]


class SortedRows:
    """All sorted views of a store, and the places of rows in the tables they are of.

    A place is a number that grows with each row that comes, so it stands for the order of insertion.
    """

    __slots__ = ("_next_place", "_places", "_tables", "views")

    def __init__(self, tables: Mapping[Id, EncodedTable]) -> None:
        self._tables = tables
        self.views: dict[Id, dict[tuple[Id | None, Sorter | None, bool], SortedView]] = {}
        self._places: dict[Id, dict[Id, int]] = {}
        self._next_place = 0

    def open_view(self, spec: SortedRowsSpec, touched: Iterable[Id] = ()) -> SortedView:
        """Return the view in the order asked for, to be closed when it is no longer needed.

        Args:
            spec: The order.
            touched: The rows of its table that the open transaction has touched.
        """
        table_id = spec.table_id
        views = self.views.setdefault(table_id, {})
        if table_id not in self._places:
            self._places[table_id] = {}
            for row_id in self._tables.get(table_id, ()):
                self.row_came(table_id, row_id)
        view = views.get(_view_key(spec))
        if view is None:
            view = views[_view_key(spec)] = SortedView(spec.key_function(for_view=True))
        view.users += 1
        self.follow_view(table_id, view, touched)
        return view

    def close_view(self, spec: SortedRowsSpec) -> None:
        """Give up a view once; when everybody has, it is dropped."""
        views = self.views[spec.table_id]
        view = views[_view_key(spec)]
        view.users -= 1
        if view.users == 0:
            del views[_view_key(spec)]
            if not views:
                del self.views[spec.table_id], self._places[spec.table_id]

    def find_view(self, spec: SortedRowsSpec) -> SortedView | None:
        """Return the view in the order asked for, if somebody has opened it."""
        views = self.views.get(spec.table_id)
        return None if views is None or spec.sorter is not None else views.get(_view_key(spec))

    def row_came(self, table_id: Id, row_id: Id) -> None:
        """Note that a row was put at the end of its table."""
        places = self._places.get(table_id)
        if places is not None:
            places[row_id] = self._next_place
            self._next_place += 1

    def row_went(self, table_id: Id, row_id: Id) -> None:
        """Note that a row was removed."""
        places = self._places.get(table_id)
        if places is not None:
            del places[row_id]

    def follow_view(self, table_id: Id, view: SortedView, row_ids: Iterable[Id]) -> None:
        """Bring one view up to date, given the rows that may have changed."""
        table, places = self._tables.get(table_id, {}), self._places[table_id]
        row_ids = list(row_ids)
        if view.stale or len(row_ids) > 64 + len(table) // 8:
            view.rebuild(table, places)
        else:
            view.follow(row_ids, table, places)

    def follow(self, touched: Mapping[Id, Iterable[Id]]) -> None:
        """Bring all views up to date at the end, given the rows touched in each table."""
        for table_id, views in self.views.items():
            row_ids = touched.get(table_id, ())
            for view in views.values():
                settled, view.settled = view.settled and not view.stale, False
                if row_ids and not settled:
                    try:
                        self.follow_view(table_id, view, row_ids)
                    except Exception:
                        # A sorter failed; the view is stale now, and its listeners will meet the error.
                        continue


def same_order(one: tuple[list[Id], ...], other: tuple[list[Id], ...]) -> bool:
    """Tell whether two snapshots of a view list the same row ids, up to the first difference."""
    alike = 0
    for bucket, other_bucket in zip(one, other, strict=False):
        if bucket is not other_bucket and bucket != other_bucket:
            shorter = min(len(bucket), len(other_bucket))
            if bucket[:shorter] != other_bucket[:shorter]:
                return False
            break
        alike += 1
    rest, other_rest = one[alike:], other[alike:]
    if sum(map(len, rest)) != sum(map(len, other_rest)):
        return False
    return all(map(eq, chain.from_iterable(rest), chain.from_iterable(other_rest)))


def _with_ties(compare: Callable[[Any, Any], Any]) -> Callable[[Any, Any], int]:
    """Make a comparison find ties that never finds any, as many written for JavaScript do."""

    def signed(one: Any, other: Any) -> int:
        before, after = compare(one, other) < 0, compare(other, one) < 0
        return int(after) - int(before)

    return signed


def _view_key(spec: SortedRowsSpec) -> tuple[Id | None, Sorter | None, bool]:
    return (spec.cell_id, spec.sorter, spec.descending and spec.sorter is not None)


def _decoded(cell: EncodedCell | MissingType) -> Any:
    return MISSING if cell is MISSING else decode_cell(cell)
