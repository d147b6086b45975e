"""Runs scripts on both sides and says where they differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.conformance.differences import first_difference
from tests.conformance.generate import random_script
from tests.conformance.original import Original
from tests.conformance.shrink import shrink
from tests.conformance.twin import Script, Trace, run_script

__all__ = ["Difference", "compare_seeds", "describe", "differs", "shrunk"]

BATCH = 50
CONTEXT = 8


@dataclass(frozen=True)
class Difference:
    """A script that came out differently, with both traces and the first event that differs."""

    script: Script
    original: Trace
    ours: Trace
    at: int
    seed: int | None = None


def differs(
    original: Original, script: Script, run: Callable[[Script], Trace] = run_script
) -> Difference | None:
    """Run one script on both sides."""
    return difference(script, original.run(script), run(script))


def compare_seeds(
    original: Original, seeds: range, run: Callable[[Script], Trace] = run_script
) -> Iterator[Difference | None]:
    """Run the script of each seed on both sides, at the same time, a batch after the other."""
    for start in range(0, len(seeds), BATCH):
        batch = seeds[start : start + BATCH]
        scripts = [random_script(seed) for seed in batch]
        original.send(scripts)
        own = [run(script) for script in scripts]
        for seed, script, theirs, ours in zip(batch, scripts, original.receive(), own, strict=True):
            yield difference(script, theirs, ours, seed)


def difference(script: Script, original: Trace, ours: Trace, seed: int | None = None) -> Difference | None:
    at = first_difference(original, ours)
    return None if at is None else Difference(script, original, ours, at, seed)


def shrunk(original: Original, found: Difference, run: Callable[[Script], Trace] = run_script) -> Difference:
    """Make the script of a difference as small as it goes."""
    script = shrink(found.script, lambda script: differs(original, script, run) is not None)
    smaller = differs(original, script, run) or found
    return Difference(smaller.script, smaller.original, smaller.ours, smaller.at, found.seed)


def describe(found: Difference) -> str:
    """Say in text what differs: the script and both traces around the first difference."""
    ops = "\n".join(f"  {json.dumps(op)}" for op in found.script["ops"])
    against = "TinyBase mended by differences.py" if found.script.get("mended") else "TinyBase as published"
    return "\n".join(
        [
            f"replicell differs from {against}"
            + (f" in seed {found.seed}" if found.seed is not None else ""),
            f"probes: {json.dumps(found.script.get('probes'))} {json.dumps(found.script.get('valueProbes'))}",
            f"script:\n{ops}",
            f"first difference at event {found.at}",
            *side("TinyBase", found.original, found.at),
            *side("replicell", found.ours, found.at),
        ]
    )


def side(name: str, trace: Trace, at: int) -> Iterator[str]:
    yield f"{name}:"
    for index in range(max(0, at - CONTEXT), min(len(trace), at + CONTEXT)):
        yield f"  {'>' if index == at else ' '} {index} {json.dumps(trace[index], ensure_ascii=False)}"
