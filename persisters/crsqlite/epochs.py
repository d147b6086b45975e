"""Epochs: the incarnations of a database file, which tell a cursor that still holds from one that does not.

A cursor says "I have everything of yours up to version n". That is only true of the very history it was taken
from: after a backup was restored, or a file was copied and both copies went on, the same version number means
different rows. So each opening of a file appends an epoch (a random id and the version at which it starts), a
cursor names the epoch in which it was taken, and the owner of the history can tell whether that is still its
own past::

    epochs of the file    e1 (0) ── e2 (40) ── e3 (55) ──►
    cursor (e2, 50)       known: e2 ended at 55
    cursor (e2, 60)       not known: a copy of this file went further in e2
    cursor (e9, 10)       not known: e9 belongs to another copy's life
"""

from __future__ import annotations

import os
from typing import Any

import apsw
import msgspec

from replicell.persisters.crsqlite.versions import latest_version

__all__ = ["EPOCH_BYTES", "Cursor", "begin_epoch", "current_epoch", "is_known", "recent_epochs"]

EPOCH_BYTES = 16


class Cursor(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """How far someone has the changes of a database: everything up to a version, as seen in an epoch.

    Args:
        site_id: The database's cr-sqlite site id, 16 bytes.
        epoch: The id of the epoch in which the version was seen, 16 bytes.
        version: The last db_version that is fully known; 0 for none.
        begun: A later version of which a part is known, because it was too big to be taken at once; 0 for
            none.
    """

    site_id: bytes
    epoch: bytes
    version: int
    begun: int = 0


def begin_epoch(conn: apsw.Connection) -> bytes:
    """Append a new epoch, which starts after the latest version on disk.

    To be called once for each opening of the file, inside a write transaction.

    Returns:
        The new epoch's id.
    """
    conn.execute(
        "CREATE TABLE IF NOT EXISTS replicell_epochs("
        "position INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, start INTEGER NOT NULL)"
    )
    epoch = os.urandom(EPOCH_BYTES)
    conn.execute("INSERT INTO replicell_epochs(id, start) VALUES (?, ?)", (epoch, latest_version(conn)))
    return epoch


def current_epoch(conn: apsw.Connection) -> bytes:
    """Return the newest epoch of the file; read it in the same transaction as the rows it is said of.

    Another process may have opened the file after this one did, so this is a matter of the file, not of the
    connection.

    Raises:
        LookupError: The file has no epoch, because `begin_epoch` was never called on it.
    """
    epoch = conn.execute("SELECT id FROM replicell_epochs ORDER BY position DESC LIMIT 1").get
    if not isinstance(epoch, bytes):
        raise LookupError("the database has no epoch yet: open it with CrSqliteDatabase, which begins one")
    return epoch


def recent_epochs(conn: apsw.Connection, limit: int) -> list[tuple[bytes, int]]:
    """Return the newest epochs of the file, the present one first, each with the last version in it."""
    newest: Any = conn.execute(
        "SELECT id, start FROM replicell_epochs ORDER BY position DESC LIMIT ?", (limit,)
    )
    epochs: list[tuple[bytes, int]] = []
    end = latest_version(conn)
    for epoch, start in newest:
        epochs.append((epoch, end))
        end = start
    return epochs


def is_known(conn: apsw.Connection, cursor: Cursor) -> bool:
    """Tell whether a cursor that someone holds lies in this file's own past.

    Args:
        conn: The database whose history the cursor is about.
        cursor: The other side's claim; its site id is not looked at.

    Returns:
        True if the epoch is one of this file's and had reached the version before it ended.
    """
    position = conn.execute("SELECT position FROM replicell_epochs WHERE id = ?", (cursor.epoch,)).get
    if position is None:
        return False
    next_start = conn.execute(
        "SELECT start FROM replicell_epochs WHERE position > ? ORDER BY position LIMIT 1", (position,)
    ).get
    end = latest_version(conn) if next_start is None else next_start
    return isinstance(end, int) and 0 <= cursor.version <= end and cursor.begun <= end
