"""An event loop on a thread of its own, for programs that have none."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

__all__ = ["LoopThread"]

_T = TypeVar("_T")


class LoopThread:
    """A daemon thread that runs an event loop until it is told to stop.

    Args:
        name: The thread's name.
    """

    def __init__(self, name: str) -> None:
        self._started: Future[asyncio.AbstractEventLoop] = Future()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._thread.start()
        self._loop = self._started.result()

    @property
    def is_running(self) -> bool:
        """Whether the loop still runs; not so in a forked process."""
        return self._thread.is_alive()

    @property
    def is_current(self) -> bool:
        """Whether the caller is on this thread."""
        return threading.current_thread() is self._thread

    def begin(self, work: Coroutine[Any, Any, _T]) -> Future[_T]:
        """Start a coroutine on the loop, from any thread; cancelling the future cancels it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call_soon(self, function: Callable[[], object]) -> None:
        """Have a function called on the loop, from any thread; calls keep their order."""
        self._loop.call_soon_threadsafe(function)

    def stop(self) -> None:
        """Cancel what still runs on the loop and end the thread; on that thread, do not wait for it."""
        if self.is_running:
            self._loop.call_soon_threadsafe(self._stopping.set)
            if not self.is_current:
                self._thread.join()

    def _main(self) -> None:
        asyncio.run(self._run())

    async def _run(self) -> None:
        self._started.set_result(asyncio.get_running_loop())
        await self._stopping.wait()
