"""A store that follows a whole database, whatever tables it has and gets."""

from __future__ import annotations

import asyncio
import logging

from replicell.persisters.config import (
    TableLoad,
    TableSave,
    TablesConfig,
    TabularConfig,
    ValuesConfig,
)
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.identifiers import folded
from replicell.persisters.crsqlite.persister import CrSqlitePersister
from replicell.persisters.crsqlite.tables import VALUES_KEY, mappable_tables
from replicell.persisters.errors import PersisterError, SchemaError
from replicell.persisters.operations import ErrorListener
from replicell.store.store import Store

__all__ = ["LiveStore"]

_log = logging.getLogger("replicell.persisters")

_VALUES_TABLE = ValuesConfig().table_name


class LiveStore:
    """Keeps a store and all replicated tables of a database the same, both ways.

    Tables that come into the database come into the store, and tables that are made in the store are made in
    the database. Those that no store can hold, because their key is not one text column, are left alone, and
    a line in the log says so. The store's values are those of `replicell.open`.

    Args:
        database: The database, open.
        name: What it is called in the log.
        row_id_column: The key column of tables that are made in the store.
        on_error: Called with each error of loading or saving that no caller gets.
    """

    def __init__(
        self,
        database: CrSqliteDatabase,
        *,
        name: str = "",
        row_id_column: str = "_id",
        on_error: ErrorListener | None = None,
    ) -> None:
        self.store = Store()
        self._database = database
        self._name = name or database.path
        self._row_id_column = row_id_column
        self._on_error = on_error
        self._keys: dict[str, str] = {}
        self._left_out: set[str] = set()
        self._has_values = True
        self._persister: CrSqlitePersister | None = None
        self._looking: asyncio.Task[None] | None = None
        self._look_again = False
        self._listener_id: str | None = None

    async def open(self) -> None:
        """Load everything, and follow from now on.

        Raises:
            PersisterError: The database cannot be read.
        """
        await self._find_tables()
        self._persister = CrSqlitePersister(
            self.store, self._database, self._config(), on_error=self._note_error
        )
        try:
            await self._persister.start_auto_persisting()
        except BaseException:
            # It may be tried again: what still looks for tables must not give them to this persister.
            await self.close()
            raise
        self._listener_id = self.store.add_table_ids_listener(lambda *_: self.look_again())
        # Something may have come between the look and now.
        self.look_again()

    def look_again(self) -> None:
        """There may be new tables, in the database or in the store."""
        self._look_again = True
        if self._looking is None and self._persister is not None:
            self._looking = asyncio.get_running_loop().create_task(self._adopt_tables(self._persister))

    async def flush(self) -> None:
        """Return when all that was written to the store is durable in the database.

        Raises:
            PersisterError: It cannot be saved now; it is kept, and tried again.
        """
        while self._looking is not None:
            await asyncio.wait([self._looking])
        if self._persister is not None:
            await self._persister.flush()

    async def close(self) -> None:
        """Save what is not saved yet and let go of the database; the store stays as it is.

        Raises:
            PersisterError: The last save failed; everything is closed nevertheless.
        """
        if self._listener_id is not None:
            self.store.del_listener(self._listener_id)
            self._listener_id = None
        while self._looking is not None:
            await asyncio.wait([self._looking])
        persister, self._persister = self._persister, None
        if persister is not None:
            await persister.close()

    async def _adopt_tables(self, persister: CrSqlitePersister) -> None:
        try:
            while self._look_again:
                self._look_again = False
                await self._adopt_tables_once(persister)
        finally:
            self._looking = None

    async def _adopt_tables_once(self, persister: CrSqlitePersister) -> None:
        try:
            if await self._find_tables():
                await persister.extend(self._config())
        except PersisterError as error:
            # What has been found stays configured, and is loaded and saved at the next occasion.
            _log.error("%s: new tables are not followed yet: %s", self._name, error)
        except Exception:
            _log.exception("%s: new tables are not followed", self._name)

    async def _find_tables(self) -> bool:
        """Find out what there is to follow; False if that is not more than was known."""
        made_here = {
            table_id: self._row_id_column
            for table_id in self.store.get_table_ids()
            if table_id not in self._keys
        }
        wanted = {_VALUES_TABLE: VALUES_KEY, **made_here, **self._keys}
        found, reasons = await self._database.read(mappable_tables, wanted)
        self._has_values = found.pop(_VALUES_TABLE, None) == VALUES_KEY
        spellings = {folded(_VALUES_TABLE): _VALUES_TABLE}
        for name in found:
            if spellings.setdefault(folded(name), name) != name:
                reasons[name] = f"{name!r} and {spellings[folded(name)]!r} are the same table to SQLite."
        keys = {name: key for name, key in found.items() if name not in reasons}
        for name in reasons.keys() - self._left_out:
            _log.warning(
                "%s: table %r is not in both store and database: %s", self._name, name, reasons[name]
            )
        self._left_out = set(reasons)
        is_news, self._keys = keys != self._keys, keys
        return is_news

    def _config(self) -> TabularConfig:
        return TabularConfig(
            TablesConfig(
                load={name: TableLoad(name, key) for name, key in self._keys.items()},
                save={name: TableSave(name, key) for name, key in self._keys.items()},
            ),
            ValuesConfig(load=self._has_values, save=self._has_values),
        )

    def _note_error(self, error: Exception) -> None:
        if isinstance(error, SchemaError):
            # A table has become another one than it was when it was found.
            self.look_again()
        _log.error("%s: %s", self._name, error or repr(error))
        if self._on_error is not None:
            self._on_error(error)
