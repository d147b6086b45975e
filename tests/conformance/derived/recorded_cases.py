"""What TinyBase 10.0.1 did in each case, kept so that it is checked where Node is missing too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.conformance.cases.case import Case
from tests.conformance.derived.cases import CASES
from tests.conformance.derived.original import DerivedOriginal
from tests.conformance.recorded_cases import recording_path as path_of
from tests.conformance.recorded_cases import recording_text

__all__ = ["FOLDER", "read_recorded", "record", "recording_path"]

FOLDER = Path(__file__).with_name("recorded")


def recording_path(case: Case) -> Path:
    """Where the recording of a case is."""
    return path_of(case, FOLDER)


def read_recorded(case: Case) -> dict[str, Any]:
    """Read the recording of a case: the script that was run and what TinyBase did."""
    recording: dict[str, Any] = json.loads(recording_path(case).read_text(encoding="utf-8"))
    return recording


def record(original: DerivedOriginal) -> int:
    """Run every case on TinyBase and write what it did, one file a case; give the number of cases."""
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.json"):
        old.unlink()
    for case in CASES:
        recording_path(case).write_text(recording_text(case, original.run(case.script)), encoding="utf-8")
    return len(CASES)
