"""Ties one room of one node to the room's log: publishes what clients bring, and applies what others
published."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Final

import apsw

from replicell.errors import ReplicellError
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.epochs import Cursor
from replicell.sync.announcements import adopt_tables
from replicell.sync.backplane import journal, translation
from replicell.sync.backplane.entries import Part, decode_part, decode_publication
from replicell.sync.backplane.gossip import Gossip
from replicell.sync.backplane.interface import (
    Backplane,
    BackplaneError,
    ConnectionReplacedError,
    Entry,
    RoomLog,
    StreamReplacedError,
    TrimmedError,
)
from replicell.sync.backplane.options import LinkOptions
from replicell.sync.backplane.publisher import Publisher
from replicell.sync.backplane.snapshots import read_snapshot, save_snapshot
from replicell.sync.jobs import TakenIn, drain_parked
from replicell.sync.ledger import LOG_SITE_ID
from replicell.sync.messages import TableAnnouncement
from replicell.sync.room import Room

__all__ = ["RoomLink"]

_log = logging.getLogger("replicell.sync.backplane")

_GROUP_BYTES: Final = 256 * 1024
_RETRY_SECONDS: Final = 1.0
_MAX_DEFERRED: Final = 256


class RoomLink:
    """Follows a room's log for as long as the room is open; it lives on the event loop of the room.

    Nothing depends on an entry coming once: merging is idempotent.

    Args:
        name: The room's name.
        db: Its database.
        room: The room.
        backplane: Where the log is.
        origin: What the writes of the room are marked with.
        options: Times and sizes.
        differs: Called whenever it turns out that another node has something else.
    """

    def __init__(
        self,
        *,
        name: str,
        db: CrSqliteDatabase,
        room: Room,
        backplane: Backplane,
        origin: object,
        options: LinkOptions,
        differs: Callable[[], None],
    ) -> None:
        self._name = name
        self._db = db
        self._room = room
        self._catalog = room.catalog
        self._backplane = backplane
        self._origin = origin
        self._options = options
        self._run = os.urandom(8)
        self._task: asyncio.Task[None] | None = None
        self._publisher = Publisher(self._run, db, room.catalog)
        self._caught_up = asyncio.Event()
        self._target = 0
        self._position = 0
        self._noted = 0
        self._deferred: list[tuple[int, Part]] = []
        self._bytes_since_snapshot = 0
        self._counted_from = 0
        self._compacting = False
        self._jobs: set[asyncio.Task[None]] = set()
        self._gossip = Gossip(
            run=self._run,
            name=name,
            db=db,
            room=room,
            origin=origin,
            options=options,
            publisher=self._publisher,
            start_job=self._job,
            differs=differs,
        )

    @property
    def settled(self) -> bool:
        """Whether everything that is committed here is in the log."""
        return self._publisher.settled

    @property
    def waiting_since(self) -> float | None:
        """The monotonic time since when the oldest of what is committed here is not known to be in the log;
        None if all is, or the room is closed."""
        is_open = self._task is not None and not self._task.done()
        return self._publisher.waiting_since if is_open else None

    @property
    def position(self) -> int:
        """The sequence up to which the log is applied here."""
        return self._position

    def start(self) -> None:
        """Begin to follow the log."""
        self._task = asyncio.get_running_loop().create_task(self._live())

    async def catch_up(self) -> bool:
        """Wait until all is applied that was in the log at the start, or for as long as the options say."""
        try:
            async with asyncio.timeout(self._options.catch_up_timeout):
                await self._caught_up.wait()
        except TimeoutError:
            _log.warning("room %r is served from disk: its log cannot be read yet", self._name)
            return False
        return True

    async def drain(self, timeout: float) -> bool:  # noqa: ASYNC109 - as asyncio.wait has it
        """Wait until everything is in the log; False if it took too long."""
        return await self._publisher.drain(timeout)

    async def close(self) -> None:
        """Stop; what is not published yet will be when the room is opened again."""
        tasks = [task for task in (self._task, *self._jobs) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def when_replicated(self, site_id: bytes, confirmed: Callable[[], None]) -> None:
        """Call back once all that is committed now is in the log."""
        self._publisher.when_replicated(site_id, confirmed)

    def changed(self) -> None:
        """Somebody else than a session has written to the database."""
        self._publisher.changed()

    def translate(self, conn: apsw.Connection, cursors: Sequence[Cursor]) -> int:
        """Return the version up to which a client has everything, by its cursors at other nodes (read)."""
        return translation.translate(conn, cursors)

    async def _live(self) -> None:
        while True:
            log: RoomLog | None = None
            try:
                log = await self._backplane.open_room(self._name)
                await self._begin(log)
                await log.listen(partial(self._gossip.hear, log))
                await self._together(
                    self._follow(log),
                    self._publisher.publish(log),
                    self._gossip.run(log, self._bring_journal_up_to_date),
                    self._gossip.relay.run(log),
                )
            except StreamReplacedError as error:
                _log.error("room %r: %s; everything is published anew", self._name, error)
            except ConnectionReplacedError as error:
                _log.warning("room %r begins to follow its log again: %s", self._name, error)
            except (ReplicellError, OSError) as error:
                _log.error("room %r stops following its log, and begins again: %s", self._name, error)
                await asyncio.sleep(_RETRY_SECONDS)
            except Exception:
                _log.exception("room %r stops following its log, and begins again", self._name)
                await asyncio.sleep(_RETRY_SECONDS)
            finally:
                self._publisher.interrupted()
                if log is not None:
                    await log.close()

    async def _together(self, *works: Coroutine[Any, Any, None]) -> None:
        """Run all until one fails, and raise its exception."""
        tasks = [asyncio.get_running_loop().create_task(work) for work in works]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            # Several may fail for the same reason, and one of them is enough to tell.
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _begin(self, log: RoomLog) -> None:
        state = await self._db.write(
            partial(journal.begin, catalog=self._catalog, identity=log.identity), origin=self._origin
        )
        self._publisher.begin(state)
        self._position = self._counted_from = state.position
        self._noted = state.pushed
        self._deferred = []
        self._gossip.begin(state.position)
        # What was being applied when the log was left may be committed, and nobody was told.
        self._room.changed()
        self._target = await log.last()
        self._reached(self._position)

    # -- what others have published --

    async def _follow(self, log: RoomLog) -> None:
        while True:
            try:
                async with aclosing(log.follow(self._position)) as coming:
                    async for entries in coming:
                        for group in _groups(entries):
                            await self._apply(group)
                        if (
                            self._bytes_since_snapshot >= self._options.snapshot_bytes
                            and not self._compacting
                        ):
                            self._compacting = True
                            self._job(self._compact(log))
            except TrimmedError as error:
                _log.info("room %r: %s", self._name, error)
                await self._load_snapshot(log)

    async def _apply(self, entries: Sequence[Entry]) -> None:
        foreign = False
        for sequence, payload in entries:
            self._bytes_since_snapshot += len(payload)
            part = self._decoded(payload)
            if part is None:
                continue
            if part.run == self._run:
                self._publisher.came_back(part)
            else:
                foreign = True
                if part.schema:
                    await self._apply_deferred()
                    await self._adopt(self._tables_in(part))
            self._deferred.append((sequence, part))
        # One's own entries are here already: noting them can wait, and cost no transaction of its own.
        if foreign or len(self._deferred) > _MAX_DEFERRED:
            await self._apply_deferred()
        self._reached(entries[-1].sequence)

    def _decoded(self, payload: bytes) -> Part | None:
        try:
            return decode_part(payload)
        except BackplaneError as error:
            _log.error("room %r: %s", self._name, error)
            return None

    def _tables_in(self, part: Part) -> list[TableAnnouncement]:
        try:
            return decode_publication(part.chunk).tables or []
        except BackplaneError as error:
            _log.error("room %r: %s", self._name, error)
            return []

    async def _apply_deferred(self) -> None:
        parts, self._deferred = self._deferred, []
        if not parts:
            return
        apply = partial(
            journal.apply_parts,
            catalog=self._catalog,
            parts=parts,
            run=self._run,
            site_id=self._db.site_id,
            pushed=self._publisher.pushed_and_back,
            parked=self._publisher.parked,
            batch=self._room.next_batch(),
        )
        self._came_from_log(await self._db.write(apply, origin=self._origin))

    def _took_in(self, taken: TakenIn) -> None:
        for refusal in taken.refused:
            _log.error("room %r: a change of another node does not fit: %s", self._name, refusal.reason)
        self._room.committed(taken, LOG_SITE_ID)

    def _came_from_log(self, taken: TakenIn) -> None:
        if taken.after > taken.before:
            self._publisher.came_from_log(taken.before, taken.after)
        self._took_in(taken)

    async def _adopt(self, tables: list[TableAnnouncement]) -> None:
        adopt = partial(adopt_tables, catalog=self._catalog, tables=tables, policy=self._room.schema_policy)
        problems = await self._db.run(adopt, origin=self._origin)
        if problems:
            _log.warning("room %r: not taken over from another node: %s", self._name, "; ".join(problems))
        drain = partial(drain_parked, catalog=self._catalog, trusted=True)
        drained = await self._db.write(drain, origin=self._origin)
        self._room.describe(drained.tables, drained.cookie)
        if drained.merged:
            self._room.changed()

    def _reached(self, position: int) -> None:
        self._position = max(self._position, position)
        if self._position >= self._target:
            self._caught_up.set()
        self._gossip.reached(self._position)

    async def _compact(self, log: RoomLog) -> None:
        """Keep a snapshot in place of the entries, once these are more than the room itself."""
        try:
            # All nodes have counted the same; one of them will do.
            await asyncio.sleep(random.random() * self._options.snapshot_jitter)
            if self._bytes_since_snapshot > await self._db.read(_size):
                if await log.snapshot_position() <= self._counted_from:
                    await save_snapshot(log, self._db)
                self._bytes_since_snapshot = 0
                self._counted_from = self._position
        finally:
            self._compacting = False

    async def _load_snapshot(self, log: RoomLog) -> None:
        snapshot = await read_snapshot(log, self._db, self._position)
        if snapshot is None:
            raise BackplaneError(f"the log of room {self._name!r} is trimmed, and there is no snapshot of it")
        await self._adopt(snapshot.tables)
        if snapshot.unlogged:
            # Of its cells the log may have older values, which are not in the snapshot, or none any more.
            merge_unlogged = partial(
                journal.merge_unlogged,
                catalog=self._catalog,
                rows=snapshot.unlogged,
                batch=self._room.next_batch(),
            )
            self._took_in(await self._db.write(merge_unlogged, origin=self._origin))
            self._publisher.changed()
        merge = partial(
            journal.merge_snapshot,
            catalog=self._catalog,
            rows=snapshot.rows,
            position=snapshot.position,
            parts=snapshot.parts,
            batch=self._room.next_batch(),
        )
        self._came_from_log(await self._db.write(merge, origin=self._origin))
        position = snapshot.position
        _log.info("room %r: a snapshot of %d changes was merged", self._name, len(snapshot.rows))
        self._bytes_since_snapshot = 0
        self._counted_from = position
        self._reached(position)

    async def _bring_journal_up_to_date(self) -> None:
        """Note what could wait, and up to where nothing is left to be published, should no entry have said
        so."""
        await self._apply_deferred()
        pushed = self._publisher.pushed
        if self._publisher.all_is_back and not self._deferred and pushed > self._noted:
            self._noted = pushed
            await self._db.write(partial(journal.note_pushed, pushed=pushed), origin=self._origin)

    def _job(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._jobs.add(task)
        task.add_done_callback(self._job_done)

    def _job_done(self, task: asyncio.Task[None]) -> None:
        self._jobs.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _log.error("room %r: %s", self._name, task.exception(), exc_info=task.exception())


def _groups(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Cut entries so that other writers need not wait long for each transaction."""
    groups: list[list[Entry]] = []
    size = _GROUP_BYTES
    for entry in entries:
        if size >= _GROUP_BYTES:
            groups.append([])
            size = 0
        groups[-1].append(entry)
        size += len(entry.payload)
    return groups


def _size(conn: apsw.Connection) -> int:
    pages, size = conn.execute("PRAGMA page_count").get, conn.execute("PRAGMA page_size").get
    return int(pages or 0) * int(size or 0)
