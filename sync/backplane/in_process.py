"""A backplane in memory: for a server on its own, and for several servers in one process."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Final

from replicell.sync.backplane.interface import BackplaneError, Entry, StreamReplacedError, TrimmedError

__all__ = ["InProcessBackplane"]

_REMEMBERED_IDS: Final = 100_000
_MAX_PAYLOAD: Final = 1_000_000


class _Topic:
    """What the backplane keeps of one room."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.last = 0
        self.snapshot: tuple[int, bytes] | None = None
        self.listeners: dict[object, Callable[[bytes], None]] = {}


class InProcessBackplane:
    """Keeps the rooms' logs in memory, so they last as long as this object.

    Give one and the same object to several servers of one process and they share their rooms. Without
    a backplane of its own a server has one that is not shared, and costs nothing.

    Args:
        shared: Whether several servers have it.

    Example::

        hub = InProcessBackplane()
        one = SyncServer("rooms-1", port=8041, backplane=hub)
        two = SyncServer("rooms-2", port=8042, backplane=hub)
    """

    def __init__(self, *, shared: bool = True) -> None:
        self._shared = shared
        self._topics: dict[str, _Topic] = {}
        self._sequences = count(1)
        self._ids: OrderedDict[str, int] = OrderedDict()
        self._identity = os.urandom(8).hex()
        self._changed = asyncio.Event()
        self._reachable = asyncio.Event()
        self._reachable.set()

    @property
    def shared(self) -> bool:
        """Whether several servers have it."""
        return self._shared

    @property
    def connected(self) -> bool:
        """Whether it was not cut."""
        return self._reachable.is_set()

    @property
    def trouble(self) -> str | None:
        """That it was cut."""
        return None if self.connected else "the backplane was cut"

    async def start(self) -> None:
        """There is nothing to connect to."""

    async def close(self) -> None:
        """The logs stay, for the other servers."""

    async def open_room(self, name: str) -> _InProcessLog:
        """Open a room's log; waits while it is cut."""
        await self._reachable.wait()
        return _InProcessLog(self, self._topics.setdefault(name, _Topic()))

    def cut(self) -> None:
        """Be out of reach until `heal`, as a network may be."""
        self._reachable.clear()

    def heal(self) -> None:
        """Be in reach again."""
        self._reachable.set()
        self._wake()

    def lose(self, name: str, sequence: int) -> None:
        """Lose one entry of a room, as a stream does that somebody has purged."""
        topic = self._topics[name]
        topic.entries = [entry for entry in topic.entries if entry.sequence != sequence]

    def forget(self) -> None:
        """Lose everything, as a stream that is deleted and made anew."""
        for topic in self._topics.values():
            topic.entries, topic.last, topic.snapshot = [], 0, None
        self._sequences = count(1)
        self._identity = os.urandom(8).hex()
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _append(self, topic: _Topic, payload: bytes, message_id: str) -> int:
        known = self._ids.get(message_id)
        if known is not None:
            return known
        sequence = next(self._sequences)
        topic.entries.append(Entry(sequence, payload))
        topic.last = sequence
        self._ids[message_id] = sequence
        if len(self._ids) > _REMEMBERED_IDS:
            self._ids.popitem(last=False)
        self._wake()
        return sequence


class _InProcessLog:
    """One room's log, seen from one node."""

    def __init__(self, hub: InProcessBackplane, topic: _Topic) -> None:
        self._hub = hub
        self._topic = topic
        self._identity = hub._identity
        self._key = object()

    @property
    def identity(self) -> str:
        return self._identity

    @property
    def max_payload(self) -> int:
        return _MAX_PAYLOAD

    async def append(self, payload: bytes, message_id: str) -> int:
        if len(payload) > _MAX_PAYLOAD:
            raise BackplaneError(f"an entry of {len(payload)} bytes is too big: cut it into parts")
        await self._in_reach()
        return self._hub._append(self._topic, payload, message_id)

    async def last(self) -> int:
        await self._in_reach()
        if self._topic.entries:
            return self._topic.entries[-1].sequence
        return await self.snapshot_position()

    async def follow(self, after: int) -> AsyncGenerator[Sequence[Entry], None]:
        while True:
            changed = self._hub._changed
            await self._in_reach()
            if self._topic.snapshot is not None and self._topic.snapshot[0] > after:
                raise TrimmedError(f"the log begins after {self._topic.snapshot[0]}, {after} is no more")
            entries = [entry for entry in self._topic.entries if entry.sequence > after]
            if entries:
                after = entries[-1].sequence
                yield entries
            else:
                await changed.wait()

    async def save_snapshot(self, content: Path, position: int) -> bool:
        await self._in_reach()
        kept = await asyncio.to_thread(content.read_bytes)
        # Another node may have kept a newer one meanwhile.
        if await self.snapshot_position() >= position:
            return False
        self._topic.snapshot = (position, kept)
        self._topic.entries = [entry for entry in self._topic.entries if entry.sequence > position]
        return True

    async def load_snapshot(self, target: Path, arrived: Callable[[], None] | None = None) -> int | None:
        await self._in_reach()
        if self._topic.snapshot is None:
            return None
        position, content = self._topic.snapshot
        await asyncio.to_thread(target.write_bytes, content)
        if arrived is not None:
            arrived()
        return position

    async def snapshot_position(self) -> int:
        return self._topic.snapshot[0] if self._topic.snapshot is not None else 0

    async def tell(self, payload: bytes) -> None:
        if self._hub.connected:
            loop = asyncio.get_running_loop()
            for listener in self._topic.listeners.values():
                loop.call_soon(listener, payload)

    async def listen(self, listener: Callable[[bytes], None]) -> None:
        self._topic.listeners[self._key] = listener

    async def close(self) -> None:
        self._topic.listeners.pop(self._key, None)

    async def _in_reach(self) -> None:
        await self._hub._reachable.wait()
        if self._hub._identity != self._identity:
            raise StreamReplacedError("the backplane has forgotten its logs: open the room again")
