"""New rooms are made in turns: who makes many does not hold up those who use the rooms that there are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from replicell.sync.turns import Turn, Turns

__all__ = ["RoomMaking"]


class RoomMaking:
    """Lets each party make one new room after the other, in a fifth of the time while others do something.

    Opening rooms that are there never waits: after a restart all are opened at once.

    Args:
        turns: Shares out the time.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._queues: dict[Hashable, _Queue] = {}

    @asynccontextmanager
    async def turn(self, party: Hashable) -> AsyncIterator[None]:
        """Wait until a party may make a room, which is done in the block."""
        queue = self._queues.get(party)
        if queue is None:
            queue = self._queues[party] = _Queue(self._turns.enter(("rooms", party)))
        queue.waiting += 1
        try:
            async with queue.lock:
                await asyncio.sleep(queue.turn.delay())
                began = self._turns.clock()
                try:
                    yield
                finally:
                    queue.turn.used(self._turns.clock() - began)
        finally:
            queue.waiting -= 1
            if not queue.waiting:
                del self._queues[party]
                self._turns.leave(queue.turn)


class _Queue:
    """Those of a party who want to make rooms."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.lock = asyncio.Lock()
        self.waiting = 0
