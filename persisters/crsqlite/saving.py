"""Writing what is unsaved to a database, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import apsw

from replicell.persisters.content import LoadedContent, SaveResult
from replicell.persisters.counting import Counter
from replicell.persisters.crsqlite.connection import transaction
from replicell.persisters.crsqlite.identifiers import quote
from replicell.persisters.crsqlite.loading import Loader
from replicell.persisters.crsqlite.planning import SavePlan, TablePlan, plan_save
from replicell.persisters.crsqlite.schema import (
    TableSchema,
    add_columns,
    create_table,
    create_tables,
    schema_version,
)
from replicell.persisters.crsqlite.tables import MappedSchemas, MappedTable, Seen
from replicell.persisters.errors import UnstorableCellError
from replicell.persisters.schema_facts import SchemaFacts
from replicell.persisters.sqlite.scripts import execute_many
from replicell.persisters.sqlite.statements import delete_sql, insert_sql, upsert_sql
from replicell.persisters.unsaved import RowState, UnsavedChanges
from replicell.store.ids import Id

__all__ = ["Saver"]


class Saver:
    """Writes the mapped tables; used on the database's thread only.

    Args:
        schemas: The schemas of the mapped tables.
        targets: Where each table of the store is saved.
        loader: Reads what others have changed before something is written.
        shared_tables: Tables that are loaded from where they are saved.
    """

    def __init__(
        self,
        schemas: MappedSchemas,
        targets: Sequence[MappedTable],
        loader: Loader,
        shared_tables: frozenset[Id],
    ) -> None:
        self._schemas = schemas
        self._targets = tuple(targets)
        self._loader = loader
        self._shared_tables = shared_tables

    def save(
        self,
        connection: apsw.Connection,
        unsaved: UnsavedChanges,
        seen: Seen | None,
        facts: SchemaFacts,
        progress: Callable[[int, int], None] | None = None,
    ) -> SaveResult:
        """Write changes, and read what others have changed since the last look.

        Both happen while the write lock is held, so what is written here need never be loaded, and nothing of
        others is missed.

        Args:
            connection: The connection, not in a transaction.
            unsaved: The changes.
            seen: How far the database has been loaded; None if others' changes are not to be loaded.
            facts: The store's schema.
            progress: Called, on this thread, with the number of rows written and to be written.
        """
        is_careful = False
        while True:
            schemas = self._schemas.last_read(connection)
            plan = plan_save(unsaved, self._targets, schemas, self._schemas.facts)
            if progress is not None:
                plan.progress = Counter(plan.row_count, progress)
            try:
                result = self._attempt(connection, plan, schemas, unsaved, seen, facts, is_careful)
            except apsw.ConstraintError:
                if is_careful:
                    raise
                # Somebody gave the table rules of its own. To find out which rows break them, go one by one.
                is_careful = True
                continue
            if result is not None:
                result.unstorable = plan.unstorable
                return result
            self._schemas.forget()

    def _attempt(
        self,
        connection: apsw.Connection,
        plan: SavePlan,
        schemas: Mapping[str, TableSchema],
        unsaved: UnsavedChanges,
        seen: Seen | None,
        facts: SchemaFacts,
        is_careful: bool,
    ) -> SaveResult | None:
        """Save as planned; None if the plan must be made anew because the schema has changed."""
        new_tables = plan.new_tables()
        if new_tables and len(new_tables) == len(plan.tables):
            return self._create_filled(connection, plan, seen, facts)
        if new_tables or plan.changed_tables():
            for table in new_tables:
                create_table(connection, table.wanted_schema())
            for table in plan.changed_tables():
                add_columns(connection, table.table.name, table.new_columns)
            return None
        return self._write(connection, plan, schemas, unsaved, seen, facts, is_careful)

    def _write(
        self,
        connection: apsw.Connection,
        plan: SavePlan,
        schemas: Mapping[str, TableSchema],
        unsaved: UnsavedChanges,
        seen: Seen | None,
        facts: SchemaFacts,
        is_careful: bool,
    ) -> SaveResult | None:
        write = _write_one_by_one if is_careful else _write_table
        try:
            with transaction(connection):
                if schema_version(connection) != self._schemas.version:
                    raise _Abandoned(None)
                loaded = None if seen is None else self._loader.collect(connection, schemas, seen, facts)
                incomplete = [
                    *self._deleted_by_others(unsaved, loaded),
                    *self._not_there(connection, plan, seen),
                ]
                if not incomplete:
                    for table in plan.tables:
                        write(connection, table, self._schemas.rows_of(table.table), plan)
                left: list[tuple[Id, Id]] = []
                if loaded is not None:
                    left = self._loader.not_chosen(connection, plan)
                    loaded.version = Seen(self._loader.version(connection, schemas), schemas)
                if incomplete:
                    raise _Abandoned(SaveResult(loaded, incomplete_rows=incomplete))
        except _Abandoned as abandoned:
            return abandoned.result
        return SaveResult(loaded, left_rows=left)

    def _create_filled(
        self, connection: apsw.Connection, plan: SavePlan, seen: Seen | None, facts: SchemaFacts
    ) -> SaveResult | None:
        filler = _Filler(plan, self._loader, self._schemas, seen, facts)
        try:
            is_done = create_tables(connection, [table.wanted_schema() for table in plan.tables], filler)
        except BaseException:
            self._schemas.forget()
            raise
        return SaveResult(filler.loaded, left_rows=filler.left) if is_done else None

    def _deleted_by_others(
        self, unsaved: UnsavedChanges, loaded: LoadedContent | None
    ) -> Iterable[tuple[Id, Id]]:
        if loaded is None:
            return
        for table_id, table in loaded.tables.items():
            if table_id in self._shared_tables:
                for row_id, row in table.rows.items():
                    if row is None and _is_partial(unsaved, table_id, row_id):
                        yield table_id, row_id

    def _not_there(
        self, connection: apsw.Connection, plan: SavePlan, seen: Seen | None
    ) -> Iterable[tuple[Id, Id]]:
        for table in plan.tables:
            table_id = table.table.table_id
            if table_id is None or (seen is not None and table_id in self._shared_tables):
                continue
            sql = _exists_sql(table.table.name, table.table.key)
            for row_id in table.partial:
                if connection.execute(sql, (row_id,)).get is None:
                    yield table_id, row_id


class _Filler:
    """Puts the first rows into new tables, and reads what others have changed in the tables there were."""

    def __init__(
        self, plan: SavePlan, loader: Loader, schemas: MappedSchemas, seen: Seen | None, facts: SchemaFacts
    ) -> None:
        self._plan = plan
        self._loader = loader
        self._schemas = schemas
        self._seen = seen
        self._facts = facts
        self.loaded: LoadedContent | None = None
        self.left: list[tuple[Id, Id]] = []

    def prepare(self, connection: apsw.Connection) -> None:
        if self._seen is not None:
            schemas = self._schemas.read(connection)
            self.loaded = self._loader.collect(connection, schemas, self._seen, self._facts)

    def insert(self, connection: apsw.Connection) -> None:
        for table in self._plan.tables:
            _insert_rows(connection, table, self._plan.progress)

    def finish(self, connection: apsw.Connection) -> None:
        if self.loaded is not None:
            schemas = self._schemas.read(connection)
            self.left = self._loader.not_chosen(connection, self._plan)
            self.loaded.version = Seen(self._loader.version(connection, schemas), schemas)


class _Abandoned(Exception):
    """Rolls the transaction back."""

    def __init__(self, result: SaveResult | None) -> None:
        super().__init__()
        self.result = result


def _is_partial(unsaved: UnsavedChanges, table_id: Id, row_id: Id) -> bool:
    row = unsaved.row(table_id, row_id)
    return row is not None and row.state is RowState.PARTIAL


def _write_table(connection: apsw.Connection, plan: TablePlan, source: str, whole: SavePlan) -> None:
    name, key = plan.table.name, plan.table.key
    if plan.deleted:
        connection.executemany(delete_sql(name, key, source), plan.deleted)
    for columns, rows in plan.batches():
        connection.executemany(upsert_sql(name, key, columns), whole.progress.counting(rows))


def _write_one_by_one(connection: apsw.Connection, plan: TablePlan, source: str, whole: SavePlan) -> None:
    name, key, table_id = plan.table.name, plan.table.key, plan.table.table_id
    delete = delete_sql(name, key, source)
    writes: list[tuple[str, Sequence[Any]]] = [(delete, row) for row in plan.deleted]
    writes += [(upsert_sql(name, key, columns), row) for columns, rows in plan.batches() for row in rows]
    for sql, bindings in writes:
        try:
            with connection:  # a savepoint, as a transaction is open
                connection.execute(sql, bindings)
        except apsw.ConstraintError as error:
            row_id = None if table_id is None else str(bindings[0])
            reason = f"table {name!r} of the database refuses the row ({error})"
            whole.unstorable.append(UnstorableCellError(table_id, row_id, None, reason))


def _insert_rows(connection: apsw.Connection, plan: TablePlan, progress: Counter) -> None:
    for columns, rows in plan.batches():
        insert = partial(insert_sql, plan.table.name, plan.table.key, columns)
        execute_many(connection, insert(), progress.counting(rows), insert)


@lru_cache(maxsize=256)
def _exists_sql(name: str, key: str) -> str:
    return f"SELECT 1 FROM {quote(name)} WHERE {quote(key)} = ?"
