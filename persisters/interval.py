"""Collecting changes for a while before they are saved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from replicell.persisters.errors import ConfigError

__all__ = ["Interval"]


class Interval:
    """A time that begins when somebody first asks for it to have passed.

    Args:
        seconds: How long; 0 has always passed.
        on_passed: Called when it has.
    """

    __slots__ = ("_has_passed", "_on_passed", "_seconds", "_timer")

    def __init__(self, seconds: float, on_passed: Callable[[], None]) -> None:
        if seconds < 0:
            raise ConfigError(f"save_interval must not be negative, it is {seconds} seconds.")
        self._seconds = seconds
        self._on_passed = on_passed
        self._has_passed = False
        self._timer: asyncio.TimerHandle | None = None

    def has_passed(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Tell whether it has passed, and begin it if it has not begun."""
        if not self._seconds:
            return True
        if self._timer is None and not self._has_passed:
            self._timer = loop.call_later(self._seconds, self._ring)
        return self._has_passed

    def reset(self) -> None:
        """Let it begin anew when it is next asked for."""
        self._has_passed = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        self._has_passed = True
        self._on_passed()
