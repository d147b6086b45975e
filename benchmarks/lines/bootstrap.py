"""What it takes a client that has nothing to have all of a large room: as a file, and change by change."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import apsw

from benchmarks.measure import Figure, speed
from benchmarks.processes import python
from replicell.persisters import CrSqliteDatabase
from replicell.persisters.crsqlite.connection import close_connection, open_connection, transaction
from replicell.persisters.crsqlite.epochs import begin_epoch
from replicell.persisters.crsqlite.schema import TableSchema, create_table
from replicell.sync import SyncClient
from replicell.sync.actions import SessionOptions

__all__ = ["bootstrap_figures"]

SECTION = "Bootstrap"
TABLE = TableSchema("todo", ("id",), ("text", "n", "done"))
ROWS = 333_334
ROWS_A_TRANSACTION = 2000
ROUNDS = 2
PATIENCE = 600.0


def bootstrap_figures() -> Iterator[Figure]:
    """The line of a room of 1,000,000 cells, measured by turns."""
    with tempfile.TemporaryDirectory() as folder:
        rooms = Path(folder) / "rooms"
        rooms.mkdir()
        fill(rooms / "room.db")
        ours: list[float] = []
        theirs: list[float] = []
        for turn in range(ROUNDS):
            ours.append(seconds_until_synced(rooms, Path(folder) / f"file{turn}.db", SessionOptions()))
            without = SessionOptions(snapshot_bytes=None)
            theirs.append(seconds_until_synced(rooms, Path(folder) / f"changes{turn}.db", without))
    yield Figure(
        SECTION,
        "all of a room of 1,000,000 cells, for a client that has nothing",
        statistics.median(ours),
        "the same by its changes",
        statistics.median(theirs),
        speed(5),
        note="until it is synced; making the snapshot is part of it",
    )


def fill(path: Path) -> None:
    conn = open_connection(path)
    try:
        create_table(conn, TABLE)
        with transaction(conn):
            begin_epoch(conn)
        for start in range(0, ROWS, ROWS_A_TRANSACTION):
            with transaction(conn):
                insert(conn, range(start, min(start + ROWS_A_TRANSACTION, ROWS)))
    finally:
        close_connection(conn)


def insert(conn: apsw.Connection, numbers: range) -> None:
    conn.executemany(
        "INSERT INTO todo(id, text, n, done) VALUES (?, ?, ?, ?)",
        [(f"row{number:07}", f"what is to be done {number}", number, number % 2) for number in numbers],
    )


def seconds_until_synced(rooms: Path, path: Path, options: SessionOptions) -> float:
    """Let a new client come to a server that has just been started, and so has no snapshot yet."""
    with python("benchmarks.sync_server", str(rooms)) as server:
        url = f"ws://localhost:{server.receive()['port']}/room"
        return asyncio.run(sync_once(url, path, options))


async def sync_once(url: str, path: Path, options: SessionOptions) -> float:
    async with CrSqliteDatabase(path) as db:
        began = time.perf_counter()
        async with SyncClient(db, url, options=options) as client:
            await client.wait_until_synced(timeout=PATIENCE)
            seconds = time.perf_counter() - began
        ((rows,),) = await db.execute("SELECT count(*) FROM todo")
    if rows != ROWS:
        raise RuntimeError(f"the client has {rows} rows of {ROWS}")
    return seconds
