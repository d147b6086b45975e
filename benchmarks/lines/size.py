"""The same write in a store of 1,000,000 rows and in one of 1,000."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.lines.peers import NestedDict
from benchmarks.measure import Line, cost
from replicell.store import Store

__all__ = ["size_lines"]

SECTION = "Store of 1,000,000 rows"
SMALL = 1_000
LARGE = 1_000_000
WRITES = 20_000
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
    del large
    by_hand = [NestedDict(), NestedDict()]
    for tables, rows in zip(by_hand, (LARGE, SMALL), strict=True):
        tables.tables = {"todos": {f"row {index}": {"rank": index} for index in range(rows)}}
    yield Line(
        SECTION,
        "the same with nested dicts by hand: what the processor's caches cost",
        WRITES,
        updates(by_hand[0].set_cell, spread(WRITES, LARGE)),
        "nested dicts of 1,000",
        updates(by_hand[1].set_cell, spread(WRITES, SMALL)),
        None,
        ratio="cost",
    )
