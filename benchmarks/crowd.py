"""Many raw clients in one process, for the figures of scale: `python -m benchmarks.crowd`.

They speak the protocol without a database of their own, so that a machine can hold thousands. An edit carries
the time at which it was made (the monotonic clock, which is the same in every process), so whoever gets it
knows how long it took.
"""

from __future__ import annotations

import asyncio
import os
import resource
import time
from typing import Any

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from benchmarks.commanded import obey
from benchmarks.raw_client import EPOCH, join
from replicell.persisters.crsqlite.changes import Change
from replicell.persisters.crsqlite.keys import pack_key
from replicell.sync.envelopes import Envelope, open_changes
from replicell.sync.messages import Ack, Changes, TableAnnouncement, decode, encode

TODOS = TableAnnouncement("todos", ["id"], ["made"], ["TEXT"])
JOINING_AT_ONCE = 20
FILES = 65_536
LISTENERS = 10
"""How many of the clients of a process look into what they get, in all; the others only acknowledge it."""


_read_change = msgspec.msgpack.Decoder(Change).decode


class Member:
    """One client.

    Args:
        name: Names its row.
        listens: Whether it notes how long each edit of others took.
    """

    def __init__(self, name: str, listens: bool) -> None:
        self.listens = listens
        self.until = 0
        self.acknowledged = 0
        self.version = 0
        self.journeys: list[float] = []
        self.heard_at = float("inf")
        self.longest_silence = 0.0
        self._key = pack_key([name])
        self._websocket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._confirmed = asyncio.Event()

    async def join(self, url: str) -> None:
        websocket, welcome = await join(url, TODOS, ping_interval=None, open_timeout=60, max_queue=None)
        self.until = welcome.since
        self._websocket = websocket
        self._reading = asyncio.create_task(self._read(websocket))

    async def edit(self) -> None:
        self.version += 1
        change = Change("todos", self._key, "made", time.monotonic(), self.version, 1, 0, self.version)
        changes = Changes(EPOCH, self.version - 1, self.version, self.version, 0, True, [change])
        if self._websocket is not None:
            await self._websocket.send(encode(changes))

    async def confirmed_edits(self, count: int) -> list[float]:
        """Edit so often, each time when the last edit is acknowledged: the seconds that each took."""
        times = []
        for _ in range(count):
            began = time.monotonic()
            await self.edit()
            while self.acknowledged < self.version:
                self._confirmed.clear()
                await self._confirmed.wait()
            times.append(time.monotonic() - began)
        return times

    def begin(self) -> None:
        """From now on it is noted how long nothing is heard."""
        self.journeys.clear()
        self.heard_at, self.longest_silence = time.monotonic(), 0.0

    def silence(self, until: float) -> float:
        """Return the longest that nothing was heard, between the beginning and a time."""
        return max(self.longest_silence, until - self.heard_at)

    async def _read(self, websocket: ClientConnection) -> None:
        try:
            async for frame in websocket:
                if isinstance(frame, bytes) and frame[0] >= 0x90 and frame[0] <= 0x9F:
                    envelope = open_changes(frame)
                    self.hear(envelope)
                    if envelope.last:
                        self.until = envelope.until
                        await websocket.send(encode(Ack(self.until)))
                elif isinstance(message := decode(frame), Ack):
                    self.acknowledged = message.version
                    self._confirmed.set()
        except ConnectionClosed:
            return

    def hear(self, envelope: Envelope) -> None:
        """Something has come."""
        now = time.monotonic()
        self.longest_silence = max(self.longest_silence, now - self.heard_at)
        self.heard_at = now
        if self.listens:
            for change in map(_read_change, envelope.rows):
                if change.cid == "made" and change.pk != self._key and isinstance(change.val, float):
                    self.journeys.append(now - change.val)


class Crowd:
    """The clients of this process."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self._bare: list[ClientConnection] = []
        self.edited_until = 0.0

    async def join(self, urls: list[str], each: int) -> int:
        """Connect so many clients to each room."""
        gate = asyncio.Semaphore(JOINING_AT_ONCE)
        every = max(1, len(urls) * each // LISTENERS)

        async def join(member: Member, url: str) -> None:
            async with gate:
                await member.join(url)

        async with asyncio.TaskGroup() as tasks:
            for url in urls:
                for _ in range(each):
                    number = len(self.members)
                    # Of a pair the first one edits, so the second one listens.
                    listens = number % every == every - 1 or each == 2
                    member = Member(f"{os.getpid()} {number}", listens)
                    self.members.append(member)
                    tasks.create_task(join(member, url))
        return len(self.members)

    async def connect(self, url: str, count: int) -> int:
        """Connect to a server that knows no protocol."""
        gate = asyncio.Semaphore(JOINING_AT_ONCE)

        async def join() -> None:
            async with gate:
                self._bare.append(await connect(url, compression=None, ping_interval=None, open_timeout=60))

        await asyncio.gather(*(join() for _ in range(count)))
        return len(self._bare)

    async def edit(self, seconds: float, rate: float, step: int) -> int:
        """Have every `step`-th client edit in turn, at so many edits a second in all."""
        for member in self.members:
            member.begin()
        began = time.monotonic()
        editors = self.members[::step]
        for number in range(round(seconds * rate)):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            await editors[number % len(editors)].edit()
        self.edited_until = time.monotonic()
        return round(seconds * rate)

    async def edit_together(self, writers: int, count: int) -> dict[str, Any]:
        """Have so many clients edit at once, so often each: how long all that took, and each edit."""
        began = time.monotonic()
        times = await asyncio.gather(*(member.confirmed_edits(count) for member in self.members[:writers]))
        return {"seconds": time.monotonic() - began, "times": [seconds for each in times for seconds in each]}

    async def report(self) -> dict[str, Any]:
        """How each client stands."""
        return {
            "until": [member.until for member in self.members],
            "unacknowledged": sum(member.version - member.acknowledged for member in self.members),
            # Who gets nothing any more has been silent up to the last edit, when all are still being told.
            "silences": [member.silence(self.edited_until) for member in self.members],
            "journeys": [seconds for member in self.members for seconds in member.journeys],
        }


def allow_many_files() -> None:
    """Raise this process's limit of open files as far as it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if most == resource.RLIM_INFINITY else min(most, FILES)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


if __name__ == "__main__":
    allow_many_files()
    asyncio.run(obey(Crowd()))
