"""New rooms are made in turns: who makes many does not hold up those who use the rooms that there are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final

from replicell.sync.errors import SyncClosedError, TooManyRoomsError
from replicell.sync.turns import Turn, Turns

__all__ = ["RoomMaking"]

_MOST_WAITING: Final = 100
"""Clients of a party that wait for their rooms; they would wait even when they have gone."""


class RoomMaking:
    """Lets each party make one new room after the other, in a fifth of the time, while others do something.

    Who is alone makes as many at once as he likes. Opening rooms that are there never waits: after a restart
    all are opened at once.

    Args:
        turns: Shares out the time.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._queues: dict[Hashable, _Queue] = {}
        self.is_over = False
        """Whether no more are made, because the server closes."""

    @asynccontextmanager
    async def turn(self, party: Hashable) -> AsyncIterator[None]:
        """Wait until a party may make a room, which is done in the block.

        Raises:
            TooManyRoomsError: Too many of them wait already.
            SyncClosedError: The server closes.
        """
        queue = self._queues.get(party)
        if queue is None:
            queue = self._queues[party] = _Queue(self._turns.enter(("rooms", party)))
        queue.users += 1
        try:
            async with AsyncExitStack() as stack:
                if self._turns.has_others(queue.turn):
                    await stack.enter_async_context(queue.place())
                await asyncio.sleep(queue.turn.delay())
                if self.is_over:
                    raise SyncClosedError("the server is going away")
                began = self._turns.clock()
                try:
                    yield
                finally:
                    queue.turn.used(self._turns.clock() - began)
        finally:
            queue.users -= 1
            if not queue.users:
                del self._queues[party]
                self._turns.leave(queue.turn)


class _Queue:
    """Those of a party who want to make rooms."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.users = 0
        self._waiting = 0
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait until it is one's turn, which lasts as long as the block."""
        if self._waiting >= _MOST_WAITING:
            raise TooManyRoomsError(f"already {self._waiting} new rooms are waited for: try again later")
        self._waiting += 1
        try:
            await self._lock.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._lock.release()
