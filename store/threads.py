"""Handing work to the thread that owns a store.

No event loop is needed here, and none is known: a queue that any thread may put work into, and `Store.pump`,
which the owner calls to do it, by itself or through a scheduler such as ``loop.call_soon_threadsafe``.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

__all__ = ["Scheduler", "Submissions", "name_of_thread"]

Scheduler = Callable[[Callable[[], object]], object]
"""Arranges that a function is called soon in the owning thread."""


class Submissions:
    """Work that waits for the thread that owns the store."""

    __slots__ = ("_queue", "scheduler")

    def __init__(self) -> None:
        self._queue: deque[tuple[Future[Any], Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = deque()
        self.scheduler: Scheduler | None = None

    def add(self, work: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Future[Any]:
        """Queue a call; may be done in any thread."""
        future: Future[Any] = Future()
        # Appending to a deque is atomic, so no lock is needed.
        self._queue.append((future, work, args, kwargs))
        return future

    def run(self) -> int:
        """Do what is queued at this moment, in order, and return how much it was."""
        done = 0
        for _ in range(len(self._queue)):
            future, work, args, kwargs = self._queue.popleft()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work(*args, **kwargs))
                except Exception as error:
                    future.set_exception(error)
            done += 1
        return done


def name_of_thread(ident: int) -> str:
    """Say which thread that is, for an error; one that has ended has no name any more.

    >>> name_of_thread(threading.get_ident())
    "thread 'MainThread'"
    """
    names = [repr(thread.name) for thread in threading.enumerate() if thread.ident == ident]
    return f"thread {names[0] if names else f'{ident}, which has ended'}"
