"""What the two sides remember about each other, in the database itself and in the same transactions as the
rows.

- ``replicell_peers``, at the server: how far it has each client's changes.
- ``replicell_peers_elsewhere``, at a node of a cluster: how far another node has a client's changes, where
  this one has all of them too.
- ``replicell_servers``, at the client: how far it has each server's changes, and up to where it must push
  everything anew.
- ``replicell_parked``, at both: changes of tables or columns that are not known yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import apsw

from replicell.persisters.crsqlite.changes import Change
from replicell.persisters.crsqlite.epochs import Cursor

__all__ = [
    "LOG_SITE_ID",
    "MAX_PARKED",
    "ParkedChange",
    "ServerRecord",
    "count_parked",
    "create_ledger",
    "meet_server",
    "own_peer_cursor",
    "park",
    "peer_cursor",
    "restart_peer",
    "server_cursors",
    "server_record",
    "store_elsewhere",
    "store_peer",
    "store_server",
    "take_parked",
]

LOG_SITE_ID: Final = b"replicell.stream"
"""The site id under which all that came from other nodes stands in a room's database; 16 bytes like any."""

MAX_PARKED: Final = 100_000
"""How many changes are kept for tables and columns that may never come, so that nobody can fill the disk
with them."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS replicell_peers(
    site_id BLOB PRIMARY KEY NOT NULL, epoch BLOB NOT NULL, version INTEGER NOT NULL, begun INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS replicell_peers_elsewhere(
    site_id BLOB PRIMARY KEY NOT NULL, epoch BLOB NOT NULL, version INTEGER NOT NULL, begun INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS replicell_servers(
    site_id BLOB PRIMARY KEY NOT NULL, epoch BLOB NOT NULL, version INTEGER NOT NULL, begun INTEGER NOT NULL,
    push_all_until INTEGER NOT NULL, met INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS replicell_parked(
    position INTEGER PRIMARY KEY AUTOINCREMENT, site_id BLOB NOT NULL, tbl TEXT NOT NULL, pk BLOB NOT NULL,
    cid TEXT NOT NULL, val, col_version INTEGER NOT NULL, cl INTEGER NOT NULL, seq INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS replicell_parked_cell ON replicell_parked(tbl, pk, cid);
"""

_THIS_CELL: Final = "tbl = ? AND pk = ? AND cid = ? AND site_id = ?"
_IS_OVERRULED: Final = (
    f"SELECT EXISTS(SELECT 1 FROM replicell_parked WHERE {_THIS_CELL}"
    " AND ((cl, col_version) > (?, ?) OR ((cl, col_version) = (?, ?) AND val IS ?)))"
)
_DROP_OVERRULED: Final = f"DELETE FROM replicell_parked WHERE {_THIS_CELL} AND (cl, col_version) < (?, ?)"
_PARK: Final = (
    "INSERT INTO replicell_parked(tbl, pk, cid, site_id, cl, col_version, val, seq)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


class ServerRecord(NamedTuple):
    """What a client remembers of a server.

    Args:
        cursor: How far it has the server's changes.
        push_all_until: The client's version up to which everything, whoever wrote it, must be pushed again; 0
            for none.
    """

    cursor: Cursor
    push_all_until: int


class ParkedChange(NamedTuple):
    """A change that waits for its table or column.

    Args:
        position: Its place in the ledger.
        site_id: The neighbour it came from.
        change: The change.
    """

    position: int
    site_id: bytes
    change: Change


def create_ledger(conn: apsw.Connection) -> None:
    """Create the tables where they are missing; in a write transaction."""
    conn.execute(_TABLES)


def peer_cursor(conn: apsw.Connection, site_id: bytes) -> Cursor | None:
    """Return how far this server has a client's changes, None for a client it has never met.

    What another node has said spares the client what it has brought there. But only of the same epoch: where
    they differ, what was noted here counts, so that a copy of the client's file is found out. What came from
    the client itself is not sent to it again, and a copy of its file may lack that; what came from other
    nodes is sent to whoever lacks it.
    """
    own = own_peer_cursor(conn, site_id)
    row: Any = conn.execute(
        "SELECT epoch, version, begun FROM replicell_peers_elsewhere WHERE site_id = ?", (site_id,)
    ).fetchone()
    if row is None:
        return own
    elsewhere = Cursor(site_id, *row)
    if own is None:
        return elsewhere
    if own.epoch != elsewhere.epoch:
        return own
    version, begun = max(own.version, elsewhere.version), max(own.begun, elsewhere.begun)
    return Cursor(site_id, own.epoch, version, begun)


def own_peer_cursor(conn: apsw.Connection, site_id: bytes) -> Cursor | None:
    """Return how far this server has a client's changes from the client itself, None if it never came."""
    row: Any = conn.execute(
        "SELECT epoch, version, begun FROM replicell_peers WHERE site_id = ?", (site_id,)
    ).fetchone()
    return None if row is None else Cursor(site_id, *row)


def store_peer(conn: apsw.Connection, cursor: Cursor) -> None:
    """Remember how far this server has a client's changes; a version never goes back."""
    conn.execute(
        "INSERT INTO replicell_peers(site_id, epoch, version, begun) VALUES (?, ?, ?, ?)"
        " ON CONFLICT(site_id) DO UPDATE SET epoch = excluded.epoch,"
        " version = max(version, excluded.version), begun = max(begun, excluded.begun)"
        " WHERE epoch IS NOT excluded.epoch OR version < excluded.version OR begun < excluded.begun",
        (cursor.site_id, cursor.epoch, cursor.version, cursor.begun),
    )


def store_elsewhere(conn: apsw.Connection, cursor: Cursor) -> None:
    """Remember how far a client's changes are here by way of another node."""
    conn.execute(
        "INSERT OR REPLACE INTO replicell_peers_elsewhere(site_id, epoch, version, begun)"
        " VALUES (?, ?, ?, ?)",
        (cursor.site_id, cursor.epoch, cursor.version, cursor.begun),
    )


def restart_peer(conn: apsw.Connection, cursor: Cursor) -> None:
    """Remember anew how far this server has a client's changes, when the client has found that to be right.

    What was known before may be of a copy's history: of two histories the greater version must not win.
    """
    conn.execute("DELETE FROM replicell_peers_elsewhere WHERE site_id = ?", (cursor.site_id,))
    conn.execute(
        "INSERT OR REPLACE INTO replicell_peers(site_id, epoch, version, begun) VALUES (?, ?, ?, ?)",
        (cursor.site_id, cursor.epoch, cursor.version, cursor.begun),
    )


def server_cursors(conn: apsw.Connection, limit: int) -> list[Cursor]:
    """Return how far this client has the servers it met last, the latest first."""
    rows: Any = conn.execute(
        "SELECT site_id, epoch, version, begun FROM replicell_servers ORDER BY met DESC LIMIT ?", (limit,)
    )
    return [Cursor(*row) for row in rows]


def server_record(conn: apsw.Connection, site_id: bytes) -> ServerRecord | None:
    """Return what this client remembers of a server, None for one it has never met."""
    row: Any = conn.execute(
        "SELECT epoch, version, begun, push_all_until FROM replicell_servers WHERE site_id = ?", (site_id,)
    ).fetchone()
    return None if row is None else ServerRecord(Cursor(site_id, *row[:3]), row[3])


def meet_server(conn: apsw.Connection, cursor: Cursor, push_all_until: int) -> None:
    """Remember a server anew, from the given cursor on: it was never met, or it has lost its past."""
    conn.execute(
        "INSERT OR REPLACE INTO replicell_servers(site_id, epoch, version, begun, push_all_until, met)"
        " VALUES (?, ?, ?, ?, ?, (SELECT coalesce(max(met), 0) + 1 FROM replicell_servers))",
        (cursor.site_id, cursor.epoch, cursor.version, cursor.begun, push_all_until),
    )


def store_server(conn: apsw.Connection, cursor: Cursor) -> None:
    """Remember how far this client has a server's changes, once it is met; a version never goes back."""
    conn.execute(
        "UPDATE replicell_servers SET epoch = ?, version = max(version, ?), begun = max(begun, ?)"
        " WHERE site_id = ?",
        (cursor.epoch, cursor.version, cursor.begun, cursor.site_id),
    )


def park(conn: apsw.Connection, site_id: bytes, changes: Iterable[Change]) -> int:
    """Keep changes until their table or column is there; what a newer one of the same cell and side overrules
    is dropped.

    Returns:
        How many could not be kept because the ledger is full.
    """
    room = MAX_PARKED - count_parked(conn)
    turned_away = 0
    for change in changes:
        cell = (change.table, change.pk, change.cid, site_id)
        age = (change.cl, change.col_version)
        # Of two with equal counters the value decides, in an order of cr-sqlite's own: both are kept for it.
        if conn.execute(_IS_OVERRULED, (*cell, *age, *age, change.val)).get:
            continue
        conn.execute(_DROP_OVERRULED, (*cell, *age))
        room += conn.changes()
        if room <= 0:
            turned_away += 1
            continue
        conn.execute(_PARK, (*cell, *age, change.val, change.seq))
        room -= 1
    return turned_away


def count_parked(conn: apsw.Connection) -> int:
    """Return how many changes are parked."""
    count = conn.execute("SELECT count(*) FROM replicell_parked").get
    return count if isinstance(count, int) else 0


def take_parked(conn: apsw.Connection, tables: Iterable[tuple[str, Iterable[str]]]) -> list[ParkedChange]:
    """Take the changes out of the ledger that the given tables and columns were missing for.

    Args:
        conn: The database, in a write transaction.
        tables: The tables that are there now, each with all its columns and the row's own pseudo-column.
    """
    taken: list[ParkedChange] = []
    for table, columns in tables:
        known = set(columns)
        rows: list[Any] = conn.execute(
            "SELECT position, site_id, tbl, pk, cid, val, col_version, cl, seq FROM replicell_parked"
            " WHERE tbl = ? ORDER BY position",
            (table,),
        ).fetchall()
        taken.extend(
            ParkedChange(position, site_id, Change(tbl, pk, cid, val, col_version, cl, seq, 0))
            for position, site_id, tbl, pk, cid, val, col_version, cl, seq in rows
            if cid in known
        )
    conn.executemany(
        "DELETE FROM replicell_parked WHERE position = ?", [(parked.position,) for parked in taken]
    )
    return taken
