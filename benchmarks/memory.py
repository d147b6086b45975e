"""``python -m benchmarks.memory WORK KIND FILE ROWS``: the most memory that a full load or save takes.

It runs in a process of its own, because what a process once took it seldom gives back, and prints
``{"bytes": n}``: how far the process has grown at most since before there was a row, the rows included.
WORK is load or save, or hold for nothing but the rows as dicts by hand.
"""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
from pathlib import Path

from benchmarks.lines.kinds import CONFIGURATION, KINDS, Kind, rows
from replicell.store import Store


def peak() -> int:
    """The most memory that this process has ever had, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # What getrusage() says begins with what the parent process had.
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def hold(size: int) -> int:
    before = peak()
    held = {
        row_id: {"text": text, "rank": rank, "weight": weight} for row_id, text, rank, weight in rows(size)
    }
    after = peak()
    assert len(held) == size
    return after - before


async def work(name: str, kind: Kind, path: Path, size: int) -> int:
    store = Store()
    async with kind.database(path) as db:
        persister = kind.persister(store, db, CONFIGURATION)
        gc.collect()
        before = peak()
        if name == "load":
            await persister.load()
        else:
            for row_id, text, rank, weight in rows(size):
                store.set_row("todos", row_id, {"text": text, "rank": rank, "weight": weight})
            await persister.save()
        after = peak()
    assert store.get_row_count("todos") == size
    return after - before


def main(name: str, kind: str, path: str, size: int) -> None:
    grown = hold(size) if name == "hold" else asyncio.run(work(name, KINDS[kind], Path(path), size))
    print(json.dumps({"bytes": grown}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
