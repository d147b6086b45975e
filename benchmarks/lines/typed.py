"""Typed rows beside constructing them by hand, and data frames beside what they are to take."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import polars as pl
import pydantic

from benchmarks.lines.todos import row_ids
from benchmarks.measure import Line, Target, at_most, cost
from replicell.store import Store

__all__ = ["typed_lines"]

SECTION = "Typed rows and data frames"
ROWS = 1000
PASSES = 20
REPETITIONS = 9
ROWS_OF_A_FRAME = 250_000
COLUMNS: dict[str, Callable[[int], Any]] = {
    "text": lambda index: f"todo {index}",
    "done": lambda index: index % 2 == 0,
    "rank": lambda index: index,
    "weight": lambda index: index / 7,
}


@dataclass
class Todo:
    text: str
    done: bool
    rank: int
    note: str | None = None


class TodoStruct(msgspec.Struct):
    text: str
    done: bool
    rank: int
    note: str | None = None


class TodoModel(pydantic.BaseModel):
    text: str
    done: bool
    rank: int
    note: str | None = None


CELLS: dict[str, Any] = {"text": "Buy milk", "done": True, "rank": 3, "note": None}
IDS = row_ids(ROWS)


def filled() -> Store:
    return Store().set_table("todo", dict.fromkeys(IDS, CELLS))


def each(action: Callable[[str], object]) -> Callable[[], float]:
    """Return what times an action on every row id, several times over."""

    def run() -> float:
        gc.collect()
        start = time.perf_counter()
        for _ in range(PASSES):
            for row_id in IDS:
                action(row_id)
        return time.perf_counter() - start

    return run


def read(model: Any) -> Callable[[], float]:
    return each(filled().table(model, "todo").__getitem__)


def construct_from_row(model: Any) -> Callable[[], float]:
    get_row = filled().get_row
    return each(lambda row_id: model(**get_row("todo", row_id)))


def construct_todo() -> Callable[[], float]:
    return each(lambda row_id: Todo(text="Buy milk", done=True, rank=3, note=None))


def write(model: Any) -> Callable[[], float]:
    store = filled()
    table = store.table(model, "todo")
    rows = [model(**{**CELLS, "rank": rank}) for rank in (3, 4)]
    turn = {"is": 0}

    def assign(row_id: str) -> None:
        turn["is"] += 1
        table[row_id] = rows[turn["is"] // ROWS % 2]

    return each(assign)


def set_row() -> Callable[[], float]:
    store = filled()
    rows = [{**CELLS, "rank": rank} for rank in (3, 4)]
    turn = {"is": 0}

    def assign(row_id: str) -> None:
        turn["is"] += 1
        store.set_row("todo", row_id, rows[turn["is"] // ROWS % 2])

    return each(assign)


def timed(action: Callable[[], object]) -> float:
    gc.collect()
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


class FrameSides:
    """A table of a million cells, and the same as a data frame and as columns."""

    def __init__(self) -> None:
        self.columns = {name: [cell(i) for i in range(ROWS_OF_A_FRAME)] for name, cell in COLUMNS.items()}
        self.columns["_id"] = [f"row {index}" for index in range(ROWS_OF_A_FRAME)]
        self.frame = pl.DataFrame(self.columns)
        self.store = Store().set_table_from("todo", self.columns)

    def out(self) -> float:
        return timed(lambda: self.store.frame("todo").to_polars())

    def out_by_hand(self) -> float:
        return timed(
            lambda: pl.DataFrame([{"_id": i, **row} for i, row in self.store.get_table("todo").items()])
        )

    def into(self) -> float:
        return timed(lambda: Store().set_table_from("todo", self.frame))

    def into_by_hand(self) -> float:
        return timed(
            lambda: Store().set_table("todo", {row.pop("_id"): row for row in self.frame.to_dicts()})
        )


def typed_lines() -> Iterator[Line]:
    """The lines of typed rows and of data frames."""

    def line(
        name: str,
        ours: Callable[[], float],
        peer: str,
        theirs: Callable[[], float],
        target: Target | None = None,
    ) -> Line:
        count = ROWS * PASSES
        return Line(SECTION, name, count, ours, peer, theirs, target, "cost", repetitions=REPETITIONS)

    yield line("read a dataclass", read(Todo), "Todo(text=..., ...) alone", construct_todo(), cost(2))
    for library, model in (("dataclass", Todo), ("Struct", TodoStruct), ("pydantic model", TodoModel)):
        peer = "Model(**store.get_row(...))"
        yield line(f"read a {library}", read(model), peer, construct_from_row(model))
    for library, model in (("dataclass", Todo), ("Struct", TodoStruct), ("pydantic model", TodoModel)):
        yield line(f"assign a {library}", write(model), "store.set_row", set_row())
    sides = FrameSides()
    yield Line(
        SECTION,
        "1,000,000 cells out to polars",
        1,
        sides.out,
        "get_table and pl.DataFrame",
        sides.out_by_hand,
        at_most(0.5, "0.5 s"),
        "cost",
        warm_ups=1,
    )
    yield Line(
        SECTION,
        "1,000,000 cells in from polars",
        1,
        sides.into,
        "to_dicts and set_table",
        sides.into_by_hand,
        at_most(1.5, "1.5 s"),
        "cost",
        warm_ups=1,
    )
