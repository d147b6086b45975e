"""What a node remembers of a room's log, in the room's database and in the same transactions as the rows.

To a room the log is one neighbour like any client, with a site id of its own: what came from it is never
published again, all else is. Positions are sequences of the log; versions are those of this node's
database, and both grow together: whatever an entry says gets a version above all that was here before, also
if it was here already. For if it was, the one who has published it did not have it from the log, so others
who are thought to have it from there may lack it too; they get it once more::

    replicell_log           which log, how far it is applied here, and up to which version all is published
    replicell_log_entries   an entry's sequence, and a version below all that it has brought here
    replicell_log_marks     "who has the versions of that node up to n has all entries up to m"
    replicell_log_parts     pieces of publications that have not come whole

The second and the third are for `replicell.sync.backplane.translation`.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final, NamedTuple

import apsw

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.changes import Change, read_page
from replicell.persisters.crsqlite.epochs import Cursor, current_epoch, recent_epochs
from replicell.persisters.crsqlite.renewing import are_all_new, renew_all, renew_changes
from replicell.sync import ledger
from replicell.sync.announcements import announce
from replicell.sync.backplane import translation
from replicell.sync.backplane.entries import Beacon, Part, Publication, Step, decode_publication
from replicell.sync.backplane.interface import BackplaneError
from replicell.sync.jobs import Batch, TakenIn, take_in
from replicell.sync.ledger import LOG_SITE_ID

__all__ = [
    "UNLOGGED_SITE_ID",
    "BeaconState",
    "JournalState",
    "Unpublished",
    "apply_parts",
    "begin",
    "create_journal",
    "merge_snapshot",
    "merge_unlogged",
    "note_beacon",
    "note_peers",
    "note_pushed",
    "read_beacon",
    "read_unpublished",
]

UNLOGGED_SITE_ID: Final = b"replicell.others"
"""The site id under which stands what is to be published although no client has brought it here: what came
from another node and not by the log, and what others seem to lack; 16 bytes like any."""

_log = logging.getLogger("replicell.sync.backplane")

_TIDY_EVERY: Final = 256
_TOLD_EPOCHS: Final = 4
_MAX_PARKED_AT_ONCE: Final = 1000

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS replicell_log(
    id INTEGER PRIMARY KEY CHECK (id = 1), identity TEXT NOT NULL, position INTEGER NOT NULL,
    pushed INTEGER NOT NULL, parked INTEGER NOT NULL, push_all_until INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS replicell_log_entries(sequence INTEGER PRIMARY KEY, lower INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS replicell_log_marks(
    site_id BLOB NOT NULL, epoch BLOB NOT NULL, version INTEGER NOT NULL, position INTEGER NOT NULL,
    PRIMARY KEY (site_id, epoch, version)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS replicell_log_parts(
    site_id BLOB NOT NULL, run BLOB NOT NULL, batch INTEGER NOT NULL, number INTEGER NOT NULL,
    chunk BLOB NOT NULL, PRIMARY KEY (run, batch, number));
"""


class JournalState(NamedTuple):
    """Where a node stands in a room's log.

    Args:
        position: All entries up to this sequence are applied.
        pushed: All own changes up to this version are in the log, and have come back from it.
        parked: The place in the ledger up to which parked changes are.
        push_all_until: The version up to which everything is to be published, whoever wrote it, because the
            log was lost.
    """

    position: int
    pushed: int
    parked: int
    push_all_until: int


class Unpublished(NamedTuple):
    """The next that is to be published.

    Args:
        publication: It; without rows if there is nothing.
        parked: The place in the ledger that it reaches.
        latest: The newest version when it was read.
        more_parked: Whether there are more parked changes than these.
        tables: All tables, if they are not those that were published last.
        cookie: The schema that this is.
    """

    publication: Publication
    parked: int
    latest: int
    more_parked: bool
    tables: Publication | None
    cookie: object


class BeaconState(NamedTuple):
    """How a node is doing with a room, all of one moment.

    Args:
        epochs: The database's newest epochs, each with the last version in it.
        version: Its latest version.
        position: The position that it has in the log.
        steps: Which of its newest versions had which entries.
        peers: How far it has some clients.
    """

    epochs: list[tuple[bytes, int]]
    version: int
    position: int
    steps: list[Step]
    peers: list[Cursor]


def create_journal(conn: apsw.Connection) -> None:
    """Create the tables where they are missing; in a write transaction."""
    conn.execute(_TABLES)


def begin(conn: apsw.Connection, catalog: Catalog, identity: str) -> JournalState:
    """Take up a log where it was left (write).

    Of a log that was never seen, or is another one than before, nothing is known, and it is given all that
    is here, whoever wrote it. So are the clients if there was another one: what it had lost before nobody
    will ever miss, for soon all nodes have the same.
    """
    create_journal(conn)
    row: Any = conn.execute(
        "SELECT identity, position, pushed, parked, push_all_until FROM replicell_log"
    ).fetchone()
    if row is not None and row[0] == identity:
        known = JournalState(*row[1:])
        translation.note_own_step(conn, catalog.latest_version(conn), known.position)
        return known
    pushed = 0 if row is None else renew_all(conn, catalog)
    state = JournalState(0, pushed, 0, catalog.latest_version(conn))
    conn.execute("DELETE FROM replicell_log_entries")
    conn.execute("DELETE FROM replicell_log_marks")
    conn.execute("DELETE FROM replicell_log_parts")
    conn.execute("INSERT OR REPLACE INTO replicell_log VALUES (1, ?, ?, ?, ?, ?)", (identity, *state))
    return state


def read_unpublished(
    conn: apsw.Connection,
    catalog: Catalog,
    *,
    pushed: int,
    parked: int,
    push_all_until: int,
    cookie: object,
    sites: Collection[bytes],
) -> Unpublished:
    """Read the next changes that the log does not have, whole versions of them (read).

    Args:
        conn: The database.
        catalog: Its catalogue.
        pushed: The version after which to read.
        parked: The place in the ledger after which to read.
        push_all_until: See `JournalState`.
        cookie: The schema that was published last.
        sites: The clients whose cursors are of interest.
    """
    exclude = None if pushed < push_all_until else LOG_SITE_ID
    page = read_page(conn, catalog, pushed, exclude=exclude)
    rows = page.changes
    while page.resume is not None:
        page = read_page(conn, catalog, pushed, exclude=exclude, resume=page.resume)
        rows.extend(page.changes)
    waiting: Any = conn.execute(
        "SELECT position, tbl, pk, cid, val, col_version, cl, seq FROM replicell_parked"
        f" WHERE position > ? AND site_id IS NOT ? ORDER BY position LIMIT {_MAX_PARKED_AT_ONCE}",
        (parked, LOG_SITE_ID),
    ).fetchall()
    rows.extend(
        Change(table, pk, cid, val, col_version, cl, seq, 0)
        for _, table, pk, cid, val, col_version, cl, seq in waiting
    )
    latest = catalog.latest_version(conn)
    more_parked = len(waiting) == _MAX_PARKED_AT_ONCE
    complete = page.until >= latest and not more_parked
    epoch, position = current_epoch(conn), _position(conn) if translation.has_all(conn) else 0
    seen = catalog.cookie(conn)
    tables = None
    if seen != cookie:
        tables = Publication(epoch, pushed, position, False, announce(conn, catalog), [], [])
    peers = _cursors(conn, sites) if complete else []
    return Unpublished(
        Publication(epoch, page.until, position, complete, None, rows, peers),
        waiting[-1][0] if waiting else parked,
        latest,
        more_parked,
        tables,
        seen,
    )


def read_beacon(conn: apsw.Connection, catalog: Catalog, sites: Collection[bytes]) -> BeaconState:
    """Read how a node is doing (read).

    Args:
        conn: The database.
        catalog: Its catalogue.
        sites: The clients whose cursors are of interest.
    """
    return BeaconState(
        recent_epochs(conn, _TOLD_EPOCHS),
        catalog.latest_version(conn),
        _position(conn),
        translation.read_own_steps(conn),
        _cursors(conn, sites),
    )


def apply_parts(
    conn: apsw.Connection,
    catalog: Catalog,
    parts: Sequence[tuple[int, Part]],
    *,
    run: bytes,
    site_id: bytes,
    pushed: int,
    parked: int,
    batch: int,
) -> TakenIn:
    """Apply entries of the log and move the position, all in one transaction (write).

    Args:
        conn: The database.
        catalog: Its catalogue.
        parts: The entries with their sequences, in order.
        run: The own run: its entries are here already.
        site_id: The own site id.
        pushed: The version up to which all own changes are in the log and have come back, these included.
        parked: The same for parked changes.
        batch: The number under which to encode the changes for clients.
    """
    before, previous = catalog.latest_version(conn), _position(conn)
    batches: list[Batch] = []
    for _, part in parts:
        if part.run == run:
            # For who begins with a snapshot of this file that is made before the last piece is here.
            _whole(conn, part)
            continue
        content = _whole(conn, part)
        publication = None if content is None else _decoded(content)
        if publication is not None:
            _note(conn, part.site_id, publication)
            batches.append(Batch(b"", 0, True, publication.rows, 0))
    position = parts[-1][0]

    def store_position(conn: apsw.Connection, _: Cursor) -> None:
        translation.note_bounds(conn, parts, before=before, site_id=site_id)
        conn.execute(
            "UPDATE replicell_log SET position = max(position, ?), pushed = max(pushed, ?),"
            " parked = max(parked, ?),"
            " push_all_until = CASE WHEN max(pushed, ?) >= push_all_until THEN 0 ELSE push_all_until END",
            (position, pushed, parked, pushed),
        )
        if batch % _TIDY_EVERY == 0:
            translation.forget_old_bounds(conn)

    if any(one.rows for one in batches):
        taken = take_in(conn, catalog, batches, LOG_SITE_ID, store_position, trusted=True, batch=batch)
        taken = _renewed(conn, catalog, [row for one in batches for row in one.rows], taken)
    else:
        store_position(conn, Cursor(LOG_SITE_ID, b"", 0))
        taken = TakenIn(before, before, [], [], 0, [])
    translation.note_own_steps(conn, parts, run=run, previous=previous, after=taken.after)
    return taken


def merge_snapshot(
    conn: apsw.Connection,
    catalog: Catalog,
    rows: Sequence[Change],
    *,
    position: int,
    parts: Sequence[tuple[Any, ...]],
    batch: int,
) -> TakenIn:
    """Merge what the log had up to a position, and move the position there (write).

    Args:
        conn: The database.
        catalog: Its catalogue.
        rows: The changes.
        position: The position.
        parts: The pieces of publications that had not come whole there.
        batch: The number under which to encode the changes for clients.
    """
    before = catalog.latest_version(conn)

    def store_position(conn: apsw.Connection, _: Cursor) -> None:
        translation.note_bound(conn, position, before)
        conn.execute("UPDATE replicell_log SET position = max(position, ?)", (position,))
        conn.executemany("INSERT OR REPLACE INTO replicell_log_parts VALUES (?, ?, ?, ?, ?)", parts)

    content = [Batch(b"", 0, True, list(rows), 0)]
    taken = take_in(conn, catalog, content, LOG_SITE_ID, store_position, trusted=True, batch=batch)
    taken = _renewed(conn, catalog, rows, taken)
    translation.note_own_step(conn, taken.after, position)
    return taken


def merge_unlogged(conn: apsw.Connection, catalog: Catalog, rows: Sequence[Change], *, batch: int) -> TakenIn:
    """Merge what another node had and the log had not, or has lost, as one's own: it is published from here
    too (write).

    Args:
        conn: The database.
        catalog: Its catalogue.
        rows: The changes.
        batch: The number under which to encode the changes for clients.
    """
    content = [Batch(b"", 0, True, list(rows), 0)]
    return take_in(conn, catalog, content, UNLOGGED_SITE_ID, _nothing_to_store, trusted=True, batch=batch)


def note_pushed(conn: apsw.Connection, pushed: int) -> None:
    """Remember that all own changes up to a version are in the log, and have come back (write)."""
    conn.execute("UPDATE replicell_log SET pushed = max(pushed, ?)", (pushed,))


def note_beacon(conn: apsw.Connection, beacon: Beacon) -> bool:
    """Remember what another node tells of its versions (write).

    Returns:
        False if that is about another log than the one that is followed here: then it says nothing.
    """
    if conn.execute("SELECT identity FROM replicell_log").get != beacon.identity:
        return False
    translation.note_told_steps(conn, beacon.site_id, beacon.epochs, beacon.steps)
    return True


def note_peers(conn: apsw.Connection, peers: Iterable[Cursor]) -> None:
    """Remember how far another node has some clients, when what it has is here too (write)."""
    for cursor in peers:
        ledger.store_elsewhere(conn, cursor)


def _renewed(conn: apsw.Connection, catalog: Catalog, rows: Sequence[Change], taken: TakenIn) -> TakenIn:
    """Give what the log says and was here already a new version, too."""
    if are_all_new(conn, catalog, rows, taken.before):
        return taken
    if not renew_changes(conn, catalog, rows, LOG_SITE_ID, until=taken.before):
        return taken
    return taken._replace(after=catalog.version_of_last_tables(conn))


def _position(conn: apsw.Connection) -> int:
    position = conn.execute("SELECT position FROM replicell_log").get
    return position if isinstance(position, int) else 0


def _cursors(conn: apsw.Connection, sites: Collection[bytes]) -> list[Cursor]:
    # In one order, whatever the process: a simulated history is the same each time.
    found = (ledger.own_peer_cursor(conn, site_id) for site_id in sorted(sites))
    return [cursor for cursor in found if cursor is not None]


def _whole(conn: apsw.Connection, part: Part) -> bytes | None:
    """Return the content of the publication that this part completes, None as long as more is to come."""
    if part.parts == 1:
        return part.chunk
    # Who has begun another publication will not complete the older one. That is said of a life, not of a site
    # id: nodes whose folders are copies of one another have the same.
    conn.execute("DELETE FROM replicell_log_parts WHERE run = ? AND batch IS NOT ?", (part.run, part.batch))
    conn.execute(
        "INSERT OR REPLACE INTO replicell_log_parts VALUES (?, ?, ?, ?, ?)",
        (part.site_id, part.run, part.batch, part.number, part.chunk),
    )
    if not part.last:
        return None
    chunks: Any = conn.execute(
        "SELECT chunk FROM replicell_log_parts WHERE run = ? ORDER BY number", (part.run,)
    ).fetchall()
    conn.execute("DELETE FROM replicell_log_parts WHERE run = ?", (part.run,))
    if len(chunks) != part.parts:
        _log.error("%d of %d parts of a publication are missing", part.parts - len(chunks), part.parts)
        return None
    return b"".join(chunk for (chunk,) in chunks)


def _decoded(content: bytes) -> Publication | None:
    try:
        return decode_publication(content)
    except BackplaneError as error:
        # It will never do. Nodes that differ for it find that out when they compare their content.
        _log.error("%s", error)
        return None


def _note(conn: apsw.Connection, site_id: bytes, publication: Publication) -> None:
    if publication.complete:
        if publication.position:
            step = Step(publication.version, publication.position)
            translation.note_steps(conn, site_id, publication.epoch, [step])
        note_peers(conn, publication.peers)


def _nothing_to_store(conn: apsw.Connection, cursor: Cursor) -> None:
    return
