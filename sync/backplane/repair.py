"""Anti-entropy: nodes that the log will not bring any closer compare their content, and what differs is
published once more.

That should never be; it is for what nobody has thought of: entries that somebody has purged from the stream,
a file that was edited by other means, a disk that forgot. What is published for one node is in the log for
all, those that come later among them, and may be as big as anything in the log.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from functools import partial
from hashlib import blake2b
from typing import Final
from zlib import crc32

import msgspec

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.changes import Change, Resume, read_page
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.renewing import renew_changes
from replicell.sync.backplane.entries import AskRows, Beacon
from replicell.sync.backplane.journal import UNLOGGED_SITE_ID

__all__ = ["BUCKETS", "Repairer", "Repetition"]

BUCKETS: Final = 64
"""How many parts the content is divided into, by the rows' keys."""

_MOST_ASKED: Final = 3
"""So often the same difference is asked about; if that does not help, they do not take the same tables."""
_MOST_REMEMBERED: Final = 100 * BUCKETS

_pack = msgspec.msgpack.Encoder().encode


class Repetition:
    """Renews what a room holds in some parts, so that it is published again and given to all clients again.

    To those of this node, too: some may have been taken for having it from the node that lacks it.

    Args:
        db: The room's database.
        catalog: The database's catalogue.
        buckets: The numbers of the parts.
    """

    def __init__(self, db: CrSqliteDatabase, catalog: Catalog, buckets: Collection[int]) -> None:
        self._db = db
        self._catalog = catalog
        self._wanted = frozenset(buckets)
        self._content = _Content(db, catalog)
        self._until: int | None = None

    async def next(self) -> bool:
        """Renew the next page; False if there is none any more."""
        if self._until is None:
            latest = await self._db.read(self._catalog.latest_version)
            self._until = latest
        until = self._until
        # What was renewed comes again at the end.
        while self._content.since < until and (changes := await self._content.next()) is not None:
            rows = [change for change in changes if _bucket(change) in self._wanted]
            if rows and await self._renew(rows, until):
                return True
        return False

    async def _renew(self, rows: list[Change], until: int) -> int:
        renew = partial(
            renew_changes, catalog=self._catalog, changes=rows, site_id=UNLOGGED_SITE_ID, until=until
        )
        return await self._db.write(renew)


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
        self._compared: set[tuple[int, ...]] = set()
        self._answered: set[int] = set()
        self._asked: Counter[tuple[int, int, int]] = Counter()
        self._unanswered: AskRows | None = None
        self._repeats = 0
        self.own: list[int] = []
        """The newest digest, empty for none."""

    async def digest(self, position: int, in_log: Callable[[int], bool] = lambda _: True) -> list[int]:
        """Return a fingerprint of each part of the content; empty if it is known or has changed meanwhile, or
        if some of it is not in the log yet.

        Args:
            position: Where the node is in the log.
            in_log: Tells whether all up to a version is in the log.
        """
        before = await self._db.read(self._catalog.latest_version)
        if (before, position) == (self._version, self.position):
            return []
        digest = [0] * BUCKETS
        content = _Content(self._db, self._catalog)
        while (changes := await content.next()) is not None:
            for change in changes:
                digest[_bucket(change)] ^= _fingerprint(change)
        if await self._db.read(self._catalog.latest_version) != before or not in_log(before):
            return []
        self._version, self.position, self.own = before, position, digest
        self._compared.clear()
        self._answered.clear()
        self._unanswered = None
        return digest

    def compare(self, beacon: Beacon) -> AskRows | None:
        """Return what to ask another node for, None if nothing differs that has not been asked for before."""
        if len(beacon.digest) != BUCKETS or not self.own:
            return None
        known = tuple(beacon.digest)
        if known in self._compared:
            return None
        self._compared.add(known)
        differing = [
            (bucket, ours, theirs)
            for bucket, (ours, theirs) in enumerate(zip(self.own, beacon.digest, strict=True))
            if ours != theirs and self._asked[bucket, ours, theirs] < _MOST_ASKED
        ]
        if not differing:
            return None
        if len(self._asked) > _MOST_REMEMBERED:
            self._asked.clear()
        self._asked.update(differing)
        self._unanswered = AskRows(self._run, beacon.run, [bucket for bucket, _, _ in differing])
        self._repeats = 0
        return self._unanswered

    def ask_again(self) -> AskRows | None:
        """Return what was asked for and has changed nothing since, for what is told may get lost."""
        self._repeats += 1
        return self._unanswered if self._repeats <= _MOST_ASKED else None

    def answer(self, ask: AskRows) -> Repetition | None:
        """Return what to publish for a node that has asked, None if it was published for another one."""
        buckets = set(ask.buckets) - self._answered
        self._answered |= buckets
        return Repetition(self._db, self._catalog, buckets) if buckets else None


class _Content:
    """All of a room's changes, page by page."""

    def __init__(self, db: CrSqliteDatabase, catalog: Catalog) -> None:
        self._db = db
        self._catalog = catalog
        self.since = 0
        """The version up to which everything was read."""
        self._resume: Resume | None = None

    async def next(self) -> list[Change] | None:
        page = await self._db.read(
            partial(read_page, catalog=self._catalog, since=self.since, resume=self._resume)
        )
        self.since = self.since if page.resume is not None else page.until
        self._resume = page.resume
        return page.changes or None


def _bucket(change: Change) -> int:
    return crc32(change.pk, crc32(change.table.encode())) % BUCKETS


def _fingerprint(change: Change) -> int:
    content = _pack((change.table, change.pk, change.cid, change.val, change.col_version, change.cl))
    return int.from_bytes(blake2b(content, digest_size=8).digest()) >> 1
