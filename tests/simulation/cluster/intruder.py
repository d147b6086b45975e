"""Somebody who keeps to no rule, at a node of a deployment."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from websockets.exceptions import InvalidStatus

from tests.simulation.babble import Babble
from tests.simulation.cluster.loop import Life
from tests.simulation.cluster.machines import Client, Node
from tests.simulation.cluster.network import Connection, LinkDownError

if TYPE_CHECKING:
    from tests.simulation.cluster.history import ClusterHistory

__all__ = ["Intruder"]

_FRAMES: Final = 12
_LONGEST_PAUSE: Final = 0.4


class Intruder:
    """Connects to a node, says all kinds of things, listens or does not, and goes.

    Args:
        world: The history that it disturbs.
        node: Where it connects.
        victim: The client whose room it enters, and whose site id it may take.
    """

    def __init__(self, world: ClusterHistory, node: Node, victim: Client) -> None:
        self._world = world
        self._node = node
        self._room = victim.room
        self._rng = world.rng
        self._babble = Babble(world.rng)
        replica = victim.replica(victim.path)
        stolen = replica.conn.execute("SELECT crsql_site_id()").get if replica is not None else None
        steals = isinstance(stolen, bytes) and self._rng.random() < 0.3
        self._site_id = stolen if steals and isinstance(stolen, bytes) else self._babble.site_id()

    def come_in(self) -> None:
        """Begin, as a process of its own."""
        life = Life(self._world.loop, f"intruder{self._world.next_number()}")
        self._world.strangers.append(life)
        life.begin(self._disturb(life))

    async def _disturb(self, life: Life) -> None:
        with suppress(LinkDownError, InvalidStatus):
            connection = await self._world.network.connect(life, self._node, f"/{self._room}")
            listens = self._rng.random() < 0.7
            listener = asyncio.ensure_future(_listen(connection)) if listens else None
            try:
                await self._talk(connection)
            finally:
                if listener is not None:
                    listener.cancel()
                await connection.close()

    async def _talk(self, connection: Connection) -> None:
        await connection.send(self._babble.hello(self._site_id))
        # The handshake takes two jobs of the database, if all goes well.
        await asyncio.sleep(0.1)
        await connection.send(self._babble.ready())
        for _ in range(_FRAMES):
            await asyncio.sleep(self._rng.random() * _LONGEST_PAUSE)
            frame = self._babble.frame()
            if frame is not None:
                await connection.send(frame)


async def _listen(connection: Connection) -> None:
    async for _ in connection:
        """It has no use for what it is told."""
