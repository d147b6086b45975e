"""What all persisters have in common: when to load and save, what to try again, and who hears of it."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from enum import IntEnum
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeAlias

from replicell.persisters.backoff import Backoff
from replicell.persisters.content import LoadedContent, SaveResult
from replicell.persisters.errors import PersisterClosedError, PersisterError
from replicell.persisters.subscription import Subscription
from replicell.persisters.tracking import ChangeTracker
from replicell.persisters.unsaved import UnsavedChanges
from replicell.persisters.waiting import Waiters
from replicell.store.ids import Id
from replicell.store.store import Store

__all__ = ["ErrorListener", "InitialContent", "Persister", "Status", "StatusListener"]

_log = logging.getLogger("replicell.persisters")


_Settle: TypeAlias = Callable[[], object]


class Status(IntEnum):
    """What a persister is doing. Mirrors TinyBase's `Status`."""

    IDLE = 0
    LOADING = 1
    SAVING = 2


ErrorListener: TypeAlias = Callable[[Exception], object]
StatusListener: TypeAlias = Callable[["Persister", Status], object]
InitialContent: TypeAlias = (
    tuple[Mapping[Id, Any], Mapping[Id, Any]] | list[Any] | Callable[[], tuple[Any, Any] | list[Any]]
)


class Persister(ABC):
    """Keeps a store and a medium the same, both ways; base of all persisters. Mirrors TinyBase's `Persister`.

    What it promises whatever the medium:

    - A change of the store is saved at some time, whenever it was made. A save that fails is kept and tried
      again; a load never overwrites what is not saved yet.
    - All transactions since the last save go into one save. What was loaded is not saved back.
    - Only what is configured is touched. Loading from an empty medium deletes nothing.

    Changes are tracked from construction on. Errors that no caller waits for go to ``on_error`` and to the
    log ``replicell.persisters``.

    A subclass moves the data: `_begin_load`, `_begin_save` and `_watch` start work elsewhere and return at
    once; everything here runs on the thread of the event loop, which is the store's.

    Args:
        store: The store.
        tracker: Which tables and values are saved, and what of them is unsaved.
        on_error: Called with each error that no caller gets.
        retry_delay: Seconds before a failed load or save is tried again, doubled with each failure.
        max_retry_delay: Seconds at most between tries.
    """

    def __init__(
        self,
        store: Store,
        tracker: ChangeTracker,
        *,
        on_error: ErrorListener | None = None,
        retry_delay: float = 0.05,
        max_retry_delay: float = 5.0,
    ) -> None:
        self._store = store
        self._tracker = tracker
        self._on_error = on_error
        self._loop: asyncio.AbstractEventLoop | None = None
        self._status = Status.IDLE
        self._status_listeners: dict[str, StatusListener] = {}
        self._next_listener_id = 0
        self._stats = {"loads": 0, "saves": 0}
        self._saved_edits = 0
        self._operation: asyncio.Future[Any] | None = None
        self._watching: Subscription | None = None
        self._is_auto_saving = False
        self._load_wanted = False
        self._load_waiters: Waiters[LoadedContent] = Waiters()
        self._save_waiters: Waiters[None] = Waiters()
        self._load_backoff = Backoff(retry_delay, max_retry_delay, self._advance)
        self._save_backoff = Backoff(retry_delay, max_retry_delay, self._advance)
        self._closing: asyncio.Future[None] | None = None
        self._is_closed = False
        tracker.start(self._on_unsaved)

    # ------------------------------------------------------------------ to be provided by each medium

    @abstractmethod
    def _begin_load(self) -> asyncio.Future[LoadedContent]:
        """Begin to read what has changed in the medium since the last load, or everything the first time."""

    @abstractmethod
    def _begin_save(self, unsaved: UnsavedChanges) -> asyncio.Future[SaveResult]:
        """Begin to write changes, which nobody modifies while it runs."""

    @abstractmethod
    def _watch(self, on_change: Callable[[], None]) -> Subscription:
        """Have a function called on the loop whenever somebody else has changed the medium."""

    @abstractmethod
    def _on_applied(self, content: LoadedContent) -> None:
        """Learn that what was loaded has reached the store, so that the next load may begin after it."""

    @abstractmethod
    def _release(self) -> None:
        """Let go of the medium, because the persister is closed."""

    # ------------------------------------------------------------------ loading

    async def load(self, initial: InitialContent | None = None) -> Self:
        """Load what has changed in the medium; everything the first time. Mirrors TinyBase's `load`.

        Rows that the store has and the medium never had are kept, and so is whatever is not saved yet.

        Args:
            initial: Tables and values to set if both the medium and the loaded part of the store are
                empty, or a function that returns them.

        Raises:
            PersisterError: the medium cannot be read, or is not as the configuration says.
        """
        self._begin_use()
        self._load_wanted = True
        waiting = self._load_waiters.add(self._running_loop())
        self._load_backoff.cancel()
        self._advance()
        content = await waiting
        if initial is not None and content.is_empty and self._tracker.is_store_empty():
            tables, values = initial() if callable(initial) else initial
            self._set_initial_content(tables, values)
        return self

    async def start_auto_load(self, initial: InitialContent | None = None) -> Self:
        """Load now, and again whenever somebody else has changed the medium.

        Mirrors TinyBase's `startAutoLoad`.

        Args:
            initial: As for :meth:`load`.

        Raises:
            PersisterError: the first load failed; auto-loading has not begun.
        """
        await self.stop_auto_load()
        self._begin_use()
        self._watching = self._watch(self._on_medium_change)
        try:
            await self.load(initial)
        except BaseException:
            await self.stop_auto_load()
            raise
        return self

    async def stop_auto_load(self) -> Self:
        """Load no more by itself. Mirrors TinyBase's `stopAutoLoad`."""
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        return self

    def is_auto_loading(self) -> bool:
        """Tell whether others' changes are loaded as they are made. Mirrors TinyBase's `isAutoLoading`."""
        return self._watching is not None

    # ------------------------------------------------------------------ saving

    async def save(self) -> Self:
        """Save all that the medium does not have. Mirrors TinyBase's `save`.

        The first time that is everything the store holds, unless it was loaded before; later it is what has
        changed. Rows of the medium that the store never had are left there.

        Raises:
            PersisterError: the medium cannot be written; the changes are kept.
        """
        self._begin_use()
        self._tracker.note_never_saved()
        await self.flush()
        return self

    async def start_auto_save(self) -> Self:
        """Save now, and from now on every transaction of the store. Mirrors TinyBase's `startAutoSave`.

        Raises:
            PersisterError: the first save failed; auto-saving has not begun.
        """
        await self.save()
        self._is_auto_saving = True
        self._on_unsaved()
        return self

    async def stop_auto_save(self) -> Self:
        """Save what is not saved yet, and then save no more by itself. Mirrors TinyBase's `stopAutoSave`.

        Raises:
            PersisterError: the last save failed; auto-saving has ended and the changes are kept.
        """
        if self._is_auto_saving:
            try:
                await self.flush()
            finally:
                self._is_auto_saving = False
                self._save_backoff.cancel()
        return self

    def is_auto_saving(self) -> bool:
        """Tell whether transactions are saved as they are made. Mirrors TinyBase's `isAutoSaving`."""
        return self._is_auto_saving

    async def flush(self) -> Self:
        """Return when every change made so far is durable in the medium.

        Cells that the medium cannot hold have been reported by then.

        Raises:
            PersisterError: a save failed; the changes are kept and, while auto-saving, tried again.
        """
        self._begin_use()
        if self._saved_edits < self._tracker.edits:
            waiting = self._save_waiters.add(self._running_loop(), self._tracker.edits)
            self._save_backoff.cancel()
            self._advance()
            await waiting
        return self

    # ------------------------------------------------------------------ both

    async def start_auto_persisting(
        self, initial: InitialContent | None = None, start_save_first: bool = False
    ) -> Self:
        """Start auto-loading and auto-saving. Mirrors TinyBase's `startAutoPersisting`.

        Args:
            initial: As for :meth:`load`.
            start_save_first: Save before loading.

        Raises:
            PersisterError: one of them could not start; neither runs.
        """
        try:
            if start_save_first:
                await self.start_auto_save()
                await self.start_auto_load(initial)
            else:
                await self.start_auto_load(initial)
                await self.start_auto_save()
        except BaseException:
            await self.stop_auto_load()
            self._is_auto_saving = False
            raise
        return self

    async def stop_auto_persisting(self, stop_save_first: bool = False) -> Self:
        """Stop auto-loading and auto-saving. Mirrors TinyBase's `stopAutoPersisting`.

        Raises:
            PersisterError: the last save failed; both have ended and the changes are kept.
        """
        if stop_save_first:
            try:
                await self.stop_auto_save()
            finally:
                await self.stop_auto_load()
        else:
            await self.stop_auto_load()
            await self.stop_auto_save()
        return self

    async def close(self) -> None:
        """Save what is not saved yet, if auto-saving, and let go of store and medium; may be called again.

        Raises:
            PersisterError: the last save failed; the persister is closed nevertheless.
        """
        if self._is_closed:
            return
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closing)

    async def destroy(self) -> None:
        """Close the persister. Mirrors TinyBase's `destroy`."""
        await self.close()

    # ------------------------------------------------------------------ what one can know

    @property
    def status(self) -> Status:
        """What the persister is doing."""
        return self._status

    def get_status(self) -> Status:
        """Return what the persister is doing. Mirrors TinyBase's `getStatus`."""
        return self._status

    def add_status_listener(self, listener: StatusListener) -> str:
        """Call a listener with the persister and its status, each time it changes.

        Mirrors TinyBase's `addStatusListener`. Listeners run in an iteration of the event loop of their own,
        so that they may write to the store.

        Returns:
            The listener's id, for :meth:`del_listener`.
        """
        listener_id = str(self._next_listener_id)
        self._next_listener_id += 1
        self._status_listeners[listener_id] = listener
        return listener_id

    def del_listener(self, listener_id: str) -> Self:
        """Remove a listener; unknown ids are ignored. Mirrors TinyBase's `delListener`."""
        self._status_listeners.pop(listener_id, None)
        return self

    def get_store(self) -> Store:
        """Return the store. Mirrors TinyBase's `getStore`."""
        return self._store

    def get_stats(self) -> dict[str, int]:
        """Return how many ``loads`` and ``saves`` have succeeded. Mirrors TinyBase's `getStats`."""
        return dict(self._stats)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # ------------------------------------------------------------------ one load or save at a time

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
        if self._load_wanted and not self._load_backoff.is_waiting:
            self._start_load()
        elif self._is_save_due():
            self._start_save()
        else:
            self._set_status(Status.IDLE)

    def _is_save_due(self) -> bool:
        if not self._tracker.has_unsaved:
            return False
        return bool(self._save_waiters) or (self._is_auto_saving and not self._save_backoff.is_waiting)

    def _start_load(self) -> None:
        self._set_status(Status.LOADING)
        self._load_wanted = False
        waiters = self._load_waiters.take()
        operation = self._begin(self._begin_load)
        operation.add_done_callback(lambda done: self._finish(self._end_load(done, waiters)))

    def _end_load(self, done: asyncio.Future[LoadedContent], waiters: Waiters[LoadedContent]) -> _Settle:
        self._operation = None
        try:
            content = done.result()
            is_applied = self._apply(content, ())
        except (Exception, asyncio.CancelledError) as error:
            self._load_again(error if not waiters else None)
            return partial(waiters.fail, error)
        if not is_applied:
            self._load_waiters.extend(waiters)
            self._load_again()
            return _nothing
        self._load_backoff.reset()
        self._stats["loads"] += 1
        return partial(waiters.succeed, content)

    def _load_again(self, error: BaseException | None = None) -> None:
        if error is not None:
            self._report(error, "loading failed")
        if self.is_auto_loading() or self._load_waiters:
            self._load_wanted = True
            self._load_backoff.wait(self._running_loop())

    def _start_save(self) -> None:
        self._set_status(Status.SAVING)
        until = self._tracker.edits
        unsaved = self._tracker.take()
        operation = self._begin(lambda: self._begin_save(unsaved))
        operation.add_done_callback(lambda done: self._finish(self._end_save(done, unsaved, until)))

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
        return partial(self._save_waiters.take(until).succeed, None)

    def _apply_beside_save(self, result: SaveResult, just_saved: tuple[UnsavedChanges, ...]) -> None:
        if result.loaded is None:
            return
        try:
            if not self._apply(result.loaded, just_saved):
                # Somebody keeps a transaction of the store open, which may still be rolled back.
                self._load_again()
        except Exception as error:
            self._load_again(error)

    def _begin(self, begin: Callable[[], asyncio.Future[Any]]) -> asyncio.Future[Any]:
        try:
            self._operation = begin()
        except Exception as error:
            self._operation = self._running_loop().create_future()
            self._operation.set_exception(error)
        return self._operation

    def _finish(self, settle: _Settle) -> None:
        # First the status and the next operation, then those who wait, so that they find things settled.
        self._advance()
        settle()

    def _apply(self, content: LoadedContent, just_saved: tuple[UnsavedChanges, ...]) -> bool:
        """Bring what was loaded into the store; False if that is not certain to stay there."""
        for problem in self._tracker.apply(content, just_saved):
            self._report(problem, "not loaded")
        if not self._tracker.was_applied:
            return False
        self._on_applied(content)
        return True

    # ------------------------------------------------------------------ helpers

    def _begin_use(self) -> None:
        if self._is_closed:
            raise PersisterClosedError("The persister is closed: create a new one for the store.")
        self._running_loop()

    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    def _set_initial_content(self, tables: Mapping[Id, Any], values: Mapping[Id, Any]) -> None:
        with self._store.transaction():
            for table_id, table in (tables or {}).items():
                self._store.set_table(table_id, table)
            if values:
                self._store.set_partial_values(values)

    async def _close(self) -> None:
        try:
            await self.stop_auto_persisting()
            if self._operation is not None:
                await asyncio.wait([self._operation])
        finally:
            self._is_closed = True
            self._tracker.stop()
            self._load_backoff.cancel()
            self._save_backoff.cancel()
            gone = PersisterClosedError("The persister was closed meanwhile.")
            self._load_waiters.take().fail(gone)
            self._save_waiters.take().fail(gone)
            self._release()
            self._set_status(Status.IDLE)

    def _set_status(self, status: Status) -> None:
        if status is self._status:
            return
        self._status = status
        if self._status_listeners and self._loop is not None:
            for listener_id in list(self._status_listeners):
                self._loop.call_soon(self._tell_status, listener_id, status)

    def _tell_status(self, listener_id: str, status: Status) -> None:
        listener = self._status_listeners.get(listener_id)
        if listener is not None:
            try:
                listener(self, status)
            except Exception:
                _log.exception("a status listener failed")

    def _report(self, error: BaseException, what: str) -> None:
        is_expected = isinstance(error, PersisterError | asyncio.CancelledError)
        _log.error("%s: %s", what, error or repr(error), exc_info=None if is_expected else error)
        if self._on_error is not None and isinstance(error, Exception):
            try:
                self._on_error(error)
            except Exception:
                _log.exception("the error listener failed")


def _nothing() -> None:
    return
