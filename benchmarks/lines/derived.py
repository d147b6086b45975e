"""Indexes, metrics and checkpoints beside TinyBase's, whose twins run in benchmarks/node/derived.mjs."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from benchmarks.measure import Line, speed
from benchmarks.processes import LineProcess
from replicell.store import Store, create_checkpoints, create_indexes, create_metrics, create_store

__all__ = ["derived_lines"]

SECTION = "Indexes, metrics, checkpoints"
TINYBASE = "TinyBase 10 on Node"
SIZES = (10_000, 100_000)
LISTS = 50
WRITES = 300
UNDONE = 1000
UPDATE = speed(4)


def filled(size: int) -> Store:
    todos = {
        f"row {index}": {
            "list": f"list {index % LISTS}",
            "rank": index * 7919 % size,
            "done": index % 2 == 0,
        }
        for index in range(size)
    }
    return create_store().set_tables({"todos": todos})


def timed(action: Callable[[], Any]) -> float:
    gc.collect()
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def write_under_index_and_metric(size: int) -> float:
    store = filled(size)
    create_indexes(store).set_index_definition("by list", "todos", "list")
    create_metrics(store).set_metric_definition("ranks", "todos", "sum", "rank")

    def run() -> None:
        for count in range(WRITES):
            row_id = f"row {count * 6007 % size}"
            store.set_partial_row("todos", row_id, {"list": f"list {count * 31 % LISTS}", "rank": count})

    return timed(run)


def undo(size: int) -> float:
    store = filled(size)
    checkpoints = create_checkpoints(store)
    with store.transaction():
        for count in range(UNDONE):
            store.set_cell("todos", f"row {count}", "rank", -1 - count)
    checkpoints.add_checkpoint("written")
    return timed(checkpoints.go_backward)


def derived_lines(original: LineProcess) -> Iterator[Line]:
    """The lines of what is derived row by row, against the Node process given."""

    def theirs(line: str, size: int) -> float:
        return float(original.ask({"line": line, "size": size})["measured"])

    for size in SIZES:
        yield Line(
            SECTION,
            f"write two cells under an index and a metric over {size:,} rows",
            WRITES,
            partial(write_under_index_and_metric, size),
            TINYBASE,
            partial(theirs, "write", size),
            UPDATE,
            repetitions=5 if size < 100_000 else 3,
        )
    yield Line(
        SECTION,
        f"undo a change of {UNDONE:,} cells",
        1,
        partial(undo, SIZES[0]),
        TINYBASE,
        partial(theirs, "undo", SIZES[0]),
        UPDATE,
    )
