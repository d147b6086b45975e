"""What TinyBase 10.0.1 did in each case, kept so that it is checked where Node is missing too.

``python -m tests.conformance.queries.recorded_cases`` writes the recordings anew.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from tests.conformance.original import VERSION
from tests.conformance.queries.cases import CASES, QueryCase
from tests.conformance.queries.compare import OriginalQueries
from tests.conformance.recorded_cases import json_lines
from tests.conformance.twin import Trace

__all__ = ["FOLDER", "read_recorded", "recording_path"]

FOLDER = Path(__file__).with_name("recorded")


def recording_path(case: QueryCase) -> Path:
    """Where the recording of a case is: a file named after its row and what it shows."""
    return FOLDER / f"{case.row}-{re.sub('[^a-z0-9]+', '-', case.name.lower())}.json"


def read_recorded(case: QueryCase) -> dict[str, Any]:
    """Read the recording of a case: the script that was run and what TinyBase did."""
    recording: dict[str, Any] = json.loads(recording_path(case).read_text(encoding="utf-8"))
    return recording


def record() -> None:
    """Run every case on TinyBase and write what it did, one file a case."""
    for old in FOLDER.glob("*.json"):
        old.unlink()
    FOLDER.mkdir(exist_ok=True)
    with OriginalQueries() as original:
        for case in CASES:
            recording_path(case).write_text(recording_text(case, original.run(case.script)), encoding="utf-8")


def recording_text(case: QueryCase, trace: Trace) -> str:
    """One operation and one event a line, so that a change of a recording can be read."""
    heading = {"row": case.row, "case": case.name, "tinybase": VERSION, "mended": case.mended}
    lines = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in heading.items()]
    return "\n".join(["{", *lines, json_lines("ops", case.ops) + ",", json_lines("trace", trace), "}", ""])


if __name__ == "__main__":
    record()
