"""Whole roads for tests: stores over real files, clients and a real server process."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replicell.persisters import CrSqliteDatabase, CrSqlitePersister, create_crsqlite_persister
from replicell.store import Store, create_store
from replicell.sync import SyncClient

__all__ = ["PATIENCE", "Replica", "ServerProcess", "flush", "open_replica", "settle", "until"]

PATIENCE = 30.0
TABLES = ("todo", "pets")
CONFIG = {
    "mode": "tabular",
    "tables": {
        "load": {name: {"tableId": name, "rowIdColumnName": "id"} for name in TABLES},
        "save": {name: {"tableName": name, "rowIdColumnName": "id"} for name in TABLES},
    },
    "values": {"load": True, "save": True},
}


@dataclass
class Replica:
    """One program's end of the road."""

    store: Store
    database: CrSqliteDatabase
    persister: CrSqlitePersister
    sync: SyncClient


@asynccontextmanager
async def open_replica(path: Path, url: str, store: Store | None = None) -> AsyncIterator[Replica]:
    store = store or create_store()
    async with (
        CrSqliteDatabase(path) as database,
        create_crsqlite_persister(store, database, CONFIG) as persister,
    ):
        await persister.start_auto_load()
        await persister.start_auto_save()
        async with SyncClient(database, url) as sync:
            yield Replica(store, database, persister, sync)


async def flush(*replicas: Replica) -> None:
    """Return when everything is in the replicas' own databases, whether they are connected or not."""
    for replica in replicas:
        await replica.persister.flush()


async def settle(*replicas: Replica) -> None:
    """Return when every replica has everything; twice around, as the last one's edits go to the first."""
    for replica in (*replicas, *replicas):
        await replica.persister.flush()
        await asyncio.wait_for(replica.sync.wait_until_synced(), PATIENCE)
        await replica.persister.flush()


async def until(store: Store, condition: Callable[[], Any]) -> None:
    """Return as soon as a transaction of the store has made the condition true."""
    changed = asyncio.Event()
    listener = store.add_did_finish_transaction_listener(lambda _: changed.set())
    try:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                changed.clear()
                await changed.wait()
    finally:
        store.del_listener(listener)


class ServerProcess:
    """``replicell server`` as a process of its own, which may be killed and started again."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.port = 0
        self.process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/road"

    async def start(self) -> None:
        command = ("-m", "replicell", "server", "--log-level", "warning")
        options = ("--port", str(self.port), "--data-dir", str(self.data_dir))
        self.process = await asyncio.create_subprocess_exec(
            sys.executable, *command, *options, stdout=asyncio.subprocess.PIPE
        )
        assert self.process.stdout is not None
        line = (await asyncio.wait_for(self.process.stdout.readline(), PATIENCE)).decode()
        assert "listening on" in line, line
        self.port = int(line.split()[-1].rstrip("/").rsplit(":", 1)[1])

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(how)
        await asyncio.wait_for(self.process.wait(), PATIENCE)
        # What is left to read would otherwise keep the pipe open.
        if self.process.stdout is not None:
            await self.process.stdout.read()
        assert self.process.returncode is not None
        return self.process.returncode

    async def __aenter__(self) -> ServerProcess:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop(signal.SIGKILL)
