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
from benchmarks.measure import Line, Target, cost
from replicell.store import Store

__all__ = ["size_lines"]

SECTION = "Store of 1,000,000 rows"
SMALL = 1_000
LARGE = 1_000_000
WRITES = 20_000
MEASURED_ROWS = 100_000
CHOICES = {
    100: "the same 100 rows again and again",
    1_000: "1,000 rows in turn",
    WRITES: "rows from all over the table",
}
"""How many rows are written to; only the first hundred stay in the processor's caches."""

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


def lines_of(
    name: str, small: Store | NestedDict, large: Store | NestedDict, peer: str, target: Target | None
) -> Iterator[Line]:
    for rows_written, described in CHOICES.items():
        yield Line(
            SECTION,
            f"{name}, {described}",
            WRITES,
            updates(large.set_cell, spread(rows_written, LARGE)),
            peer,
            updates(small.set_cell, spread(rows_written, SMALL)),
            target,
            ratio="cost",
        )


def size_lines() -> Iterator[Line]:
    """Lines that tell what the size of a store costs, each beside what the processor's caches make of it.

    Every memory access of a write to a row that is not in the caches waits for the memory, by hand as well.
    """
    yield from lines_of("set_cell, update", filled(SMALL), filled(LARGE), "a store of 1,000", cost(1.5))
    small, large = filled_by_hand(SMALL), filled_by_hand(LARGE)
    yield from lines_of("by hand, nested dicts", small, large, "nested dicts of 1,000", None)
    del small, large
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
