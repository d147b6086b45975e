"""How soon a store has what another process has written to a plain SQLite database or to a JSON file."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

from benchmarks.lines.databases import SECTION
from benchmarks.lines.kinds import CONFIGURATION, JSON_FILE, SQLITE, table
from benchmarks.measure import Figure, at_most
from benchmarks.processes import LineProcess, python
from replicell.persisters import (
    Persister,
    SqliteDatabase,
    create_json_file_persister,
    create_sqlite_persister,
)
from replicell.store import Store

__all__ = ["notice_figures"]

ROWS = 1_000
ROUNDS = 21
SOON = at_most(0.050, "50 ms")


@asynccontextmanager
async def plain_database(store: Store, path: Path) -> AsyncIterator[Persister]:
    async with SqliteDatabase(path) as db, create_sqlite_persister(store, db, CONFIGURATION) as persister:
        yield persister


@asynccontextmanager
async def json_file(store: Store, path: Path) -> AsyncIterator[Persister]:
    async with create_json_file_persister(store, path) as persister:
        yield persister


MEDIA = {SQLITE.name: plain_database, JSON_FILE: json_file}


async def arrival(store: Store, writer: LineProcess, row_id: str, rank: int) -> float:
    """Seconds from another process's write to its arrival in the store."""
    arrived: asyncio.Future[float] = asyncio.get_running_loop().create_future()
    listener = store.add_cell_listener(
        "todos", row_id, "rank", lambda *_: arrived.set_result(time.monotonic())
    )
    answer = await asyncio.to_thread(writer.ask, {"row": row_id, "rank": rank})
    seconds = await arrived - float(answer["at"])
    store.del_listener(listener)
    assert store.get_cell("todos", row_id, "rank") == rank
    return seconds


async def arrivals(medium: str, path: Path) -> list[float]:
    store = Store().set_table("todos", table(ROWS))
    async with MEDIA[medium](store, path) as persister:
        await persister.start_auto_persisting(start_save_first=True)
        with python("benchmarks.row_writer", str(path), medium) as writer:
            return [
                await arrival(store, writer, f"row {number * 7}", -number - 1) for number in range(ROUNDS)
            ]


def notice_figures() -> Iterator[Figure]:
    """Measure the lines, one after the other."""
    for medium in MEDIA:
        with tempfile.TemporaryDirectory() as folder:
            seconds = asyncio.run(arrivals(medium, Path(folder) / "bench"))
        yield Figure(
            SECTION,
            f"{medium}: one changed row of {ROWS:,}, from another process's write to the store, the longest",
            max(seconds),
            "the median",
            median(seconds),
            SOON,
            ratio="cost",
        )
