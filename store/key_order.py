"""Ids kept in the order of a key, as a stable sort would leave them, without sorting anew.

A `KeyOrder` holds its ids in buckets of a few hundred, so adding, removing or moving one costs a search and
the shifting of a bucket, however many ids there are.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cmp_to_key
from math import isnan
from typing import Any, TypeAlias

from replicell.store.cells import encode_cell
from replicell.store.ids import Id
from replicell.store.missing import MISSING
from replicell.store.sorted_rows import default_sort_key

__all__ = ["KeyOrder", "comparable", "sort_key"]

Entry: TypeAlias = tuple[Any, int]
"""A key, and a number that tells equal keys apart."""


def sort_key(thing: object) -> tuple[int, Any]:
    """Return what the default order compares; `default_sort_key` for anything that a function may return.

    Lists and tuples compare item by item, so a function may return several keys at once.

    >>> sorted([(2, "a"), (1, "b"), (1, "a"), (1,)], key=sort_key)
    [(1,), (1, 'a'), (1, 'b'), (2, 'a')]
    """
    kind = thing.__class__
    if kind is int or (kind is float and thing == thing):
        return (0, thing)
    if isinstance(thing, float) and isnan(thing):
        return (0, 0)
    if isinstance(thing, (list, tuple)):
        return (3, tuple([sort_key(item) for item in thing]))
    if isinstance(thing, Mapping):
        return default_sort_key(encode_cell(thing))
    if thing is None or thing is MISSING or isinstance(thing, (str, int, float)):
        return default_sort_key(thing)
    return (4, thing)


def comparable(compare: Callable[[Any, Any], float]) -> Callable[[Any], Any]:
    """Turn a JavaScript-style comparison into a key function, also one that never finds two things equal.

    >>> key = comparable(lambda one, other: -1 if one < other else 1)
    >>> key(2) == key(2), key(1) < key(2)
    (True, True)
    """

    def signed(one: Any, other: Any) -> int:
        if one is other or compare(one, other) < 0:
            return 0 if one is other else -1
        return 1 if compare(other, one) < 0 else 0

    return cmp_to_key(signed)


class KeyOrder:
    """Ids in the order of their keys, ties in the order in which they came."""

    __slots__ = ("_entries", "_first", "_ids", "_keys", "_last")

    BUCKET = 512
    """Buckets are split when they hold twice as many ids."""

    def __init__(self) -> None:
        self._entries: dict[Id, Entry] = {}
        self._keys: list[list[Entry]] = []
        self._ids: list[list[Id]] = []
        self._first = self._last = 0
        """Numbers below and above which none is used, for ids that come before or after their equals."""

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, thing_id: object) -> bool:
        return thing_id in self._entries

    def __iter__(self) -> Iterator[Id]:
        for bucket in self._ids:
            yield from bucket

    def fill(self, ids: Iterable[Id], keys: Mapping[Id, Any]) -> None:
        """Replace everything: take ids as they are, then sort them by their keys."""
        named = list(ids)
        self._entries = {thing_id: (keys[thing_id], number) for number, thing_id in enumerate(named)}
        named.sort(key=self._entries.__getitem__)
        self._first, self._last = 0, len(named)
        starts = range(0, len(named), self.BUCKET)
        self._ids = [named[start : start + self.BUCKET] for start in starts]
        self._keys = [[self._entries[thing_id] for thing_id in bucket] for bucket in self._ids]

    def add(self, thing_id: Id, key: Any) -> None:
        """Add an id that is not there, after those with an equal key."""
        self._last += 1
        self._insert(thing_id, (key, self._last))

    def add_all(self, keys: Mapping[Id, Any]) -> None:
        """Add ids that are not there, in this order, each after those with an equal key."""
        if len(keys) > 64 + len(self._entries) // 8:
            present = {thing_id: entry[0] for thing_id, entry in self._entries.items()}
            self.fill([*self, *keys], {**present, **keys})
        else:
            for thing_id, key in keys.items():
                self.add(thing_id, key)

    def discard(self, thing_id: Id) -> None:
        """Remove an id, if it is there."""
        entry = self._entries.pop(thing_id, None)
        if entry is not None:
            self._remove(*self._find(entry))

    def rekey(self, keys: Mapping[Id, Any]) -> bool:
        """Give ids that are there new keys, and move them as a stable sort of all would.

        Returns:
            Whether the order has changed.
        """
        if len(keys) == 1:
            ((thing_id, key),) = keys.items()
            return self._rekey_one(thing_id, key)
        moved = any(self._leaves_its_place(thing_id, keys) for thing_id in keys)
        if len(keys) > 64 + len(self._entries) // 8:
            new = {thing_id: keys.get(thing_id, entry[0]) for thing_id, entry in self._entries.items()}
            self.fill(list(self), new)
            return moved
        olds = {thing_id: self._entries[thing_id] for thing_id in keys}
        ascending = sorted(olds, key=olds.__getitem__)
        for thing_id in keys:
            self.discard(thing_id)
        # An id that comes from before its new equals stays before them, one from behind stays behind.
        for thing_id in reversed(ascending):
            old, new = olds[thing_id], keys[thing_id]
            if old[0] < new:
                self._first -= 1
                self._insert(thing_id, (new, self._first))
            elif not new < old[0]:
                self._insert(thing_id, (new, old[1]))
        for thing_id in ascending:
            if keys[thing_id] < olds[thing_id][0]:
                self.add(thing_id, keys[thing_id])
        return moved

    def _rekey_one(self, thing_id: Id, new: Any) -> bool:
        entry = self._entries[thing_id]
        old = entry[0]
        at, place = self._find(entry)
        keys = self._keys[at]
        if old < new:
            self._first -= 1
            changed = (new, self._first)
            behind = keys[place + 1] if place + 1 < len(keys) else None
            if behind is None and at + 1 < len(self._keys):
                behind = self._keys[at + 1][0]
            moved = behind is not None and behind < changed
        elif new < old:
            self._last += 1
            changed = (new, self._last)
            ahead = keys[place - 1] if place > 0 else None
            if ahead is None and at > 0:
                ahead = self._keys[at - 1][-1]
            moved = ahead is not None and changed < ahead
        else:
            changed, moved = (new, entry[1]), False
        if moved:
            self._remove(at, place)
            self._insert(thing_id, changed)
        else:
            keys[place] = self._entries[thing_id] = changed
        return moved

    def _leaves_its_place(self, thing_id: Id, keys: Mapping[Id, Any]) -> bool:
        at, place = self._find(self._entries[thing_id])
        ids = self._ids[at]
        key = keys[thing_id]
        if place > 0:
            before: Id | None = ids[place - 1]
        else:
            before = self._ids[at - 1][-1] if at > 0 else None
        if place + 1 < len(ids):
            after: Id | None = ids[place + 1]
        else:
            after = self._ids[at + 1][0] if at + 1 < len(self._ids) else None
        if before is not None and key < keys.get(before, self._entries[before][0]):
            return True
        return after is not None and bool(keys.get(after, self._entries[after][0]) < key)

    def _find(self, entry: Entry) -> tuple[int, int]:
        at = 0 if len(self._keys) == 1 else bisect_left(self._keys, entry, key=_last_of)
        return at, bisect_left(self._keys[at], entry)

    def _remove(self, at: int, place: int) -> None:
        keys, ids = self._keys[at], self._ids[at]
        del keys[place], ids[place]
        if not keys:
            del self._keys[at], self._ids[at]

    def _insert(self, thing_id: Id, entry: Entry) -> None:
        self._entries[thing_id] = entry
        if not self._keys:
            self._keys, self._ids = [[entry]], [[thing_id]]
            return
        at = len(self._keys) - 1
        if at > 0:
            at = min(bisect_left(self._keys, entry, key=_last_of), at)
        keys, ids = self._keys[at], self._ids[at]
        place = bisect_left(keys, entry)
        keys.insert(place, entry)
        ids.insert(place, thing_id)
        if len(ids) >= 2 * self.BUCKET:
            half = self.BUCKET
            self._keys[at : at + 1] = [keys[:half], keys[half:]]
            self._ids[at : at + 1] = [ids[:half], ids[half:]]


def _last_of(bucket: list[Entry]) -> Entry:
    return bucket[-1]
