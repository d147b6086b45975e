"""What the nodes that have a room open tell each other beside its log: how far they are with it, whether
their content is the same, and who is there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final, TypeAlias

import msgspec

from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.sync.backplane import journal
from replicell.sync.backplane.entries import AskRows, Beacon, Company, decode_telling, encode_telling
from replicell.sync.backplane.interface import BackplaneError, RoomLog
from replicell.sync.backplane.options import LinkOptions
from replicell.sync.backplane.presence_relay import PresenceRelay
from replicell.sync.backplane.publisher import Publisher
from replicell.sync.backplane.repair import Repairer
from replicell.sync.room import Room

__all__ = ["Gossip", "StartJob"]

_log = logging.getLogger("replicell.sync.backplane")

_PEERS_AT_ONCE: Final = 1000

StartJob: TypeAlias = Callable[[Coroutine[Any, Any, None]], None]
"""Runs something beside everything else, for as long as the room is open."""


class Gossip:
    """Tells the other nodes of one room at this one, and hears what they tell; any of it may get lost.

    Args:
        run: A random id of the node's present life.
        name: The room's name.
        db: Its database.
        room: The room.
        origin: What the writes of the room are marked with.
        options: Times.
        publisher: Knows what of this node is in the log.
        start_job: Runs what being told of something brings about.
        differs: Called whenever it turns out that another node has something else.
    """

    def __init__(
        self,
        *,
        run: bytes,
        name: str,
        db: CrSqliteDatabase,
        room: Room,
        origin: object,
        options: LinkOptions,
        publisher: Publisher,
        start_job: StartJob,
        differs: Callable[[], None],
    ) -> None:
        self._run = run
        self._name = name
        self._db = db
        self._room = room
        self._catalog = room.catalog
        self._origin = origin
        self._options = options
        self._publisher = publisher
        self._job = start_job
        self._differs = differs
        self._position = 0
        self._told = (0, 0)
        self._early: dict[bytes, Beacon] = {}
        self._repairer = Repairer(run, db, room.catalog)
        self.relay = PresenceRelay(
            run, room.presence, options.presence_interval, asyncio.get_running_loop().time
        )
        """Tells who is in the room."""

    def begin(self, position: int) -> None:
        """A log is taken up: of another one nothing is known any more.

        Args:
            position: Where the node is in it.
        """
        self._position = position
        self._early.clear()

    def reached(self, position: int) -> None:
        """The node is so far in the log now."""
        self._position = position
        for beacon in [each for each in self._early.values() if each.needed <= position]:
            self._job(self._note_peers(self._early.pop(beacon.run)))

    async def run(self, log: RoomLog, prepare: Callable[[], Awaitable[None]]) -> None:
        """Tell how far the node is, now and then if that is new, for as long as the log is open.

        Args:
            log: Through which the other nodes hear it.
            prepare: Called each time before, to bring what is remembered up to date.
        """
        loop = asyncio.get_running_loop()
        checked_at = loop.time()
        while True:
            await asyncio.sleep(min(self._options.beacon_interval, self._options.check_interval))
            await prepare()
            digest: list[int] = []
            # Own entries are in the content before the position says so; a lost one never comes back.
            intervals = 1 if self._publisher.all_is_back else 2
            if (
                loop.time() >= checked_at + intervals * self._options.check_interval
                and self._publisher.settled
            ):
                checked_at = loop.time()
                digest = await self._repairer.digest(self._position, self._is_in_log)
                asked = None if digest else self._repairer.ask_again()
                if asked is not None:
                    await log.tell(encode_telling(asked))
            if digest or (
                self._publisher.settled and (self._publisher.has_sites or self._told != self._news)
            ):
                await self._tell(log, digest)

    def hear(self, log: RoomLog, payload: bytes) -> None:
        """Take note of what a node tells, this one perhaps."""
        try:
            telling = decode_telling(payload)
        except BackplaneError as error:
            _log.error("room %r: %s", self._name, error)
            return
        if telling.run == self._run:
            return
        match telling:
            case Beacon(identity=log.identity):
                self._job(self._note(telling))
                if telling.digest:
                    self._job(self._compare(telling, log))
            case Company():
                self.relay.hear(telling)
            case AskRows(asked=asked) if asked == self._run:
                repetition = self._repairer.answer(telling)
                if repetition is not None:
                    self._publisher.repeat(repetition)
            case _:
                return

    @property
    def _news(self) -> tuple[int, int]:
        return self._room.version, self._position

    async def _tell(self, log: RoomLog, digest: list[int]) -> None:
        news, sites = self._news, self._publisher.take_sites(_PEERS_AT_ONCE)
        state = await self._db.read(partial(journal.read_beacon, catalog=self._catalog, sites=sites))
        if not self._is_in_log(state.version):
            self._publisher.return_sites(sites)
            return
        beacon = Beacon(
            self._run,
            self._db.site_id,
            state.epochs,
            state.steps,
            state.position,
            max(state.position, self._publisher.needed),
            state.peers,
            digest if state.position == self._repairer.position else [],
            log.identity,
        )
        await log.tell(encode_telling(beacon))
        self._told = news

    def _is_in_log(self, version: int) -> bool:
        return self._publisher.settled and version <= self._publisher.pushed

    async def _compare(self, beacon: Beacon, log: RoomLog) -> None:
        if not await self._is_comparable(beacon.position, log):
            return
        asked = self._repairer.compare(beacon)
        if asked is None:
            return
        self._differs()
        _log.warning(
            "room %r differs from another node's in %d parts: they are fetched",
            self._name,
            len(asked.buckets),
        )
        self._job(log.tell(encode_telling(asked)))
        # The other one may lack something too, and is to find out.
        self._job(self._tell(log, self._repairer.own))

    async def _is_comparable(self, position: int, log: RoomLog) -> bool:
        """Whether the log has nothing more that could make another node's content and this one's the same."""
        own = self._repairer.position
        if position == own:
            return True
        return own == self._position and await log.last() <= min(position, own)

    async def _note(self, beacon: Beacon) -> None:
        if not await self._db.write(partial(journal.note_beacon, beacon=beacon), origin=self._origin):
            return
        if beacon.needed <= self._position:
            await self._note_peers(beacon)
        else:
            earlier = self._early.get(beacon.run)
            known = (*(earlier.peers if earlier is not None else ()), *beacon.peers)
            peers = {cursor.site_id: cursor for cursor in known}
            self._early[beacon.run] = msgspec.structs.replace(beacon, peers=list(peers.values()))

    async def _note_peers(self, beacon: Beacon) -> None:
        if beacon.peers:
            await self._db.write(partial(journal.note_peers, peers=beacon.peers), origin=self._origin)
