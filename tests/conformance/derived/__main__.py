"""`python -m tests.conformance.derived N [FIRST]`: N random scripts on both sides, their traces compared."""

from __future__ import annotations

import logging
import sys
import time

from tests.conformance.compare import describe
from tests.conformance.derived.compare import compare_seeds, shrunk_difference
from tests.conformance.derived.original import DerivedOriginal
from tests.conformance.original import why_missing

DEFAULT_COUNT = 1000
SHOWN = 3


def main(arguments: list[str]) -> int:
    missing = why_missing()
    if missing:
        print(missing, file=sys.stderr)
        return 2
    count, first = (*map(int, arguments), *(DEFAULT_COUNT, 0)[len(arguments) :])
    logging.getLogger("replicell.store").setLevel(logging.ERROR)
    failures = 0
    started = time.monotonic()
    with DerivedOriginal() as original:
        for found in compare_seeds(original, range(first, first + count)):
            if found is not None:
                failures += 1
                print(f"seed {found.seed} differs", flush=True)
                if failures <= SHOWN:
                    with DerivedOriginal() as second:
                        print(describe(shrunk_difference(second, found)), flush=True)
    seconds = time.monotonic() - started
    print(
        f"{count} scripts from seed {first}: {count - failures} the same, {failures} differ, {seconds:.0f} s"
    )
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
