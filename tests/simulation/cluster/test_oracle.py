"""The oracle of whole deployments: each promise, broken on purpose, is missed by some history."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.simulation.cluster.history import WELL, ClusterHistory
from tests.simulation.cluster.loop import StuckError, VirtualLoop
from tests.simulation.cluster.sabotage import FOUND_AT_ONCE, SABOTAGES
from tests.simulation.oracle import BrokenPromiseError
from tests.simulation.sabotages import Sabotage

pytestmark = pytest.mark.timeout(300)

HISTORIES = 80


@pytest.mark.parametrize(("sabotage", "first"), SABOTAGES.values(), ids=SABOTAGES.keys())
def test_a_broken_promise_is_found_out(
    sabotage: Sabotage, first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage(monkeypatch)
    for seed in range(first, first + HISTORIES):
        folder = tmp_path / str(seed)
        folder.mkdir()
        try:
            ClusterHistory(seed, folder).run()
        except AssertionError:
            return
    pytest.fail("no history noticed")


@pytest.mark.parametrize(("sabotage", "first", "finding"), FOUND_AT_ONCE.values(), ids=FOUND_AT_ONCE.keys())
def test_it_is_found_out_while_the_history_goes_on(
    sabotage: Sabotage, first: int, finding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage(monkeypatch)
    for seed in range(first, first + HISTORIES):
        folder = tmp_path / str(seed)
        folder.mkdir()
        history = ClusterHistory(seed, folder)
        try:
            history.run()
        except AssertionError as error:
            if re.search(finding, str(error)) and not any(WELL in line for line in history.trace):
                return
    pytest.fail("no history noticed before its end")


def test_what_was_acknowledged_and_is_on_no_disk_is_noticed() -> None:
    history = ClusterHistory(1, Path())
    history.loop.close()
    history.disks_are_lost = False
    history.watch.look()
    history.programs.acknowledged[history.rooms[0]] = {"e1"}

    with pytest.raises(BrokenPromiseError, match=r"and not on a node's disk: \['e1'\]"):
        history.watch.look()


def test_who_waits_for_what_never_comes_is_found_out() -> None:
    history = ClusterHistory(1, Path())
    loop: VirtualLoop = history.loop
    try:
        with pytest.raises(StuckError, match="no timer"):
            loop.run_until_complete(loop.create_future())
    finally:
        loop.close()
