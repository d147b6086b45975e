"""What several tests of the sync layer need: sessions wired back to back, and waiting for what happens
elsewhere."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.connection import close_connection, open_connection, transaction
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.epochs import begin_epoch
from replicell.persisters.crsqlite.schema import TableSchema, create_table
from replicell.sync.actions import Action, Close, Later, Reidentify, Send, SessionOptions
from replicell.sync.announcements import SchemaPolicy
from replicell.sync.client import SyncClient
from replicell.sync.client_session import ClientSession
from replicell.sync.jobs import Job
from replicell.sync.messages import Message, decode, encode
from replicell.sync.room import Room, prepare_room
from replicell.sync.server_session import Access, ServerSession
from replicell.sync.session import Session

TODO = TableSchema("todo", ("id",), ("text", "n"))
UPSERT = "INSERT INTO todo(id, text) VALUES (?, ?) ON CONFLICT(id) DO UPDATE SET text = excluded.text"
PATIENCE = 20.0


class Clock:
    """A time that goes on when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Site:
    """A database and whatever runs on it, without threads: jobs wait in a queue until `work` runs them."""

    def __init__(self, path: str | Path = ":memory:", *, tables: tuple[TableSchema, ...] = (TODO,)) -> None:
        self.conn = open_connection(path)
        self.catalog = Catalog()
        for table in tables:
            create_table(self.conn, table)
        with transaction(self.conn):
            begin_epoch(self.conn)
        self.jobs: deque[Job[Any]] = deque()

    def close(self) -> None:
        close_connection(self.conn)

    def put(self, key: str, text: object) -> None:
        with transaction(self.conn):
            self.conn.execute(UPSERT, (key, text))

    def rows(self) -> dict[str, object]:
        return dict(self.conn.execute("SELECT id, text FROM todo ORDER BY id"))

    def work(self) -> bool:
        """Run the next job; False if there is none."""
        if not self.jobs:
            return False
        job = self.jobs.popleft()
        try:
            if job.mode == "run":
                result = job.function(self.conn)
            else:
                with transaction(self.conn, immediate=job.mode == "write"):
                    result = job.function(self.conn)
        except apsw.Error as error:
            job.failed(error)
        else:
            job.done(result)
        return True


class Timers:
    """Takes the `Later` actions, and calls what is due when told that time has passed."""

    def __init__(self) -> None:
        self.waiting: list[Later] = []

    def emit(self, action: Action) -> None:
        assert isinstance(action, Later)
        self.waiting.append(action)

    def pass_time(self) -> None:
        waiting, self.waiting = self.waiting, []
        for later in waiting:
            later.call()


class End:
    """One end of a connection: keeps what its session emits."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.frames: deque[bytes | str] = deque()
        self.sent: list[Message] = []
        self.closed: list[Close] = []
        self.reidentified: list[Reidentify] = []
        self.later: list[Later] = []

    def emit(self, action: Action) -> None:
        match action:
            case Send(frame):
                self.frames.append(frame)
                self.sent.append(decode(frame))
            case Job():
                self.site.jobs.append(action)
            case Close():
                self.closed.append(action)
            case Reidentify():
                self.reidentified.append(action)
            case Later():
                self.later.append(action)

    def pass_time(self) -> bool:
        """Call what was to be called later; False if there is nothing."""
        due, self.later = self.later, []
        for later in due:
            later.call()
        return bool(due)

    def said(self, kind: type[Message]) -> list[Any]:
        """All messages of a kind that were sent."""
        return [message for message in self.sent if isinstance(message, kind)]


def make_room(site: Site, policy: SchemaPolicy = "auto", options: SessionOptions | None = None) -> Room:
    with transaction(site.conn):
        state = prepare_room(site.conn, site.catalog)
    return Room(emit=End(site).emit, catalog=site.catalog, state=state, schema_policy=policy, options=options)


class Link:
    """A client's and a server's session, connected."""

    def __init__(
        self,
        client: Site,
        server: Site,
        room: Room,
        *,
        access: Access | None = None,
        policy: SchemaPolicy = "auto",
        options: SessionOptions | None = None,
    ) -> None:
        self.client_end, self.server_end = End(client), End(server)
        self.client = ClientSession(
            emit=self.client_end.emit, catalog=client.catalog, schema_policy=policy, options=options
        )
        self.server = ServerSession(emit=self.server_end.emit, room=room, access=access or Access())
        self.now = 0.0

    def start(self) -> Link:
        self.server.start(self.now)
        self.client.start(self.now)
        return self

    def step(self) -> bool:
        """Let one thing happen: a frame arrive or a job run; False if nothing is left to happen."""
        for end, receiver in ((self.client_end, self.server), (self.server_end, self.client)):
            if end.frames:
                receiver.receive(end.frames.popleft(), self.now)
                return True
        return self.client_end.site.work() or self.server_end.site.work()

    def tick(self, seconds: float) -> None:
        self.now += seconds
        self.client.tick(self.now)
        self.server.tick(self.now)


def settle(*links: Link) -> None:
    """Let everything happen until nothing is left to happen."""
    busy = True
    while busy:
        steps = [link.step() for link in links]
        busy = any(steps)


def tell(session: Session, message: Message, now: float = 0.0) -> None:
    """Give a session a message as if it had come from the other side."""
    session.receive(encode(message), now)


async def eventually(db: CrSqliteDatabase, true: Callable[[], Any], patience: float = PATIENCE) -> None:
    """Wait until an async condition holds, looking again after each change of the database.

    Args:
        db: The database whose changes may make it true.
        true: Called without arguments; returns an awaitable of a truth value.
        patience: Seconds.
    """
    changed = asyncio.Event()
    with db.on_change(lambda _: changed.set()):
        async with asyncio.timeout(patience):
            while not await true():
                await changed.wait()
                changed.clear()


async def has_rows(db: CrSqliteDatabase, count: int) -> bool:
    tables = await db.execute("SELECT name FROM sqlite_master WHERE name = 'todo'")
    if not tables:
        return False
    ((found,),) = await db.execute("SELECT count(*) FROM todo")
    return bool(found == count)


async def put(db: CrSqliteDatabase, key: str, text: object) -> None:
    await db.execute(UPSERT, (key, text))


async def rows(db: CrSqliteDatabase) -> dict[str, object]:
    return dict(await db.execute("SELECT id, text FROM todo ORDER BY id"))


async def synced(*clients: SyncClient) -> None:
    """Wait for one client after the other to have given and got all there is."""
    for client in clients:
        await client.wait_until_synced(PATIENCE)
