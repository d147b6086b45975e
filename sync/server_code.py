"""Code of the server's own that takes part in its rooms, as a replica among the others.

Sync does not know the store, here neither: a room's store is made, fed and saved by an ordinary persister on
the room's database, and its edits reach the clients because that database has changed, as any other
program's do. This module only opens the persister, closes it and hands the store on.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypeAlias

from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.live_store import LiveStore
from replicell.persisters.errors import PersisterError
from replicell.sync.errors import SyncClosedError, SyncError
from replicell.sync.presence import Peer, PeerListener, PresenceBoard

if TYPE_CHECKING:
    from replicell.store.store import Store

__all__ = ["RoomHandler", "ServerCode", "ServerRoom"]

_log = logging.getLogger("replicell.sync.server")

_FAREWELL_SECONDS: Final = 5.0
"""How long cancelled code may take to end."""
_LAST_WORDS_SECONDS: Final = 30.0
"""How long each function may take that is called at the end."""

RoomHandler: TypeAlias = Callable[["ServerRoom"], object]
"""A function, plain or async, that is given a room when it is loaded."""


class ServerCode(NamedTuple):
    """A handler and what it needs.

    Args:
        handler: The function.
        needs_store: Whether the room's store must be loaded before it is called.
    """

    handler: RoomHandler
    needs_store: bool


class ServerRoom:
    """A room, as code in the server sees it.

    What is written to its `store` is saved to the room's database by an ordinary persister and goes to all
    clients; what clients write comes into the store. Nothing here can refuse what a client writes: that is
    what ``validate`` of `replicell.sync.SyncServer` is for.

    Args:
        name: The room's name.
        database: Its database, open.
        board: Who is in it.
        row_id_column: The key column of tables that are made in the store.
    """

    def __init__(
        self, name: str, database: CrSqliteDatabase, board: PresenceBoard, row_id_column: str = "_id"
    ) -> None:
        self._name = name
        self._database = database
        self._board = board
        self._live = LiveStore(database, name=f"room {name!r}", row_id_column=row_id_column)
        self._loading: asyncio.Task[None] | None = None
        self._is_loaded = False
        self._is_closed = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._callbacks: list[Callable[[], object]] = []

    @property
    def name(self) -> str:
        """The room's name."""
        return self._name

    @property
    def database(self) -> CrSqliteDatabase:
        """The room's database, for SQL; what is written there goes to all clients as well."""
        return self._database

    @property
    def store(self) -> Store:
        """All tables and values of the room; write to it and listen to it.

        Raises:
            SyncError: It is not loaded.
        """
        if not self._is_loaded:
            raise SyncError(
                f"the store of room {self._name!r} is not loaded: leave out store=False of on_room, or await "
                "load_store() first"
            )
        return self._live.store

    @property
    def peers(self) -> Mapping[str, Peer]:
        """The clients that take part in presence, by id; it follows what changes."""
        return self._board.everybody.peers

    def add_presence_listener(self, listener: PeerListener) -> str:
        """Call a listener whenever a client comes, shows another state or leaves.

        Args:
            listener: Called with the peer's id, the peer as it is now (None: it has left) and as it was
                (None: it has come).

        Returns:
            An id for `del_presence_listener`.
        """
        return self._board.everybody.add_listener(listener)

    def del_presence_listener(self, listener_id: str) -> Self:
        """Call a listener no more; an unknown id is ignored."""
        self._board.everybody.del_listener(listener_id)
        return self

    def on_close(self, callback: Callable[[], object]) -> Callable[[], object]:
        """Have a function, plain or async, called without arguments when the room is unloaded; the last one
        first. The store can still be written then. One that takes longer than 30 seconds is cancelled."""
        self._callbacks.append(callback)
        return callback

    async def load_store(self) -> Self:
        """Load the store, if it is not; from then on it follows the room.

        Raises:
            PersisterError: The room's database cannot be read.
        """
        loading = self._loading
        if loading is None:
            loading = self._loading = asyncio.get_running_loop().create_task(self._load())
        try:
            await asyncio.shield(loading)
        except Exception:
            # Unless another one who waited for it too has begun anew already.
            if self._loading is loading:
                self._loading = None
            raise
        return self

    async def flush(self) -> None:
        """Return when all that was written to the store is in the room's database.

        Raises:
            PersisterError: It cannot be saved now; it is kept, and tried again.
            SyncClosedError: The room has been unloaded meanwhile, because the server closes.
        """
        if self._is_closed:
            raise SyncClosedError(f"the room {self._name!r} is not loaded any more: the server was closed")
        await self._live.flush()

    def run(self, code: Sequence[ServerCode]) -> None:
        """Start what is to run for as long as the room is loaded; called by the server."""
        if code:
            self._start(self._run(code), "the server's code")

    def tables_changed(self) -> None:
        """The room's database has other tables now; called by the server."""
        self._live.look_again()

    async def close(self) -> None:
        """End all code and save what it has written; called by the server."""
        code = list(self._tasks)
        for task in code:
            task.cancel()
        await self._see_end(code, _FAREWELL_SECONDS, "does not end although it was cancelled")
        for callback in reversed(self._callbacks):
            last = self._start(self._call(callback, ()), _name(callback))
            await self._see_end([last], _LAST_WORDS_SECONDS, "takes too long to end and is cancelled")
        self._callbacks.clear()
        if self._loading is not None:
            await asyncio.wait([self._loading])
        self._is_closed = True
        try:
            await self._live.close()
        except PersisterError as error:
            _log.error("room %r: what server code wrote last could not be saved: %s", self._name, error)

    async def _see_end(self, tasks: Sequence[asyncio.Task[None]], seconds: float, complaint: str) -> None:
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()
            _log.error("room %r: %s %s", self._name, task.get_name(), complaint)

    async def _load(self) -> None:
        await self._live.open()
        self._is_loaded = True

    async def _run(self, code: Sequence[ServerCode]) -> None:
        for handler in (one.handler for one in code if not one.needs_store):
            self._start(self._call(handler, (self,)), _name(handler))
        needing = [one.handler for one in code if one.needs_store]
        if not needing:
            return
        try:
            await self.load_store()
        except Exception:
            _log.exception("room %r: its store cannot be loaded, so server code does not run", self._name)
            return
        for handler in needing:
            self._start(self._call(handler, (self,)), _name(handler))

    async def _call(self, function: Callable[..., object], arguments: tuple[object, ...]) -> None:
        """Call a function, plain or async, whose failure is nobody else's."""
        try:
            result = function(*arguments)
            if inspect.isawaitable(result):
                await result
        except Exception:
            _log.exception("room %r: server code %s failed", self._name, _name(function))

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _name(function: Callable[..., object]) -> str:
    return getattr(function, "__qualname__", repr(function))
