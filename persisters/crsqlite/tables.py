"""Which tables of the store stand in which tables of the database, and the schemas of these."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, cast

import apsw

from replicell.persisters.conditions import columns_used, condition_sql
from replicell.persisters.config import TableSave, TabularConfig, ValueIds
from replicell.persisters.crsqlite.affinity import Affinity, affinity_of
from replicell.persisters.crsqlite.identifiers import check_column_name, check_table_name, folded
from replicell.persisters.crsqlite.schema import TableSchema, read_schema, schema_version
from replicell.persisters.errors import ConfigError, IdentifierError, SchemaError
from replicell.persisters.sqlite.statements import rows_sql
from replicell.persisters.tracking import Ids, Scope
from replicell.store.ids import Id

__all__ = [
    "VALUES_KEY",
    "VALUES_ROW",
    "ColumnFacts",
    "MappedSchemas",
    "MappedTable",
    "Seen",
    "TableMap",
    "mappable_tables",
]

VALUES_KEY = "_id"
VALUES_ROW = "_"


@dataclass(frozen=True, slots=True)
class MappedTable:
    """A table of the database and what it is in the store.

    Args:
        name: The database's table.
        key: Its key column.
        table_id: The store's table; None if it holds the values.
        cell_ids: The cells to load or save; None for all.
        condition: SQL that is true for the rows in question, None for all rows.
    """

    name: str
    key: str
    table_id: Id | None
    cell_ids: Ids = None
    condition: str | None = None


class TableMap:
    """All tables that a configuration maps.

    Args:
        config: The configuration.
        check_table: Raises an `IdentifierError` if a table cannot have a name.
        check_column: Likewise for a key column.

    Raises:
        ConfigError: a name is none that the database can take, two names are the same to SQLite, or a
            condition is no SQL.
    """

    def __init__(
        self,
        config: TabularConfig,
        check_table: Callable[[str], None] = check_table_name,
        check_column: Callable[[str], None] = check_column_name,
    ) -> None:
        values = config.values
        self.loads = [
            MappedTable(
                name,
                load.row_id_column_name,
                load.table_id,
                _columns(load.columns),
                condition_sql(load.condition, name),
            )
            for name, load in config.tables.load.items()
        ]
        self.saves = [
            MappedTable(
                save.table_name,
                save.row_id_column_name,
                table_id,
                _columns(save.columns),
                condition_sql(_deletion_condition(config, save), save.table_name),
            )
            for table_id, save in config.tables.save.items()
        ]
        if values.load:
            self.loads.append(MappedTable(values.table_name, VALUES_KEY, None, _ids(values.load)))
        if values.save:
            self.saves.append(MappedTable(values.table_name, VALUES_KEY, None, _ids(values.save)))
        _check_names(config, check_table, check_column)
        self.keys = _keys([*self.loads, *self.saves])
        for table in (*self.loads, *self.saves):
            if table.condition is not None:
                columns_used(table.condition, table.name, table.key)

    def scope(self) -> Scope:
        """Return what of a store this is about."""
        places = {(table.name, table.table_id) for table in self.saves}
        return Scope(
            loaded_tables=_table_ids(self.loads),
            saved_tables=_table_ids(self.saves),
            shared_tables=_table_ids(table for table in self.loads if (table.name, table.table_id) in places),
            loaded_values=_value_ids(self.loads),
            saved_values=_value_ids(self.saves),
        )


class ColumnFacts(NamedTuple):
    """What stands between a cell and its column, in tables that somebody else has made.

    Args:
        affinities: The types of typed columns, as SQLite applies them to what is written.
        generated: Columns that SQLite computes, so that nobody can write them.
    """

    affinities: Mapping[str, Affinity]
    generated: frozenset[str]


class Seen(NamedTuple):
    """How far a database has been loaded: up to which version, when the tables looked how."""

    version: int
    schemas: Mapping[str, TableSchema]


class MappedSchemas:
    """The schemas of the mapped tables that exist, read anew when anybody has changed the database's schema.

    Used on the database's thread only.

    Args:
        keys: The key column that each table must have.
    """

    def __init__(self, keys: Mapping[str, str]) -> None:
        self._keys = keys
        self._schemas: dict[str, TableSchema] = {}
        self.facts: dict[str, ColumnFacts] = {}
        """What there is to know of the columns of each table that exists."""
        self.version: int | None = None
        """The database's schema version of which the schemas are."""

    def read(self, connection: apsw.Connection) -> Mapping[str, TableSchema]:
        """Return the schemas as of now.

        Raises:
            SchemaError: a table exists and is no replicated table, or another than was configured.
        """
        version = schema_version(connection)
        if version != self.version:
            existing = read_schema(connection)
            for name, key in self._keys.items():
                _check_table(connection, name, key, existing)
            self._schemas = {name: existing[name] for name in self._keys if name in existing}
            self.facts = {name: _column_facts(connection, name) for name in self._schemas}
            self.version = version
        return self._schemas

    def last_read(self, connection: apsw.Connection) -> Mapping[str, TableSchema]:
        """Return the schemas as they were last read; whoever relies on them must compare the version."""
        return self.read(connection) if self.version is None else self._schemas

    def schema(self, name: str) -> TableSchema | None:
        """Return the schema of a table as it was last read, None if it does not exist."""
        return self._schemas.get(name)

    def rows_of(self, table: MappedTable) -> str:
        """Return SQL, to come after FROM, for the rows of a table that exists which meet its condition."""
        columns = (*self._schemas[table.name].columns, *self.facts[table.name].generated)
        return rows_sql(table.name, table.key, table.condition, columns)

    def forget(self) -> None:
        """Read the schemas anew next time, because they have changed or what was read was rolled back."""
        self.version = None


def mappable_tables(
    connection: apsw.Connection, wanted: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Find the tables that a store can be kept in.

    Args:
        connection: The connection.
        wanted: Tables that may not be there yet, and the key columns that they would get.

    Returns:
        The key columns of the tables that can be mapped, by name, and why others cannot be, by name.
    """
    existing = read_schema(connection)
    keys: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for name in (*existing, *(name for name in wanted if name not in existing)):
        key = existing[name].key[0] if name in existing else wanted[name]
        try:
            check_table_name(name)
            _check_table(connection, name, key, existing)
        except (IdentifierError, SchemaError) as error:
            reasons[name] = str(error)
        else:
            keys[name] = key
    return keys, reasons


def _column_facts(connection: apsw.Connection, table: str) -> ColumnFacts:
    query = "SELECT name, type, hidden FROM pragma_table_xinfo(?) WHERE NOT pk"
    columns = cast("list[tuple[str, str | None, int]]", connection.execute(query, (table,)).fetchall())
    sql = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (table,)).get
    affinities = {name: affinity_of(kind, sql) for name, kind, hidden in columns if not hidden}
    return ColumnFacts(
        {name: affinity for name, affinity in affinities.items() if affinity is not Affinity.NONE},
        frozenset(name for name, _, hidden in columns if hidden),
    )


def _deletion_condition(config: TabularConfig, save: TableSave) -> str | None:
    load = config.tables.load.get(save.table_name)
    if save.condition is None and load is not None:
        return load.condition
    return save.condition


def _columns(columns: tuple[str, ...] | None) -> Ids:
    return None if columns is None else frozenset(columns)


def _ids(ids: ValueIds) -> Ids:
    return None if ids is True else frozenset(ids or ())


def _table_ids(tables: Iterable[MappedTable]) -> frozenset[Id]:
    return frozenset(table.table_id for table in tables if table.table_id is not None)


def _value_ids(tables: Iterable[MappedTable]) -> Ids:
    for table in tables:
        if table.table_id is None:
            return table.cell_ids
    return frozenset()


def _check_names(
    config: TabularConfig, check_table: Callable[[str], None], check_column: Callable[[str], None]
) -> None:
    for name, load in config.tables.load.items():
        _check_name(check_table, name, f"tables.load.{name}")
        _check_name(check_column, load.row_id_column_name, f"tables.load.{name}.row_id_column_name")
    for table_id, save in config.tables.save.items():
        _check_name(check_table, save.table_name, f"tables.save.{table_id}.table_name")
        _check_name(check_column, save.row_id_column_name, f"tables.save.{table_id}.row_id_column_name")
    if config.values.load or config.values.save:
        _check_name(check_table, config.values.table_name, "values.table_name")


def _check_name(check: Callable[[str], None], name: str, key: str) -> None:
    try:
        check(name)
    except IdentifierError as error:
        raise ConfigError(f"{key}: {error}") from error


def _keys(tables: Iterable[MappedTable]) -> dict[str, str]:
    keys: dict[str, str] = {}
    spellings: dict[str, str] = {}
    for table in tables:
        spelling = spellings.setdefault(folded(table.name), table.name)
        if spelling != table.name:
            raise ConfigError(
                f"config: {table.name!r} and {spelling!r} are the same table to SQLite; use one spelling."
            )
        keys[table.name] = table.key
    return keys


def _check_table(
    connection: apsw.Connection, name: str, key: str, existing: Mapping[str, TableSchema]
) -> None:
    schema = existing.get(name)
    if schema is None:
        _refuse_unreplicated(connection, name, existing)
        return
    if schema.key != (key,):
        columns = ", ".join(map(repr, schema.key))
        raise SchemaError(
            f"Table {name!r} has the key {columns}, but row_id_column_name is {key!r}; "
            "allowed: the table's only key column."
        )
    kind, collation, *_ = connection.column_metadata("main", name, key)
    if not any(word in (kind or "").upper() for word in ("CHAR", "CLOB", "TEXT")):
        raise SchemaError(
            f"The key column {key!r} of table {name!r} is of type {kind or 'none'}, but row ids are text; "
            "allowed: TEXT PRIMARY KEY NOT NULL."
        )
    if collation.upper() != "BINARY":
        raise SchemaError(
            f"The key column {key!r} of table {name!r} is compared by {collation}, so that two row ids could "
            "be the same row; allowed: BINARY, which is SQLite's default."
        )


def _refuse_unreplicated(connection: apsw.Connection, name: str, existing: Mapping[str, TableSchema]) -> None:
    row = connection.execute(
        "SELECT type, name FROM sqlite_schema WHERE type IN ('table', 'view') AND name = ? COLLATE NOCASE",
        (name,),
    ).fetchone()
    if row is None:
        return
    kind, spelling = row
    if spelling in existing:
        raise SchemaError(f"Table {name!r} is spelled {spelling!r} in the database; use its spelling.")
    raise SchemaError(
        f"{spelling!r} is an ordinary {kind}, which cr-sqlite does not replicate: name another table, or "
        f"make it a replicated one with CrSqliteDatabase.adopt_table({spelling!r})."
    )
