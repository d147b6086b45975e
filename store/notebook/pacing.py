"""When to tell pages of changes: at once, but not more often than they can be looked at.

A cell of a notebook that writes a thousand times in a loop keeps the event loop from running, and a message
for each write would drown the page. So the first change is told at once, those that follow together when a
moment has passed: by a timer, or, where a busy cell lets no timer run, by the first write after it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from threading import get_ident
from time import monotonic

from replicell.store.store import Store

__all__ = ["Pacer"]

logger = logging.getLogger("replicell.store.notebook")


class Pacer:
    """Calls a function soon after changes, in the thread that owns a store.

    Args:
        store: The store.
        tell: The function; it is told whether the event loop has run since the changes, so that pages could
            have answered what they were told before.
        interval: Seconds between two calls, at least, while an event loop runs. Without one, as in a plain
            script, every change is told at once.
        clock: Gives the time in seconds.
    """

    __slots__ = ("_clock", "_interval", "_last", "_loop", "_store", "_tell", "_timer")

    def __init__(
        self,
        store: Store,
        tell: Callable[[bool], object],
        *,
        interval: float = 0.05,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._store = store
        self._tell = tell
        self._interval = interval
        self._clock = clock
        self._last = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self._loop = _running_loop()

    def note(self) -> None:
        """Note that something has changed."""
        loop = _running_loop()
        if loop is None:
            self._tell(False)
            return
        if loop is not self._loop:
            # The timer of a loop that has ended would never come.
            self.stop()
            self._loop = loop
        left = self._last + self._interval - self._clock()
        if left <= 0:
            self._tell_now(False)
        elif self._timer is None:
            self._timer = loop.call_later(left, self._tell_now, True)

    def run_in_owner(self, work: Callable[[], object]) -> None:
        """Do something in the thread that owns the store: at once if this is it, else soon."""
        if self._store._owner == get_ident():
            work()
            return
        try:
            if self._loop is not None:
                # A message that came while a cell was running waits here until the cell is done.
                self._loop.call_soon_threadsafe(work)
                return
        except RuntimeError:
            logger.debug("the event loop has ended; what came from a page waits for Store.pump")
        self._store.submit(work)

    def stop(self) -> None:
        """Forget what is still to be told."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tell_now(self, loop_has_run: bool) -> None:
        self.stop()
        self._last = self._clock()
        self._tell(loop_has_run)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
