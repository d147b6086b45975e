"""A whole store as one JSON text in a cr-sqlite database."""

from __future__ import annotations

from typing import Any

import apsw

from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.schema import TableSchema, create_table, read_schema
from replicell.persisters.errors import ConfigError
from replicell.persisters.json_config import JsonConfig, parse_database_config
from replicell.persisters.persister import ErrorListener
from replicell.persisters.sqlite.persister import SqlitePersister
from replicell.store.store import Store

__all__ = ["CrSqliteJsonPersister", "create_crsqlite_json_persister"]


class CrSqliteJsonPersister(SqlitePersister):
    """Keeps a whole store and one cell of a replicated table the same.

    To cr-sqlite the text is one cell. Programs that share a file meet cell by cell of the store, as with any
    persister; but of what two replicas have written while they were apart, one text wins as a whole, and the
    other's edits are gone. Where replicas edit at the same time, use the tabular mode.

    Args:
        store: The store.
        database: The database, open when the persister is used. Closing it closes the persister first.
        config: As for :func:`create_crsqlite_json_persister`.
        options: The keyword arguments of `Persister`.

    Raises:
        ConfigError: the configuration is not of JSON mode.
    """

    def __init__(
        self, store: Store, database: CrSqliteDatabase, config: object = None, **options: Any
    ) -> None:
        parsed = parse_database_config(config)
        if not isinstance(parsed, JsonConfig):
            raise ConfigError("config is of mode tabular: use create_crsqlite_persister for that.")
        super().__init__(store, database, parsed, **options)
        self._table = TableSchema(parsed.table_name, (parsed.id_column_name,), (parsed.column_name,))

    def _prepare(self, connection: apsw.Connection) -> None:
        if self._table.name not in read_schema(connection):
            create_table(connection, self._table)


def create_crsqlite_json_persister(
    store: Store,
    database: CrSqliteDatabase,
    config: object = None,
    *,
    on_ignored_error: ErrorListener | None = None,
    **options: Any,
) -> CrSqliteJsonPersister:
    """Create a persister that keeps a whole store as one text in a cr-sqlite database.

    Mirrors TinyBase's `createCrSqliteWasmPersister` in JSON mode.

    Args:
        store: The store.
        database: The database.
        config: None for the table ``tinybase``, the name of another, a mapping with ``"mode": "json"``, or a
            `JsonConfig`.
        on_ignored_error: TinyBase's name for ``on_error``.
        options: The keyword arguments of `Persister`.

    Raises:
        ConfigError: the configuration cannot be followed.
    """
    options.setdefault("on_error", on_ignored_error)
    return CrSqliteJsonPersister(store, database, config, **options)
