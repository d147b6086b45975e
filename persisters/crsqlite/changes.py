"""Changes: the cells that were written, read from a database's clock tables and merged into another one.

Reading goes by db_version, in bounded pages, each in a read transaction of its own, so that no statement
stays open while a slow peer reads. Own SQL over the clock tables does at a third of the cost of
``crsql_changes`` what that view does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import apsw
import msgspec

from replicell.persisters.crsqlite.catalog import Catalog, CatalogTable
from replicell.persisters.crsqlite.identifiers import quote
from replicell.persisters.crsqlite.keys import InvalidKeyError, SqlValue, unpack_key
from replicell.persisters.crsqlite.new_rows import insert_new_rows

__all__ = [
    "MAX_CHANGES",
    "MAX_PAGE_BYTES",
    "ROW",
    "Change",
    "FailedMerge",
    "Page",
    "Resume",
    "change_size",
    "cut_parts",
    "merge_changes",
    "read_page",
    "read_row",
]

ROW: Final = "-1"
"""The column name of a change that creates or deletes a whole row."""

MAX_CHANGES: Final = 1000
MAX_PAGE_BYTES: Final = 256 * 1024

_FEW: Final = 50
"""So many changes are read without counting them before, and merged without looking for new rows."""

_CHANGE_OVERHEAD: Final = 24
_REFUSALS: Final = (
    apsw.ConstraintError,
    apsw.MismatchError,
    apsw.TooBigError,
    apsw.SQLError,
    ValueError,
    OverflowError,
)
"""What is the change's own fault. What else goes wrong is the database's, and may go well the next time."""
_MERGE: Final = (
    'INSERT INTO crsql_changes("table", pk, cid, val, col_version, db_version, site_id, cl, seq)'
    " VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?)"
)

if TYPE_CHECKING:
    _Value: TypeAlias = SqlValue
else:
    # msgspec decodes no union of str and bytes; what is decoded is judged by the rules anyway.
    _Value = Any


class Change(msgspec.Struct, array_like=True, frozen=True, gc=False, forbid_unknown_fields=True):
    """One written cell, or one created or deleted row.

    Args:
        table: The table's name.
        pk: The row's packed primary key, see `replicell.persisters.crsqlite.keys`.
        cid: The column's name, or `ROW`.
        val: The value as it stands; None for a `ROW` change.
        col_version: How often the cell was written; for `ROW` the same as ``cl``.
        cl: The row's causal length: odd while it is alive, even when deleted.
        seq: Order inside its author's transaction.
        db_version: The version in the database it was read from.
    """

    table: str
    pk: bytes
    cid: str
    val: _Value
    col_version: int
    cl: int
    seq: int
    db_version: int


class Resume(NamedTuple):
    """Where the next page of a range of versions begins."""

    until: int
    table: str
    version: int
    key: int
    column: str


class Page(NamedTuple):
    """Some of the changes in the versions after one version up to ``until``.

    Args:
        until: The last version of the range; always a whole one.
        changes: The changes, at most about `MAX_CHANGES` of them or `MAX_PAGE_BYTES`.
        resume: Where the range goes on, or None if this page ends it.
        latest: The database's newest version.
    """

    until: int
    changes: list[Change]
    resume: Resume | None
    latest: int


class FailedMerge(NamedTuple):
    """A change that the database would not take.

    Args:
        place: Its place in the batch.
        reason: SQLite's own words.
    """

    place: int
    reason: str


def read_page(
    conn: apsw.Connection,
    catalog: Catalog,
    since: int,
    *,
    exclude: bytes | None = None,
    resume: Resume | None = None,
    max_changes: int = MAX_CHANGES,
    max_bytes: int = MAX_PAGE_BYTES,
) -> Page:
    """Read the next page of changes after a version.

    Small versions are read together, up to ``max_changes``; a bigger one makes a range of its own, read in
    several pages.

    Args:
        conn: The database, in a read transaction.
        catalog: The connection's catalogue.
        since: The version that is known already.
        exclude: Site id whose changes are left out.
        resume: What the previous page of the same range said.
        max_changes: The most changes in a page.
        max_bytes: About the most bytes in a page; at least one change is always read.

    Returns:
        The page; without changes and with ``until`` the latest version when there is nothing to read.
    """
    latest, by_table = catalog.versions(conn)
    tables = catalog.last_tables
    touched = [tables[name] for name, version in by_table.items() if version > since]
    if resume is not None:
        touched = [table for table in touched if table.name >= resume.table]
        return _PageReader(conn, exclude, max_changes, max_bytes, latest).read(touched, resume, since)
    # Mostly there is little, and whether that is all shows while it is read.
    page = _PageReader(conn, exclude, min(_FEW, max_changes), max_bytes, latest).read(
        touched, Resume(max(latest, since), "", since + 1, 0, ""), since
    )
    if page.resume is None:
        return page
    until = _whole_versions(conn, touched, since, latest, exclude, max_changes)
    return _PageReader(conn, exclude, max_changes, max_bytes, latest).read(
        touched, Resume(until, "", since + 1, 0, ""), since
    )


def read_row(conn: apsw.Connection, table: CatalogTable, pk: bytes) -> list[Change]:
    """Read all changes that make up a row.

    Args:
        conn: The database, in a read transaction.
        table: The row's table.
        pk: Its packed key.

    Returns:
        The changes; none if it has never been there.
    """
    try:
        key = unpack_key(pk)
    except InvalidKeyError:
        return []
    if len(key) != len(table.key):
        return []
    rows: list[Any] = conn.execute(table.row_sql, key).fetchall()
    return [Change(table.name, *row[:-1]) for row in rows]


def change_size(change: Change) -> int:
    """Return about how many bytes a change takes in a frame."""
    val = change.val
    size = len(val) if isinstance(val, (str, bytes)) else 8
    return _CHANGE_OVERHEAD + len(change.table) + len(change.pk) + len(change.cid) + size


def cut_parts(
    changes: Sequence[Change], max_bytes: int = MAX_PAGE_BYTES, max_changes: int = MAX_CHANGES
) -> Iterator[list[Change]]:
    """Cut a batch into parts of about at most so many bytes and changes, in order."""
    part: list[Change] = []
    size = 0
    for change in changes:
        if part and (size >= max_bytes or len(part) >= max_changes):
            yield part
            part, size = [], 0
        part.append(change)
        size += change_size(change)
    if part:
        yield part


def merge_changes(
    conn: apsw.Connection, catalog: Catalog, changes: Sequence[Change], site_id: bytes
) -> list[FailedMerge]:
    """Merge changes that have passed the rules of `replicell.persisters.crsqlite.rules`.

    They all get one new db_version of this database, and ``site_id`` as their author: incoming versions are
    of no use here and a huge one would stop the local clock.

    Args:
        conn: The database, in a write transaction.
        catalog: The connection's catalogue.
        changes: What to merge, in any order; the author's order is the fastest.
        site_id: The direct neighbour they came from.

    Returns:
        The changes that a constraint or a trigger refused; all the others are merged.

    Raises:
        apsw.Error: The database failed, for instance because the disk is full: nothing is to be kept of the
            transaction, and the changes are to be merged another time.
    """
    if not changes:
        return []
    failed: list[FailedMerge] = []
    conn.execute("SAVEPOINT replicell_merge")
    try:
        rest = changes
        if len(changes) > _FEW:
            rest = insert_new_rows(conn, catalog.tables(conn), changes, site_id)
        conn.executemany(_MERGE, _merge_rows(rest, site_id))
    except _REFUSALS:
        _undo(conn)
        for place, row in enumerate(_merge_rows(changes, site_id)):
            failure = _merge_alone(conn, place, row)
            if failure is not None:
                failed.append(failure)
    for table, pk in {(change.table, change.pk) for change in changes if change.cl > 1 and change.cl & 1}:
        _end_earlier_life(conn, catalog.tables(conn)[table], unpack_key(pk))
    conn.execute("RELEASE replicell_merge")
    return failed


def _merge_rows(changes: Sequence[Change], site_id: bytes) -> list[tuple[SqlValue, ...]]:
    return [
        (change.table, change.pk, change.cid, change.val, change.col_version, site_id, change.cl, change.seq)
        for change in changes
    ]


def _end_earlier_life(conn: apsw.Connection, table: CatalogTable, key: tuple[SqlValue, ...]) -> None:
    """Reset the cells that a row kept although it was deleted and created anew elsewhere.

    cr-sqlite zeroes their versions and expects the new life's cells to overwrite them. For a column that the
    row's new author did not have there is no such cell, and the replicas would disagree for ever.
    """
    stale = conn.execute(table.stale_cells_sql, key).fetchall()
    if not stale:
        return
    same_row = " AND ".join(f"{quote(name)} IS ?" for name in table.key)
    resets = ", ".join(
        f"{quote(str(column))} = {table.defaults.get(str(column), 'NULL')}" for _, column in stale
    )
    clock = quote(table.name + "__crsql_clock")
    conn.execute("SELECT crsql_internal_sync_bit(1)").fetchall()
    try:
        conn.execute(f"UPDATE {quote(table.name)} SET {resets} WHERE {same_row}", key)
        conn.executemany(f"DELETE FROM {clock} WHERE key = ? AND col_name = ?", stale)
    finally:
        conn.execute("SELECT crsql_internal_sync_bit(0)").fetchall()


def _merge_alone(conn: apsw.Connection, place: int, row: tuple[SqlValue, ...]) -> FailedMerge | None:
    failure = None
    conn.execute("SAVEPOINT replicell_change")
    try:
        conn.execute(_MERGE, row)
    except _REFUSALS as error:
        conn.execute("ROLLBACK TO replicell_change; SELECT crsql_internal_sync_bit(0)")
        failure = FailedMerge(place, str(error) or type(error).__name__)
    conn.execute("RELEASE replicell_change")
    return failure


def _undo(conn: apsw.Connection) -> None:
    # A failed merge leaves cr-sqlite believing that it still merges; local writes would then not be tracked.
    conn.execute("ROLLBACK TO replicell_merge; SELECT crsql_internal_sync_bit(0)")


def _whole_versions(
    conn: apsw.Connection,
    tables: list[CatalogTable],
    since: int,
    latest: int,
    author: bytes | None,
    limit: int,
) -> int:
    """Return the last version of a range that holds at most ``limit`` changes, or else one whole version."""
    versions: list[int] = []
    for table in tables:
        bindings = (since, latest, author, limit + 1)
        versions.extend(int(version) for (version,) in conn.execute(table.versions_sql, bindings))
    if len(versions) <= limit:
        return max(latest, since)
    versions.sort()
    return max(versions[0], versions[limit] - 1)


class _PageReader:
    """Reads one page over several tables."""

    def __init__(
        self, conn: apsw.Connection, author: bytes | None, max_changes: int, max_bytes: int, latest: int
    ) -> None:
        self._conn = conn
        self._author = author
        self._max_changes = max_changes
        self._bytes_left = max_bytes
        self._latest = latest
        self._changes: list[Change] = []

    def read(self, tables: list[CatalogTable], start: Resume, since: int) -> Page:
        until = start.until
        for table in tables:
            after = (
                (start.version, start.key, start.column) if table.name == start.table else (since + 1, 0, "")
            )
            stopped = self._read_table(table, after, until)
            if stopped is not None:
                return Page(until, self._changes, stopped, self._latest)
        return Page(until, self._changes, None, self._latest)

    def _read_table(self, table: CatalogTable, after: tuple[int, int, str], until: int) -> Resume | None:
        changes = self._changes
        room = self._max_changes - len(changes)
        bindings = (*after, until, self._author, room + 1)
        name = table.name
        position = after
        for pk, cid, val, col_version, cl, seq, version, key in self._conn.execute(
            table.changes_sql, bindings
        ):
            if len(changes) >= self._max_changes or (self._bytes_left <= 0 and changes):
                return Resume(until, name, *position)
            changes.append(Change(name, pk, cid, val, col_version, cl, seq, version))
            self._bytes_left -= change_size(changes[-1])
            position = (version, key, cid)
        return None
