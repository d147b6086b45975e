"""The persister between a store and a plain SQLite database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import apsw

from replicell.persisters.content import LoadedContent, SaveResult
from replicell.persisters.crsqlite.cleaning import Cleaning
from replicell.persisters.persister import ErrorListener
from replicell.persisters.schema_facts import SchemaFacts
from replicell.persisters.sqlite.cleaning import clean_script
from replicell.persisters.sqlite.connection import transaction
from replicell.persisters.sqlite.database import SqliteDatabase
from replicell.persisters.sqlite.mode_persister import ModePersister
from replicell.persisters.sqlite.modes import HeldRows, Save
from replicell.persisters.sqlite.scripts import run_script
from replicell.persisters.sqlite.worker import DatabaseChange
from replicell.persisters.sqlite.write_log import HookedWriteLog
from replicell.persisters.subscription import Subscription
from replicell.persisters.unsaved import UnsavedChanges
from replicell.store.store import Store

__all__ = ["SqlitePersister", "create_sqlite_persister"]


class SqlitePersister(ModePersister):
    """Keeps a store, or tables of it, and an SQLite file the same that other programs may use as they like.

    `Persister` says what it promises. In JSON mode the whole store is one text in one row; in tabular mode
    its tables are tables. What is written through the same `SqliteDatabase` is loaded row by row. A commit of
    another connection tells nothing of its rows: the mapped tables are then read whole, on the database's
    thread, and only rows that differ from before reach the store.

    Args:
        store: The store.
        database: The database, open when the persister is used. Closing it closes the persister first.
        config: What is kept where; see `parse_database_config`.
        options: The keyword arguments of `Persister`.

    Raises:
        ConfigError: the configuration cannot be followed.
    """

    def __init__(self, store: Store, database: SqliteDatabase, config: object = None, **options: Any) -> None:
        self._database = database
        self._log = HookedWriteLog()
        super().__init__(store, config, turns=database.turns, **options)
        self._before_close = database.before_close(self.close)

    @property
    def database(self) -> SqliteDatabase:
        """The database."""
        return self._database

    def _begin_load(self) -> asyncio.Future[LoadedContent]:
        return self._database.read(self._load, self._tracker.schema(), self._held_rows())

    def _begin_save(self, unsaved: UnsavedChanges) -> asyncio.Future[SaveResult]:
        facts, is_loading = self._tracker.schema(), self.is_auto_loading()
        writing = self._database.run(self._save, unsaved, facts, is_loading, origin=self)
        return writing.mapped(lambda save: self._saved(save, unsaved))

    async def _clean(self, cleanings: Sequence[Cleaning]) -> None:
        await self._database.write(_clean, cleanings, origin=self)

    def _watch(self, on_change: Callable[[], None]) -> Subscription:
        def on_database_change(change: DatabaseChange) -> None:
            if change.origin is not self:
                on_change()

        return self._database.on_change(on_database_change)

    def _release(self) -> None:
        self._before_close.cancel()
        if self._database.is_open:
            self._database.run(self._log.detach)

    def _load(self, connection: apsw.Connection, facts: SchemaFacts, held: HeldRows) -> LoadedContent:
        self._log.attach(connection)
        return run_script(connection, self._mode.load(facts, self._log, held))

    def _save(
        self, connection: apsw.Connection, unsaved: UnsavedChanges, facts: SchemaFacts, is_loading: bool
    ) -> Save:
        self._prepare(connection)
        with transaction(connection):
            return run_script(connection, self._mode.save(unsaved, facts, is_loading, self._log))

    def _prepare(self, connection: apsw.Connection) -> None:
        """Make ready for a save, on the database's thread, in transactions of its own."""


def create_sqlite_persister(
    store: Store,
    database: SqliteDatabase,
    config: object = None,
    *,
    on_ignored_error: ErrorListener | None = None,
    **options: Any,
) -> SqlitePersister:
    """Create a persister between a store and a plain SQLite database.

    Mirrors TinyBase's `createSqliteNodePersister` and its kin.

    Args:
        store: The store.
        database: The database.
        config: TinyBase's configuration object in camelCase or snake_case, the name of a table for JSON mode,
            a `JsonConfig` or a `TabularConfig`; None for JSON mode in the table ``tinybase``.
        on_ignored_error: TinyBase's name for ``on_error``.
        options: The keyword arguments of `Persister`.

    Raises:
        ConfigError: the configuration cannot be followed.
    """
    options.setdefault("on_error", on_ignored_error)
    return SqlitePersister(store, database, config, **options)


def _clean(connection: apsw.Connection, cleanings: Sequence[Cleaning]) -> None:
    run_script(connection, clean_script(cleanings))
