"""What all persisters have in common, as programs see it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeAlias

from replicell.persisters.errors import PersisterClosedError
from replicell.persisters.operations import Action, ErrorListener, Operations
from replicell.persisters.row_blocks import ROWS_A_BLOCK
from replicell.persisters.status import ProgressListener, Status, StatusListeners
from replicell.persisters.tracking import ChangeTracker
from replicell.persisters.turns import Turns
from replicell.store.ids import Id
from replicell.store.store import Store

__all__ = ["ErrorListener", "InitialContent", "Persister", "Status", "StatusListener"]

StatusListener: TypeAlias = Callable[["Persister", Status], object]
InitialContent: TypeAlias = (
    tuple[Mapping[Id, Any], Mapping[Id, Any]] | list[Any] | Callable[[], tuple[Any, Any] | list[Any]]
)


class Persister(Operations):
    """Keeps a store and a medium the same, both ways; base of all persisters. Mirrors TinyBase's `Persister`.

    What it promises whatever the medium:

    - A change of the store is saved at some time, whenever it was made. A save that fails is kept and tried
      again; a load never overwrites what is not saved yet.
    - All transactions since the last save go into one save. What was loaded is not saved back.
    - Only what is configured is touched. Loading from an empty medium deletes nothing.

    Changes are tracked from construction on. Errors that no caller waits for go to ``on_error`` and to the
    log ``replicell.persisters``.

    A subclass moves the data. It provides these, all called on the thread of the event loop, which is the
    store's, and all returning at once:

    - ``_begin_load() -> Future[LoadedContent]``: reads what has changed in the medium since the content of
      the last ``_on_applied``; everything the first time. What a medium cannot tell apart from a deletion it
      must not leave out: a row that is gone is None in `LoadedTable.rows`, and a row that is in no complete
      table is taken for one the medium never had. Media that only know their whole content use
      `replicell.persisters.whole_content.WholeContent` to find that out.
    - ``_begin_save(unsaved) -> Future[SaveResult]``: writes the unsaved cells, best in one transaction with
      reading what others changed before (`SaveResult.loaded`). If it fails, the changes come again.
    - ``_watch(on_change) -> Subscription``: calls ``on_change`` when somebody else has changed the medium,
      not for its own writes.
    - ``_on_applied(content)``: what ``_begin_load`` gave, or ``SaveResult.loaded``, is now in the store.
    - ``_release()``: lets go of the medium.

    Persisters of one medium that must not run at once share a `Turns`.

    Args:
        store: The store.
        tracker: Which tables and values are saved, and what of them is unsaved.
        on_error: Called with each error that no caller gets.
        on_progress: Called with a `Progress` while many rows are loaded or saved.
        save_interval: Seconds during which changes are collected before they are saved automatically;
            `flush`, `save` and `close` do not wait for it.
        retry_delay: Seconds before a failed load or save is tried again, doubled with each failure.
        max_retry_delay: Seconds at most between tries.
        turns: Shared by persisters of which only one may load, save or run an action at a time; None for one
            of its own.
    """

    def __init__(
        self,
        store: Store,
        tracker: ChangeTracker,
        *,
        on_error: ErrorListener | None = None,
        on_progress: ProgressListener | None = None,
        save_interval: float = 0.0,
        retry_delay: float = 0.05,
        max_retry_delay: float = 5.0,
        turns: Turns | None = None,
    ) -> None:
        super().__init__(
            tracker,
            on_error=on_error,
            on_progress=on_progress,
            save_interval=save_interval,
            retry_delay=retry_delay,
            max_retry_delay=max_retry_delay,
            turns=turns,
        )
        self._store = store
        self._status_listeners: StatusListeners[Persister] = StatusListeners()
        self._closing: asyncio.Future[None] | None = None
        tracker.start(self._on_unsaved)

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
        was_empty = await waiting
        if initial is not None and was_empty and self._tracker.is_store_empty():
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
        for _ in self._tracker.note_never_saved(ROWS_A_BLOCK):
            await asyncio.sleep(0)
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

    async def schedule(self, *actions: Action) -> Self:
        """Run actions between loads and saves, one after the other. Mirrors TinyBase's `schedule`.

        Nothing is loaded or saved while an action runs, by this persister or by others of the same database,
        so an action must not wait for either. All of them run even if one fails; its error goes to
        ``on_error``.

        Args:
            actions: Functions without arguments whose results can be awaited.

        Raises:
            PersisterClosedError: the persister is closed.
        """
        self._begin_use()
        loop = self._running_loop()
        waiting = [loop.create_future() for _ in actions]
        self._actions.extend(zip(actions, waiting, strict=True))
        self._advance()
        for done in waiting:
            await done
        return self

    async def close(self) -> None:
        """Save what is not saved yet, if auto-saving, and let go of store and medium; may be called again.

        Raises:
            PersisterError: the last save failed; the persister is closed nevertheless.
        """
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        elif self._closing.done():
            return
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
        return self._status_listeners.add(listener)

    def del_listener(self, listener_id: str) -> Self:
        """Remove a listener; unknown ids are ignored. Mirrors TinyBase's `delListener`."""
        self._status_listeners.remove(listener_id)
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

    # ------------------------------------------------------------------ helpers

    def _begin_use(self) -> None:
        if self._is_closed:
            raise PersisterClosedError("The persister is closed: create a new one for the store.")
        self._running_loop()

    def _set_initial_content(self, tables: Mapping[Id, Any], values: Mapping[Id, Any]) -> None:
        with self._store.transaction():
            for table_id, table in (tables or {}).items():
                self._store.set_table(table_id, table)
            if values:
                self._store.set_partial_values(values)

    async def _close(self) -> None:
        self._drop_actions()
        try:
            await self.stop_auto_persisting()
        finally:
            self._is_closed = True
            while self._operation is not None:
                await asyncio.wait([self._operation])
            self._stop_operations()
            self._tracker.stop()
            self._release()
            self._set_status(Status.IDLE)

    def _set_status(self, status: Status) -> None:
        if status is self._status:
            return
        self._status = status
        self._status_listeners.tell(self._loop, self, status)
