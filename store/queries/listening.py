"""Listening to the results of queries, to their parameters and to which queries there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from replicell.store.callbacks import as_listener
from replicell.store.cells import Cell
from replicell.store.changes import GetCellChange, GetIdChanges
from replicell.store.ids import Id, IdLike, to_id
from replicell.store.missing import MissingType
from replicell.store.module_listeners import ModuleListeners
from replicell.store.notebook.representation import NotebookRepresentation
from replicell.store.queries.publishing import Publishing
from replicell.store.queries.results import ResultTable
from replicell.store.store import Store

if TYPE_CHECKING:
    from replicell.store.queries.queries import Queries
    from replicell.store.row_order import RowOrder

__all__ = ["PARAMS", "QueriesListening"]

QueryIdsListener: TypeAlias = "Callable[[Queries], object]"
ParamValuesListener: TypeAlias = "Callable[[Queries, Id, dict[Id, Cell]], object]"
ParamValueListener: TypeAlias = "Callable[[Queries, Id, Id, Cell | MissingType], object]"
ResultTableListener: TypeAlias = "Callable[[Queries, Id, GetCellChange], object]"
ResultIdsListener: TypeAlias = "Callable[[Queries, Id, GetIdChanges], object]"
ResultRowCountListener: TypeAlias = "Callable[[Queries, Id, int], object]"
ResultSortedRowIdsListener: TypeAlias = (
    "Callable[[Queries, Id, Id | None, bool, int, int | None, RowOrder], object]"
)
ResultRowListener: TypeAlias = "Callable[[Queries, Id, Id, GetCellChange], object]"
ResultCellIdsListener: TypeAlias = "Callable[[Queries, Id, Id, GetIdChanges], object]"
ResultCellListener: TypeAlias = (
    "Callable[[Queries, Id, Id, Id, Cell | MissingType, Cell | MissingType, GetCellChange], object]"
)

PARAMS = "params"
"""The one table of the store that holds parameters, with a row for each query."""

RESULT_KINDS = (
    "table",
    "table_cell_ids",
    "row_count",
    "row_ids",
    "sorted_row_ids",
    "row",
    "cell_ids",
    "cell",
)
_PARAM_PREFIX = "p"


class _Told:
    """A callback that is given the queries instead of the store, and whose errors wait until all are told."""

    __slots__ = ("callback", "publishing", "queries")

    def __init__(
        self, queries: QueriesListening, publishing: Publishing, callback: Callable[..., Any]
    ) -> None:
        self.queries = queries
        self.publishing = publishing
        self.callback = callback

    def __call__(self, store: Store, *arguments: Any) -> None:
        try:
            self.callback(self.queries, *arguments)
        except Exception as error:
            name = getattr(self.callback, "__qualname__", None) or repr(self.callback)
            error.add_note(f"in a listener to queries ({name}), called with {arguments[:3]!r}")
            self.publishing.note(error)


class _Route:
    """A listener to results: of one query, or of every one there is and will be."""

    __slots__ = ("arguments", "inner_ids", "kind", "query_id", "told")

    def __init__(self, kind: str, query_id: Id | None, arguments: tuple[Any, ...], told: _Told) -> None:
        self.kind = kind
        self.query_id = query_id
        self.arguments = arguments
        self.told = told
        self.inner_ids: dict[Id, Id] = {}
        """The ids of the listeners in the stores that hold results, by query."""

    def attach(self, result: ResultTable) -> None:
        add = getattr(result.store, f"add_{self.kind}_listener")
        # A wildcard stays one in each store, so that it is called after the listeners of exact ids.
        query_id = result.query_id if self.kind == "sorted_row_ids" else self.query_id
        self.inner_ids[result.query_id] = add(query_id, *self.arguments, self.told)


class QueriesListening(NotebookRepresentation):
    """The methods of queries that are about listeners."""

    __slots__ = ("_listeners", "_params", "_publishing", "_routes")

    def __init__(self, store: Store) -> None:
        self._publishing = Publishing(store, self._attach_routes)
        self._params = Store()
        self._listeners = ModuleListeners(self, "query_ids", *RESULT_KINDS)
        self._routes: dict[Id, _Route] = {}

    def add_query_ids_listener(self, listener: QueryIdsListener) -> Id:
        """Listen to when queries are defined or deleted. Mirrors TinyBase's ``addQueryIdsListener``.

        >>> queries = create_queries(create_store())
        >>> _ = queries.add_query_ids_listener(lambda queries: print(queries.get_query_ids()))
        >>> _ = queries.set_query_definition("all", "pets", lambda q: q.select_all())
        ['all']
        """
        self._check_thread()
        return self._listeners.add("query_ids", (), listener)

    def add_param_values_listener(self, query_id: IdLike | None, listener: ParamValuesListener) -> Id:
        """Listen to when parameters of a query change.

        The callback gets the queries, the query id and all its parameters. Mirrors TinyBase's
        ``addParamValuesListener``.

        >>> queries = create_queries(create_store())
        >>> _ = queries.set_query_definition("cats", "pets", lambda q: q.select("name"), {"age": 3})
        >>> _ = queries.add_param_values_listener("cats", lambda queries, query_id, values: print(values))
        >>> _ = queries.set_param_value("cats", "age", 4)
        {'age': 4}
        """
        told_of = as_listener(listener, "param_values")
        told = self._told(lambda queries, _, q, __: told_of(queries, q, queries.get_param_values(q)))
        return _PARAM_PREFIX + self._params.add_row_listener(PARAMS, query_id, told)

    def add_param_value_listener(
        self, query_id: IdLike | None, param_id: IdLike | None, listener: ParamValueListener
    ) -> Id:
        """Listen to when a parameter changes.

        The callback gets the queries, the query id, the parameter's id and its value, or `MISSING`. Mirrors
        TinyBase's ``addParamValueListener``.

        >>> queries = create_queries(create_store())
        >>> _ = queries.set_query_definition("cats", "pets", lambda q: q.select("name"), {"age": 3})
        >>> _ = queries.add_param_value_listener("cats", None, lambda queries, *changed: print(*changed))
        >>> _ = queries.set_param_value("cats", "age", 4)
        cats age 4
        """
        told_of = as_listener(listener, "param_value")
        told = self._told(lambda queries, _, q, p, new, __, ___: told_of(queries, q, p, new))
        return _PARAM_PREFIX + self._params.add_cell_listener(PARAMS, query_id, param_id, told)

    def add_result_table_listener(self, query_id: IdLike | None, listener: ResultTableListener) -> Id:
        """Listen to when anything in a result changes; None stands for every query there is or will be.

        The callback gets the queries, the query id and a `GetCellChange`. Mirrors TinyBase's
        ``addResultTableListener``.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> _ = queries.add_result_table_listener("old", lambda queries, query_id, change: print(query_id))
        >>> _ = store.set_cell("pets", "fido", "age", 9)
        old
        """
        return self._add("table", query_id, (), listener)

    def add_result_table_cell_ids_listener(self, query_id: IdLike | None, listener: ResultIdsListener) -> Id:
        """Listen to when cell ids come into use in a result or go out of it.

        The callback gets the queries, the query id and a `GetIdChanges`. Mirrors TinyBase's
        ``addResultTableCellIdsListener``.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> _ = queries.add_result_table_cell_ids_listener("old", lambda q, i, changes: print(changes()))
        >>> _ = store.set_cell("pets", "fido", "age", 9)
        {'age': 1}
        """
        return self._add("table_cell_ids", query_id, (), listener)

    def add_result_row_count_listener(self, query_id: IdLike | None, listener: ResultRowCountListener) -> Id:
        """Listen to when the number of rows in a result changes.

        The callback gets the queries, the query id and the number. Mirrors TinyBase's
        ``addResultRowCountListener``.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> _ = queries.add_result_row_count_listener("old", lambda queries, query_id, count: print(count))
        >>> _ = store.set_cell("pets", "fido", "age", 9)
        1
        """
        return self._add("row_count", query_id, (), listener)

    def add_result_row_ids_listener(self, query_id: IdLike | None, listener: ResultIdsListener) -> Id:
        """Listen to when rows come into a result or leave it.

        A query with `order_by` also tells when only their order has changed; then the changes are empty. The
        callback gets the queries, the query id and a `GetIdChanges`. Mirrors TinyBase's
        ``addResultRowIdsListener``.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> _ = queries.add_result_row_ids_listener("old", lambda q, i, changes: print(changes()))
        >>> _ = store.set_cell("pets", "fido", "age", 9)
        {'fido': 1}
        """
        return self._add("row_ids", query_id, (), listener)

    def add_result_sorted_row_ids_listener(
        self,
        query_id: IdLike | None,
        cell_id: IdLike | None,
        descending: bool,
        offset: int,
        limit: int | None,
        listener: ResultSortedRowIdsListener,
    ) -> Id:
        """Listen to when the sorted ids of a result's rows change, or a window of them.

        The arguments, and what the callback gets after the queries, are those of
        `Store.add_sorted_row_ids_listener`. Mirrors TinyBase's ``addResultSortedRowIdsListener``.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> _ = queries.add_result_sorted_row_ids_listener(
        ...     "old", "age", False, 0, None, lambda *args: print(args[-1]))
        >>> _ = store.set_cell("pets", "fido", "age", 9)
        ['fido']
        """
        return self._add("sorted_row_ids", query_id, (cell_id, descending, offset, limit), listener)

    def add_result_row_listener(
        self, query_id: IdLike | None, row_id: IdLike | None, listener: ResultRowListener
    ) -> Id:
        """Listen to when a row of a result changes.

        The callback gets the queries, the query and row ids and a `GetCellChange`. Mirrors TinyBase's
        ``addResultRowListener``.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> _ = queries.add_result_row_listener("old", None, lambda queries, q, row_id, change: print(row_id))
        >>> _ = store.set_cell("pets", "fido", "age", 9)
        fido
        """
        return self._add("row", query_id, (row_id,), listener)

    def add_result_cell_ids_listener(
        self, query_id: IdLike | None, row_id: IdLike | None, listener: ResultCellIdsListener
    ) -> Id:
        """Listen to when cells come into a row of a result or leave it.

        The callback gets the queries, the query and row ids and a `GetIdChanges`. Mirrors TinyBase's
        ``addResultCellIdsListener``.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> _ = queries.add_result_cell_ids_listener(None, None, lambda q, i, r, changes: print(r, changes()))
        >>> _ = store.set_cell("pets", "fido", "age", 9)
        fido {'age': 1}
        """
        return self._add("cell_ids", query_id, (row_id,), listener)

    def add_result_cell_listener(
        self,
        query_id: IdLike | None,
        row_id: IdLike | None,
        cell_id: IdLike | None,
        listener: ResultCellListener,
    ) -> Id:
        """Listen to when a cell of a result changes.

        The callback gets the queries, the query, row and cell ids, the new cell and the old one, either of
        them `MISSING` if there is none, and a `GetCellChange`. Mirrors TinyBase's ``addResultCellListener``.

        >>> store = create_store()
        >>> queries = create_queries(store).set_query_definition("old", "pets", lambda q: q.select("age"))
        >>> _ = queries.add_result_cell_listener(
        ...     "old", None, "age", lambda queries, q, r, c, new, old, change: print(r, new, old))
        >>> _ = store.set_cell("pets", "fido", "age", 9)
        fido 9 MISSING
        """
        return self._add("cell", query_id, (row_id, cell_id), listener)

    def del_listener(self, listener_id: Id) -> Self:
        """Remove a listener; unknown ids are ignored. Mirrors TinyBase's ``delListener``.

        >>> queries = create_queries(create_store())
        >>> listener_id = queries.add_query_ids_listener(lambda queries: print("changed"))
        >>> _ = queries.del_listener(listener_id).set_query_definition("q", "pets", lambda q: None)
        """
        self._check_thread()
        if listener_id.startswith(_PARAM_PREFIX):
            self._params.del_listener(listener_id[len(_PARAM_PREFIX) :])
            return self
        self._listeners.remove(listener_id)
        route = self._routes.pop(listener_id, None)
        if route is not None:
            for query_id, inner_id in route.inner_ids.items():
                result = self._publishing.results.get(query_id)
                if result is not None:
                    result.store.del_listener(inner_id)
            self._tidy()
        return self

    def get_listener_stats(self) -> dict[str, int]:
        """Count the listeners of each kind. Mirrors TinyBase's ``getListenerStats``.

        >>> queries = create_queries(create_store())
        >>> _ = queries.add_result_cell_listener(None, None, None, lambda *args: None)
        >>> queries.get_listener_stats()["cell"]
        1
        """
        self._check_thread()
        params = self._params.get_listener_stats()
        counts = {kind: self._listeners.count(kind) for kind in RESULT_KINDS}
        return {**counts, "param_values": params["row"], "param_value": params["cell"]}

    # ------------------------------------------------------------------------------------------------------

    def _check_thread(self) -> None:
        self._publishing.store._check_thread()

    def _told(self, callback: Callable[..., Any]) -> _Told:
        return _Told(self, self._publishing, callback)

    def _add(
        self, kind: str, query_id: IdLike | None, arguments: tuple[Any, ...], callback: Callable[..., Any]
    ) -> Id:
        self._check_thread()
        callback = as_listener(callback, f"result_{kind}")
        listener_id = self._listeners.add(kind, (), callback)
        exact = None if query_id is None else to_id(query_id)
        route = self._routes[listener_id] = _Route(kind, exact, arguments, self._told(callback))
        if exact is None:
            for result in self._publishing.results.values():
                route.attach(result)
        else:
            route.attach(self._publishing.result_of(exact))
        return listener_id

    def _attach_routes(self, result: ResultTable) -> None:
        for route in self._routes.values():
            if route.query_id is None:
                route.attach(result)

    def _tidy(self) -> None:
        listened = {route.query_id for route in self._routes.values()}
        self._publishing.tidy(lambda query_id: query_id in listened)
        for route in self._routes.values():
            for query_id in [
                query_id for query_id in route.inner_ids if query_id not in self._publishing.results
            ]:
                del route.inner_ids[query_id]
