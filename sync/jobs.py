"""The database work of the sessions: plain functions on a connection, each run in one transaction by
whoever owns it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import apsw

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.changes import (
    MAX_PAGE_BYTES,
    ROW,
    Change,
    Resume,
    change_size,
    cut_parts,
    merge_changes,
    read_page,
    read_row,
)
from replicell.persisters.crsqlite.epochs import Cursor, current_epoch, is_known
from replicell.persisters.crsqlite.rules import Refusal, sift_changes
from replicell.sync import ledger
from replicell.sync.announcements import announce
from replicell.sync.limits import Limits
from replicell.sync.messages import Changes, Encoding, TableAnnouncement, encode
from replicell.sync.room_limits import within_limits

__all__ = [
    "Batch",
    "Drained",
    "Greeting",
    "Introduction",
    "Job",
    "Outgoing",
    "Settlement",
    "TakenIn",
    "begin_with",
    "disown_server",
    "drain_parked",
    "finish_push_all",
    "greet",
    "introduce",
    "read_outgoing",
    "register",
    "row_changes",
    "settle",
    "take_in",
]

_Result = TypeVar("_Result")

_KNOWN_SERVERS = 16

_log = logging.getLogger("replicell.sync")


# Not frozen: several are made for each batch, and freezing triples what that takes.
@dataclass(slots=True, eq=False)
class Job(Generic[_Result]):
    """Database work that a session asks for.

    Args:
        mode: ``read`` and ``write`` run in one transaction; ``run`` without, because it manages its own.
        function: What to do, called with the connection.
        done: To be called with the result once it is committed.
        failed: To be called with the exception if it was rolled back.
        changes: How many incoming changes it merges.
        batches: In how many batches they came.
    """

    mode: Literal["read", "write", "run"]
    function: Callable[[apsw.Connection], _Result]
    done: Callable[[_Result], None]
    failed: Callable[[BaseException], None]
    changes: int = 0
    batches: int = 0


class Batch(NamedTuple):
    """Complete changes of some versions of the other side, or a piece of them that is too big to wait for the
    rest.

    Args:
        epoch: The sender's epoch.
        until: The version they reach.
        whole: Whether that is everything up to there; a piece leaves the cursor where it is.
        rows: The changes.
        size: Bytes of the frames they came in.
    """

    epoch: bytes
    until: int
    whole: bool
    rows: list[Change]
    size: int


class Introduction(NamedTuple):
    """What a client says of itself in `Hello`."""

    site_id: bytes
    cursors: list[Cursor]
    tables: list[TableAnnouncement]
    cookie: object


class Settlement(NamedTuple):
    """What a client makes of the server's `Welcome`.

    Args:
        forked: Whether the server knows a history of this site id that is not this file's.
        epoch: The client's newest epoch.
        push_since: The version after which to push.
        push_all_until: The version up to which everything is pushed, whoever wrote it.
    """

    forked: bool
    epoch: bytes
    push_since: int
    push_all_until: int


class Greeting(NamedTuple):
    """What a server says of itself in `Welcome`."""

    epoch: bytes
    version: int
    known: Cursor | None
    since: int
    reset: bool
    unmet: bool
    tables: list[TableAnnouncement]
    cookie: object
    size: int


class Outgoing(NamedTuple):
    """An encoded part of the own changes.

    Args:
        frame: The message, or None if there is nothing to send.
        until: The version the batch reaches.
        latest: The newest version when it was read.
        resume: Where the next part begins, None after the last.
        tables: All own tables, if the schema is not the one announced last.
        cookie: The schema it was read under.
        oversized: Changes that are too big for any frame and so were left out.
    """

    frame: bytes | str | None
    until: int
    latest: int
    resume: Resume | None
    tables: list[TableAnnouncement] | None
    cookie: object
    oversized: list[Change]


class Drained(NamedTuple):
    """What became of the parked changes.

    Args:
        merged: How many were merged because their table and column are there now.
        tables: The tables there are now.
        cookie: The schema that this is.
    """

    merged: int
    tables: list[TableAnnouncement]
    cookie: object


class TakenIn(NamedTuple):
    """What became of incoming changes.

    Args:
        before: The own latest version before.
        after: And after; the same if nothing was new.
        refused: Changes that were not applied.
        parked: Changes that wait for their table or column.
        turned_away: How many more of those could not be kept.
        frames: The applied changes encoded for others, as versions ``before`` to ``after``; empty if not
            asked for.
        is_shared: Whether there are changes of other clients among them.
    """

    before: int
    after: int
    refused: list[Refusal]
    parked: list[Refusal]
    turned_away: int
    frames: list[bytes]
    is_shared: bool = False


def introduce(conn: apsw.Connection, catalog: Catalog) -> Introduction:
    """Prepare a client's database and say who it is (write)."""
    ledger.create_ledger(conn)
    return Introduction(
        site_id=_site_id(conn),
        cursors=ledger.server_cursors(conn, _KNOWN_SERVERS),
        tables=announce(conn, catalog),
        cookie=catalog.cookie(conn),
    )


def greet(
    conn: apsw.Connection,
    catalog: Catalog,
    site_id: bytes,
    cursors: Sequence[Cursor],
    translate: Callable[[apsw.Connection, Sequence[Cursor]], int] | None = None,
) -> Greeting:
    """Look up what a server knows of a client, and whether the client's cursor is of this history (read).

    Args:
        conn: The server's database.
        catalog: Its catalogue.
        site_id: The client's site id.
        cursors: How far the client has which server.
        translate: Tells up to which version here a client has everything by its cursors at other nodes.
    """
    own = _site_id(conn)
    cursor = next((cursor for cursor in cursors if cursor.site_id == own), None)
    reset = cursor is not None and not is_known(conn, cursor)
    since = 0 if cursor is None or reset else cursor.version
    if translate is not None and not reset:
        since = max(since, translate(conn, cursors))
    return Greeting(
        epoch=current_epoch(conn),
        version=catalog.latest_version(conn),
        known=ledger.peer_cursor(conn, site_id),
        since=since,
        reset=reset,
        unmet=reset or (cursor is None and not since),
        tables=announce(conn, catalog),
        cookie=catalog.cookie(conn),
        size=_database_size(conn),
    )


def settle(
    conn: apsw.Connection, catalog: Catalog, known: Cursor | None, server: Cursor, reset: bool
) -> Settlement:
    """Check the server's view of this client's history, and note where its changes begin (write).

    Args:
        conn: The client's database.
        catalog: Its catalogue.
        known: How far the server says it has this client.
        server: The server's site id and epoch, and the version after which it will begin.
        reset: Whether the server did not recognise this client's cursor. It has lost what others had given
            it, so all that is here must be pushed again, and that is remembered until it is done.
    """
    epoch = current_epoch(conn)
    if known is not None and not is_known(conn, known):
        return Settlement(True, epoch, 0, 0)
    record = ledger.server_record(conn, server.site_id)
    if record is None or reset:
        push_all_until = catalog.latest_version(conn) if reset else 0
        ledger.meet_server(conn, server, push_all_until)
    else:
        push_all_until = record.push_all_until
    push_since = 0 if known is None or push_all_until else known.version
    return Settlement(False, epoch, push_since, push_all_until)


def disown_server(conn: apsw.Connection) -> None:
    """Prepare a client whose file is a copy of the server's for its new site id (write).

    What it wrote so far bears the server's id, so it would seem to have come from there. A cursor that the
    server cannot know makes both exchange everything anew.
    """
    ledger.meet_server(conn, Cursor(_site_id(conn), current_epoch(conn), 0), push_all_until=0)


def begin_with(conn: apsw.Connection, cursor: Cursor) -> None:
    """Note that a client has everything of a server up to a cursor, from a snapshot (write)."""
    ledger.create_ledger(conn)
    ledger.meet_server(conn, cursor, push_all_until=0)


def finish_push_all(conn: apsw.Connection, site_id: bytes) -> None:
    """Note that the server has acknowledged everything that had to be pushed anew (write)."""
    conn.execute("UPDATE replicell_servers SET push_all_until = 0 WHERE site_id = ?", (site_id,))


def register(conn: apsw.Connection, cursor: Cursor) -> None:
    """Note a client's newest epoch, so that a copy of its file that lives on beside it is found out
    (write)."""
    ledger.restart_peer(conn, cursor)


def read_outgoing(
    conn: apsw.Connection,
    catalog: Catalog,
    *,
    position: int,
    since: int,
    exclude: bytes | None,
    batch: int,
    part: int,
    resume: Resume | None,
    cookie: object,
    encoding: Encoding,
    max_bytes: int,
    max_changes: int,
    max_frame: int | None = None,
) -> Outgoing:
    """Read and encode the next part of the own changes (read).

    Args:
        conn: The database.
        catalog: Its catalogue.
        position: The version after which to read.
        since: The version that the receiver has been brought to.
        exclude: The receiver's site id, whose own changes it need not get back.
        batch: The batch's number.
        part: The part's number in it.
        resume: Where the part begins, None for the first.
        cookie: The schema that was announced last.
        encoding: How the receiver wants it.
        max_bytes: About the biggest frame.
        max_changes: The most changes in a frame.
        max_frame: The biggest frame that the receiver takes; a value that does not fit is left out.
    """
    if max_frame is not None:
        max_bytes = min(max_bytes, max_frame // 4)
    page = read_page(
        conn, catalog, position, exclude=exclude, resume=resume, max_bytes=max_bytes, max_changes=max_changes
    )
    changes, oversized = page.changes, list[Change]()
    if max_frame is not None:
        changes, oversized = _fitting(changes, max_frame - max_bytes)
    frame = None
    if changes or part:
        message = Changes(current_epoch(conn), since, page.until, batch, part, page.resume is None, changes)
        frame = encode(message, encoding)
    seen = catalog.last_cookie
    tables = announce(conn, catalog) if seen != cookie else None
    return Outgoing(frame, page.until, page.latest, page.resume, tables, seen, oversized)


def take_in(
    conn: apsw.Connection,
    catalog: Catalog,
    batches: Sequence[Batch],
    site_id: bytes,
    store_cursor: Callable[[apsw.Connection, Cursor], None],
    *,
    trusted: bool,
    batch: int | None = None,
    turned_down: Sequence[Refusal] = (),
    limits: Limits | None = None,
    since: int | None = None,
) -> TakenIn:
    """Judge and merge incoming changes and move the cursor, all in one transaction (write).

    Args:
        conn: The database.
        catalog: Its catalogue.
        batches: What came, in order.
        site_id: The direct neighbour it came from, who becomes its author here.
        store_cursor: Remembers how far the neighbour's changes are here.
        trusted: See `sift_changes`.
        batch: The number under which to encode the applied changes for others, None for not at all.
        turned_down: Changes that are refused already.
        limits: How big values and the database may be, None for as big as they like.
        since: The version before the transaction, None if nothing was written in it yet.
    """
    changes = batches[0].rows if len(batches) == 1 else [change for one in batches for change in one.rows]
    too_much: list[Refusal] = []
    if turned_down:
        known = {id(refusal.change) for refusal in turned_down}
        changes = [change for change in changes if id(change) not in known]
    if limits is not None:
        changes, too_much = within_limits(conn, changes, limits)
    accepted, refused, unknown = sift_changes(conn, catalog, changes, trusted=trusted)
    before = catalog.version_of_last_tables(conn) if since is None else since
    refused.extend((*turned_down, *too_much))
    for failure in reversed(merge_changes(conn, catalog, accepted, site_id)):
        refused.append(Refusal(accepted.pop(failure.place), "conflict", failure.reason))
    turned_away = ledger.park(conn, site_id, [refusal.change for refusal in unknown]) if unknown else 0
    store_cursor(conn, _cursor_after(batches, site_id))
    after = catalog.version_of_last_tables(conn) if accepted else before
    frames = (
        _encode_parts(current_epoch(conn), before, after, batch, accepted, MAX_PAGE_BYTES)
        if batch is not None and after > before
        else []
    )
    return TakenIn(before, after, refused, unknown, turned_away, frames)


def _cursor_after(batches: Sequence[Batch], site_id: bytes) -> Cursor:
    if len(batches) == 1 and batches[0].whole:
        return Cursor(site_id, batches[0].epoch, batches[0].until)
    whole = max((batch.until for batch in batches if batch.whole), default=0)
    begun = max((batch.until for batch in batches if not batch.whole), default=0)
    return Cursor(site_id, batches[-1].epoch, whole, begun)


def row_changes(conn: apsw.Connection, catalog: Catalog, table: str, pk: bytes) -> list[Change]:
    """Read all changes that make up a row (read); none if it has never been here."""
    known = catalog.tables(conn).get(table)
    return [] if known is None else read_row(conn, known, pk)


def drain_parked(conn: apsw.Connection, catalog: Catalog, *, trusted: bool) -> Drained:
    """Merge the parked changes whose table and column are there now (write)."""
    merged = _drain(conn, catalog, trusted) if ledger.count_parked(conn) else 0
    return Drained(merged, announce(conn, catalog), catalog.cookie(conn))


def _drain(conn: apsw.Connection, catalog: Catalog, trusted: bool) -> int:
    tables = [(table.name, (ROW, *table.key, *table.columns)) for table in catalog.tables(conn).values()]
    # The neighbours in order of their first change, as it would have been without the wait.
    by_neighbour: dict[bytes, list[Change]] = {}
    for parked in ledger.take_parked(conn, tables):
        by_neighbour.setdefault(parked.site_id, []).append(parked.change)
    merged = 0
    for site_id, changes in by_neighbour.items():
        accepted, refused, _ = sift_changes(conn, catalog, changes, trusted=trusted)
        failures = merge_changes(conn, catalog, accepted, site_id)
        for reason in (*(refusal.reason for refusal in refused), *(failure.reason for failure in failures)):
            _log.warning("a parked change is given up: %s", reason)
        merged += len(accepted) - len(failures)
    return merged


def _fitting(changes: list[Change], limit: int) -> tuple[list[Change], list[Change]]:
    oversized = [change for change in changes if change_size(change) > limit]
    if not oversized:
        return changes, oversized
    return [change for change in changes if change_size(change) <= limit], oversized


def _encode_parts(
    epoch: bytes, since: int, until: int, batch: int, changes: list[Change], max_bytes: int
) -> list[bytes]:
    parts = list(cut_parts(changes, max_bytes))
    frames = [
        encode(Changes(epoch, since, until, batch, number, number + 1 == len(parts), part))
        for number, part in enumerate(parts)
    ]
    return [frame for frame in frames if isinstance(frame, bytes)]


def _database_size(conn: apsw.Connection) -> int:
    pages: Any = conn.execute("PRAGMA page_count").get
    page_size: Any = conn.execute("PRAGMA page_size").get
    return int(pages) * int(page_size)


def _site_id(conn: apsw.Connection) -> bytes:
    site_id: Any = conn.execute("SELECT crsql_site_id()").get
    return bytes(site_id)
