"""From one machine's store to another's: replicell with a database at every stop, its peers in memory only.

A server and two replicas on each side, every one a process of its own. What arrives at the peers' is on no
disk, and nobody has acknowledged it.
"""

from __future__ import annotations

import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from benchmarks.measure import Figure, Target, alternate, at_most, cost
from benchmarks.processes import LineProcess, node, python

__all__ = ["sync_figures"]

SECTION = "Sync"
TINYBASE = "TinyBase 10 on Node, in memory"
PYCRDT = "pycrdt-websocket, in memory"
EDITS_A_RUN = 100
EDIT_RUNS = 6
PAUSE = 0.01
ROWS_ONE_BY_ONE = 2_000
ROWS_AT_ONCE = 10_000
ARRIVAL_SECONDS = 30


class Pair:
    """Two connected replicas: one that edits and one that receives."""

    def __init__(self, editor: LineProcess, receiver: LineProcess) -> None:
        self.editor = editor
        self.receiver = receiver
        self.edits = 0
        self.rows = 0
        self.batches = 0

    def journeys(self) -> list[float]:
        """Make edits one at a time and give the seconds that each took to the other store."""
        made = self.editor.command("edit", first=self.edits, count=EDITS_A_RUN, pause=PAUSE)
        self.edits += EDITS_A_RUN
        self.rows = max(self.rows, 1)
        arrived = self.arrivals(str(self.edits - 1))
        return [arrived[rank] - start for rank, start in made.items() if rank in arrived]

    def arrivals(self, last: str) -> dict[str, float]:
        deadline = time.monotonic() + ARRIVAL_SECONDS
        while time.monotonic() < deadline:
            arrived: dict[str, float] = self.receiver.command("arrivals")
            if last in arrived:
                return arrived
            time.sleep(PAUSE)
        raise TimeoutError(f"edit {last} did not arrive in {ARRIVAL_SECONDS} s")

    def send_rows(self, command: str, count: int) -> float:
        """Make rows and give the seconds until the other store had them all."""
        self.batches += 1
        self.rows += count
        self.receiver.send({"command": "await_rows", "count": self.rows})
        start: float = self.editor.command(command, prefix=f"batch {self.batches}", count=count)
        arrived: float = self.receiver.receive()["answer"]
        return arrived - start


@contextmanager
def tinybase_pair() -> Iterator[Pair]:
    with node("sync_server.mjs") as server:
        url = f"ws://localhost:{server.receive()['port']}/room"
        with connected(lambda name: node("sync_client.mjs", url, name)) as pair:
            yield pair


@contextmanager
def pycrdt_pair() -> Iterator[Pair]:
    with python("benchmarks.pycrdt_server") as server:
        url = f"ws://localhost:{server.receive()['port']}/room"
        with connected(lambda _: python("benchmarks.pycrdt_client", url)) as pair:
            yield pair


@contextmanager
def replicell_pair() -> Iterator[Pair]:
    with tempfile.TemporaryDirectory() as folder, python("benchmarks.sync_server", folder) as server:
        url = f"ws://localhost:{server.receive()['port']}/room"
        with connected(
            lambda name: python("benchmarks.sync_client", url, str(Path(folder) / f"{name}.db"))
        ) as pair:
            yield pair


@contextmanager
def connected(start: Callable[[str], AbstractContextManager[LineProcess]]) -> Iterator[Pair]:
    with ExitStack() as processes:
        replicas = [processes.enter_context(start(name)) for name in ("editor", "receiver")]
        for replica in replicas:
            replica.receive()
        yield Pair(*replicas)


def sync_figures() -> Iterator[Figure]:
    """The lines of sync, measured on all sides by turns."""
    peers: list[tuple[str, Callable[[], AbstractContextManager[Pair]]]] = [(TINYBASE, tinybase_pair)]
    if importlib.util.find_spec("pycrdt") is not None:
        peers.append((PYCRDT, pycrdt_pair))
    for name, peer_pair in peers:
        with replicell_pair() as ours, peer_pair() as theirs:
            yield from journey_figures(ours, theirs, name)
            yield bulk_figure(ours, theirs, name, "2,000 rows one by one", "rows_one_by_one", ROWS_ONE_BY_ONE)
            yield bulk_figure(
                ours, theirs, name, "10,000 rows in one transaction", "rows_in_one_transaction", ROWS_AT_ONCE
            )


def journey_figures(ours: Pair, theirs: Pair, peer: str) -> Iterator[Figure]:
    for pair in (ours, theirs):  # to warm up
        pair.journeys()
    own: list[float] = []
    other: list[float] = []
    for _ in range(EDIT_RUNS):
        own += ours.journeys()
        other += theirs.journeys()
    lines: tuple[tuple[str, int, Target | None], ...] = (
        ("p50", 50, at_most(0.0025, "2.5 ms")),
        ("p99", 99, None),
    )
    for name, percentile, target in lines:
        yield Figure(
            SECTION,
            f"one edit's journey to another store, {name}",
            percentile_of(own, percentile),
            peer,
            percentile_of(other, percentile),
            target if peer == TINYBASE else None,
            ratio="cost",
        )


def percentile_of(times: list[float], percentile: int) -> float:
    return statistics.quantiles(times, n=100)[percentile - 1]


def bulk_figure(ours: Pair, theirs: Pair, peer: str, name: str, command: str, count: int) -> Figure:
    own, other = alternate(
        lambda: ours.send_rows(command, count),
        lambda: theirs.send_rows(command, count),
        repetitions=5,
        warm_ups=1,
    )
    target = cost(0.5) if peer == TINYBASE else None
    return Figure(SECTION, name, own, peer, other, target, ratio="cost")
