"""A failing seed is worth something only if it fails again: anywhere, at any time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# However many share the machine.
pytestmark = pytest.mark.timeout(300)

_PLAY = """
import json, sys, tempfile
from pathlib import Path
from tests.simulation.__main__ import FAMILIES

family, *seeds = sys.argv[1:]
told = {}
for seed in seeds:
    with tempfile.TemporaryDirectory() as folder:
        history = FAMILIES[family](int(seed), Path(folder))
        history.run()
        told[seed] = [history.fingerprint, history.trace]
print(json.dumps(told))
"""


def courses(family: str, seeds: list[str], hash_seed: str) -> dict[str, tuple[str, list[str]]]:
    """Play histories in a process of their own, and return the fingerprint and the trace of each."""
    played = subprocess.run(
        [sys.executable, "-c", _PLAY, family, *seeds],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        cwd=Path(__file__).parents[2],
        check=True,
        capture_output=True,
        text=True,
    )
    return {seed: (told[0], told[1]) for seed, told in json.loads(played.stdout).items()}


@pytest.mark.parametrize(
    ("family", "seeds"),
    [("sessions", ["3", "7", "13", "20", "29", "31"]), ("cluster", ["3", "5", "8", "13"])],
)
def test_a_seed_decides_every_byte_in_whichever_process(family: str, seeds: list[str]) -> None:
    # A process has its own addresses, and its own hashes of texts, in whose order sets are; and what was
    # played in it before must make no difference either.
    once = courses(family, seeds, hash_seed="1")
    again = courses(family, seeds[::-1], hash_seed="2")

    assert once == again
    assert len({fingerprint for fingerprint, _ in once.values()}) == len(seeds)
    assert all(len(trace) >= 15 for _, trace in once.values())
