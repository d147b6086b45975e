"""Dropping columns and tables of a plain SQLite database that are empty, in the store and there."""

from __future__ import annotations

from collections.abc import Iterable

from replicell.persisters.crsqlite.cleaning import Cleaning
from replicell.persisters.crsqlite.identifiers import quote
from replicell.persisters.sqlite.scripts import Script, Statement

__all__ = ["clean_script"]

_COLUMNS = """
    SELECT columns.name, columns.pk OR columns.hidden OR columns.name IN (
        SELECT parts.name FROM pragma_index_list(things.name) AS indexes
        JOIN pragma_index_xinfo(indexes.name) AS parts WHERE parts.name IS NOT NULL
    )
    FROM sqlite_master AS things JOIN pragma_table_xinfo(things.name) AS columns
    WHERE things.type = 'table' AND things.name = ?
"""


def clean_script(cleanings: Iterable[Cleaning]) -> Script[None]:
    """Drop what is empty. Columns of the key or of an index stay, as others rely on them.

    Args:
        cleanings: What may be dropped.
    """
    for cleaning in cleanings:
        name = quote(cleaning.name)
        columns = yield Statement(_COLUMNS, (cleaning.name,))
        if not columns:
            continue
        rows = yield Statement(f"SELECT 1 FROM {name} LIMIT 1")
        if cleaning.drop_table and not cleaning.is_used and not rows:
            yield Statement(f"DROP TABLE {name}")
        elif cleaning.drop_columns:
            for column, is_needed in columns:
                if not is_needed and column not in cleaning.used:
                    yield from _drop_if_empty(name, quote(column))


def _drop_if_empty(table: str, column: str) -> Script[None]:
    filled = yield Statement(f"SELECT 1 FROM {table} WHERE {column} IS NOT NULL LIMIT 1")
    if not filled:
        yield Statement(f"ALTER TABLE {table} DROP COLUMN {column}")
