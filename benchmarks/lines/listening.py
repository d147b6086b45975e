"""An assignment that somebody observes, or awaits, beside a plain listener and what other packages take.

The peers keep one attribute in an object; replicell keeps a cell in a table, in a transaction of its own.
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks.lines.peers import (
    ASSIGNMENTS,
    Assign,
    hear,
    measured,
    with_psygnal,
    with_replicell,
    with_traitlets,
)
from benchmarks.measure import Line, Target, cost
from replicell.store import Store

__all__ = ["listening_lines"]

SECTION = "Observing and watching"
REPETITIONS = 15
OBSERVED = "set_cell with an observer of the cell"
WATCHED = "set_cell and its change read from a watch"


def with_observer() -> Assign:
    store = Store().set_row("todos", "1", {"rank": -1})
    store.observe_cell("todos", "1", "rank").subscribe(hear)

    def assign(rank: int) -> None:
        store.set_cell("todos", "1", "rank", rank)

    return assign


def watched() -> float:
    """Write, and read each change as a task does that keeps up."""

    async def run() -> float:
        store = Store().set_row("todos", "1", {"rank": -1})
        async with store.watch(table_id="todos") as changes:
            gc.collect()
            start = time.perf_counter()
            for rank in range(ASSIGNMENTS):
                store.set_cell("todos", "1", "rank", rank)
                await anext(changes)
            return time.perf_counter() - start

    return asyncio.run(run())


def with_param() -> Assign:
    import param

    class Todo(param.Parameterized):
        rank = param.Integer(-1)

    make: Callable[[], Any] = Todo
    todo = make()
    todo.param.watch(hear, "rank")

    def assign(rank: int) -> None:
        todo.rank = rank

    return assign


PEERS: dict[str, Callable[[], Assign]] = {
    "psygnal": with_psygnal,
    "param": with_param,
    "traitlets": with_traitlets,
}


def listening_lines() -> Iterator[Line]:
    """Lines of what is observed, then of what is watched: against the plain listener, then the peers."""
    sides: tuple[tuple[str, Callable[[], float], Target | None], ...] = (
        (OBSERVED, measured(with_observer), cost(2.5)),
        (WATCHED, watched, None),
    )
    for name, ours, target in sides:
        yield _line(name, ours, "a plain listener", with_replicell, target=target, ratio="cost")
        for peer, prepare in PEERS.items():
            if importlib.util.find_spec(peer) is not None:
                yield _line(name, ours, peer, prepare)


def _line(
    name: str, ours: Callable[[], float], peer: str, prepare: Callable[[], Assign], **more: Any
) -> Line:
    theirs = measured(prepare)
    return Line(SECTION, name, ASSIGNMENTS, ours, peer, theirs, repetitions=REPETITIONS, **more)
