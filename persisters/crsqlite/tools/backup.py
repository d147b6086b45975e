"""A consistent copy of a database file while others use it."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

import apsw

from replicell.persisters.counting import Report
from replicell.persisters.crsqlite.identity import reidentify
from replicell.persisters.crsqlite.tools.files import is_replica, reading
from replicell.persisters.errors import DatabaseInputOutputError

__all__ = ["back_up"]

_STEPS_A_REPORT: Final = 10_000
"""Steps of SQLite's machine, about a millisecond's."""


def back_up(
    path: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    keep_identity: bool = False,
    report: Report | None = None,
) -> str | None:
    """Copy a database file as it is at one moment, while any number of programs read and write it.

    The copy is a replica of its own: it has a new site id, its old rows keep their authors, and it may join
    the room of the original. A copy that is to take the original's place, because that is lost, may keep the
    identity; the original must then never be used again.

    Args:
        path: The file.
        target: The copy; it must not exist, and appears only when it is complete.
        keep_identity: Whether the copy keeps the original's site id.
        report: Told how many bytes of the copy are written and to be written, about.

    Returns:
        The copy's site id in hexadecimal digits, None for an ordinary SQLite file.

    Raises:
        DatabaseInputOutputError: the target exists or cannot be written.
        DatabaseError: there is no file to copy, or it is no database.
    """
    final = Path(target)
    if final.exists():
        raise DatabaseInputOutputError(f"{final} exists already: name another file, or move it away.")
    if not final.parent.is_dir():
        raise DatabaseInputOutputError(f"There is no folder {final.parent}: create it first.")
    partial = final.with_name(f".{final.name}.{secrets.token_hex(4)}.partial")
    try:
        with reading(path) as connection:
            was_replica = is_replica(connection)
            # VACUUM reads one state by itself, and refuses to run in a transaction.
            connection.execute("ROLLBACK")
            if report is not None:
                connection.set_progress_handler(_watcher(connection, partial, report), _STEPS_A_REPORT)
            connection.execute("VACUUM INTO ?", (str(partial),))
        if was_replica and not keep_identity:
            reidentify(partial)
        site_id = _site_id(partial) if was_replica else None
        _sync(partial)
        partial.replace(final)
    except BaseException:
        for file in (partial, partial.with_name(partial.name + "-journal")):
            with contextlib.suppress(OSError):
                file.unlink()
        raise
    return site_id


def _watcher(connection: apsw.Connection, copy: Path, report: Report) -> Callable[[], bool]:
    pages = "SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count"
    total: int = connection.execute(f"{pages}, pragma_page_size").get

    def watch() -> bool:
        with contextlib.suppress(OSError):
            report(copy.stat().st_size, total)
        return False

    return watch


def _site_id(path: Path) -> str:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        site_id: bytes = connection.execute("SELECT site_id FROM crsql_site_id WHERE ordinal = 0").get
        return site_id.hex()
    finally:
        connection.close()


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
