"""The todo list with all that keeps it: its database, its persister and, if wished, its server."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replicell.persisters import CrSqliteDatabase, Persister, create_crsqlite_persister
from replicell.sync import SyncClient, SyncError, SyncStatus
from replicell.todo.connection import Connection, LocalOnly, ServerConnection
from replicell.todo.model import TABLE, TodoList, create_todo_store
from replicell.todo.storage import Storage

__all__ = ["TodoSession", "open_session"]

CONFIG: dict[str, Any] = {
    "mode": "tabular",
    "tables": {
        "load": {TABLE: {"tableId": TABLE, "rowIdColumnName": "id"}},
        "save": {TABLE: {"tableName": TABLE, "rowIdColumnName": "id"}},
    },
}
FAREWELL = 2.0
"""Seconds that a program which ends gives its last changes to reach the server; later ones go next time."""


@dataclass(frozen=True)
class TodoSession:
    """A todo list that saves itself and, if it has a server, is shared."""

    todos: TodoList
    storage: Storage
    connection: Connection


@contextlib.asynccontextmanager
async def open_session(
    database: Path, server: str | None = None, *, token: str | None = None
) -> AsyncIterator[TodoSession]:
    """Open the list kept in `database`, and share it with `server` if there is one.

    When the block ends everything is on disk and, if the server was there, with the server.

    Args:
        database: the file; made if it is not there.
        server: the address of a room, as ``ws://localhost:8040/my-room``; None for a list that stays here.
        token: what the server asks for.

    Raises:
        ReplicellError: if the database cannot be opened or the address makes no sense.
    """
    store, storage = create_todo_store(), Storage()
    async with contextlib.AsyncExitStack() as stack:
        opened = CrSqliteDatabase(database)
        client = SyncClient(opened, server, token=token) if server is not None else None
        await stack.enter_async_context(opened)
        persister = create_crsqlite_persister(store, opened, CONFIG, on_error=storage.on_error)
        await stack.enter_async_context(persister)
        storage.watch(persister)
        await persister.start_auto_load()
        await persister.start_auto_save()
        todos = stack.enter_context(contextlib.closing(TodoList(store)))
        if client is None:
            yield TodoSession(todos, storage, LocalOnly())
        else:
            await stack.enter_async_context(client)
            connection = stack.enter_context(contextlib.closing(ServerConnection(client)))
            yield TodoSession(todos, storage, connection)
            await send_the_last(persister, client)


async def send_the_last(persister: Persister, client: SyncClient) -> None:
    await persister.flush()
    if client.status in (SyncStatus.SYNCING, SyncStatus.SYNCED):
        with contextlib.suppress(SyncError):
            await client.wait_until_synced(FAREWELL)
