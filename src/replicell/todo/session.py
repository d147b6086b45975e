"""The todo list with all that keeps it: its database, its persister and, if wished, its server."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import replicell
from replicell.todo.connection import Connection, LocalOnly, ServerConnection
from replicell.todo.model import TodoList, create_todo_store
from replicell.todo.storage import Storage

__all__ = ["TodoSession", "open_session"]

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
    database: Path, server: str | Sequence[str] | None = None, *, token: str | None = None, me: str = ""
) -> AsyncIterator[TodoSession]:
    """Open the list kept in `database`, and share it with `server` if there is one.

    When the block ends everything is on disk and, if the server was there, with the server.

    Args:
        database: the file; made if it is not there.
        server: the address of a room, as ``ws://localhost:8040/my-room``, or several, of which the next is
            tried when one is away; None for a list that stays here.
        token: what the server asks for.
        me: what the others in the room are told to call this user.

    Raises:
        ReplicellError: if the database cannot be opened or the address makes no sense.
    """
    storage = Storage()
    async with replicell.open(
        database,
        store=create_todo_store(),
        values=False,
        row_id_column="id",
        server=server,
        token=token,
        on_error=storage.on_error,
        farewell=FAREWELL,
    ) as app:
        storage.watch(app.persister)
        with contextlib.closing(TodoList(app.store)) as todos:
            if app.sync is None:
                yield TodoSession(todos, storage, LocalOnly())
            else:
                with contextlib.closing(ServerConnection(app.sync, me)) as connection:
                    yield TodoSession(todos, storage, connection)
