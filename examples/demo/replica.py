"""One replica as a process of its own: a store, its database and a sync client, steered by lines of JSON.

It reads one command a line from standard input and answers each with one line; in between it tells what its
store holds whenever that changed. ``examples.demo`` starts two of these.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Any

from examples.demo.verdict import KEY
from replicell.persisters import CrSqliteDatabase, create_crsqlite_persister
from replicell.store import Store, create_store
from replicell.sync import SyncClient

TABLES = ("todo", "data")
PATIENCE = 60.0
"""Seconds within which a server on the same machine must have been reached again."""


class Replica:
    """Carries out the commands of the storyteller on one store."""

    def __init__(self, store: Store, sync: SyncClient, flush: Any) -> None:
        self.store = store
        self.sync = sync
        self.flush = flush
        self.telling: asyncio.TimerHandle | None = None

    def tell(self, event: str, **details: Any) -> None:
        print(json.dumps({"event": event, **details}), flush=True)

    def tell_soon(self, *_: Any) -> None:
        """Tell what the store holds, at most twenty times a second."""
        if self.telling is None:
            self.telling = asyncio.get_running_loop().call_later(0.05, self.tell_state)

    def tell_state(self) -> None:
        if self.telling is not None:
            self.telling.cancel()
            self.telling = None
        data = self.store.get_table("data")
        sample = {row_id: data[row_id] for row_id in list(data)[-3:]}
        self.tell(
            "state",
            todo=self.store.get_table("todo"),
            data_rows=len(data),
            data_sample=sample,
            status=self.sync.status.name.lower(),
        )

    async def obey(self, command: dict[str, Any]) -> Any:
        action = command.pop("do")
        return await getattr(self, f"do_{action}")(**command)

    async def do_add(self, row_id: str, text: str) -> None:
        self.store.set_row("todo", row_id, {"text": text, "completed": False})

    async def do_toggle(self, row_id: str) -> None:
        self.store.set_cell("todo", row_id, "completed", lambda completed: not completed)

    async def do_edit(self, row_id: str, text: str) -> None:
        self.store.set_cell("todo", row_id, "text", text)

    async def do_delete(self, row_id: str) -> None:
        self.store.del_row("todo", row_id)

    async def do_delete_all(self) -> None:
        self.store.del_table("todo")

    async def do_stream(self, prefix: str, count: int) -> None:
        """Add many todos, one transaction and one database commit each."""
        for number in range(count):
            self.store.set_row(
                "todo", f"{prefix}{number:03}", {"text": f"streamed {number}", "completed": False}
            )
            await self.flush()

    async def do_load(self, rows: dict[str, dict[str, Any]]) -> int:
        self.store.set_table("data", rows)
        return self.store.get_row_count("data")

    async def do_pause(self) -> None:
        await self.sync.pause()

    async def do_resume(self) -> None:
        await self.sync.resume()

    async def do_settle(self) -> None:
        """Return when all edits are on disk here and on the server, and all of the server's are here."""
        await self.flush()
        await self.sync.wait_until_synced(PATIENCE)
        await self.flush()

    async def do_flush(self) -> None:
        await self.flush()

    async def do_tables(self) -> Any:
        return self.store.get_tables()


async def read_commands() -> asyncio.StreamReader:
    # A data set is one line, so a line may be long.
    reader = asyncio.StreamReader(limit=64 * 2**20)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    return reader


async def run(database_path: str, url: str) -> None:
    store = create_store()
    async with CrSqliteDatabase(database_path) as database:
        mapping = {
            "load": {name: {"tableId": name, "rowIdColumnName": KEY} for name in TABLES},
            "save": {name: {"tableName": name, "rowIdColumnName": KEY} for name in TABLES},
        }
        async with create_crsqlite_persister(
            store, database, {"mode": "tabular", "tables": mapping}
        ) as persister:
            await persister.start_auto_load()
            await persister.start_auto_save()
            async with SyncClient(database, url) as sync:
                replica = Replica(store, sync, persister.flush)
                store.add_tables_listener(replica.tell_soon)
                sync.add_status_listener(replica.tell_soon)
                replica.tell_state()
                commands = await read_commands()
                while line := await commands.readline():
                    answer = await replica.obey(json.loads(line))
                    replica.tell_state()
                    replica.tell("answer", value=answer)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--db", required=True)
    parser.add_argument("--server", required=True)
    args = parser.parse_args()
    asyncio.run(run(args.db, args.server))


if __name__ == "__main__":
    main()
