"""Listening by decorators: `on_...` for every kind of listener.

Each takes the ids to listen to, None standing for any, and returns a `Hook`: a decorator that returns the
function as it is, and a handle to stop it again. What the function is called with, and when, is told by the
``add_..._listener`` of the same name. Coroutine functions are called in order on the running event loop, when
the transaction is over.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from replicell.store.hooks import Hook
from replicell.store.ids import Id, IdLike
from replicell.store.listener_types import (
    CellIdsListener,
    CellListener,
    HasCellListener,
    HasRowListener,
    HasTableCellListener,
    HasTableListener,
    HasTablesListener,
    HasValueListener,
    HasValuesListener,
    InvalidCellListener,
    InvalidValueListener,
    RowCountListener,
    RowIdsListener,
    RowListener,
    SortedRowIdsListener,
    TableCellIdsListener,
    TableIdsListener,
    TableListener,
    TablesListener,
    TransactionListener,
    ValueIdsListener,
    ValueListener,
    ValuesListener,
)
from replicell.store.listening import Listening
from replicell.store.sorted_rows import Sorter

__all__ = ["Decorating"]


class Decorating(Listening):
    """The methods of a store that make decorators of listeners."""

    __slots__ = ()

    def on_has_tables(self, *, mutator: bool = False) -> Hook[HasTablesListener]:
        """Make a decorator for a function to call when it changes whether there are any tables.

        See `add_has_tables_listener`.

        >>> store = Store()
        >>> @store.on_has_tables()
        ... def tell(store, has):
        ...     print(has)
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        True
        """
        return self._hook(self.add_has_tables_listener, mutator)

    def on_tables(self, *, mutator: bool = False) -> Hook[TablesListener]:
        """Make a decorator for a function to call when any cell changes.

        See `add_tables_listener`.

        >>> store = Store()
        >>> @store.on_tables()
        ... def tell(store, change):
        ...     print(change("pets", "fido", "age").new)
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        3
        """
        return self._hook(self.add_tables_listener, mutator)

    def on_table_ids(self, *, mutator: bool = False) -> Hook[TableIdsListener]:
        """Make a decorator for a function to call when it changes which tables there are.

        See `add_table_ids_listener`.

        >>> store = Store()
        >>> @store.on_table_ids()
        ... def tell(store, changes):
        ...     print(changes())
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        {'pets': 1}
        """
        return self._hook(self.add_table_ids_listener, mutator)

    def on_has_table(self, table_id: IdLike | None, *, mutator: bool = False) -> Hook[HasTableListener]:
        """Make a decorator for a function to call when it changes whether a table is there.

        See `add_has_table_listener`.

        >>> store = Store()
        >>> @store.on_has_table("pets")
        ... def tell(store, table_id, has):
        ...     print(has)
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        True
        """
        return self._hook(partial(self.add_has_table_listener, table_id), mutator)

    def on_table(self, table_id: IdLike | None, *, mutator: bool = False) -> Hook[TableListener]:
        """Make a decorator for a function to call when any cell of a table changes.

        See `add_table_listener`.

        >>> store = Store()
        >>> @store.on_table(None)
        ... def tell(store, table_id, change):
        ...     print(table_id)
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        pets
        """
        return self._hook(partial(self.add_table_listener, table_id), mutator)

    def on_table_cell_ids(
        self, table_id: IdLike | None, *, mutator: bool = False
    ) -> Hook[TableCellIdsListener]:
        """Make a decorator for a function to call when it changes which cell ids are in use in a table.

        See `add_table_cell_ids_listener`.

        >>> store = Store()
        >>> @store.on_table_cell_ids("pets")
        ... def tell(store, table_id, changes):
        ...     print(changes())
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        {'age': 1}
        """
        return self._hook(partial(self.add_table_cell_ids_listener, table_id), mutator)

    def on_has_table_cell(
        self, table_id: IdLike | None, cell_id: IdLike | None, *, mutator: bool = False
    ) -> Hook[HasTableCellListener]:
        """Make a decorator for a function to call when it changes whether a cell id is in use in a table.

        See `add_has_table_cell_listener`.

        >>> store = Store()
        >>> @store.on_has_table_cell("pets", "age")
        ... def tell(store, table_id, cell_id, has):
        ...     print(has)
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        True
        """
        return self._hook(partial(self.add_has_table_cell_listener, table_id, cell_id), mutator)

    def on_row_count(self, table_id: IdLike | None, *, mutator: bool = False) -> Hook[RowCountListener]:
        """Make a decorator for a function to call when the number of rows in a table changes.

        See `add_row_count_listener`.

        >>> store = Store()
        >>> @store.on_row_count("pets")
        ... def tell(store, table_id, count):
        ...     print(count)
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        1
        """
        return self._hook(partial(self.add_row_count_listener, table_id), mutator)

    def on_row_ids(self, table_id: IdLike | None, *, mutator: bool = False) -> Hook[RowIdsListener]:
        """Make a decorator for a function to call when it changes which rows there are in a table.

        See `add_row_ids_listener`.

        >>> store = Store()
        >>> @store.on_row_ids("pets")
        ... def tell(store, table_id, changes):
        ...     print(changes())
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        {'fido': 1}
        """
        return self._hook(partial(self.add_row_ids_listener, table_id), mutator)

    def on_sorted_row_ids(
        self,
        table_id: IdLike,
        cell_id: IdLike | None = None,
        *,
        descending: bool = False,
        offset: int = 0,
        limit: int | None = None,
        sorter: Sorter | None = None,
        mutator: bool = False,
    ) -> Hook[SortedRowIdsListener]:
        """Make a decorator for a function to call when the sorted ids of a table's rows change.

        See `add_sorted_row_ids_listener`.

        >>> store = Store()
        >>> @store.on_sorted_row_ids("pets", "age", limit=1)
        ... def tell(store, table_id, cell_id, descending, offset, limit, row_ids):
        ...     print(row_ids)
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        ['fido']
        """
        options: dict[str, Any] = {"table_id": table_id, "cell_id": cell_id, "descending": descending}
        options |= {"offset": offset, "limit": limit, "sorter": sorter}
        return self._hook(partial(self.add_sorted_row_ids_listener, options), mutator)

    def on_has_row(
        self, table_id: IdLike | None, row_id: IdLike | None, *, mutator: bool = False
    ) -> Hook[HasRowListener]:
        """Make a decorator for a function to call when it changes whether a row is there.

        See `add_has_row_listener`.

        >>> store = Store()
        >>> @store.on_has_row("pets", "fido")
        ... def tell(store, table_id, row_id, has):
        ...     print(has)
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        True
        """
        return self._hook(partial(self.add_has_row_listener, table_id, row_id), mutator)

    def on_row(
        self, table_id: IdLike | None, row_id: IdLike | None, *, mutator: bool = False
    ) -> Hook[RowListener]:
        """Make a decorator for a function to call when any cell of a row changes.

        See `add_row_listener`.

        >>> store = Store()
        >>> @store.on_row("pets", None)
        ... def tell(store, table_id, row_id, change):
        ...     print(row_id)
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        fido
        """
        return self._hook(partial(self.add_row_listener, table_id, row_id), mutator)

    def on_cell_ids(
        self, table_id: IdLike | None, row_id: IdLike | None, *, mutator: bool = False
    ) -> Hook[CellIdsListener]:
        """Make a decorator for a function to call when it changes which cells there are in a row.

        See `add_cell_ids_listener`.

        >>> store = Store()
        >>> @store.on_cell_ids("pets", "fido")
        ... def tell(store, table_id, row_id, changes):
        ...     print(changes())
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        {'age': 1}
        """
        return self._hook(partial(self.add_cell_ids_listener, table_id, row_id), mutator)

    def on_has_cell(
        self, table_id: IdLike | None, row_id: IdLike | None, cell_id: IdLike | None, *, mutator: bool = False
    ) -> Hook[HasCellListener]:
        """Make a decorator for a function to call when it changes whether a cell is there.

        See `add_has_cell_listener`.

        >>> store = Store()
        >>> @store.on_has_cell("pets", None, "age")
        ... def tell(store, table_id, row_id, cell_id, has):
        ...     print(row_id, has)
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        fido True
        """
        return self._hook(partial(self.add_has_cell_listener, table_id, row_id, cell_id), mutator)

    def on_cell(
        self, table_id: IdLike | None, row_id: IdLike | None, cell_id: IdLike | None, *, mutator: bool = False
    ) -> Hook[CellListener]:
        """Make a decorator for a function to call when a cell changes.

        See `add_cell_listener`.

        >>> store = Store()
        >>> @store.on_cell("pets", None, "age")
        ... def tell(store, table_id, row_id, cell_id, new, old, change):
        ...     print(row_id, new)
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        fido 3
        """
        return self._hook(partial(self.add_cell_listener, table_id, row_id, cell_id), mutator)

    def on_invalid_cell(
        self, table_id: IdLike | None, row_id: IdLike | None, cell_id: IdLike | None, *, mutator: bool = False
    ) -> Hook[InvalidCellListener]:
        """Make a decorator for a function to call when something invalid was to be written to a cell.

        See `add_invalid_cell_listener`.

        >>> store = Store()
        >>> @store.on_invalid_cell(None, None, None)
        ... def tell(store, table_id, row_id, cell_id, invalid):
        ...     print(cell_id, invalid)
        >>> _ = store.set_cell("pets", "fido", "age", float("nan"))
        age [nan]
        """
        return self._hook(partial(self.add_invalid_cell_listener, table_id, row_id, cell_id), mutator)

    def on_has_values(self, *, mutator: bool = False) -> Hook[HasValuesListener]:
        """Make a decorator for a function to call when it changes whether there are any values.

        See `add_has_values_listener`.

        >>> store = Store()
        >>> @store.on_has_values()
        ... def tell(store, has):
        ...     print(has)
        >>> _ = store.set_value("open", True)
        True
        """
        return self._hook(self.add_has_values_listener, mutator)

    def on_values(self, *, mutator: bool = False) -> Hook[ValuesListener]:
        """Make a decorator for a function to call when any value changes.

        See `add_values_listener`.

        >>> store = Store()
        >>> @store.on_values()
        ... def tell(store, change):
        ...     print(change("open").new)
        >>> _ = store.set_value("open", True)
        True
        """
        return self._hook(self.add_values_listener, mutator)

    def on_value_ids(self, *, mutator: bool = False) -> Hook[ValueIdsListener]:
        """Make a decorator for a function to call when it changes which values there are.

        See `add_value_ids_listener`.

        >>> store = Store()
        >>> @store.on_value_ids()
        ... def tell(store, changes):
        ...     print(changes())
        >>> _ = store.set_value("open", True)
        {'open': 1}
        """
        return self._hook(self.add_value_ids_listener, mutator)

    def on_has_value(self, value_id: IdLike | None, *, mutator: bool = False) -> Hook[HasValueListener]:
        """Make a decorator for a function to call when it changes whether a value is there.

        See `add_has_value_listener`.

        >>> store = Store()
        >>> @store.on_has_value("open")
        ... def tell(store, value_id, has):
        ...     print(has)
        >>> _ = store.set_value("open", True)
        True
        """
        return self._hook(partial(self.add_has_value_listener, value_id), mutator)

    def on_value(self, value_id: IdLike | None, *, mutator: bool = False) -> Hook[ValueListener]:
        """Make a decorator for a function to call when a value changes.

        See `add_value_listener`.

        >>> store = Store()
        >>> @store.on_value(None)
        ... def tell(store, value_id, new, old, change):
        ...     print(value_id, new)
        >>> _ = store.set_value("open", True)
        open True
        """
        return self._hook(partial(self.add_value_listener, value_id), mutator)

    def on_invalid_value(
        self, value_id: IdLike | None, *, mutator: bool = False
    ) -> Hook[InvalidValueListener]:
        """Make a decorator for a function to call when something invalid was to be written to a value.

        See `add_invalid_value_listener`.

        >>> store = Store()
        >>> @store.on_invalid_value(None)
        ... def tell(store, value_id, invalid):
        ...     print(value_id, invalid)
        >>> _ = store.set_value("open", float("nan"))
        open [nan]
        """
        return self._hook(partial(self.add_invalid_value_listener, value_id), mutator)

    def on_start_transaction(self) -> Hook[TransactionListener]:
        """Make a decorator for a function to call when a transaction starts.

        See `add_start_transaction_listener`.

        >>> store = Store()
        >>> @store.on_start_transaction()
        ... def tell(store):
        ...     print("started")
        >>> _ = store.set_value("open", True)
        started
        """
        self._check_thread()
        return Hook(self.add_start_transaction_listener, self.del_listener)

    def on_will_finish_transaction(self) -> Hook[TransactionListener]:
        """Make a decorator for a function to call when a transaction is about to be committed.

        See `add_will_finish_transaction_listener`.

        >>> store = Store()
        >>> @store.on_will_finish_transaction()
        ... def tell(store):
        ...     print("finishing")
        >>> _ = store.set_value("open", True)
        finishing
        """
        self._check_thread()
        return Hook(self.add_will_finish_transaction_listener, self.del_listener)

    def on_did_finish_transaction(self) -> Hook[TransactionListener]:
        """Make a decorator for a function to call when a transaction is over.

        See `add_did_finish_transaction_listener`.

        >>> store = Store()
        >>> @store.on_did_finish_transaction()
        ... def tell(store):
        ...     print(store.get_transaction_changes().values)
        >>> _ = store.set_value("open", True)
        {'open': True}
        """
        self._check_thread()
        return Hook(self.add_did_finish_transaction_listener, self.del_listener)

    def _hook(self, add: Callable[..., Id], mutator: bool) -> Hook[Any]:
        self._check_thread()
        return Hook(lambda listener: add(listener, mutator), self.del_listener)
