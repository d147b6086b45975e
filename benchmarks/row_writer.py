"""Another program that writes to a medium: ``{"row": id, "rank": n}`` in, ``{"at": seconds}`` out.

``python -m benchmarks.row_writer PATH [MEDIUM]``, where the medium is the name of one of the databases that
are measured, or "JSON file". The answer is the time of the commit on the clock that all processes share,
`time.monotonic`.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from benchmarks.lines.kinds import CRSQLITE, JSON_FILE, KINDS, Kind
from replicell.persisters.sqlite.connection import transaction

Write: TypeAlias = Callable[[str, int], None]


@contextmanager
def database(path: Path, kind: Kind) -> Iterator[Write]:
    """Writes one cell of a row of a database."""
    connection = kind.opened(path)

    def write(row_id: str, rank: int) -> None:
        with transaction(connection):
            connection.execute("UPDATE todos SET rank = ? WHERE id = ?", (rank, row_id))

    try:
        yield write
    finally:
        kind.closed(connection)


@contextmanager
def json_file(path: Path) -> Iterator[Write]:
    """Writes one cell of a row of a file, which it replaces."""

    def write(row_id: str, rank: int) -> None:
        content = json.loads(path.read_text(encoding="utf-8"))
        content[0]["todos"][row_id]["rank"] = rank
        replacement = path.with_name("replacement.json")
        replacement.write_text(json.dumps(content), encoding="utf-8")
        replacement.replace(path)

    yield write


def main(path: str, medium: str = CRSQLITE.name) -> None:
    with json_file(Path(path)) if medium == JSON_FILE else database(Path(path), KINDS[medium]) as write:
        for line in sys.stdin:
            request = json.loads(line)
            write(request["row"], request["rank"])
            print(json.dumps({"at": time.monotonic()}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
