"""Every medium that a store can be kept in, behind one face, for the tests of what all persisters promise."""

from __future__ import annotations

import asyncio
import fcntl
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import apsw

from replicell.persisters import (
    CrSqliteDatabase,
    Persister,
    SqliteDatabase,
    create_crsqlite_json_persister,
    create_crsqlite_persister,
    create_custom_sqlite_persister,
    create_json_file_persister,
    create_sqlite_persister,
)
from replicell.persisters.remote import create_remote_persister
from replicell.store import Store
from tests.persisters.document_server import DocumentServer

TABULAR: dict[str, Any] = {
    "mode": "tabular",
    "tables": {
        "load": {"todo": {"tableId": "todo", "rowIdColumnName": "id"}, "pets": "pets"},
        "save": {"todo": {"tableName": "todo", "rowIdColumnName": "id"}, "pets": "pets"},
    },
    "values": {"load": True, "save": True, "tableName": "settings"},
}
JSON: dict[str, Any] = {"mode": "json", "storeTableName": "stores"}
LOCK_SECONDS = 0.01


class Medium(ABC):
    """One medium, which several programs open, each with a connection of its own.

    Args:
        folder: Where it may put files.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "medium"

    def close(self) -> None:
        """Let go of what all programs shared."""
        return

    @asynccontextmanager
    async def open(self, store: Store, **options: Any) -> AsyncIterator[Persister]:
        """A persister of a program of its own."""
        options = {"retry_delay": 0.002, "max_retry_delay": 0.05, **options}
        async with AsyncExitStack() as stack:
            yield await self.persister(store, stack, options)

    @abstractmethod
    async def persister(self, store: Store, stack: AsyncExitStack, options: dict[str, Any]) -> Persister:
        """Make the persister, and leave what is to be closed on the stack."""

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody can write meanwhile."""
        connection = apsw.Connection(str(self.file))
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield
            connection.execute("ROLLBACK")
        finally:
            connection.close()


class CrSqliteTabular(Medium):
    async def persister(self, store: Store, stack: AsyncExitStack, options: dict[str, Any]) -> Persister:
        database = await stack.enter_async_context(CrSqliteDatabase(self.file, busy_timeout=LOCK_SECONDS))
        return create_crsqlite_persister(store, database, TABULAR, **options)


class CrSqliteJson(Medium):
    async def persister(self, store: Store, stack: AsyncExitStack, options: dict[str, Any]) -> Persister:
        database = await stack.enter_async_context(CrSqliteDatabase(self.file, busy_timeout=LOCK_SECONDS))
        return create_crsqlite_json_persister(store, database, JSON, **options)


class SqliteTabular(Medium):
    config: Any = TABULAR

    async def persister(self, store: Store, stack: AsyncExitStack, options: dict[str, Any]) -> Persister:
        database = await stack.enter_async_context(SqliteDatabase(self.file, busy_timeout=LOCK_SECONDS))
        return create_sqlite_persister(store, database, self.config, **options)


class SqliteJson(SqliteTabular):
    config = JSON


class CustomTabular(Medium):
    """The program's own connection, used on the loop's thread."""

    config: Any = TABULAR

    async def persister(self, store: Store, stack: AsyncExitStack, options: dict[str, Any]) -> Persister:
        connection = apsw.Connection(str(self.file))
        stack.callback(connection.close)
        connection.execute("PRAGMA journal_mode = WAL")
        return await stack.enter_async_context(
            create_custom_sqlite_persister(store, self.config, self.execute_with(connection), **options)
        )

    def execute_with(self, connection: apsw.Connection) -> Any:
        return connection.execute


class CustomJson(CustomTabular):
    config = JSON


class CustomAsyncTabular(CustomTabular):
    """The same with a function to await, whose rows are mappings."""

    def execute_with(self, connection: apsw.Connection) -> Any:
        async def execute(sql: str, bindings: Sequence[Any]) -> list[dict[str, Any]]:
            await asyncio.sleep(0)
            cursor = connection.execute(sql, bindings)
            return [{str(place): value for place, value in enumerate(row)} for row in cursor]

        return execute


class JsonFile(Medium):
    async def persister(self, store: Store, stack: AsyncExitStack, options: dict[str, Any]) -> Persister:
        persister = create_json_file_persister(
            store, self.file, poll_interval=0.005, lock_timeout=LOCK_SECONDS, **options
        )
        return await stack.enter_async_context(persister)

    @contextmanager
    def locked(self) -> Iterator[None]:
        handle = os.open(self.file.parent, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


class Remote(Medium):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._server = DocumentServer(self.file)

    def close(self) -> None:
        self._server.close()

    async def persister(self, store: Store, stack: AsyncExitStack, options: dict[str, Any]) -> Persister:
        persister = create_remote_persister(store, self._server.url, poll_interval=0.005, **options)
        return await stack.enter_async_context(persister)

    @contextmanager
    def locked(self) -> Iterator[None]:
        with self._server.failing(HTTPStatus.LOCKED, to_write_only=True):
            yield


MEDIA: dict[str, type[Medium]] = {
    "cr-sqlite tabular": CrSqliteTabular,
    "cr-sqlite json": CrSqliteJson,
    "sqlite tabular": SqliteTabular,
    "sqlite json": SqliteJson,
    "custom tabular": CustomTabular,
    "custom json": CustomJson,
    "custom async tabular": CustomAsyncTabular,
    "json file": JsonFile,
    "web address": Remote,
}
