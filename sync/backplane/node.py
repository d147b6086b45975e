"""A server as a node of a cluster: ties each room that it opens to the room's log."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from time import monotonic
from weakref import WeakSet

import apsw

from replicell.errors import ReplicellError
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.sync.backplane.in_process import InProcessBackplane
from replicell.sync.backplane.interface import Backplane, StreamReplacedError
from replicell.sync.backplane.journal import create_journal
from replicell.sync.backplane.link import RoomLink
from replicell.sync.backplane.options import LinkOptions
from replicell.sync.backplane.snapshots import bootstrap
from replicell.sync.overview import ClusterOverview
from replicell.sync.room import Room

__all__ = ["Node"]

_log = logging.getLogger("replicell.sync.backplane")


class Node:
    """Ties rooms to their logs; on a server that is alone it does nothing.

    Args:
        backplane: Where the logs are; None for a server on its own.
        options: Times and sizes.
    """

    def __init__(self, backplane: Backplane | None = None, options: LinkOptions | None = None) -> None:
        self.backplane: Backplane = backplane or InProcessBackplane(shared=False)
        self._options = options or LinkOptions()
        self._links: WeakSet[RoomLink] = WeakSet()
        self._repairs = 0

    def overview(self) -> ClusterOverview | None:
        """Return how the node gets on with the other ones; None on a server that is alone."""
        if not self.backplane.shared:
            return None
        since = [link.waiting_since for link in self._links]
        oldest = min((each for each in since if each is not None), default=None)
        waiting = 0.0 if oldest is None else monotonic() - oldest
        return ClusterOverview(self.backplane.connected, waiting, self._repairs)

    async def prepare(self, name: str, path: Path) -> None:
        """Begin a room's file with a snapshot, if there is no file and there is a snapshot.

        Whatever is in the way, the room begins: empty, and what is in its log is merged afterwards.
        """
        if not self.backplane.shared or await asyncio.to_thread(path.exists):
            return
        patience = self._options.catch_up_timeout
        try:
            async with asyncio.timeout(patience):
                log = await self.backplane.open_room(name)
            try:
                if await bootstrap(log, path, patience):
                    _log.info("room %r begins with a snapshot", name)
            finally:
                await log.close()
        except TimeoutError:
            _log.warning("room %r begins empty: nothing of its log has come for %g s", name, patience)
        except StreamReplacedError as error:
            _log.warning("room %r begins empty: %s", name, error)
        except (ReplicellError, apsw.Error, OSError) as error:
            _log.error("room %r begins empty, for its snapshot cannot be taken: %s", name, error)

    async def tie(self, name: str, db: CrSqliteDatabase, room: Room, origin: object) -> RoomLink | None:
        """Tie an open room to its log, and let it catch up; None on a server that is alone.

        Args:
            name: The room's name.
            db: Its database.
            room: The room.
            origin: What the writes of the room are marked with.
        """
        if not self.backplane.shared:
            return None
        await db.write(create_journal, origin=origin)
        link = RoomLink(
            name=name,
            db=db,
            room=room,
            backplane=self.backplane,
            origin=origin,
            options=self._options,
            differs=self._count_repair,
        )
        self._links.add(link)
        room.replicator = link
        link.start()
        try:
            await link.catch_up()
        except BaseException:
            await link.close()
            raise
        return link

    def _count_repair(self) -> None:
        self._repairs += 1
