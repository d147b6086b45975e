"""When changes are told: at once, then together, and also while a busy cell lets no timer run."""

from __future__ import annotations

import asyncio
import threading

from replicell.store import Store
from replicell.store.notebook.pacing import Pacer


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Told:
    """What a pacer tells."""

    def __init__(self, interval: float = 0.01) -> None:
        self.calls: list[bool] = []
        self.arrived = asyncio.Event()
        self.clock = Clock()
        self.store = Store()
        self.pacer = Pacer(self.store, self, interval=interval, clock=self.clock)

    def __call__(self, loop_has_run: bool) -> None:
        self.calls.append(loop_has_run)
        self.arrived.set()


def test_without_an_event_loop_every_change_is_told_at_once() -> None:
    told = Told()
    for _ in range(3):
        told.pacer.note()
    assert told.calls == [False, False, False]


async def test_the_first_change_is_told_at_once_and_the_next_ones_together_by_a_timer() -> None:
    told = Told()
    told.pacer.note()
    assert told.calls == [False]
    told.arrived.clear()
    for _ in range(100):
        told.pacer.note()
    assert told.calls == [False]
    await told.arrived.wait()
    assert told.calls == [False, True]


async def test_a_busy_cell_tells_by_itself_when_a_moment_has_passed() -> None:
    told = Told(interval=1.0)
    for _ in range(40):
        # Nothing is awaited, so no timer can run.
        told.pacer.note()
        told.clock.now += 0.1
    assert len(told.calls) == 4
    assert not any(told.calls)
    told.pacer.stop()


async def test_after_a_pause_a_change_is_told_at_once_again() -> None:
    told = Told(interval=1.0)
    told.pacer.note()
    told.clock.now += 5
    told.pacer.note()
    assert told.calls == [False, False]


async def test_what_was_to_be_told_is_forgotten_when_it_stops() -> None:
    told = Told(interval=0.001)
    told.pacer.note()
    told.pacer.note()
    told.pacer.stop()
    other = Told(interval=0.002)
    other.pacer.note()
    other.pacer.note()
    other.arrived.clear()
    await other.arrived.wait()
    assert told.calls == [False]


def test_a_timer_of_a_loop_that_has_ended_keeps_nothing_from_being_told() -> None:
    told = Told(interval=30.0)

    async def change() -> None:
        told.pacer.note()

    async def change_twice() -> None:
        told.pacer.note()
        told.pacer.note()

    asyncio.run(change_twice())
    assert told.calls == [False]
    told.clock.now += 60
    asyncio.run(change())
    assert told.calls == [False, False]


def test_work_from_another_thread_waits_for_the_pump_when_the_loop_has_ended() -> None:
    async def make() -> Told:
        return Told()

    told = asyncio.run(make())
    done: list[str] = []
    thread = threading.Thread(
        target=told.pacer.run_in_owner, args=(lambda: done.append(threading.current_thread().name),)
    )
    thread.start()
    thread.join()
    assert done == []
    told.store.pump()
    assert done == [threading.current_thread().name]
