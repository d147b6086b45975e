"""Decorators for listeners to queries, and their results as Observables."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from replicell.store.cells import Cell
from replicell.store.content_types import Row, Table
from replicell.store.hooks import Hook
from replicell.store.ids import Id, IdLike
from replicell.store.queries.listening import (
    ParamValueListener,
    ParamValuesListener,
    QueryIdsListener,
    ResultCellIdsListener,
    ResultCellListener,
    ResultIdsListener,
    ResultRowCountListener,
    ResultRowListener,
    ResultSortedRowIdsListener,
    ResultTableListener,
)
from replicell.store.queries.reading import QueriesReading

if TYPE_CHECKING:
    from reactivex import Observable

__all__ = ["QueriesObserving"]

_T = TypeVar("_T")


class QueriesObserving(QueriesReading):
    """The methods of queries that make decorators of listeners, and Observables of results."""

    __slots__ = ()

    def on_query_ids(self) -> Hook[QueryIdsListener]:
        """Make a decorator for a function to call when queries are defined or deleted.

        See `add_query_ids_listener`.

        >>> queries = create_queries(create_store())
        >>> @queries.on_query_ids()
        ... def tell(queries):
        ...     print(queries.get_query_ids())
        >>> _ = queries.set_query_definition("all", "pets", lambda q: q.select_all())
        ['all']
        """
        return self._hook(self.add_query_ids_listener)

    def on_param_values(self, query_id: IdLike | None) -> Hook[ParamValuesListener]:
        """Make a decorator for a function to call when parameters of a query change.

        See `add_param_values_listener`.

        >>> queries = create_queries(create_store())
        >>> _ = queries.set_query_definition("cats", "pets", lambda q: q.select("name"), {"age": 3})
        >>> @queries.on_param_values("cats")
        ... def tell(queries, query_id, values):
        ...     print(values)
        >>> _ = queries.set_param_value("cats", "age", 4)
        {'age': 4}
        """
        return self._hook(self.add_param_values_listener, query_id)

    def on_param_value(self, query_id: IdLike | None, param_id: IdLike | None) -> Hook[ParamValueListener]:
        """Make a decorator for a function to call when a parameter changes.

        See `add_param_value_listener`.

        >>> queries = create_queries(create_store())
        >>> _ = queries.set_query_definition("cats", "pets", lambda q: q.select("name"), {"age": 3})
        >>> @queries.on_param_value("cats", None)
        ... def tell(queries, query_id, param_id, value):
        ...     print(param_id, value)
        >>> _ = queries.set_param_value("cats", "age", 4)
        age 4
        """
        return self._hook(self.add_param_value_listener, query_id, param_id)

    def on_result_table(self, query_id: IdLike | None) -> Hook[ResultTableListener]:
        """Make a decorator for a function to call when anything in a result changes.

        See `add_result_table_listener`.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> @queries.on_result_table("old")
        ... def tell(queries, query_id, change):
        ...     print(query_id)
        >>> _ = store.set_cell("pets", "fido", "age", 9)
        old
        """
        return self._hook(self.add_result_table_listener, query_id)

    def on_result_table_cell_ids(self, query_id: IdLike | None) -> Hook[ResultIdsListener]:
        """Make a decorator for a function to call when cell ids come into use in a result or go out of it.

        See `add_result_table_cell_ids_listener`.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> @queries.on_result_table_cell_ids("old")
        ... def tell(queries, query_id, changes):
        ...     print(changes())
        >>> _ = store.set_cell("pets", "fido", "age", 9)
        {'age': 1}
        """
        return self._hook(self.add_result_table_cell_ids_listener, query_id)

    def on_result_row_count(self, query_id: IdLike | None) -> Hook[ResultRowCountListener]:
        """Make a decorator for a function to call when the number of rows in a result changes.

        See `add_result_row_count_listener`.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> @queries.on_result_row_count("old")
        ... def tell(queries, query_id, count):
        ...     print(count)
        >>> _ = store.set_cell("pets", "fido", "age", 9)
        1
        """
        return self._hook(self.add_result_row_count_listener, query_id)

    def on_result_row_ids(self, query_id: IdLike | None) -> Hook[ResultIdsListener]:
        """Make a decorator for a function to call when rows come into a result or leave it.

        See `add_result_row_ids_listener`.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> @queries.on_result_row_ids("old")
        ... def tell(queries, query_id, changes):
        ...     print(changes())
        >>> _ = store.set_cell("pets", "fido", "age", 9)
        {'fido': 1}
        """
        return self._hook(self.add_result_row_ids_listener, query_id)

    def on_result_sorted_row_ids(
        self,
        query_id: IdLike | None,
        cell_id: IdLike | None = None,
        *,
        descending: bool = False,
        offset: int = 0,
        limit: int | None = None,
    ) -> Hook[ResultSortedRowIdsListener]:
        """Make a decorator for a function to call when the sorted ids of a result's rows change.

        See `add_result_sorted_row_ids_listener`.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> @queries.on_result_sorted_row_ids("old", "age")
        ... def tell(queries, query_id, cell_id, descending, offset, limit, row_ids):
        ...     print(row_ids)
        >>> _ = store.set_cell("pets", "fido", "age", 9)
        ['fido']
        """
        add = self.add_result_sorted_row_ids_listener
        return self._hook(add, query_id, cell_id, descending, offset, limit)

    def on_result_row(self, query_id: IdLike | None, row_id: IdLike | None) -> Hook[ResultRowListener]:
        """Make a decorator for a function to call when a row of a result changes.

        See `add_result_row_listener`.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> @queries.on_result_row("old", None)
        ... def tell(queries, query_id, row_id, change):
        ...     print(row_id)
        >>> _ = store.set_cell("pets", "fido", "age", 9)
        fido
        """
        return self._hook(self.add_result_row_listener, query_id, row_id)

    def on_result_cell_ids(
        self, query_id: IdLike | None, row_id: IdLike | None
    ) -> Hook[ResultCellIdsListener]:
        """Make a decorator for a function to call when cells come into a row of a result or leave it.

        See `add_result_cell_ids_listener`.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> @queries.on_result_cell_ids("old", None)
        ... def tell(queries, query_id, row_id, changes):
        ...     print(row_id, changes())
        >>> _ = store.set_cell("pets", "fido", "age", 9)
        fido {'age': 1}
        """
        return self._hook(self.add_result_cell_ids_listener, query_id, row_id)

    def on_result_cell(
        self, query_id: IdLike | None, row_id: IdLike | None, cell_id: IdLike | None
    ) -> Hook[ResultCellListener]:
        """Make a decorator for a function to call when a cell of a result changes.

        See `add_result_cell_listener`.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> @queries.on_result_cell("old", None, "age")
        ... def tell(queries, query_id, row_id, cell_id, new, old, change):
        ...     print(row_id, new)
        >>> _ = store.set_cell("pets", "fido", "age", 9)
        fido 9
        """
        return self._hook(self.add_result_cell_listener, query_id, row_id, cell_id)

    def observe_result_table(self, query_id: IdLike) -> Observable[Table]:
        """Return a reactivex Observable of a whole result: now, then each new one.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> with queries.observe_result_table("old").subscribe(print):
        ...     _ = store.set_cell("pets", "fido", "age", 9)
        {}
        {'fido': {'age': 9}}
        """
        return self._observe(self.add_result_table_listener, self.get_result_table, query_id)

    def observe_result_table_cell_ids(self, query_id: IdLike) -> Observable[list[Id]]:
        """Return a reactivex Observable of the cell ids in use in a result: now, then each new one.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> with queries.observe_result_table_cell_ids("old").subscribe(print):
        ...     _ = store.set_cell("pets", "fido", "age", 9)
        []
        ['age']
        """
        return self._observe(
            self.add_result_table_cell_ids_listener, self.get_result_table_cell_ids, query_id
        )

    def observe_result_row_count(self, query_id: IdLike) -> Observable[int]:
        """Return a reactivex Observable of the number of rows in a result: now, then each new one.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> with queries.observe_result_row_count("old").subscribe(print):
        ...     _ = store.set_cell("pets", "fido", "age", 9)
        0
        1
        """
        return self._observe(self.add_result_row_count_listener, self.get_result_row_count, query_id)

    def observe_result_row_ids(self, query_id: IdLike) -> Observable[list[Id]]:
        """Return a reactivex Observable of the ids of a result's rows: now, then each new one.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> with queries.observe_result_row_ids("old").subscribe(print):
        ...     _ = store.set_cell("pets", "fido", "age", 9)
        []
        ['fido']
        """
        return self._observe(self.add_result_row_ids_listener, self.get_result_row_ids, query_id)

    def observe_result_sorted_row_ids(
        self,
        query_id: IdLike,
        cell_id: IdLike | None = None,
        descending: bool = False,
        offset: int = 0,
        limit: int | None = None,
    ) -> Observable[list[Id]]:
        """Return a reactivex Observable of the sorted ids of a result's rows: now, then each new list.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> with queries.observe_result_sorted_row_ids("old", "age").subscribe(print):
        ...     _ = store.set_cell("pets", "fido", "age", 9)
        []
        ['fido']
        """
        listen, read = self.add_result_sorted_row_ids_listener, self.get_result_sorted_row_ids
        return self._observe(listen, read, query_id, cell_id, descending, offset, limit)

    def observe_result_row(self, query_id: IdLike, row_id: IdLike) -> Observable[Row]:
        """Return a reactivex Observable of a row of a result: now, then each new one.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> with queries.observe_result_row("old", "fido").subscribe(print):
        ...     _ = store.set_cell("pets", "fido", "age", 9)
        {}
        {'age': 9}
        """
        return self._observe(self.add_result_row_listener, self.get_result_row, query_id, row_id)

    def observe_result_cell_ids(self, query_id: IdLike, row_id: IdLike) -> Observable[list[Id]]:
        """Return a reactivex Observable of the ids of the cells in a row of a result: now, then each new one.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> with queries.observe_result_cell_ids("old", "fido").subscribe(print):
        ...     _ = store.set_cell("pets", "fido", "age", 9)
        []
        ['age']
        """
        return self._observe(self.add_result_cell_ids_listener, self.get_result_cell_ids, query_id, row_id)

    def observe_result_cell(self, query_id: IdLike, row_id: IdLike, cell_id: IdLike) -> Observable[Cell]:
        """Return a reactivex Observable of a cell of a result: now, then each new one.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> with queries.observe_result_cell("old", "fido", "age").subscribe(print):
        ...     _ = store.set_cell("pets", "fido", "age", 9)
        None
        9
        """
        return self._observe(self.add_result_cell_listener, self.get_result_cell, query_id, row_id, cell_id)

    def _hook(self, add: Callable[..., Id], *arguments: Any) -> Hook[Any]:
        self._check_thread()
        return Hook(partial(add, *arguments), self.del_listener)

    def _observe(self, listen: Callable[..., Id], read: Callable[..., _T], *arguments: Any) -> Observable[_T]:
        """Observe what `read` returns for some arguments, given what adds a listener to that."""
        self._check_thread()
        # Imported here, so that a store without observables does without reactivex.
        from replicell.store.observables import derived_from

        return derived_from(
            self._publishing.store,
            f"the result of query {arguments[0]}",
            partial(listen, *arguments),
            self.del_listener,
            partial(read, *arguments),
        )
