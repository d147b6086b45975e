"""`python -m tests.conformance.record`: run every case on TinyBase itself and keep what it did."""

from __future__ import annotations

import sys

from tests.conformance.families import FAMILIES
from tests.conformance.original import Original, why_missing
from tests.conformance.recorded_cases import record


def main() -> int:
    missing = why_missing()
    if missing:
        print(missing, file=sys.stderr)
        return 1
    for family in FAMILIES:
        with Original(family) as original:
            print(f"{family.name}: {record(family, original)} cases recorded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
