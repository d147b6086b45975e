"""What people at the clients do: write, look whether it has arrived, come and go, show themselves."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final

import apsw

from replicell.persisters.crsqlite.schema import TableSchema, add_columns, create_table
from replicell.sync.errors import SyncClosedError, SyncTimeoutError
from tests.simulation.cluster.machines import Client
from tests.simulation.cluster.watch import entries_on_disk
from tests.simulation.oracle import has_table
from tests.simulation.programs import TABLES, delete, fill, upsert

if TYPE_CHECKING:
    from tests.simulation.cluster.history import ClusterHistory

__all__ = ["Programs"]

_KINDS: Final = (
    "cells",
    "cells",
    "cells",
    "delete",
    "clear",
    "bulk",
    "huge",
    "pair",
    "pair",
    "log",
    "log",
    "log",
)
_SECONDS_TO_WAIT: Final = 3.0


class Programs:
    """Writes what the seed chooses, each as one transaction.

    Args:
        world: The history that they are part of.
    """

    def __init__(self, world: ClusterHistory) -> None:
        self._world = world
        self._rng: Random = world.rng
        self._numbers = 0
        self.written: dict[str, set[str]] = {}
        """By client: the entries of the log, which nobody ever changes or deletes, that are in its file."""
        self.acknowledged: dict[str, set[str]] = {}
        """By room: those entries of which a client was told that they are safe."""

    def copied(self, original: Client, twin: Client) -> None:
        """A client's file is that of another client, as it was when it was copied."""
        self.written[twin.name] = self.written.get(original.name, set()) & entries_on_disk(twin.path)

    def make_tables(self, client: Client) -> None:
        """Let a client have the tables from the start."""
        client.alter(_make_tables)

    def write(self) -> None:
        """Let one client's program write something."""
        client = self._some_client()
        worker = client.workers.get(str(client.path))
        if worker is None or worker.connection is None:
            return
        if not all(has_table(worker.connection, table.name) for table in TABLES):
            return
        kind = self._rng.choice(_KINDS)
        if kind == "pair" and not self._world.keeps_transactions:
            kind = "log"
        self._world.note(f"{client.name} writes {kind}")
        getattr(self, f"_write_{kind}")(client)

    def work_hard(self, client: Client) -> None:
        """Let one client write some entries, each of which it wants to be safe."""
        for number in range(4):
            self._world.after(number * 0.2, partial(self._write_log_if_there, client))
            self._world.after(number * 0.2 + 0.1, partial(self._begin_waiting, client))

    def _write_log_if_there(self, client: Client) -> None:
        worker = client.workers.get(str(client.path))
        if worker is not None and worker.connection is not None and has_table(worker.connection, "log"):
            self._write_log(client)

    def alter(self) -> None:
        """Let one client's program add a column and a table, and use them."""
        client = self._some_client()
        worker = client.workers.get(str(client.path))
        if worker is None or worker.connection is None or not has_table(worker.connection, "todo"):
            return
        column, table = self._unique("c"), self._unique("t")
        self._world.note(f"{client.name} adds column {column} and table {table}")

        def work(conn: apsw.Connection) -> None:
            add_columns(conn, "todo", (column,))
            create_table(conn, TableSchema(table, ("id",), ("v",)))
            upsert(conn, "todo", "k1", {column: column})
            upsert(conn, table, "x", {"v": 1})

        client.alter(work)

    def acknowledge(self) -> None:
        """Let one client wait until all that it has written is safe."""
        self._begin_waiting(self._some_client())

    def _begin_waiting(self, client: Client) -> None:
        if client.up and client.life is not None and client.sync is not None:
            client.life.begin(self._acknowledge(client))

    def show(self) -> None:
        """Let one client show itself to the others in its room, or no more."""
        client = self._some_client()
        number = self._unique("p")
        state = {"name": client.name, "at": number} if self._rng.random() < 0.8 else None
        self._world.note(f"{client.name} shows {state}")
        client.show(state)

    async def _acknowledge(self, client: Client) -> None:
        written = set(self.written.get(client.name, ()))
        if client.sync is not None:
            with suppress(SyncTimeoutError, SyncClosedError), self._world.troubles():
                await client.sync.wait_until_synced(_SECONDS_TO_WAIT)
                self.acknowledged.setdefault(client.room, set()).update(written)
                self._world.note(f"{client.name} is synced")

    def _write_cells(self, client: Client) -> None:
        columns = self._rng.sample(("text", "done", "n"), self._rng.randint(1, 3))
        cells: dict[str, object] = {column: self._value() for column in columns}
        self._upsert(client, "todo", f"k{self._rng.randrange(8)}", cells)

    def _write_delete(self, client: Client) -> None:
        key = f"k{self._rng.randrange(8)}"
        client.write(partial(delete, where="WHERE id = ?", bindings=(key,)), _nothing)

    def _write_clear(self, client: Client) -> None:
        client.write(delete, _nothing)

    def _write_bulk(self, client: Client) -> None:
        rows = {f"b{self._rng.randrange(40)}": self._value() for _ in range(self._rng.randint(5, 30))}
        client.write(partial(fill, rows=rows), _nothing)

    def _write_huge(self, client: Client) -> None:
        """Now and then, a transaction of many parts."""
        if self._rng.random() < 0.8:
            self._write_cells(client)
            return
        rows = {f"h{number}": f"{number:>20}" for number in range(self._rng.randint(60, 200))}
        client.write(partial(fill, rows=rows), _nothing)

    def _write_pair(self, client: Client) -> None:
        group, size = self._unique("g"), self._rng.randint(2, 15)

        def work(conn: apsw.Connection) -> None:
            for number in range(size):
                upsert(conn, "pair", f"{group}/{number}", {"grp": group, "n": size})

        client.write(work, _nothing)

    def _write_log(self, client: Client) -> None:
        entry = self._unique("e")

        def committed() -> None:
            self.written.setdefault(client.name, set()).add(entry)

        client.write(lambda conn: upsert(conn, "log", entry, {"who": client.name}), committed)

    def _upsert(self, client: Client, table: str, key: str, cells: dict[str, object]) -> None:
        client.write(lambda conn: upsert(conn, table, key, cells), _nothing)

    def _value(self) -> int | float | str | None:
        rng = self._rng
        return rng.choice(
            (None, rng.randrange(-3, 3), rng.random() * 2 - 1, f"t{rng.randrange(5)}", "\U0001f600 \u00e9")
        )

    def _some_client(self) -> Client:
        return self._rng.choice(self._world.clients)

    def _unique(self, prefix: str) -> str:
        self._numbers += 1
        return f"{prefix}{self._numbers}"


def _make_tables(conn: apsw.Connection) -> None:
    for table in TABLES:
        create_table(conn, table)


def _nothing() -> None:
    return
