"""Persisters: they keep a store and a medium the same, both ways, and lose nothing.

A `CrSqliteDatabase` is a database file in which every replica may write; a `CrSqlitePersister` keeps tables
of a store and of such a database the same. A `SqlitePersister` does so with a plain `SqliteDatabase`, a
`CustomSqlitePersister` with a connection that the program has opened, a `JsonFilePersister` with a text file.
The `RemotePersister` of `replicell.persisters.remote` does so with a document at a web address.
"""

from __future__ import annotations

from replicell.persisters.config import TableLoad, TableSave, TablesConfig, TabularConfig, ValuesConfig
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.json_mode import (
    CrSqliteJsonPersister,
    create_crsqlite_json_persister,
)
from replicell.persisters.crsqlite.migrations import Migration
from replicell.persisters.crsqlite.persister import CrSqlitePersister, create_crsqlite_persister
from replicell.persisters.custom import CustomPersister, create_custom_persister
from replicell.persisters.errors import (
    ConfigError,
    ContentFormatError,
    DatabaseBusyError,
    DatabaseClosedError,
    DatabaseDamagedError,
    DatabaseError,
    DatabaseFullError,
    DatabaseInputOutputError,
    DatabaseReadOnlyError,
    DatabaseTooNewError,
    FileAccessError,
    IdentifierError,
    MigrationError,
    MissingPackageError,
    PersisterClosedError,
    PersisterError,
    RemoteDocumentError,
    SchemaError,
    UnreadableCellError,
    UnstorableCellError,
    WrongThreadError,
)
from replicell.persisters.json_config import JsonConfig
from replicell.persisters.json_file import JsonFilePersister, create_json_file_persister
from replicell.persisters.persister import Persister
from replicell.persisters.sqlite.custom import CustomSqlitePersister, create_custom_sqlite_persister
from replicell.persisters.sqlite.database import SqliteDatabase
from replicell.persisters.sqlite.persister import SqlitePersister, create_sqlite_persister
from replicell.persisters.sqlite.worker import DatabaseChange
from replicell.persisters.status import Progress, Status
from replicell.persisters.subscription import Subscription

__all__ = [
    "ConfigError",
    "ContentFormatError",
    "CrSqliteDatabase",
    "CrSqliteJsonPersister",
    "CrSqlitePersister",
    "CustomPersister",
    "CustomSqlitePersister",
    "DatabaseBusyError",
    "DatabaseChange",
    "DatabaseClosedError",
    "DatabaseDamagedError",
    "DatabaseError",
    "DatabaseFullError",
    "DatabaseInputOutputError",
    "DatabaseReadOnlyError",
    "DatabaseTooNewError",
    "FileAccessError",
    "IdentifierError",
    "JsonConfig",
    "JsonFilePersister",
    "Migration",
    "MigrationError",
    "MissingPackageError",
    "Persister",
    "PersisterClosedError",
    "PersisterError",
    "Progress",
    "RemoteDocumentError",
    "SchemaError",
    "SqliteDatabase",
    "SqlitePersister",
    "Status",
    "Subscription",
    "TableLoad",
    "TableSave",
    "TablesConfig",
    "TabularConfig",
    "UnreadableCellError",
    "UnstorableCellError",
    "ValuesConfig",
    "WrongThreadError",
    "create_crsqlite_json_persister",
    "create_crsqlite_persister",
    "create_custom_persister",
    "create_custom_sqlite_persister",
    "create_json_file_persister",
    "create_sqlite_persister",
]
