"""What a database's replicated tables look like, as needed to read their changes and to judge incoming ones.

The schema is read anew only when SQLite's schema cookie has moved, so asking for the catalogue costs one
pragma.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import apsw

from replicell.persisters.crsqlite.identifiers import quote

__all__ = ["Affinity", "Catalog", "CatalogTable"]

Affinity: TypeAlias = Literal["INTEGER", "TEXT", "BLOB", "REAL", "NUMERIC"]

_CLOCK_SUFFIX = "__crsql_clock"
_FLOOR = ""
# A limit bound as it is makes SQLite plan the statement anew each time, which takes longer than to read.
_LIMIT = "LIMIT ? + 0"
_ORDINAL = "(SELECT ordinal FROM crsql_site_id WHERE site_id = ?)"


@dataclass(frozen=True, slots=True)
class CatalogTable:
    """One replicated table and the SQL that reads its changes.

    Args:
        name: The table's name, exact case.
        key: Affinity of each key column by name, in PRIMARY KEY order.
        columns: Affinity of each other column by name.
        plain_columns: Those of them that keep every value as it is.
        defaults: The SQL of each column's default value, for those that have one.
        stale_cells_sql: A row's internal number and the columns left over from an earlier life: bindings (key
            values...).
        versions_sql: db_versions above a version up to another, without an author: bindings (since, until,
            author's site id, limit).
        row_sql: All changes of one row: bindings (key values...).
        changes_sql: The changes after a clock position: bindings (version, key, column, until, author's site
            id, limit).
        local_version_sql: A cell's col_version: bindings (key values..., column).
    """

    name: str
    key: Mapping[str, Affinity]
    columns: Mapping[str, Affinity]
    plain_columns: frozenset[str]
    defaults: Mapping[str, str]
    stale_cells_sql: str
    versions_sql: str
    row_sql: str
    changes_sql: str
    local_version_sql: str


class Catalog:
    """The replicated tables of one connection, kept up to date with its schema.

    It belongs to the thread that uses the connection.
    """

    def __init__(self) -> None:
        self._cookie: object = None
        self._tables: dict[str, CatalogTable] = {}
        self._versions_sql = ""

    def tables(self, conn: apsw.Connection) -> Mapping[str, CatalogTable]:
        """Return the replicated tables by name, as they are in the connection's present transaction."""
        cookie = conn.execute("PRAGMA schema_version").get
        if cookie != self._cookie:
            self._tables = {name: _describe(conn, name) for name in _replicated_names(conn)}
            self._versions_sql = _latest_sql(self._tables)
            self._cookie = cookie
        return self._tables

    def cookie(self, conn: apsw.Connection) -> object:
        """Return a value that changes with the schema, and only with it."""
        self.tables(conn)
        return self._cookie

    @property
    def last_tables(self) -> Mapping[str, CatalogTable]:
        """The replicated tables as they were last looked at: again in the same transaction, they are the
        same."""
        return self._tables

    @property
    def last_cookie(self) -> object:
        """What `cookie` would say of them."""
        return self._cookie

    def versions(self, conn: apsw.Connection) -> tuple[int, dict[str, int]]:
        """Return the newest db_version on disk, and that of each replicated table that has any, by name in
        order."""
        self.tables(conn)
        by_table = {
            str(name): int(version)
            for name, version in conn.execute(self._versions_sql)
            if version is not None
        }
        latest = max(by_table.values(), default=0)
        by_table.pop(_FLOOR, None)
        return latest, by_table

    def latest_version(self, conn: apsw.Connection) -> int:
        """Return the newest db_version on disk, 0 for a database without changes."""
        self.tables(conn)
        return self.version_of_last_tables(conn)

    def version_of_last_tables(self, conn: apsw.Connection) -> int:
        """Return what `latest_version` would, in a transaction in which the tables were looked at already."""
        return max((int(version or 0) for _, version in conn.execute(self._versions_sql)), default=0)


def _replicated_names(conn: apsw.Connection) -> list[str]:
    rows = conn.execute(
        "SELECT substr(clock.name, 1, length(clock.name) - ?) FROM sqlite_master AS clock"
        " WHERE clock.type = 'table' AND substr(clock.name, -?) = ? ORDER BY 1",
        (len(_CLOCK_SUFFIX), len(_CLOCK_SUFFIX), _CLOCK_SUFFIX),
    )
    return [str(name) for (name,) in rows]


def _describe(conn: apsw.Connection, table: str) -> CatalogTable:
    key: list[tuple[int, str, Affinity]] = []
    columns: dict[str, Affinity] = {}
    defaults: dict[str, str] = {}
    info = conn.execute("SELECT name, type, pk, dflt_value FROM pragma_table_info(?) ORDER BY cid", (table,))
    for name, declared_type, key_position, default in info:
        affinity = _affinity(str(declared_type))
        if key_position:
            key.append((int(key_position), str(name), affinity))
        else:
            columns[str(name)] = affinity
            if default is not None:
                defaults[str(name)] = str(default)
    ordered_key: dict[str, Affinity] = {name: affinity for _, name, affinity in sorted(key)}
    return CatalogTable(
        name=table,
        key=ordered_key,
        columns=columns,
        plain_columns=frozenset(name for name, affinity in columns.items() if affinity == "BLOB"),
        defaults=defaults,
        stale_cells_sql=_stale_cells_sql(table, list(ordered_key)),
        versions_sql=_versions_sql(table),
        row_sql=_row_sql(table, list(ordered_key), list(columns)),
        changes_sql=_changes_sql(table, list(ordered_key), list(columns)),
        local_version_sql=_local_version_sql(table, list(ordered_key)),
    )


def _affinity(declared_type: str) -> Affinity:
    """Apply SQLite's rules for the affinity of a declared type, in their order."""
    declared = declared_type.upper()
    if "INT" in declared:
        return "INTEGER"
    if any(word in declared for word in ("CHAR", "CLOB", "TEXT")):
        return "TEXT"
    if not declared or "BLOB" in declared:
        return "BLOB"
    if any(word in declared for word in ("REAL", "FLOA", "DOUB")):
        return "REAL"
    return "NUMERIC"


def _versions_sql(table: str) -> str:
    clock = quote(table + _CLOCK_SUFFIX)
    return (
        f"SELECT db_version FROM {clock}"
        f" WHERE db_version > ? AND db_version <= ? AND site_id IS NOT {_ORDINAL}"
        f" ORDER BY db_version {_LIMIT}"
    )


def _changes_sql(table: str, key: list[str], columns: list[str]) -> str:
    return (
        _select_sql(table, key, columns) + " WHERE (clock.db_version, clock.key, clock.col_name) > (?, ?, ?)"
        f" AND clock.db_version <= ? AND clock.site_id IS NOT {_ORDINAL}"
        f" ORDER BY clock.db_version, clock.key, clock.col_name {_LIMIT}"
    )


def _row_sql(table: str, key: list[str], columns: list[str]) -> str:
    where = f" WHERE clock.key = {_row_number_sql(table, key)} ORDER BY clock.col_name"
    return _select_sql(table, key, columns) + where


def _select_sql(table: str, key: list[str], columns: list[str]) -> str:
    clock, keys = quote(table + _CLOCK_SUFFIX), quote(table + "__crsql_pks")
    packed = ", ".join(f"pks.{quote(name)}" for name in key)
    same_row = " AND ".join(f"base.{quote(name)} = pks.{quote(name)}" for name in key)
    values = " ".join(f"WHEN {_literal(name)} THEN base.{quote(name)}" for name in columns)
    value = f"CASE clock.col_name {values} END" if values else "NULL"
    return (
        f"SELECT crsql_pack_columns({packed}), clock.col_name, {value}, clock.col_version,"
        " coalesce(life.col_version, 1), clock.seq, clock.db_version, clock.key"
        f" FROM {clock} AS clock"
        f" JOIN {keys} AS pks ON pks.__crsql_key = clock.key"
        f" LEFT JOIN {quote(table)} AS base ON {same_row}"
        f" LEFT JOIN {clock} AS life ON life.key = clock.key AND life.col_name = '-1'"
    )


def _local_version_sql(table: str, key: list[str]) -> str:
    clock = quote(table + _CLOCK_SUFFIX)
    return f"SELECT col_version FROM {clock} WHERE key = {_row_number_sql(table, key)} AND col_name = ?"


def _stale_cells_sql(table: str, key: list[str]) -> str:
    return (
        f"SELECT key, col_name FROM {quote(table + _CLOCK_SUFFIX)}"
        f" WHERE key = {_row_number_sql(table, key)} AND col_version = 0 AND col_name IS NOT '-1'"
    )


def _row_number_sql(table: str, key: list[str]) -> str:
    same_key = " AND ".join(f"{quote(name)} IS ?" for name in key)
    return f"(SELECT __crsql_key FROM {quote(table + '__crsql_pks')} WHERE {same_key})"


def _latest_sql(tables: Iterable[str]) -> str:
    # Dropping a table drops its clock rows, so cr-sqlite keeps the version it had before as a floor.
    floor = (
        f"SELECT {_literal(_FLOOR)}, CAST(value AS INTEGER) FROM crsql_master"
        " WHERE key = 'pre_compact_dbversion'"
    )
    clocks = (
        f"SELECT {_literal(name)}, max(db_version) FROM {quote(name + _CLOCK_SUFFIX)}" for name in tables
    )
    return " UNION ALL ".join([*clocks, floor])


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
