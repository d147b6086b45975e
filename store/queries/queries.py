"""Queries: tables derived from a store by what TinyBase calls TinyQL, kept up to date as it changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Self, overload

from replicell.store.cells import Cell, CellLike
from replicell.store.changes import EncodedRow
from replicell.store.errors import ArgumentError
from replicell.store.ids import Id, IdLike, to_id
from replicell.store.modules import module_of
from replicell.store.queries.builder import Build, clauses_of
from replicell.store.queries.equality import is_same_row
from replicell.store.queries.listening import PARAMS
from replicell.store.queries.live import Definition
from replicell.store.queries.observing import QueriesObserving
from replicell.store.store import Store

__all__ = ["Queries", "create_queries"]

ParamValues = Mapping[Any, CellLike]


class Queries(QueriesObserving):
    """The queries of a store. Mirrors TinyBase's ``Queries``.

    A query selects cells of a table, or of another query's result, with those of joined tables; it filters,
    groups and orders them. Its result is a table that can be read and listened to like those of the store,
    and that is kept up to date at a cost that follows the change, not the size of the tables. Use
    `create_queries`, which returns the same object for the same store every time.

    >>> store = create_store().set_table("pets", {
    ...     "fido": {"species": "dog", "price": 5},
    ...     "felix": {"species": "cat", "price": 4},
    ...     "rex": {"species": "dog", "price": 7},
    ... })
    >>> queries = create_queries(store).set_query_definition("prices", "pets", lambda q: (
    ...     q.select("species"), q.select("price"), q.group("price", "avg").as_("average")))
    >>> queries.get_result_table("prices")
    {'0': {'species': 'dog', 'average': 6.0}, '1': {'species': 'cat', 'average': 4.0}}
    >>> _ = store.set_cell("pets", "felix", "price", 3)
    >>> queries.get_result_cell("prices", "1", "average")
    3.0
    """

    __slots__ = ()

    @overload
    def set_query_definition(
        self, query_id: IdLike, table_id: IdLike, build: Build, param_values: ParamValues | None = None, /
    ) -> Self: ...
    @overload
    def set_query_definition(
        self,
        query_id: IdLike,
        as_query: Literal[True],
        source_query_id: IdLike,
        build: Build,
        param_values: ParamValues | None = None,
        /,
    ) -> Self: ...
    def set_query_definition(self, query_id: IdLike, *arguments: Any) -> Self:
        """Define a query, or define it anew. Mirrors TinyBase's ``setQueryDefinition``.

        Listeners hear at once of what differs from the result there was. A query without any `select` has no
        result. If the build function fails, or a function of the query on one of the rows there are, nothing
        is changed.

        Args:
            query_id: The query.
            arguments: The table to query, or True and the id of a query whose result is to be queried; the
                function that says what is wanted, called with a `QueryBuilder`; and perhaps parameters.

        Raises:
            DefinitionError: If the query would read its own result, or a limit is negative; on a strict store
                also if it names a join that is not there.

        >>> store = create_store().set_table("pets", {"fido": {"age": 3}, "felix": {"age": 2}})
        >>> queries = create_queries(store).set_query_definition(
        ...     "young", "pets", lambda q: (q.select("age"), q.where("age", q.param("age"))), {"age": 2})
        >>> queries.get_result_row_ids("young")
        ['felix']
        """
        self._check_thread()
        is_query = bool(arguments) and arguments[0] is True
        given = arguments[1:] if is_query else arguments
        if len(given) not in (2, 3) or not callable(given[1]):
            raise ArgumentError(
                "a query is defined by an id, a table (or True and a query), a build function and perhaps "
                f"parameters, but {(query_id, *arguments)!r} was given"
            )
        params = _params_of(given[2] if len(given) == 3 and given[2] is not None else {})
        self._define(to_id(query_id), to_id(given[0]), is_query, given[1], params)
        return self

    def del_query_definition(self, query_id: IdLike) -> Self:
        """Delete a query; listeners hear of its result going. Mirrors TinyBase's ``delQueryDefinition``.

        >>> queries = create_queries(create_store()).set_query_definition("q", "pets", lambda q: None)
        >>> queries.del_query_definition("q").get_query_ids()
        []
        """
        self._check_thread()
        query_id = to_id(query_id)
        with self._publishing.telling():
            self._publishing.drop(query_id)
            self._params.del_row(PARAMS, query_id)
            self._publishing.publish(query_id, everyone=True)
            self._listeners.call("query_ids")
            self._tidy()
        return self

    # --- parameters ---------------------------------------------------------------------------------------

    def get_param_values(self, query_id: IdLike) -> dict[Id, Cell]:
        """Return the parameters of a query. Mirrors TinyBase's ``getParamValues``.

        >>> queries = create_queries(create_store())
        >>> queries.set_query_definition("q", "pets", lambda q: None, {"age": 3}).get_param_values("q")
        {'age': 3}
        """
        self._check_thread()
        return self._params.get_row(PARAMS, query_id)

    def get_param_value(self, query_id: IdLike, param_id: IdLike, default: Any = None) -> Any:
        """Return a parameter, or `default` if it is not there. Mirrors TinyBase's ``getParamValue``.

        >>> queries = create_queries(create_store())
        >>> queries.set_query_definition("q", "pets", lambda q: None, {"age": 3}).get_param_value("q", "age")
        3
        """
        self._check_thread()
        return self._params.get_cell(PARAMS, query_id, param_id, default)

    def set_param_values(self, query_id: IdLike, param_values: ParamValues) -> Self:
        """Replace the parameters of a query, which is then built anew. Mirrors ``setParamValues``.

        Unknown queries, and values that cannot be cells, are ignored. If the build function fails, the
        parameters stay as they were.

        >>> queries = create_queries(create_store())
        >>> _ = queries.set_query_definition("q", "pets", lambda q: None, {"age": 3, "name": "x"})
        >>> queries.set_param_values("q", {"age": 4}).get_param_values("q")
        {'age': 4}
        """
        self._check_thread()
        self._set_params(to_id(query_id), _params_of(param_values))
        return self

    def set_param_value(self, query_id: IdLike, param_id: IdLike, value: CellLike) -> Self:
        """Set one parameter of a query, which is then built anew. Mirrors TinyBase's ``setParamValue``.

        >>> store = create_store().set_table("pets", {"fido": {"age": 3}, "felix": {"age": 2}})
        >>> queries = create_queries(store).set_query_definition(
        ...     "young", "pets", lambda q: (q.select("age"), q.where("age", q.param("age"))), {"age": 3})
        >>> queries.set_param_value("young", "age", 2).get_result_row_ids("young")
        ['felix']
        """
        self._check_thread()
        query_id = to_id(query_id)
        self._set_params(query_id, {**self.get_param_values(query_id), **_params_of({param_id: value})})
        return self

    # --- which there are ----------------------------------------------------------------------------------

    def get_store(self) -> Store:
        """Return the store that is queried. Mirrors TinyBase's ``getStore``.

        >>> store = create_store()
        >>> create_queries(store).get_store() is store
        True
        """
        return self._publishing.store

    def get_query_ids(self) -> list[Id]:
        """Return the ids of all queries, in the order they came. Mirrors TinyBase's ``getQueryIds``.

        >>> create_queries(create_store()).set_query_definition("q", "pets", lambda q: None).get_query_ids()
        ['q']
        """
        self._check_thread()
        return list(self._publishing.live)

    def for_each_query(self, callback: Callable[[Id], object]) -> None:
        """Call back with the id of each query. Mirrors TinyBase's ``forEachQuery``.

        >>> queries = create_queries(create_store()).set_query_definition("q", "pets", lambda q: None)
        >>> queries.for_each_query(print)
        q
        """
        for query_id in self.get_query_ids():
            callback(query_id)

    def has_query(self, query_id: IdLike) -> bool:
        """Tell whether a query is defined. Mirrors TinyBase's ``hasQuery``.

        >>> create_queries(create_store()).has_query("q")
        False
        """
        self._check_thread()
        return to_id(query_id) in self._publishing.live

    def get_table_id(self, query_id: IdLike) -> Id | None:
        """Return the id of the table, or query, that a query starts from. Mirrors TinyBase's ``getTableId``.

        >>> create_queries(create_store()).set_query_definition("q", "pets", lambda q: None).get_table_id("q")
        'pets'
        """
        self._check_thread()
        live = self._publishing.live.get(to_id(query_id))
        return None if live is None else live.definition.table_id

    def destroy(self) -> None:
        """Delete all queries. Mirrors TinyBase's ``destroy``; the object can still be used.

        >>> queries = create_queries(create_store()).set_query_definition("q", "pets", lambda q: None)
        >>> queries.destroy()
        >>> queries.get_query_ids()
        []
        """
        for query_id in self.get_query_ids():
            self.del_query_definition(query_id)

    def __repr__(self) -> str:
        """Say which queries there are.

        >>> create_queries(create_store()).set_query_definition("q", "pets", lambda q: None)
        <Queries: 'q'>
        """
        return f"<Queries: {', '.join(map(repr, self._publishing.live)) or 'none'}>"

    # ------------------------------------------------------------------------------------------------------

    def _define(
        self, query_id: Id, table_id: Id, is_query: bool, build: Build, params: dict[Id, Cell]
    ) -> None:
        publishing = self._publishing
        with publishing.telling():
            try:
                definition = Definition(query_id, table_id, is_query, build, clauses_of(build, params))
                commit = publishing.stage(definition)
            except BaseException:
                self._tidy()
                raise
            is_new = query_id not in publishing.live
            commit()
            if is_new:
                try:
                    self._listeners.call("query_ids")
                except BaseException:
                    publishing.drop(query_id)
                    publishing.publish(query_id, everyone=True)
                    self._tidy()
                    raise
            self._put_params(query_id, params)
            publishing.publish(query_id, everyone=True)
            self._tidy()

    def _set_params(self, query_id: Id, params: dict[Id, Cell]) -> None:
        publishing = self._publishing
        live = publishing.live.get(query_id)
        if live is None or is_same_row(self._params.get_encoded_row(PARAMS, query_id), _encoded(params)):
            return
        before = live.definition
        with publishing.telling():
            definition = Definition(
                query_id, before.table_id, before.is_query, before.build, clauses_of(before.build, params)
            )
            commit = publishing.stage(definition)
            # Listeners to results can read the new parameters; those to parameters are told after them.
            self._params.start_transaction()
            try:
                self._put_params(query_id, params)
                commit()
                publishing.publish(query_id, everyone=True)
            finally:
                self._params.finish_transaction()
            self._tidy()

    def _put_params(self, query_id: Id, params: dict[Id, Cell]) -> None:
        if params:
            self._params.set_row(PARAMS, query_id, params)
        else:
            self._params.del_row(PARAMS, query_id)

    def _catch_up(self, touched: Mapping[Id, Iterable[Id]], committed: bool) -> None:
        self._publishing.catch_up(touched, committed)


def create_queries(store: Store) -> Queries:
    """Return the queries of a store, the same object every time. Mirrors TinyBase's ``createQueries``.

    >>> store = create_store()
    >>> create_queries(store) is create_queries(store)
    True
    """
    return module_of(store, "queries", Queries)


def _encoded(params: dict[Id, Cell]) -> EncodedRow:
    return Store().set_row(PARAMS, "", params).get_encoded_row(PARAMS, "")


def _params_of(values: ParamValues) -> dict[Id, Cell]:
    """Copy what can be a parameter, which is what can be a cell."""
    return Store().set_row(PARAMS, "", values).get_row(PARAMS, "")
