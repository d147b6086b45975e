"""Who listens to what: the registry that finds the listeners of a change without asking each of them.

Listeners of one kind and phase sit in buckets keyed by the ids they were registered with, ``None`` being the
wildcard. A change to ``(t, r, c)`` looks only into the buckets that can match it, one lookup for each pattern
of wildcards in use, in TinyBase's order: the exact id before the wildcard, the leftmost position first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, TypeAlias, get_args

from replicell.store.ids import Id, IdPool
from replicell.store.missing import MissingType

__all__ = ["KINDS", "Bucket", "Kind", "Listener", "ListenerRegistry", "PhaseListeners", "Wildcards"]

Path: TypeAlias = tuple[Id | None, ...]
"""The ids a listener was registered with; None is the wildcard."""


Kind: TypeAlias = Literal[
    "has_tables",
    "tables",
    "table_ids",
    "has_table",
    "table",
    "table_cell_ids",
    "has_table_cell",
    "row_count",
    "row_ids",
    "sorted_row_ids",
    "has_row",
    "row",
    "cell_ids",
    "has_cell",
    "cell",
    "invalid_cell",
    "has_values",
    "values",
    "value_ids",
    "has_value",
    "value",
    "invalid_value",
    "start_transaction",
    "will_finish_transaction",
    "did_finish_transaction",
]
"""The kinds of listeners, named as in `Store.get_listener_stats`."""

KINDS: tuple[Kind, ...] = get_args(Kind)


class Listener:
    """One registration."""

    __slots__ = ("callback", "id", "kind", "mutator", "path")

    def __init__(
        self, listener_id: Id, kind: Kind, path: Path, callback: Callable[..., Any], mutator: bool
    ) -> None:
        self.id = listener_id
        self.kind: Kind = kind
        self.path = path
        self.callback: Callable[..., Any] | None = callback
        """What is called; None once the listener is removed."""
        self.mutator = mutator

    def describe(self, arguments: tuple[object, ...]) -> str:
        """Name this listener and what it was called with, for the note on its error."""
        callback = getattr(self.callback, "callback", self.callback)
        name = getattr(callback, "__qualname__", None) or repr(callback)
        called_with = ", ".join([repr(it) for it in arguments if not callable(it)])
        role = "mutator listener" if self.mutator else "listener"
        return f"in {self.kind} {role} {self.id!r} ({name}), called with ({called_with})"


Bucket: TypeAlias = list[Listener]


class Wildcards:
    """The listeners of one kind and phase, found by the ids of a change."""

    __slots__ = ("buckets", "patterns")

    def __init__(self) -> None:
        self.buckets: dict[Path, Bucket] = {}
        self.patterns: tuple[tuple[bool, ...], ...] = ()
        """Which positions are exact, for each pattern in use, in the order of dispatch."""

    def __bool__(self) -> bool:
        return bool(self.buckets)

    def __iter__(self) -> Iterator[Listener]:
        for bucket in self.buckets.values():
            yield from bucket

    def add(self, listener: Listener) -> None:
        """Put a listener at the end of its bucket."""
        bucket = self.buckets.get(listener.path)
        if bucket is None:
            self.buckets[listener.path] = [listener]
            self._find_patterns()
        else:
            bucket.append(listener)

    def discard(self, listener: Listener, bucket_in_use: bool) -> bool:
        """Take a listener, already without callback, out of its bucket.

        Args:
            listener: What to take out.
            bucket_in_use: Whether somebody may be iterating over the bucket, so that it must keep its order.

        Returns:
            Whether it is still in its bucket and must be discarded again later.
        """
        bucket = self.buckets.get(listener.path)
        if bucket is None or listener not in bucket:
            return False
        if all(other.callback is None for other in bucket):
            del self.buckets[listener.path]
            self._find_patterns()
            return False
        if bucket_in_use:
            return True
        bucket.remove(listener)
        return False

    def find(self, *ids: Id | MissingType) -> list[Bucket]:
        """Return the buckets that match the ids of a change, in the order of dispatch."""
        if not self.patterns:
            return []
        buckets = self.buckets
        found = []
        if len(ids) == 2:
            # Rows, which everything derived from a table listens to, several times as fast.
            table_id, row_id = ids
            for by_table, by_row in self.patterns:
                row_path = (table_id if by_table else None, row_id if by_row else None)
                bucket = buckets.get(row_path)  # type: ignore[arg-type]  # MISSING is simply not found
                if bucket is not None:
                    found.append(bucket)
            return found
        for pattern in self.patterns:
            path = tuple([thing_id if exact else None for thing_id, exact in zip(ids, pattern, strict=True)])
            bucket = buckets.get(path)  # type: ignore[arg-type]  # MISSING is simply not found
            if bucket is not None:
                found.append(bucket)
        return found

    def find_cell(self, table_id: Id, row_id: Id, cell_id: Id) -> Sequence[Bucket]:
        """Do what `find` does for three ids, several times as fast."""
        if len(self.patterns) == 1:
            by_table, by_row, by_cell = self.patterns[0]
            path = (table_id if by_table else None, row_id if by_row else None, cell_id if by_cell else None)
            bucket = self.buckets.get(path)
            return () if bucket is None else (bucket,)
        found = []
        for by_table, by_row, by_cell in self.patterns:
            path = (table_id if by_table else None, row_id if by_row else None, cell_id if by_cell else None)
            bucket = self.buckets.get(path)
            if bucket is not None:
                found.append(bucket)
        return found

    def of_table(self, table_id: Id) -> list[Bucket]:
        """Return the buckets of one table, whatever their other ids."""
        return [bucket for path, bucket in self.buckets.items() if path[0] == table_id]

    def _find_patterns(self) -> None:
        patterns = {tuple([thing_id is not None for thing_id in path]) for path in self.buckets}
        self.patterns = tuple(sorted(patterns, reverse=True))


class PhaseListeners:
    """All listeners of one phase (the mutators', or the normal one), by kind.

    Start-transaction and will-finish listeners count as mutators, did-finish listeners as normal ones.
    """

    __slots__ = (
        *KINDS,
        "hears_anything",
        "hears_beyond_cells",
        "hears_content",
        "hears_ids",
        "hears_tables",
        "hears_values",
    )

    cell: Wildcards
    cell_ids: Wildcards
    did_finish_transaction: Wildcards
    has_cell: Wildcards
    has_row: Wildcards
    has_table: Wildcards
    has_table_cell: Wildcards
    has_tables: Wildcards
    has_value: Wildcards
    has_values: Wildcards
    invalid_cell: Wildcards
    invalid_value: Wildcards
    row: Wildcards
    row_count: Wildcards
    row_ids: Wildcards
    sorted_row_ids: Wildcards
    start_transaction: Wildcards
    table: Wildcards
    table_cell_ids: Wildcards
    table_ids: Wildcards
    tables: Wildcards
    value: Wildcards
    value_ids: Wildcards
    values: Wildcards
    will_finish_transaction: Wildcards

    def __init__(self) -> None:
        for kind in KINDS:
            setattr(self, kind, Wildcards())
        self.refresh()

    def of(self, kind: Kind) -> Wildcards:
        """Return the listeners of one kind."""
        wildcards: Wildcards = getattr(self, kind)
        return wildcards

    def refresh(self) -> None:
        """Note which groups of kinds anybody listens to, so that a transaction can pass over the others."""
        self.hears_beyond_cells = bool(self.row or self.table or self.tables)
        self.hears_content = self.hears_beyond_cells or bool(self.cell)
        self.hears_ids = bool(
            self.table_ids
            or self.has_table
            or self.table_cell_ids
            or self.has_table_cell
            or self.row_count
            or self.row_ids
            or self.sorted_row_ids
            or self.has_row
            or self.cell_ids
            or self.has_cell
        )
        self.hears_tables = self.hears_content or self.hears_ids or bool(self.has_tables)
        self.hears_values = bool(
            self.has_values or self.values or self.value_ids or self.has_value or self.value
        )
        self.hears_anything = bool(
            self.hears_tables or self.hears_values or self.invalid_cell or self.invalid_value
        )


class ListenerRegistry:
    """All listeners of a store."""

    __slots__ = ("_by_id", "_dead", "_pool", "has_dead", "has_writers", "mutators", "normal")

    def __init__(self) -> None:
        self.mutators = PhaseListeners()
        self.normal = PhaseListeners()
        self.has_writers = False
        """Whether anybody may write before a transaction ends."""
        self._by_id: dict[Id, Listener] = {}
        self._pool = IdPool()
        self._dead: list[Listener] = []
        self.has_dead = False
        """Whether `sweep` has anything to do."""

    def __bool__(self) -> bool:
        return bool(self._by_id)

    def add(self, kind: Kind, path: Path, callback: Callable[..., Any], mutator: bool = False) -> Listener:
        """Register a callback and return its listener, whose id may have been another's before."""
        listener = Listener(self._pool.take(), kind, path, callback, mutator)
        self._by_id[listener.id] = listener
        phase = self._phase_of(listener)
        phase.of(kind).add(listener)
        self._refresh(phase)
        return listener

    def get(self, listener_id: Id) -> Listener | None:
        """Return a listener by its id."""
        return self._by_id.get(listener_id)

    def remove(self, listener_id: Id, dispatching: bool) -> Listener | None:
        """Unregister a listener; it is not called again, not even by a dispatch that is under way.

        Args:
            listener_id: The listener; unknown ids are ignored.
            dispatching: Whether listeners may be being called at this moment.
        """
        listener = self._by_id.pop(listener_id, None)
        if listener is None:
            return None
        listener.callback = None
        self._pool.release(listener_id)
        phase = self._phase_of(listener)
        if phase.of(listener.kind).discard(listener, dispatching):
            self._dead.append(listener)
            self.has_dead = True
        self._refresh(phase)
        return listener

    def sweep(self) -> None:
        """Take out what was removed while listeners were being called."""
        for listener in self._dead:
            self._phase_of(listener).of(listener.kind).discard(listener, False)
        self._dead.clear()
        self.has_dead = False

    def stats(self) -> dict[str, int]:
        """Count the listeners of each kind, the three kinds of transaction listeners together."""
        counts = {kind: 0 for kind in KINDS if not kind.endswith("_transaction")} | {"transaction": 0}
        for listener in self._by_id.values():
            counts["transaction" if listener.kind.endswith("_transaction") else listener.kind] += 1
        return counts

    def _refresh(self, phase: PhaseListeners) -> None:
        phase.refresh()
        mutators = self.mutators
        self.has_writers = mutators.hears_anything or bool(
            mutators.start_transaction or mutators.will_finish_transaction
        )

    def _phase_of(self, listener: Listener) -> PhaseListeners:
        return self.mutators if listener.mutator else self.normal
