"""Histories for hours: ``python -m tests.persisters.faults [--hours H | --seeds FIRST-LAST] [--medium M]``.

One seed alone is replayed with its course printed: ``--medium "json file" --seeds 17``.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from tests.persisters.faults.history import History
from tests.persisters.faults.plan import MEDIA, make_plan

_PROGRESS_SECONDS = 30.0


def replay(medium: str, seed: int, verbose: bool) -> bool:
    """Run one history and tell whether it went well; its course is printed when it did not."""
    with tempfile.TemporaryDirectory() as folder:
        history = History(make_plan(medium, seed), Path(folder))
        try:
            history.run()
        except Exception as error:
            print(*history.trace, f"{medium} {seed}: {type(error).__name__}: {error}", sep="\n", flush=True)
            return False
    if verbose:
        print(*history.trace, f"{medium} {seed} is fine", sep="\n", flush=True)
    return True


def seeds(words: str | None, hours: float | None) -> Iterator[int]:
    """Return the seeds from first to last, or one after the other until the time is over."""
    if words is not None:
        first, _, last = words.partition("-")
        yield from range(int(first), int(last or first) + 1)
        return
    end = time.monotonic() + (hours or 1.0) * 3600
    for seed in count():
        if time.monotonic() > end:
            return
        yield seed


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.persisters.faults")
    parser.add_argument("--hours", type=float, help="how long, from seed 0 on")
    parser.add_argument("--seeds", help="FIRST-LAST instead")
    parser.add_argument("--medium", choices=MEDIA, action="append", help="only this one")
    options = parser.parse_args(words)
    media = options.medium or MEDIA
    is_one = options.seeds is not None and "-" not in options.seeds and len(media) == 1
    failed: list[str] = []
    done, began, told = 0, time.monotonic(), time.monotonic()
    for seed in seeds(options.seeds, options.hours):
        for medium in media:
            done += 1
            if not replay(medium, seed, verbose=is_one):
                failed.append(f"{medium} {seed}")
        if time.monotonic() - told > _PROGRESS_SECONDS:
            told = time.monotonic()
            print(f"{done} histories, {told - began:.0f} s, up to seed {seed}; failed: {failed}", flush=True)
    spent = time.monotonic() - began
    print(f"{done} histories in {spent:.0f} s, {done / spent:.1f} a second; failed: {failed or 'none'}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
