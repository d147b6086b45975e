"""Observing a store: Observables, streams of changes and waiting for what is to come.

Nothing here is told within a transaction: observers hear when it is over and the store may be written to
again. reactivex and asyncio are imported only when they are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from threading import get_ident
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, TypeVar

from replicell.store.cells import Cell, decode_cell
from replicell.store.change_objects import Change, ChangeFilter
from replicell.store.changes import EncodedRow, EncodedTable
from replicell.store.content_types import Row, Table, Tables, Values
from replicell.store.decorating import Decorating
from replicell.store.ids import Id, IdLike, to_id
from replicell.store.listener_control import SortedRowIdsWatch
from replicell.store.observers import NOTHING, Observation, Observers, Part
from replicell.store.row_order import RowOrder
from replicell.store.sorted_rows import SortedRowsSpec, Sorter

if TYPE_CHECKING:
    from reactivex import Observable

    from replicell.store.watching import Overflow, Watch

__all__ = ["Observing"]

_T = TypeVar("_T")

Half: TypeAlias = Literal["cells", "values"]

_NO_ROWS: EncodedTable = {}
_NO_CELLS: EncodedRow = {}


class Observing(Decorating):
    """The methods of a store that are about observing it."""

    __slots__ = ()

    def observe_has_tables(self) -> Observable[bool]:
        """Return a reactivex Observable of whether there are any tables, as `observe_cell` does of a cell.

        >>> store = Store()
        >>> with store.observe_has_tables().subscribe(print):
        ...     _ = store.set_cell("pets", "fido", "age", 3)
        False
        True
        """
        return self._observe("cells", (), "ids", self.has_tables, compares=True)

    def observe_tables(self) -> Observable[Tables]:
        """Return a reactivex Observable of all tables, as `observe_cell` does of a cell.

        >>> store = Store().set_cell("pets", "fido", "age", 3)
        >>> with store.observe_tables().subscribe(print):
        ...     _ = store.set_cell("pets", "fido", "age", 4)
        {'pets': {'fido': {'age': 3}}}
        {'pets': {'fido': {'age': 4}}}
        """
        return self._observe("cells", (), "content", self.get_tables)

    def observe_table_ids(self) -> Observable[list[Id]]:
        """Return a reactivex Observable of the ids of all tables, as `observe_cell` does of a cell.

        >>> store = Store().set_cell("pets", "fido", "age", 3)
        >>> with store.observe_table_ids().subscribe(print):
        ...     _ = store.set_cell("species", "dog", "price", 5)
        ['pets']
        ['pets', 'species']
        """
        return self._observe("cells", (), "ids", self.get_table_ids)

    def observe_has_table(self, table_id: IdLike) -> Observable[bool]:
        """Return a reactivex Observable of whether a table is there, as `observe_has_tables` does.

        >>> store = Store()
        >>> with store.observe_has_table("pets").subscribe(print):
        ...     _ = store.set_cell("pets", "fido", "age", 3)
        False
        True
        """
        return self._observe("cells", (), "ids", partial(self.has_table, to_id(table_id)), compares=True)

    def observe_table(self, table_id: IdLike) -> Observable[Table]:
        """Return a reactivex Observable of a table, as `observe_cell` does; an absent table is empty.

        >>> store = Store()
        >>> with store.observe_table("pets").subscribe(print):
        ...     _ = store.set_cell("pets", "fido", "age", 3)
        {}
        {'fido': {'age': 3}}
        """
        table_id = to_id(table_id)
        return self._observe("cells", (table_id,), "content", partial(self.get_table, table_id))

    def observe_table_cell_ids(self, table_id: IdLike) -> Observable[list[Id]]:
        """Return a reactivex Observable of the cell ids in use in a table, as `observe_cell` does.

        >>> store = Store().set_cell("pets", "fido", "age", 3)
        >>> with store.observe_table_cell_ids("pets").subscribe(print):
        ...     _ = store.set_cell("pets", "felix", "sold", True)
        ['age']
        ['age', 'sold']
        """
        self._check_thread()
        # Imported here, so that a store without observables does without reactivex.
        from replicell.store.observables import observable_of

        table_id = to_id(table_id)
        read = partial(self.get_table_cell_ids, table_id)

        def begin(observers: Observers, observation: Observation) -> None:
            def read_if_changed() -> Any:
                # What is known was read within a transaction that may since have been undone.
                changed = self._record.table_cell_ids.get(table_id) or observation.known is not NOTHING
                return read() if changed else NOTHING

            observation.read = read_if_changed
            observers.observe("cells", (table_id,), "content", observation)

        return observable_of(self, f"cell ids of {table_id}", begin, read)

    def observe_has_table_cell(self, table_id: IdLike, cell_id: IdLike) -> Observable[bool]:
        """Return a reactivex Observable of whether a table has a cell id in use, as `observe_cell` does.

        >>> store = Store()
        >>> with store.observe_has_table_cell("pets", "age").subscribe(print):
        ...     _ = store.set_cell("pets", "fido", "age", 3)
        False
        True
        """
        path = to_id(table_id), to_id(cell_id)
        return self._observe("cells", path[:1], "content", partial(self.has_table_cell, *path), compares=True)

    def observe_row_count(self, table_id: IdLike) -> Observable[int]:
        """Return a reactivex Observable of the number of rows in a table, as `observe_cell` does.

        >>> store = Store().set_cell("pets", "fido", "age", 3)
        >>> with store.observe_row_count("pets").subscribe(print):
        ...     _ = store.set_cell("pets", "felix", "age", 2)
        1
        2
        """
        table_id = to_id(table_id)
        read = partial(self.get_row_count, table_id)
        return self._observe("cells", (table_id,), "ids", read, compares=True)

    def observe_row_ids(self, table_id: IdLike) -> Observable[list[Id]]:
        """Return a reactivex Observable of the ids of a table's rows, as `observe_cell` does.

        >>> store = Store().set_cell("pets", "fido", "age", 3)
        >>> with store.observe_row_ids("pets").subscribe(print):
        ...     _ = store.set_cell("pets", "felix", "age", 2)
        ['fido']
        ['fido', 'felix']
        """
        table_id = to_id(table_id)
        return self._observe("cells", (table_id,), "ids", partial(self.get_row_ids, table_id))

    def observe_sorted_row_ids(
        self,
        table_id: IdLike,
        cell_id: IdLike | None = None,
        descending: bool = False,
        offset: int = 0,
        limit: int | None = None,
        sorter: Sorter | None = None,
    ) -> Observable[list[Id]]:
        """Return a reactivex Observable of the sorted ids of a table's rows, as `observe_cell` does.

        The arguments are those of `get_sorted_row_ids`. The order is kept while somebody is subscribed, so
        that a write sorts nothing.

        >>> store = Store().set_table("pets", {"fido": {"age": 3}, "felix": {"age": 2}})
        >>> with store.observe_sorted_row_ids("pets", "age", limit=1).subscribe(print):
        ...     _ = store.set_cell("pets", "fido", "age", 1)
        ['felix']
        ['fido']
        """
        self._check_thread()
        spec = SortedRowsSpec.from_arguments(table_id, cell_id, descending, offset, limit, sorter)
        # Imported here, so that a store without observables does without reactivex.
        from replicell.store.observables import observable_of

        def begin(observers: Observers, observation: Observation) -> None:
            told: list[RowOrder] = []
            touched = self._record.cells.get(spec.table_id, ())
            watch = SortedRowIdsWatch(spec, self._sorted, touched, lambda *args: told.append(args[-1]))

            def read() -> Any:
                watch(self)
                return list(told.pop()) if told else NOTHING

            observation.read = read
            observers.observe("cells", (spec.table_id,), "content", observation)
            observation.on_release(watch.close)

        def read_first() -> list[Id]:
            return self.get_sorted_row_ids(*spec)

        return observable_of(self, f"sorted row ids of {spec.table_id}", begin, read_first)

    def observe_has_row(self, table_id: IdLike, row_id: IdLike) -> Observable[bool]:
        """Return a reactivex Observable of whether a row is there, as `observe_has_tables` does.

        >>> store = Store()
        >>> with store.observe_has_row("pets", "fido").subscribe(print):
        ...     _ = store.set_cell("pets", "fido", "age", 3)
        False
        True
        """
        path = to_id(table_id), to_id(row_id)
        return self._observe("cells", path[:1], "ids", partial(self.has_row, *path), compares=True)

    def observe_row(self, table_id: IdLike, row_id: IdLike) -> Observable[Row]:
        """Return a reactivex Observable of a row, as `observe_cell` does; an absent row is empty.

        >>> store = Store().set_cell("pets", "fido", "age", 3)
        >>> with store.observe_row("pets", "fido").subscribe(print):
        ...     _ = store.set_row("pets", "fido", {"age": 4, "sold": True})
        {'age': 3}
        {'age': 4, 'sold': True}
        """
        path = to_id(table_id), to_id(row_id)
        return self._observe("cells", path, "content", partial(self.get_row, *path))

    def observe_cell_ids(self, table_id: IdLike, row_id: IdLike) -> Observable[list[Id]]:
        """Return a reactivex Observable of the ids of a row's cells, as `observe_cell` does.

        >>> store = Store().set_cell("pets", "fido", "age", 3)
        >>> with store.observe_cell_ids("pets", "fido").subscribe(print):
        ...     _ = store.set_cell("pets", "fido", "sold", True)
        ['age']
        ['age', 'sold']
        """
        path = to_id(table_id), to_id(row_id)
        return self._observe("cells", path, "ids", partial(self.get_cell_ids, *path))

    def observe_has_cell(self, table_id: IdLike, row_id: IdLike, cell_id: IdLike) -> Observable[bool]:
        """Return a reactivex Observable of whether a cell is there, as `observe_has_tables` does.

        >>> store = Store().set_cell("pets", "fido", "age", 3)
        >>> with store.observe_has_cell("pets", "fido", "sold").subscribe(print):
        ...     _ = store.set_cell("pets", "fido", "sold", None)
        False
        True
        """
        path = to_id(table_id), to_id(row_id), to_id(cell_id)
        return self._observe("cells", path[:2], "ids", partial(self.has_cell, *path), compares=True)

    def observe_cell(self, table_id: IdLike, row_id: IdLike, cell_id: IdLike) -> Observable[Cell]:
        """Return a reactivex Observable of a cell: its content now, then each new one.

        New content comes when its transaction is over, so subscribers may write; what they write is told
        when all have heard of what was before. Equal consecutive items are left out, and what was rolled
        back never comes; an absent cell is None. Items belong to the subscriber. What a subscriber raises
        reaches whoever wrote, when all others have been told.

        >>> store = Store().set_cell("pets", "fido", "age", 3)
        >>> with store.observe_cell("pets", "fido", "age").subscribe(print):
        ...     _ = store.set_cell("pets", "fido", "age", 4)
        3
        4
        """
        table_id, row_id, cell_id = to_id(table_id), to_id(row_id), to_id(cell_id)
        tables = self._tables

        def read() -> Cell:
            cell = tables.get(table_id, _NO_ROWS).get(row_id, _NO_CELLS).get(cell_id)
            return decode_cell(cell) if type(cell) is str else cell

        # Told apart by the store, but both None here: an absent cell and one that is None.
        return self._observe("cells", (table_id, row_id, cell_id), "content", read, compares=True)

    def observe_has_values(self) -> Observable[bool]:
        """Return a reactivex Observable of whether there are any values, as `observe_has_tables` does.

        >>> store = Store()
        >>> with store.observe_has_values().subscribe(print):
        ...     _ = store.set_value("open", True)
        False
        True
        """
        return self._observe("values", (), "ids", self.has_values, compares=True)

    def observe_values(self) -> Observable[Values]:
        """Return a reactivex Observable of all values, as `observe_cell` does of a cell.

        >>> store = Store()
        >>> with store.observe_values().subscribe(print):
        ...     _ = store.set_value("open", True)
        {}
        {'open': True}
        """
        return self._observe("values", (), "content", self.get_values)

    def observe_value_ids(self) -> Observable[list[Id]]:
        """Return a reactivex Observable of the ids of all values, as `observe_cell` does of a cell.

        >>> store = Store()
        >>> with store.observe_value_ids().subscribe(print):
        ...     _ = store.set_value("open", True)
        []
        ['open']
        """
        return self._observe("values", (), "ids", self.get_value_ids)

    def observe_has_value(self, value_id: IdLike) -> Observable[bool]:
        """Return a reactivex Observable of whether a value is there, as `observe_has_tables` does.

        >>> store = Store()
        >>> with store.observe_has_value("open").subscribe(print):
        ...     _ = store.set_value("open", False)
        False
        True
        """
        return self._observe("values", (), "ids", partial(self.has_value, to_id(value_id)), compares=True)

    def observe_value(self, value_id: IdLike) -> Observable[Cell]:
        """Return a reactivex Observable of a value, as `observe_cell` does; an absent value is None.

        >>> store = Store()
        >>> with store.observe_value("open").subscribe(print):
        ...     _ = store.set_value("open", True)
        None
        True
        """
        value_id = to_id(value_id)
        read = partial(self.get_value, value_id)
        return self._observe("values", (value_id,), "content", read, compares=True)

    # --- changes ------------------------------------------------------------------------------------------

    def changes(
        self,
        *,
        table_id: IdLike | None = None,
        row_id: IdLike | None = None,
        cell_id: IdLike | None = None,
        value_id: IdLike | None = None,
    ) -> Observable[list[Change]]:
        """Return a reactivex Observable of what each transaction changes, one list a transaction.

        Items are `CellChange` and `ValueChange` objects: the net changes, cells in the order in which they
        were touched, then values. Transactions that change nothing of what is asked for are left out.

        Args:
            table_id: Only cells of this table.
            row_id: Only cells of rows of this id.
            cell_id: Only cells of this id.
            value_id: Only this value, beside the cells that the other ids ask for. Without any id, all cells
                and values are told.

        >>> store = Store()
        >>> with store.changes(table_id="pets").subscribe(print):
        ...     _ = store.set_cell("pets", "fido", "age", 3).set_value("open", True)
        [CellChange(table_id='pets', row_id='fido', cell_id='age', old=MISSING, new=3)]
        """
        self._check_thread()
        # Imported here, so that a store without observables does without reactivex.
        from replicell.store.observables import news_of

        return news_of(self, "changes", self._changes_by(ChangeFilter(table_id, row_id, cell_id, value_id)))

    def watch(
        self,
        *,
        table_id: IdLike | None = None,
        row_id: IdLike | None = None,
        cell_id: IdLike | None = None,
        value_id: IdLike | None = None,
        max_queue: int = 1000,
        overflow: Overflow = "coalesce",
    ) -> Watch:
        """Return an asynchronous iterator of changes from now on: `CellChange` and `ValueChange` objects.

        Use it as ``async for change in store.watch(...)``, or as an asynchronous context manager around such
        a loop, which stops it at the end of the block in any case; see `Watch`. What changes while the loop
        does something else is queued.

        Args:
            table_id: Only cells of this table.
            row_id: Only cells of rows of this id.
            cell_id: Only cells of this id.
            value_id: Only this value, beside the cells that the other ids ask for. Without any id, all cells
                and values are told.
            max_queue: How many changes wait at most.
            overflow: What happens when more would: ``"coalesce"`` makes one of all waiting changes of the
                same cell, from the first old content to the last new one, so nothing but steps in between is
                lost, and no more changes wait than there are cells; ``"error"`` raises a `WatchOverflowError`
                in the loop, after what waited.

        Raises:
            ArgumentError: If `max_queue` or `overflow` mean nothing.

        >>> async def tell():
        ...     async with store.watch(table_id="pets") as changes:
        ...         store.set_cell("pets", "fido", "age", 3)
        ...         async for change in changes:
        ...             print(change.row_id, change.new)
        ...             break
        >>> store = Store().move_to_current_thread()
        >>> import asyncio
        >>> asyncio.run(tell())
        fido 3
        """
        # Imported here, so that a store that nobody waits for does without asyncio.
        from replicell.store.watching import Watch

        wanted = ChangeFilter(table_id, row_id, cell_id, value_id)
        return Watch(self, self._changes_by(wanted), max_queue, overflow)

    def wait_for(
        self, predicate: Callable[[Self], _T], *, timeout: float | None = None
    ) -> Coroutine[Any, Any, _T]:
        """Wait until something is true of this store, and return what the predicate returned.

        The predicate is asked at once, and then after each transaction that has changed something, also of
        what another transaction undoes before the waiting task runs again.

        Args:
            predicate: Called with the store; a true answer ends the waiting, as does what it raises.
            timeout: How many seconds to wait at most; None waits for ever.

        Raises:
            WaitTimeoutError: If that did not happen in time; it is a `TimeoutError`.
            ArgumentError: If the predicate is no function, or a coroutine function.

        >>> async def sell():
        ...     asyncio.get_running_loop().call_soon(store.set_cell, "pets", "fido", "sold", True)
        ...     return await store.wait_for(lambda store: store.get_row("pets", "fido"), timeout=5)
        >>> store = Store()
        >>> import asyncio
        >>> asyncio.run(sell())
        {'sold': True}
        """
        self._check_thread()
        # Imported here, so that a store that nobody waits for does without asyncio.
        from replicell.store.watching import wait_for

        return wait_for(self, predicate, timeout)

    # ------------------------------------------------------------------------------------------------------

    def _observe(
        self,
        half: Half,
        path: tuple[Id, ...],
        part: Part,
        read: Callable[[], _T],
        *,
        compares: bool = False,
    ) -> Observable[_T]:
        self._check_thread()
        # Imported here, so that a store without observables does without reactivex.
        from replicell.store.observables import observable_of

        def begin(observers: Observers, observation: Observation) -> None:
            observers.observe(half, path, part, observation)

        name = "/".join(path) or ("all tables" if half == "cells" else "all values")
        return observable_of(self, name, begin, read, compares=compares)

    def _changes_by(self, wanted: ChangeFilter) -> Callable[[], Any]:
        return lambda: wanted.changes_of(self._record, self._tables, self._values) or NOTHING

    def _begin_observation(
        self, begin: Callable[[Observers, Observation], object], observation: Observation
    ) -> Observers:
        self._check_thread()
        observers = self._observers
        if observers is None:
            observers = self._observers = Observers(self._tables, self._values)
        begin(observers, observation)
        if self._depth != 0:
            observers.note_unsettled(observation)
        self._settle()
        return observers

    def _end_observation(self, observation: Observation) -> None:
        if self._observers is not None:
            if self._owner == get_ident():
                self._observers.end(observation)
                self._settle()
            else:
                self._observers.end_from_elsewhere(observation)
