"""The options of `replicell.open`, and the parts that are made of them."""

from __future__ import annotations

import os
import ssl as ssl_module
from collections.abc import Sequence
from dataclasses import dataclass

from replicell.app.contents import Contents, TablesLike, ValuesLike, describe
from replicell.app.errors import AppOptionsError
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.migrations import Migrations
from replicell.store.store import Store
from replicell.sync.client import SyncClient

__all__ = ["Options"]


@dataclass(frozen=True, slots=True)
class Options:
    """What `replicell.open` was given; it says what each means."""

    path: str | os.PathLike[str]
    tables: TablesLike | None
    values: ValuesLike
    server: str | Sequence[str] | None
    token: str | None
    strict: bool
    row_id_column: str
    migrations: Migrations
    save_interval: float
    farewell: float
    ssl: ssl_module.SSLContext | None

    def check(self, store: Store | None) -> Contents:
        """Check everything that can be checked before anything is opened, and return what is kept.

        Raises:
            AppOptionsError: an option makes no sense.
            SyncError: the address is not one of a room.
            ValueError: the path is empty.
        """
        if store is not None and self.strict:
            raise AppOptionsError(
                "strict belongs to the store, and one is given: make it Store(strict=True)."
            )
        if self.server is None and (self.token is not None or self.ssl is not None):
            raise AppOptionsError("token and ssl are for a server, and none is given: add server='ws://...'.")
        for name, seconds in (("farewell", self.farewell), ("save_interval", self.save_interval)):
            if not 0 <= seconds < float("inf"):
                raise AppOptionsError(f"{name} is a number of seconds, 0 or more, not {seconds}.")
        self.make_parts()
        return describe(self.tables, self.values, store, self.row_id_column)

    def make_store(self, contents: Contents, store: Store | None) -> Store:
        """Return the given store or a new one, with the schemas of what is kept."""
        return contents.prepare(Store(strict=self.strict) if store is None else store)

    def make_parts(self) -> tuple[CrSqliteDatabase, SyncClient | None]:
        """Return the database and the client, neither of them open."""
        database = CrSqliteDatabase(self.path, migrations=self.migrations)
        if self.server is None:
            return database, None
        return database, SyncClient(database, self.server, token=self.token, ssl=self.ssl)
