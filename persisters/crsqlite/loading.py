"""Reading what has changed in a database, in proportion to what has changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final, TypeAlias

import apsw

from replicell.persisters.content import LoadedContent, LoadedRow, LoadedTable, RowForm, RowParts
from replicell.persisters.crsqlite.cells import why_unstorable
from replicell.persisters.crsqlite.decoding import RowDecoder
from replicell.persisters.crsqlite.identifiers import quote
from replicell.persisters.crsqlite.planning import SavePlan
from replicell.persisters.crsqlite.schema import TableSchema
from replicell.persisters.crsqlite.tables import VALUES_ROW, MappedSchemas, MappedTable, Seen
from replicell.persisters.crsqlite.versions import changed_rows_sql, latest_version
from replicell.persisters.errors import UnreadableCellError
from replicell.persisters.schema_facts import SchemaFacts
from replicell.persisters.sqlite.statements import as_blobs, text_of_blob
from replicell.persisters.tracking import Ids
from replicell.store.ids import Id

__all__ = ["HeldRows", "Loader"]

HeldRows: TypeAlias = Mapping[Id | None, Sequence[Id]]
"""Row ids of the store by table."""

_Sql: TypeAlias = Callable[[TableSchema, tuple[str, ...], str, bool], str]

_NOTHING_HELD: Final[HeldRows] = {}

_ROWS_A_PART: Final = 500


class Loader:
    """Reads the mapped tables; used on the database's thread only.

    Args:
        schemas: The schemas of the mapped tables.
        tables: The tables to load.
    """

    def __init__(self, schemas: MappedSchemas, tables: Sequence[MappedTable]) -> None:
        self._schemas = schemas
        self._tables = tuple(tables)
        self._conditioned = {
            (table.name, table.table_id): table for table in tables if table.condition is not None
        }

    def load(
        self,
        connection: apsw.Connection,
        seen: Seen | None,
        facts: SchemaFacts,
        held: HeldRows = _NOTHING_HELD,
    ) -> LoadedContent:
        """Read all rows that have changed, in the transaction the connection is in.

        Args:
            connection: The connection.
            seen: How far the database has been loaded; None to read everything.
            facts: The store's schema, for what other programs wrote as 0 and 1.
            held: The rows of the store, if everything is read: whether they were deleted is looked up.

        Returns:
            The rows, with the new `Seen` as their version.
        """
        schemas = self._schemas.read(connection)
        now = Seen(self.version(connection, schemas), schemas)
        content = self._collect(connection, now, seen, facts, held)
        content.version = now
        return content

    def collect(
        self,
        connection: apsw.Connection,
        schemas: Mapping[str, TableSchema],
        seen: Seen | None,
        facts: SchemaFacts,
    ) -> LoadedContent:
        """Read the rows as :meth:`load` does, under known schemas, and leave the version to the caller."""
        now = Seen(self.version(connection, schemas), schemas)
        return self._collect(connection, now, seen, facts, _NOTHING_HELD)

    def _collect(
        self,
        connection: apsw.Connection,
        now: Seen,
        seen: Seen | None,
        facts: SchemaFacts,
        held: HeldRows,
    ) -> LoadedContent:
        if seen is not None and seen.schemas is now.schemas and seen.version == now.version:
            return LoadedContent()
        tables: dict[Id, LoadedTable] = {}
        values: LoadedTable | None = None
        unreadable: list[UnreadableCellError] = []
        for table in self._tables:
            loaded = _load_table(connection, table, self._schemas, seen, facts, unreadable, held)
            if loaded is None:
                continue
            if table.table_id is None:
                values = loaded
            else:
                tables[table.table_id] = loaded
        return LoadedContent(tables, values, unreadable)

    def not_chosen(self, connection: apsw.Connection, plan: SavePlan) -> list[tuple[Id, Id]]:
        """Return the rows that a save has written and that are not among those to be loaded.

        Rows of which something could not be written are left out, for the store alone has that.
        """
        found: list[tuple[Id, Id]] = []
        refused = {(problem.table_id, problem.row_id) for problem in plan.unstorable}
        for written in plan.tables:
            table = self._conditioned.get((written.table.name, written.table.table_id))
            if table is None or table.table_id is None:
                continue
            sql = _chosen_row_sql(self._schemas.rows_of(table), table.key)
            for _, rows in written.batches():
                for row_id, *_ in rows:
                    is_chosen = connection.execute(sql, (row_id,)).get is not None
                    if not is_chosen and (table.table_id, row_id) not in refused:
                        found.append((table.table_id, row_id))
        return found

    def version(self, connection: apsw.Connection, schemas: Mapping[str, TableSchema]) -> int:
        """Return the newest version of the tables to load."""
        return latest_version(connection, [table.name for table in self._tables if table.name in schemas])


def _load_table(
    connection: apsw.Connection,
    table: MappedTable,
    schemas: MappedSchemas,
    seen: Seen | None,
    facts: SchemaFacts,
    unreadable: list[UnreadableCellError],
    held: HeldRows,
) -> LoadedTable | None:
    schema = schemas.schema(table.name)
    if schema is None:
        return LoadedTable({}, frozenset(), is_complete=True) if seen is None else None
    reading = _Reading(connection, table, schema, schemas.rows_of(table), _booleans(table, facts), unreadable)
    if seen is None:
        return reading.all_rows(held.get(table.table_id, ()))
    before = seen.schemas.get(table.name)
    if before is not None and _needs_complete_load(connection, before, schema):
        loaded = reading.all_rows(None)
        # Cells of a column that is gone were saved once, so they are gone as well.
        loaded.cell_ids |= frozenset(_loaded_columns(before, table.cell_ids))
        return loaded
    return reading.rows_since(seen.version)


class _Reading:
    """The reading of one table."""

    def __init__(
        self,
        connection: apsw.Connection,
        table: MappedTable,
        schema: TableSchema,
        source: str,
        booleans: frozenset[Id],
        unreadable: list[UnreadableCellError],
    ) -> None:
        self._connection = connection
        self._table = table
        self._schema = schema
        self._source = source
        self._columns = _loaded_columns(schema, table.cell_ids)
        self._decoder = RowDecoder(self._columns, booleans, self._report)
        self._unreadable = unreadable

    def all_rows(self, held: Iterable[Id] | None) -> LoadedTable:
        """Read all rows.

        Args:
            held: Rows of the store, which are looked up if they are not among those read; None if any row
                may be in the store.
        """
        rows = self._read(_all_rows_sql, ())
        cell_ids = frozenset(self._columns)
        if self._table.table_id is None:
            return LoadedTable(_only_values(rows.merged()), cell_ids, is_complete=True)
        missing = dict.fromkeys(self._every_row_id() if held is None else held)
        for part in rows.parts() if missing else ():
            for row_id in part:
                missing.pop(row_id, None)
        gone = iter(missing if held is None else self._known(missing))
        while part := dict.fromkeys(islice(gone, _ROWS_A_PART)):
            rows.add(part, RowForm.UNCHECKED)
        return LoadedTable(rows, cell_ids, is_complete=True)

    def rows_since(self, version: int) -> LoadedTable | None:
        """Read the rows that have changed; None if there are none."""
        parts = self._read(_changed_rows_sql, (version,))
        form, rows = parts.form, parts.merged()
        if self._table.table_id is None:
            form, rows = RowForm.UNCHECKED, _only_values(rows)
        return LoadedTable(rows, frozenset(self._columns), is_complete=False, form=form) if rows else None

    def _every_row_id(self) -> Iterable[Id]:
        for (key,) in self._connection.execute(_every_row_sql(self._schema)):
            row_id = text_of_blob("text", key)
            if isinstance(row_id, str):
                yield row_id

    def _known(self, row_ids: Iterable[Id]) -> Iterable[Id]:
        sql = _known_row_sql(self._schema)
        for row_id in row_ids:
            if why_unstorable(row_id) is None and self._connection.execute(sql, (row_id,)).get is not None:
                yield row_id

    def _read(self, sql: _Sql, bindings: tuple[int, ...]) -> RowParts:
        rows = RowParts()
        count = len(self._unreadable)
        try:
            statement = sql(self._schema, self._columns, self._source, False)
            self._add_parts(rows, self._connection.execute(statement, bindings))
        except UnicodeDecodeError:
            # Some text is not UTF-8. To find out which, text is read as blobs.
            rows.clear()
            del self._unreadable[count:]
            statement = sql(self._schema, self._columns, self._source, True)
            found = self._connection.execute(statement, bindings)
            self._add_parts(rows, (tuple(map(text_of_blob, blobs[::2], blobs[1::2])) for blobs in found))
        return rows

    def _add_parts(self, rows: RowParts, found: Iterable[tuple[Any, ...]]) -> None:
        # Few at a time, so that what is read is in memory only once, and other threads get their turns.
        reading = iter(found)
        while part := [*islice(reading, _ROWS_A_PART)]:
            keys, existing, *columns = zip(*part, strict=True)
            if None in existing or set(map(type, keys)) != {str}:
                part = [row for row in part if self._is_row_id(row[0])]
                gone = [row[0] for row in part if row[1] is None]
                rows.add(dict.fromkeys(gone), RowForm.UNCHECKED)
                keys, existing, *columns = _transposed(
                    [row for row in part if row[1] is not None], len(columns) + 2
                )
            if keys:
                rows.add(*self._decoder.rows(keys, columns))

    def _is_row_id(self, key: object) -> bool:
        if not isinstance(key, str):
            self._report(None, None, f"the key {key!r} of a row is not text")
            return False
        return True

    def _report(self, row_id: Id | None, cell_id: Id | None, reason: str) -> None:
        table_id = self._table.table_id
        if table_id is None:
            row_id = None
        place = f" (table {self._table.name!r} of the database)"
        self._unreadable.append(UnreadableCellError(table_id, row_id, cell_id, reason + place))


def _transposed(rows: Sequence[tuple[Any, ...]], width: int) -> list[tuple[Any, ...]]:
    return [*zip(*rows, strict=True)] if rows else [()] * width


def _only_values(rows: dict[Id, LoadedRow]) -> dict[Id, LoadedRow]:
    return {VALUES_ROW: rows[VALUES_ROW]} if VALUES_ROW in rows else {}


def _needs_complete_load(connection: apsw.Connection, before: TableSchema | None, now: TableSchema) -> bool:
    """Tell whether cells may have changed without a new version, because columns did.

    A table that was not there before has newer versions only. A new column is empty unless it has a default.
    """
    if before is None or before is now or before == now:
        return False
    added = [name for name in now.columns if name not in before.columns]
    if len(now.columns) - len(added) < len(before.columns):
        return True
    defaults = connection.execute(
        "SELECT name FROM pragma_table_info(?) WHERE dflt_value IS NOT NULL", (now.name,)
    ).fetchall()
    return any((name,) in defaults for name in added)


def _loaded_columns(schema: TableSchema, cell_ids: Ids) -> tuple[str, ...]:
    if cell_ids is None:
        return schema.columns
    return tuple(name for name in schema.columns if name in cell_ids)


def _booleans(table: MappedTable, facts: SchemaFacts) -> frozenset[Id]:
    if table.table_id is None:
        return facts.boolean_values
    return facts.booleans.get(table.table_id, frozenset())


@lru_cache(maxsize=512)
def _all_rows_sql(schema: TableSchema, columns: tuple[str, ...], source: str, as_blobs: bool) -> str:
    key = quote(schema.key[0])
    selection = _selection([key, key, *map(quote, columns)], as_blobs)
    return f"SELECT {selection} FROM {source}"


@lru_cache(maxsize=512)
def _every_row_sql(schema: TableSchema) -> str:
    key = quote(schema.key[0])
    return (
        f"SELECT CAST({key} AS BLOB) FROM {quote(schema.name + '__crsql_pks')} WHERE typeof({key}) = 'text'"
    )


@lru_cache(maxsize=512)
def _known_row_sql(schema: TableSchema) -> str:
    return f"SELECT 1 FROM {quote(schema.name + '__crsql_pks')} WHERE {quote(schema.key[0])} = ?"


@lru_cache(maxsize=512)
def _chosen_row_sql(source: str, key: str) -> str:
    return f"SELECT 1 FROM {source} AS chosen WHERE chosen.{quote(key)} = ?"


@lru_cache(maxsize=512)
def _changed_rows_sql(schema: TableSchema, columns: tuple[str, ...], source: str, as_blobs: bool) -> str:
    key = quote(schema.key[0])
    selection = [f"pks.{key}", f"base.{key}", *(f"base.{quote(name)}" for name in columns)]
    return (
        f"SELECT {_selection(selection, as_blobs)} FROM {quote(schema.name + '__crsql_pks')} AS pks "
        f"LEFT JOIN {source} AS base ON base.{key} = pks.{key} "
        f"WHERE pks.__crsql_key IN ({changed_rows_sql(schema.name)})"
    )


def _selection(columns: Iterable[str], is_text_as_blobs: bool) -> str:
    return as_blobs(columns) if is_text_as_blobs else ", ".join(columns)
