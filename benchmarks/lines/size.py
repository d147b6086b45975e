"""What the size of a store costs: the same write among 1,000,000 rows and 1,000, and the memory of a row."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.lines.peers import NestedDict
from benchmarks.lines.store import memory
from benchmarks.lines.todos import row_of
from benchmarks.measure import Line, cost
from replicell.store import Store

__all__ = ["size_lines"]

SECTION = "Store of 1,000,000 rows"
SMALL = 1_000
LARGE = 1_000_000
WRITES = 20_000
MEASURED_ROWS = 100_000
SetCell = Callable[[str, str, str, Any], object]


def updates(set_cell: SetCell, row_ids: list[str]) -> Callable[[], float]:
    """Updates of these rows in turn."""

    def run() -> float:
        gc.collect()
        start = time.perf_counter()
        for count in range(WRITES):
            set_cell("todos", row_ids[count % len(row_ids)], "rank", -count - 1)
        return time.perf_counter() - start

    return run


def spread(count: int, rows: int) -> list[str]:
    """The ids of `count` rows from all over the table."""
    return [f"row {index * 7919 % rows}" for index in range(count)]


def filled(rows: int) -> Store:
    store = Store()
    with store.transaction():
        for index in range(rows):
            store.set_row("todos", f"row {index}", {"rank": index})
    return store


def filled_by_hand(rows: int) -> NestedDict:
    nested = NestedDict()
    nested.tables = {"todos": {f"row {index}": {"rank": index} for index in range(rows)}}
    return nested


def memory_by_hand() -> float:
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    tables = {"todos": {f"row {index}": row_of(index) for index in range(MEASURED_ROWS)}}
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(tables["todos"]) == MEASURED_ROWS
    return after - before


def size_lines() -> Iterator[Line]:
    """Lines that tell what the size of a store costs, apart from what it costs the processor's caches."""
    small, large = filled(SMALL), filled(LARGE)
    yield Line(
        SECTION,
        "set_cell, update, the same 1,000 rows again and again",
        WRITES,
        updates(large.set_cell, spread(SMALL, LARGE)),
        "a store of 1,000",
        updates(small.set_cell, spread(SMALL, SMALL)),
        cost(1.5),
        ratio="cost",
    )
    yield Line(
        SECTION,
        "set_cell, update, rows from all over the table",
        WRITES,
        updates(large.set_cell, spread(WRITES, LARGE)),
        "a store of 1,000",
        updates(small.set_cell, spread(WRITES, SMALL)),
        cost(1.5),
        ratio="cost",
    )
    del large, small
    large_by_hand, small_by_hand = filled_by_hand(LARGE), filled_by_hand(SMALL)
    yield Line(
        SECTION,
        "by hand, nested dicts, the same 1,000 rows: what the processor's caches cost",
        WRITES,
        updates(large_by_hand.set_cell, spread(SMALL, LARGE)),
        "nested dicts of 1,000",
        updates(small_by_hand.set_cell, spread(SMALL, SMALL)),
        None,
        ratio="cost",
    )
    yield Line(
        SECTION,
        "by hand, nested dicts, rows from all over the table",
        WRITES,
        updates(large_by_hand.set_cell, spread(WRITES, LARGE)),
        "nested dicts of 1,000",
        updates(small_by_hand.set_cell, spread(WRITES, SMALL)),
        None,
        ratio="cost",
    )
    del large_by_hand, small_by_hand
    yield Line(
        SECTION,
        "memory of a row of 4 cells",
        MEASURED_ROWS,
        lambda: memory(MEASURED_ROWS),
        "nested dicts by hand",
        memory_by_hand,
        None,
        ratio="cost",
        unit="bytes",
        note="the least that Python needs for a dict, its row id and its cells",
        repetitions=1,
        warm_ups=0,
    )
