"""Coroutine functions as listeners: called in order on the running event loop, when a transaction is over.

This is one of the two modules of the store that know asyncio, and imported when it is first needed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, cast

from replicell.store.changes import GetIdChanges, Transition
from replicell.store.dispatch import Dispatching
from replicell.store.errors import NoEventLoopError
from replicell.store.ids import Id
from replicell.store.missing import MISSING

__all__ = ["LastingChanges", "Scheduled"]

_logger = logging.getLogger("replicell.store.listeners")

_RUNNING: set[asyncio.Task[None]] = set()
"""Event loops hold their tasks weakly, so somebody else must hold them until they are done."""


class LastingChanges:
    """What a transaction changed, for listeners that are called when it is long over."""

    __slots__ = ("_cells", "_store", "_values", "transaction")

    def __init__(self, store: Dispatching) -> None:
        self._store = store
        record = store._record
        self.transaction: object = record.cells
        """Stands for the transaction."""
        self._cells = {
            (table_id, row_id, cell_id): store._get_cell_change(table_id, row_id, cell_id)
            for table_id, rows in record.cells.items()
            for row_id, cells in rows.items()
            for cell_id in cells
        }
        self._values = {value_id: store._get_value_change(value_id) for value_id in record.values}

    def get_cell_change(self, table_id: Id, row_id: Id, cell_id: Id) -> Transition:
        """Answer as the `GetCellChange` did; a cell that was not touched is as it is now."""
        change = self._cells.get((table_id, row_id, cell_id))
        if change is None:
            present = self._store.get_cell(table_id, row_id, cell_id, MISSING)
            return Transition(False, present, present)
        return change

    def get_value_change(self, value_id: Id) -> Transition:
        """Answer as the `GetValueChange` did; a value that was not touched is as it is now."""
        change = self._values.get(value_id)
        if change is None:
            present = self._store.get_value(value_id, MISSING)
            return Transition(False, present, present)
        return change


class Scheduled:
    """A coroutine function that listens: its calls run one after the other, and none is lost.

    Args:
        callback: The coroutine function.
        described: What it is, for errors.
    """

    __slots__ = ("_calls", "_changes", "_described", "_worker", "callback")

    def __init__(self, callback: Callable[..., Awaitable[object]], described: str) -> None:
        self.callback = callback
        self._described = described
        self._calls: deque[tuple[Any, ...]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._changes: LastingChanges | None = None

    def __call__(self, *arguments: Any) -> None:
        """Have the coroutine function called with these arguments, after those that wait already.

        Raises:
            NoEventLoopError: If no event loop is running in this thread.
        """
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise NoEventLoopError(
                f"the {self._described} is a coroutine function, but the store was written to while no event "
                "loop was running, so it cannot be called. Write from within asyncio.run, or listen with a "
                "plain function."
            ) from None
        self._calls.append(tuple([self._lasting(argument) for argument in arguments]))
        worker = self._worker
        if worker is None or worker.done() or worker.get_loop() is not loop:
            worker = self._worker = loop.create_task(self._work(), name=self._described)
            _RUNNING.add(worker)
            worker.add_done_callback(_RUNNING.discard)

    async def _work(self) -> None:
        # A loop with eager tasks would otherwise begin within the transaction.
        await asyncio.sleep(0)
        while self._calls:
            arguments = self._calls.popleft()
            try:
                await self.callback(*arguments)
            except asyncio.CancelledError as error:
                worker = asyncio.current_task()
                if worker is None or worker.cancelling():
                    self._give_up()
                    raise
                self._report(error)
            except Exception as error:
                self._report(error)

    def _report(self, error: BaseException) -> None:
        error.add_note(f"in the {self._described}")
        asyncio.get_running_loop().call_exception_handler(
            {"message": f"the {self._described} failed", "exception": error}
        )

    def _give_up(self) -> None:
        if self._calls:
            _logger.warning(
                "the %s was cancelled, with its event loop or by its name, before it was told of %d more "
                "change(s)",
                self._described,
                len(self._calls),
            )
            self._calls.clear()

    def _lasting(self, argument: Any) -> Any:
        """Make of a function that answers until the transaction is over one that always does."""
        if not callable(argument):
            return argument
        store = getattr(argument, "__self__", None)
        if isinstance(store, Dispatching):
            changes = self._changes
            if changes is None or changes.transaction is not store._record.cells:
                changes = self._changes = LastingChanges(store)
            return getattr(changes, argument.__name__.removeprefix("_"))
        return cast("GetIdChanges", argument)().copy
