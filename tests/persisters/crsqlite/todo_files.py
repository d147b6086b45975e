"""A store and a database of todos, for the tests of the persister."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from replicell.persisters import CrSqliteDatabase, CrSqlitePersister, create_crsqlite_persister
from replicell.store import Store, create_store

CONFIG: dict[str, Any] = {
    "mode": "tabular",
    "tables": {
        "load": {"todo": {"tableId": "todo", "rowIdColumnName": "id"}},
        "save": {"todo": {"tableName": "todo", "rowIdColumnName": "id"}},
    },
    "values": {"load": True, "save": True, "tableName": "settings"},
}


@asynccontextmanager
async def persisting(
    file: Path, store: Store | None = None, config: Any = CONFIG, **options: Any
) -> AsyncIterator[CrSqlitePersister]:
    """A store that follows a file, which follows the store."""
    async with CrSqliteDatabase(file, **options) as database:
        persister = create_crsqlite_persister(store or create_store(), database, config)
        yield await persister.start_auto_persisting()


async def rows(database: CrSqliteDatabase, table: str = "todo") -> list[tuple[Any, ...]]:
    """All rows of a table, in the order of their ids."""
    return await database.execute(f"SELECT * FROM {table} ORDER BY 1")
