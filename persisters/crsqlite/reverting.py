"""Taking back: a row's own cells make way for another replica's, as if they had never been written here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import apsw

from replicell.persisters.crsqlite.catalog import Catalog, CatalogTable
from replicell.persisters.crsqlite.changes import ROW, Change, merge_changes, read_row
from replicell.persisters.crsqlite.identifiers import quote
from replicell.persisters.crsqlite.keys import SqlValue, unpack_key

__all__ = ["revert_row"]

_KEEP_VERSION: Final = (
    "INSERT INTO crsql_master(key, value) VALUES ('pre_compact_dbversion', ?)"
    " ON CONFLICT(key) DO UPDATE SET value = max(CAST(value AS INTEGER), excluded.value)"
)


def revert_row(
    conn: apsw.Connection,
    catalog: Catalog,
    table: str,
    pk: bytes,
    versions: Mapping[str, int],
    theirs: Sequence[Change],
    site_id: bytes,
) -> list[str]:
    """Put another replica's cells in the place of one's own (write).

    What is taken back leaves no trace, so the other replica's next edit of the cell wins as it does
    everywhere else. Only where the other replica has nothing, it is an edit of one's own: the row is deleted,
    or the cell reset. A cell that has been edited here since is left alone.

    Args:
        conn: The database, in a write transaction.
        catalog: The connection's catalogue.
        table: The row's table.
        pk: Its packed key.
        versions: The col_version of each cell that is taken back, or of `ROW` for the whole row.
        theirs: All changes that make up the row there; none if it is not there.
        site_id: The other replica.

    Returns:
        The columns that were taken back, `ROW` for the whole row.
    """
    known = catalog.tables(conn).get(table)
    if known is None:
        return []
    own = {change.cid: change for change in read_row(conn, known, pk)}
    reverted = [cid for cid, version in versions.items() if cid in own and own[cid].col_version == version]
    if not reverted:
        return []
    key = unpack_key(pk)
    if not theirs:
        _write(conn, f"DELETE FROM {quote(table)}", known, key)
        return reverted
    there = {change.cid for change in theirs}
    if ROW in reverted:
        _forget(conn, catalog, known, key, own)
    else:
        # Without a cell there, nothing would tell that the one here has gone: that is an edit like others.
        _reset(conn, known, key, [cid for cid in reverted if cid not in there])
        _forget(conn, catalog, known, key, [cid for cid in reverted if cid in there])
    merge_changes(conn, catalog, theirs, site_id)
    return reverted


def _forget(
    conn: apsw.Connection,
    catalog: Catalog,
    table: CatalogTable,
    key: tuple[SqlValue, ...],
    cids: Collection[str],
) -> None:
    """Make cells as if they had never been written; of a whole row nothing stays."""
    clock, keys = quote(table.name + "__crsql_clock"), quote(table.name + "__crsql_pks")
    # The newest version may go with them, and no version may be given twice.
    conn.execute(_KEEP_VERSION, (catalog.latest_version(conn),))
    number = conn.execute(f"SELECT __crsql_key FROM {keys}{_where(table)}", key).get
    conn.execute("SELECT crsql_internal_sync_bit(1)").fetchall()
    try:
        conn.executemany(
            f"DELETE FROM {clock} WHERE key = ? AND col_name = ?", [(number, cid) for cid in cids]
        )
        if ROW in cids:
            _write(conn, f"DELETE FROM {quote(table.name)}", table, key)
        else:
            _reset(conn, table, key, cids)
    finally:
        conn.execute("SELECT crsql_internal_sync_bit(0)").fetchall()


def _reset(
    conn: apsw.Connection, table: CatalogTable, key: tuple[SqlValue, ...], columns: Collection[str]
) -> None:
    if columns:
        resets = ", ".join(f"{quote(column)} = {table.defaults.get(column, 'NULL')}" for column in columns)
        _write(conn, f"UPDATE {quote(table.name)} SET {resets}", table, key)


def _write(conn: apsw.Connection, statement: str, table: CatalogTable, key: tuple[SqlValue, ...]) -> None:
    conn.execute(statement + _where(table), key)


def _where(table: CatalogTable) -> str:
    return " WHERE " + " AND ".join(f"{quote(name)} IS ?" for name in table.key)
