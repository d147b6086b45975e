"""What a client has of another node, said as a version of this one, so that it need not begin anew here.

Its cursor there is translated to a position of the room's log, by what that node has told of itself
(`Step`); and the position to a version here, by what each entry has brought. A version that is too low costs
time. One that is too high would lose changes, so whatever is not known counts as missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any, Final

import apsw

from replicell.persisters.crsqlite.epochs import Cursor, current_epoch
from replicell.sync.backplane.entries import Part, Step

__all__ = [
    "forget_old_bounds",
    "has_all",
    "note_bound",
    "note_bounds",
    "note_own_step",
    "note_own_steps",
    "note_steps",
    "note_told_steps",
    "read_own_steps",
    "translate",
    "version_at",
]

_KEPT_BOUNDS: Final = 10_000
_KEPT_STEPS: Final = 256
_TOLD_STEPS: Final = 64

_OF_THIS_FILE: Final = "site_id = ? AND epoch IN (SELECT id FROM replicell_epochs)"
"""Nodes whose folders are copies of one another have the same site id, and their own versions."""

_THIN_STEPS: Final = """
DELETE FROM replicell_log_marks WHERE site_id = ?1 AND (epoch, version) IN (
    SELECT epoch, version FROM (
        SELECT epoch, version, position, row_number() OVER newest_first AS place,
            first_value(position) OVER newest_first AS newest,
            lag(position) OVER newest_first AS newer, lead(position) OVER newest_first AS older
        FROM replicell_log_marks WHERE site_id = ?1
        WINDOW newest_first AS (ORDER BY position DESC, version))
    WHERE place % 2 = 0 AND older IS NOT NULL
    ORDER BY (newer - older) * 1.0 / (newest - position + 1) LIMIT ?2)
"""
"""The older they are the further apart they may be: each gap in proportion to the time that has passed."""


def translate(conn: apsw.Connection, cursors: Sequence[Cursor]) -> int:
    """Return a version of this database up to which a client has everything, by its cursors at other nodes
    (read).

    Args:
        conn: The database.
        cursors: How far the client has which server.

    Returns:
        The version, 0 if nothing is known.
    """
    position = 0
    for cursor in cursors:
        found = conn.execute(
            "SELECT max(position) FROM replicell_log_marks WHERE site_id = ? AND epoch = ? AND version <= ?",
            (cursor.site_id, cursor.epoch, cursor.version),
        ).get
        position = max(position, found if isinstance(found, int) else 0)
    return version_at(conn, position)


def version_at(conn: apsw.Connection, position: int) -> int:
    """Return a version of this database up to which nothing is here that the log had not brought by a
    position (read)."""
    if not position:
        return 0
    # What came, or went, with later entries stands above their lower bounds; what never went, above pushed.
    version = conn.execute(
        "SELECT min(version) FROM (SELECT pushed AS version FROM replicell_log"
        " UNION ALL SELECT min(lower) FROM replicell_log_entries WHERE sequence > ?)",
        (position,),
    ).get
    return version if isinstance(version, int) else 0


def note_bounds(
    conn: apsw.Connection, parts: Sequence[tuple[int, Part]], *, before: int, site_id: bytes
) -> None:
    """Remember above which versions here all stands that some entries have brought (write).

    Args:
        conn: The database.
        parts: The entries with their sequences, in order.
        before: The version that the database had before them.
        site_id: The own site id.
    """
    # A later entry's bound holds for all before it, so only those that are lower say something.
    lowest: int | None = None
    for sequence, part in reversed(parts):
        lower = _lower_bound(part, before, site_id)
        if lowest is None or lower < lowest:
            note_bound(conn, sequence, lower)
            lowest = lower


def note_bound(conn: apsw.Connection, sequence: int, lower: int) -> None:
    """Remember above which version all stands that the entries up to a sequence have brought (write)."""
    conn.execute(
        "INSERT INTO replicell_log_entries VALUES (?1, ?2)"
        " ON CONFLICT DO UPDATE SET lower = min(lower, excluded.lower)",
        (sequence, lower),
    )


def _lower_bound(part: Part, before: int, site_id: bytes) -> int:
    # Own ones are here at their old places, those of an earlier life perhaps.
    return min(before, part.since) if part.site_id == site_id else before


def forget_old_bounds(conn: apsw.Connection) -> None:
    """Of the oldest entries keep what holds for all of them together (write)."""
    row: Any = conn.execute(
        "SELECT sequence FROM replicell_log_entries ORDER BY sequence DESC LIMIT 1 OFFSET ?", (_KEPT_BOUNDS,)
    ).fetchone()
    if row is not None:
        oldest = conn.execute("SELECT min(lower) FROM replicell_log_entries WHERE sequence <= ?", row).get
        conn.execute("DELETE FROM replicell_log_entries WHERE sequence < ?", row)
        conn.execute("UPDATE replicell_log_entries SET lower = ? WHERE sequence = ?", (oldest, *row))


def has_all(conn: apsw.Connection) -> bool:
    """Tell whether what the applied entries brought is in the tables (read): nothing of them is parked."""
    return not conn.execute("SELECT EXISTS(SELECT 1 FROM replicell_parked)").get


def note_own_steps(
    conn: apsw.Connection, parts: Sequence[tuple[int, Part]], *, run: bytes, previous: int, after: int
) -> None:
    """Remember which versions of this database had which entries (write).

    Args:
        conn: The database.
        parts: The entries that were applied, with their sequences.
        run: The own run.
        previous: The position before them.
        after: The version that the database has after them.
    """
    if not has_all(conn):
        return
    site_id = _own(conn)
    row: Any = conn.execute(
        f"SELECT max(version), max(position) FROM replicell_log_marks WHERE {_OF_THIS_FILE}", (site_id,)
    ).fetchone()
    reached, position = row
    if position != previous:
        # What the entries since then have brought stands somewhere up to here.
        reached = after
    steps: list[Step] = []
    for sequence, part in parts:
        reached = max(reached, part.until) if part.run == run else after
        steps.append(Step(reached, sequence))
    last_of_each = [list(same)[-1] for _, same in groupby(steps, key=lambda step: step.version)]
    note_steps(conn, site_id, current_epoch(conn), last_of_each)


def note_own_step(conn: apsw.Connection, version: int, position: int) -> None:
    """Remember that all entries up to a position are in this database's versions up to one (write)."""
    if position and has_all(conn):
        note_steps(conn, _own(conn), current_epoch(conn), [Step(version, position)])


def read_own_steps(conn: apsw.Connection) -> list[Step]:
    """Read which of this database's newest versions had which entries, in whatever epoch (read)."""
    rows: Any = conn.execute(
        f"SELECT version, max(position) FROM replicell_log_marks WHERE {_OF_THIS_FILE}"
        f" GROUP BY version ORDER BY version DESC LIMIT {_TOLD_STEPS}",
        (_own(conn),),
    )
    return [Step(*row) for row in rows]


def note_told_steps(
    conn: apsw.Connection, site_id: bytes, epochs: Iterable[tuple[bytes, int]], steps: Sequence[Step]
) -> None:
    """Remember what a node has told of its versions (write).

    Earlier ones are in the past of each later epoch, so they hold for all in which they may be named.

    Args:
        conn: The database.
        site_id: The node's site id.
        epochs: Its epochs, each with the last version in it.
        steps: Which of its versions had which entries.
    """
    for epoch, end in epochs:
        note_steps(conn, site_id, epoch, [step for step in steps if step.version <= end])


def note_steps(conn: apsw.Connection, site_id: bytes, epoch: bytes, steps: Iterable[Step]) -> None:
    """Remember which versions of a node had which entries (write).

    Args:
        conn: The database.
        site_id: The node's site id.
        epoch: The epoch in which the versions are named.
        steps: Which of its versions had which entries.
    """
    conn.executemany(
        "INSERT INTO replicell_log_marks(site_id, epoch, version, position) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET position = excluded.position WHERE position < excluded.position",
        [(site_id, epoch, *step) for step in steps],
    )
    count: Any = conn.execute("SELECT count(*) FROM replicell_log_marks WHERE site_id = ?", (site_id,)).get
    if count > _KEPT_STEPS:
        conn.execute(_THIN_STEPS, (site_id, _KEPT_STEPS // 4))


def _own(conn: apsw.Connection) -> bytes:
    site_id: Any = conn.execute("SELECT crsql_site_id()").get
    return bytes(site_id)
