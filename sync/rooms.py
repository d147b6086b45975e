"""The rooms that a server has open: each with its file, opened when the first client comes and closed when
none is left."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.database import CrSqliteDatabase, DatabaseChange
from replicell.sync.access import room_file_name
from replicell.sync.actions import Action, AdoptSnapshot, Later, SessionOptions
from replicell.sync.announcements import SchemaPolicy
from replicell.sync.backplane.link import RoomLink
from replicell.sync.backplane.node import Node
from replicell.sync.errors import NoRoomError, TooManyRoomsError
from replicell.sync.jobs import Job
from replicell.sync.limits import Limits
from replicell.sync.room import Room, prepare_room
from replicell.sync.room_census import RoomCensus
from replicell.sync.server_code import ServerCode, ServerRoom
from replicell.sync.snapshot_shelf import SnapshotShelf
from replicell.sync.wire import run_job

__all__ = ["OpenRoom", "RoomHost"]

_log = logging.getLogger("replicell.sync.server")

_DRAIN_SECONDS: Final = 2.0


class OpenRoom:
    """A room and its open database.

    Args:
        name: The room's name.
        db: Its database.
    """

    def __init__(self, name: str, db: CrSqliteDatabase) -> None:
        self.name = name
        self.db = db
        self.link: RoomLink | None = None
        self._server_room: ServerRoom | None = None
        self.snapshots = SnapshotShelf(db.path)
        self._room: Room | None = None

    @property
    def room(self) -> Room:
        """The sans-I/O room."""
        if self._room is None:
            raise RuntimeError(f"the room {self.name!r} is not open yet")
        return self._room

    @property
    def server_room(self) -> ServerRoom:
        """The room as the server's own code sees it."""
        if self._server_room is None:
            raise RuntimeError(f"the room {self.name!r} is not open yet")
        return self._server_room

    async def open(
        self, policy: SchemaPolicy, options: SessionOptions, limits: Limits, row_id_column: str
    ) -> None:
        """Open the database and prepare it."""
        await self.db.open()
        try:
            catalog = Catalog()
            state = await self.db.write(prepare_room, catalog, origin=self)
            self._room = Room(
                emit=self._emit,
                catalog=catalog,
                state=state,
                schema_policy=policy,
                options=options,
                limits=limits,
            )
            self.db.on_change(self._on_change)
            self._server_room = ServerRoom(self.name, self.db, self._room.presence, row_id_column)
            self._room.on_tables = self._server_room.tables_changed
        except BaseException:
            await self.db.close()
            raise

    def on_progress(self) -> None:
        """A session of this room has got on: nothing to do."""

    def on_reidentify(self, message: str) -> None:
        """Only clients get a new site id."""
        raise RuntimeError(f"a server does not change its site id: {message}")

    def on_snapshot(self, snapshot: AdoptSnapshot) -> None:
        """Only clients begin with a snapshot."""
        raise RuntimeError(f"a server does not begin with a snapshot: {snapshot.path}")

    async def close(self) -> None:
        """End the server's code, bring what is new to the other nodes, and close the database: each of it,
        whatever becomes of the others."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.db.close)
            stack.push_async_callback(self.snapshots.close)
            if self.link is not None:
                stack.push_async_callback(self.link.close)
                stack.push_async_callback(self.link.drain, _DRAIN_SECONDS)
            if self._server_room is not None:
                await self._server_room.close()

    def _emit(self, action: Action) -> None:
        match action:
            case Job():
                run_job(self.db, action, self)
            case Later(seconds, call):
                asyncio.get_running_loop().call_later(seconds, call)

    def _on_change(self, change: DatabaseChange) -> None:
        if change.origin is not self:
            self.room.changed()
            if self.room.replicator is not None:
                self.room.replicator.changed()


class RoomHost:
    """Opens and closes the rooms of a server.

    Args:
        data_dir: The folder of the rooms' files.
        schema_policy: Whether tables that clients announce are created.
        options: Times and sizes of the sessions.
        limits: How many rooms there may be, and what clients may put into them.
        idle_seconds: How long a room stays open without clients.
        node: The server's part in a cluster.
        row_id_column: The key column of tables that server code makes.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        schema_policy: SchemaPolicy,
        options: SessionOptions,
        limits: Limits,
        idle_seconds: float,
        node: Node | None = None,
        row_id_column: str = "_id",
    ) -> None:
        self._data_dir = data_dir
        self._schema_policy: SchemaPolicy = schema_policy
        self._options = options
        self._limits = limits
        self._idle_seconds = idle_seconds
        self._node = node or Node()
        self._row_id_column = row_id_column
        self.code: list[ServerCode] = []
        """What runs in each room that is opened."""
        self._rooms: dict[str, asyncio.Task[OpenRoom]] = {}
        self._census = RoomCensus(data_dir, limits.rooms, lambda: self._rooms)
        self._users: Counter[str] = Counter()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._closers: dict[str, asyncio.Task[None]] = {}

    @property
    def names(self) -> list[str]:
        """The names of the rooms that are open."""
        return sorted(self._rooms)

    def has(self, name: str) -> bool:
        """Tell whether a room is there already, open or not."""
        return name in self._rooms or self._census.has(name)

    @asynccontextmanager
    async def entered(self, name: str, *, may_make: bool = True) -> AsyncIterator[OpenRoom]:
        """Keep a room open for the length of the block.

        Args:
            name: The room's name.
            may_make: Whether it is made if it is not there.

        Raises:
            NoRoomError: It is not there, and is not made for this one.
            TooManyRoomsError: There are as many rooms as there may be.
            ReplicellError: It cannot be opened.
            OSError: It cannot be opened.
        """
        # From before it is open: others may come and go meanwhile, and who waits for it may give up.
        self._users[name] += 1
        try:
            yield await self._acquire(name, may_make)
        finally:
            self._users[name] -= 1
            if not self._users[name]:
                del self._users[name]
                if name in self._rooms:
                    loop = asyncio.get_running_loop()
                    self._timers[name] = loop.call_later(self._idle_seconds, self._close_idle, name)

    async def close(self) -> None:
        """Close all rooms."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for name in list(self._rooms):
            self._start_closing(name)
        if self._closers:
            await asyncio.wait(self._closers.values())

    async def _acquire(self, name: str, may_make: bool) -> OpenRoom:
        if name not in self._rooms:
            if not may_make and not self._may_be_there(name):
                raise NoRoomError(
                    f"there is no room {name!r} yet: it is made for the first one who may write"
                )
            await self._census.admit(name)
        # Others may have come while the rooms were counted.
        self._keep(name)
        opening = self._rooms.get(name)
        if opening is None:
            self._make_room_for_another()
            work = self._open(name, after=self._closers.get(name))
            opening = self._rooms[name] = asyncio.get_running_loop().create_task(work)
            opening.add_done_callback(partial(self._opened, name))
        # One opener for all who wait: a client that gives up must not take it away from the others.
        return await asyncio.shield(opening)

    def _opened(self, name: str, opening: asyncio.Task[OpenRoom]) -> None:
        """Forget a room that could not be opened, so that it is tried again when somebody comes."""
        has_failed = opening.cancelled() or opening.exception() is not None
        if has_failed and self._rooms.get(name) is opening:
            del self._rooms[name]
            self._keep(name)

    def _keep(self, name: str) -> None:
        """Do not close a room that has been idle."""
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def _may_be_there(self, name: str) -> bool:
        """Tell whether a room has its file, or may get its content from other nodes or from server code."""
        return self._node.backplane.shared or bool(self.code) or self._census.has(name)

    def _make_room_for_another(self) -> None:
        """Let an idle room go if there are as many as may be open; refuse the new one if none is idle."""
        limits = self._limits
        if limits.open_rooms is not None and len(self._rooms) >= limits.open_rooms:
            if not self._timers:
                raise TooManyRoomsError(f"all the {limits.open_rooms} rooms that may be open are in use")
            idle = next(iter(self._timers))
            self._timers.pop(idle).cancel()
            self._start_closing(idle)

    async def _open(self, name: str, after: asyncio.Task[None] | None) -> OpenRoom:
        if after is not None:
            # Its code must not run twice at a time, nor two links follow its log.
            await asyncio.wait([after])
        path = self._data_dir / room_file_name(name)
        await self._node.prepare(name, path)
        opened = OpenRoom(name, CrSqliteDatabase(path))
        await opened.open(self._schema_policy, self._options, self._limits, self._row_id_column)
        try:
            opened.link = await self._node.tie(name, opened.db, opened.room, opened)
        except BaseException:
            await opened.close()
            raise
        opened.server_room.run(self.code)
        _log.info("room %r is open", name)
        return opened

    def _close_idle(self, name: str) -> None:
        self._timers.pop(name, None)
        opening = self._rooms[name]
        link = opening.result().link if opening.done() and opening.exception() is None else None
        if link is not None and not link.settled:
            # The other nodes do not have everything yet, and nobody else would bring it to them.
            loop = asyncio.get_running_loop()
            self._timers[name] = loop.call_later(max(1.0, self._idle_seconds), self._close_idle, name)
        else:
            self._start_closing(name)

    def _start_closing(self, name: str) -> None:
        closer = asyncio.get_running_loop().create_task(self._close_room(name, self._rooms.pop(name)))
        self._closers[name] = closer
        closer.add_done_callback(partial(self._closed, name))

    def _closed(self, name: str, closer: asyncio.Task[None]) -> None:
        if self._closers.get(name) is closer:
            del self._closers[name]

    async def _close_room(self, name: str, opening: asyncio.Task[OpenRoom]) -> None:
        try:
            await (await opening).close()
            _log.info("room %r is closed", name)
        except Exception:
            _log.exception("room %r could not be closed properly", name)
