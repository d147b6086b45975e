"""Plain SQLite: files that any program may read and write, and what keeps them and a store the same."""

from __future__ import annotations

from replicell.persisters.sqlite.database import SqliteDatabase

__all__ = ["SqliteDatabase"]
