"""The oracle of whole deployments: each promise, broken on purpose, is missed by some history."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.cluster.history import ClusterHistory
from tests.simulation.cluster.loop import StuckError, VirtualLoop
from tests.simulation.cluster.sabotage import SABOTAGES, Sabotage

pytestmark = pytest.mark.timeout(300)

HISTORIES = 30


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


def test_who_waits_for_what_never_comes_is_found_out() -> None:
    history = ClusterHistory(1, Path())
    loop: VirtualLoop = history.loop
    try:
        with pytest.raises(StuckError, match="no timer"):
            loop.run_until_complete(loop.create_future())
    finally:
        loop.close()
