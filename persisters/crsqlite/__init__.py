"""cr-sqlite: a database file in which every replica may write, and what keeps it and a store the same."""

from __future__ import annotations

from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.persister import CrSqlitePersister, create_crsqlite_persister
from replicell.persisters.crsqlite.schema import TableSchema
from replicell.persisters.sqlite.worker import DatabaseChange

__all__ = [
    "CrSqliteDatabase",
    "CrSqlitePersister",
    "DatabaseChange",
    "TableSchema",
    "create_crsqlite_persister",
]
