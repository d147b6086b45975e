"""The files of a server's rooms, without the server: looking at them, and backing them up and restoring them.

All of it may be done while a server runs. A backup is one state of a room, and the very same room: restored,
it goes on under the same site id, and the epoch that begins with its next opening tells clients that have
seen more that it is an older state; they bring what is missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote as quote_path

import apsw

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.identifiers import quote
from replicell.persisters.crsqlite.identity import reidentify
from replicell.sync.access import room_file_name, room_name, room_of_file
from replicell.sync.errors import SyncError

__all__ = ["RoomFile", "RoomFileError", "back_up", "describe_room", "list_rooms", "restore"]

_BUSY_MILLISECONDS: Final = 5000


class RoomFileError(SyncError):
    """A room's file that is not there, is none, or cannot be had now."""


@dataclass(frozen=True, slots=True)
class RoomFile:
    """What a room's file holds.

    Args:
        name: The room's name.
        size: Bytes, with the write-ahead log.
        tables: How many replicated tables there are.
        rows: How many rows they have.
        version: The latest version.
        clients: How many clients have ever pushed changes.
        parked: How many changes wait for their table or column.
    """

    name: str
    size: int
    tables: int
    rows: int
    version: int
    clients: int
    parked: int


def list_rooms(folder: Path) -> list[str]:
    """Return the names of the rooms that have a file, in order.

    Raises:
        RoomFileError: There is no such folder.
    """
    try:
        names = [room_of_file(path.name) for path in folder.iterdir()]
    except OSError as error:
        raise RoomFileError(
            f"the rooms in {folder} cannot be listed: {error.strerror}; name the server's folder of rooms"
        ) from error
    return sorted(name for name in names if name is not None)


def describe_room(folder: Path, name: str) -> RoomFile:
    """Look into a room's file.

    Raises:
        RoomFileError: It is not there, or is no room's.
    """
    path = _path_of(folder, name)
    with _reading(path) as conn:
        conn.execute("BEGIN")
        catalog = Catalog()
        tables = catalog.tables(conn)
        rows = sum(_count(conn, table) for table in tables)
        size = sum(part.stat().st_size for part in (path, _log_of(path)) if part.exists())
        return RoomFile(
            name,
            size,
            len(tables),
            rows,
            catalog.latest_version(conn),
            _count(conn, "replicell_peers"),
            _count(conn, "replicell_parked"),
        )


def back_up(folder: Path, name: str, target: Path) -> Path:
    """Write one state of a room to a file, whole or not at all.

    Args:
        folder: The rooms' folder.
        name: The room's name.
        target: The folder of the backups; an older backup of the room there is replaced.

    Returns:
        The file.

    Raises:
        RoomFileError: There is no such room, or the backup cannot be written.
    """
    path = _path_of(folder, name)
    backup = target / path.name
    try:
        target.mkdir(parents=True, exist_ok=True)
        unfinished = backup.with_name(f"{backup.name}.{os.getpid()}.unfinished")
        unfinished.unlink(missing_ok=True)
        try:
            with _reading(path) as conn:
                conn.execute("VACUUM INTO ?", (str(unfinished),))
            _replace(unfinished, backup)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise RoomFileError(f"the backup {backup} cannot be written: {error.strerror}") from error
    return backup


def restore(folder: Path, name: str, backup: Path, *, replace: bool = False, as_copy: bool = False) -> Path:
    """Make a room what it was when it was backed up.

    Args:
        folder: The rooms' folder.
        name: The room's name.
        backup: The file that `back_up` has written, or any copy of a room's file.
        replace: Whether a room of that name may be overwritten.
        as_copy: Whether it is to be a room of its own beside the one that was backed up: it gets a new site
            id then.

    Returns:
        The room's file.

    Raises:
        RoomNameError: No room can be called so.
        RoomFileError: The backup is none, or the room is there and may not be replaced, or it is open.
    """
    path = folder / room_file_name(room_name("/" + quote_path(name)))
    if not backup.is_file():
        raise RoomFileError(
            f"there is no backup {backup}: name a file that `replicell server backup` has made"
        )
    if path.exists() and not replace:
        raise RoomFileError(f"there is a room {name!r} already: say --replace to overwrite it")
    fresh = path.with_name(f"{path.name}.{os.getpid()}.restored")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fresh.unlink(missing_ok=True)
        with _reading(backup) as conn:
            if conn.execute("PRAGMA integrity_check").get != "ok":
                raise RoomFileError(f"the backup {backup} is damaged: take another one")
            conn.execute("VACUUM INTO ?", (str(fresh),))
        if as_copy:
            reidentify(fresh)
        if not path.exists():
            _put_in_place(fresh, path)
        else:
            _overwrite(path, fresh, name)
    except OSError as error:
        raise RoomFileError(f"the room {name!r} cannot be restored: {error.strerror}") from error
    finally:
        fresh.unlink(missing_ok=True)
    return path


def _overwrite(path: Path, fresh: Path, name: str) -> None:
    """Put a database's content in the place of another's, which nobody may have open."""
    try:
        with _connection(path, apsw.SQLITE_OPEN_READWRITE) as room:
            # Only who is alone with a file can take it out of the mode in which a server has it; and stays
            # alone with it until it is closed, so that no server comes in between.
            room.set_busy_timeout(0)
            room.execute("PRAGMA locking_mode = EXCLUSIVE").fetchall()
            room.execute("PRAGMA journal_mode = DELETE").fetchall()
            with (
                _connection(fresh, apsw.SQLITE_OPEN_READONLY) as source,
                room.backup("main", source, "main") as copying,
            ):
                copying.step(-1)
    except (apsw.BusyError, apsw.LockedError):
        raise RoomFileError(
            f"the room {name!r} is open: stop the server, or wait until the room is unloaded"
        ) from None
    except (apsw.NotADBError, apsw.CorruptError):
        # Nobody has this open, for it cannot be opened.
        _put_in_place(fresh, path)


def _put_in_place(fresh: Path, path: Path) -> None:
    # A log that another database has left would be taken for this one's.
    for part in (_log_of(path), path.with_name(path.name + "-shm")):
        part.unlink(missing_ok=True)
    _replace(fresh, path)


def _replace(source: Path, target: Path) -> None:
    """Move a file to its place once it is on the disk."""
    with open(source, "rb") as file:
        os.fsync(file.fileno())
    source.replace(target)


def _path_of(folder: Path, name: str) -> Path:
    path = folder / room_file_name(name)
    if not path.is_file():
        raise RoomFileError(f"there is no room {name!r} in {folder}")
    return path


def _log_of(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


@contextmanager
def _connection(path: Path, flags: int) -> Iterator[apsw.Connection]:
    conn = apsw.Connection(str(path), flags=flags)
    try:
        conn.set_busy_timeout(_BUSY_MILLISECONDS)
        yield conn
    finally:
        conn.close()


@contextmanager
def _reading(path: Path) -> Iterator[apsw.Connection]:
    """A connection that reads a replica's file.

    Raises:
        RoomFileError: It is none, or it cannot be read.
    """
    try:
        with _connection(path, apsw.SQLITE_OPEN_READONLY) as conn:
            if not conn.execute(
                "SELECT count(*) FROM sqlite_master WHERE name = 'crsql_site_id' AND type = 'table'"
            ).get:
                raise RoomFileError(f"{path} is no room's database")
            yield conn
    except apsw.Error as error:
        raise RoomFileError(f"{path} cannot be read: {error}") from error


def _count(conn: apsw.Connection, table: str) -> int:
    there = conn.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", (table,)).get
    count: Any = conn.execute(f"SELECT count(*) FROM {quote(table)}").get if there else 0
    return int(count)
