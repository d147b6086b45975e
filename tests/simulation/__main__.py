"""Replay histories: ``python -m tests.simulation SEED [SEED ...]`` or ``python -m tests.simulation
FIRST-LAST``."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from tests.simulation.history import History


def replay(seed: int, verbose: bool) -> bool:
    """Run one history and say how it went; its course is printed when it failed, or when it is the only
    one."""
    with tempfile.TemporaryDirectory() as folder:
        history = History(seed, Path(folder))
        try:
            history.run()
        except Exception as error:
            print(
                *history.trace, f"seed {seed} FAILED: {type(error).__name__}: {error}", sep="\n", flush=True
            )
            return False
        if verbose:
            print(*history.trace, f"seed {seed} is fine", sep="\n", flush=True)
    return True


def seeds(words: Iterable[str]) -> list[int]:
    found: list[int] = []
    for word in words:
        first, _, last = word.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return found


def main(words: list[str]) -> int:
    chosen = seeds(words)
    began = time.perf_counter()
    failed = [seed for seed in chosen if not replay(seed, verbose=len(chosen) == 1)]
    spent = time.perf_counter() - began
    print(
        f"{len(chosen)} histories, {spent:.1f} s, {len(chosen) / spent * 3600:.0f} an hour; failed: {failed}"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
