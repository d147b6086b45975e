"""The Store beside TinyBase's, which runs in benchmarks/node/store.mjs where each function has its twin."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.lines.todos import row_ids, row_of, table_of
from benchmarks.measure import Line, Target, at_most, cost, speed
from benchmarks.processes import LineProcess
from replicell.store import Store

__all__ = ["store_lines"]

SECTION = "Store"
TINYBASE = "TinyBase 10 on Node"
KEPT_ROWS = 1000
WRITE = speed(4)
READ = speed(2)
ROWS_OF_A_SORTED_TABLE = 10_000


def timed(action: Callable[[], Any]) -> float:
    gc.collect()
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def filled(size: int) -> Store:
    return Store().set_table("todos", table_of(size))


def hear(*_: Any) -> None:
    pass


def hear_cell(
    store: Store, table_id: str, row_id: str, cell_id: str, new_cell: Any, old_cell: Any, get_change: Any
) -> None:
    pass


def set_cell_new(size: int) -> float:
    store = Store()
    ids = row_ids(size)

    def run() -> None:
        set_cell = store.set_cell
        for index in range(size):
            set_cell("todos", ids[index], "rank", index)

    return timed(run)


def update(size: int, prepare: Callable[[Store, list[str]], Any] = lambda store, ids: None) -> float:
    store = filled(KEPT_ROWS)
    ids = row_ids(KEPT_ROWS)
    prepare(store, ids)

    def run() -> None:
        set_cell = store.set_cell
        for count in range(size):
            set_cell("todos", ids[count % KEPT_ROWS], "rank", -count - 1)

    return timed(run)


def set_cell_update(size: int) -> float:
    return update(size)


def set_cell_one_listener(size: int) -> float:
    store = filled(KEPT_ROWS)
    store.add_cell_listener("todos", "row 0", "rank", hear_cell)

    def run() -> None:
        set_cell = store.set_cell
        for count in range(size):
            set_cell("todos", "row 0", "rank", -count - 1)

    return timed(run)


def set_cell_exact_listeners(size: int) -> float:
    def prepare(store: Store, ids: list[str]) -> None:
        for row_id in ids:
            store.add_cell_listener("todos", row_id, "rank", hear_cell)

    return update(size, prepare)


def set_cell_wildcard_listener(size: int) -> float:
    return update(size, lambda store, ids: store.add_cell_listener(None, None, None, hear_cell))


def set_cell_mutator(size: int) -> float:
    def halve(store: Store, table_id: str, row_id: str, cell_id: str, new_cell: Any, *_: Any) -> None:
        store.set_cell(table_id, row_id, "weight", new_cell / 2)

    return update(size, lambda store, ids: store.add_cell_listener("todos", None, "rank", halve, True))


def set_row(size: int) -> float:
    store = Store()
    ids = row_ids(size)
    rows = [row_of(index) for index in range(size)]

    def run() -> None:
        for index in range(size):
            store.set_row("todos", ids[index], rows[index])

    return timed(run)


def set_row_transaction(size: int) -> float:
    store = Store()
    ids = row_ids(size)
    rows = [row_of(index) for index in range(size)]

    def actions() -> None:
        for index in range(size):
            store.set_row("todos", ids[index], rows[index])

    return timed(lambda: store.transaction(actions))


def set_table(size: int) -> float:
    store = Store()
    table = table_of(size)
    return timed(lambda: store.set_table("todos", table))


def get_table(size: int) -> float:
    store = filled(size)
    return timed(lambda: store.get_table("todos"))


def get_cell(size: int) -> float:
    store = filled(KEPT_ROWS)
    ids = row_ids(KEPT_ROWS)

    def run() -> None:
        for count in range(size):
            store.get_cell("todos", ids[count % KEPT_ROWS], "rank")

    return timed(run)


def get_row(size: int) -> float:
    store = filled(KEPT_ROWS)
    ids = row_ids(KEPT_ROWS)

    def run() -> None:
        for count in range(size):
            store.get_row("todos", ids[count % KEPT_ROWS])

    return timed(run)


def get_json(size: int) -> float:
    store = filled(size)
    return timed(store.get_json)


def del_row(size: int) -> float:
    store = filled(size)
    ids = row_ids(size)

    def run() -> None:
        for row_id in ids:
            store.del_row("todos", row_id)

    return timed(run)


def sorted_listener(size: int) -> float:
    rows = ROWS_OF_A_SORTED_TABLE
    store = Store()
    for index, row_id in enumerate(row_ids(rows)):
        store.set_row("todos", row_id, row_of(index * 7919 % rows))
    store.add_sorted_row_ids_listener("todos", "rank", False, 0, None, hear)

    def run() -> None:
        for count in range(size):
            store.set_cell("todos", f"row {count * 7919 % rows}", "rank", count * 104729 % rows)

    return timed(run)


def memory(size: int) -> float:
    """Bytes that Python allocates for `size` rows, the ids and cells included."""
    gc.collect()
    tracemalloc.start()
    store = Store()
    before, _ = tracemalloc.get_traced_memory()
    with store.transaction():
        for index in range(size):
            store.set_row("todos", f"row {index}", row_of(index))
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return after - before


def store_lines(original: LineProcess) -> Iterator[Line]:
    """The lines of the Store, against the Node process given."""

    def beside(
        name: str,
        run: Callable[[int], float],
        size: int,
        target: Target | None,
        *,
        operations: int | None = None,
        **options: Any,
    ) -> Line:
        def theirs() -> float:
            return float(original.ask({"line": run.__name__, "size": size})["measured"])

        per = size if operations is None else operations
        return Line(SECTION, name, per, lambda: run(size), TINYBASE, theirs, target, **options)

    yield beside("set_cell, new", set_cell_new, 10_000, WRITE)
    yield beside("set_cell, update", set_cell_update, 10_000, WRITE)
    yield beside("set_cell, with a listener on the cell", set_cell_one_listener, 10_000, WRITE)
    yield beside("set_cell, with 1,000 exact listeners", set_cell_exact_listeners, 10_000, WRITE)
    yield beside("set_cell, with a wildcard listener", set_cell_wildcard_listener, 10_000, WRITE)
    yield beside("transaction of one cell with a mutator that writes", set_cell_mutator, 10_000, WRITE)
    yield beside("set_row of 4 cells", set_row, 10_000, WRITE)
    yield beside("set_row of 4 cells in a transaction of 100,000", set_row_transaction, 100_000, WRITE)
    yield beside("set_table of 10,000 rows", set_table, 10_000, WRITE, operations=1)
    yield beside("del_row", del_row, 10_000, WRITE)
    yield beside("get_cell", get_cell, 20_000, None)
    yield beside("get_row", get_row, 20_000, READ)
    yield beside("get_table of 10,000 rows", get_table, 10_000, speed(3), operations=1)
    yield beside("get_json of 10,000 rows", get_json, 10_000, READ, operations=1)
    yield beside(
        "write under a sorted listener, 10,000 rows",
        sorted_listener,
        100,
        at_most(50e-6, "0.05 ms"),
        warm_ups=1,
    )
    yield beside(
        "memory of a row of 4 cells",
        memory,
        100_000,
        cost(1),
        ratio="cost",
        unit="bytes",
        note="tracemalloc beside V8's heapUsed",
        repetitions=3,
        warm_ups=0,
    )
