"""Clients that write at once: what several of them send meanwhile goes into one commit, or into one each."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks.measure import Figure, cost, speed
from benchmarks.processes import LineProcess, python

__all__ = ["group_commit_figures"]

SECTION = "Sync"
APART = "each in a commit of its own"
WRITERS = 12
EDITS_TOGETHER = 40
EDITS_ALONE = 120
ROUNDS = 7


def group_commit_figures() -> Iterator[Figure]:
    """The throughput of clients that write at once, and what an edit takes whose author is alone."""
    with room() as together, room("apart") as apart:
        for crowd in (together, apart):  # to warm up
            edits(crowd, WRITERS, EDITS_TOGETHER)
        in_all: dict[LineProcess, list[float]] = {together: [], apart: []}
        alone: dict[LineProcess, list[float]] = {together: [], apart: []}
        for _ in range(ROUNDS):
            for crowd in (together, apart):
                in_all[crowd].append(edits(crowd, WRITERS, EDITS_TOGETHER)["seconds"])
                alone[crowd] += edits(crowd, 1, EDITS_ALONE)["times"]
    yield Figure(
        SECTION,
        f"an edit of {WRITERS} clients that write at once",
        statistics.median(in_all[together]) / (WRITERS * EDITS_TOGETHER),
        APART,
        statistics.median(in_all[apart]) / (WRITERS * EDITS_TOGETHER),
        speed(1.5),
    )
    yield Figure(
        SECTION,
        "an edit of one client alone, until it is acknowledged",
        statistics.median(alone[together]),
        APART,
        statistics.median(alone[apart]),
        cost(1.1),
        ratio="cost",
    )


@contextmanager
def room(*options: str) -> Iterator[LineProcess]:
    """A server and a process with its clients."""
    with (
        tempfile.TemporaryDirectory() as folder,
        python("benchmarks.sync_server", folder, *options) as server,
        python("benchmarks.crowd") as crowd,
    ):
        url = f"ws://localhost:{server.receive()['port']}/room"
        crowd.receive()
        crowd.command("join", urls=[url], each=WRITERS)
        yield crowd


def edits(crowd: LineProcess, writers: int, count: int) -> dict[str, Any]:
    answer: dict[str, Any] = crowd.command("edit_together", writers=writers, count=count)
    return answer
