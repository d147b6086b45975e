"""What a persister is doing, and who hears of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from enum import IntEnum
from typing import Generic, NamedTuple, TypeAlias, TypeVar

__all__ = ["Progress", "ProgressListener", "Status", "StatusListeners"]

_log = logging.getLogger("replicell.persisters")
_P = TypeVar("_P")


class Status(IntEnum):
    """What a persister is doing. Mirrors TinyBase's `Status`."""

    IDLE = 0
    LOADING = 1
    SAVING = 2


class Progress(NamedTuple):
    """How far a long load or save is.

    Args:
        status: `Status.LOADING` or `Status.SAVING`.
        done: Rows done.
        total: Rows to do.
    """

    status: Status
    done: int
    total: int


ProgressListener: TypeAlias = Callable[[Progress], object]


class StatusListeners(Generic[_P]):
    """Listeners that are called with a persister and its status.

    Each runs in an iteration of the event loop of its own, so that it may write to the store, and one that
    raises is logged.
    """

    __slots__ = ("_listeners", "_next_id")

    def __init__(self) -> None:
        self._listeners: dict[str, Callable[[_P, Status], object]] = {}
        self._next_id = 0

    def add(self, listener: Callable[[_P, Status], object]) -> str:
        """Add a listener and return its id."""
        listener_id = str(self._next_id)
        self._next_id += 1
        self._listeners[listener_id] = listener
        return listener_id

    def remove(self, listener_id: str) -> None:
        """Remove a listener; unknown ids are ignored."""
        self._listeners.pop(listener_id, None)

    def tell(self, loop: asyncio.AbstractEventLoop | None, persister: _P, status: Status) -> None:
        """Have all listeners called soon."""
        if loop is not None:
            for listener_id in self._listeners:
                loop.call_soon(self._call, listener_id, persister, status)

    def _call(self, listener_id: str, persister: _P, status: Status) -> None:
        listener = self._listeners.get(listener_id)
        if listener is not None:
            try:
                listener(persister, status)
            except Exception:
                _log.exception("a status listener failed")
