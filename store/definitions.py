"""What indexes, metrics and relationships have in common: definitions that follow the rows of a table.

A definition takes something out of each row of its table and makes a result of it. It hears of changed rows
through a Row listener and looks at them again when its Table listener is called, so inside a transaction, and
in listeners to cells and rows, results are those of before.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Self, TypeAlias, TypeVar

from replicell.store.changes import EncodedRow, EncodedTable
from replicell.store.hooks import Hook
from replicell.store.ids import Id, IdLike, to_id
from replicell.store.module_listeners import ModuleListeners
from replicell.store.notebook.representation import NotebookRepresentation

if TYPE_CHECKING:
    from reactivex import Observable

    from replicell.store.store import Store

__all__ = ["DefinableModule", "Definition", "Event"]

Event: TypeAlias = tuple[str, tuple[Id, ...], tuple[Any, ...]]
"""The kind of listeners to call, the ids, and further arguments."""

_NO_ROWS: EncodedTable = {}


class Definition(ABC):
    """One index, metric or relationship.

    Rows are looked at in two steps, so that a function of the user's that fails leaves the result as it was:
    first everything is taken out of them, then the result is changed.
    """

    __slots__ = (
        "cell_ids",
        "id",
        "listener_ids",
        "looks_away",
        "pending",
        "stale",
        "table_id",
        "tables",
        "turn",
    )

    def __init__(self, thing_id: Id, table_id: Id, tables: Mapping[Id, EncodedTable]) -> None:
        self.id = thing_id
        self.table_id = table_id
        self.tables = tables
        self.pending: dict[Id, None] = {}
        """Rows that have changed since they were last looked at."""
        self.listener_ids: tuple[Id, ...] = ()
        self.cell_ids: frozenset[Id] | None = None
        """The only cells of a row that matter, or None if that cannot be known."""
        self.turn = 0
        """When this was defined, counted from the first definition."""
        self.looks_away = False
        """Whether looking at the pending rows failed just now."""
        self.stale = False
        """Whether changing the result failed half-way, so that it must be made anew."""

    @abstractmethod
    def known_rows(self) -> Iterable[Id]:
        """The rows that something was taken out of."""

    @abstractmethod
    def take(self, row_id: Id, row: EncodedRow | None) -> Any:
        """Take out of a row, or of its absence, what the result is made of."""

    @abstractmethod
    def apply(self, taken: dict[Id, Any], anew: bool) -> list[Event]:
        """Change the result, and give what there is to tell.

        Args:
            taken: What was taken out of changed rows.
            anew: Whether the definition is new, or was changed, so that `taken` has all rows.
        """

    @abstractmethod
    def forget(self) -> None:
        """Begin with nothing, as the result may be half-changed."""

    def update(self) -> list[Event]:
        """Look at the pending rows, or at all if the last time failed."""
        if self.stale:
            return self.make_anew()
        table = self.tables.get(self.table_id, _NO_ROWS)
        self.looks_away = True
        taken = {row_id: self.take(row_id, table.get(row_id)) for row_id in self.pending}
        self.looks_away = False
        self.pending.clear()
        return self.change(taken, False)

    def make_anew(self) -> list[Event]:
        """Look at all rows."""
        return self.change(self.take_all(), True)

    def take_all(self) -> dict[Id, Any]:
        """Take out of all rows, those known before first."""
        table = self.tables.get(self.table_id, _NO_ROWS)
        row_ids = dict.fromkeys([*self.known_rows(), *table])
        return {row_id: self.take(row_id, table.get(row_id)) for row_id in row_ids}

    def change(self, taken: dict[Id, Any], anew: bool) -> list[Event]:
        """Apply, and note if that fails."""
        if self.stale:
            self.forget()
        self.stale = True
        events = self.apply(taken, anew)
        self.stale = False
        if anew:
            self.pending.clear()
        return events


_D = TypeVar("_D", bound=Definition)
_T = TypeVar("_T")


class DefinableModule(NotebookRepresentation, Generic[_D]):
    """A store's indexes, metrics or relationships."""

    __slots__ = ("_ids_kind", "_listeners", "_store", "_things", "_turns")

    def __init__(self, store: Store, ids_kind: str, *kinds: str) -> None:
        self._store = store
        self._ids_kind = ids_kind
        self._listeners = ModuleListeners(self, ids_kind, *kinds)
        self._things: dict[Id, _D] = {}
        self._turns = 0

    def get_store(self) -> Store:
        """Return the store. Mirrors TinyBase's ``getStore``."""
        return self._store

    def del_listener(self, listener_id: IdLike) -> Self:
        """Remove a listener; unknown ids are ignored. Mirrors TinyBase's ``delListener``."""
        self._store._check_thread()
        self._listeners.remove(listener_id)
        return self

    def destroy(self) -> None:
        """Remove all definitions and stop listening to the store; the object may be used again.

        Mirrors TinyBase's ``destroy``.
        """
        for thing in sorted(self._things.values(), key=lambda thing: thing.turn):
            self._undefine(thing.id)

    def _hook(self, add: Callable[..., Id], *ids: IdLike | None) -> Hook[Any]:
        self._store._check_thread()
        return Hook(partial(add, *ids), self.del_listener)

    def _observe(
        self, name: str, listen: Callable[..., Id], read: Callable[..., _T], *ids: IdLike
    ) -> Observable[_T]:
        """Observe what `read` returns for some ids, given what adds a listener to that."""
        self._store._check_thread()
        # Imported here, so that a store without observables does without reactivex.
        from replicell.store.observables import derived_from

        named = f"{name} {'/'.join(map(to_id, ids))}"
        return derived_from(self._store, named, partial(listen, *ids), self.del_listener, partial(read, *ids))

    def _define(
        self, thing: _D, cell_ids: frozenset[Id] | None, configure: Callable[[_D], list[Event]]
    ) -> bool:
        """Make a definition, or change the one of this id, and tell whether it is new.

        Args:
            thing: What to keep if there is none of this id.
            cell_ids: The only cells of a row that matter, or None.
            configure: Defines the new or the present one and gives what there is to tell. If it fails, the
                present one must be as it was.
        """
        present = self._things.get(thing.id)
        kept = thing if present is None else present
        if present is None:
            self._things[thing.id] = thing
            try:
                self._listeners.call(self._ids_kind)
            except BaseException:
                self._things.pop(thing.id, None)
                raise
        try:
            events = configure(kept)
        except BaseException:
            if present is None:
                self._things.pop(thing.id, None)
                self._listeners.call(self._ids_kind)
            raise
        if self._things.get(kept.id) is kept:
            if self._store._depth > 0:
                self._store._defined_within = True
            kept.cell_ids = cell_ids
            self._turns += 1
            kept.turn = self._turns
            self._listen(kept)
        self._tell(events)
        return present is None

    def _undefine(self, thing_id: Id) -> _D | None:
        thing = self._things.pop(thing_id, None)
        if thing is not None:
            self._stop_listening(thing)
        try:
            self._listeners.call(self._ids_kind)
        finally:
            observers = self._store._observers
            if thing is not None and observers is not None:
                # Listeners are not called for what went with it, as in TinyBase, but Observables are to tell.
                observers.note_undefined(self._store._depth)
        return thing

    def _find(self, thing_id: IdLike) -> _D | None:
        self._store._check_thread()
        return self._things.get(to_id(thing_id))

    def _listen(self, thing: _D) -> None:
        self._stop_listening(thing)
        store, pending, cell_ids = self._store, thing.pending, thing.cell_ids
        record = store._record

        def note_row(_store: Any, table_id: Id, row_id: Id, _change: Any) -> None:
            rows = record.cells.get(table_id)
            touched = None if rows is None else rows.get(row_id)
            if (
                cell_ids is None
                or touched is None
                or not cell_ids.isdisjoint(touched)
                or row_id in record.row_ids.get(table_id, ())
            ):
                pending[row_id] = None

        def update(*_: Any) -> None:
            if pending or thing.stale:
                self._tell(thing.update())

        thing.listener_ids = (
            store.add_row_listener(thing.table_id, None, note_row),
            store.add_table_listener(thing.table_id, update),
        )

    def _stop_listening(self, thing: _D) -> None:
        for listener_id in thing.listener_ids:
            self._store.del_listener(listener_id)
        thing.listener_ids = ()

    def _tell(self, events: Iterable[Event]) -> None:
        for kind, ids, arguments in events:
            self._listeners.call(kind, ids, *arguments)

    def _catch_up(self, touched: Mapping[Id, Iterable[Id]], committed: bool) -> None:
        for thing in list(self._things.values()):
            if thing.looks_away:
                # Its own function failed, and would again; the rows are looked at in the next transaction.
                thing.looks_away = False
                continue
            row_ids = touched.get(thing.table_id, ())
            if row_ids or thing.pending:
                thing.pending.update(dict.fromkeys(row_ids))
                self._tell(thing.update())
