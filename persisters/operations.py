"""One load, save or action at a time: which comes next, and what becomes of it."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import Any, TypeAlias

from replicell.persisters.backoff import Backoff
from replicell.persisters.content import LoadedContent, LoadedTable, SaveResult
from replicell.persisters.errors import PersisterClosedError, PersisterError
from replicell.persisters.interval import Interval
from replicell.persisters.replies import at_once
from replicell.persisters.row_blocks import ROWS_A_BLOCK
from replicell.persisters.status import Progress, ProgressListener, Status
from replicell.persisters.subscription import Subscription
from replicell.persisters.tracking import ChangeTracker
from replicell.persisters.turns import Turns
from replicell.persisters.unsaved import UnsavedChanges
from replicell.persisters.waiting import Waiters
from replicell.store.ids import Id

__all__ = ["Action", "ErrorListener", "Operations"]

_log = logging.getLogger("replicell.persisters")

Action: TypeAlias = Callable[[], Awaitable[object]]
ErrorListener: TypeAlias = Callable[[Exception], object]
_Settle: TypeAlias = Callable[[], object]

_ROWS_A_SLICE = 500
_ROWS_FREED_AT_ONCE = 20_000


class Operations(ABC):
    """Runs loads, saves and scheduled actions one after the other, and tries again what fails.

    `replicell.persisters.persister.Persister` is what programs see of it and says what a medium provides.
    """

    def __init__(
        self,
        tracker: ChangeTracker,
        *,
        on_error: ErrorListener | None,
        on_progress: ProgressListener | None,
        save_interval: float,
        retry_delay: float,
        max_retry_delay: float,
        turns: Turns | None,
    ) -> None:
        self._tracker = tracker
        self._on_error = on_error
        self._on_progress = on_progress
        self._turns = Turns() if turns is None else turns
        self._loop: asyncio.AbstractEventLoop | None = None
        self._status = Status.IDLE
        self._stats = {"loads": 0, "saves": 0}
        self._saved_edits = 0
        self._operation: asyncio.Future[Any] | None = None
        self._watching: Subscription | None = None
        self._is_auto_saving = False
        self._load_wanted = False
        self._load_waiters: Waiters[bool] = Waiters()
        self._save_waiters: Waiters[None] = Waiters()
        self._actions: deque[tuple[Action, asyncio.Future[None]]] = deque()
        self._is_turn_of_actions = False
        self._is_turn_of_saves = False
        self._load_backoff = Backoff(retry_delay, max_retry_delay, self._advance)
        self._save_backoff = Backoff(retry_delay, max_retry_delay, self._advance)
        self._save_interval = Interval(save_interval, self._advance)
        self._is_closed = False

    # ------------------------------------------------------------------ to be provided by each medium

    @abstractmethod
    def _begin_load(self) -> asyncio.Future[LoadedContent]:
        """Begin to read what has changed in the medium since the last load, or everything the first time.

        Returns at once; reading happens elsewhere, so that the event loop never waits for it. Called again
        only after the future is done.
        """

    @abstractmethod
    def _begin_save(self, unsaved: UnsavedChanges) -> asyncio.Future[SaveResult]:
        """Begin to write changes, which nobody modifies while it runs; returns at once, as `_begin_load`."""

    @abstractmethod
    def _watch(self, on_change: Callable[[], None]) -> Subscription:
        """Have a function called on the loop whenever somebody else has changed the medium."""

    @abstractmethod
    def _on_applied(self, content: LoadedContent) -> None:
        """Learn that what was loaded has reached the store, so that the next load may begin after it.

        What was loaded and is never told of here must be loaded again.
        """

    @abstractmethod
    def _release(self) -> None:
        """Let go of the medium, because the persister is closed."""

    @abstractmethod
    def _set_status(self, status: Status) -> None:
        """Learn what is being done now."""

    # ------------------------------------------------------------------ what comes next

    def _on_unsaved(self) -> None:
        """React to a finished transaction; it is still the store's turn, so nothing here may write to it."""
        if self._is_auto_saving and self._operation is None:
            self._advance()

    def _on_medium_change(self) -> None:
        self._load_wanted = True
        self._advance()

    def _advance(self) -> None:
        if self._operation is not None or self._is_closed:
            return
        start = self._next()
        if start is None:
            self._turns.leave(self._advance)
            self._set_status(Status.IDLE)
        elif self._turns.take(self._advance):
            start()

    def _next(self) -> Callable[[], None] | None:
        if self._actions and self._is_turn_of_actions:
            return self._start_action
        # A medium that others change all the time has something to load whenever a load is done.
        if self._is_turn_of_saves and self._is_save_due():
            return self._start_save
        if self._load_wanted and not self._load_backoff.is_waiting:
            return self._start_load
        if self._is_save_due():
            return self._start_save
        return self._start_action if self._actions else None

    def _is_save_due(self) -> bool:
        if not self._tracker.has_unsaved:
            return False
        if self._save_waiters:
            return True
        return (
            self._is_auto_saving
            and not self._save_backoff.is_waiting
            and self._save_interval.has_passed(self._running_loop())
        )

    def _begin(self, begin: Callable[[], asyncio.Future[Any]]) -> asyncio.Future[Any]:
        try:
            self._operation = begin()
        except Exception as error:
            self._operation = self._running_loop().create_future()
            self._operation.set_exception(error)
        return self._operation

    def _finish(self, settle: _Settle) -> None:
        # First the status and the next operation, then those who wait, so that they find things settled.
        if self._operation is None:
            self._turns.give_back()
        self._advance()
        settle()

    # ------------------------------------------------------------------ actions

    def _start_action(self) -> None:
        self._is_turn_of_actions = False
        action, waiting = self._actions.popleft()
        operation = self._begin(lambda: asyncio.ensure_future(_awaited(action)))
        operation.add_done_callback(lambda done: self._finish(self._end_action(done, waiting)))

    def _end_action(self, done: asyncio.Future[Any], waiting: asyncio.Future[None]) -> _Settle:
        self._operation = None
        try:
            done.result()
        except (Exception, asyncio.CancelledError) as error:
            self._report(error, "a scheduled action failed")
        return lambda: None if waiting.done() else waiting.set_result(None)

    # ------------------------------------------------------------------ loading

    def _start_load(self) -> None:
        self._set_status(Status.LOADING)
        self._is_turn_of_actions = True
        self._is_turn_of_saves = self._is_save_due()
        self._load_wanted = False
        waiters = self._load_waiters.take()
        operation = self._begin(self._begin_load)
        at_once(operation, lambda done: self._finish(self._end_reading(done, waiters)))

    def _end_reading(self, done: asyncio.Future[LoadedContent], waiters: Waiters[bool]) -> _Settle:
        self._operation = None
        try:
            content = done.result()
            is_empty = content.is_empty
            if content.is_complete and content.row_count > _ROWS_A_SLICE:
                operation = self._begin(lambda: asyncio.ensure_future(self._apply_slices(content)))
                operation.add_done_callback(
                    lambda done: self._finish(self._end_load(done.result, waiters, is_empty))
                )
                return _nothing
        except (Exception, asyncio.CancelledError) as error:
            return self._fail_load(error, waiters)
        return self._end_load(lambda: self._apply(content, ()), waiters, is_empty)

    def _end_load(self, apply: Callable[[], bool], waiters: Waiters[bool], is_empty: bool) -> _Settle:
        self._operation = None
        try:
            is_applied = apply()
        except (Exception, asyncio.CancelledError) as error:
            return self._fail_load(error, waiters)
        if not is_applied:
            # Somebody keeps a transaction of the store open, which may still be rolled back.
            self._load_waiters.extend(waiters)
            self._load_again()
            return _nothing
        self._load_backoff.reset()
        self._stats["loads"] += 1
        return partial(waiters.succeed, is_empty)

    def _fail_load(self, error: BaseException, waiters: Waiters[bool]) -> _Settle:
        self._load_again(error if not waiters else None)
        return partial(waiters.fail, error)

    def _load_again(self, error: BaseException | None = None) -> None:
        if error is not None:
            self._report(error, "loading failed")
        if self._watching is not None or self._load_waiters:
            self._load_wanted = True
            self._load_backoff.wait(self._running_loop())

    def _apply(self, content: LoadedContent, just_saved: tuple[UnsavedChanges, ...]) -> bool:
        """Bring what was loaded into the store; False if that is not certain to stay there."""
        for problem in self._tracker.apply(content, just_saved):
            self._report(problem, "not loaded")
        if not self._tracker.was_applied:
            return False
        self._on_applied(content)
        return True

    async def _apply_slices(self, content: LoadedContent) -> bool:
        """Bring all rows of the medium into the store, a few at a time, so that the loop is never blocked."""
        total, done = content.row_count, 0
        unknown = self._tracker.rows_to_find(content)
        for part in content.slices(_ROWS_A_SLICE):
            for problem in self._tracker.apply(part, ()):
                self._report(problem, "not loaded")
            if not self._tracker.was_applied:
                return False
            for table_id, table in part.tables.items():
                for row_id in table.rows if unknown.get(table_id) else ():
                    unknown[table_id].pop(row_id, None)
            done += part.row_count
            self._tell_progress(Status.LOADING, done, total)
            await asyncio.sleep(0)
        for _ in self._tracker.note_whole(unknown, ROWS_A_BLOCK):
            await asyncio.sleep(0)
        self._on_applied(content)
        return True

    # ------------------------------------------------------------------ saving

    def _start_save(self) -> None:
        self._set_status(Status.SAVING)
        self._is_turn_of_actions = True
        self._is_turn_of_saves = False
        self._save_interval.reset()
        until = self._tracker.edits
        unsaved = self._tracker.take()
        operation = self._begin(lambda: self._begin_save(unsaved))
        at_once(operation, lambda done: self._finish(self._end_save(done, unsaved, until)))

    def _end_save(self, done: asyncio.Future[SaveResult], unsaved: UnsavedChanges, until: int) -> _Settle:
        self._operation = None
        try:
            result = done.result()
        except (Exception, asyncio.CancelledError) as error:
            self._tracker.put_back(unsaved)
            waiters = self._save_waiters.take(until)
            if not waiters:
                self._report(error, "saving failed, the changes are kept")
            self._save_backoff.wait(self._running_loop())
            return partial(waiters.fail, error)
        self._save_backoff.reset()
        if result.incomplete_rows:
            self._tracker.put_back(unsaved)
            self._tracker.complete_rows(result.incomplete_rows)
            self._apply_beside_save(result, ())
            return _nothing
        self._stats["saves"] += 1
        self._saved_edits = until
        self._tracker.set_unstorable(result.unstorable)
        for problem in result.unstorable:
            self._report(problem, "not saved")
        self._apply_beside_save(result, (unsaved,))
        self._let_go(result.left_rows)
        self._free(unsaved.forget(_ROWS_FREED_AT_ONCE))
        return partial(self._save_waiters.take(until).succeed, None)

    def _apply_beside_save(self, result: SaveResult, just_saved: tuple[UnsavedChanges, ...]) -> None:
        if result.loaded is None:
            return
        try:
            if not self._apply(result.loaded, just_saved):
                self._load_again()
        except Exception as error:
            self._load_again(error)

    def _let_go(self, rows: Iterable[tuple[Id, Id]]) -> None:
        """Take rows out of the store that have left the part of the medium which is loaded."""
        left = self._tracker.saved_only(rows)
        if not left:
            return
        tables = {
            table_id: LoadedTable(dict.fromkeys(row_ids), frozenset(), is_complete=False)
            for table_id, row_ids in left.items()
        }
        try:
            self._tracker.apply(LoadedContent(tables), ())
        except Exception as error:
            self._report(error, "rows that are no longer chosen stay in the store")

    # ------------------------------------------------------------------ helpers

    def _free(self, steps: Iterator[None]) -> None:
        for _ in steps:
            self._running_loop().call_soon(self._free, steps)
            return

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    def _progress_of(self, status: Status) -> Callable[[int, int], None] | None:
        """Return what a medium calls, from any thread, with the rows done and to do; None if nobody asks."""
        if self._on_progress is None:
            return None
        loop = self._running_loop()

        def report(done: int, total: int) -> None:
            loop.call_soon_threadsafe(self._tell_progress, status, done, total)

        return report

    def _tell_progress(self, status: Status, done: int, total: int) -> None:
        if self._on_progress is not None:
            try:
                self._on_progress(Progress(status, done, total))
            except Exception:
                _log.exception("the progress listener failed")

    def _stop_operations(self) -> None:
        self._is_closed = True
        self._load_backoff.cancel()
        self._save_backoff.cancel()
        self._save_interval.reset()
        self._turns.leave(self._advance)
        gone = PersisterClosedError("The persister was closed meanwhile.")
        self._load_waiters.take().fail(gone)
        self._save_waiters.take().fail(gone)
        self._drop_actions()

    def _drop_actions(self) -> None:
        while self._actions:
            _, waiting = self._actions.popleft()
            if not waiting.done():
                waiting.set_result(None)

    def _report(self, error: BaseException, what: str) -> None:
        is_expected = isinstance(error, PersisterError | asyncio.CancelledError)
        _log.error("%s: %s", what, error or repr(error), exc_info=None if is_expected else error)
        if self._on_error is not None and isinstance(error, Exception):
            try:
                self._on_error(error)
            except Exception:
                _log.exception("the error listener failed")


async def _awaited(action: Action) -> None:
    await action()


def _nothing() -> None:
    return
