"""Makes a failing script small: takes out operations and parts of objects as long as it keeps failing."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

from tests.conformance.twin import Script

__all__ = ["shrink"]

Path = tuple[str | int, ...]
KEYS_TO_KEEP = {"ops", "$", "by", "value", "message", "result", "mended", "tableId"}


def shrink(script: Script, fails: Callable[[Script], bool], attempts: int = 1500) -> Script:
    """Find a smaller script that still fails.

    Args:
        script: A script for which `fails` is true.
        fails: Tells whether a script fails; called at most `attempts` times.
        attempts: How many scripts to try.
    """
    smallest = script
    budget = Budget(attempts)
    while budget.left:
        smaller = next((s for s in smaller_scripts(smallest) if budget.spend() and fails(s)), None)
        if smaller is None:
            break
        smallest = smaller
    return smallest


class Budget:
    def __init__(self, left: int) -> None:
        self.left = left

    def spend(self) -> bool:
        self.left -= 1
        return self.left > 0


def smaller_scripts(script: Script) -> Iterator[Script]:
    """Big steps first: halves of the operations, single ones, blocks replaced by their contents, data."""
    paths = sorted(op_lists(script, ()), key=len)
    for path in paths:
        size = len(at(script, path))
        chunk = size
        while chunk:
            for start in range(size - chunk, -1, -chunk):
                if path != ("ops",) or chunk < size:
                    yield replaced(
                        script, path, [*at(script, path)[:start], *at(script, path)[start + chunk :]]
                    )
            chunk //= 2
    for path in paths:
        for index, op in enumerate(at(script, path)):
            if op[0] in {"transaction", "try"}:
                ops = at(script, path)
                yield replaced(script, path, [*ops[:index], *op[1], *ops[index + 1 :]])
    for path in list(objects(script, ())):
        for key in at(script, path):
            if key not in KEYS_TO_KEEP:
                yield replaced(script, path, {k: v for k, v in at(script, path).items() if k != key})


def op_lists(thing: Any, path: Path) -> Iterator[Path]:
    if isinstance(thing, dict):
        for key, child in thing.items():
            if key == "ops":
                yield (*path, key)
            yield from op_lists(child, (*path, key))
    elif isinstance(thing, list):
        for index, child in enumerate(thing):
            if index == 1 and thing[0] in ("transaction", "try"):
                yield (*path, index)
            yield from op_lists(child, (*path, index))


def objects(thing: Any, path: Path) -> Iterator[Path]:
    if isinstance(thing, dict):
        if path:
            yield path
        for key, child in thing.items():
            yield from objects(child, (*path, key))
    elif isinstance(thing, list):
        for index, child in enumerate(thing):
            yield from objects(child, (*path, index))


def at(thing: Any, path: Path) -> Any:
    for step in path:
        thing = thing[step]
    return thing


def replaced(script: Script, path: Path, new: Any) -> Script:
    result = copy.deepcopy(script)
    at(result, path[:-1])[path[-1]] = new
    return result
