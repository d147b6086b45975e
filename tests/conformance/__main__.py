"""`python -m tests.conformance N [FIRST]`: N random scripts of each family on TinyBase itself and on
replicell, compared event by event.

The seeds are FIRST, FIRST + 1, ...; without FIRST they start at 0, so the first of them are those of the test
suite.
"""

from __future__ import annotations

import logging
import sys
import time

from tests.conformance.compare import compare_seeds, describe, shrunk
from tests.conformance.families import FAMILIES
from tests.conformance.family import Family
from tests.conformance.original import Original, why_missing

DEFAULT_COUNT = 2000
SHOWN = 3
PROGRESS_SECONDS = 2


def main(arguments: list[str]) -> int:
    missing = why_missing()
    if missing:
        print(missing, file=sys.stderr)
        return 2
    count, first = (*map(int, arguments), *(DEFAULT_COUNT, 0)[len(arguments) :])
    # That a schema drops data is worth a warning to a user, but random schemas do so all the time.
    logging.getLogger("replicell.store").setLevel(logging.ERROR)
    return 1 if sum(count_differences(family, range(first, first + count)) for family in FAMILIES) else 0


def count_differences(family: Family, seeds: range) -> int:
    failures = 0
    started = shown = time.monotonic()
    with Original(family) as original:
        for done, found in enumerate(compare_seeds(family, original, seeds), start=1):
            if found is not None:
                failures += 1
                print(f"{family.name}: seed {found.seed} differs", flush=True)
                if failures <= SHOWN:
                    with Original(family) as second:
                        print(describe(shrunk(family, second, found)), flush=True)
            if time.monotonic() - shown > PROGRESS_SECONDS:
                shown = time.monotonic()
                progress = f"{family.name}: {done}/{len(seeds)} scripts, {failures} differ"
                print(progress, file=sys.stderr, flush=True)
    print(
        f"{family.name}: {len(seeds)} scripts from seed {seeds.start}: {len(seeds) - failures} the same, "
        f"{failures} differ, {time.monotonic() - started:.0f} s",
        flush=True,
    )
    return failures


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
