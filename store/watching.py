"""Waiting for changes: asynchronous iterators of them, and waiting until something is true.

This is one of the two modules of the store that know asyncio, and imported when it is first needed. All of it
happens in the thread that owns the store, in which the event loop must run.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias, TypeVar, get_args

from replicell.store.callbacks import check_plain_function, name_of
from replicell.store.change_objects import CellChange, Change, ValueChange
from replicell.store.errors import ArgumentError, StoreError, WaitTimeoutError, WatchOverflowError
from replicell.store.ids import Id
from replicell.store.observers import Observation, Observers, same_content

if TYPE_CHECKING:
    from replicell.store.observing import Observing

__all__ = ["ChangeQueue", "Overflow", "Watch", "wait_for"]

_S = TypeVar("_S", bound="Observing")
_T = TypeVar("_T")

Overflow: TypeAlias = Literal["coalesce", "error"]
"""What happens when changes come faster than they are read."""


class ChangeQueue:
    """Changes that wait to be read, oldest first.

    Args:
        max_queue: How many wait at most, before those of the same cell become one.
        overflow: Whether they become one, or no more are taken.
    """

    __slots__ = ("_by_cell", "_max_queue", "_overflow", "_queue", "is_overrun")

    def __init__(self, max_queue: int, overflow: Overflow) -> None:
        if overflow not in get_args(Overflow):
            raise ArgumentError(f'overflow must be "coalesce" or "error", but {overflow!r} was given')
        if not isinstance(max_queue, int) or max_queue < 1:
            raise ArgumentError(f"max_queue must be a whole number above 0, but {max_queue!r} was given")
        self._max_queue = max_queue
        self._overflow = overflow
        self._queue: deque[Change] = deque()
        self._by_cell: dict[tuple[Id, ...], Change] = {}
        """What waits instead in the queue, once there was too much, until it has all been read."""
        self.is_overrun = False
        """Whether changes were not taken."""

    def __len__(self) -> int:
        return len(self._queue) + len(self._by_cell)

    def put(self, changes: list[Change]) -> None:
        """Take changes, in order."""
        if self.is_overrun:
            return
        if not self._by_cell and len(self._queue) + len(changes) <= self._max_queue:
            self._queue += changes
        elif self._overflow == "error":
            self.is_overrun = True
        else:
            for change in (*self._queue, *changes):
                self._merge(change)
            self._queue.clear()

    def take(self) -> Change:
        """Give the oldest change."""
        if self._by_cell:
            return self._by_cell.pop(next(iter(self._by_cell)))
        return self._queue.popleft()

    def clear(self) -> None:
        """Forget what waits."""
        self._queue.clear()
        self._by_cell.clear()

    def _merge(self, change: Change) -> None:
        if isinstance(change, CellChange):
            cell: tuple[Id, ...] = (change.table_id, change.row_id, change.cell_id)
        else:
            cell = (change.value_id,)
        first = self._by_cell.get(cell)
        if first is None:
            self._by_cell[cell] = change
        elif same_content(first.old, change.new):
            del self._by_cell[cell]
        elif isinstance(change, CellChange):
            self._by_cell[cell] = CellChange(
                change.table_id, change.row_id, change.cell_id, first.old, change.new
            )
        else:
            self._by_cell[cell] = ValueChange(change.value_id, first.old, change.new)


class Watch:
    """Changes of a store, from when this is made until it is closed; see `Store.watch`.

    Iterate over it with ``async for``. It may be left and taken up again, and a task that waits for the next
    change may be cancelled: nothing is lost. It is closed by `aclose`, by the end of an ``async with`` block,
    when the loop over an unnamed one ends, or when nothing refers to it any more.
    """

    __slots__ = ("__weakref__", "_is_closed", "_observation", "_queue", "_store", "_waiter")

    def __init__(self, store: Observing, read: Callable[[], Any], max_queue: int, overflow: Overflow) -> None:
        self._is_closed = True
        self._store = store
        self._queue = ChangeQueue(max_queue, overflow)
        self._waiter: list[asyncio.Future[None]] = []
        """The future that a task is waiting for, if one is."""
        # The store must not refer to the watch itself, or it would live until it is closed.
        self._observation = Observation("a watch", read, _Feeder(self._queue, self._waiter))
        store._begin_observation(Observers.follow, self._observation)
        self._is_closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Change:
        """Wait for the next change.

        Raises:
            StopAsyncIteration: If this was closed.
            StoreError: If another task is waiting for the next change.
            WatchOverflowError: If more changes came than were to wait.
        """
        while not self._queue:
            if self._is_closed:
                raise StopAsyncIteration
            if self._queue.is_overrun:
                self.close()
                raise WatchOverflowError(
                    "changes came faster than they were read, more than max_queue waited, and overflow is "
                    '"error"; the watch is closed. Read the store anew and watch again, raise max_queue, or '
                    'use overflow="coalesce".'
                )
            if self._waiter:
                raise StoreError(
                    "two tasks wait for the next change of one watch, which would share the changes among "
                    "them at random. Give each task a store.watch() of its own."
                )
            future = asyncio.get_running_loop().create_future()
            self._waiter.append(future)
            try:
                await future
            finally:
                self._waiter.clear()
        return self._queue.take()

    def close(self) -> None:
        """Stop listening, and end the loop that iterates; what waited is forgotten."""
        if not self._is_closed:
            self._is_closed = True
            self._store._end_observation(self._observation)
            self._queue.clear()
            _wake(self._waiter)

    async def aclose(self) -> None:
        """Do what `close` does; for `contextlib.aclosing`."""
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()


class _Feeder:
    """Puts changes in the queue of a watch and wakes the task that waits for them."""

    __slots__ = ("_queue", "_waiter")

    def __init__(self, queue: ChangeQueue, waiter: list[asyncio.Future[None]]) -> None:
        self._queue = queue
        self._waiter = waiter

    def __call__(self, changes: list[Change]) -> None:
        self._queue.put(changes)
        _wake(self._waiter)


def _wake(waiter: list[asyncio.Future[None]]) -> None:
    for future in waiter:
        if not future.done():
            future.set_result(None)


async def wait_for(store: _S, predicate: Callable[[_S], _T], seconds: float | None) -> _T:
    """Do what `Store.wait_for` does."""
    check_plain_function(predicate, "a predicate")
    answer = predicate(store)
    if answer:
        return answer
    future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()

    def ask(_: object) -> None:
        if not future.done():
            try:
                answer = predicate(store)
            except Exception as error:
                future.set_exception(error)
            else:
                if answer:
                    future.set_result(answer)

    observation = Observation("what is waited for", lambda: True, ask)
    store._begin_observation(Observers.follow, observation)
    try:
        async with asyncio.timeout(seconds):
            return await future
    except TimeoutError:
        if not future.cancelled():
            # It came true just in time; or the error is the predicate's own.
            return future.result()
        raise WaitTimeoutError(
            f"{name_of(predicate)} was not true of the store within {seconds} s. Check that something writes "
            "what it looks for, or wait longer."
        ) from None
    finally:
        store._end_observation(observation)
