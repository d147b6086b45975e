"""Publishes what is committed at one node to a room's log."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import islice
from time import monotonic

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.sync.backplane import journal
from replicell.sync.backplane.entries import Part, Publication, cut
from replicell.sync.backplane.interface import RoomLog
from replicell.sync.backplane.repair import Repetition

__all__ = ["Publisher"]


class Publisher:
    """Publishes in the order of the versions, one publication at a time; what comes together meanwhile goes
    together.

    Three versions tell where it is. Up to ``pushed`` all is in the log or came from it; an own publication
    counts as ``returned`` once it was read back; and what the journal notes as pushed has returned.

    Args:
        run: The node's present life.
        db: The room's database.
        catalog: The database's catalogue.
    """

    def __init__(self, run: bytes, db: CrSqliteDatabase, catalog: Catalog) -> None:
        self._run = run
        self._db = db
        self._catalog = catalog
        self._dirty = asyncio.Event()
        self._idle = asyncio.Event()
        self._publishing = True
        self._dirty_since: float | None = None
        self._publishing_since: float | None = None
        self._waiting: list[Callable[[], None]] = []
        self._repetitions: deque[Repetition] = deque()
        self._sites: set[bytes] = set()
        self._push_all_until = 0
        self._cookie: object = None
        self._batch = 0
        self._returned = 0
        self._returned_at = 0
        self.pushed = 0
        self.parked = 0
        self.needed = 0
        """The sequence of the newest own entry."""

    @property
    def settled(self) -> bool:
        """Whether everything that is committed here is in the log."""
        return not self._publishing and not self._dirty.is_set()

    @property
    def waiting_since(self) -> float | None:
        """The monotonic time since when the oldest of what is committed here is not known to be in the log;
        None if all is."""
        return self._dirty_since if self._publishing_since is None else self._publishing_since

    @property
    def all_is_back(self) -> bool:
        """Whether all that was published has been read back."""
        return self._returned == self._batch

    @property
    def pushed_and_back(self) -> int:
        """The version up to which nothing is under way."""
        return self.pushed if self.all_is_back else self._returned_at

    @property
    def has_sites(self) -> bool:
        """Whether there are clients of whom the other nodes do not know how far they are here."""
        return bool(self._sites)

    def begin(self, state: journal.JournalState) -> None:
        """Take up a log where it was left; everything that is not in it is published again."""
        self.pushed, self.parked = state.pushed, state.parked
        self._push_all_until = state.push_all_until
        self._returned, self._returned_at = self._batch, state.pushed
        self._cookie = None
        self._mark_dirty()

    def interrupted(self) -> None:
        """The log is not followed for now, so nothing is known to be in it."""
        self._publishing = True

    def when_replicated(self, site_id: bytes, confirmed: Callable[[], None]) -> None:
        """Call back once all that is committed now is in the log."""
        self._sites.add(site_id)
        self._waiting.append(confirmed)
        self._mark_dirty()

    def changed(self) -> None:
        """The database was written by somebody."""
        self._mark_dirty()

    def came_from_log(self, before: int, after: int) -> None:
        """The versions after one up to another came from the log: they need not even be read."""
        if self.pushed == before:
            self.pushed = after
        else:
            self._mark_dirty()

    def came_back(self, part: Part) -> None:
        """An own entry was read from the log."""
        if part.last:
            self._returned, self._returned_at = part.batch, part.until

    def repeat(self, repetition: Repetition) -> None:
        """Publish something once more, in between what is new."""
        self._repetitions.append(repetition)
        self._cookie = None
        self._mark_dirty()

    def take_sites(self, count: int) -> set[bytes]:
        """Take out some clients that the other nodes are to be told about."""
        taken = set(islice(self._sites, count))
        self._sites -= taken
        return taken

    def return_sites(self, sites: set[bytes]) -> None:
        """They were not told about after all."""
        self._sites |= sites

    async def drain(self, timeout: float) -> bool:  # noqa: ASYNC109 - as asyncio.wait has it
        """Wait until everything is in the log; False if it took too long."""
        try:
            async with asyncio.timeout(timeout):
                while not self.settled:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def publish(self, log: RoomLog) -> None:
        """Publish whatever is committed, as soon as it is, and tell those who wait for it."""
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            self._publishing = True
            self._publishing_since, self._dirty_since = self._dirty_since, None
            waiting, self._waiting = self._waiting, []
            try:
                await self._publish_all(log)
            except BaseException:
                self._waiting = waiting + self._waiting
                self._dirty_since = self.waiting_since
                self._mark_dirty()
                raise
            finally:
                self._publishing_since = None
            self._publishing = False
            for confirmed in waiting:
                confirmed()
            self._idle.set()
            await self._repeat_next()

    def _mark_dirty(self) -> None:
        if self._dirty_since is None:
            self._dirty_since = monotonic()
        self._dirty.set()

    async def _publish_all(self, log: RoomLog) -> None:
        """Publish all that was committed when this was called."""
        goal: int | None = None
        done = False
        while not done:
            sites, self._sites = self._sites, set()
            told = False
            try:
                found = await self._read(sites)
                goal = found.latest if goal is None else goal
                await self._publish_found(log, found)
                told = bool(found.publication.rows) and found.publication.complete
            finally:
                if not told:
                    self.return_sites(sites)
            self.parked = found.parked
            self.pushed = max(self.pushed, found.publication.version)
            done = self.pushed >= goal and not found.more_parked
            if self.pushed >= self._push_all_until:
                self._push_all_until = 0

    async def _read(self, sites: set[bytes]) -> journal.Unpublished:
        read = partial(
            journal.read_unpublished,
            catalog=self._catalog,
            pushed=self.pushed,
            parked=self.parked,
            push_all_until=self._push_all_until,
            cookie=self._cookie,
            sites=sites,
        )
        return await self._db.read(read)

    async def _publish_found(self, log: RoomLog, found: journal.Unpublished) -> None:
        if found.publication.rows:
            if found.tables is not None:
                await self._append(log, found.tables)
                self._cookie = found.cookie
            await self._append(log, found.publication)

    async def _repeat_next(self) -> None:
        if self._repetitions:
            if not await self._repetitions[0].next():
                self._repetitions.popleft()
            self._mark_dirty()

    async def _append(self, log: RoomLog, publication: Publication) -> None:
        self._batch += 1
        parts = cut(
            publication,
            run=self._run,
            site_id=self._db.site_id,
            batch=self._batch,
            since=self.pushed,
            max_payload=log.max_payload,
        )
        for part, payload in parts:
            self.needed = await log.append(payload, part.message_id)
