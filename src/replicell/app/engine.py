"""What works in the background for programs without asyncio."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
import warnings
from collections.abc import Awaitable, Callable, Mapping
from concurrent import futures
from concurrent.futures import Future
from functools import partial
from typing import Any, ParamSpec, TypeVar

from replicell.app.app import App, open_parts
from replicell.app.bridge import Arrivals, Message, OwnerSide, SchemaChange, TwinSide, make_twin
from replicell.app.contents import Contents
from replicell.app.loop_thread import LoopThread
from replicell.app.options import Options
from replicell.persisters.operations import ErrorListener
from replicell.persisters.tracking import Scope
from replicell.store.ids import Id
from replicell.store.store import Store
from replicell.store.threads import Scheduler

__all__ = ["LONGEST_WAIT", "Engine"]

_log = logging.getLogger("replicell.app")
_P = ParamSpec("_P")
_T = TypeVar("_T")

_MOMENT = 0.001
"""Seconds between looks for more of what the owner writes."""

LONGEST_WAIT = 0.5
"""Seconds of a wait at most: on some systems Ctrl+C is heard only between waits."""


class Engine:
    """The thread, with an app and the twin of the owner's store; opened when it is made.

    It does not know the `BlockingApp` it works for, so that it hears when that is forgotten.

    Args:
        options: What to open.
        contents: What is kept.
        store: The owner's store.
        on_error: Called in the owner's thread with each error that no caller gets.
        schedule: Arranges that a function is called soon in the owner's thread.
    """

    def __init__(
        self,
        options: Options,
        contents: Contents,
        store: Store,
        on_error: ErrorListener | None,
        schedule: Scheduler | None,
    ) -> None:
        self.awake = threading.Event()
        """Set when there may be something to do for the owner."""
        self._path = os.fspath(options.path)
        self._store = store
        self._on_error = on_error
        self._schedule = schedule
        self._arrivals = Arrivals(self._announce)
        self._closing: Future[None] | None = None
        self._is_closed = False
        scope = contents.scope()
        schemas = SchemaChange(store.get_tables_schema_json(), store.get_values_schema_json())
        tables = {table_id: store.get_encoded_table(table_id) for table_id in contents.config.tables.save}
        values = store.get_encoded_values()
        self._thread = LoopThread(f"replicell app {self._path}")
        opening = self._thread.begin(self._open(options, contents, scope, schemas, tables, values))
        try:
            self.app, self._twin = settled(opening)
        except BaseException:
            self._give_up(opening)
            raise
        self._owner = OwnerSide(store, scope, self._arrivals, self._send, self._announce)
        self._warning = contents.warn_of_others(store, self._path)
        store.set_scheduler(self._on_submitted)
        atexit.register(self.close_at_exit)

    @property
    def path(self) -> str:
        """The file."""
        return self._path

    @property
    def is_open(self) -> bool:
        """Whether it is neither closed nor closing."""
        return self._closing is None

    def begin(self, function: Callable[_P, Awaitable[_T]], *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Have a function called in the background and awaited; it finds there what was written before."""

        async def call() -> _T:
            self._twin.take_in()
            return await function(*args, **kwargs)

        return self._thread.begin(call())

    def pump(self) -> int:
        """Do what there is to do in the owner's thread, and return how much it was."""
        done = self._store.pump()
        if self._owner.is_deferred:
            self._take_in()
            done += not self._owner.is_deferred
        return done

    def close(self) -> None:
        """Hand over, save and close everything; called by the owner, again if it was interrupted."""
        if self._is_closed:
            return
        if self._closing is None:
            self._owner.stop()
            self._warning.cancel()
            self._closing = self._thread.begin(self._close())
        try:
            settled(self._closing)
        finally:
            if self._closing.done():
                self._is_closed = True
                self._thread.stop()
                self._store.set_scheduler(self._schedule)
                atexit.unregister(self.close_at_exit)

    def close_forgotten(self) -> None:
        """Close everything without waiting, in whatever thread the garbage collector runs, and warn."""
        if self._closing is None and self._thread.is_running:
            self._closing = self._thread.begin(self._close())
            self._closing.add_done_callback(self._on_closed)
            self._warn()

    def close_at_exit(self) -> None:
        """Save and close everything before the interpreter ends, and warn if nobody has."""
        if not self._thread.is_running:
            return
        is_forgotten = self._closing is None
        closing = self._closing = self._closing or self._thread.begin(self._close())
        try:
            settled(closing)
        except Exception as error:
            _log.error("%s: the last changes could not be saved: %s", self._path, error)
        self._thread.stop()
        if is_forgotten:
            self._warn()

    # ------------------------------------------------------------------ in the background

    async def _open(
        self,
        options: Options,
        contents: Contents,
        scope: Scope,
        schemas: SchemaChange,
        tables: Mapping[Id, Any],
        values: Mapping[Id, Any],
    ) -> tuple[App, TwinSide]:
        store = make_twin(tables, values, schemas)
        loop = asyncio.get_running_loop()
        twin = TwinSide(
            store, scope, self._arrivals, self._thread.call_soon, partial(loop.call_later, _MOMENT)
        )
        return await open_parts(options, contents, store, self._on_background_error), twin

    async def _close(self) -> None:
        self._twin.take_in()
        try:
            await self.app.close()
        finally:
            self._twin.stop()

    def _on_closed(self, _: Future[None]) -> None:
        self._thread.stop()
        atexit.unregister(self.close_at_exit)

    def _announce(self) -> None:
        self._store.submit(self._take_in)
        self.awake.set()

    def _on_background_error(self, error: Exception) -> None:
        if self._on_error is not None:
            self._store.submit(self._tell, error)

    # ------------------------------------------------------------------ in the owner's thread

    def _give_up(self, opening: Future[tuple[App, TwinSide]]) -> None:
        """End what was opened, or is being opened, when Ctrl+C or an error came first."""
        is_open = opening.done() and not opening.cancelled() and opening.exception() is None
        if is_open:
            app, _ = opening.result()
            settled(self._thread.begin(app.close()))
        self._thread.stop()

    def _send(self, message: Message) -> None:
        if self._closing is None:
            self._twin.send(message)
        else:
            self._owner.stop()

    def _take_in(self) -> None:
        try:
            self._owner.take_in()
        except Exception as error:
            _log.exception("a listener failed when changes from elsewhere came in")
            self._tell(error)

    def _tell(self, error: Exception) -> None:
        if self._on_error is not None:
            try:
                self._on_error(error)
            except Exception:
                _log.exception("the error listener failed")

    # ------------------------------------------------------------------ in any thread

    def _on_submitted(self, pump: Any) -> None:
        self.awake.set()
        if self._schedule is not None:
            try:
                self._schedule(pump)
            except Exception:
                _log.exception("schedule failed; what has come waits for the next pump()")

    def _warn(self) -> None:
        message = f"the app of {self._path} was never closed: use `with`, or call close()."
        warnings.warn(message, ResourceWarning, stacklevel=2, source=self)


def settled(future: Future[_T]) -> _T:
    """Wait for a future in a way that Ctrl+C ends, without cancelling it, and return its result."""
    while not futures.wait((future,), LONGEST_WAIT).done:
        continue
    return future.result()
