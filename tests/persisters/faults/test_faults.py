"""However faults, kills, others' writes, loads and saves fall together: nothing that was flushed is lost, and
store and medium agree in the end.

A failing seed is named; ``python -m tests.persisters.faults --medium MEDIUM --seeds SEED`` replays it and
prints its course.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from tests.persisters.faults.history import History
from tests.persisters.faults.plan import MEDIA, make_plan
from tests.simulation.playing import played

HISTORIES = 60
A_TEST = 5

TROUBLES = (
    "killed", "FullError", "IOError", "InputOutputError", "BusyError", "ReadOnlyError", "FileAccessError",
    "is now", "done", "merged [(", "is flushed", "is loaded", "toggle_auto_load", "toggle_auto_save",
)  # fmt: skip


def play(medium: str, seed: int, folder: Path) -> History:
    command = f'tests.persisters.faults --medium "{medium}" --seeds {seed}'
    return played(partial(History, make_plan(medium, seed)), folder, command)


@pytest.mark.parametrize("first", range(0, HISTORIES, A_TEST))
@pytest.mark.parametrize("medium", MEDIA)
def test_nothing_that_was_flushed_is_lost_and_all_agree_in_the_end(
    medium: str, first: int, tmp_path: Path
) -> None:
    for seed in range(first, first + A_TEST):
        play(medium, seed, tmp_path / str(seed))


def test_the_histories_hold_all_that_may_go_wrong(tmp_path: Path) -> None:
    courses = []
    for medium in MEDIA:
        for seed in range(6):
            history = play(medium, seed, tmp_path / f"{medium} {seed}")
            courses.append("\n".join(history.trace))
    assert [trouble for trouble in TROUBLES if sum(trouble in course for course in courses) < 2] == []


@pytest.mark.parametrize("seed", [9, 10])
@pytest.mark.parametrize("medium", MEDIA)
def test_a_seed_decides_everything(medium: str, seed: int, tmp_path: Path) -> None:
    courses = []
    for attempt in ("once", "twice"):
        folder = tmp_path / attempt
        history = play(medium, seed, folder)
        courses.append([line.replace(str(folder), "") for line in history.trace])
    assert courses[0] == courses[1]
    assert len(courses[0]) > 20
