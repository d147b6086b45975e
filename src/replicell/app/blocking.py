"""One call for programs without asyncio: scripts, GUIs and the plain interpreter."""

from __future__ import annotations

import os
import ssl as ssl_module
import time
import weakref
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, ParamSpec, Self, TypeVar

from replicell.app.app import AppStatus
from replicell.app.contents import TablesLike, ValuesLike
from replicell.app.engine import LONGEST_WAIT, Engine
from replicell.app.errors import AppClosedError, AppTimeoutError
from replicell.app.options import Options
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.migrations import Migrations
from replicell.persisters.operations import ErrorListener
from replicell.persisters.subscription import Subscription
from replicell.store.store import Store
from replicell.store.threads import Scheduler
from replicell.sync.client import SyncClient

if TYPE_CHECKING:
    import tkinter

__all__ = ["BlockingApp", "open_blocking"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


class BlockingApp:
    """What `replicell.open` gives, for the thread that has opened it and has no event loop.

    The store belongs to that thread. What it writes is saved and sent in the background, without any call;
    what comes from elsewhere enters the store only while the thread is in `pump`, or in another method here
    that waits. So listeners run in this thread, and nothing changes between two lines of a program.

    Attributes:
        store: The tables and values; write to it and listen to it.
    """

    def __init__(self, store: Store, engine: Engine) -> None:
        self.store = store
        self._engine = engine
        self._attached: list[tuple[Subscription, object]] = []
        self._forgotten = weakref.finalize(self, engine.close_forgotten)
        self._forgotten.atexit = False

    @property
    def is_open(self) -> bool:
        """Whether it is neither closed nor closing."""
        return self._engine.is_open

    @property
    def status(self) -> AppStatus:
        """How things stand."""
        return self._engine.app.status

    @property
    def database(self) -> CrSqliteDatabase:
        """The file. Its methods that are awaited go through `call`."""
        return self._engine.app.database

    @property
    def sync(self) -> SyncClient | None:
        """What shares the database, None without a server. Its methods that are awaited go through `call`."""
        return self._engine.app.sync

    def pump(self, timeout: float = 0.0) -> int:
        """Let in what has come from elsewhere, and do what other threads have submitted to the store.

        Args:
            timeout: Seconds to wait for something to do, if there is nothing.

        Returns:
            How many pieces of work there were.

        Example::

            while app.pump(timeout=60):
                print(app.store.get_table("todo"))
        """
        done = 0

        def is_done(pumped: int) -> bool:
            nonlocal done
            done = pumped
            return done > 0

        self._pump_until(is_done, timeout)
        return done

    def wait_for(self, condition: Callable[[Store], object], timeout: float | None = None) -> None:
        """Let in what comes from elsewhere until a condition holds.

        Args:
            condition: Called with the store, at first and whenever something has come.
            timeout: Seconds to wait at most; None for as long as it takes.

        Raises:
            AppTimeoutError: it does not hold yet.
        """
        if not self._pump_until(lambda _: bool(condition(self.store)), timeout):
            raise AppTimeoutError(f"What was waited for has not come about within {timeout} seconds.")

    def flush(self, timeout: float | None = None) -> None:
        """Return when every transaction that is over is durable in the database.

        What comes from elsewhere meanwhile is let in.

        Args:
            timeout: Seconds to wait at most; None for as long as it takes.

        Raises:
            PersisterError: it cannot be saved now; it is kept, and tried again.
            AppTimeoutError: it took longer; nothing is lost.
            AppClosedError: the app is closed.
        """
        self._wait(self._engine.app.flush, timeout)

    def wait_until_synced(self, timeout: float | None = None) -> None:
        """Return when the server has all that is here, on its disk, and the store has all that is there.

        Args:
            timeout: Seconds to wait for the server at most; None for as long as it takes.

        Raises:
            SyncTimeoutError: it took longer; nothing is lost, and the app goes on trying.
            RefusedError: the server does not take this program.
            NoServerError: the app was opened without a server.
            AppClosedError: the app is closed.
        """
        self._wait(partial(self._engine.app.wait_until_synced, timeout), None)

    def call(self, function: Callable[_P, Awaitable[_T]], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Call something to be awaited in the background, where database and client live, and await it.

        What comes from elsewhere meanwhile is let in.

        Args:
            function: It must not touch the store.
            args: Its arguments.
            kwargs: Its keyword arguments.

        Raises:
            AppClosedError: the app is closed.

        Example::

            app.call(app.database.execute, "SELECT count(*) FROM todo")
            app.call(app.sync.pause)
        """
        return self._wait(partial(function, *args, **kwargs), None)

    def attach_tk(self, widget: tkinter.Misc, interval: float = 0.02) -> Subscription:
        """Have Tk call `pump` now and then, as long as its main loop runs and the app is open.

        Tk must only be touched by one thread, so that nobody else can tell it when there is something to do.
        For the same reason the window is held until the app is closed: a thread in the background must not be
        the one that frees it.

        Args:
            widget: The root window, or any other.
            interval: Seconds between two looks.

        Returns:
            A subscription whose ``cancel()`` ends it.
        """
        # Imported here, as not every Python has Tk.
        from replicell.app.tk import call_from_tk

        subscription = call_from_tk(widget, self.pump, interval)
        self._attached.append((subscription, widget))
        return subscription

    def close(self) -> None:
        """Save what is unsaved, give it a moment to reach the server, and close everything.

        May be called again, also if it was interrupted. The store stays as it is, and is not kept any more.

        Raises:
            PersisterError: the last save failed; everything is closed nevertheless.
        """
        for subscription, _ in self._attached:
            subscription.cancel()
        self._engine.close()
        self._attached.clear()
        self._forgotten.detach()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<BlockingApp {self.database.path} {'open' if self.is_open else 'closed'}>"

    def _wait(self, function: Callable[[], Awaitable[_T]], timeout: float | None) -> _T:
        """Wait for something in the background, and let in what comes meanwhile and with it."""
        if not self.is_open:
            raise AppClosedError(f"The app of {self._engine.path} is closed: open it again.")
        future = self._engine.begin(function)
        future.add_done_callback(lambda _: self._engine.awake.set())
        try:
            if not self._pump_until(lambda _: future.done(), timeout):
                raise AppTimeoutError(f"It is not done after {timeout} seconds; nothing is lost.")
        finally:
            future.cancel()
        self._engine.pump()
        return future.result()

    def _pump_until(self, is_over: Callable[[int], bool], timeout: float | None) -> bool:
        """Pump until something holds, which is told how much was done; False if the time is over."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            # Cleared first, so that nothing is missed that happens after the look.
            self._engine.awake.clear()
            if is_over(self._engine.pump()):
                return True
            left = LONGEST_WAIT if deadline is None else deadline - time.monotonic()
            if left <= 0:
                return False
            self._engine.awake.wait(min(left, LONGEST_WAIT))


def open_blocking(
    path: str | os.PathLike[str],
    *,
    tables: TablesLike | None = None,
    values: ValuesLike = True,
    server: str | Sequence[str] | None = None,
    token: str | None = None,
    strict: bool = False,
    store: Store | None = None,
    row_id_column: str = "_id",
    on_error: ErrorListener | None = None,
    schedule: Scheduler | None = None,
    migrations: Migrations = (),
    save_interval: float = 0.0,
    farewell: float = 2.0,
    ssl: ssl_module.SSLContext | None = None,
) -> BlockingApp:
    """Do what `replicell.open` does for programs without asyncio: scripts, GUIs, the plain interpreter.

    The store belongs to the calling thread. Everything else works in a background thread, on a copy of the
    store, so that saving and sending need nothing of this one.

    Args:
        path: As for `replicell.open`, as are all options but one.
        tables: See there.
        values: See there.
        server: See there.
        token: See there.
        strict: See there.
        store: See there; it must belong to the calling thread.
        row_id_column: See there.
        on_error: See there; it is called in the calling thread, when that pumps.
        schedule: Called, from any thread, with a function that is to run soon in this one: how a GUI lets
            changes in without `BlockingApp.pump`. For Tk use `BlockingApp.attach_tk` instead.
        migrations: See there.
        save_interval: See there.
        farewell: See there.
        ssl: See there.

    Raises:
        AppOptionsError: options make no sense, or not together.
        SyncError: an address is not one of a room, or several name different rooms.
        ExtensionNotFoundError: cr-sqlite is not installed; the message says how to.
        DatabaseError: the file cannot be used.

    Example::

        with replicell.open_blocking("todo.db", tables=["todo"], server="ws://localhost:8040/home") as app:
            app.store.set_row("todo", "1", {"text": "Buy milk"})
            app.wait_until_synced(10)
            print(app.store.get_table("todo"))
    """
    options = Options(
        path, tables, values, server, token, strict, row_id_column, migrations, save_interval, farewell, ssl
    )
    contents = options.check(store)
    store = options.make_store(contents, store)
    app = BlockingApp(store, Engine(options, contents, store, on_error, schedule))
    app.pump()
    return app
