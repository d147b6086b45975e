"""Queries beside TinyBase's, which run in benchmarks/node/queries.mjs where each function has its twin."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from benchmarks.measure import Line, speed
from benchmarks.processes import LineProcess
from replicell.store import Queries, QueryBuilder, Store, create_queries, create_store

__all__ = ["query_lines"]

SECTION = "Queries"
TINYBASE = "TinyBase 10 on Node"
SIZES = (10_000, 100_000)
LISTS = 100
WRITES = 300
SORTED_WRITES = 20
BUILD = speed(2)
UPDATE = speed(4)
SORTED = speed(50)


def filled(size: int) -> Store:
    todos = {
        f"row {index}": {
            "text": f"todo {index}",
            "done": index % 2 == 0,
            "rank": index * 7919 % size,
            "list": f"list {index % LISTS}",
        }
        for index in range(size)
    }
    lists = {f"list {index}": {"name": f"the list {index}"} for index in range(LISTS)}
    return create_store().set_tables({"todos": todos, "lists": lists})


def filter_rows(q: QueryBuilder) -> None:
    q.select("text")
    q.select("rank")
    q.where("done", True)


def join_lists(q: QueryBuilder) -> None:
    q.select("text")
    q.select("rank")
    q.select("lists", "name").as_("list")
    q.join("lists", "list")


def group_by_list(q: QueryBuilder) -> None:
    q.select("list")
    q.select("rank")
    q.group("rank", "avg").as_("mean")


def order_by_rank(q: QueryBuilder) -> None:
    filter_rows(q)
    q.order_by("rank")
    q.limit(10)


SHAPES: dict[str, Callable[[QueryBuilder], None]] = {
    "filter": filter_rows,
    "join": join_lists,
    "group": group_by_list,
    "order": order_by_rank,
}


def timed(action: Callable[[], Any]) -> float:
    gc.collect()
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def hear(*_: Any) -> None:
    pass


def build(size: int, shape: str) -> float:
    queries = create_queries(filled(size))
    return timed(lambda: queries.set_query_definition("query", "todos", SHAPES[shape]))


def update(size: int, shape: str, listen: Callable[[Queries], Any], per: int = WRITES) -> float:
    """Time `WRITES` writes, and give what `per` of them take."""
    store = filled(size)
    queries = create_queries(store).set_query_definition("query", "todos", SHAPES[shape])
    listen(queries)

    def run() -> None:
        for count in range(WRITES):
            store.set_cell("todos", f"row {count * 2 * 6007 % size}", "rank", count * 104729 % size)

    return timed(run) * per / WRITES


def listen_to_table(queries: Queries) -> None:
    queries.add_result_table_listener("query", hear)


def listen_to_row_ids(queries: Queries) -> None:
    queries.add_result_row_ids_listener("query", hear)


def listen_sorted(queries: Queries) -> None:
    queries.add_result_sorted_row_ids_listener("query", "rank", False, 0, 10, hear)


def query_lines(original: LineProcess) -> Iterator[Line]:
    """The lines of queries, against the Node process given."""

    def theirs(line: str, size: int, shape: str) -> float:
        return float(original.ask({"line": line, "size": size, "shape": shape})["measured"])

    for size in SIZES:
        repetitions = 5 if size < 100_000 else 3
        for shape, verb in (("filter", "filters"), ("join", "joins"), ("group", "groups")):
            yield Line(
                SECTION,
                f"define a query that {verb} {size:,} rows",
                1,
                partial(build, size, shape),
                TINYBASE,
                partial(theirs, "build", size, shape),
                BUILD,
                repetitions=repetitions,
                warm_ups=1,
            )
        for shape, participle in (("filter", "filtered"), ("join", "joined"), ("group", "grouped")):
            yield Line(
                SECTION,
                f"write under a {participle} query over {size:,} rows",
                WRITES,
                partial(update, size, shape, listen_to_table),
                TINYBASE,
                partial(theirs, "update", size, shape),
                UPDATE,
                repetitions=repetitions,
                warm_ups=1,
            )
        sorted_ways = (("a sorted", "filter", listen_sorted), ("an ordered", "order", listen_to_row_ids))
        for participle, shape, listen in sorted_ways:
            yield Line(
                SECTION,
                f"write under {participle} result, a query over {size:,} rows",
                SORTED_WRITES,
                partial(update, size, shape, listen, SORTED_WRITES),
                TINYBASE,
                partial(theirs, "sorted", size, "filter"),
                SORTED if size == SIZES[0] else None,
                repetitions=repetitions,
                warm_ups=1,
            )
