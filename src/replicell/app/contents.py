"""What an app keeps: from what a program says about its tables and values to schemas and a configuration."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from replicell.app.errors import AppOptionsError
from replicell.persisters.config import TableLoad, TableSave, TablesConfig, TabularConfig, ValuesConfig
from replicell.persisters.crsqlite.tables import TableMap
from replicell.persisters.subscription import Subscription
from replicell.persisters.tracking import Scope
from replicell.store.changes import IdChanges
from replicell.store.ids import Id
from replicell.store.models import schema_from
from replicell.store.schemas import compile_tables_schema, compile_values_schema
from replicell.store.store import Store

__all__ = ["Contents", "TablesLike", "ValuesLike", "describe"]

_log = logging.getLogger("replicell.app")
_T = TypeVar("_T")

TablesLike: TypeAlias = Mapping[str, Mapping[str, Any] | type | None] | Iterable[str]
"""Tables by id, each with TinyBase's schema of its cells, a model or None; or only their ids."""

ValuesLike: TypeAlias = bool | type | Mapping[str, Mapping[str, Any]] | Iterable[str]
"""All values or none; their schema or a model; or only their ids."""


@dataclass(frozen=True, slots=True)
class Contents:
    """What an app keeps.

    Args:
        tables_schema: For the store; None for tables of which only the names are known.
        values_schema: Likewise.
        config: For the persister.
    """

    tables_schema: Mapping[Id, Any] | None
    values_schema: Mapping[Id, Any] | None
    config: TabularConfig

    def prepare(self, store: Store) -> Store:
        """Set the schemas on a store."""
        if self.tables_schema is not None:
            store.set_tables_schema(self.tables_schema)
        if self.values_schema is not None:
            store.set_values_schema(self.values_schema)
        return store

    def scope(self) -> Scope:
        """Return what of the store this is about."""
        return TableMap(self.config).scope()

    def warn_of_others(self, store: Store, path: str) -> Subscription:
        """Log a warning for each table that comes into the store and is not kept, once."""
        others: set[Id] = set()

        def look(_: Store, get_changes: Callable[[], IdChanges]) -> None:
            for table_id in get_changes():
                if table_id not in self.config.tables.save and table_id not in others:
                    others.add(table_id)
                    _log.warning(
                        "table %r is in memory only: %s keeps the tables %s. Name it in tables= to keep it.",
                        table_id,
                        path,
                        ", ".join(map(repr, self.config.tables.save)) or "of nobody",
                    )

        listener_id = store.add_table_ids_listener(look)

        def cancel() -> None:
            store.del_listener(listener_id)

        return Subscription(cancel)


def describe(
    tables: TablesLike | None, values: ValuesLike, store: Store | None, row_id_column: str
) -> Contents:
    """Check what a program says about its tables and values.

    Args:
        tables: The tables; None for those in the schema of the given store.
        values: The values.
        store: The store, if the program brings one.
        row_id_column: The column of the row ids.

    Raises:
        AppOptionsError: it makes no sense, or a schema means nothing.
        ModelError: a model has a field that no schema can express.
        ConfigError: a name is none that a table or column can have.

    >>> contents = describe({"todo": {"text": {"type": "string"}}}, True, None, "_id")
    >>> contents.tables_schema, list(contents.config.tables.save)
    ({'todo': {'text': {'type': 'string'}}}, ['todo'])
    """
    table_ids, tables_schema = _tables(tables, store)
    value_ids, values_schema = _values(values)
    config = TabularConfig(
        TablesConfig(
            load={table_id: TableLoad(table_id, row_id_column) for table_id in table_ids},
            save={table_id: TableSave(table_id, row_id_column) for table_id in table_ids},
        ),
        ValuesConfig(load=value_ids, save=value_ids),
    )
    for table_id, cells in (tables_schema or {}).items():
        if any(cell_id.lower() == row_id_column.lower() for cell_id in cells):
            raise AppOptionsError(
                f"table {table_id!r} has a cell {row_id_column!r}, and row_id_column={row_id_column!r} is "
                "the column in which the database keeps the row ids: rename one of them."
            )
    contents = Contents(tables_schema, values_schema, config)
    contents.scope()
    return contents


def _tables(tables: TablesLike | None, store: Store | None) -> tuple[list[Id], Mapping[Id, Any] | None]:
    if tables is None:
        if store is None or not store.has_tables_schema():
            raise AppOptionsError(
                "tables is missing: give the ids of the tables to keep, as tables=['todo'], or their schema, "
                "as tables={'todo': {'text': {'type': 'string'}}}."
            )
        return list(json.loads(store.get_tables_schema_json())), None
    if not isinstance(tables, Mapping):
        return _ids(tables, "tables"), None
    table_ids = _ids(tables, "tables")
    schema = {
        table_id: _schema(entry, f"tables[{table_id!r}]")
        for table_id, entry in tables.items()
        if entry is not None
    }
    if not schema:
        return table_ids, None
    without = [table_id for table_id in table_ids if table_id not in schema]
    if without:
        raise AppOptionsError(
            f"tables has a schema for {', '.join(map(repr, schema))} and none for "
            f"{', '.join(map(repr, without))}, so that nothing could be written there: give all of them one, "
            "or none."
        )
    return table_ids, _meaningful(schema, compile_tables_schema, "tables")


def _values(values: ValuesLike) -> tuple[bool | tuple[str, ...], Mapping[Id, Any] | None]:
    if isinstance(values, bool):
        return values, None
    if isinstance(values, Mapping | type):
        schema = _schema(values, "values")
        if not schema:
            return False, None
        return tuple(schema), _meaningful(schema, compile_values_schema, "values")
    return tuple(_ids(values, "values")), None


def _schema(entry: object, name: str) -> Mapping[Id, Any]:
    if isinstance(entry, type):
        return schema_from(entry)
    if isinstance(entry, Mapping):
        return entry
    raise AppOptionsError(
        f"{name} must be a schema such as {{'text': {{'type': 'string'}}}}, a model or None, not {entry!r}."
    )


def _meaningful(schema: _T, compile_schema: Callable[[_T], tuple[object, list[str]]], name: str) -> _T:
    _, problems = compile_schema(schema)
    if problems:
        raise AppOptionsError(f"{name}: {'; '.join(problems)}.")
    return schema


def _ids(ids: object, name: str) -> list[Id]:
    if isinstance(ids, Iterable) and not isinstance(ids, str | bytes):
        listed = list(ids)
        if all(isinstance(one, str) for one in listed):
            return list(dict.fromkeys(listed))
    raise AppOptionsError(f"{name} must be a mapping or a list of ids, which are strings, not {ids!r}.")
