"""Telling the other nodes who is in a room here, and hearing who is there with them.

Presence is told, not logged: it may get lost. So a node that has somebody to tell of tells all of it again
now and then, and who has not been heard of for long is gone, as when a node is killed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from replicell.sync.backplane.entries import Company, encode_telling
from replicell.sync.backplane.interface import RoomLog
from replicell.sync.presence import PresenceBoard, Shown, peers_messages

__all__ = ["PresenceRelay"]

_MISSED: Final = 3
"""So many times not heard of is gone."""


class PresenceRelay:
    """Keeps one room's board and those of the other nodes the same.

    Args:
        run: A random id of this node's present life.
        board: Who is in the room.
        interval: Seconds after which everything is told again.
        clock: The time in seconds, from any clock that only goes forward.
    """

    def __init__(self, run: bytes, board: PresenceBoard, interval: float, clock: Callable[[], float]) -> None:
        self._run = run
        self._board = board
        self._interval = interval
        self._clock = clock
        self._news: dict[str, Shown | None] = {}
        self._has_news = asyncio.Event()
        self._tell_everything = False
        self._asks = False
        self._told: set[str] = set()
        self._nodes: dict[str, bytes] = {}
        self._heard_at: dict[bytes, float] = {}
        board.on_told = self._note

    async def run(self, log: RoomLog) -> None:
        """Tell, for as long as the log is open.

        Args:
            log: Through which the other nodes hear it.
        """
        self._tell_everything = self._asks = True
        self._has_news.set()
        while True:
            again_at = asyncio.get_running_loop().time() + self._interval
            try:
                async with asyncio.timeout_at(again_at):
                    await self._has_news.wait()
            except TimeoutError:
                self._forget_the_silent()
                if self._told or self._board.here:
                    self._tell_everything = True
            await self._tell_news(log)

    def hear(self, company: Company) -> None:
        """Take note of what another node tells."""
        self._heard_at[company.run] = self._clock()
        if company.everybody is not None:
            kept = frozenset(company.everybody)
            for peer in [peer for peer, run in self._nodes.items() if run == company.run]:
                if peer not in kept:
                    self._gone(peer)
        for announcement in company.here:
            self._nodes[announcement.id] = company.run
            self._board.show_elsewhere(announcement.id, Shown(announcement.state, announcement.name))
        for peer in company.gone:
            # It may have come to a third node meanwhile.
            if self._nodes.get(peer) == company.run:
                self._gone(peer)
        if company.asks:
            self._tell_everything = True
            self._has_news.set()

    def _note(self, news: Mapping[str, Shown | None]) -> None:
        self._news.update(news)
        self._has_news.set()

    async def _tell_news(self, log: RoomLog) -> None:
        """Tell what is to be told, unless the backplane is out of reach; then it is told later."""
        try:
            async with asyncio.timeout(self._interval):
                await self._tell_what_is_new(log)
        except TimeoutError:
            self._tell_everything = True

    async def _tell_what_is_new(self, log: RoomLog) -> None:
        self._has_news.clear()
        news, self._news = self._news, {}
        everything, self._tell_everything = self._tell_everything, False
        if everything:
            await self._tell(log, self._board.here, everything=True)
            self._asks = False
        else:
            # Of the others' clients the others tell.
            own = {peer: shown for peer, shown in news.items() if shown is not None or peer in self._told}
            await self._tell(log, own)

    async def _tell(
        self,
        log: RoomLog,
        shown: Mapping[str, Shown | None],
        *,
        everything: bool = False,
    ) -> None:
        if everything:
            self._told = set(shown)
        else:
            self._told -= {peer for peer, one in shown.items() if one is None}
            self._told |= {peer for peer, one in shown.items() if one is not None}
        for message in peers_messages(shown, list(shown) if everything else None):
            company = Company(self._run, message.here, message.gone, message.everybody, self._asks)
            await log.tell(encode_telling(company))

    def _forget_the_silent(self) -> None:
        longest = _MISSED * self._interval
        for run in [run for run, at in self._heard_at.items() if self._clock() > at + longest]:
            del self._heard_at[run]
            for peer in [peer for peer, node in self._nodes.items() if node == run]:
                self._gone(peer)

    def _gone(self, peer: str) -> None:
        del self._nodes[peer]
        self._board.show_elsewhere(peer, None)
