"""A snapshot that does not fit, mostly because a table has come meanwhile: tried once more, or done
without."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from replicell.persisters.crsqlite.connection import close_connection, open_connection
from replicell.persisters.crsqlite.copies import BadCopyError, write_copy
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.epochs import Cursor
from replicell.persisters.crsqlite.schema import TableSchema, create_table
from replicell.sync.status import SyncStatus
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, rows
from tests.sync.test_snapshots import ALWAYS, begins, files_beside, first_of, same

Copy: TypeAlias = Callable[[str | os.PathLike[str], str | os.PathLike[str]], Cursor]


@pytest.fixture
def table_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another program makes a table just before the room is copied, and a client was told which there are."""

    def write(source: str | os.PathLike[str], target: str | os.PathLike[str]) -> Cursor:
        conn = open_connection(source)
        try:
            create_table(conn, TableSchema("tag", ("id",), ("name",)))
            conn.execute("INSERT INTO tag(id, name) VALUES ('1', 'urgent') ON CONFLICT DO NOTHING")
        finally:
            close_connection(conn)
        return write_copy(source, target)

    monkeypatch.setattr("replicell.sync.snapshot_shelf.write_copy", write)


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.usefixtures("table_comes")
async def test_a_table_that_comes_while_a_snapshot_is_made_is_asked_for_and_the_snapshot_taken(
    open_server: OpenServer,
    open_database: OpenDatabase,
    open_client: OpenClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    server = await open_server(options=ALWAYS)
    first = await first_of(f"{server.url}/room", open_database, open_client, 100)
    second = await open_database("second")

    sync = await open_client(second, f"{server.url}/room")
    await sync.wait_until_synced(PATIENCE)

    assert begins(caplog) == 1
    assert await second.execute("SELECT id, name FROM tag") == [("1", "urgent")]
    assert await rows(second) == await rows(first)
    assert files_beside(second) == []
    assert complaints(caplog) == []


@pytest.mark.usefixtures("table_comes")
async def test_who_takes_no_tables_over_gets_the_changes_in_place_of_a_snapshot_that_does_not_fit(
    open_server: OpenServer,
    open_database: OpenDatabase,
    open_client: OpenClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    server = await open_server(options=ALWAYS)
    first = await first_of(f"{server.url}/room", open_database, open_client, 100)
    second = await open_database("second")

    sync = await open_client(second, f"{server.url}/room", schema_policy="strict")
    await sync.wait_until_synced(PATIENCE)

    assert begins(caplog) == 0
    assert await rows(second) == await rows(first)
    assert files_beside(second) == []
    assert "does not fit yet" in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_a_snapshot_that_never_fits_is_done_without_and_not_left_on_the_disk(
    open_server: OpenServer,
    open_database: OpenDatabase,
    open_client: OpenClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    tried: list[str] = []

    async def refuse(_: CrSqliteDatabase, copy: str, *__: object, **___: Any) -> bool:
        tried.append(Path(copy).name)
        raise BadCopyError("the copy is damaged")

    monkeypatch.setattr(CrSqliteDatabase, "adopt_copy", refuse)
    server = await open_server(options=ALWAYS)
    first = await first_of(f"{server.url}/room", open_database, open_client, 100)
    second = await open_database("second")

    sync = await open_client(second, f"{server.url}/room")
    await sync.wait_until_synced(PATIENCE)

    assert sync.status is SyncStatus.SYNCED
    assert await same(first, second)
    assert len(tried) == 2
    assert tried[0] == tried[1]
    assert files_beside(second) == []
    (complaint,) = complaints(caplog)
    assert "cannot be used, so its changes are fetched: the copy is damaged" in complaint
