"""One call for asyncio programs: a store that is kept in a database and shared through a server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl as ssl_module
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, NamedTuple, Self

from replicell.app.contents import Contents, TablesLike, ValuesLike
from replicell.app.errors import AppClosedError, AppOptionsError, NoServerError
from replicell.app.options import Options
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.migrations import Migrations
from replicell.persisters.crsqlite.persister import CrSqlitePersister
from replicell.persisters.errors import PersisterError
from replicell.persisters.operations import ErrorListener
from replicell.persisters.status import Status
from replicell.store.store import Store
from replicell.sync.client import SyncClient
from replicell.sync.errors import SyncError
from replicell.sync.status import SyncStatus

__all__ = ["App", "AppStatus", "Opening", "open", "open_parts"]


class AppStatus(NamedTuple):
    """How things stand with an app.

    Args:
        problem: What went wrong with the database, until a later load or save has gone well; None if all is
            well.
        sync: How it is doing with the server; None without one.
        detail: One sentence about that, for people; empty if there is nothing to say.
    """

    problem: Exception | None
    sync: SyncStatus | None
    detail: str


class App:
    """A store, the database it is kept in, and the server it is shared through; see `replicell.open`.

    Attributes:
        store: The tables and values; write to it and listen to it.
        database: The file.
        persister: What keeps the two the same.
        sync: What shares the database; None if no server was given.
    """

    def __init__(
        self,
        store: Store,
        database: CrSqliteDatabase,
        persister: CrSqlitePersister,
        sync: SyncClient | None,
        parts: _Parts,
    ) -> None:
        self.store = store
        self.database = database
        self.persister = persister
        self.sync = sync
        self._parts = parts
        self._closing: asyncio.Future[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is neither closed nor closing."""
        return self._closing is None

    @property
    def status(self) -> AppStatus:
        """How things stand."""
        problem = self._parts.health.problem
        if self.sync is None:
            return AppStatus(problem, None, "")
        return AppStatus(problem, self.sync.status, self.sync.status_detail)

    async def flush(self) -> None:
        """Return when every transaction that is over is durable in the database.

        Raises:
            PersisterError: it cannot be saved now; it is kept, and tried again.
            AppClosedError: the app is closed.
        """
        self._require_open()
        await self.persister.flush()

    async def wait_until_synced(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - as SyncClient has it
        """Return when the server has all that is here, on its disk, and the store has all that is there.

        Args:
            timeout: Seconds to wait for the server at most; None for as long as it takes.

        Raises:
            SyncTimeoutError: it took longer; nothing is lost, and the app goes on trying.
            RefusedError: the server does not take this program.
            PersisterError: it cannot be saved or loaded.
            NoServerError: the app was opened without a server.
            AppClosedError: the app is closed.
        """
        self._require_open()
        if self.sync is None:
            raise NoServerError("There is no server to wait for: open the app with server='ws://...'.")
        await self.persister.flush()
        await self.sync.wait_until_synced(timeout)
        await self.persister.load()

    async def close(self) -> None:
        """Save what is unsaved, give it a moment to reach the server, and close everything.

        May be called again. Without a connection nothing waits: the server gets the rest the next time.

        Raises:
            PersisterError: the last save failed; everything is closed nevertheless.
        """
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<App {self.database.path} {'open' if self.is_open else 'closed'}>"

    async def _close(self) -> None:
        try:
            if self.sync is not None and self.sync.status in (SyncStatus.SYNCING, SyncStatus.SYNCED):
                await self._say_farewell(self.sync)
        finally:
            await self._parts.close()

    async def _say_farewell(self, sync: SyncClient) -> None:
        # Closing the persister says the same again, should the save have failed.
        with contextlib.suppress(PersisterError, SyncError, TimeoutError):
            async with asyncio.timeout(self._parts.farewell):
                await self.persister.flush()
                await sync.wait_until_synced()

    def _require_open(self) -> None:
        if self._closing is not None:
            raise AppClosedError(f"The app of {self.database.path} is closed: open it again.")


class Opening:
    """What `replicell.open` returns: ``async with`` it, or await it and close the app yourself."""

    def __init__(
        self, options: Options, contents: Contents, store: Store, on_error: ErrorListener | None
    ) -> None:
        self._options = options
        self._contents = contents
        self._store = store
        self._on_error = on_error
        self._app: App | None = None

    def __await__(self) -> Generator[Any, Any, App]:
        return self._open().__await__()

    async def __aenter__(self) -> App:
        return await self._open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._app is not None:
            await self._app.close()

    async def _open(self) -> App:
        if self._app is not None:
            raise AppOptionsError(
                "This app has been opened already: call replicell.open() again for another."
            )
        self._app = await open_parts(self._options, self._contents, self._store, self._on_error)
        return self._app


def open(
    path: str | os.PathLike[str],
    *,
    tables: TablesLike | None = None,
    values: ValuesLike = True,
    server: str | Sequence[str] | None = None,
    token: str | None = None,
    strict: bool = False,
    store: Store | None = None,
    row_id_column: str = "_id",
    on_error: ErrorListener | None = None,
    migrations: Migrations = (),
    save_interval: float = 0.0,
    farewell: float = 2.0,
    ssl: ssl_module.SSLContext | None = None,
) -> Opening:
    """Open a store that is kept in a file and, if there is a server, shared with everybody else there.

    When it is open, the store holds what the file has; from then on every transaction is saved and, whenever
    the server can be reached, sent, and what others change comes in by itself. A server that is away is no
    error and is not waited for.

    Args:
        path: The database file, made if it is not there. ``":memory:"`` keeps nothing on disk, which makes
            sense for tests and with a server.
        tables: The tables to keep: TinyBase's schema, models (a dataclass, a TypedDict, a pydantic model or a
            msgspec Struct) by table id, or only the ids. With schemas the store takes no other tables;
            without, other tables stay in memory, and a warning is logged. None for the tables in the schema
            of ``store``.
        values: The values to keep: True for all, False for none, their ids, their schema or a model.
        server: The address of a room, as ``ws://localhost:8040/my-room``; or several, of the same room at
            several servers, of which the next is tried when one is away.
        token: What the server asks for.
        strict: Have the store raise where it would drop something invalid.
        store: Use this store instead of a new one.
        row_id_column: The column of the database in which row ids are kept.
        on_error: Called with each error of loading or saving that no caller gets.
        migrations: Steps from one version of the program to the next, as for `CrSqliteDatabase`.
        save_interval: Seconds during which changes are collected before they are saved.
        farewell: Seconds that closing gives the last changes to reach a connected server.
        ssl: For ``wss://`` addresses that need more than the system's certificates.

    Returns:
        Something to be used as ``async with replicell.open(...) as app`` or ``app = await
        replicell.open(...)``; nothing is opened before.

    Raises:
        AppOptionsError: options make no sense, or not together.
        SyncError: an address is not one of a room, or several name different rooms.
        ExtensionNotFoundError: (when opened) cr-sqlite is not installed; the message says how to.
        DatabaseError: (when opened) the file cannot be used.

    Example::

        async with replicell.open("todo.db", tables=["todo"], server="ws://localhost:8040/home") as app:
            app.store.set_row("todo", "1", {"text": "Buy milk"})
            await app.flush()  # on this disk
            await app.wait_until_synced(10)  # on the server's
    """
    options = Options(
        path, tables, values, server, token, strict, row_id_column, migrations, save_interval, farewell, ssl
    )
    contents = options.check(store)
    return Opening(options, contents, options.make_store(contents, store), on_error)


async def open_parts(
    options: Options, contents: Contents, store: Store, on_error: ErrorListener | None
) -> App:
    """Open everything; if something fails, close what is open already, last things first."""
    database, sync = options.make_parts()
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(database)
        health = _Health(on_error)
        persister = CrSqlitePersister(
            store, database, contents.config, on_error=health.note, save_interval=options.save_interval
        )
        health.persister = persister
        stack.enter_context(contents.warn_of_others(store, database.path))
        await stack.enter_async_context(persister)
        await persister.start_auto_persisting()
        if sync is not None:
            await stack.enter_async_context(sync)
        return App(store, database, persister, sync, _Parts(stack.pop_all(), health, options.farewell))
    raise AssertionError("the stack suppresses nothing")


class _Health:
    """Remembers what went wrong until it has gone well again."""

    def __init__(self, on_error: ErrorListener | None) -> None:
        self.persister: CrSqlitePersister | None = None
        self._on_error = on_error
        self._problem: Exception | None = None
        self._kind = ""
        self._successes = 0

    @property
    def problem(self) -> Exception | None:
        if self._problem is not None and self._count() > self._successes:
            self._problem = None
        return self._problem

    def note(self, error: Exception) -> None:
        is_loading = self.persister is not None and self.persister.status is Status.LOADING
        self._kind = "loads" if is_loading else "saves"
        self._successes = self._count()
        self._problem = error
        if self._on_error is not None:
            self._on_error(error)

    def _count(self) -> int:
        return self.persister.get_stats()[self._kind] if self.persister is not None else 0


@dataclass(frozen=True, slots=True)
class _Parts:
    stack: contextlib.AsyncExitStack
    health: _Health
    farewell: float

    async def close(self) -> None:
        await self.stack.aclose()
