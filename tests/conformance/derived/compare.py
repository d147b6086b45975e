"""Runs random scripts on both sides and says where they differ."""

from __future__ import annotations

from collections.abc import Iterator

from tests.conformance.compare import Difference, difference, shrunk
from tests.conformance.derived.generate import random_script
from tests.conformance.derived.twin import run_script
from tests.conformance.original import Original

__all__ = ["compare_seeds", "shrunk_difference"]

BATCH = 50


def compare_seeds(original: Original, seeds: range) -> Iterator[Difference | None]:
    """Run the script of each seed on both sides, at the same time, a batch after the other."""
    for start in range(0, len(seeds), BATCH):
        batch = seeds[start : start + BATCH]
        scripts = [random_script(seed) for seed in batch]
        original.send(scripts)
        own = [run_script(script) for script in scripts]
        for seed, script, theirs, ours in zip(batch, scripts, original.receive(), own, strict=True):
            yield difference(script, theirs, ours, seed)


def shrunk_difference(original: Original, found: Difference) -> Difference:
    """Make the script of a difference as small as it goes."""
    return shrunk(original, found, run_script)
