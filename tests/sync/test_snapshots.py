"""Clients that have nothing yet begin with the room as a file, and then follow."""

from __future__ import annotations

from typing import Any

import pytest

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.changes import read_page
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.sync.actions import SessionOptions
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, eventually, put, rows

ALWAYS = SessionOptions(snapshot_bytes=1, part_bytes=4096)
NEVER = SessionOptions(snapshot_bytes=None)
LOGGED = "begins with a snapshot"


async def fill(db: CrSqliteDatabase, count: int) -> None:
    def write(conn: Any) -> None:
        conn.executemany(
            "INSERT INTO todo(id, text, n) VALUES (?, ?, ?)",
            [(f"row{number:05}", f"text {number}" * 3, number) for number in range(count)],
        )

    await db.write(write)


async def same(first: CrSqliteDatabase, second: CrSqliteDatabase) -> bool:
    def cells(conn: Any) -> list[tuple[object, ...]]:
        changes = read_page(conn, Catalog(), 0, max_changes=100_000, max_bytes=2**30).changes
        return sorted(
            (change.table, change.pk, change.cid, repr(change.val), change.col_version, change.cl)
            for change in changes
        )

    return await first.read(cells) == await second.read(cells)


async def test_a_client_without_anything_begins_with_a_snapshot_and_follows(
    open_server: OpenServer,
    open_database: OpenDatabase,
    open_client: OpenClient,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = await open_server(options=ALWAYS)
    first = await open_database("first")
    await fill(first, 2000)
    await put(first, "gone", "x")
    await first.execute("DELETE FROM todo WHERE id = 'gone'")
    await (await open_client(first, f"{server.url}/room")).wait_until_synced(PATIENCE)
    caplog.set_level("INFO")

    second = await open_database("second", with_table=False)
    client = await open_client(second, f"{server.url}/room", options=ALWAYS)
    await client.wait_until_synced(PATIENCE)

    assert LOGGED in caplog.text
    assert await same(first, second)
    await put(second, "row00001", "edited")
    await client.wait_until_synced(PATIENCE)
    await put(first, "later", "followed")
    await eventually(second, lambda: same(first, second))
    assert (await rows(second))["later"] == "followed"
    assert (await rows(first))["row00001"] == "edited"
