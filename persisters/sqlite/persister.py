"""The persister between a store and a plain SQLite database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Self

import apsw

from replicell.persisters.config import TabularConfig
from replicell.persisters.content import LoadedContent, SaveResult
from replicell.persisters.crsqlite.cleaning import Cleaning, wanted_cleanings
from replicell.persisters.json_config import JsonConfig, parse_database_config
from replicell.persisters.persister import ErrorListener, Persister
from replicell.persisters.schema_facts import SchemaFacts
from replicell.persisters.sqlite.cleaning import clean_script
from replicell.persisters.sqlite.connection import transaction
from replicell.persisters.sqlite.database import SqliteDatabase
from replicell.persisters.sqlite.json_mode import JsonMode
from replicell.persisters.sqlite.modes import HeldRows, Mode, Save
from replicell.persisters.sqlite.scripts import run_script
from replicell.persisters.sqlite.tabular_mode import TabularMode
from replicell.persisters.sqlite.worker import DatabaseChange
from replicell.persisters.sqlite.write_log import HookedWriteLog
from replicell.persisters.subscription import Subscription
from replicell.persisters.tracking import ChangeTracker
from replicell.persisters.unsaved import UnsavedChanges
from replicell.store.store import Store

__all__ = ["SqlitePersister", "create_sqlite_persister", "mode_of"]


class SqlitePersister(Persister):
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
        self._config = parse_database_config(config)
        self._mode = mode_of(self._config)
        self._database = database
        self._log = HookedWriteLog()
        self._has_loaded = False
        super().__init__(store, ChangeTracker(store, self._mode.scope), turns=database.turns, **options)
        self._before_close = database.before_close(self.close)

    @property
    def config(self) -> JsonConfig | TabularConfig:
        """What is kept where."""
        return self._config

    @property
    def database(self) -> SqliteDatabase:
        """The database."""
        return self._database

    async def save(self) -> Self:
        """Save all that the database does not have. See `Persister.save`.

        If the configuration says so, columns and tables that are empty afterwards are dropped.
        """
        await super().save()
        if isinstance(self._config, TabularConfig):
            cleanings = wanted_cleanings(self._config, self._store)
            if cleanings:
                await self._database.write(self._clean, cleanings, origin=self)
        return self

    def _begin_load(self) -> asyncio.Future[LoadedContent]:
        held: HeldRows = {}
        if not self._has_loaded:
            tables = self._mode.scope.loaded_tables or ()
            held = {table_id: self._store.get_row_ids(table_id) for table_id in tables}
        return self._database.read(self._load, self._tracker.schema(), held)

    def _begin_save(self, unsaved: UnsavedChanges) -> asyncio.Future[SaveResult]:
        facts, is_loading = self._tracker.schema(), self.is_auto_loading()
        writing = self._database.run(self._save, unsaved, facts, is_loading, origin=self)
        return writing.mapped(lambda save: self._saved(save, unsaved))

    def _saved(self, save: Save, unsaved: UnsavedChanges) -> SaveResult:
        self._mode.on_saved(save, unsaved)
        if save.has_effects and self.is_auto_loading():
            asyncio.get_running_loop().call_soon(self._on_medium_change)
        return save.result

    def _watch(self, on_change: Callable[[], None]) -> Subscription:
        def on_database_change(change: DatabaseChange) -> None:
            if change.origin is not self:
                on_change()

        return self._database.on_change(on_database_change)

    def _on_applied(self, content: LoadedContent) -> None:
        self._has_loaded = True
        self._mode.on_applied(content)

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

    def _clean(self, connection: apsw.Connection, cleanings: list[Cleaning]) -> None:
        run_script(connection, clean_script(cleanings))


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


def mode_of(config: JsonConfig | TabularConfig) -> Mode:
    """Return what a persister with a configuration does."""
    return JsonMode(config) if isinstance(config, JsonConfig) else TabularMode(config)
