"""What TinyBase 10.0.1 did in each case, kept so that it is checked where Node is missing too."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.conformance.cases import CASES, Case
from tests.conformance.original import VERSION, Original
from tests.conformance.twin import Trace

__all__ = ["read_recorded", "record", "recording_path"]

FOLDER = Path(__file__).with_name("recorded")


def recording_path(case: Case, folder: Path = FOLDER) -> Path:
    """Where the recording of a case is: a file named after its row and what it shows."""
    return folder / f"{case.row:02}-{re.sub('[^a-z0-9]+', '-', case.name.lower())}.json"


def read_recorded(case: Case) -> dict[str, Any]:
    """Read the recording of a case: the script that was run and what TinyBase did."""
    recording: dict[str, Any] = json.loads(recording_path(case).read_text(encoding="utf-8"))
    return recording


def record(original: Original, cases: Sequence[Case] = CASES) -> int:
    """Run every case on TinyBase and write what it did, one file a case; give the number of cases."""
    repeated = [
        name for name, count in Counter(recording_path(case).name for case in cases).items() if count > 1
    ]
    if repeated:
        raise ValueError(f"two cases would be written to the same file: {', '.join(repeated)}")
    for old in FOLDER.glob("*.json"):
        old.unlink()
    FOLDER.mkdir(exist_ok=True)
    for case in cases:
        recording_path(case).write_text(recording_text(case, original.run(case.script)), encoding="utf-8")
    return len(cases)


def recording_text(case: Case, trace: Trace) -> str:
    """One operation and one event a line, so that a change of a recording can be read."""
    heading = {"row": case.row, "case": case.name, "tinybase": VERSION, "mended": case.mended}
    lines = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in heading.items()]
    lines += [f' "probes": {json.dumps(case.probes)},', f' "valueProbes": {json.dumps(case.value_probes)},']
    return "\n".join(["{", *lines, json_lines("ops", case.ops) + ",", json_lines("trace", trace), "}", ""])


def json_lines(key: str, items: Sequence[Any]) -> str:
    return f' "{key}": [\n' + ",\n".join(f"  {json.dumps(item)}" for item in items) + "\n ]"
