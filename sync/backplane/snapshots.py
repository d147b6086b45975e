"""Snapshots: a room's whole database in place of the entries that have made it.

A snapshot is the file itself, so a node that has none is there as fast as the file can be copied. It is kept
beside the log and replicated like it, not asked from a peer: the nodes that have the room may all be away,
and entries may only be dropped when what was in them is as safe as they were.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import apsw

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.changes import Change, read_page
from replicell.persisters.crsqlite.connection import close_connection, open_connection
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.identity import reidentify
from replicell.sync.announcements import announce
from replicell.sync.backplane import translation
from replicell.sync.backplane.interface import RoomLog
from replicell.sync.ledger import LOG_SITE_ID
from replicell.sync.messages import TableAnnouncement

__all__ = ["Snapshot", "bootstrap", "read_snapshot", "save_snapshot"]

_in_use: Final[set[str]] = set()
"""The names of the files that are being written or read now."""


class Snapshot(NamedTuple):
    """What is in a snapshot.

    Args:
        position: The sequence of the log up to which it has everything.
        tables: Its tables.
        rows: Its changes that the log had.
        unlogged: Those that came into the file before they were in the log, and those that the reader should
            have from the log already: if it has not, then others may lack them as well.
        parts: Pieces of publications that had not come whole, rows of the journal.
    """

    position: int
    tables: list[TableAnnouncement]
    rows: list[Change]
    unlogged: list[Change]
    parts: list[tuple[Any, ...]]


async def save_snapshot(log: RoomLog, db: CrSqliteDatabase) -> bool:
    """Keep a snapshot of a room as it is now; False if a newer one is kept already."""
    async with _file_beside(Path(db.path)) as path:
        position = await asyncio.to_thread(_copy, db.path, path)
        return await log.save_snapshot(path, position)


async def bootstrap(log: RoomLog, path: Path, patience: float) -> bool:
    """Begin a room's file with the newest snapshot; False if there is none.

    Args:
        log: The room's log.
        path: Where the file is to be; it is not there yet.
        patience: For how many seconds nothing of it may come; all of it may take as long as it takes.

    Raises:
        TimeoutError: Nothing has come for so long.
        BackplaneError: It cannot be had.
        NotAReplicaError, apsw.Error: It is no room's database.
        OSError: It cannot be written.
    """
    loop = asyncio.get_running_loop()
    async with _file_beside(path) as fresh:
        async with asyncio.timeout(patience) as limit:

            def wait_for_more() -> None:
                if not limit.expired():
                    limit.reschedule(loop.time() + patience)

            if await log.load_snapshot(fresh, wait_for_more) is None:
                return False
        # Another node's file: two may not go on under one site id.
        await asyncio.to_thread(reidentify, fresh)
        fresh.rename(path)
    return True


async def read_snapshot(log: RoomLog, db: CrSqliteDatabase, reached: int) -> Snapshot | None:
    """Read the newest snapshot, to be merged into a database that is there already; None for none.

    Args:
        log: The room's log.
        db: The room's database, beside which there is place for another one.
        reached: The sequence up to which that database has the log.
    """
    async with _file_beside(Path(db.path)) as path:
        position = await log.load_snapshot(path)
        return None if position is None else await asyncio.to_thread(_read, path, position, reached)


@asynccontextmanager
async def _file_beside(database: Path) -> AsyncIterator[Path]:
    """Give the name of a file on the room's disk, for the system's folder of such files often is memory.

    It is removed in the end, and those that a killed node has left are before.
    """
    path = database.with_name(f"{_prefix(database)}{os.urandom(4).hex()}")
    _in_use.add(path.name)
    try:
        await asyncio.to_thread(_remove_leftovers, database)
        yield path
    finally:
        _in_use.discard(path.name)
        path.unlink(missing_ok=True)


def _prefix(database: Path) -> str:
    return f"{database.name}.snapshot-"


def _remove_leftovers(database: Path) -> None:
    prefix, in_use = _prefix(database), tuple(_in_use)
    for left in database.parent.iterdir():
        if left.name.startswith(prefix) and not left.name.startswith(in_use):
            left.unlink(missing_ok=True)


def _copy(source: str, target: Path) -> int:
    """Copy a database beside its own connection, and return the position that the copy has."""
    conn = apsw.Connection(source, flags=apsw.SQLITE_OPEN_READONLY)
    try:
        conn.set_busy_timeout(5000)
        conn.execute("VACUUM INTO ?", (str(target),))
    finally:
        conn.close()
    copy = apsw.Connection(str(target), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        position = copy.execute("SELECT position FROM replicell_log").get
    finally:
        copy.close()
    return position if isinstance(position, int) else 0


def _read(path: Path, position: int, reached: int) -> Snapshot:
    conn, catalog = open_connection(path), Catalog()
    try:
        known_until = translation.version_at(conn, reached)
        unlogged_cells = {(row.table, row.pk, row.cid) for row in _read_unlogged(conn, catalog)}
        rows: list[Change] = []
        unlogged: list[Change] = []
        for row in _read_all(conn, catalog, 0):
            is_unlogged = row.db_version <= known_until or (row.table, row.pk, row.cid) in unlogged_cells
            (unlogged if is_unlogged else rows).append(row)
        parts: Any = conn.execute("SELECT * FROM replicell_log_parts").fetchall()
        return Snapshot(position, announce(conn, catalog), rows, unlogged, parts)
    finally:
        close_connection(conn)


def _read_unlogged(conn: apsw.Connection, catalog: Catalog) -> Iterator[Change]:
    state: Any = conn.execute("SELECT pushed, push_all_until FROM replicell_log").fetchone()
    pushed, push_all_until = state
    return _read_all(conn, catalog, pushed, exclude=None if pushed < push_all_until else LOG_SITE_ID)


def _read_all(
    conn: apsw.Connection, catalog: Catalog, since: int, exclude: bytes | None = None
) -> Iterator[Change]:
    page = read_page(conn, catalog, since, exclude=exclude)
    yield from page.changes
    while page.resume is not None or page.until < catalog.latest_version(conn):
        since = since if page.resume is not None else page.until
        page = read_page(conn, catalog, since, exclude=exclude, resume=page.resume)
        yield from page.changes
