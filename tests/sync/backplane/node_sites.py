"""A node's database with a journal, without a network: what it publishes and applies is given by hand."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.changes import Change
from replicell.persisters.crsqlite.connection import transaction
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.epochs import Cursor
from replicell.persisters.crsqlite.keys import pack_key
from replicell.persisters.crsqlite.schema import TableSchema
from replicell.sync import ledger
from replicell.sync.backplane import journal, translation
from replicell.sync.backplane.entries import Part, Publication, Step, cut
from replicell.sync.jobs import TakenIn
from tests.sync.support import TODO, Site, put

OWN_RUN, OTHER_RUN = b"own run.", b"another."
OTHER = b"another node's id"[:16]
EPOCH = b"e" * 16
CLIENT = b"a client's id..."


class NodeSite(Site):
    """A node's database with a journal."""

    def __init__(self, *, tables: tuple[TableSchema, ...] = (TODO,)) -> None:
        super().__init__(tables=tables)
        with transaction(self.conn):
            ledger.create_ledger(self.conn)
            journal.begin(self.conn, self.catalog, "the log")
        self.site_id = bytes(self.value("SELECT crsql_site_id()"))

    def value(self, sql: str, *bindings: Any) -> Any:
        return self.conn.execute(sql, bindings).get

    @property
    def version(self) -> int:
        return self.catalog.latest_version(self.conn)

    def apply(self, *parts: tuple[int, Part], pushed: int = 0, run: bytes = OWN_RUN) -> TakenIn:
        with transaction(self.conn):
            return journal.apply_parts(
                self.conn,
                self.catalog,
                parts,
                run=run,
                site_id=self.site_id,
                pushed=pushed,
                parked=0,
                batch=1,
            )

    def unpublished(self, pushed: int = 0, *, sites: Sequence[bytes] = (), until: int = 0) -> Publication:
        with transaction(self.conn, immediate=False):
            found = journal.read_unpublished(
                self.conn,
                self.catalog,
                pushed=pushed,
                parked=0,
                push_all_until=until,
                cookie=None,
                sites=sites,
            )
        return found.publication

    def steps(self) -> list[Step]:
        """What the node tells of itself, the newest first."""
        with transaction(self.conn, immediate=False):
            return journal.read_beacon(self.conn, self.catalog, ()).steps

    def hear(self, other: NodeSite) -> None:
        """Note what another node tells of itself."""
        with transaction(other.conn, immediate=False):
            state = journal.read_beacon(other.conn, other.catalog, ())
        with transaction(self.conn):
            translation.note_told_steps(self.conn, other.site_id, state.epochs, state.steps)

    def translate(self, *cursors: Cursor) -> int:
        return translation.translate(self.conn, cursors)


def cell(key: str, text: str) -> Change:
    return Change("todo", pack_key((key,)), "text", text, 1, 1, 0, 1)


def published(
    *rows: Change, version: int = 1, position: int = 0, peers: Sequence[Cursor] = ()
) -> Publication:
    return Publication(EPOCH, version, position, True, None, list(rows), list(peers))


def parts_of(
    publication: Publication,
    *,
    batch: int = 1,
    run: bytes = OTHER_RUN,
    site_id: bytes = OTHER,
    since: int = 0,
    size: int = 10**6,
) -> list[Part]:
    return [
        part
        for part, _ in cut(publication, run=run, site_id=site_id, batch=batch, since=since, max_payload=size)
    ]


def one_part(publication: Publication, **options: Any) -> Part:
    (part,) = parts_of(publication, **options)
    return part


async def journaled(room: CrSqliteDatabase) -> CrSqliteDatabase:
    """Give a room's database a row, and a place in its log."""
    await room.write(journal.create_journal)
    await room.write(partial(journal.begin, catalog=Catalog(), identity="the log"))
    await room.execute("UPDATE replicell_log SET position = 1")
    await put(room, "1", "x")
    return room
