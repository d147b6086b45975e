"""One observed assignment, beside what other Python packages and a hand-written nested dict take for it."""

from __future__ import annotations

import gc
import importlib.util
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks.measure import Line, speed
from replicell.store import Store

__all__ = ["peer_lines"]

SECTION = "One observed assignment"
ASSIGNMENTS = 20_000
REPETITIONS = 15
Assign = Callable[[int], None]


def measured(prepare: Callable[[], Assign]) -> Callable[[], float]:
    def run() -> float:
        assign = prepare()
        gc.collect()
        start = time.perf_counter()
        for count in range(ASSIGNMENTS):
            assign(count)
        return time.perf_counter() - start

    return run


def hear(*_: Any) -> None:
    pass


def with_replicell() -> Assign:
    store = Store().set_row("todos", "1", {"rank": -1})
    store.add_cell_listener("todos", "1", "rank", hear)

    def assign(rank: int) -> None:
        store.set_cell("todos", "1", "rank", rank)

    return assign


class NestedDict:
    """The least that a table with cell listeners does: three dicts, a comparison, a call."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, dict[str, Any]]] = {"todos": {"1": {"rank": -1}}}
        self.listeners: dict[tuple[str, str, str], list[Callable[..., None]]] = {}

    def set_cell(self, table_id: str, row_id: str, cell_id: str, cell: Any) -> None:
        row = self.tables[table_id][row_id]
        old_cell = row.get(cell_id)
        if cell == old_cell:
            return
        row[cell_id] = cell
        for listener in self.listeners.get((table_id, row_id, cell_id), ()):
            listener(self, table_id, row_id, cell_id, cell, old_cell)


def with_nested_dict() -> Assign:
    tables = NestedDict()
    tables.listeners["todos", "1", "rank"] = [hear]

    def assign(rank: int) -> None:
        tables.set_cell("todos", "1", "rank", rank)

    return assign


def with_psygnal() -> Assign:
    from psygnal import SignalGroupDescriptor

    @dataclass
    class Todo:
        events = SignalGroupDescriptor()
        rank: int = -1

    todo = Todo()
    todo.events.rank.connect(hear)

    def assign(rank: int) -> None:
        todo.rank = rank

    return assign


def with_traitlets() -> Assign:
    from traitlets import HasTraits, Int

    class Todo(HasTraits):
        rank = Int(-1)

    todo = Todo()
    todo.observe(hear, names="rank")

    def assign(rank: int) -> None:
        todo.rank = rank

    return assign


def with_pycrdt() -> Assign:
    from pycrdt import Doc, Map

    todo: Map[int] = Map({"rank": -1})
    document: Doc[Any] = Doc()
    document["todo"] = todo
    todo.observe(hear)

    def assign(rank: int) -> None:
        todo["rank"] = rank

    return assign


PEERS = {"psygnal": with_psygnal, "traitlets": with_traitlets, "pycrdt": with_pycrdt}


def peer_lines() -> Iterator[Line]:
    """A line for each peer that is installed, and one for the floor."""
    for peer, prepare in PEERS.items():
        if importlib.util.find_spec(peer) is None:
            continue
        yield Line(
            SECTION,
            "set_cell with a listener on the cell",
            ASSIGNMENTS,
            measured(with_replicell),
            peer,
            measured(prepare),
            speed(1),
            repetitions=REPETITIONS,
        )
    yield Line(
        SECTION,
        "set_cell with a listener on the cell",
        ASSIGNMENTS,
        measured(with_replicell),
        "nested dicts by hand, the floor",
        measured(with_nested_dict),
        None,
        ratio="cost",
        repetitions=REPETITIONS,
    )
