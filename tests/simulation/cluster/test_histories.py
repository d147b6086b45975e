"""Histories of whole deployments from seeds: however the world treats them, replicas agree in the end and
nothing that was acknowledged is lost.

A failing seed is named; ``python -m tests.simulation cluster SEED`` replays it and prints its course, and
``REPLICELL_SEED=SEED pytest tests/simulation/cluster`` runs that one alone.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.simulation.cluster.history import ClusterHistory
from tests.simulation.merging import FEW, inserting_batches
from tests.simulation.playing import chosen_seeds, played

# However many share the machine; what would hang is found out in virtual time.
pytestmark = pytest.mark.timeout(300)

COVERED = 45
HISTORIES = 100
A_TEST = 5


def play(seed: int, folder: Path) -> ClusterHistory:
    return played(partial(ClusterHistory, seed), folder, f"tests.simulation cluster {seed}")


@pytest.mark.parametrize(
    "seeds", chosen_seeds(range(COVERED, HISTORIES), A_TEST), ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}"
)
def test_a_deployment_agrees_in_the_end_and_nothing_acknowledged_is_lost(
    seeds: range, tmp_path: Path
) -> None:
    for seed in seeds:
        play(seed, tmp_path / str(seed))


TROUBLES = (
    "crash before commit", "crash after commit", "is killed", "is restarted", "the disk of", "moves to",
    "loses its connection", "is cut off from node", "is not heard", "is deaf", "is cut off from the log",
    "all are cut off from the log", "pauses", "loses its file", "leaves for ever", "is wiped at", "is wiped",
    "is restored at", "is written at", "adds column", "the log loses the next entry", "the log is lost",
    "a snapshot is kept", "a snapshot is loaded", "asks for what it lacks", "changes its file",
    "writes pair", "writes huge", "writes clear", "is synced", "shows {", "shows None",
    "only hears", "is only heard by", "an intruder comes", "is a copy of", "the clock of node",
    "the clock of client", "node0 falls asleep", "client1 falls asleep",
)  # fmt: skip


def test_the_histories_hold_all_that_may_go_wrong(tmp_path: Path) -> None:
    courses, rooms, nodes = [], set(), set()
    mishaps: Counter[str] = Counter()
    with inserting_batches() as batches:
        for seed in range(COVERED):
            history = play(seed, tmp_path / str(seed))
            courses.append("\n".join(history.trace))
            rooms.add(len(history.rooms))
            nodes.add(len(history.nodes))
            mishaps.update(history.network.mishaps.keys())

    assert [trouble for trouble in TROUBLES if not any(trouble in course for course in courses)] == []
    assert all(mishaps[kind] >= 3 for kind in ("loss", "duplication", "reordering"))
    assert rooms == {1, 2, 3}
    assert nodes == {2, 3}
    assert sum(size <= FEW for size in batches) >= 20
    assert any(size > FEW for size in batches)
