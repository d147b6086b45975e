"""Persisters: they keep a store and a medium the same, both ways, and lose nothing.

A `CrSqliteDatabase` is a database file in which every replica may write; a `CrSqlitePersister` keeps tables
of a store and of such a database the same.
"""

from __future__ import annotations

from replicell.persisters.config import TableLoad, TableSave, TablesConfig, TabularConfig, ValuesConfig
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.migrations import Migration
from replicell.persisters.crsqlite.persister import CrSqlitePersister, create_crsqlite_persister
from replicell.persisters.errors import (
    ConfigError,
    DatabaseBusyError,
    DatabaseClosedError,
    DatabaseDamagedError,
    DatabaseError,
    DatabaseFullError,
    DatabaseInputOutputError,
    DatabaseReadOnlyError,
    DatabaseTooNewError,
    IdentifierError,
    MigrationError,
    PersisterClosedError,
    PersisterError,
    SchemaError,
    UnreadableCellError,
    UnstorableCellError,
)
from replicell.persisters.persister import Persister
from replicell.persisters.sqlite.worker import DatabaseChange
from replicell.persisters.status import Progress, Status
from replicell.persisters.subscription import Subscription

__all__ = [
    "ConfigError",
    "CrSqliteDatabase",
    "CrSqlitePersister",
    "DatabaseBusyError",
    "DatabaseChange",
    "DatabaseClosedError",
    "DatabaseDamagedError",
    "DatabaseError",
    "DatabaseFullError",
    "DatabaseInputOutputError",
    "DatabaseReadOnlyError",
    "DatabaseTooNewError",
    "IdentifierError",
    "Migration",
    "MigrationError",
    "Persister",
    "PersisterClosedError",
    "PersisterError",
    "Progress",
    "SchemaError",
    "Status",
    "Subscription",
    "TableLoad",
    "TableSave",
    "TablesConfig",
    "TabularConfig",
    "UnreadableCellError",
    "UnstorableCellError",
    "ValuesConfig",
    "create_crsqlite_persister",
]
