"""The Store: tables of rows of cells and keyed values, in memory, that can be listened to."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import get_ident
from typing import Any, ParamSpec, Self, TypeVar

from replicell.store.notebook.representation import NotebookRepresentation
from replicell.store.observing import Observing
from replicell.store.presenting import Presenting
from replicell.store.threads import Scheduler

__all__ = ["Store", "create_store"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Store(Observing, Presenting, NotebookRepresentation):
    """Tables of rows of cells, plus keyed values, that tell listeners what changes.

    It mirrors TinyBase's ``Store`` with its methods in snake_case: content that is invalid is dropped and
    reported to invalid-cell and invalid-value listeners, writers return the store, and everything that
    happens between the beginning and the end of a transaction is told as one net change. A store belongs to
    the thread that created it; `submit` hands it work from others.

    Args:
        strict: Raise an `InvalidWriteError` (or another `StoreError`) where something invalid would be
            dropped in silence.

    >>> store = Store()
    >>> listener_id = store.add_cell_listener(
    ...     "pets", None, "sold", lambda store, t, r, c, new, old, change: print(r, "sold:", new))
    >>> _ = store.set_row("pets", "fido", {"species": "dog", "sold": False})
    fido sold: False
    >>> _ = store.set_cell("pets", "fido", "sold", True)
    fido sold: True
    """

    __slots__ = ()

    def is_mergeable(self) -> bool:
        """Tell whether this store merges by itself with others. Mirrors TinyBase's ``isMergeable``.

        >>> Store().is_mergeable()
        False
        """
        return False

    # --- threads ------------------------------------------------------------------------------------------

    def submit(self, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Hand a call over to the thread that owns this store; the one method any thread may call.

        The owner does the work when it calls `pump`, or when the scheduler it gave to `set_scheduler` runs
        it.

        Returns:
            A future for the result of the call; do not wait for it in the owning thread.

        >>> store = Store()
        >>> future = store.submit(store.set_value, "open", True)
        >>> store.pump(), future.result() is store
        (1, True)
        """
        submissions = self._submissions
        future = submissions.add(work, args, kwargs)
        if submissions.scheduler is not None:
            submissions.scheduler(self.pump)
        return future

    def pump(self) -> int:
        """Do the work that other threads have submitted so far, and return how many calls that were."""
        self._check_thread()
        return self._submissions.run()

    def set_scheduler(self, scheduler: Scheduler | None) -> Self:
        """Say how submitted work gets done without calling `pump` by hand.

        Args:
            scheduler: Called, from any thread, with a function that is to run soon in the owning thread; an
                event loop's ``call_soon_threadsafe`` is one. None removes it.

        >>> scheduled = []
        >>> store = Store().set_scheduler(scheduled.append)
        >>> _ = store.submit(store.set_value, "open", True)
        >>> scheduled.pop()()
        1
        """
        self._check_thread()
        self._submissions.scheduler = scheduler
        return self

    def move_to_current_thread(self) -> Self:
        """Make the calling thread the owner; the one before must not use the store any more.

        For a store that is created in one thread and then lives in another.
        """
        self._owner = get_ident()
        return self

    # --- copying ------------------------------------------------------------------------------------------

    def __copy__(self) -> Self:
        """Return a store of its own with the same content and schemas, and without listeners.

        >>> store = Store().set_value("open", True)
        >>> copy.copy(store).set_value("open", False).get_values(), store.get_values()
        ({'open': False}, {'open': True})
        """
        twin = self.__class__.__new__(self.__class__)
        twin.__setstate__(self.__getstate__())
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Do what `copy.copy` does, which is deep already."""
        twin = memo[id(self)] = self.__copy__()
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """Return what a pickle holds: content and schemas, no listeners."""
        self._check_thread()
        return {
            "tables": self.get_encoded_tables(),
            "values": self.get_encoded_values(),
            "cell_counts": {table_id: counts.copy() for table_id, counts in self._cell_counts.items()},
            "rich_tables": self._rich_tables.copy(),
            "tables_rules": self._tables_rules,
            "values_rules": self._values_rules,
            "strict": self._strict,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Become the store of a pickle, owned by the calling thread."""
        self._prepare(strict=state["strict"])
        self._tables.update(state["tables"])
        self._values.update(state["values"])
        self._cell_counts.update(state["cell_counts"])
        self._rich_tables.update(state["rich_tables"])
        self._tables_rules = state["tables_rules"]
        self._values_rules = state["values_rules"]
        self._settle()

    def __repr__(self) -> str:
        """Say what is in the store.

        >>> Store().set_table("pets", {"fido": {"age": 3}, "felix": {"age": 2}}).set_value("open", True)
        <Store: 1 table, 2 rows, 1 value>
        """
        rows = sum(map(len, self._tables.values()))
        counts = ((len(self._tables), "table"), (rows, "row"), (len(self._values), "value"))
        described = ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts)
        return f"<{type(self).__name__}: {described}>"


def create_store(*, strict: bool = False) -> Store:
    """Create a `Store`. Mirrors TinyBase's ``createStore``.

    >>> create_store().set_cell("pets", "fido", "sold", True).get_cell("pets", "fido", "sold")
    True
    """
    return Store(strict=strict)
