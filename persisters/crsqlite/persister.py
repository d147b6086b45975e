"""The persister between a store and a cr-sqlite database."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Self

import apsw

from replicell.persisters.config import TabularConfig, parse_config
from replicell.persisters.content import LoadedContent, SaveResult
from replicell.persisters.crsqlite.cleaning import clean, wanted_cleanings
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.loading import HeldRows, Loader
from replicell.persisters.crsqlite.saving import Saver
from replicell.persisters.crsqlite.tables import MappedSchemas, Seen, TableMap
from replicell.persisters.persister import ErrorListener, Persister
from replicell.persisters.replies import Reply
from replicell.persisters.schema_facts import SchemaFacts
from replicell.persisters.sqlite.prefetch import Found, Prefetch
from replicell.persisters.sqlite.worker import DatabaseChange
from replicell.persisters.status import ProgressListener, Status
from replicell.persisters.subscription import Subscription
from replicell.persisters.tracking import ChangeTracker, Scope
from replicell.persisters.unsaved import UnsavedChanges
from replicell.store.store import Store

__all__ = ["CrSqlitePersister", "create_crsqlite_persister"]


class CrSqlitePersister(Persister):
    """Keeps tables of a store and tables of a cr-sqlite database the same.

    `Persister` says what it promises. Loads read what has changed since the last one from cr-sqlite's clock
    tables. A save first reads what others have changed and then writes, in one transaction, so that nothing
    comes back and nothing is missed. Tables and columns that a save needs are created.

    How cells stand in the database is described in `replicell.persisters.crsqlite.cells`.

    Args:
        store: The store.
        database: The database, open when the persister is used. Closing it closes the persister first.
        config: What is kept where; see `parse_config`.
        on_error: Called with each error that no caller gets, among them cells that cannot be stored.
        on_progress: Called with a `Progress` while many rows are loaded or saved.
        save_interval: Seconds during which changes are collected before they are saved automatically.
        retry_delay: Seconds before a failed load or save is tried again, doubled with each failure.
        max_retry_delay: Seconds at most between tries.

    Raises:
        ConfigError: the configuration cannot be followed.
    """

    def __init__(
        self,
        store: Store,
        database: CrSqliteDatabase,
        config: object,
        *,
        on_error: ErrorListener | None = None,
        on_progress: ProgressListener | None = None,
        save_interval: float = 0.0,
        retry_delay: float = 0.05,
        max_retry_delay: float = 5.0,
    ) -> None:
        self._config = parse_config(config)
        self._database = database
        self._prefetch: Prefetch[LoadedContent] = Prefetch(self)
        self._found: Found[LoadedContent] | None = None
        scope = self._follow(TableMap(self._config))
        super().__init__(
            store,
            ChangeTracker(store, scope),
            on_error=on_error,
            on_progress=on_progress,
            save_interval=save_interval,
            retry_delay=retry_delay,
            max_retry_delay=max_retry_delay,
            turns=database.turns,
        )
        self._before_close = database.before_close(self.close)

    @property
    def config(self) -> TabularConfig:
        """What is kept where."""
        return self._config

    @property
    def database(self) -> CrSqliteDatabase:
        """The database."""
        return self._database

    async def extend(self, config: object) -> Self:
        """Keep other tables as well from now on, without a pause in which something could be missed.

        All that is configured is loaded once more, so name the tables at the beginning where they are known.

        Args:
            config: What is kept where from now on; what was kept before must be among it.

        Raises:
            ConfigError: the configuration cannot be followed.
            PersisterError: it cannot be loaded or saved now; while auto-persisting it is tried again.
        """
        parsed = parse_config(config)
        table_map = TableMap(parsed)

        async def follow() -> None:
            self._config = parsed
            self._tracker.extend(self._follow(table_map))

        await self.schedule(follow)
        if self.is_auto_loading():
            await self.load()
        if self.is_auto_saving():
            await self.save()
        return self

    async def save(self) -> Self:
        """Save all that the database does not have. See `Persister.save`.

        If the configuration says so, columns and tables that are empty afterwards are dropped.
        """
        await super().save()
        cleanings = wanted_cleanings(self._config, self._store)
        if cleanings:
            await self._database.run(clean, cleanings, origin=self)
        return self

    def _follow(self, table_map: TableMap) -> Scope:
        scope = table_map.scope()
        schemas = MappedSchemas(table_map.keys)
        self._loader = Loader(schemas, table_map.loads)
        self._saver = Saver(schemas, table_map.saves, self._loader, scope.shared_tables or frozenset())
        self._loaded_table_ids = scope.loaded_tables or frozenset()
        self._seen: Seen | None = None
        self._next_load: _Load | None = None
        return scope

    def _begin_load(self) -> asyncio.Future[LoadedContent]:
        ahead = self._read_ahead()
        if ahead is not None:
            done: Reply[LoadedContent] = Reply(loop=asyncio.get_running_loop())
            done.set_result(ahead)
            return done
        held: HeldRows = {}
        if self._seen is None:
            held = {table_id: self._store.get_row_ids(table_id) for table_id in self._loaded_table_ids}
        return self._database.read(self._loader.load, self._seen, self._tracker.schema(), held)

    def _read_ahead(self) -> LoadedContent | None:
        found, load = self._found, self._next_load
        if found is None or load is None or found.read is not load:
            return None
        return found.result if load.is_of(self._seen, self._tracker.schema()) else None

    def _begin_save(self, unsaved: UnsavedChanges) -> asyncio.Future[SaveResult]:
        seen = self._seen if self.is_auto_loading() else None
        progress = self._progress_of(Status.SAVING)
        return self._database.run(
            self._saver.save, unsaved, seen, self._tracker.schema(), progress, origin=self
        )

    def _watch(self, on_change: Callable[[], None]) -> Subscription:
        def on_database_change(change: DatabaseChange) -> None:
            if change.origin is not self:
                # Good for a load that begins at once; later there may be more.
                self._found = self._prefetch.take()
                try:
                    on_change()
                finally:
                    self._found = None

        return self._database.on_change(on_database_change, prefetch=self._prefetch)

    def _on_applied(self, content: LoadedContent) -> None:
        self._seen = content.version
        if self._seen is not None and self.is_auto_loading():
            self._next_load = _Load(self._loader, self._seen, self._tracker.schema())
            self._prefetch.want(self._next_load)

    def _release(self) -> None:
        self._before_close.cancel()


class _Load:
    """Reads what has changed since what was seen, before anybody asks for it."""

    def __init__(self, loader: Loader, seen: Seen, facts: SchemaFacts) -> None:
        self._loader = loader
        self._seen = seen
        self._facts = facts

    def __call__(self, connection: apsw.Connection) -> LoadedContent:
        return self._loader.load(connection, self._seen, self._facts)

    def is_of(self, seen: Seen | None, facts: SchemaFacts) -> bool:
        """Whether that is what is to be read now."""
        return self._seen is seen and self._facts == facts


def create_crsqlite_persister(
    store: Store,
    database: CrSqliteDatabase,
    config: object,
    *,
    on_ignored_error: ErrorListener | None = None,
    **options: Any,
) -> CrSqlitePersister:
    """Create a persister between a store and a cr-sqlite database.

    Mirrors TinyBase's `createCrSqliteWasmPersister`, which TinyBase itself no longer has.

    Args:
        store: The store.
        database: The database.
        config: TinyBase's configuration object in camelCase or snake_case, or a `TabularConfig`.
        on_ignored_error: TinyBase's name for ``on_error``.
        options: The keyword arguments of `CrSqlitePersister`.

    Raises:
        ConfigError: the configuration cannot be followed.
    """
    options.setdefault("on_error", on_ignored_error)
    return CrSqlitePersister(store, database, config, **options)
