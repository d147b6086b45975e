"""The SQL with which persisters write and read the rows of a table."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from replicell.persisters.conditions import columns_used
from replicell.persisters.crsqlite.identifiers import folded, quote

__all__ = [
    "as_blobs",
    "delete_many_sql",
    "delete_sql",
    "insert_sql",
    "rows_sql",
    "text_of_blob",
    "upsert_sql",
]


@lru_cache(maxsize=1024)
def insert_sql(name: str, key: str, columns: tuple[str, ...], row_count: int = 1) -> str:
    """Return SQL that inserts rows: bindings (key, cells..., key, cells...).

    >>> insert_sql("todo", "id", ("text",), 2)
    'INSERT INTO "todo" ("id", "text") VALUES (?, ?), (?, ?)'
    """
    targets = ", ".join(map(quote, (key, *columns)))
    row = f"({', '.join('?' * (len(columns) + 1))})"
    return f"INSERT INTO {quote(name)} ({targets}) VALUES {', '.join([row] * row_count)}"


@lru_cache(maxsize=1024)
def upsert_sql(name: str, key: str, columns: tuple[str, ...], row_count: int = 1) -> str:
    """Return SQL that inserts rows, or writes the given cells of those that are there: bindings as above."""
    assignments = ", ".join(f"{quote(column)} = excluded.{quote(column)}" for column in columns)
    return (
        f"{insert_sql(name, key, columns, row_count)} ON CONFLICT ({quote(key)}) DO UPDATE SET {assignments}"
    )


@lru_cache(maxsize=256)
def delete_sql(name: str, key: str, source: str) -> str:
    """Return SQL that deletes the row with a key, if it is among those of a source: bindings (key).

    Args:
        name: The table.
        key: Its key column.
        source: What :func:`rows_sql` gave.
    """
    sql = f"DELETE FROM {quote(name)} WHERE {quote(key)} = ?1"
    if source == quote(name):
        return sql
    return f"{sql} AND EXISTS (SELECT 1 FROM {source} AS chosen WHERE chosen.{quote(key)} = ?1)"


@lru_cache(maxsize=256)
def delete_many_sql(name: str, key: str, row_count: int) -> str:
    """Return SQL that deletes the rows with some keys: bindings (key, key...)."""
    return f"DELETE FROM {quote(name)} WHERE {quote(key)} IN ({', '.join('?' * row_count)})"


def rows_sql(name: str, key: str, condition: str | None, columns: Iterable[str]) -> str:
    """Return SQL, to come after FROM, for the rows of a table that meet a condition.

    Args:
        name: The table.
        key: Its key column.
        condition: The condition, None for all rows.
        columns: The columns that there are besides the key; others that the condition needs are NULL.

    >>> rows_sql("todo", "id", "done = 0", ["text", "done"])
    '(SELECT * FROM "todo" WHERE (done = 0))'
    """
    rows = quote(name)
    if condition is None:
        return rows
    there = set(map(folded, columns))
    missing = [
        f", NULL AS {quote(column)}"
        for column in columns_used(condition, name, key)
        if folded(column) not in there
    ]
    if missing:
        rows = f"(SELECT *{''.join(missing)} FROM {rows}) AS {rows}"
    return f"(SELECT * FROM {rows} WHERE ({condition}))"


def as_blobs(columns: Iterable[str]) -> str:
    """Return a selection of columns, given as SQL, in pairs: the type, and the value with text as a blob.

    So text that is not UTF-8 can be read beside all other rows.
    """
    return ", ".join(
        f"typeof({name}), CASE typeof({name}) WHEN 'text' THEN CAST({name} AS BLOB) ELSE {name} END"
        for name in columns
    )


def text_of_blob(kind: str, value: object) -> object:
    """Return what a pair of :func:`as_blobs` stands for; text that is not UTF-8 stays a blob.

    >>> text_of_blob("text", b"Milk"), text_of_blob("text", b"\\xff"), text_of_blob("integer", 1)
    ('Milk', b'\\xff', 1)
    """
    if kind == "text" and isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    return value
