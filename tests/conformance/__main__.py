"""`python -m tests.conformance N [FIRST]`: N random scripts on TinyBase itself and on replicell, compared
event by event.

The seeds are FIRST, FIRST + 1, ...; without FIRST they start at 0, so the first 2,000 are those of the test
suite.
"""

from __future__ import annotations

import logging
import sys
import time

from tests.conformance.compare import compare_seeds, describe, shrunk
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
    failures = 0
    with Original() as original:
        started = shown = time.monotonic()
        differences = compare_seeds(original, range(first, first + count))
        for done, found in enumerate(differences, start=1):
            if found is not None:
                failures += 1
                print(f"seed {found.seed} differs", flush=True)
                if failures <= SHOWN:
                    with Original() as second:
                        print(describe(shrunk(second, found)), flush=True)
            if time.monotonic() - shown > PROGRESS_SECONDS:
                shown = time.monotonic()
                print(f"{done}/{count} scripts, {failures} differ", file=sys.stderr, flush=True)
        seconds = time.monotonic() - started
    print(
        f"{count} scripts from seed {first}: {count - failures} the same, {failures} differ, {seconds:.0f} s"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
