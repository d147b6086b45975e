"""A replica for the figures: commands in, answers out, a JSON line each, as in node/sync_client.mjs.

`python -m benchmarks.sync_client URL DATABASE`. Times are seconds of the monotonic clock, which is the
same in every process.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from benchmarks.commanded import obey
from benchmarks.lines.persister import CONFIGURATION
from replicell.persisters import CrSqliteDatabase, create_crsqlite_persister
from replicell.store import Store
from replicell.sync import SyncClient


class Replica:
    """A store that is measured, with what has arrived in it and when."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.arrived: dict[int, float] = {}
        self.rows_awaited = 0
        self.rows_arrived: asyncio.Future[float] | None = None
        store.add_cell_listener("todos", "edited", "rank", self.hear_edit)
        store.add_row_count_listener("todos", self.hear_row_count)

    def hear_edit(self, _store: Store, _table: str, _row: str, _cell: str, rank: Any, *_: Any) -> None:
        self.arrived[rank] = time.monotonic()

    def hear_row_count(self, store: Store, _table: str, count: int) -> None:
        if self.rows_arrived is not None and not self.rows_arrived.done() and count >= self.rows_awaited:
            self.rows_arrived.set_result(time.monotonic())

    async def edit(self, first: int, count: int, pause: float) -> dict[int, float]:
        """One edit at a time, `pause` seconds apart: when each was made."""
        times = {}
        for rank in range(first, first + count):
            times[rank] = time.monotonic()
            self.store.set_cell("todos", "edited", "rank", rank)
            await asyncio.sleep(pause)
        return times

    async def arrivals(self) -> dict[int, float]:
        return self.arrived

    async def rows_one_by_one(self, prefix: str, count: int) -> float:
        """Rows in transactions of their own, with a turn of the event loop after each."""
        start = time.monotonic()
        for index in range(count):
            self.store.set_row("todos", f"{prefix} {index}", small_row(index))
            await asyncio.sleep(0)
        return start

    async def rows_in_one_transaction(self, prefix: str, count: int) -> float:
        start = time.monotonic()
        with self.store.transaction():
            for index in range(count):
                self.store.set_row("todos", f"{prefix} {index}", small_row(index))
        return start

    async def await_rows(self, count: int) -> float:
        if self.store.get_row_count("todos") >= count:
            return time.monotonic()
        self.rows_awaited = count
        self.rows_arrived = asyncio.get_running_loop().create_future()
        return await self.rows_arrived

    async def row_count(self) -> int:
        return self.store.get_row_count("todos")


def small_row(index: int) -> dict[str, Any]:
    return {"text": f"todo {index}", "done": index % 2 == 0, "rank": index}


async def main(url: str, path: str) -> None:
    store = Store()
    async with CrSqliteDatabase(path) as db:
        persister = create_crsqlite_persister(store, db, CONFIGURATION)
        await persister.start_auto_load()
        await persister.start_auto_save()
        async with SyncClient(db, url):
            await obey(Replica(store))
        await persister.destroy()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:3]))
