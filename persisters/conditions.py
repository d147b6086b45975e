"""Conditions in SQL that choose the rows of a table to load."""

from __future__ import annotations

import re
from functools import cache

import apsw

from replicell.persisters.config import EVERY_ROW
from replicell.persisters.errors import ConfigError

__all__ = ["columns_used", "condition_sql"]

_TABLE_NAME = "$tableName"
_MISSING_COLUMN = re.compile(r'no such column: "?(?:[^".]*\.)?([^"]+)"?(?: - should this be.*)?')


def condition_sql(condition: str | None, table: str) -> str | None:
    """Return a condition as SQL, None if it is true for every row.

    >>> condition_sql("$tableName.done = 0", "todo")
    '"todo".done = 0'
    """
    if condition is None or condition.strip().lower() in (EVERY_ROW, "1", ""):
        return None
    return condition.replace(_TABLE_NAME, _quoted(table))


@cache
def columns_used(condition: str, table: str, key: str) -> tuple[str, ...]:
    """Return the columns, other than the key, that a condition needs the table to have.

    SQLite is asked, with an empty table, what is missing until nothing is.

    Raises:
        ConfigError: the condition is no SQL.

    >>> columns_used("done = 0 AND rank > 3", "todo", "id")
    ('done', 'rank')
    """
    columns: list[str] = []
    connection = apsw.Connection(":memory:")
    # Or a quoted name that is no column would be taken for a string.
    connection.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)
    try:
        connection.execute(f"CREATE TABLE {_quoted(table)} ({_quoted(key)})")
        while True:
            try:
                connection.execute(f"SELECT 1 FROM {_quoted(table)} WHERE ({condition})").fetchall()
                return tuple(columns)
            except apsw.SQLError as error:
                message = str(error)
            found = _MISSING_COLUMN.fullmatch(message)
            if found is None or found[1] in columns:
                if message.startswith("no such "):
                    # Functions and tables of the real database, about which nothing can be said here.
                    return tuple(columns)
                raise ConfigError(f"The condition {condition!r} of table {table!r}: {message}.")
            columns.append(found[1])
            connection.execute(f"ALTER TABLE {_quoted(table)} ADD COLUMN {_quoted(found[1])}")
    finally:
        connection.close()


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
