"""Replay histories: ``python -m tests.simulation [FAMILY] SEED [SEED ...]``, or ``FIRST-LAST``.

The families are ``sessions``, one room's sessions on the worst of networks, and ``cluster``, whole
deployments of server nodes. Without one, all are played.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Protocol

from tests.simulation.cluster.history import ClusterHistory
from tests.simulation.history import History


class _History(Protocol):
    trace: list[str]

    @property
    def fingerprint(self) -> str: ...

    def run(self) -> None: ...


FAMILIES: Final[Mapping[str, Callable[[int, Path], _History]]] = {
    "sessions": History,
    "cluster": ClusterHistory,
}


def replay(family: str, seed: int, verbose: bool) -> bool:
    """Run one history and say how it went; its course is printed when it failed, or when it is the only
    one."""
    with tempfile.TemporaryDirectory() as folder:
        history = FAMILIES[family](seed, Path(folder))
        try:
            history.run()
        except Exception as error:
            what = f"{family} {seed} FAILED: {type(error).__name__}: {error}"
            print(*history.trace, what, sep="\n", flush=True)
            return False
        if verbose:
            print(*history.trace, f"{family} {seed} is fine", sep="\n", flush=True)
    return True


def seeds(words: Iterable[str]) -> list[int]:
    found: list[int] = []
    for word in words:
        first, _, last = word.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return found


def main(words: list[str]) -> int:
    families = list(FAMILIES)
    if words and words[0] in FAMILIES:
        families = [words.pop(0)]
    chosen = seeds(words)
    has_failed = False
    for family in families:
        began = time.perf_counter()
        failed = [seed for seed in chosen if not replay(family, seed, verbose=len(chosen) == 1)]
        spent = time.perf_counter() - began
        rate = len(chosen) / spent * 3600
        print(f"{family}: {len(chosen)} histories, {spent:.1f} s, {rate:.0f} an hour; failed: {failed}")
        has_failed = has_failed or bool(failed)
    return 1 if has_failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
