"""The way from a node to the rooms' log: it takes time, breaks, and does not always bring answers back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final, Protocol

from replicell.sync.backplane.entries import AskRows, decode_telling
from replicell.sync.backplane.in_process import InProcessBackplane
from replicell.sync.backplane.interface import Entry, RoomLog
from tests.simulation.cluster.loop import Life, VirtualLoop

__all__ = ["LogWeather", "LossyHub", "NodeBackplane", "NodeLog", "Report"]

_LONGEST_UNANSWERED: Final = 1.0


@dataclass
class LogWeather:
    """How the way to the log is.

    Args:
        latency: Seconds that it takes at most, there or back.
        answer_loss: The part of the appended entries of which the node is not told, and asks again.
        telling_loss: The part of what nodes tell each other that gets lost.
        max_payload: The biggest entry.
    """

    latency: float
    answer_loss: float
    telling_loss: float
    max_payload: int


class LossyHub(InProcessBackplane):
    """Logs that lose entries before everybody has read them."""

    def __init__(self) -> None:
        super().__init__()
        self.doomed: set[str] = set()
        """The rooms whose next entry gets lost."""

    def _append(self, topic: Any, payload: bytes, message_id: str) -> int:
        sequence = super()._append(topic, payload, message_id)
        for room in sorted(self.doomed):
            if self._topics.get(room) is topic:
                self.doomed.remove(room)
                self.lose(room, sequence)
        return sequence


class Report(Protocol):
    """Who wants to know what goes to the log and back."""

    def digest(self, where: str, content: bytes) -> None:
        """Take note of an entry."""
        ...

    def note(self, what: str) -> None:
        """Take note of what happens."""
        ...

    def needs_repair(self, name: str) -> None:
        """Take note of a node that asks another one for what it lacks."""
        ...


class NodeBackplane:
    """A hub as one node has it.

    Args:
        hub: Where the logs are.
        life: The node's process.
        loop: The event loop.
        rng: Decides how long things take, and what gets lost.
        weather: How the way is in general.
        report: Told what goes through.
    """

    shared = True

    def __init__(
        self,
        hub: InProcessBackplane,
        life: Life,
        loop: VirtualLoop,
        rng: Random,
        weather: LogWeather,
        report: Report,
    ) -> None:
        self.hub = hub
        self.life = life
        self.loop = loop
        self.rng = rng
        self.weather = weather
        self.report = report
        self._in_reach = asyncio.Event()
        self._in_reach.set()

    @property
    def connected(self) -> bool:
        return self.hub.connected and self._in_reach.is_set()

    @property
    def trouble(self) -> str | None:
        return None if self.connected else "out of reach"

    async def start(self) -> None:
        """There is nothing to begin."""

    async def close(self) -> None:
        """There is nothing to end."""

    async def open_room(self, name: str) -> NodeLog:
        await self.travel()
        log = await self.hub.open_room(name)
        return NodeLog(self, log, name)

    def cut(self) -> None:
        """Be out of this node's reach."""
        self._in_reach.clear()

    def mend(self) -> None:
        """Be in its reach again."""
        self._in_reach.set()

    async def travel(self) -> None:
        """Take the way once, in either direction; a killed process never arrives."""
        await asyncio.sleep(self.rng.random() * self.weather.latency)
        await self._in_reach.wait()
        if self.life.is_over:
            await self.loop.create_future()


class NodeLog:
    """One room's log, at the end of the way."""

    def __init__(self, backplane: NodeBackplane, log: RoomLog, name: str) -> None:
        self._backplane = backplane
        self._log = log
        self._name = f"{backplane.life.name}>{name}"
        self._listener: Callable[[bytes], None] | None = None

    @property
    def identity(self) -> str:
        return self._log.identity

    @property
    def max_payload(self) -> int:
        return self._backplane.weather.max_payload

    async def append(self, payload: bytes, message_id: str) -> int:
        backplane = self._backplane
        while True:
            await backplane.travel()
            sequence = await self._log.append(payload, message_id)
            backplane.report.digest(self._name, payload)
            if backplane.rng.random() >= backplane.weather.answer_loss:
                await backplane.travel()
                return sequence
            await asyncio.sleep(backplane.rng.random() * _LONGEST_UNANSWERED)

    async def last(self) -> int:
        await self._backplane.travel()
        return await self._log.last()

    async def follow(self, after: int) -> AsyncGenerator[Sequence[Entry], None]:
        async with aclosing(self._log.follow(after)) as coming:
            async for entries in coming:
                await self._backplane.travel()
                yield entries

    async def save_snapshot(self, content: Path, position: int) -> bool:
        await self._backplane.travel()
        is_kept = await self._log.save_snapshot(content, position)
        self._backplane.report.note(f"{self._name}: a snapshot is {'kept' if is_kept else 'not needed'}")
        return is_kept

    async def load_snapshot(self, target: Path, arrived: Callable[[], None] | None = None) -> int | None:
        await self._backplane.travel()
        position = await self._log.load_snapshot(target, arrived)
        if position is not None:
            self._backplane.report.note(f"{self._name}: a snapshot is loaded")
        return position

    async def snapshot_position(self) -> int:
        await self._backplane.travel()
        return await self._log.snapshot_position()

    async def tell(self, payload: bytes) -> None:
        await self._backplane.travel()
        if isinstance(decode_telling(payload), AskRows):
            self._backplane.report.needs_repair(self._name)
        await self._log.tell(payload)

    async def listen(self, listener: Callable[[bytes], None]) -> None:
        self._listener = listener
        await self._log.listen(self._on_its_way)

    async def close(self) -> None:
        self._listener = None
        await self._log.close()

    def _on_its_way(self, payload: bytes) -> None:
        backplane = self._backplane
        if backplane.rng.random() >= backplane.weather.telling_loss:
            backplane.loop.call_later(
                backplane.rng.random() * backplane.weather.latency,
                self._hear,
                payload,
                context=backplane.life.context,
            )

    def _hear(self, payload: bytes) -> None:
        if self._listener is not None and self._backplane.connected:
            self._listener(payload)
