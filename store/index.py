"""One index: the rows of a table in slices, kept up to date as rows change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from replicell.store.cells import encode_cell, is_same_cell
from replicell.store.changes import EncodedRow, EncodedTable
from replicell.store.definitions import Definition, Event
from replicell.store.extractors import Extract, RowExtractor, compile_extractor, decoded
from replicell.store.ids import Id, to_id
from replicell.store.key_order import KeyOrder, comparable, sort_key
from replicell.store.missing import MISSING

__all__ = ["Index", "IndexKeys", "RowIdSorter", "SliceIdSorter", "compile_slices"]

SliceIdSorter: TypeAlias = Callable[[Id, Id], float]
"""Compares two slice ids; negative if the first comes first."""

RowIdSorter: TypeAlias = Callable[[Any, Any, Id], float]
"""Compares the sort keys of two rows in a slice, whose id is given too; negative if the first comes first."""

TakeSlices: TypeAlias = Callable[[Id, EncodedRow], tuple[Id, ...]]
"""Returns the ids of the slices that a row belongs to."""

Taken: TypeAlias = "tuple[tuple[Id, ...] | None, Any]"
"""What is taken out of a row: its slice ids, or None if there is no such row, and its sort key."""

Slice: TypeAlias = "dict[Id, None] | KeyOrder"
"""The row ids of a slice: in the order they came to it, or by their sort keys."""


class Index(Definition):
    """One index."""

    __slots__ = (
        "_keys",
        "_keys_of_rows",
        "_order",
        "_slices",
        "_slices_of_rows",
        "_take_key",
        "_take_slices",
    )

    def __init__(self, index_id: Id, table_id: Id, tables: Mapping[Id, EncodedTable]) -> None:
        super().__init__(index_id, table_id, tables)
        self._slices: dict[Id, Slice] = {}
        self._slices_of_rows: dict[Id, tuple[Id, ...]] = {}
        self._keys_of_rows: dict[Id, Any] = {}
        self._order: KeyOrder | None = None
        """The slice ids, if they are sorted."""
        self._take_slices: TakeSlices = _only_slice
        self._take_key: Extract | None = None
        self._keys: IndexKeys = IndexKeys(None, None)

    def define(
        self,
        table_id: Id,
        take_slices: TakeSlices,
        take_key: Extract | None,
        keys: IndexKeys,
    ) -> list[Event]:
        """Give this index a definition, the first or another."""
        before = (self.table_id, self._take_slices, self._take_key, self._keys)
        self.table_id, self._take_slices, self._take_key, self._keys = table_id, take_slices, take_key, keys
        try:
            taken = self.take_all()
        except BaseException:
            self.table_id, self._take_slices, self._take_key, self._keys = before
            raise
        return self.change(taken, True)

    def forget(self) -> None:
        """Begin with nothing."""
        self._slices, self._slices_of_rows, self._keys_of_rows, self._order = {}, {}, {}, None

    def known_rows(self) -> Iterable[Id]:
        """The rows that were there, in a slice or in none."""
        return self._slices_of_rows

    def slice_ids(self) -> list[Id]:
        """The ids of the slices in order."""
        return list(self._slices if self._order is None else self._order)

    def has_slice(self, slice_id: Id) -> bool:
        """Whether there is such a slice."""
        return slice_id in self._slices

    def slice_row_ids(self, slice_id: Id) -> list[Id]:
        """The rows of a slice in order."""
        return list(self._slices.get(slice_id, ()))

    def take(self, row_id: Id, row: EncodedRow | None) -> Taken:
        """Take the slice ids and the sort key out of a row."""
        if row is None:
            return None, MISSING
        key = MISSING if self._take_key is None else self._take_key(row_id, row)
        return self._take_slices(row_id, row), key

    def apply(self, taken: dict[Id, Taken], anew: bool) -> list[Event]:
        """Move rows between and within slices."""
        if anew:
            # As a new definition may sort otherwise, rows and slices stay in their order until all are there.
            self._slices = {slice_id: dict.fromkeys(self._slices[slice_id]) for slice_id in self.slice_ids()}
            self._order = None
        moves = _Moves(self._slices)
        self._move(taken, moves, sort=self._take_key is not None and not anew)
        if anew:
            self._sort_everything(moves)
        else:
            for slice_id, keys in moves.rekeyed.items():
                order = self._slices[slice_id]
                if isinstance(order, KeyOrder) and order.rekey(self._wrapped(slice_id, keys)):
                    moves.changed[slice_id] = None
            for slice_id, keys in moves.entered.items():
                order = self._slices[slice_id]
                if isinstance(order, KeyOrder):
                    order.add_all(self._wrapped(slice_id, keys))
        return moves.events(self.id, self._slices)

    def _move(self, taken: dict[Id, Taken], moves: _Moves, sort: bool) -> None:
        for row_id, (present_slice_ids, key) in taken.items():
            olds = self._slices_of_rows.get(row_id, ())
            slice_ids = present_slice_ids or ()
            if olds != slice_ids:
                for slice_id in olds:
                    if slice_id not in slice_ids:
                        self._leave(row_id, slice_id, moves)
                for slice_id in slice_ids:
                    if slice_id not in olds:
                        self._enter(row_id, slice_id, key, moves, sort)
            if present_slice_ids is None:
                self._slices_of_rows.pop(row_id, None)
                self._keys_of_rows.pop(row_id, None)
                continue
            self._slices_of_rows[row_id] = slice_ids
            if self._take_key is not None and not is_same_cell(self._keys_of_rows.get(row_id, MISSING), key):
                self._keys_of_rows[row_id] = key
                if sort:
                    for slice_id in slice_ids:
                        if slice_id in olds:
                            moves.rekeyed.setdefault(slice_id, {})[row_id] = key

    def _leave(self, row_id: Id, slice_id: Id, moves: _Moves) -> None:
        moves.note(slice_id)
        rows = self._slices[slice_id]
        if isinstance(rows, KeyOrder):
            rows.discard(row_id)
        else:
            del rows[row_id]
        if not rows and slice_id not in moves.entered:
            del self._slices[slice_id]
            moves.slice_ids_changed = True
            if self._order is not None:
                self._order.discard(slice_id)

    def _enter(self, row_id: Id, slice_id: Id, key: Any, moves: _Moves, sort: bool) -> None:
        moves.note(slice_id)
        rows = self._slices.get(slice_id)
        if rows is None:
            rows = self._slices[slice_id] = KeyOrder() if sort else {}
            moves.slice_ids_changed = True
            if self._order is not None:
                self._order.add(slice_id, self._keys.of_slice(slice_id))
        if isinstance(rows, KeyOrder):
            # Added when those that are there have moved, so that equals come in the order of arrival.
            moves.entered.setdefault(slice_id, {})[row_id] = key
        else:
            rows[row_id] = None

    def _sort_everything(self, moves: _Moves) -> None:
        if self._take_key is None:
            self._keys_of_rows = {}
        else:
            for slice_id, unsorted in self._slices.items():
                order = self._slices[slice_id] = KeyOrder()
                keys = {row_id: self._keys_of_rows.get(row_id, MISSING) for row_id in unsorted}
                order.fill(unsorted, self._wrapped(slice_id, keys))
                if list(order) != list(unsorted):
                    moves.changed[slice_id] = None
        if self._keys.sorts_slices:
            self._order = KeyOrder()
            self._order.fill(
                self._slices, {slice_id: self._keys.of_slice(slice_id) for slice_id in self._slices}
            )
            if list(self._order) != list(self._slices):
                moves.slice_ids_changed = True

    def _wrapped(self, slice_id: Id, keys: dict[Id, Any]) -> dict[Id, Any]:
        wrap = self._keys.of_rows(slice_id)
        return {row_id: wrap(key) for row_id, key in keys.items()}


class IndexKeys:
    """What rows and slices are compared by."""

    __slots__ = ("_row_id_sorter", "_slice_key", "sorts_slices")

    def __init__(self, slice_id_sorter: SliceIdSorter | None, row_id_sorter: RowIdSorter | None) -> None:
        self.sorts_slices = slice_id_sorter is not None
        self._slice_key = None if slice_id_sorter is None else comparable(slice_id_sorter)
        self._row_id_sorter = row_id_sorter

    def of_slice(self, slice_id: Id) -> Any:
        """Return what a slice id is compared by."""
        return slice_id if self._slice_key is None else self._slice_key(slice_id)

    def of_rows(self, slice_id: Id) -> Callable[[Any], Any]:
        """Return the function from the sort key of a row in a slice to what it is compared by."""
        sorter = self._row_id_sorter
        if sorter is None:
            return sort_key
        compare = sorter
        wrap = comparable(lambda one, other: compare(one, other, slice_id))
        return lambda key: wrap(decoded(key))


class _Moves:
    """What one change does to an index."""

    __slots__ = ("_slices", "changed", "entered", "had", "rekeyed", "slice_ids_changed")

    def __init__(self, slices: Mapping[Id, Slice]) -> None:
        self._slices = slices
        self.had: dict[Id, bool] = {}
        """Whether the slices concerned were there before."""
        self.changed: dict[Id, None] = {}
        """The slices whose rows, or their order, have changed."""
        self.entered: dict[Id, dict[Id, Any]] = {}
        """The rows that came to sorted slices, with their sort keys."""
        self.rekeyed: dict[Id, dict[Id, Any]] = {}
        """The rows that stay in their slice but with another sort key."""
        self.slice_ids_changed = False

    def note(self, slice_id: Id) -> None:
        """Note that rows of a slice come or go."""
        self.changed[slice_id] = None
        if slice_id not in self.had:
            self.had[slice_id] = slice_id in self._slices

    def events(self, index_id: Id, slices: Mapping[Id, Slice]) -> list[Event]:
        """Say what there is to tell."""
        events: list[Event] = [("slice_ids", (index_id,), ())] if self.slice_ids_changed else []
        for slice_id, had in self.had.items():
            has = slice_id in slices
            if has is not had:
                events.append(("has_slice", (index_id, slice_id), (has,)))
        events.extend(("slice_row_ids", (index_id, slice_id), ()) for slice_id in self.changed)
        return events


def _only_slice(_row_id: Id, _row: EncodedRow) -> tuple[Id, ...]:
    return ("",)


def compile_slices(extractor: RowExtractor | None) -> TakeSlices:
    """Compile the extractor of slice ids: MISSING stands for the slice ``""``, a list for several slices."""
    if extractor is None:
        return _only_slice
    extract = compile_extractor(extractor, encoded=True)
    if not callable(extractor):
        return lambda row_id, row: (_slice_id(extract(row_id, row)),)

    def take_slices(row_id: Id, row: EncodedRow) -> tuple[Id, ...]:
        found = extract(row_id, row)
        if isinstance(found, (list, tuple, set, frozenset)):
            return tuple(dict.fromkeys([_slice_id(slice_id) for slice_id in found]))
        return (_slice_id(found),)

    return take_slices


def _slice_id(found: Any) -> Id:
    if found.__class__ is str:
        text: Id = found
        return text
    if found is MISSING:
        return ""
    return to_id(encode_cell(found) if isinstance(found, (Mapping, list)) else found)
