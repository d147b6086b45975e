"""Trying again, later and later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from replicell.persisters.errors import ConfigError

__all__ = ["Backoff"]


class Backoff:
    """A timer whose delay doubles with each failure.

    Args:
        first: Seconds to wait after the first failure.
        longest: Seconds to wait at most.
        retry: Called when the time has come.
    """

    __slots__ = ("_delay", "_first", "_longest", "_retry", "_timer")

    def __init__(self, first: float, longest: float, retry: Callable[[], None]) -> None:
        if not 0 < first <= longest:
            raise ConfigError(f"The delays must be 0 < first <= longest, not {first} and {longest} seconds.")
        self._first = first
        self._longest = longest
        self._retry = retry
        self._delay = first
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether it is not time yet to try again."""
        return self._timer is not None

    def wait(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait after a failure."""
        self.cancel()
        self._timer = loop.call_later(self._delay, self._ring)
        self._delay = min(self._delay * 2, self._longest)

    def cancel(self) -> None:
        """Stop waiting, because somebody wants to try at once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def reset(self) -> None:
        """Begin with the first delay again, after a success."""
        self.cancel()
        self._delay = self._first

    def _ring(self) -> None:
        self._timer = None
        self._retry()
