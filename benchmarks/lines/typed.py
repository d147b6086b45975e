"""Typed rows beside constructing them by hand, and data frames beside what they are to take."""

from __future__ import annotations

import gc
import importlib.util
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


def read_fields() -> Callable[[], float]:
    table = filled().table(Todo)

    def fields(row_id: str) -> object:
        todo = table[row_id]
        return todo.text, todo.done, todo.rank, todo.note

    return each(fields)


def fields_of_peers(make: Callable[[], Any]) -> Callable[[], float]:
    todos = {row_id: make() for row_id in IDS}

    def fields(row_id: str) -> object:
        todo = todos[row_id]
        return todo.text, todo.done, todo.rank, todo.note

    return each(fields)


def assign_fields_of_peers(make: Callable[[], Any]) -> Callable[[], float]:
    todos = {row_id: make() for row_id in IDS}
    turn = {"is": 0}

    def assign(row_id: str) -> None:
        turn["is"] += 1
        todo = todos[row_id]
        todo.text = "Buy milk"
        todo.done = True
        todo.rank = 3 + turn["is"] // ROWS % 2
        todo.note = None

    return each(assign)


def of_psygnal() -> Callable[[], Any]:
    from psygnal import SignalGroupDescriptor

    @dataclass
    class EventedTodo:
        events = SignalGroupDescriptor()
        text: str = "Buy milk"
        done: bool = True
        rank: int = 3
        note: str | None = None

    def make() -> EventedTodo:
        todo = EventedTodo()
        # Only who has been asked for its events tells of assignments.
        assert todo.events is not None
        return todo

    return make


def of_param() -> Callable[[], Any]:
    import param

    class ParameterizedTodo(param.Parameterized):
        text = param.String("Buy milk")
        done = param.Boolean(True)
        rank = param.Integer(3)
        note = param.String(None, allow_None=True)

    make: Callable[[], Any] = ParameterizedTodo
    return make


def of_traitlets() -> Callable[[], Any]:
    from traitlets import Bool, HasTraits, Int, Unicode

    class TodoTraits(HasTraits):
        text = Unicode("Buy milk")
        done = Bool(True)
        rank = Int(3)
        note = Unicode(None, allow_none=True)

    return TodoTraits


PEERS: dict[str, Callable[[], Callable[[], Any]]] = {
    "psygnal": of_psygnal,
    "param": of_param,
    "traitlets": of_traitlets,
}
"""What keeps one object a row, for as long as the program runs, where a store makes one when it is read."""


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
    for package, of_package in PEERS.items():
        if importlib.util.find_spec(package) is not None:
            make = of_package()
            peer = f"{package}, an object kept"
            yield line("read a row and its four fields", read_fields(), peer, fields_of_peers(make))
            peer = f"{package}, four assignments"
            yield line("assign a dataclass", write(Todo), peer, assign_fields_of_peers(make))
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
