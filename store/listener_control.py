"""What all listeners have in common: being added, called by hand, counted and removed.

Here are also the listeners that fit no pattern: those to transactions, and those to sorted row ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self, overload

from replicell.store.callbacks import as_listener
from replicell.store.content_types import SortedRowIdsArgs
from replicell.store.ids import Id, IdLike, to_id
from replicell.store.listener_types import SortedRowIdsListener, TransactionListener
from replicell.store.listeners import Kind
from replicell.store.missing import MISSING
from replicell.store.row_order import RowOrder
from replicell.store.schema_setting import SchemaSetting
from replicell.store.sorted_rows import SortedRows, SortedRowsSpec, same_order

__all__ = ["ListenerControl", "SortedRowIdsWatch"]


class SortedRowIdsWatch:
    """Calls a sorted-row-ids listener when what it would be told differs from last time."""

    __slots__ = ("_last_order", "_last_window", "_sorted", "_view", "callback", "spec")

    def __init__(
        self,
        spec: SortedRowsSpec,
        sorted_rows: SortedRows,
        touched: Iterable[Id],
        callback: SortedRowIdsListener,
    ) -> None:
        self.spec = spec
        self.callback = callback
        self._sorted = sorted_rows
        self._view = sorted_rows.open_view(spec, touched)
        self._last_order = self._view.snapshot()
        self._last_window = None if self._is_whole() else self._window()

    def __call__(self, store: Any) -> None:
        """Look at the order as it is now, and tell the listener if it has changed."""
        spec = self.spec
        touched = store._record.cells.get(spec.table_id, ())
        if not self._view.settled:
            self._sorted.follow_view(spec.table_id, self._view, touched)
            self._view.settled = store._depth < 0
        order = self._view.snapshot()
        if same_order(order, self._last_order):
            return
        self._last_order = order
        if self._last_window is None:
            row_ids = RowOrder(order, len(self._view), spec.reversed)
        else:
            window = self._window()
            if window == self._last_window:
                return
            self._last_window = window
            row_ids = RowOrder((window,), len(window))
        self.callback(store, spec.table_id, spec.cell_id, spec.descending, spec.offset, spec.limit, row_ids)

    def close(self) -> None:
        """Give up the view."""
        self._sorted.close_view(self.spec)

    def _is_whole(self) -> bool:
        return self.spec.offset == 0 and self.spec.limit is None

    def _window(self) -> list[Id]:
        return self._view.window(self.spec.offset, self.spec.limit, self.spec.reversed)


class ListenerControl(SchemaSetting):
    """The methods of a store that are about listeners of any kind."""

    __slots__ = ()

    @overload
    def add_sorted_row_ids_listener(
        self,
        table_id: SortedRowIdsArgs | Mapping[str, Any],
        cell_id: SortedRowIdsListener,
        descending: bool = False,
    ) -> Id: ...
    @overload
    def add_sorted_row_ids_listener(
        self,
        table_id: IdLike,
        cell_id: IdLike | None,
        descending: bool,
        offset: int,
        limit: int | None,
        listener: SortedRowIdsListener,
        mutator: bool = False,
    ) -> Id: ...
    def add_sorted_row_ids_listener(
        self,
        table_id: IdLike | SortedRowIdsArgs | Mapping[str, Any],
        cell_id: IdLike | SortedRowIdsListener | None,
        descending: bool = False,
        offset: int = 0,
        limit: int | None = None,
        listener: SortedRowIdsListener | None = None,
        mutator: bool = False,
    ) -> Id:
        """Listen to when the sorted ids of a table's rows change, or a window of them.

        A write costs the same few microseconds however many rows there are: the order is kept, not sorted
        anew. The callback gets the store, the table id, the cell id (or None), descending, offset, limit, and
        the sorted row ids as a `RowOrder`, which equals a list. Mirrors TinyBase's
        ``addSortedRowIdsListener``.

        Args:
            table_id: The table; or a mapping of what `Store.get_sorted_row_ids` takes, followed by the
                callback and whether it is a mutator.
            cell_id: The cell to sort by; None sorts by row id.
            descending: Whether the last comes first.
            offset: How many rows to leave out at the beginning.
            limit: How many rows to list at most, or None.
            listener: The callback.
            mutator: Whether the callback may write.

        >>> store = Store().set_table("pets", {"fido": {"age": 3}, "felix": {"age": 2}})
        >>> _ = store.add_sorted_row_ids_listener(
        ...     {"table_id": "pets", "cell_id": "age", "limit": 1}, lambda *args: print(args[-1]))
        >>> _ = store.set_cell("pets", "fido", "age", 1)
        ['fido']
        """
        self._check_thread()
        callback: Any
        if isinstance(table_id, Mapping):
            spec, callback, mutator = SortedRowsSpec.from_options(table_id), cell_id, descending
        else:
            spec = SortedRowsSpec.from_arguments(table_id, cell_id, descending, offset, limit)
            callback = listener
        callback = as_listener(callback, "sorted_row_ids", may_write=bool(mutator))
        # Opened within a transaction, it counts from what the transaction has done so far.
        touched = self._record.cells.get(spec.table_id, ())
        watch = SortedRowIdsWatch(spec, self._sorted, touched, callback)
        return self._register("sorted_row_ids", (spec.table_id, spec.cell_id), watch, mutator)

    def add_start_transaction_listener(self, listener: TransactionListener) -> Id:
        """Listen to the start of each outermost transaction; the callback may write.

        Mirrors TinyBase's ``addStartTransactionListener``.

        >>> store = Store()
        >>> _ = store.add_start_transaction_listener(lambda store: print("started"))
        >>> _ = store.set_value("open", True)
        started
        """
        return self._add("start_transaction", (), listener, True)

    def add_will_finish_transaction_listener(self, listener: TransactionListener) -> Id:
        """Listen to when a transaction is about to be committed; the callback may write, or raise to undo it.

        Mirrors TinyBase's ``addWillFinishTransactionListener``.

        >>> store = Store()
        >>> _ = store.add_will_finish_transaction_listener(lambda store: store.set_value("edited", True))
        >>> store.set_value("open", True).get_values()
        {'open': True, 'edited': True}
        """
        return self._add("will_finish_transaction", (), listener, True)

    def add_did_finish_transaction_listener(self, listener: TransactionListener) -> Id:
        """Listen to the end of each transaction, after all other listeners; the callback may only read.

        `Store.get_transaction_changes` and `Store.get_transaction_log` still answer in it. Mirrors TinyBase's
        ``addDidFinishTransactionListener``.

        >>> store = Store()
        >>> _ = store.add_did_finish_transaction_listener(
        ...     lambda store: print(store.get_transaction_changes().values))
        >>> _ = store.set_value("open", True)
        {'open': True}
        """
        return self._add("did_finish_transaction", (), listener, False)

    def del_listener(self, listener_id: Id) -> Self:
        """Remove a listener; unknown ids are ignored. Mirrors TinyBase's ``delListener``.

        >>> store = Store()
        >>> listener_id = store.add_tables_listener(lambda store, change: print("changed"))
        >>> _ = store.del_listener(listener_id).set_cell("pets", "fido", "age", 3)
        """
        self._check_thread()
        listener = self._listeners.get(listener_id)
        if listener is not None:
            watch = listener.callback
            self._listeners.remove(listener_id, dispatching=self._depth != 0)
            if isinstance(watch, SortedRowIdsWatch):
                watch.close()
            self._settle()
        return self

    def call_listener(self, listener_id: Id) -> Self:
        """Call one listener now, outside any transaction. Mirrors TinyBase's ``callListener``.

        A wildcard is called once for each thing there is; an exact id even if there is no such thing. Cell
        and value listeners get the present content as new and as old, the functions they are given report
        no changes, and invalid-cell and invalid-value listeners get an empty list. A sorted-row-ids
        listener is called only if the order has changed since it was last told.

        >>> store = Store().set_table("pets", {"fido": {"age": 3}, "felix": {"age": 2}})
        >>> listener_id = store.add_row_listener("pets", None, lambda store, t, r, change: print(r))
        >>> _ = store.call_listener(listener_id)
        fido
        felix
        """
        self._check_thread()
        listener = self._listeners.get(listener_id)
        callback = None if listener is None else listener.callback
        if listener is not None and callback is not None:
            for ids in self._existing(listener.kind, listener.path, ()):
                callback(self, *ids, *self._present(listener.kind, ids))
        return self

    def get_listener_stats(self) -> dict[str, int]:
        """Count the listeners of each kind. Mirrors TinyBase's ``getListenerStats``.

        >>> store = Store()
        >>> _ = store.add_tables_listener(lambda store, change: None)
        >>> store.get_listener_stats()["tables"]
        1
        """
        self._check_thread()
        return self._listeners.stats()

    def _add(
        self, kind: Kind, path: tuple[IdLike | None, ...], callback: Callable[..., Any], mutator: bool
    ) -> Id:
        self._check_thread()
        listener = as_listener(callback, kind, may_write=bool(mutator))
        coerced = tuple([None if thing_id is None else to_id(thing_id) for thing_id in path])
        return self._register(kind, coerced, listener, mutator)

    def _register(
        self, kind: Kind, path: tuple[Id | None, ...], callback: Callable[..., Any], mutator: bool
    ) -> Id:
        listener = self._listeners.add(kind, path, callback, bool(mutator))
        self._settle()
        return listener.id

    def _existing(
        self, kind: Kind, path: tuple[Id | None, ...], ids: tuple[Id, ...]
    ) -> Iterator[tuple[Id, ...]]:
        """Go through the ids of all existing things that a path with wildcards stands for, parents first."""
        if kind == "sorted_row_ids" or len(ids) == len(path):
            yield ids
        elif path[len(ids)] is not None:
            yield from self._existing(kind, path, (*ids, path[len(ids)] or ""))
        elif not kind.startswith("invalid_"):
            for thing_id in self._ids_below(kind, ids):
                yield from self._existing(kind, path, (*ids, thing_id))

    def _ids_below(self, kind: Kind, ids: tuple[Id, ...]) -> list[Id]:
        if kind in ("value", "has_value"):
            return self.get_value_ids()
        if not ids:
            return self.get_table_ids()
        if len(ids) == 2:
            return self.get_cell_ids(*ids)
        return self.get_table_cell_ids(ids[0]) if kind == "has_table_cell" else self.get_row_ids(ids[0])

    def _present(self, kind: Kind, ids: tuple[Id, ...]) -> tuple[Any, ...]:
        """Return what a listener gets after the ids when nothing has changed."""
        if kind.startswith("has_"):
            has: Callable[..., bool] = getattr(self, kind)
            return (has(*ids),)
        if kind.startswith("invalid_"):
            return ([],)
        if kind == "cell":
            cell = self.get_cell(ids[0], ids[1], ids[2], MISSING)
            return cell, cell, self._get_cell_change
        if kind == "value":
            value = self.get_value(ids[0], MISSING)
            return value, value, self._get_value_change
        if kind == "row_count":
            return (self.get_row_count(*ids),)
        if kind.endswith("_ids") and kind != "sorted_row_ids":
            return (dict,)
        if kind in ("tables", "table", "row"):
            return (self._get_cell_change,)
        return (self._get_value_change,) if kind == "values" else ()
