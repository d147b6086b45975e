"""One history: what happens to a few replicas and a server, all of it decided by a seed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random

import apsw

from replicell.persisters.crsqlite.schema import TableSchema, add_columns, create_table, read_schema
from replicell.sync.actions import SessionOptions
from tests.simulation.network import Clock, Weather
from tests.simulation.nodes import Client, Machine, Server
from tests.simulation.oracle import (
    BrokenPromiseError,
    check_cursors,
    check_transactions_are_whole,
    difference,
    has_table,
    logged,
)
from tests.simulation.plan import Fate
from tests.simulation.waiting import Wait, live_session

SECONDS = 12.0
WAITING_SECONDS = 3.0
PATIENCE = 120.0
TABLES = (
    TableSchema("todo", ("id",), ("text", "done", "n")),
    TableSchema("pair", ("id",), ("grp", "n")),
    TableSchema("log", ("id",), ("who",)),
)


class History:
    """A world that runs for some seconds of virtual time, then heals, and must then come to rest in
    agreement.

    Args:
        seed: Decides everything.
        folder: An empty folder for the databases.
    """

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self.folder = folder
        self.rng = Random(seed)
        self.clock = Clock()
        self.trace: list[str] = []
        self.weather = self._weather()
        self.options = SessionOptions(
            handshake_timeout=3.0,
            heartbeat_interval=1.0,
            window_bytes=self.rng.choice((400, 2000, 100_000)),
            window_batches=self.rng.choice((1, 4, 64)),
            part_bytes=self.rng.choice((200, 2000, 100_000)),
            part_changes=self.rng.choice((3, 20, 1000)),
            transaction_bytes=self.rng.choice((500, 10_000_000, 10_000_000)),
        )
        self.crash_rate = self.rng.choice((0.0, 0.0, 0.01, 0.03))
        self.healing = False
        self.committed: set[str] = set()
        self.backups: list[tuple[Machine, Path]] = []
        self.server = Server(self, folder / "server.db")
        self.clients: list[Client] = []
        self._numbers = 0

    def run(self) -> None:
        """Live through it.

        Raises:
            BrokenPromiseError: Something that replicell promises did not hold.
        """
        try:
            self._begin()
            self._live(SECONDS)
            self._heal()
            self._rest()
            self._judge()
            self._wait_while_all_write()
            self._rest()
            self._judge()
        finally:
            self._end()

    def fate_of_job(self, machine: Machine) -> Fate:
        if self.healing or self.rng.random() >= self.crash_rate:
            return "fine"
        return self.rng.choice(("crash before commit", "crash after commit"))

    def crash(self, machine: Machine) -> None:
        self.note(f"{machine.name} crashes")
        machine.halt()
        self.clock.after(self.rng.random() * 2, lambda: self._boot(machine))

    def check(self, machine: Machine) -> None:
        if self.options.transaction_bytes > 1000:
            check_transactions_are_whole(machine)

    def reconnect_later(self, client: Client) -> None:
        self.clock.after(0.05 + self.rng.random(), lambda: client.connect(self.server))

    def closed(self, reason: str) -> None:
        self.note(f"closed by {reason}")
        if "internal" in reason or "malformed" in reason or "protocol" in reason:
            raise BrokenPromiseError(f"a session gave up: {reason}")

    def note(self, what: str) -> None:
        self.trace.append(f"{self.clock.now:7.3f} {what}")

    def _weather(self) -> Weather:
        rng = self.rng
        if rng.random() < 0.3:
            return Weather(latency=rng.choice((0.01, 0.2)))
        return Weather(
            loss=rng.choice((0.0, 0.02, 0.1)),
            duplication=rng.choice((0.0, 0.05)),
            reordering=rng.choice((0.0, 0.1, 0.3)),
            latency=rng.choice((0.01, 0.05, 0.5)),
        )

    def _begin(self) -> None:
        self.server.boot()
        one_makes_the_schema = self.rng.random() < 0.5
        for number in range(self.rng.randint(2, 3)):
            client = self._add_client(f"client{number}")
            client.boot()
            if number == 0 or not one_makes_the_schema:
                for table in TABLES:
                    create_table(client.conn, table)
            elif self.rng.random() < 0.2:
                client.policy = "strict"
            self.clock.after(self.rng.random() * 2, partial(client.connect, self.server))

    def _add_client(self, name: str) -> Client:
        client = Client(self, name, self.folder / f"{name}.db")
        self.clients.append(client)
        return client

    def _live(self, seconds: float) -> None:
        for _ in range(self.rng.randint(15, 45)):
            self.clock.after(self.rng.random() * seconds, self._edit)
        disasters = self._disasters()
        for _ in range(self.rng.choice((0, 2, 4, 8))):
            self.clock.after(self.rng.random() * seconds, self.rng.choice(disasters))
        ended = False

        def end() -> None:
            nonlocal ended
            ended = True

        self.clock.after(seconds, end)
        while not ended:
            self.clock.step()

    def _disasters(self) -> list[Callable[[], None]]:
        return [
            self._cut,
            self._partition,
            self._restart_client,
            self._restart_server,
            self._wipe_server,
            self._back_up,
            self._back_up,
            self._restore,
            self._clone,
            self._alter,
            self._edit_at_the_server,
        ]

    def _edit(self) -> None:
        client = self.rng.choice(self.clients)
        if not client.up:
            return
        if not all(has_table(client.conn, table.name) for table in TABLES):
            return
        kind = self.rng.choice(("cells", "cells", "cells", "delete", "clear", "bulk", "pair", "log", "log"))
        self.note(f"{client.name} writes {kind}")
        getattr(self, f"_write_{kind}")(client)

    def _write_cells(self, client: Client) -> None:
        columns = self.rng.sample(("text", "done", "n"), self.rng.randint(1, 3))
        values = [self._value() for _ in columns]
        key = f"k{self.rng.randrange(8)}"
        client.write(lambda conn: upsert(conn, "todo", key, dict(zip(columns, values, strict=True))))

    def _write_delete(self, client: Client) -> None:
        key = f"k{self.rng.randrange(8)}"
        client.write(lambda conn: delete(conn, "WHERE id = ?", (key,)))

    def _write_clear(self, client: Client) -> None:
        client.write(delete)

    def _write_bulk(self, client: Client) -> None:
        rows = {f"b{self.rng.randrange(40)}": self._value() for _ in range(self.rng.randint(5, 30))}

        def work(conn: apsw.Connection) -> None:
            for key, value in rows.items():
                upsert(conn, "todo", key, {"text": value})

        client.write(work)

    def _write_pair(self, client: Client) -> None:
        group, size = self._unique("g"), self.rng.randint(2, 15)

        def work(conn: apsw.Connection) -> None:
            for number in range(size):
                upsert(conn, "pair", f"{group}/{number}", {"grp": group, "n": size})

        client.write(work)

    def _write_log(self, client: Client) -> None:
        entry = self._unique("e")
        client.write(lambda conn: upsert(conn, "log", entry, {"who": client.name}))
        self.committed.add(entry)

    def _edit_at_the_server(self) -> None:
        """Another program at the server writes to the room's file."""
        server = self.server
        if server.up and server.room is not None and has_table(server.conn, "log"):
            self.note("the server's room is written")
            entry = self._unique("s")
            upsert(server.conn, "log", entry, {"who": "server"})
            self.committed.add(entry)
            server.room.changed()

    def _cut(self) -> None:
        client = self.rng.choice(self.clients)
        if client.connection is not None:
            self.note(f"{client.name} loses its connection")
            client.connection.cut()

    def _partition(self) -> None:
        client = self.rng.choice(self.clients)
        self.note(f"{client.name} is cut off")
        client.partitioned = True
        if client.connection is not None:
            client.connection.cut()
        self.clock.after(self.rng.random() * 6, lambda: self._reunite(client))

    def _reunite(self, client: Client) -> None:
        client.partitioned = False
        client.connect(self.server)

    def _restart_client(self) -> None:
        client = self.rng.choice(self.clients)
        if client.up:
            self.crash(client)

    def _restart_server(self) -> None:
        if self.server.up:
            self.crash(self.server)

    def _wipe_server(self) -> None:
        self.note("the server is wiped")
        self._lose(self.server, lambda: None)

    def _back_up(self) -> None:
        machine = self.rng.choice([self.server, self.server, *self.clients])
        path = self.folder / f"backup{len(self.backups)}.db"
        machine.copy_to(path)
        self.note(f"{machine.name} is backed up")
        self.backups.append((machine, path))

    def _restore(self) -> None:
        if not self.backups:
            self._back_up()
            return
        machine, backup = self.rng.choice(self.backups)
        self.note(f"{machine.name} is restored from {backup.name}")
        self._lose(machine, lambda: shutil.copy(backup, machine.path))

    def _clone(self) -> None:
        original = self.rng.choice([self.server, *self.clients, *self.clients])
        if len(self.clients) < 5:
            twin = self._add_client(f"twin{len(self.clients)}")
            if isinstance(original, Client):
                twin.policy = original.policy
            original.copy_to(twin.path)
            self.note(f"{twin.name} is a copy of {original.name}")
            self._boot(twin)

    def _alter(self) -> None:
        client = self.rng.choice(self.clients)
        if client.up and has_table(client.conn, "todo"):
            column, table = self._unique("c"), self._unique("t")
            self.note(f"{client.name} adds column {column} and table {table}")

            def work(conn: apsw.Connection) -> None:
                add_columns(conn, "todo", (column,))
                create_table(conn, TableSchema(table, ("id",), ("v",)))

            client.alter(work)
            client.write(lambda conn: upsert(conn, "todo", "k1", {column: column}))
            client.write(lambda conn: upsert(conn, table, "x", {"v": 1}))

    def _lose(self, machine: Machine, fill: Callable[[], object]) -> None:
        """A machine's file is gone, or another one; what only it had is lost, and nobody is to blame."""
        had = logged(machine)
        machine.halt()
        machine.delete_file()
        fill()
        others = [other for other in (self.server, *self.clients) if other is not machine]
        kept = set().union(*map(logged, others)) if others else set[str]()
        if machine.path.exists():
            kept |= logged(machine)
        self.committed -= had - kept
        self.clock.after(self.rng.random(), lambda: self._boot(machine))

    def _boot(self, machine: Machine) -> None:
        if machine.up:
            return
        machine.boot()
        self.note(f"{machine.name} is up")
        for client in self.clients:
            if client.connection is None and (client is machine or machine is self.server):
                self.reconnect_later(client)

    def _heal(self) -> None:
        self.note("all is well from now on")
        self.healing = True
        self.weather.loss = self.weather.duplication = self.weather.reordering = 0.0
        for machine in (self.server, *self.clients):
            self._boot(machine)
        for client in self.clients:
            client.partitioned = False
            self.reconnect_later(client)

    def _rest(self) -> None:
        deadline = self.clock.now + PATIENCE
        next_look = self.clock.now + 2
        reason = ""
        while self.clock.now < deadline:
            if not self.clock.step():
                break
            if self.clock.now >= next_look:
                next_look = self.clock.now + 1
                self._give_strict_clients_the_schema()
                unsynced = [client.name for client in self.clients if not client.synced]
                reason = f"{unsynced} are not synced" if unsynced else self._disagreement()
                if not reason:
                    return
        raise BrokenPromiseError(f"no agreement {PATIENCE} seconds after all was well: {reason}")

    def _wait_while_all_write(self) -> None:
        """On good connections, whoever waits for being synced is soon told, and it is true."""
        begin = self.clock.now
        for _ in range(self.rng.randint(5, 20)):
            self.clock.after(self.rng.random() * WAITING_SECONDS, self._edit)
        self.clock.after(self.rng.random() * WAITING_SECONDS, self._edit_at_the_server)
        waits: list[Wait] = []
        for client in self.clients:
            begin_waiting = partial(self._begin_waiting, client, waits)
            self.clock.after(self.rng.random() * WAITING_SECONDS, begin_waiting)
            self.clock.after(WAITING_SECONDS, begin_waiting)
        while self.clock.now < begin + WAITING_SECONDS or waits:
            if self.clock.now > begin + PATIENCE:
                raise BrokenPromiseError(f"nothing comes of waiting: {'; '.join(map(str, waits))}")
            self.clock.step()
            waits[:] = [wait for wait in waits if not wait.ended]

    def _begin_waiting(self, client: Client, waits: list[Wait]) -> None:
        if self.server.up and live_session(client) is not None:
            waits.append(Wait(client, self.server))

    def _give_strict_clients_the_schema(self) -> None:
        for client in self.clients:
            if client.policy == "strict" and self.server.up and client.up:
                own = read_schema(client.conn)
                for name, table in read_schema(self.server.conn).items():
                    if name not in own or set(own[name].columns) < set(table.columns):
                        client.alter(partial(create_table, schema=table))

    def _disagreement(self) -> str:
        return "; ".join(text for client in self.clients if (text := difference(self.server, client)))

    def _judge(self) -> None:
        lost = self.committed - logged(self.server)
        if lost:
            raise BrokenPromiseError(f"committed and lost: {sorted(lost)}")
        check_cursors(self.server, self.clients)

    def _end(self) -> None:
        for machine in (self.server, *self.clients):
            machine.halt()

    def _value(self) -> int | float | str | bytes | None:
        rng = self.rng
        return rng.choice(
            (
                None,
                rng.randrange(-3, 3),
                rng.random() * 2 - 1,
                f"t{rng.randrange(5)}",
                "\U0001f600 \u00e9",
                bytes([rng.randrange(256)]),
            )
        )

    def _unique(self, prefix: str) -> str:
        self._numbers += 1
        return f"{prefix}{self._numbers}"


def upsert(conn: apsw.Connection, table: str, key: str, cells: dict[str, object]) -> None:
    columns = ", ".join(cells)
    marks = ", ".join("?" for _ in cells)
    updates = ", ".join(f"{column} = excluded.{column}" for column in cells)
    conn.execute(
        f"INSERT INTO {table}(id, {columns}) VALUES (?, {marks}) ON CONFLICT(id) DO UPDATE SET {updates}",
        (key, *cells.values()),
    )


def delete(conn: apsw.Connection, where: str = "", bindings: tuple[str, ...] = ()) -> None:
    conn.execute(f"DELETE FROM todo {where}", bindings)
