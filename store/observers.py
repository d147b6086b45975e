"""Following what is in a store from one transaction to the next.

Observers differ from listeners in when they are told: after the transaction, when the store may be written
to again, with the content as the transaction left it. They are told in the order in which they began, each of
every state that differs from the one before. Observables (`replicell.store.observables`) and what can be
awaited (`replicell.store.watching`) are built on them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, Literal, TypeAlias

from replicell.store.cells import EncodedCell, is_same_cell
from replicell.store.changes import EncodedRow, EncodedTable, TransactionRecord
from replicell.store.ids import Id
from replicell.store.missing import MISSING, MissingType

__all__ = ["NOTHING", "Observation", "ObservedPart", "Observers", "Part", "same_content"]

Part: TypeAlias = Literal["content", "ids"]
"""Whether what is in something is observed, or only the ids of what is directly below it."""

NOTHING: Any = MISSING
"""What `read` returns if there is nothing to tell."""

_NO_ROWS: EncodedTable = {}
_NO_CELLS: EncodedRow = {}


class Observation:
    """One observer of one thing.

    Args:
        name: What is observed, for errors.
        read: Reads it, decoded; `NOTHING` stands for no news.
        tell: Takes what was read.
        compares: Whether what is read may be what it was, so that it must be compared before it is told.
    """

    __slots__ = ("_releases", "active", "compares", "known", "name", "read", "tell", "turn")

    def __init__(
        self,
        name: str,
        read: Callable[[], Any],
        tell: Callable[[Any], object],
        *,
        compares: bool = False,
    ) -> None:
        self.name = name
        self.read = read
        self.tell = tell
        self.compares = compares
        self.active = True
        self.known: Any = NOTHING
        """What was read last, if that must be compared; not what was told, which may have been altered."""
        self.turn = 0
        """When it began, counted from the first observation."""
        self._releases: list[Callable[[], object]] = []

    def on_release(self, release: Callable[[], object]) -> None:
        """Say what is to be done when nobody observes any more."""
        self._releases.append(release)

    def release(self) -> None:
        """Take it out of where it is; called once, in the thread that owns the store."""
        for release in self._releases:
            release()

    def remember(self, content: Any) -> None:
        """Note what is known, so that it is not told again."""
        self.known = _copied(content)

    def news(self) -> Any:
        """Read again; give what is to be told, or `NOTHING` if it is what it was."""
        content = self.read()
        if content is NOTHING:
            return NOTHING
        if self.known is not NOTHING:
            if same_content(content, self.known):
                return NOTHING
            self.known = _copied(content) if self.compares else NOTHING
        return content


class _Failure:
    """Stands for what could not be read."""

    __slots__ = ("error",)

    def __init__(self, error: Exception) -> None:
        self.error = error


class ObservedPart:
    """All observations of a table, a row, a cell, or of the whole that these are part of."""

    __slots__ = ("content", "ids", "parts")

    def __init__(self) -> None:
        self.content: dict[Observation, None] = {}
        self.ids: dict[Observation, None] = {}
        self.parts: dict[Id, ObservedPart] = {}

    def __bool__(self) -> bool:
        return bool(self.content or self.ids or self.parts)

    def add(self, path: tuple[Id, ...], part: Part, observation: Observation) -> None:
        """Put an observation where what it observes is, some levels below."""
        if path:
            self.parts.setdefault(path[0], ObservedPart()).add(path[1:], part, observation)
        else:
            (self.content if part == "content" else self.ids)[observation] = None

    def remove(self, path: tuple[Id, ...], part: Part, observation: Observation) -> None:
        """Take back `add`."""
        if path:
            below = self.parts[path[0]]
            below.remove(path[1:], part, observation)
            if not below:
                del self.parts[path[0]]
        else:
            del (self.content if part == "content" else self.ids)[observation]


class Observers:
    """All observers of a store."""

    __slots__ = (
        "_derived",
        "_emitting",
        "_ended",
        "_followers",
        "_tables",
        "_turns",
        "_unsettled",
        "_values",
        "cells",
        "values",
        "waiting",
    )

    def __init__(self, tables: Mapping[Id, EncodedTable], values: EncodedRow) -> None:
        self._tables = tables
        self._values = values
        self.cells = ObservedPart()
        self.values = ObservedPart()
        self._followers: dict[Observation, None] = {}
        """Those of transactions themselves."""
        self._derived: dict[Observation, None] = {}
        """Those of indexes, metrics and the like, which say themselves when they have changed."""
        self._unsettled: list[Observation] = []
        """Those that began within the open transaction, and know what may be undone."""
        self._ended: deque[Observation] = deque()
        """Those that ended in another thread."""
        self._turns = 0
        self.waiting: deque[tuple[Observation, Any]] = deque()
        """What is to be told to whom."""
        self._emitting = False

    @property
    def follows_store(self) -> bool:
        """Whether a transaction could be noticed here."""
        return bool(self.cells or self.values or self._followers)

    # --- beginning and ending -----------------------------------------------------------------------------

    def observe(
        self, half: Literal["cells", "values"], path: tuple[Id, ...], part: Part, observation: Observation
    ) -> None:
        """Begin to follow the tables or values, or something in them."""
        self._begin(observation)
        observed = self.cells if half == "cells" else self.values
        observed.add(path, part, observation)
        observation.on_release(lambda: observed.remove(path, part, observation))

    def observe_derived(self, observation: Observation) -> None:
        """Begin to follow what says by `post` when it has changed."""
        self._begin(observation)
        self._derived[observation] = None
        observation.on_release(lambda: self._derived.pop(observation))

    def follow(self, observation: Observation) -> None:
        """Begin to follow transactions, of whatever they change."""
        self._begin(observation)
        self._followers[observation] = None
        observation.on_release(lambda: self._followers.pop(observation))

    def note_unsettled(self, observation: Observation) -> None:
        """Look at an observation again at the end of the open transaction, even if that is undone."""
        self._unsettled.append(observation)

    def note_undefined(self, depth: int) -> None:
        """Tell that something derived is gone: at the end of the open transaction, or now.

        Args:
            depth: That of the open transaction; 0 if there is none, below 0 while its listeners are called.
        """
        if depth > 0:
            self._unsettled += self._derived
        else:
            self.recheck_derived()
        if depth == 0:
            self.emit()

    def end(self, observation: Observation) -> None:
        """Let go of an observation, which is not told of anything any more, also not of what waits."""
        if observation.active:
            observation.active = False
            observation.release()

    def end_from_elsewhere(self, observation: Observation) -> None:
        """Do what `end` does from a thread that does not own the store, which lets go when it comes by."""
        observation.active = False
        self._ended.append(observation)

    def sweep(self) -> None:
        """Let go of what ended in other threads."""
        while self._ended:
            self._ended.popleft().release()

    def _begin(self, observation: Observation) -> None:
        self.sweep()
        self._turns += 1
        observation.turn = self._turns

    # --- what has changed ---------------------------------------------------------------------------------

    def collect(self, record: TransactionRecord) -> None:
        """Read what a finished transaction has changed of the things observed."""
        if self._ended:
            self.sweep()
        changed: list[Observation] = []
        if self.cells and record.cells:
            self._collect_cells(record, changed)
        if self.values and record.values:
            self._collect_values(record, changed)
        if self._followers and (record.cells or record.values):
            changed += self._followers
        if self._unsettled:
            changed += self._unsettled
            self._unsettled = []
        for observation in sorted(dict.fromkeys(changed), key=_turn):
            self.post(observation)

    def collect_update(self, table_id: Id, row_id: Id, cell_id: Id) -> None:
        """Do what `collect` does, for a transaction that has replaced one cell by another."""
        if self._ended:
            self.sweep()
        changed: list[Observation] = [*self._followers]
        whole = self.cells
        if whole.content:
            changed += whole.content
        table = whole.parts.get(table_id)
        if table is not None:
            if table.content:
                changed += table.content
            row = table.parts.get(row_id)
            if row is not None:
                if row.content:
                    changed += row.content
                cell = row.parts.get(cell_id)
                if cell is not None:
                    changed += cell.content
        if self._unsettled:
            changed = list(dict.fromkeys([*changed, *self._unsettled]))
            self._unsettled = []
        if len(changed) > 1:
            changed.sort(key=_turn)
        for observation in changed:
            self.post(observation)

    def recheck_derived(self) -> None:
        """Look at everything derived, as errors may have kept it from saying that it has changed."""
        for observation in tuple(self._derived):
            self.post(observation)

    def post(self, observation: Observation) -> None:
        """Look at something that has changed, to tell its observer at the end."""
        if not observation.active:
            return
        try:
            content = observation.news()
        except Exception as error:
            # A sorter of the user's, say; it must not keep the others from being told.
            content = _Failure(error)
        if content is not NOTHING:
            self.waiting.append((observation, content))

    def _collect_cells(self, record: TransactionRecord, changed: list[Observation]) -> None:
        whole = self.cells
        if record.table_ids:
            changed += whole.ids
        for table_id in _in_both(whole.parts, record.cells):
            observed = whole.parts[table_id]
            if record.row_ids.get(table_id):
                changed += observed.ids
            self._collect_rows(record, table_id, observed, changed)
        if whole.content and any(self._has_changed(record, table_id) for table_id in record.cells):
            changed += whole.content

    def _collect_rows(
        self, record: TransactionRecord, table_id: Id, observed: ObservedPart, changed: list[Observation]
    ) -> None:
        rows = record.cells[table_id]
        table = self._tables.get(table_id, _NO_ROWS)
        id_rows = record.cell_ids.get(table_id, {})
        for row_id in _in_both(observed.parts, rows):
            observed_row = observed.parts[row_id]
            if observed_row.ids and id_rows.get(row_id):
                changed += observed_row.ids
            row = table.get(row_id, _NO_CELLS)
            changed_cells = list(_changed_of(rows[row_id], row))
            if changed_cells:
                changed += observed_row.content
                for cell_id in changed_cells:
                    cell = observed_row.parts.get(cell_id)
                    if cell is not None:
                        changed += cell.content
        if observed.content and self._has_changed(record, table_id):
            changed += observed.content

    def _has_changed(self, record: TransactionRecord, table_id: Id) -> bool:
        table = self._tables.get(table_id, _NO_ROWS)
        return any(
            True
            for row_id, olds in record.cells[table_id].items()
            for _ in _changed_of(olds, table.get(row_id, _NO_CELLS))
        )

    def _collect_values(self, record: TransactionRecord, changed: list[Observation]) -> None:
        whole = self.values
        if record.value_ids:
            changed += whole.ids
        changed_values = list(_changed_of(record.values, self._values))
        if changed_values:
            changed += whole.content
            for value_id in changed_values:
                value = whole.parts.get(value_id)
                if value is not None:
                    changed += value.content

    # --- telling ------------------------------------------------------------------------------------------

    def tell_first(self, observation: Observation, content: Any) -> None:
        """Tell an observer that has just begun what there is now; what it writes itself is told after it."""
        outermost = not self._emitting
        self._emitting = True
        try:
            observation.tell(content)
        finally:
            if outermost:
                self._emitting = False
        if outermost:
            self.emit()

    def emit(self) -> None:
        """Tell observers, in order, what was collected; what they write themselves is told after it.

        Raises:
            Exception: What an observer raised, or an ExceptionGroup if several did, when all have been told.
        """
        if self._emitting:
            return
        self._emitting = True
        errors: list[Exception] = []
        waiting = self.waiting
        try:
            while waiting:
                observation, content = waiting.popleft()
                if observation.active:
                    try:
                        if type(content) is _Failure:
                            raise content.error
                        observation.tell(content)
                    except Exception as error:
                        error.add_note(f"in an observer of {observation.name}")
                        errors.append(error)
        finally:
            self._emitting = False
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup("several observers failed", errors)


def same_content(one: Any, other: Any) -> bool:
    """Tell whether two decoded cells, rows, tables or lists of ids are the same: True is not 1, 1 is 1.0.

    >>> same_content({"age": 1}, {"age": 1.0}), same_content([1], [True])
    (True, False)
    """
    kind, other_kind = type(one), type(other)
    if kind is dict and other_kind is dict:
        return list(one) == list(other) and all(same_content(one[key], other[key]) for key in one)
    if kind is list and other_kind is list:
        return len(one) == len(other) and all(map(same_content, one, other))
    return bool(one == other) and (kind is bool) is (other_kind is bool)


def _changed_of(olds: Mapping[Id, EncodedCell | MissingType], news: EncodedRow) -> Iterator[Id]:
    for thing_id, old in olds.items():
        if not is_same_cell(old, news.get(thing_id, MISSING)):
            yield thing_id


def _in_both(some: Mapping[Id, object], others: Mapping[Id, object]) -> Collection[Id]:
    """Return the ids in both, at the cost of the smaller, in any order."""
    small, large = (some, others) if len(some) < len(others) else (others, some)
    return [thing_id for thing_id in small if thing_id in large]


def _copied(content: Any) -> Any:
    kind = type(content)
    if kind is dict:
        return {key: _copied(child) for key, child in content.items()}
    return [_copied(child) for child in content] if kind is list else content


def _turn(observation: Observation) -> int:
    return observation.turn
