"""Taking back: a row's own cells make way for another replica's, as if they had never been written here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import apsw

from replicell.persisters.crsqlite.catalog import Catalog, CatalogTable
from replicell.persisters.crsqlite.changes import ROW, Change, merge_changes, read_row
from replicell.persisters.crsqlite.identifiers import quote
from replicell.persisters.crsqlite.keys import SqlValue, unpack_key

__all__ = ["revert_row"]


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
    everywhere else. A cell that has been edited here since is left alone.

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
    if reverted:
        _forget(conn, known, unpack_key(pk), own if ROW in reverted else reverted, row_is_theirs=bool(theirs))
        merge_changes(conn, catalog, theirs, site_id)
    return reverted


def _forget(
    conn: apsw.Connection,
    table: CatalogTable,
    key: tuple[SqlValue, ...],
    cids: Collection[str],
    row_is_theirs: bool,
) -> None:
    clock, keys = quote(table.name + "__crsql_clock"), quote(table.name + "__crsql_pks")
    same_row = " AND ".join(f"{quote(name)} IS ?" for name in table.key)
    number = conn.execute(f"SELECT __crsql_key FROM {keys} WHERE {same_row}", key).get
    columns = [cid for cid in cids if cid in table.columns]
    conn.execute("SELECT crsql_internal_sync_bit(1)").fetchall()
    try:
        conn.executemany(
            f"DELETE FROM {clock} WHERE key = ? AND col_name = ?", [(number, cid) for cid in cids]
        )
        is_empty = conn.execute(f"SELECT NOT EXISTS(SELECT 1 FROM {clock} WHERE key = ?)", (number,)).get
        if is_empty and (ROW in cids or not row_is_theirs):
            conn.execute(f"DELETE FROM {quote(table.name)} WHERE {same_row}", key)
        elif columns:
            resets = ", ".join(
                f"{quote(column)} = {table.defaults.get(column, 'NULL')}" for column in columns
            )
            conn.execute(f"UPDATE {quote(table.name)} SET {resets} WHERE {same_row}", key)
    finally:
        conn.execute("SELECT crsql_internal_sync_bit(0)").fetchall()
