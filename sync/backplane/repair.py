"""Anti-entropy: nodes that stand at the same place of a room's log compare their content, and fetch from each
other what differs.

That should never be; it is for what nobody has thought of: entries that somebody has purged from the stream,
a file that was edited by other means, a disk that forgot.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from functools import partial
from hashlib import blake2b
from typing import Final
from zlib import crc32

import msgspec

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.changes import Change, Page, cut_parts, read_page
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.sync.announcements import announce
from replicell.sync.backplane.entries import AskRows, Beacon, Repair, encode_telling
from replicell.sync.backplane.interface import RoomLog

__all__ = ["BUCKETS", "Repairer"]

BUCKETS: Final = 64
"""How many parts the content is divided into, by the rows' keys."""

_log = logging.getLogger("replicell.sync.backplane")
_pack = msgspec.msgpack.Encoder().encode


class Repairer:
    """Compares a room's content with other nodes'.

    It costs a look at every cell, in small steps, so it is done rarely, and only when something is new.

    Args:
        run: The node's present life.
        db: The room's database.
        catalog: The database's catalogue.
    """

    def __init__(self, run: bytes, db: CrSqliteDatabase, catalog: Catalog) -> None:
        self._run = run
        self._db = db
        self._catalog = catalog
        self.position = -1
        """Where the node was in the log when the newest digest was taken."""
        self._version = -1
        self._settled: set[tuple[int, ...]] = set()
        self.own: list[int] = []
        """The newest digest, empty for none."""

    async def digest(self, position: int) -> list[int]:
        """Return a fingerprint of each part of the content; empty if it is known or has changed meanwhile.

        Args:
            position: Where the node is in the log.
        """
        before = await self._db.read(self._catalog.latest_version)
        if (before, position) == (self._version, self.position):
            return []
        digest = [0] * BUCKETS
        async for changes in self._everything():
            for change in changes:
                digest[_bucket(change)] ^= _fingerprint(change)
        if await self._db.read(self._catalog.latest_version) != before:
            return []
        self._version, self.position, self.own = before, position, digest
        self._settled.clear()
        return digest

    def compare(self, beacon: Beacon) -> AskRows | None:
        """Return what to ask another node for, None if nothing differs that has not been asked for before."""
        if len(beacon.digest) != BUCKETS or beacon.position != self.position:
            return None
        differing = [
            bucket
            for bucket, (ours, theirs) in enumerate(zip(self.own, beacon.digest, strict=True))
            if ours != theirs
        ]
        known = tuple(beacon.digest)
        if not differing or known in self._settled:
            return None
        self._settled.add(known)
        return AskRows(self._run, beacon.run, differing)

    async def answer(self, ask: AskRows, log: RoomLog) -> None:
        """Tell a node what it has asked for."""
        wanted = set(ask.buckets)
        limit = log.max_payload // 2
        tables = await self._db.read(partial(announce, catalog=self._catalog))
        async for changes in self._everything():
            rows = [change for change in changes if _bucket(change) in wanted]
            for part in cut_parts(rows, limit):
                payload = encode_telling(Repair(self._run, ask.run, tables, part))
                if len(payload) <= log.max_payload:
                    await log.tell(payload)
                else:
                    _log.error("a value is too big to be told to another node: it is not repaired")

    async def _everything(self) -> AsyncIterator[list[Change]]:
        since, page = 0, await self._read(0, None)
        while page.changes:
            yield page.changes
            since = since if page.resume is not None else page.until
            page = await self._read(since, page)

    async def _read(self, since: int, previous: Page | None) -> Page:
        resume = previous.resume if previous is not None else None
        return await self._db.read(partial(read_page, catalog=self._catalog, since=since, resume=resume))


def _bucket(change: Change) -> int:
    return crc32(change.pk, crc32(change.table.encode())) % BUCKETS


def _fingerprint(change: Change) -> int:
    content = _pack((change.table, change.pk, change.cid, change.val, change.col_version, change.cl))
    return int.from_bytes(blake2b(content, digest_size=8).digest()) >> 1
