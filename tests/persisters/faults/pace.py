"""A clock and a baton: the event loop and the thread that works for it run in turns, as a plan says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

__all__ = ["Pace", "PacedLoop"]

_SECONDS = 30.0


class PacedLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still until somebody moves it."""

    now = 0.0

    def time(self) -> float:
        return self.now


class Pace:
    """Lets a thread that runs jobs, first in, first out, go on only as far as it is told.

    It is held by a job that waits, behind which others queue, or in the middle of a job, at a file operation.

    Args:
        submit: Queues a job that calls a function.
    """

    def __init__(self, submit: Callable[[Callable[[], None]], object]) -> None:
        self._submit = submit
        self._condition = threading.Condition()
        self._is_working = True
        self._is_paced = False
        self._is_within_job = False
        self._operations_left: int | None = None

    def begin(self) -> None:
        """Hold the thread from now on."""
        self._is_paced = True
        self._submit(self._hold)
        self._wait_for_end_of_work()

    def end(self) -> None:
        """Let the thread go and hold it no more."""
        with self._condition:
            self._is_paced = False
            self._is_working = True
            self._condition.notify_all()

    def work(self, operations: int | None = None) -> None:
        """Let the thread run all jobs there are, or up to a number of file operations."""
        if not self._is_within_job:
            self._submit(self._hold)
        with self._condition:
            self._operations_left = operations
            self._is_working = True
            self._condition.notify_all()
        self._wait_for_end_of_work()

    def on_operation(self) -> None:
        """Called by the thread before each file operation."""
        if self._is_paced and self._operations_left is not None:
            self._operations_left -= 1
            if self._operations_left <= 0:
                self._operations_left = None
                self._pause(is_within_job=True)

    def _hold(self) -> None:
        if self._is_paced:
            self._pause(is_within_job=False)

    def _pause(self, is_within_job: bool) -> None:
        with self._condition:
            self._is_within_job = is_within_job
            self._is_working = False
            self._condition.notify_all()
            self._condition.wait_for(lambda: self._is_working)

    def _wait_for_end_of_work(self) -> None:
        with self._condition:
            if not self._condition.wait_for(lambda: not self._is_working, _SECONDS):
                raise TimeoutError("the thread neither ends its work nor reaches a file operation")
