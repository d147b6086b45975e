"""What incoming changes may make of a room: how big its values and its database may become."""

from __future__ import annotations

from typing import Final

import apsw

from replicell.persisters.crsqlite.changes import ROW, Change, change_size
from replicell.persisters.crsqlite.rules import Refusal
from replicell.sync.limits import Limits

__all__ = ["used_bytes", "within_limits"]

_SPARE_FOR_DELETIONS: Final = 0.1
"""How much beyond its limit, as a part of it, a room takes deletions: they too need some room at first."""


def within_limits(
    conn: apsw.Connection, changes: list[Change], limits: Limits
) -> tuple[list[Change], list[Refusal]]:
    """Sort out what is too big, or would make the database too big; deletions are taken for longer.

    Args:
        conn: The database, in a write transaction.
        changes: What came.
        limits: How big values and the database may be.

    Returns:
        What may be taken, and what may not.
    """
    refused: list[Refusal] = []
    biggest, room_bytes = limits.value_bytes, limits.room_bytes
    if biggest is not None:
        too_big = [change for change in changes if _value_bytes(change) > biggest]
        if too_big:
            changes = [change for change in changes if _value_bytes(change) <= biggest]
            refused += _refused(too_big, f"its value is bigger than the {biggest} bytes that are taken here")
    if room_bytes is not None:
        size = used_bytes(conn) + sum(map(change_size, changes))
        if size > room_bytes:
            deletions_fit = size <= room_bytes * (1 + _SPARE_FOR_DELETIONS)
            kept = list(filter(_is_deletion, changes)) if deletions_fit else []
            known = set(map(id, kept))
            over = [change for change in changes if id(change) not in known]
            refused += _refused(over, f"the room is full: its database may have {room_bytes} bytes")
            changes = kept
    return changes, refused


def used_bytes(conn: apsw.Connection) -> int:
    """Return how much of a database's file is in use."""
    pages, free, size = (
        int(str(conn.execute(f"PRAGMA {name}").get)) for name in ("page_count", "freelist_count", "page_size")
    )
    return (pages - free) * size


def _refused(changes: list[Change], reason: str) -> list[Refusal]:
    return [Refusal(change, "limit", reason) for change in changes]


def _value_bytes(change: Change) -> int:
    val = change.val
    if isinstance(val, str):
        return len(val) if val.isascii() else len(val.encode(errors="surrogatepass"))
    return len(val) if isinstance(val, bytes) else 0


def _is_deletion(change: Change) -> bool:
    return change.cid == ROW and not change.cl & 1
