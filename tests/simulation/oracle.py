"""What must be true of a history: during it and at its end."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import apsw

from replicell.persisters.crsqlite.catalog import Catalog
from tests.simulation.nodes import Machine

SPLIT_GROUPS = """
    SELECT grp, count(*), max(n) FROM pair GROUP BY grp
    HAVING count(*) IS NOT max(n) OR count(n) < count(*) OR grp IS NULL
"""


class BrokenPromiseError(AssertionError):
    """Something that replicell promises did not hold."""


class Holder(Protocol):
    """Whose database can be looked at."""

    @property
    def name(self) -> str: ...

    @property
    def path(self) -> Path: ...

    @property
    def up(self) -> bool: ...

    @property
    def conn(self) -> apsw.Connection: ...

    @property
    def catalog(self) -> Catalog: ...


def has_table(conn: apsw.Connection, name: str) -> bool:
    return bool(conn.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", (name,)).get)


def logged(machine: Holder) -> set[str]:
    """The ids of the rows that no program ever changes or deletes."""
    conn = machine.conn if machine.up else apsw.Connection(str(machine.path))
    try:
        return (
            {str(row[0]) for row in conn.execute("SELECT id FROM log")} if has_table(conn, "log") else set()
        )
    finally:
        if not machine.up:
            conn.close()


def check_transactions_are_whole(machine: Holder) -> None:
    """What was committed together is seen together."""
    if has_table(machine.conn, "pair"):
        split = list(machine.conn.execute(SPLIT_GROUPS))
        if split:
            raise BrokenPromiseError(f"{machine.name} sees parts of transactions: {split}")


def contents(machine: Holder) -> dict[str, list[Any]]:
    """All rows of all replicated tables, and what cr-sqlite knows of each cell but who wrote it and when."""
    conn = machine.conn
    tables = machine.catalog.tables(conn)
    found: dict[str, list[Any]] = {}
    for name, table in sorted(tables.items()):
        columns = ", ".join(f'"{column}"' for column in (*table.key, *sorted(table.columns)))
        found[name] = sorted(conn.execute(f'SELECT {columns} FROM "{name}"'), key=repr)
    found["clock"] = sorted(
        conn.execute('SELECT "table", pk, cid, val, col_version, cl FROM crsql_changes'), key=repr
    )
    return found


def difference(left: Holder, right: Holder) -> str:
    """Say what two machines disagree about; nothing if they agree."""
    one, other = contents(left), contents(right)
    if one == other:
        return ""
    lines = []
    for name in sorted({*one, *other}):
        only_left = [row for row in one.get(name, []) if row not in other.get(name, [])]
        only_right = [row for row in other.get(name, []) if row not in one.get(name, [])]
        if only_left or only_right or (name in one) != (name in other):
            lines.append(
                f"{name}: only {left.name} has {only_left[:5]}, only {right.name} has {only_right[:5]}"
            )
    return "; ".join(lines)


def versions(machines: Iterable[Machine]) -> dict[str, int]:
    """How often each machine's database has been written."""
    return {machine.name: machine.catalog.latest_version(machine.conn) for machine in machines}
