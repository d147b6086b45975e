"""Queries as plain data, and what they mean: said to `Queries`, worked out from scratch, and as SQL.

The evaluator here knows nothing of how queries are kept up to date: it goes through all combinations of rows
each time. Absent cells are MISSING here and NULL in SQL; the cells of these tests are integers and strings.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from replicell.store import MISSING, QueryBuilder
from replicell.store.sorted_rows import default_sort_key

__all__ = ["Join", "Query", "as_sql", "build", "evaluate", "run_sql"]

Row = dict[str, Any]
Table = dict[str, Row]


@dataclass(frozen=True)
class Join:
    """A join; `by` None joins by row id, `on` None compares the id of the row it starts from."""

    table: str
    alias: str
    on: str | None
    by: str | None = None
    start: str | None = None
    inner: bool = False
    is_query: bool = False


@dataclass(frozen=True)
class Query:
    """A query. Places are aliases of joins, None being the root; each select is (name, place, cell)."""

    root: str
    selects: tuple[tuple[str, str | None, str], ...]
    is_query: bool = False
    joins: tuple[Join, ...] = ()
    wheres: tuple[tuple[str | None, str, Any], ...] = ()
    groups: tuple[tuple[str, str, str], ...] = ()
    havings: tuple[tuple[str, Any], ...] = ()
    distinct: bool = False
    orders: tuple[tuple[str, bool], ...] = ()
    limit: int | None = None
    offset: int = 0

    @property
    def is_grouped(self) -> bool:
        return bool(self.groups or self.havings or self.distinct)

    @property
    def is_ordered(self) -> bool:
        return bool(self.orders or self.limit is not None or self.offset)


def build(query: Query, q: QueryBuilder) -> None:
    """Say a query to `Queries.set_query_definition`."""
    for join in query.joins:
        if join.by is not None:
            q.join_each(
                join.table,
                join.by,
                join.on,
                from_alias=join.start,
                inner=join.inner,
                is_query=join.is_query,
            ).as_(join.alias)
        else:
            assert join.on is not None
            start = [] if join.start is None else [join.start]
            flag: list[Any] = [True] if join.is_query else []
            said: Any = q.join
            said(*flag, join.table, *start, join.on).as_(join.alias)
    for name, place, cell_id in query.selects:
        (q.select(cell_id) if place is None else q.select(place, cell_id)).as_(name)
    for place, cell_id, wanted in query.wheres:
        if place is None:
            q.where(cell_id, wanted)
        else:
            q.where(place, cell_id, wanted)
    for name, aggregate, grouped in query.groups:
        q.group(name, aggregate).as_(grouped)
    for name, wanted in query.havings:
        q.having(name, wanted)
    if query.distinct:
        q.distinct()
    for name, descending in query.orders:
        q.order_by(name, descending)
    if query.limit is not None:
        q.limit(query.limit)
    if query.offset:
        q.offset(query.offset)


# --- from scratch -------------------------------------------------------------------------------------------


def evaluate(query: Query, tables: dict[str, Table], results: dict[str, Table]) -> list[tuple[str, Row]]:
    """Work out a result: pairs of row id and row, the ids of groups being empty."""
    selected: list[tuple[str, Row]] = []
    source = results if query.is_query else tables
    for root_id, root in source.get(query.root, {}).items():
        for ids, rows in combinations(query, {None: root_id}, {None: root}, tables, results):
            if all(rows[place].get(cell_id, MISSING) == wanted for place, cell_id, wanted in query.wheres):
                picked = {name: rows[place].get(cell, MISSING) for name, place, cell in query.selects}
                row = {name: cell for name, cell in picked.items() if cell is not MISSING}
                if row:
                    selected.append((row_id_of(query, ids), row))
    rows_of_result = grouped(query, selected) if query.is_grouped else selected
    if query.is_ordered:
        keys = [name for name, _, _ in query.selects if name not in {group[0] for group in query.groups}]
        rows_of_result.sort(key=lambda pair: last_key(query, keys, pair))
        for name, descending in reversed(query.orders):
            rows_of_result.sort(
                key=lambda pair: default_sort_key(pair[1].get(name, MISSING)), reverse=descending
            )
        stop = None if query.limit is None else query.offset + query.limit
        rows_of_result = rows_of_result[query.offset : stop]
    return rows_of_result


def key_of(name: str, pair: tuple[str, Row]) -> Any:
    return default_sort_key(pair[1].get(name, MISSING))


def combinations(
    query: Query,
    ids: dict[str | None, str | None],
    rows: dict[str | None, Row],
    tables: dict[str, Table],
    results: dict[str, Table],
) -> Iterator[tuple[dict[str | None, str | None], dict[str | None, Row]]]:
    join = next((join for join in query.joins if join.alias not in ids), None)
    if join is None:
        yield ids, rows
        return
    table = (results if join.is_query else tables).get(join.table, {})
    start = rows[join.start]
    wanted = ids[join.start] if join.on is None else start.get(join.on, MISSING)
    matching: list[str | None]
    if join.by is None:
        matching = [str(wanted) if wanted is not MISSING and str(wanted) in table else None]
    else:
        found = [(row_id, row.get(join.by, MISSING)) for row_id, row in table.items()]
        matching = [
            row_id
            for row_id, cell in found
            if cell is not MISSING
            and wanted is not MISSING
            and wanted is not None
            and (str(cell) == wanted if join.on is None else cell == wanted)
        ]
        if not matching and not join.inner:
            matching = [None]
    for row_id in matching:
        row = {} if row_id is None else table[row_id]
        yield from combinations(
            query, {**ids, join.alias: row_id}, {**rows, join.alias: row}, tables, results
        )


def row_id_of(query: Query, ids: dict[str | None, str | None]) -> str:
    each = [ids[join.alias] for join in query.joins if join.by is not None]
    return json.dumps([ids[None], *each], separators=(",", ":")) if each else str(ids[None])


def grouped(query: Query, selected: list[tuple[str, Row]]) -> list[tuple[str, Row]]:
    aggregated = {name for name, _, _ in query.groups}
    keys = [name for name, _, _ in query.selects if name not in aggregated]
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for _, row in selected:
        groups.setdefault(tuple(row.get(name, MISSING) for name in keys), []).append(row)
    result: list[tuple[str, Row]] = []
    for key, rows in groups.items():
        picked = {name: cell for name, cell in zip(keys, key, strict=True) if cell is not MISSING}
        for name, aggregate, as_ in query.groups:
            cells = [row[name] for row in rows if name in row]
            if cells:
                picked[as_] = AGGREGATES[aggregate](cells)
        if picked and all(picked.get(name, MISSING) == wanted for name, wanted in query.havings):
            result.append(("", picked))
    return result


AGGREGATES: dict[str, Any] = {
    "count": len,
    "count_distinct": lambda cells: len(set(cells)),
    "sum": sum,
    "avg": lambda cells: sum(cells) / len(cells),
    "min": min,
    "max": max,
}


def last_key(query: Query, keys: list[str], pair: tuple[str, Row]) -> Any:
    row_id, row = pair
    if not query.is_grouped:
        return default_sort_key(row_id)
    cells = [row.get(name, MISSING) for name in keys]
    return [default_sort_key(cell) for cell in cells]


# --- as SQL -------------------------------------------------------------------------------------------------


@dataclass
class Sql:
    """The text of a statement and its bindings."""

    text: str
    bindings: list[Any] = field(default_factory=list)


CELLS = ("a", "n", "link")


def run_sql(query: Query, tables: dict[str, Table]) -> list[tuple[str, Row]]:
    """Let SQLite work out a result over the same data."""
    with sqlite3.connect(":memory:") as connection:
        for table_id in ("t1", "t2", "t3"):
            columns = ", ".join(f'"{cell_id}"' for cell_id in CELLS)
            connection.execute(f'CREATE TABLE "{table_id}" (id, {columns})')
            for row_id, row in tables.get(table_id, {}).items():
                cells = [row.get(cell_id) for cell_id in CELLS]
                connection.execute(f'INSERT INTO "{table_id}" VALUES (?, ?, ?, ?)', (row_id, *cells))
        statement = as_sql(query)
        cursor = connection.execute(statement.text, statement.bindings)
        names = [column[0] for column in cursor.description]
        found = [dict(zip(names, row, strict=True)) for row in cursor]
    connection.close()
    return [
        (
            row.pop("row id", ""),
            {name: cell for name, cell in row.items() if cell is not None and not name.startswith("of ")},
        )
        for row in found
    ]


def as_sql(query: Query) -> Sql:
    """Say a query over tables as SQL."""
    bindings: list[Any] = []
    tables = [f'"{query.root}" AS "root"']
    for join in query.joins:
        start = '"root"' if join.start is None else f'"{join.start}"'
        wanted = f"{start}.id" if join.on is None else f'{start}."{join.on}"'
        if join.by is None:
            match = f'"{join.alias}".id = CAST({wanted} AS TEXT)'
        elif join.on is None:
            match = f'CAST("{join.alias}"."{join.by}" AS TEXT) = {wanted}'
        else:
            match = f'"{join.alias}"."{join.by}" = {wanted}'
        tables.append(f'{"" if join.inner else "LEFT "}JOIN "{join.table}" AS "{join.alias}" ON {match}')
    selects = [f'"{place or "root"}"."{cell_id}" AS "{name}"' for name, place, cell_id in query.selects]
    each = [f'"{join.alias}".id' for join in query.joins if join.by is not None]
    row_id = f'json_array("root".id, {", ".join(each)})' if each else '"root".id'
    conditions = []
    for place, cell_id, wanted in query.wheres:
        cell = f'"{place or "root"}"."{cell_id}"'
        if wanted is MISSING:
            conditions.append(f"{cell} IS NULL")
        else:
            conditions.append(f"{cell} = ?")
            bindings.append(wanted)
    some = " OR ".join(f'"{place or "root"}"."{cell_id}" IS NOT NULL' for _, place, cell_id in query.selects)
    where = " AND ".join([*conditions, f"({some})"])
    text = f'SELECT {row_id} AS "row id", {", ".join(selects)} FROM {" ".join(tables)} WHERE {where}'
    if query.is_grouped:
        text = grouped_sql(query, text, bindings)
    if query.is_ordered:
        text += ordered_sql(query)
    return Sql(text, bindings)


def grouped_sql(query: Query, text: str, bindings: list[Any]) -> str:
    aggregated = {name for name, _, _ in query.groups}
    keys = [f'"{name}"' for name, _, _ in query.selects if name not in aggregated]
    functions = {"count_distinct": "count(DISTINCT", "count": "count("}
    results = []
    for name, aggregate, as_ in query.groups:
        call = f'{functions.get(aggregate, aggregate + "(")} "{name}")'
        results.append(f'{f"nullif({call}, 0)" if aggregate.startswith("count") else call} AS "{as_}"')
    columns = ", ".join([*keys, *results])
    grouping = f" GROUP BY {', '.join(keys)}" if keys else " HAVING count(*) > 0"
    text = f"SELECT * FROM (SELECT {columns} FROM ({text}){grouping})"
    names = [*keys, *[f'"{as_}"' for _, _, as_ in query.groups]]
    conditions = [f"({' OR '.join(f'{name} IS NOT NULL' for name in names)})"]
    for name, wanted in query.havings:
        conditions.append(f'"{name}" = ?')
        bindings.append(wanted)
    return f"{text} WHERE {' AND '.join(conditions)}"


def ordered_sql(query: Query) -> str:
    keys = [
        part
        for name, descending in query.orders
        for part in sort_parts(f'"{name}"', " DESC" if descending else "")
    ]
    if query.is_grouped:
        aggregated = {name for name, _, _ in query.groups}
        for name, _, _ in query.selects:
            if name not in aggregated:
                keys += sort_parts(f'"{name}"', "")
    else:
        keys.append('"row id"')
    order = f" ORDER BY {', '.join(keys)}" if keys else ""
    return f"{order} LIMIT {-1 if query.limit is None else query.limit} OFFSET {query.offset}"


def sort_parts(cell: str, direction: str) -> list[str]:
    return [f"typeof({cell}) = 'text'{direction}", f"ifnull({cell}, 0){direction}"]
