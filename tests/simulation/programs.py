"""What the programs on the machines write, while the history goes on."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

import apsw

from replicell.persisters.crsqlite.schema import TableSchema, add_columns, create_table
from tests.simulation.nodes import Client
from tests.simulation.oracle import has_table

if TYPE_CHECKING:
    from tests.simulation.history import History

TABLES: Final = (
    TableSchema("todo", ("id",), ("text", "done", "n")),
    TableSchema("pair", ("id",), ("grp", "n")),
    TableSchema("log", ("id",), ("who",)),
)
KINDS: Final = ("cells", "cells", "cells", "delete", "clear", "bulk", "huge", "pair", "log", "log")


class Programs:
    """Writes that people and programs make, each as one transaction.

    Args:
        world: The history that they are part of.
    """

    def __init__(self, world: History) -> None:
        self._world = world
        self._rng = world.rng
        self._numbers = 0
        self.committed: set[str] = set()
        """The entries of the log, which nobody ever changes or deletes, that were committed and not lost with
        their disk."""

    def write(self) -> None:
        """Let one client's program write something."""
        client = self._rng.choice(self._world.clients)
        if not client.up or not all(has_table(client.conn, table.name) for table in TABLES):
            return
        kind = self._rng.choice(KINDS)
        self._world.note(f"{client.name} writes {kind}")
        getattr(self, f"_write_{kind}")(client)

    def write_at_the_server(self) -> None:
        """Let another program at the server write to the room's file."""
        server = self._world.server
        if server.up and server.room is not None and has_table(server.conn, "log"):
            self._world.note("the server's room is written")
            entry = self._unique("s")
            upsert(server.conn, "log", entry, {"who": "server"})
            self.committed.add(entry)
            server.room.changed()

    def alter(self) -> None:
        """Let one client's program add a column and a table, and use them."""
        client = self._rng.choice(self._world.clients)
        if client.up and has_table(client.conn, "todo"):
            column, table = self._unique("c"), self._unique("t")
            self._world.note(f"{client.name} adds column {column} and table {table}")

            def work(conn: apsw.Connection) -> None:
                add_columns(conn, "todo", (column,))
                create_table(conn, TableSchema(table, ("id",), ("v",)))

            client.alter(work)
            client.write(lambda conn: upsert(conn, "todo", "k1", {column: column}))
            client.write(lambda conn: upsert(conn, table, "x", {"v": 1}))

    def _write_cells(self, client: Client) -> None:
        columns = self._rng.sample(("text", "done", "n"), self._rng.randint(1, 3))
        values = [self._value() for _ in columns]
        key = f"k{self._rng.randrange(8)}"
        client.write(lambda conn: upsert(conn, "todo", key, dict(zip(columns, values, strict=True))))

    def _write_delete(self, client: Client) -> None:
        key = f"k{self._rng.randrange(8)}"
        client.write(partial(delete, where="WHERE id = ?", bindings=(key,)))

    def _write_clear(self, client: Client) -> None:
        client.write(delete)

    def _write_bulk(self, client: Client) -> None:
        rows = {f"b{self._rng.randrange(40)}": self._value() for _ in range(self._rng.randint(5, 30))}
        client.write(partial(fill, rows=rows))

    def _write_huge(self, client: Client) -> None:
        """Now and then, a transaction of many parts."""
        if self._rng.random() < 0.9:
            self._write_cells(client)
            return
        size = self._rng.randint(60, 200)
        client.write(partial(fill, rows={f"h{number}": f"{number:>20}" for number in range(size)}))

    def _write_pair(self, client: Client) -> None:
        group, size = self._unique("g"), self._rng.randint(2, 15)

        def work(conn: apsw.Connection) -> None:
            for number in range(size):
                upsert(conn, "pair", f"{group}/{number}", {"grp": group, "n": size})

        client.write(work)

    def _write_log(self, client: Client) -> None:
        entry = self._unique("e")
        client.write(lambda conn: upsert(conn, "log", entry, {"who": client.name}))
        self.committed.add(entry)

    def _value(self) -> int | float | str | bytes | None:
        rng = self._rng
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
    places = ", ".join("?" for _ in cells)
    updates = ", ".join(f"{column} = excluded.{column}" for column in cells)
    conn.execute(
        f"INSERT INTO {table}(id, {columns}) VALUES (?, {places}) ON CONFLICT(id) DO UPDATE SET {updates}",
        (key, *cells.values()),
    )


def fill(conn: apsw.Connection, rows: Mapping[str, object]) -> None:
    for key, value in rows.items():
        upsert(conn, "todo", key, {"text": value})


def delete(conn: apsw.Connection, where: str = "", bindings: tuple[str, ...] = ()) -> None:
    conn.execute(f"DELETE FROM todo {where}", bindings)
