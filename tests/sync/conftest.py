"""Servers, databases and clients for the tests with real sockets and files."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.schema import create_table
from replicell.sync.backoff import Backoff
from replicell.sync.client import SyncClient
from replicell.sync.server import SyncServer
from tests.sync.support import TODO

QUICK = Backoff(initial=0.01, maximum=0.1, refused=30.0)

OpenDatabase: TypeAlias = Callable[..., Awaitable[CrSqliteDatabase]]
OpenClient: TypeAlias = Callable[..., Awaitable[SyncClient]]
OpenServer: TypeAlias = Callable[..., Awaitable[SyncServer]]


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as opened:
        yield opened


@pytest.fixture
def open_server(stack: AsyncExitStack, tmp_path: Path) -> OpenServer:
    """Start a server on a free port; it is closed at the end."""

    async def start(**options: Any) -> SyncServer:
        options = {"data_dir": tmp_path / "rooms", "port": 0, **options}
        return await stack.enter_async_context(SyncServer(**options))

    return start


@pytest.fixture
def open_database(stack: AsyncExitStack, tmp_path: Path) -> OpenDatabase:
    """Open a database file by name, with the todo table unless told otherwise."""

    async def opened(name: str, *, with_table: bool = True) -> CrSqliteDatabase:
        db = await stack.enter_async_context(CrSqliteDatabase(tmp_path / f"{name}.db"))
        if with_table:
            await db.run(create_table, TODO)
        return db

    return opened


@pytest.fixture
def open_client(stack: AsyncExitStack) -> OpenClient:
    """Start a client that comes back quickly."""

    async def start(db: CrSqliteDatabase, url: str, **options: Any) -> SyncClient:
        return await stack.enter_async_context(SyncClient(db, url, **{"backoff": QUICK, **options}))

    return start
