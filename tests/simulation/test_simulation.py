"""Histories from seeds: however the world treats them, replicas agree in the end and nothing is lost.

A failing seed is named; ``python -m tests.simulation SEED`` replays it and prints its course, and
``REPLICELL_SEED=SEED pytest tests/simulation`` runs that one alone.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulation.history import History

HISTORIES = 2000
A_TEST = 10


def chosen_seeds() -> list[range]:
    seed = os.environ.get("REPLICELL_SEED")
    if seed is not None:
        return [range(int(seed), int(seed) + 1)]
    return [range(first, first + A_TEST) for first in range(0, HISTORIES, A_TEST)]


@pytest.mark.parametrize("seeds", chosen_seeds(), ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}")
def test_replicas_agree_in_the_end_and_nothing_is_lost(seeds: range, tmp_path: Path) -> None:
    for seed in seeds:
        folder = tmp_path / str(seed)
        folder.mkdir()
        history = History(seed, folder)
        try:
            history.run()
        except Exception as error:
            course = "\n".join(history.trace)
            pytest.fail(
                f"{course}\nseed {seed}: {type(error).__name__}: {error}\n"
                f"replay it with: python -m tests.simulation {seed}"
            )


TROUBLES = (
    "crashes", "is up", "loses its connection", "is cut off", "is wiped", "is restored from", "is a copy of",
    "adds column", "room is written", "writes pair", "writes delete", "writes clear", "writes bulk",
    "writes huge", "the disk of", "is deaf", "is not heard", "clock of", "an intruder comes",
)  # fmt: skip


def test_the_histories_hold_all_that_may_go_wrong(tmp_path: Path) -> None:
    courses, weathers = [], []
    for seed in range(40):
        folder = tmp_path / str(seed)
        folder.mkdir()
        history = History(seed, folder)
        weathers.append(replace(history.weather))
        history.run()
        courses.append("\n".join(history.trace))

    assert [trouble for trouble in TROUBLES if sum(trouble in course for course in courses) < 2] == []
    for kind in ("loss", "duplication", "reordering"):
        assert sum(getattr(weather, kind) > 0 for weather in weathers) >= 5
