"""Histories from seeds: however the world treats them, replicas agree in the end and nothing is lost.

A failing seed is named; ``python -m tests.simulation sessions SEED`` replays it and prints its course, and
``REPLICELL_SEED=SEED pytest tests/simulation`` runs that one alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from tests.simulation.history import History
from tests.simulation.merging import FEW, inserting_batches
from tests.simulation.playing import chosen_seeds, played

HISTORIES = 2000
A_TEST = 10


def play(seed: int, folder: Path, make: Callable[[int, Path], History] = History) -> History:
    return played(partial(make, seed), folder, f"tests.simulation sessions {seed}")


@pytest.mark.parametrize(
    "seeds", chosen_seeds(range(HISTORIES), A_TEST), ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}"
)
def test_replicas_agree_in_the_end_and_nothing_is_lost(seeds: range, tmp_path: Path) -> None:
    for seed in seeds:
        play(seed, tmp_path / str(seed))


TROUBLES = (
    "crashes", "is up", "loses its connection", "is cut off", "is wiped", "is restored from", "is a copy of",
    "adds column", "room is written", "writes pair", "writes delete", "writes clear", "writes bulk",
    "writes huge", "the disk of", "is deaf", "is not heard", "clock of", "an intruder comes",
)  # fmt: skip


def test_the_histories_hold_all_that_may_go_wrong(tmp_path: Path) -> None:
    courses, weathers = [], []

    def begun(seed: int, folder: Path) -> History:
        history = History(seed, folder)
        weathers.append(replace(history.weather))
        return history

    with inserting_batches() as batches:
        for seed in range(40):
            history = play(seed, tmp_path / str(seed), begun)
            courses.append("\n".join(history.trace))

    assert [trouble for trouble in TROUBLES if sum(trouble in course for course in courses) < 2] == []
    for kind in ("loss", "duplication", "reordering"):
        assert sum(getattr(weather, kind) > 0 for weather in weathers) >= 5
    assert sum(size <= FEW for size in batches) >= 20
    assert any(size > FEW for size in batches)
