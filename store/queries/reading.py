"""Reading the results of queries, as a store's tables are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar, overload

from replicell.store.cells import Cell
from replicell.store.content_types import Row, Table
from replicell.store.frames.frame import ID_COLUMN, Frame, Objects, snapshot_of
from replicell.store.ids import Id, IdLike, to_id
from replicell.store.queries.listening import QueriesListening
from replicell.store.sorted_rows import Sorter
from replicell.store.store import Store

__all__ = ["QueriesReading"]

ForEachResultCell: TypeAlias = Callable[[Callable[[Id, Cell], object]], None]
ForEachResultRow: TypeAlias = Callable[[Callable[[Id, ForEachResultCell], object]], None]

_T = TypeVar("_T")


class QueriesReading(QueriesListening):
    """The methods of queries that read results.

    Results are up to date when a transaction of the store is over. Nothing here raises for what is not there.
    """

    __slots__ = ()

    def get_result_table(self, query_id: IdLike) -> Table:
        """Return the whole result of a query, its rows in order. Mirrors TinyBase's ``getResultTable``.

        >>> store = create_store().set_cell("pets", "fido", "age", 3)
        >>> queries = create_queries(store).set_query_definition("ages", "pets", lambda q: q.select("age"))
        >>> queries.get_result_table("ages")
        {'fido': {'age': 3}}
        """
        store, query_id = self._result(query_id)
        ordered = self._ordered(query_id)
        if ordered is None:
            return store.get_table(query_id)
        return {row_id: store.get_row(query_id, row_id) for row_id in ordered}

    def result_frame(
        self,
        query_id: IdLike,
        *,
        id_column: str | None = ID_COLUMN,
        columns: Sequence[IdLike] | None = None,
        objects: Objects = "auto",
    ) -> Frame:
        """Return what a result is now as something that data frame libraries read, its rows in order.

        Args:
            query_id: The query.
            id_column: What the column of row ids is called; None leaves it out.
            columns: The cells to export; by default all that any row has.
            objects: As for `Store.frame`.

        Raises:
            FrameError: If a cell has the name of the column of row ids.

        >>> store = Store().set_table("pets", {"fido": {"age": 3}, "felix": {"age": 2}})
        >>> queries = create_queries(store).set_query_definition(
        ...     "by age", "pets", lambda q: (q.select("age"), q.order_by("age")))
        >>> queries.result_frame("by age").to_polars().rows()
        [('felix', 2), ('fido', 3)]
        """
        store, query_id = self._result(query_id)
        return snapshot_of(
            store,
            query_id,
            id_column=id_column,
            columns=columns,
            objects=objects,
            row_ids=self._ordered(query_id),
        )

    def get_result_table_cell_ids(self, query_id: IdLike) -> list[Id]:
        """Return the ids of the cells used in a result. Mirrors TinyBase's ``getResultTableCellIds``.

        >>> store = create_store().set_cell("pets", "fido", "age", 3)
        >>> queries = create_queries(store).set_query_definition("ages", "pets", lambda q: q.select("age"))
        >>> queries.get_result_table_cell_ids("ages")
        ['age']
        """
        store, query_id = self._result(query_id)
        return store.get_table_cell_ids(query_id)

    def get_result_row_count(self, query_id: IdLike) -> int:
        """Return the number of rows in a result. Mirrors TinyBase's ``getResultRowCount``.

        >>> store = create_store().set_cell("pets", "fido", "age", 3)
        >>> queries = create_queries(store).set_query_definition("ages", "pets", lambda q: q.select("age"))
        >>> queries.get_result_row_count("ages")
        1
        """
        store, query_id = self._result(query_id)
        return store.get_row_count(query_id)

    def get_result_row_ids(self, query_id: IdLike) -> list[Id]:
        """Return the ids of the rows in a result. Mirrors TinyBase's ``getResultRowIds``.

        They come in the order in which the rows came into the result, at first that of the table; with
        `order_by`, `limit` or `offset` in the order that the query asks for.

        >>> store = create_store().set_table("pets", {"fido": {"age": 3}, "felix": {"age": 2}})
        >>> queries = create_queries(store).set_query_definition(
        ...     "by age", "pets", lambda q: (q.select("age"), q.order_by("age")))
        >>> queries.get_result_row_ids("by age")
        ['felix', 'fido']
        """
        store, query_id = self._result(query_id)
        ordered = self._ordered(query_id)
        return store.get_row_ids(query_id) if ordered is None else ordered

    def get_result_sorted_row_ids(
        self,
        query_id: IdLike,
        cell_id: IdLike | None = None,
        descending: bool = False,
        offset: int = 0,
        limit: int | None = None,
        sorter: Sorter | None = None,
    ) -> list[Id]:
        """Return the ids of the rows in a result, sorted as `Store.get_sorted_row_ids` does.

        Mirrors TinyBase's ``getResultSortedRowIds``.

        >>> store = create_store().set_table("pets", {"fido": {"age": 3}, "felix": {"age": 2}})
        >>> queries = create_queries(store).set_query_definition("ages", "pets", lambda q: q.select("age"))
        >>> queries.get_result_sorted_row_ids("ages", "age")
        ['felix', 'fido']
        """
        store, query_id = self._result(query_id)
        return store.get_sorted_row_ids(query_id, cell_id, descending, offset, limit, sorter)

    def get_result_row(self, query_id: IdLike, row_id: IdLike) -> Row:
        """Return a row of a result, empty if there is none. Mirrors TinyBase's ``getResultRow``.

        >>> store = create_store().set_cell("pets", "fido", "age", 3)
        >>> queries = create_queries(store).set_query_definition("ages", "pets", lambda q: q.select("age"))
        >>> queries.get_result_row("ages", "fido")
        {'age': 3}
        """
        store, query_id = self._result(query_id)
        return store.get_row(query_id, row_id)

    def get_result_cell_ids(self, query_id: IdLike, row_id: IdLike) -> list[Id]:
        """Return the ids of the cells in a row of a result. Mirrors TinyBase's ``getResultCellIds``.

        >>> store = create_store().set_cell("pets", "fido", "age", 3)
        >>> queries = create_queries(store).set_query_definition("ages", "pets", lambda q: q.select("age"))
        >>> queries.get_result_cell_ids("ages", "fido")
        ['age']
        """
        store, query_id = self._result(query_id)
        return store.get_cell_ids(query_id, row_id)

    @overload
    def get_result_cell(self, query_id: IdLike, row_id: IdLike, cell_id: IdLike) -> Cell: ...
    @overload
    def get_result_cell(
        self, query_id: IdLike, row_id: IdLike, cell_id: IdLike, default: _T
    ) -> Cell | _T: ...
    def get_result_cell(
        self, query_id: IdLike, row_id: IdLike, cell_id: IdLike, default: object = None
    ) -> object:
        """Return a cell of a result, or `default` if it is not there. Mirrors TinyBase's ``getResultCell``.

        >>> store = create_store().set_cell("pets", "fido", "age", 3)
        >>> queries = create_queries(store).set_query_definition("ages", "pets", lambda q: q.select("age"))
        >>> queries.get_result_cell("ages", "fido", "age")
        3
        """
        store, query_id = self._result(query_id)
        return store.get_cell(query_id, row_id, cell_id, default)

    def has_result_table(self, query_id: IdLike) -> bool:
        """Tell whether a query has any result. Mirrors TinyBase's ``hasResultTable``.

        >>> create_queries(create_store()).has_result_table("ages")
        False
        """
        store, query_id = self._result(query_id)
        return store.has_table(query_id)

    def has_result_row(self, query_id: IdLike, row_id: IdLike) -> bool:
        """Tell whether a result has a row. Mirrors TinyBase's ``hasResultRow``.

        >>> create_queries(create_store()).has_result_row("ages", "fido")
        False
        """
        store, query_id = self._result(query_id)
        return store.has_row(query_id, row_id)

    def has_result_cell(self, query_id: IdLike, row_id: IdLike, cell_id: IdLike) -> bool:
        """Tell whether a result has a cell. Mirrors TinyBase's ``hasResultCell``.

        >>> create_queries(create_store()).has_result_cell("ages", "fido", "age")
        False
        """
        store, query_id = self._result(query_id)
        return store.has_cell(query_id, row_id, cell_id)

    def for_each_result_table(self, callback: Callable[[Id, ForEachResultRow], object]) -> None:
        """Call back with each query that has a result, and a function that goes through its rows.

        Mirrors TinyBase's ``forEachResultTable``.

        >>> store = create_store().set_cell("pets", "fido", "age", 3)
        >>> queries = create_queries(store).set_query_definition("ages", "pets", lambda q: q.select("age"))
        >>> queries.for_each_result_table(lambda query_id, for_each_row: print(query_id))
        ages
        """
        self._check_thread()
        for query_id in list(self._publishing.live):
            if self.has_result_table(query_id):
                callback(query_id, self._row_visitor(query_id))

    def for_each_result_row(
        self, query_id: IdLike, callback: Callable[[Id, ForEachResultCell], object]
    ) -> None:
        """Call back with each row id of a result and a function that goes through its cells.

        Mirrors TinyBase's ``forEachResultRow``.

        >>> store = create_store().set_cell("pets", "fido", "age", 3)
        >>> queries = create_queries(store).set_query_definition("ages", "pets", lambda q: q.select("age"))
        >>> queries.for_each_result_row("ages", lambda row_id, for_each_cell: for_each_cell(print))
        age 3
        """
        for row_id in self.get_result_row_ids(query_id):
            if self.has_result_row(query_id, row_id):
                callback(row_id, self._cell_visitor(to_id(query_id), row_id))

    def for_each_result_cell(
        self, query_id: IdLike, row_id: IdLike, callback: Callable[[Id, Cell], object]
    ) -> None:
        """Call back with each cell id and cell of a row of a result. Mirrors ``forEachResultCell``.

        >>> store = create_store().set_cell("pets", "fido", "age", 3)
        >>> queries = create_queries(store).set_query_definition("ages", "pets", lambda q: q.select("age"))
        >>> queries.for_each_result_cell("ages", "fido", print)
        age 3
        """
        store, query_id = self._result(query_id)
        store.for_each_cell(query_id, row_id, callback)

    # ------------------------------------------------------------------------------------------------------

    def _result(self, query_id: IdLike) -> tuple[Store, Id]:
        self._check_thread()
        query_id = to_id(query_id)
        result = self._publishing.results.get(query_id)
        return (_NOTHING() if result is None else result.store), query_id

    def _ordered(self, query_id: Id) -> list[Id] | None:
        live = self._publishing.live.get(query_id)
        return None if live is None else live.row_ids_in_order

    def _row_visitor(self, query_id: Id) -> ForEachResultRow:
        return lambda callback: self.for_each_result_row(query_id, callback)

    def _cell_visitor(self, query_id: Id, row_id: Id) -> ForEachResultCell:
        return lambda callback: self.for_each_result_cell(query_id, row_id, callback)


_NOTHING = Store
"""Where results of unknown queries are looked for; new, so that it belongs to the calling thread."""
