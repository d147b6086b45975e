"""The tables of an SQLite database that a persister reads and writes, and whether it can."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from replicell.persisters.crsqlite.affinity import Affinity, affinity_of
from replicell.persisters.crsqlite.identifiers import folded
from replicell.persisters.crsqlite.schema import TableSchema
from replicell.persisters.crsqlite.tables import ColumnFacts, MappedTable
from replicell.persisters.errors import SchemaError
from replicell.persisters.sqlite.scripts import Script, Statement
from replicell.persisters.sqlite.statements import rows_sql

__all__ = ["PlainTable", "PlainTables", "key_text"]

_COLUMNS = """
    SELECT things.name, things.type, columns.name, columns.pk, upper(columns.type), columns.hidden,
        things.sql
    FROM sqlite_master AS things JOIN pragma_table_xinfo(things.name) AS columns
    WHERE things.type IN ('table', 'view') ORDER BY things.name, columns.cid
"""

_UNIQUE_COLUMNS = """
    SELECT max(parts.name), max(parts.coll)
    FROM pragma_index_list(?) AS indexes JOIN pragma_index_xinfo(indexes.name) AS parts
    WHERE indexes."unique" AND NOT indexes.partial AND parts.key
    GROUP BY indexes.name HAVING count(*) = 1
"""

_TRIGGERS = "SELECT count(*) FROM sqlite_master WHERE type = 'trigger'"


class _Column(NamedTuple):
    kind: str
    """What it is a column of, a table or a view."""
    name: str
    key_position: int
    declared_type: str
    is_hidden: int
    table_sql: str | None


@dataclass(frozen=True, slots=True)
class PlainTable:
    """One table or view.

    Args:
        schema: Its names.
        facts: What else there is to know of its columns.
        has_integer_key: Whether the key column turns digits into integers.
        key_position: Where the key stands among the columns, None if that cannot be said of written rows.
    """

    schema: TableSchema
    facts: ColumnFacts
    has_integer_key: bool
    key_position: int | None

    def rows_of(self, mapped: MappedTable) -> str:
        """Return SQL, to come after FROM, for the rows that meet a condition."""
        columns = (*self.schema.columns, *self.facts.generated)
        return rows_sql(mapped.name, mapped.key, mapped.condition, columns)


@dataclass(frozen=True, slots=True)
class PlainTables:
    """The mapped tables that exist, by name.

    Args:
        tables: The tables.
        have_triggers: Whether writes may cause others.
    """

    tables: Mapping[str, PlainTable]
    have_triggers: bool

    @property
    def schemas(self) -> dict[str, TableSchema]:
        """The schemas by name."""
        return {name: table.schema for name, table in self.tables.items()}

    @property
    def facts(self) -> dict[str, ColumnFacts]:
        """What else there is to know of their columns, by name."""
        return {name: table.facts for name, table in self.tables.items()}

    @classmethod
    def read(cls, keys: Mapping[str, str], saved: Iterable[str]) -> Script[PlainTables]:
        """Read the mapped tables.

        Args:
            keys: The key column that each must have.
            saved: The tables that are written, which views cannot be.

        Raises:
            SchemaError: one of them cannot be used as it is configured.
        """
        saved = frozenset(saved)
        things: dict[str, list[_Column]] = {}
        for thing, *column in (yield Statement(_COLUMNS)):
            things.setdefault(thing, []).append(_Column(*column))
        spellings = {folded(thing): thing for thing in things}
        tables = {}
        for name, key in keys.items():
            spelling = spellings.get(folded(name))
            if spelling is None:
                continue
            if spelling != name:
                raise SchemaError(
                    f"Table {name!r} is spelled {spelling!r} in the database; use its spelling."
                )
            if name + "__crsql_clock" in things:
                raise SchemaError(
                    f"Table {name!r} is replicated by cr-sqlite: open the file with CrSqliteDatabase and "
                    "use CrSqlitePersister."
                )
            tables[name] = yield from _checked(name, key, things[name], name in saved)
        triggers = yield Statement(_TRIGGERS)
        return cls(tables, bool(triggers[0][0]))


def key_text(key: object, has_integer_key: bool) -> str | None:
    """Return the row id that a key stands for, None if it is none."""
    if isinstance(key, str):
        return key
    if has_integer_key and isinstance(key, int):
        return str(key)
    return None


def _checked(name: str, key: str, columns: list[_Column], is_saved: bool) -> Script[PlainTable]:
    names = [column.name for column in columns]
    if key not in names:
        raise SchemaError(
            f"Table {name!r} has no column {key!r}; allowed as row_id_column_name: {', '.join(names)}."
        )
    position = names.index(key)
    declared_type = columns[position].declared_type
    is_view = columns[position].kind == "view"
    has_integer_key = "INT" in declared_type
    if is_view and is_saved:
        raise SchemaError(f"{name!r} is a view, which can be loaded but not saved; save to another table.")
    if not is_view:
        is_row_number = declared_type == "INTEGER" and [c.name for c in columns if c.key_position] == [key]
        if not is_row_number:
            unique = yield Statement(_UNIQUE_COLUMNS, (name,))
            _refuse_key(name, key, declared_type, dict(unique))
    kinds = {c.name: affinity_of(c.declared_type, c.table_sql) for c in columns if not c.is_hidden}
    facts = ColumnFacts(
        {column: affinity for column, affinity in kinds.items() if affinity is not Affinity.NONE},
        frozenset(c.name for c in columns if c.is_hidden),
    )
    return PlainTable(
        TableSchema(name, (key,), tuple(column for column in kinds if column != key)),
        facts,
        has_integer_key,
        None if facts.generated or is_view else position,
    )


def _refuse_key(name: str, key: str, declared_type: str, collations: Mapping[str, str]) -> None:
    if key not in collations:
        raise SchemaError(
            f"Column {key!r} of table {name!r} may hold the same key twice: name its primary key as "
            f'row_id_column_name, or CREATE UNIQUE INDEX ... ON "{name}" ("{key}").'
        )
    if collations[key].upper() != "BINARY":
        raise SchemaError(
            f"The key column {key!r} of table {name!r} is compared by {collations[key]}, so that two row ids "
            "could be the same row; allowed: BINARY, which is SQLite's default."
        )
    is_text = not declared_type or any(word in declared_type for word in ("CHAR", "CLOB", "TEXT", "BLOB"))
    if not is_text and "INT" not in declared_type:
        raise SchemaError(
            f"The key column {key!r} of table {name!r} is of type {declared_type}, in which SQLite changes "
            "row ids; allowed: TEXT, INTEGER or no type."
        )
