"""`python -m tests.conformance.derived.record`: run every case on TinyBase itself and keep what it did."""

from __future__ import annotations

import sys

from tests.conformance.derived.original import DerivedOriginal
from tests.conformance.derived.recorded_cases import record
from tests.conformance.original import why_missing


def main() -> int:
    missing = why_missing()
    if missing:
        print(missing, file=sys.stderr)
        return 1
    with DerivedOriginal() as original:
        print(f"{record(original)} cases recorded")
    return 0


if __name__ == "__main__":
    sys.exit(main())
