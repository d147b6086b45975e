"""The identity of a database file: two copies of one file must not go on under the same site id."""

from __future__ import annotations

import os
from pathlib import Path

import apsw

from replicell.persisters.errors import PersisterError

__all__ = ["SITE_ID_BYTES", "NotAReplicaError", "author_ordinal", "reidentify"]

SITE_ID_BYTES = 16
_BUSY_MILLISECONDS = 5000


class NotAReplicaError(PersisterError, ValueError):
    """A file that is not a cr-sqlite database and so has no site id to change."""


def reidentify(path: str | os.PathLike[str]) -> bytes:
    """Give a copied or restored database file a new site id.

    The rows that it wrote so far keep their old author, so that they are shipped like anybody else's. No
    connection of cr-sqlite may have the file open meanwhile, for each keeps the site id in memory.

    Args:
        path: The database file, closed.

    Returns:
        The new site id, 16 bytes.

    Raises:
        NotAReplicaError: The file is missing or has no site id.
    """
    if not Path(path).is_file():
        raise NotAReplicaError(f"there is no database file {os.fspath(path)!r} to give a new site id")
    conn = apsw.Connection(os.fspath(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        conn.set_busy_timeout(_BUSY_MILLISECONDS)
        return _replace_site_id(conn, os.fspath(path))
    finally:
        conn.close()


def author_ordinal(conn: apsw.Connection, site_id: bytes) -> int:
    """Return the number under which a database's clocks name an author, a new one if it has none yet (write).

    Args:
        conn: The database, in a write transaction.
        site_id: The author.
    """
    ordinal = conn.execute("SELECT ordinal FROM crsql_site_id WHERE site_id = ?", (site_id,)).get
    if not isinstance(ordinal, int):
        highest = conn.execute("SELECT max(ordinal) FROM crsql_site_id").get
        ordinal = highest + 1 if isinstance(highest, int) else 1
        conn.execute("INSERT INTO crsql_site_id(site_id, ordinal) VALUES (?, ?)", (site_id, ordinal))
    return ordinal


def _replace_site_id(conn: apsw.Connection, path: str) -> bytes:
    site_id = os.urandom(SITE_ID_BYTES)
    clocks = _clock_tables(conn)
    with conn:
        old_ordinal = _free_ordinal(conn, path)
        conn.execute("UPDATE crsql_site_id SET ordinal = ? WHERE ordinal = 0", (old_ordinal,))
        conn.execute("INSERT INTO crsql_site_id(site_id, ordinal) VALUES (?, 0)", (site_id,))
        for clock in clocks:
            conn.execute(f"UPDATE {clock} SET site_id = ? WHERE site_id = 0", (old_ordinal,))
        conn.execute("DELETE FROM crsql_tracked_peers")
    return site_id


def _clock_tables(conn: apsw.Connection) -> list[str]:
    names = conn.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name GLOB '*__crsql_clock'")
    return ['"' + str(name).replace('"', '""') + '"' for (name,) in names]


def _free_ordinal(conn: apsw.Connection, path: str) -> int:
    try:
        highest = conn.execute("SELECT max(ordinal) FROM crsql_site_id").get
    except apsw.SQLError:
        highest = None
    if not isinstance(highest, int):
        raise NotAReplicaError(f"{path!r} is not a cr-sqlite database: it has no site id to replace")
    return highest + 1
