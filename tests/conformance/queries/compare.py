"""Runs scripts over queries on both sides and says where they differ."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from replicell.store.queries.plan import Slot
from tests.conformance.compare import BATCH, Difference, side
from tests.conformance.original import NODE_MODULES, Original
from tests.conformance.queries.differences import PATCHES, first_difference
from tests.conformance.queries.generate import random_script
from tests.conformance.queries.twin import run_script
from tests.conformance.shrink import shrink
from tests.conformance.twin import Script, Trace

__all__ = ["OriginalQueries", "compare_seeds", "describe", "differs", "shrunk"]

RUNNER = Path(__file__).with_name("runner.mjs")


class OriginalQueries(Original):
    """TinyBase's queries under Node."""

    def __init__(self) -> None:
        patches = json.dumps([{"name": p.name, "from": p.original, "to": p.mended} for p in PATCHES])
        self._process = subprocess.Popen(
            ["node", str(RUNNER), str(NODE_MODULES), patches],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )


def differs(original: Original, script: Script) -> Difference | None:
    """Run one script on both sides."""
    return difference(script, original.run(script), run_script(script))


def difference(script: Script, theirs: Trace, ours: Trace, seed: int | None = None) -> Difference | None:
    """Compare two traces.

    TinyBase also looks at rows in which nothing that matters has changed, so that what comes into a result in
    one transaction may come in another order. If that is all, a run that looks at them too is the same.
    """
    if first_difference(theirs, ours) is None:
        return None
    with patch.object(Slot, "needs_any", return_value=True):
        ours = run_script(script)
    at = first_difference(theirs, ours)
    return None if at is None else Difference(script, theirs, ours, at, seed)


def compare_seeds(original: Original, seeds: range) -> Iterator[Difference]:
    """Run the script of each seed on both sides, at the same time, and give those that differ."""
    for start in range(0, len(seeds), BATCH):
        batch = seeds[start : start + BATCH]
        scripts = [random_script(seed) for seed in batch]
        original.send(scripts)
        own = [run_script(script) for script in scripts]
        for seed, script, theirs, ours in zip(batch, scripts, original.receive(), own, strict=True):
            found = difference(script, theirs, ours, seed)
            if found is not None:
                yield found


def shrunk(original: Original, found: Difference) -> Difference:
    """Make the script of a difference as small as it goes."""
    script = shrink(
        found.script, lambda script: is_whole(script["ops"]) and differs(original, script) is not None
    )
    smaller = differs(original, script) or found
    return Difference(smaller.script, smaller.original, smaller.ours, smaller.at, found.seed)


def is_whole(ops: list[Any]) -> bool:
    """Tell whether every definition still says what it takes to mean anything."""
    for op in ops:
        if op[0] == "define":
            needed = {"select": 1, "join": 2, "where": 1, "group": 2, "having": 1}
            counts = [
                (
                    kind,
                    len([arg for arg in clause.get("args", []) if arg is not True]) + ("fn" in clause),
                    "fn" in clause,
                )
                for kind, clause in op[3]
            ]
            if not op[2] or any(
                count < needed.get(kind, 0) or (kind in ("where", "having") and count < 2 and not function)
                for kind, count, function in counts
            ):
                return False
        elif op[0] == "transaction" and not is_whole(op[1]):
            return False
    return True


def describe(found: Difference) -> str:
    """Say in text what differs: the script and both traces around the first difference."""
    ops = "\n".join(f"  {json.dumps(op)}" for op in found.script["ops"])
    return "\n".join(
        [
            f"queries differ from TinyBase in seed {found.seed} (mended: {found.script.get('mended')})",
            f"script:\n{ops}",
            f"first difference at event {found.at}",
            *side("TinyBase", found.original, found.at),
            *side("replicell", found.ours, found.at),
        ]
    )
