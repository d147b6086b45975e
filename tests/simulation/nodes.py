"""The machines of the simulation: real cr-sqlite files and real sessions, run by a virtual clock."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

import apsw

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.connection import (
    close_connection,
    forget_undone_schema,
    open_connection,
    transaction,
)
from replicell.persisters.crsqlite.epochs import begin_epoch
from replicell.persisters.crsqlite.identity import reidentify
from replicell.persisters.sqlite.prefetch import Found
from replicell.sync.actions import Action, Close, Emit, Later, Progress, Reidentify, Send
from replicell.sync.announcements import SchemaPolicy
from replicell.sync.client_session import ClientSession
from replicell.sync.jobs import Job
from replicell.sync.room import Room, prepare_room
from replicell.sync.server_session import Access, ServerSession
from tests.simulation.commits import failing_commit
from tests.simulation.network import Pipe, as_bytes
from tests.simulation.plan import Fate, Plan

_log = logging.getLogger("replicell.simulation")


class Machine(ABC):
    """A process with a database file. Its jobs run one after the other, each at a moment of the clock's
    choice."""

    def __init__(self, plan: Plan, name: str, path: Path) -> None:
        self.plan = plan
        self.name = name
        self.path = path
        self.catalog = Catalog()
        self.life = 0
        self.ahead = 0.0
        """Seconds by which its clock is ahead of the world's."""
        self._conn: apsw.Connection | None = None
        self._jobs: deque[Job[Any]] = deque()

    @property
    def up(self) -> bool:
        return self._conn is not None

    @property
    def conn(self) -> apsw.Connection:
        assert self._conn is not None, f"{self.name} is down"
        return self._conn

    @property
    def now(self) -> float:
        return self.plan.clock.now + self.ahead

    @property
    def written(self) -> object:
        """Is another one once something was written to the file."""
        return self.life, self.conn.total_changes()

    def site_id(self) -> bytes:
        (site_id,) = next(self.conn.execute("SELECT crsql_site_id()"))
        assert isinstance(site_id, bytes)
        return site_id

    def boot(self) -> None:
        self._conn = open_connection(self.path)
        # Processes crash here, power does not fail.
        self._conn.execute("PRAGMA synchronous = OFF")
        self.catalog = Catalog()
        with transaction(self._conn):
            begin_epoch(self._conn)
        self.plan.started(self)

    def halt(self) -> None:
        """The process is gone; only what is committed stays."""
        if self._conn is not None:
            self.plan.ends(self)
        self.life += 1
        self._jobs.clear()
        if self._conn is not None:
            close_connection(self._conn)
            self._conn = None

    def copy_to(self, path: Path) -> None:
        """Copy the file as it is committed now."""
        target = apsw.Connection(str(path))
        target.execute("PRAGMA synchronous = OFF")
        source = self._conn or apsw.Connection(str(self.path))
        with target.backup("main", source, "main") as backup:
            backup.step()
        target.close()
        if source is not self._conn:
            source.close()

    def delete_file(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    def submit(self, job: Job[Any]) -> None:
        self._jobs.append(job)
        if len(self._jobs) == 1:
            self._schedule()

    @abstractmethod
    def on_crash(self) -> None:
        """Lose what was in memory."""

    def _schedule(self) -> None:
        life = self.life
        self.plan.clock.after(
            self.plan.rng.random() * 0.01, lambda: self._run_next() if life == self.life else None
        )

    def _run_next(self) -> None:
        job = self._jobs[0]
        fate = self.plan.fate_of_job(self)
        try:
            result = self._execute(job, _ENDS.get(fate))
        except _CrashError:
            self.on_crash()
            return
        except apsw.IOError as error:
            forget_undone_schema(self.conn)
            self._next_job()
            job.failed(error)
            return
        except Exception as error:
            _log.info("%s: a job failed: %r", self.name, error)
            self._jobs.popleft()
            job.failed(error)
            raise
        self.plan.check(self)
        if fate == "crash after commit":
            self.on_crash()
            return
        self._next_job()
        job.done(result)

    def _next_job(self) -> None:
        self._jobs.popleft()
        if self._jobs:
            self._schedule()

    def _execute(self, job: Job[Any], end: type[Exception] | None) -> object:
        with failing_commit(self.conn, None if end is None else end()):
            if job.mode == "run":
                return job.function(self.conn)
            with transaction(self.conn, immediate=job.mode == "write"):
                result: object = job.function(self.conn)
            return result


class _CrashError(Exception):
    """The machine stops in the middle of a transaction."""


_ENDS: Final[dict[Fate, type[Exception]]] = {"crash before commit": _CrashError, "disk fails": apsw.IOError}
"""What ends a transaction before it is committed."""


class Server(Machine):
    """The server with its one room."""

    def __init__(self, plan: Plan, path: Path) -> None:
        super().__init__(plan, "server", path)
        self.room: Room | None = None
        # In order of arrival, so that the seed decides who notices a crash first.
        self.connections: dict[Connection, None] = {}
        self.guests: dict[Callable[[], None], None] = {}
        """How to cut the connections that are no honest client's."""

    def boot(self) -> None:
        super().boot()
        with transaction(self.conn):
            state = prepare_room(self.conn, self.catalog)
        self.room = Room(emit=self._emit, catalog=self.catalog, state=state, options=self.plan.options)

    def halt(self) -> None:
        super().halt()
        self.room = None
        for connection in list(self.connections):
            connection.cut()
        for cut in list(self.guests):
            cut()

    def on_crash(self) -> None:
        self.plan.crash(self)

    def _emit(self, action: Action) -> None:
        match action:
            case Job():
                self.submit(action)
            case Later(seconds, call):
                self.plan.clock.after(seconds, partial(self._call, self.life, call))
            case _:
                raise AssertionError(f"a room does not do {action}")

    def _call(self, life: int, call: Callable[[], object]) -> None:
        if life == self.life:
            call()


class Client(Machine):
    """A replica that connects whenever it can."""

    def __init__(self, plan: Plan, name: str, path: Path, policy: SchemaPolicy = "auto") -> None:
        super().__init__(plan, name, path)
        self.policy: SchemaPolicy = policy
        self.connection: Connection | None = None
        self.session: ClientSession | None = None
        self.writes = 0
        self.reidentifications = 0
        self.partitioned = False

    @property
    def synced(self) -> bool:
        return self.session is not None and self.session.synced

    def halt(self) -> None:
        super().halt()
        if self.connection is not None:
            self.connection.cut()

    def on_crash(self) -> None:
        self.plan.crash(self)

    def write(self, work: Callable[[apsw.Connection], None]) -> None:
        """Do what a program on this machine does: write in one transaction, and let the session know."""
        read = self.session.foresee() if self.session is not None else None
        with transaction(self.conn):
            work(self.conn)
        if self.session is None or read is None or self.plan.rng.random() < 0.5:
            self.changed()
        else:
            with transaction(self.conn, immediate=False):
                outgoing = read(self.conn)
            self.session.local_changes(Found(read, outgoing))

    def alter(self, work: Callable[[apsw.Connection], None]) -> None:
        """Change the schema, as a program on this machine does."""
        work(self.conn)
        self.changed()

    def changed(self) -> None:
        if self.session is not None:
            self.session.local_changes()

    def connect(self, server: Server) -> None:
        if not self.up or not server.up or self.partitioned or self.connection is not None:
            return
        self.connection = Connection(self.plan, self, server)
        self.session = self.connection.client_session
        self.connection.start()

    def disconnected(self) -> None:
        self.connection = None
        self.session = None
        self.plan.reconnect_later(self)

    def reidentify(self) -> None:
        """Give the file a new site id, as CrSqliteDatabase.reidentify does."""
        self.reidentifications += 1
        self.halt()
        reidentify(self.path)
        self.boot()
        self.plan.check(self)


def serve(server: Server, emit: Emit) -> ServerSession:
    """Let a server's room take a connection."""
    assert server.room is not None
    return ServerSession(emit=emit, room=server.room, access=Access())


class Connection:
    """A connection between a client and the server, with a session at each end."""

    def __init__(self, plan: Plan, client: Client, server: Server) -> None:
        self._plan = plan
        self.client = client
        self._server = server
        self.client_session = ClientSession(
            emit=self._from_client, catalog=client.catalog, schema_policy=client.policy, options=plan.options
        )
        self.server_session = serve(server, self._from_server)
        self._up = Pipe(
            plan.clock,
            plan.rng,
            plan.weather,
            self._to_server,
            lambda held: self.client_session.hold_sending(held),
        )
        self._down = Pipe(
            plan.clock,
            plan.rng,
            plan.weather,
            self._to_client,
            lambda held: self.server_session.hold_sending(held),
        )
        self._open = True
        server.connections[self] = None

    def start(self) -> None:
        self.server_session.start(self._server.now)
        self.client_session.start(self.client.now)
        self._tick()

    def block(self, *, upwards: bool, seconds: float) -> None:
        """Nothing gets through in one direction for a while."""
        (self._up if upwards else self._down).block(seconds)

    def cut(self) -> None:
        """The connection is lost; both ends notice."""
        if self._open:
            self._open = False
            self._up.open = self._down.open = False
            self._server.connections.pop(self, None)
            self.server_session.connection_lost()
            self.client_session.connection_lost()
            self.client.disconnected()

    @property
    def _shaking_hands(self) -> bool:
        """A websocket loses nothing; once both sides are live, the protocol must do with worse."""
        return self.server_session.state != "live" or self.client_session.state != "live"

    def _to_server(self, frame: bytes | str) -> None:
        self._plan.digest(f"{self.client.name}>server", as_bytes(frame))
        self.server_session.receive(frame, self._server.now)

    def _to_client(self, frame: bytes | str) -> None:
        self._plan.digest(f"server>{self.client.name}", as_bytes(frame))
        self.client_session.receive(frame, self.client.now)

    def _tick(self) -> None:
        if self._open:
            self.server_session.tick(self._server.now)
            self.client_session.tick(self.client.now)
            self._plan.clock.after(0.5, self._tick)

    def _from_client(self, action: Action) -> None:
        match action:
            case Send(frame):
                self._up.send(frame, sheltered=self._shaking_hands)
            case Job():
                self.client.submit(action)
            case Close(reason, message):
                self._plan.closed(f"{self.client.name}: {reason}: {message}")
                self._plan.clock.after(0, self.cut)
            case Reidentify():
                self._plan.clock.after(0, self._reidentify)
            case Progress():
                self.client_session.problems.clear()

    def _from_server(self, action: Action) -> None:
        match action:
            case Send(frame):
                self._down.send(frame, sheltered=self._shaking_hands)
            case Job() if action.changes and self._server.room is not None:
                self._server.room.intake.add(action)
            case Job():
                self._server.submit(action)
            case Close(reason, message):
                self._plan.closed(f"server: {reason}: {message}")
                self._plan.clock.after(0, self.cut)
            case Reidentify() | Progress():
                raise AssertionError("a server does neither")

    def _reidentify(self) -> None:
        self.cut()
        if self.client.up:
            self.client.reidentify()
