"""What TinyBase 10.0.1 did in each case, kept so that it is checked where Node is missing too."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.conformance.case import Case
from tests.conformance.family import Family
from tests.conformance.original import VERSION, Original
from tests.conformance.twin import Trace

__all__ = ["read_recorded", "record", "recording_path"]


def recording_path(family: Family, case: Case) -> Path:
    """Where the recording of a case is: a file named after its row and what it shows."""
    name = re.sub("[^a-z0-9]+", "-", case.name.lower())
    return family.folder / "recorded" / f"{case.row:02}-{name}.json"


def read_recorded(family: Family, case: Case) -> dict[str, Any]:
    """Read the recording of a case: the script that was run and what TinyBase did."""
    recording: dict[str, Any] = json.loads(recording_path(family, case).read_text(encoding="utf-8"))
    return recording


def record(family: Family, original: Original) -> int:
    """Run every case on TinyBase and write what it did, one file a case; give the number of cases."""
    paths = Counter(recording_path(family, case) for case in family.cases)
    repeated = [path.name for path, count in paths.items() if count > 1]
    if repeated:
        raise ValueError(f"two cases would be written to the same file: {', '.join(repeated)}")
    folder = family.folder / "recorded"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.json"):
        old.unlink()
    for case in family.cases:
        text = recording_text(case, original.run(case.script))
        recording_path(family, case).write_text(text, encoding="utf-8")
    return len(family.cases)


def recording_text(case: Case, trace: Trace) -> str:
    """One operation and one event a line, so that a change of a recording can be read."""
    said = {key: value for key, value in case.script.items() if key != "ops"}
    heading = {"row": case.row, "case": case.name, "tinybase": VERSION, **said}
    lines = [f" {json.dumps(key)}: {json.dumps(value)}," for key, value in heading.items()]
    return "\n".join(["{", *lines, json_lines("ops", case.ops) + ",", json_lines("trace", trace), "}", ""])


def json_lines(key: str, items: Sequence[Any]) -> str:
    return f' "{key}": [\n' + ",\n".join(f"  {json.dumps(item)}" for item in items) + "\n ]"
