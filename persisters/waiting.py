"""Callers that wait for a load or a save."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

__all__ = ["Waiters"]

_T = TypeVar("_T")


class Waiters(Generic[_T]):
    """Futures of callers, each with the number of the edit it waits for."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[tuple[int, asyncio.Future[_T]]] = []

    def __bool__(self) -> bool:
        return any(not future.done() for _, future in self._waiting)

    def add(self, loop: asyncio.AbstractEventLoop, edit: int = 0) -> asyncio.Future[_T]:
        """Return a new future to wait for."""
        future: asyncio.Future[_T] = loop.create_future()
        self._waiting.append((edit, future))
        return future

    def take(self, until: int | None = None) -> Waiters[_T]:
        """Remove and return those who wait for an edit up to a number, or all of them."""
        taken: Waiters[_T] = Waiters()
        taken._waiting = [item for item in self._waiting if until is None or item[0] <= until]
        self._waiting = [item for item in self._waiting if until is not None and item[0] > until]
        return taken

    def extend(self, others: Waiters[_T]) -> None:
        """Let others wait here as well."""
        self._waiting.extend(others._waiting)

    def succeed(self, result: _T) -> None:
        """Give all of them the result."""
        for _, future in self._waiting:
            if not future.done():
                future.set_result(result)

    def fail(self, error: BaseException) -> bool:
        """Give all of them an error, and tell whether there was anybody to take it."""
        is_heard = bool(self)
        for _, future in self._waiting:
            if not future.done():
                future.set_exception(error)
        return is_heard
