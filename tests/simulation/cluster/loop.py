"""An event loop in virtual time, and processes on it that can be killed."""

from __future__ import annotations

import asyncio
import contextvars
import selectors
from collections.abc import Callable, Coroutine
from functools import partial
from itertools import count
from random import Random
from typing import Any, Final, TypeVarTuple

__all__ = ["Life", "StuckError", "VirtualLoop", "current_life"]

_Ts = TypeVarTuple("_Ts")

_MOST_TURNS: Final = 1000
"""So many turns of the loop a killed process's tasks may take to end, each of which cancels them again."""
_LONGEST_IN_THREAD: Final = 0.02
_TICK: Final = 1e-6


class StuckError(AssertionError):
    """Something waits for what never comes."""


class _Selector(selectors.SelectSelector):
    """Lets time pass in place of waiting: nothing comes from outside."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise StuckError("all wait, and no timer is set")
        self.loop.now += max(0.0, timeout)
        return []


class _Task(asyncio.Task[Any]):
    """A task that stands in sets where its number says, in place of its address."""

    def __init__(self, loop: VirtualLoop, coroutine: Any, context: contextvars.Context | None) -> None:
        self._number = next(loop.numbers)
        super().__init__(coroutine, loop=loop, context=context)

    def __hash__(self) -> int:
        return self._number


class _Future(asyncio.Future[Any]):
    """A future that stands in sets where its number says, in place of its address."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._number = next(loop.numbers)
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._number


class VirtualLoop(asyncio.SelectorEventLoop):
    """Runs what is ready in the order in which it became ready, and lets time pass when nothing is.

    What is given to threads runs on the loop's own, after a while that the seed chooses.

    Args:
        rng: Decides how long threads take.
    """

    def __init__(self, rng: Random) -> None:
        self.now = 0.0
        self.numbers = count(1)
        self._rng = rng
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        self.set_task_factory(self._make_task)

    def time(self) -> float:
        """Return what the clock of the process that asks shows."""
        life = _LIFE.get()
        return self.now if life is None else self.now + life.ahead

    def create_future(self) -> asyncio.Future[Any]:
        return _Future(self)

    def call_at(
        self,
        when: float,
        callback: Callable[[*_Ts], object],
        *args: *_Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        asks = _LIFE.get()
        if asks is not None:
            when -= asks.ahead
        life = asks if context is None else context.get(_LIFE)
        if life is None:
            return super().call_at(when, callback, *args, context=context)
        timer = _Timer(life, partial(callback, *args))
        timer.handle = super().call_at(when, timer, context=context)
        return timer.handle

    def postpone(self, timer: _Timer, when: float) -> None:
        """Let a timer that is due wait until somebody is awake again."""
        super().call_at(when, timer, context=contextvars.copy_context())

    def run_in_executor(self, executor: Any, func: Callable[[*_Ts], Any], *args: *_Ts) -> asyncio.Future[Any]:
        future = self.create_future()
        self.call_later(self._rng.random() * _LONGEST_IN_THREAD, _run_for, future, func, args)
        return future

    @staticmethod
    def _make_task(
        loop: asyncio.AbstractEventLoop, coroutine: Any, context: contextvars.Context | None = None
    ) -> asyncio.Task[Any]:
        assert isinstance(loop, VirtualLoop)
        task = _Task(loop, coroutine, context)
        life = _LIFE.get() if context is None else context.get(_LIFE)
        if life is not None:
            life.own(task)
        return task


class _Timer:
    """What a process has set a timer for: it is done neither after its end nor in its sleep.

    Args:
        life: The process.
        callback: What is done.
    """

    handle: asyncio.TimerHandle

    def __init__(self, life: Life, callback: Callable[[], object]) -> None:
        self._life = life
        self._callback = callback

    def __call__(self) -> None:
        if self._life.is_over:
            return
        wakes = self._life.next_waking()
        if wakes is not None:
            self._life.loop.postpone(self, wakes)
        elif not self.handle.cancelled():
            self._callback()


def _run_for(future: asyncio.Future[Any], function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    if future.cancelled():
        return
    try:
        result = function(*args)
    except Exception as error:
        future.set_exception(error)
    else:
        future.set_result(result)


class Life:
    """A process, from its start to its end: it owns the tasks and timers that are begun in it.

    Args:
        loop: The event loop that all processes share.
        name: Which machine's it is.
    """

    def __init__(self, loop: VirtualLoop, name: str) -> None:
        self.loop = loop
        self.name = name
        self.is_over = False
        self.ahead = 0.0
        """Seconds by which its clock is ahead of the world's."""
        self._asleep_until = 0.0
        self._wakings = 0
        self.tasks: dict[asyncio.Task[Any], None] = {}
        self.on_kill: list[Callable[[], None]] = []
        """What takes its sockets and files away; called before its tasks are cancelled."""
        self._context = contextvars.copy_context()
        self._context.run(_LIFE.set, self)

    @property
    def context(self) -> contextvars.Context:
        """A context whose tasks and timers belong to this life."""
        return self._context.copy()

    def begin(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run a coroutine in this life."""
        return self.loop.create_task(coroutine, context=self.context)

    def own(self, task: asyncio.Task[Any]) -> None:
        """A task was begun in it."""
        self.tasks[task] = None
        task.add_done_callback(self._forget)
        if self.is_over:
            task.cancel()

    def sleep(self, seconds: float) -> None:
        """Do nothing for a while, as a process on a machine that is asleep."""
        self._asleep_until = self.loop.now + seconds
        self._wakings = 0

    def next_waking(self) -> float | None:
        """Return when the next of its timers that are due may go off, None for now."""
        if self.loop.now >= self._asleep_until:
            return None
        # They keep their order.
        self._wakings += 1
        return self._asleep_until + self._wakings * _TICK

    def kill(self) -> None:
        """End it at once: nothing that it would still do has any effect."""
        if not self.is_over:
            self.is_over = True
            for take_away in self.on_kill:
                take_away()
            self.loop.call_soon(self._cancel_all, 0, context=contextvars.Context())

    def _cancel_all(self, turns: int) -> None:
        if turns > _MOST_TURNS:
            raise StuckError(f"tasks of {self.name} do not end when cancelled: {list(self.tasks)}")
        for task in self.tasks:
            task.cancel()
        if self.tasks:
            self.loop.call_soon(self._cancel_all, turns + 1, context=contextvars.Context())

    def _forget(self, task: asyncio.Task[Any]) -> None:
        del self.tasks[task]
        # Nobody reads what the tasks of a killed process have ended with.
        if self.is_over and not task.cancelled():
            task.exception()


_LIFE: contextvars.ContextVar[Life | None] = contextvars.ContextVar("life", default=None)


def current_life() -> Life | None:
    """Return the process that runs now, None between them."""
    return _LIFE.get()
