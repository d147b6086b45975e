"""What moves a session's frames gives it those that come alone at once, and lets nothing go unheard."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, ClassVar, cast

import pytest

from replicell.sync.actions import Later
from replicell.sync.transport import TakeFrame
from replicell.sync.wire import Wire
from tests.sync.support import PATIENCE


class LostError(Exception):
    """The connection has ended."""


class Transport:
    """A connection on which a test says what comes."""

    lost: ClassVar[type[Exception]] = LostError

    def __init__(self) -> None:
        self.take: TakeFrame | None = None
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()

    def come(self, frame: bytes) -> bool:
        """Say whether the frame was taken at once."""
        if self.take is not None and self.take(frame):
            return True
        self._frames.put_nowait(frame)
        return False

    def end(self) -> None:
        self._frames.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[bytes | str]:
        while (frame := await self._frames.get()) is not None:
            yield frame

    def hand_over(self, take: TakeFrame | None) -> None:
        self.take = take


class Session:
    """Notes what it gets, is clogged when told to, and fails at one frame."""

    state = "live"
    backlog = 0

    def __init__(self) -> None:
        self.received: list[bytes] = []
        self.busy = False
        self.has_started = asyncio.Event()
        self.is_over = False

    def start(self, _now: float) -> None:
        self.has_started.set()

    def receive(self, frame: bytes, _now: float) -> None:
        if frame == b"fault":
            raise LookupError("a fault of the session")
        self.received.append(frame)

    def connection_lost(self) -> None:
        self.is_over = True


class Run:
    """A wire that runs a session."""

    def __init__(self) -> None:
        self.transport, self.session = Transport(), Session()
        self.wire = Wire(cast(Any, self.transport), cast(Any, None), cast(Any, None))
        self._task = asyncio.create_task(self.wire.run(cast(Any, self.session)))

    async def begun(self) -> None:
        await asyncio.wait_for(self.session.has_started.wait(), PATIENCE)
        await asyncio.sleep(0)

    async def over(self) -> None:
        await asyncio.wait_for(self._task, PATIENCE)


async def test_a_frame_that_comes_while_the_session_waits_is_given_to_it_at_once() -> None:
    run = Run()
    await run.begun()

    assert run.transport.come(b"one")

    assert run.session.received == [b"one"]
    run.transport.end()
    await run.over()


async def test_a_clogged_session_is_given_nothing_until_it_has_room_again() -> None:
    run = Run()
    await run.begun()
    run.session.busy = True
    assert not run.transport.come(b"one")
    await asyncio.sleep(0)
    assert run.session.received == []

    def make_room() -> None:
        run.session.busy = False

    run.wire.emit(Later(0, make_room))
    run.transport.end()
    await run.over()

    assert run.session.received == [b"one"]


async def test_nothing_is_handed_over_when_the_session_is_over() -> None:
    run = Run()
    await run.begun()
    run.transport.end()
    await run.over()

    assert not run.transport.come(b"late")
    assert (run.session.received, run.session.is_over) == ([], True)


async def test_a_fault_at_a_frame_that_was_handed_over_ends_the_run() -> None:
    run = Run()
    await run.begun()

    assert not run.transport.come(b"fault")

    with pytest.raises(LookupError, match="a fault of the session"):
        await run.over()
    assert run.session.is_over
