"""Several whole replicas in one process: `python -m benchmarks.whole_replicas URL FOLDER COUNT`.

Each is a store, a persister, a database and a sync client. An edit's cell holds the time at which it was made
(the monotonic clock, which is the same in every process), so that the other stores know how long it took.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.commanded import obey
from benchmarks.lines.persister import CONFIGURATION
from replicell.persisters import CrSqliteDatabase, create_crsqlite_persister
from replicell.store import Store
from replicell.sync import SyncClient


class Replicas:
    """The replicas of this process."""

    def __init__(self, stores: list[Store], clients: list[SyncClient]) -> None:
        self._stores = stores
        self._clients = clients
        self.journeys: list[float] = []
        self._own = {f"replica {os.getpid()} {number}": store for number, store in enumerate(stores)}
        for row_id, store in self._own.items():
            store.add_cell_listener("todos", None, "made", self._hear_unless(row_id))

    def _hear_unless(self, own_row_id: str) -> Any:
        def hear(_store: Store, _table: str, row_id: str, _cell: str, made: Any, *_: Any) -> None:
            # Rows of the crowd are measured by the crowd; theirs are the edits from store to store.
            if row_id != own_row_id and row_id.startswith("replica "):
                self.journeys.append(time.monotonic() - made)

        return hear

    async def edit(self, seconds: float, rate: float) -> int:
        """Edit in turn, at so many edits a second in all."""
        self.journeys.clear()
        began = time.monotonic()
        for number in range(round(seconds * rate)):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            row_id = list(self._own)[number % len(self._own)]
            self._own[row_id].set_cell("todos", row_id, "made", time.monotonic())
        return round(seconds * rate)

    async def report(self) -> dict[str, Any]:
        """Wait until all have everything, and tell how long the edits took and how the stores stand."""
        await asyncio.gather(*(client.wait_until_synced(timeout=60) for client in self._clients))
        return {
            "journeys": self.journeys,
            "rows": [len(store.get_row_ids("todos")) for store in self._stores],
        }


async def main(url: str, folder: str, count: int) -> None:
    async with AsyncExitStack() as stack:
        stores, clients = [], []
        for number in range(count):
            store = Store()
            db = await stack.enter_async_context(CrSqliteDatabase(Path(folder) / f"{number}.db"))
            persister = create_crsqlite_persister(store, db, CONFIGURATION)
            await stack.enter_async_context(persister)
            await persister.start_auto_persisting()
            clients.append(await stack.enter_async_context(SyncClient(db, url, open_timeout=60)))
            stores.append(store)
        await obey(Replicas(stores, clients))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
