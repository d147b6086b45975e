"""Everybody else: a program that writes to the same file, and a replica that is merged with it."""

from __future__ import annotations

import fcntl
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import apsw

from replicell.persisters import CrSqliteDatabase, DatabaseBusyError
from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.cells import decode_cell, encode_cell
from replicell.persisters.crsqlite.changes import ROW, Change, merge_changes, read_page
from replicell.persisters.crsqlite.connection import close_connection, open_connection
from replicell.persisters.crsqlite.keys import unpack_key
from replicell.persisters.crsqlite.schema import TableSchema, add_columns, create_table, read_schema
from replicell.persisters.files import locked, read_text
from replicell.persisters.sqlite.connection import transaction
from replicell.store.cells import decode_cell as decode_for_program
from replicell.store.cells import encode_cell as encode_for_store
from replicell.store.missing import MISSING
from tests.persisters.faults.ledger import Content
from tests.persisters.faults.plan import CELLS

__all__ = ["Merge", "Neighbour", "make_neighbour"]

Clocks: TypeAlias = dict[tuple[str, str], tuple[int, int]]
"""By row and cell, the causal length and the version of the cell."""

_TODO = TableSchema("todo", ("id",), CELLS)


class _RefusedError(Exception):
    """What was asked for cannot be done."""


_REFUSALS = (apsw.BusyError, apsw.SQLError, DatabaseBusyError, _RefusedError)


class Merge(NamedTuple):
    """What a replica has to say.

    Args:
        site_id: Who it is.
        changes: Its changes.
        cells: The cells among them, as row, cell and what it holds.
        rows: Rows that have been deleted at least once.
    """

    site_id: bytes
    changes: list[Change]
    cells: list[tuple[str, str, Any]]
    rows: list[str]


class Neighbour(ABC):
    """Another program with the same file.

    Its methods return False if they were refused, because somebody holds the lock or there is no such table
    or column.

    Args:
        folder: Where the file is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "medium"

    def prepare(self) -> None:
        """Make the table that all others will use, where a medium has tables."""
        return

    @abstractmethod
    def write(self, row_id: str, cell_id: str, value: Any) -> bool:
        """Write a cell."""

    @abstractmethod
    def drop_cell(self, row_id: str, cell_id: str) -> bool:
        """Delete a cell, unless it is the last one of a row that there cannot be without."""

    @abstractmethod
    def drop_row(self, row_id: str) -> bool:
        """Delete a row."""

    @abstractmethod
    def content(self) -> Content | None:
        """Return what the file holds, None if it cannot be read now."""

    @abstractmethod
    def lock(self) -> bool:
        """Keep everybody else from writing."""

    @abstractmethod
    def unlock(self) -> bool:
        """Let them write again."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""

    def clocks(self) -> Clocks:
        """Return the versions of all cells, where there are some."""
        return {}


class _SqlNeighbour(Neighbour):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._open: apsw.Connection | None = None
        self._is_locking = False

    @property
    def connection(self) -> apsw.Connection:
        if self._open is None:
            self._open = self._connect()
        return self._open

    def _connect(self) -> apsw.Connection:
        return apsw.Connection(str(self.file))

    def lock(self) -> bool:
        if not self._is_locking and self._try(lambda: self.connection.execute("BEGIN IMMEDIATE")):
            self._is_locking = True
        return self._is_locking

    def unlock(self) -> bool:
        if self._is_locking:
            self._is_locking = False
            self.connection.execute("ROLLBACK")
        return True

    def close(self) -> None:
        self.unlock()
        if self._open is not None:
            self._open.close()
            self._open = None

    def content(self) -> Content | None:
        if not self.file.exists():
            return {}, {}
        try:
            return self._content()
        except (apsw.BusyError, DatabaseBusyError):
            return None

    @abstractmethod
    def _content(self) -> Content:
        """Return what the file holds."""

    def _rows(self, table: str) -> list[dict[str, Any]]:
        if not self.connection.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (table,)).fetchall():
            return []
        cursor = self.connection.execute(f"SELECT * FROM {table}")
        rows = cursor.fetchall()
        names = [
            name for name, _ in self.connection.execute(f"SELECT name, 0 FROM pragma_table_info('{table}')")
        ]
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _try(self, function: Callable[[], object]) -> bool:
        try:
            function()
        except _REFUSALS:
            return False
        return True

    def _write(self, *statements: tuple[str, tuple[Any, ...]]) -> bool:
        def run() -> None:
            with transaction(self.connection):
                for sql, bindings in statements:
                    self.connection.execute(sql, bindings)

        return not self._is_locking and self._try(run)


class _TabularNeighbour(_SqlNeighbour):
    def prepare(self) -> None:
        self.connection.execute(f"CREATE TABLE todo (id TEXT PRIMARY KEY NOT NULL, {', '.join(CELLS)})")

    def _content(self) -> Content:
        tables = {"todo": self._cells("todo", "id"), "pets": self._cells("pets", "_id")}
        values = self._cells("settings", "_id")
        return {table_id: table for table_id, table in tables.items() if table}, values.get("_", {})

    def _cells(self, table: str, key: str) -> dict[str, dict[str, Any]]:
        rows = {
            row.pop(key): {name: _from_sql(value) for name, value in row.items() if value is not None}
            for row in self._rows(table)
        }
        return {row_id: row for row_id, row in rows.items() if row}

    def write(self, row_id: str, cell_id: str, value: Any) -> bool:
        sql = (
            f"INSERT INTO todo (id, {cell_id}) VALUES (?, ?) "
            f"ON CONFLICT DO UPDATE SET {cell_id} = excluded.{cell_id}"
        )
        return self._write((sql, (row_id, _for_sql(value))))

    def drop_cell(self, row_id: str, cell_id: str) -> bool:
        return self._write((f"UPDATE todo SET {cell_id} = NULL WHERE id = ?", (row_id,)))

    def drop_row(self, row_id: str) -> bool:
        return self._write(("DELETE FROM todo WHERE id = ?", (row_id,)))


class _JsonTextNeighbour(_SqlNeighbour):
    def _content(self) -> Content:
        rows = self._rows("stores")
        return _content_of(rows[0]["store"] if rows else None)

    def write(self, row_id: str, cell_id: str, value: Any) -> bool:
        return self._edit(lambda tables: _write_in(tables, row_id, cell_id, value))

    def drop_cell(self, row_id: str, cell_id: str) -> bool:
        return self._edit(lambda tables: _drop_cell_in(tables, row_id, cell_id))

    def drop_row(self, row_id: str) -> bool:
        return self._edit(lambda tables: _drop_row_in(tables, row_id))

    def _edit(self, edit: Callable[[Any], None]) -> bool:
        def run() -> None:
            with transaction(self.connection):
                rows = self.connection.execute("SELECT store FROM stores WHERE _id = '_'").fetchall()
                if not rows:
                    raise apsw.SQLError("there is no text yet")
                text = _edited(str(rows[0][0]), edit)
                self.connection.execute("UPDATE stores SET store = ? WHERE _id = '_'", (text,))

        return not self._is_locking and self._try(run)


class _WithExtension(_SqlNeighbour):
    def _connect(self) -> apsw.Connection:
        return open_connection(self.file, busy_timeout=0)

    def close(self) -> None:
        self.unlock()
        if self._open is not None:
            close_connection(self._open)
            self._open = None


class _CrSqliteJsonNeighbour(_WithExtension, _JsonTextNeighbour):
    """The text in a cell of a replicated table."""


class CrSqliteNeighbour(_WithExtension, _TabularNeighbour):
    """Another program with the same file, and a replica of it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._catalog = Catalog()
        self._peer: apsw.Connection | None = None
        self._peer_catalog = Catalog()

    def prepare(self) -> None:
        create_table(self.connection, _TODO)

    @property
    def peer(self) -> apsw.Connection:
        if self._peer is None:
            self._peer = open_connection(self.folder / "peer")
            create_table(self._peer, _TODO)
        return self._peer

    def peer_write(self, row_id: str, cell_id: str, value: Any) -> bool:
        """Write a cell of the replica."""
        with transaction(self.peer):
            self.peer.execute(
                f"INSERT INTO todo (id, {cell_id}) VALUES (?, ?) "
                f"ON CONFLICT DO UPDATE SET {cell_id} = excluded.{cell_id}",
                (row_id, _for_sql(value)),
            )
        return True

    def peer_drop_row(self, row_id: str) -> bool:
        """Delete a row of the replica."""
        with transaction(self.peer):
            self.peer.execute("DELETE FROM todo WHERE id = ?", (row_id,))
        return True

    def offer(self) -> Merge | None:
        """Return what the replica has to say, None if the file has no place for it."""
        try:
            known = self.connection.execute("SELECT name FROM pragma_table_info('todo')").fetchall()
            own_id = _site_id(self.connection)
        except _REFUSALS:
            return None
        changes = _all_changes(self.peer, self._peer_catalog, own_id)
        if not known or not {change.cid for change in changes} <= {ROW, *(name for (name,) in known)}:
            return None
        cells = [
            (_row_id(change), change.cid, _from_sql(change.val)) for change in changes if change.cid != ROW
        ]
        rows = [_row_id(change) for change in changes if change.cid == ROW]
        return Merge(_site_id(self.peer), changes, cells, rows)

    def push(self) -> bool:
        """Merge the file's changes into the replica."""
        return self._try(self._push)

    def _push(self) -> None:
        changes = [
            change
            for change in _all_changes(self.connection, self._catalog, _site_id(self.peer))
            if change.table == "todo"
        ]
        with transaction(self.peer):
            assert merge_changes(self.peer, self._peer_catalog, changes, _site_id(self.connection)) == []

    def exchange(self) -> None:
        """Have the file and the replica tell each other everything."""
        there = read_schema(self.connection)["todo"].columns
        add_columns(self.connection, "todo", [name for name in CELLS if name not in there])
        merge = self.offer()
        if merge is not None:
            with transaction(self.connection):
                assert merge_changes(self.connection, self._catalog, merge.changes, merge.site_id) == []
        self.push()

    def peer_table(self) -> dict[str, dict[str, Any]]:
        """Return what the replica holds."""
        table = {}
        for row_id, *values in self.peer.execute("SELECT id, a, b, c FROM todo"):
            cells = {
                cell_id: _from_sql(value)
                for cell_id, value in zip(CELLS, values, strict=True)
                if value is not None
            }
            if cells:
                table[row_id] = cells
        return table

    def clocks(self) -> Clocks:
        if not self.file.exists():
            return {}
        changes = _all_changes(self.connection, self._catalog, None)
        return {
            (_row_id(change), change.cid): (change.cl, change.col_version)
            for change in changes
            if change.table == "todo"
        }

    def close(self) -> None:
        super().close()
        if self._peer is not None:
            close_connection(self._peer)
            self._peer = None


class JsonFileNeighbour(Neighbour):
    """Another program that edits the same text file."""

    _lock: int | None = None

    def content(self) -> Content | None:
        return _content_of(read_text(self.file))

    def write(self, row_id: str, cell_id: str, value: Any) -> bool:
        return self._edit(lambda tables: _write_in(tables, row_id, cell_id, value))

    def drop_cell(self, row_id: str, cell_id: str) -> bool:
        return self._edit(lambda tables: _drop_cell_in(tables, row_id, cell_id))

    def drop_row(self, row_id: str) -> bool:
        return self._edit(lambda tables: _drop_row_in(tables, row_id))

    def lock(self) -> bool:
        if self._lock is None:
            handle = os.open(self.folder, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                return False
            self._lock = handle
        return True

    def unlock(self) -> bool:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        return True

    def close(self) -> None:
        self.unlock()

    def _edit(self, edit: Callable[[Any], None]) -> bool:
        if self._lock is not None:
            return False
        try:
            with locked(self.file, 0):
                text = read_text(self.file)
                if text is None:
                    return False
                new = self.folder / "new text"
                new.write_text(_edited(text, edit))
                new.replace(self.file)
        except (TimeoutError, _RefusedError):
            return False
        return True


async def merge_into(database: CrSqliteDatabase, merge: Merge) -> None:
    """Merge what a replica has to say as a sync client does, through the program's own database."""

    def run(connection: apsw.Connection) -> None:
        failed = merge_changes(connection, Catalog(), merge.changes, merge.site_id)
        if failed:
            raise AssertionError(f"{failed} of {merge.changes}")

    await database.write(run)


def make_neighbour(medium: str, folder: Path) -> Neighbour:
    """Return another program for a medium."""
    match medium:
        case "cr-sqlite tabular":
            return CrSqliteNeighbour(folder)
        case "cr-sqlite json":
            return _CrSqliteJsonNeighbour(folder)
        case "sqlite tabular" | "custom tabular":
            return _TabularNeighbour(folder)
        case "sqlite json" | "custom json":
            return _JsonTextNeighbour(folder)
        case _:
            return JsonFileNeighbour(folder)


def _content_of(text: str | None) -> Content:
    tables, values = ({}, {}) if text is None else json.loads(text)
    return tables, values


def _edited(text: str, edit: Callable[[Any], None]) -> str:
    content = json.loads(text)
    edit(content[0])
    return json.dumps(content, ensure_ascii=False)


def _write_in(tables: Any, row_id: str, cell_id: str, value: Any) -> None:
    tables.setdefault("todo", {}).setdefault(row_id, {})[cell_id] = value


def _drop_cell_in(tables: Any, row_id: str, cell_id: str) -> None:
    row = tables.get("todo", {}).get(row_id, {})
    if row.keys() <= {cell_id}:
        raise _RefusedError
    row.pop(cell_id, None)


def _drop_row_in(tables: Any, row_id: str) -> None:
    table = tables.get("todo", {})
    table.pop(row_id, None)
    if not table:
        tables.pop("todo", None)


def _for_sql(value: Any) -> Any:
    return encode_cell(encode_for_store(value))  # type: ignore[arg-type]  # all of a plan's values are cells


def _from_sql(value: Any) -> Any:
    return MISSING if value is None else decode_for_program(decode_cell(value))


def _site_id(connection: apsw.Connection) -> bytes:
    site_id: bytes = connection.execute("SELECT crsql_site_id()").get
    return site_id


def _all_changes(connection: apsw.Connection, catalog: Catalog, exclude: bytes | None) -> list[Change]:
    with nullcontext() if connection.in_transaction else transaction(connection, immediate=False):
        return read_page(connection, catalog, 0, exclude=exclude, max_changes=100_000).changes


def _row_id(change: Change) -> str:
    (row_id,) = unpack_key(change.pk)
    return str(row_id)
