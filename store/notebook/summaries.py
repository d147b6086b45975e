"""How stores, and all that is derived from them, look in a notebook when they are shown as they are."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any

from replicell.store.indexes import Indexes
from replicell.store.metrics import Metrics
from replicell.store.missing import MISSING
from replicell.store.notebook.html import (
    MOST_COLUMNS,
    MOST_ROWS,
    Grid,
    Shown,
    counted,
    grid,
    panel,
    section,
)
from replicell.store.notebook.sources import QueryResult, StoreTable, TableSource
from replicell.store.queries import Queries
from replicell.store.relationships import Relationships
from replicell.store.store import Store
from replicell.store.typed import TypedTable
from replicell.store.views import RowView, TablesView, TableView, ValuesView

__all__ = ["source_of", "summary_of", "table_summary"]

_MOST_SECTIONS = 20
_MOST_IDS = 8


def summary_of(thing: object) -> str:
    """Return the HTML that shows a store, a view of it, or its queries, indexes, metrics or relationships.

    What is long is cut, and said to be; all that comes from the store is escaped.

    >>> "2 rows" in summary_of(Store().set_table("pets", {"fido": {"age": 3}, "felix": {"age": 2}}))
    True

    Raises:
        TypeError: If it is something else.
    """
    if isinstance(thing, Store):
        return _store(thing)
    if isinstance(thing, (TableView, TypedTable)):
        return table_summary(thing._store, thing._table_id)
    if isinstance(thing, TablesView):
        return _store(thing._store)
    if isinstance(thing, (RowView, ValuesView)):
        return _cells(thing)
    if isinstance(thing, Queries):
        return _queries(thing)
    if isinstance(thing, Indexes):
        return _indexes(thing)
    if isinstance(thing, Metrics):
        return _metrics(thing)
    if isinstance(thing, Relationships):
        return _relationships(thing)
    raise TypeError(f"there is no summary of a {type(thing).__name__}")


def table_summary(store_or_queries: Store | Queries, table_id: str) -> str:
    """Return the HTML that shows one table of a store, or the result of one query.

    >>> "fido" in table_summary(Store().set_cell("pets", "fido", "age", 3), "pets")
    True
    """
    source = source_of(store_or_queries, table_id)
    return panel(table_id, _size_of(source), _rows_of(source))


def source_of(store_or_queries: Store | Queries, table_id: str) -> TableSource:
    """Return the table of a store, or the result of a query, to read from."""
    store_or_queries._check_thread()
    if isinstance(store_or_queries, Store):
        return StoreTable(store_or_queries, table_id)
    return QueryResult(store_or_queries, table_id)


def _store(store: Store) -> str:
    store._check_thread()
    parts = _table_sections([StoreTable(store, table_id) for table_id in store._tables], "tables")
    values = store._values
    if values:
        shown = islice(values.items(), MOST_ROWS)
        body = grid(
            Grid("value", ["content"], [(value_id, [value]) for value_id, value in shown], len(values), 1)
        )
        parts.append(section("values", counted(len(values), "value"), body, is_open=True))
    rows = sum(map(len, store._tables.values()))
    note = ", ".join(
        (counted(len(store._tables), "table"), counted(rows, "row"), counted(len(values), "value"))
    )
    return panel(type(store).__name__, note, *parts)


def _cells(view: RowView | ValuesView) -> str:
    held = view._held()
    shown = [(cell_id, [cell]) for cell_id, cell in islice(held.items(), MOST_ROWS)]
    noun = "cell" if isinstance(view, RowView) else "value"
    body = grid(Grid(noun, ["content"], shown, len(held), 1))
    return panel(view._holder(), counted(len(held), noun), body)


def _queries(queries: Queries) -> str:
    query_ids = queries.get_query_ids()
    parts = _table_sections([QueryResult(queries, query_id) for query_id in query_ids], "queries")
    return panel("Queries", counted(len(query_ids), "query", "queries"), *parts)


def _indexes(indexes: Indexes) -> str:
    index_ids = indexes.get_index_ids()
    parts: list[str] = []
    for index_id in index_ids[:_MOST_SECTIONS]:
        slice_ids = indexes.get_slice_ids(index_id)
        rows = [
            (slice_id, _ids(indexes.get_slice_row_ids(index_id, slice_id)))
            for slice_id in slice_ids[:MOST_ROWS]
        ]
        body = grid(Grid("slice", ["rows", "row ids"], rows, len(slice_ids), 2))
        note = f"of {indexes.get_table_id(index_id)}: {counted(len(slice_ids), 'slice')}"
        parts.append(section(index_id, note, body, is_open=not parts))
    parts += _left_out(len(index_ids), "indexes")
    return panel("Indexes", counted(len(index_ids), "index", "indexes"), *parts)


def _metrics(metrics: Metrics) -> str:
    metric_ids = metrics.get_metric_ids()
    rows: list[tuple[str, list[Shown]]] = [
        (metric_id, [metrics.get_table_id(metric_id), metrics.get_metric(metric_id, MISSING)])
        for metric_id in metric_ids[:MOST_ROWS]
    ]
    body = [grid(Grid("metric", ["table", "value"], rows, len(metric_ids), 2))] if rows else []
    return panel("Metrics", counted(len(metric_ids), "metric"), *body)


def _relationships(relationships: Relationships) -> str:
    relationship_ids = relationships.get_relationship_ids()
    parts: list[str] = []
    for relationship_id in relationship_ids[:_MOST_SECTIONS]:
        links = relationships._things[relationship_id].links
        rows: list[tuple[str, list[Shown]]] = [
            (local_row_id, [remote_row_id])
            for local_row_id, remote_row_id in islice(links.items(), MOST_ROWS)
        ]
        local = relationships.get_local_table_id(relationship_id) or ""
        remote = relationships.get_remote_table_id(relationship_id) or ""
        body = grid(Grid(f"row of {local}", [f"refers to row of {remote}"], rows, len(links), 1))
        note = f"{local} → {remote}: {counted(len(links), 'row')} linked"
        parts.append(section(relationship_id, note, body, is_open=not parts))
    parts += _left_out(len(relationship_ids), "relationships")
    return panel("Relationships", counted(len(relationship_ids), "relationship"), *parts)


def _table_sections(sources: list[TableSource], noun: str) -> list[str]:
    parts = [
        section(source.table_id, _size_of(source), _rows_of(source), is_open=place == 0)
        for place, source in enumerate(sources[:_MOST_SECTIONS])
    ]
    return parts + _left_out(len(sources), noun)


def _left_out(count: int, noun: str) -> list[str]:
    return (
        [f'<div class="note">… and {count - _MOST_SECTIONS:,} more {noun}</div>']
        if count > _MOST_SECTIONS
        else []
    )


def _size_of(source: TableSource) -> str:
    return f"{counted(source.row_count, 'row')} by {counted(len(source.column_ids()), 'cell')}"


def _rows_of(source: TableSource) -> str:
    column_ids = source.column_ids()
    columns = column_ids[:MOST_COLUMNS]
    rows = (
        (row_id, [row.get(column, MISSING) for column in columns])
        for row_id in source.own_order(0, MOST_ROWS)
        for row in (source.row(row_id),)
    )
    return grid(Grid("id", columns, rows, source.row_count, len(column_ids)))


def _ids(row_ids: Iterable[Any]) -> list[Shown]:
    ids = list(row_ids)
    more = f", … {len(ids) - _MOST_IDS:,} more" if len(ids) > _MOST_IDS else ""
    return [len(ids), ", ".join(ids[:_MOST_IDS]) + more]
