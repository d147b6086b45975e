"""Runs scripts on both sides and says where they differ."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from tests.conformance.family import Family
from tests.conformance.original import Original
from tests.conformance.shrink import shrink
from tests.conformance.twin import Script, Trace

__all__ = ["Difference", "compare", "compare_seeds", "describe", "difference", "shrunk"]

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


def compare(family: Family, original: Original, script: Script) -> Difference | None:
    """Run one script on both sides."""
    return difference(family, script, original.run(script), family.run(script))


def compare_seeds(family: Family, original: Original, seeds: range) -> Iterator[Difference | None]:
    """Run the script of each seed on both sides, at the same time, a batch after the other."""
    for start in range(0, len(seeds), BATCH):
        batch = seeds[start : start + BATCH]
        scripts = [family.random_script(seed) for seed in batch]
        original.begin(scripts)
        own = [family.run(script) for script in scripts]
        for seed, script, theirs, ours in zip(batch, scripts, original.finish(), own, strict=True):
            yield difference(family, script, theirs, ours, seed)


def difference(
    family: Family, script: Script, original: Trace, ours: Trace, seed: int | None = None
) -> Difference | None:
    """Compare the two traces of a script."""
    at = family.first_difference(original, ours)
    if at is not None and family.run_alike is not None:
        ours = family.run_alike(script)
        at = family.first_difference(original, ours)
    return None if at is None else Difference(script, original, ours, at, seed)


def shrunk(family: Family, original: Original, found: Difference) -> Difference:
    """Make the script of a difference as small as it goes."""
    script = shrink(
        found.script,
        lambda script: family.is_whole(script) and compare(family, original, script) is not None,
    )
    smaller = compare(family, original, script) or found
    return Difference(smaller.script, smaller.original, smaller.ours, smaller.at, found.seed)


def describe(found: Difference) -> str:
    """Say in text what differs: the script and both traces around the first difference."""
    ops = "\n".join(f"  {json.dumps(op)}" for op in found.script["ops"])
    against = "TinyBase as mended by patches.py" if found.script.get("mended") else "TinyBase as published"
    probes = [
        f"{key}: {json.dumps(found.script[key])}"
        for key in ("probes", "valueProbes")
        if found.script.get(key)
    ]
    return "\n".join(
        [
            f"replicell differs from {against}"
            + (f" in seed {found.seed}" if found.seed is not None else ""),
            f"probes: {json.dumps(probes)}",
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
