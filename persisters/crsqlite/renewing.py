"""Renewing: what a database has already, given a new version of it as if it had just been written.

Whoever follows a database by its versions is sent what stands above the last one that it has. That is all
there is to say as long as its cursor is right. Should it turn out that some have a cursor and not all that
stands below it, it need not be known who they are: what they may lack is renewed, and everybody gets it once
more. Nothing else about the cells changes, so merging them again changes nothing where they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache

import apsw

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.changes import Change, read_row
from replicell.persisters.crsqlite.identifiers import quote
from replicell.persisters.crsqlite.identity import author_ordinal
from replicell.persisters.crsqlite.keys import SqlValue, unpack_key
from replicell.persisters.crsqlite.versions import changed_rows_sql

__all__ = ["are_all_new", "renew_all", "renew_changes"]


def are_all_new(conn: apsw.Connection, catalog: Catalog, changes: Collection[Change], before: int) -> bool:
    """Tell whether changes that have just been merged were all new here, if that is quickly told (write).

    It is of those that bring no row back to life, for then nothing but these cells was written.

    Args:
        conn: The database, in the transaction in which they were merged.
        catalog: The connection's catalogue.
        changes: The changes.
        before: The database's version before the transaction.
    """
    if any(change.cl > 1 for change in changes):
        return False
    cells = {(change.table, change.pk, change.cid) for change in changes}
    tables = {change.table for change in changes} & catalog.tables(conn).keys()
    counts = [
        conn.execute(f"SELECT count(*) FROM ({changed_rows_sql(name)})", (before,)).get for name in tables
    ]
    return sum(count for count in counts if isinstance(count, int)) == len(cells)


def renew_changes(
    conn: apsw.Connection, catalog: Catalog, changes: Iterable[Change], site_id: bytes, *, until: int
) -> int:
    """Give those of some changes that are here already a new version, all of them the same one (write).

    It is that of whatever else is written in the transaction.

    Args:
        conn: The database, in a write transaction.
        catalog: The connection's catalogue.
        changes: What may be here. What is here otherwise is something else, and left alone.
        site_id: Who counts as their author from now on.
        until: What is newer than this version is left alone.

    Returns:
        How many were renewed.
    """
    tables = catalog.tables(conn)
    rows: dict[tuple[str, bytes], list[Change]] = {}
    for change in changes:
        if change.table in tables:
            rows.setdefault((change.table, change.pk), []).append(change)
    found: dict[str, list[tuple[SqlValue, ...]]] = {}
    for (name, pk), said in rows.items():
        here = {own.cid: own for own in read_row(conn, tables[name], pk) if own.db_version <= until}
        same = {change.cid for change in said if _is_here(change, here.get(change.cid))}
        if same:
            key = unpack_key(pk)
            found.setdefault(name, []).extend((*key, cid) for cid in sorted(same))
    if found:
        version = conn.execute("SELECT crsql_next_db_version()").get
        author = author_ordinal(conn, site_id)
        for name, cells in found.items():
            sql = _renew_sql(name, tuple(tables[name].key))
            conn.executemany(sql, [(version, author, *cell) for cell in cells])
    return sum(map(len, found.values()))


def renew_all(conn: apsw.Connection, catalog: Catalog) -> int:
    """Give everything a new version, in the same order and together with what it stood together with (write).

    Args:
        conn: The database, in a write transaction.
        catalog: The connection's catalogue.

    Returns:
        The newest version that there was before: all that is here stands above it now.
    """
    latest = catalog.latest_version(conn)
    clocks = [quote(name + "__crsql_clock") for name in catalog.last_tables]
    if not clocks:
        return latest
    versions = conn.execute(" UNION ".join(f"SELECT DISTINCT db_version FROM {clock}" for clock in clocks))
    old = sorted(int(version or 0) for (version,) in versions)
    renewed = list(enumerate(old, start=latest + 1))
    for clock in clocks:
        conn.executemany(f"UPDATE {clock} SET db_version = ? WHERE db_version = ?", renewed)
    if renewed:
        conn.execute("SELECT crsql_next_db_version(?)", (renewed[-1][0],)).fetchall()
    return latest


def _is_here(change: Change, own: Change | None) -> bool:
    if own is None or (change.col_version, change.cl) != (own.col_version, own.cl):
        return False
    # To SQLite 1 and 1.0 are two values.
    return type(change.val) is type(own.val) and change.val == own.val


@lru_cache(maxsize=256)
def _renew_sql(table: str, key: tuple[str, ...]) -> str:
    same_key = " AND ".join(f"{quote(name)} IS ?" for name in key)
    return (
        f"UPDATE {quote(table + '__crsql_clock')} SET db_version = ?, site_id = ?"
        f" WHERE key = (SELECT __crsql_key FROM {quote(table + '__crsql_pks')} WHERE {same_key})"
        " AND col_name = ?"
    )
