"""Rows of a database out to JSON and CSV, and in from there."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

import apsw

from replicell.persisters.counting import Counter, Report
from replicell.persisters.crsqlite.connection import (
    close_connection,
    open_connection,
    transaction,
    translated,
)
from replicell.persisters.crsqlite.identifiers import quote
from replicell.persisters.crsqlite.schema import TableSchema, create_table, read_schema
from replicell.persisters.crsqlite.tools.files import UserTable, is_replica, reading, user_tables
from replicell.persisters.crsqlite.tools.text_forms import (
    field_of,
    field_of_key,
    json_of,
    key_of_field,
    value_of_field,
    value_of_json,
)
from replicell.persisters.errors import ContentFormatError, SchemaError
from replicell.store.cells import parse_json

__all__ = ["TableRows", "dump_csv", "dump_json", "load_rows", "read_csv", "read_json"]

_LARGEST_FIELD = 2**31 - 1


class TableRows:
    """Rows to be written to one table.

    Args:
        table: The table.
        key: The columns of its primary key.
        rows: The rows: what to write by column, None for NULL.
    """

    def __init__(self, table: str, key: tuple[str, ...], rows: Sequence[Mapping[str, Any]]) -> None:
        self.table = table
        self.key = key
        self.rows = rows


def dump_json(
    path: str | os.PathLike[str], tables: Iterable[str], out: TextIO, report: Report | None = None
) -> int:
    """Write tables as one JSON object: by table, the columns of its key and its rows.

    Args:
        path: The database file, which others may be using.
        tables: The tables to write; none for all.
        out: Where to write.
        report: Told how many rows are written and to be written.

    Returns:
        How many rows were written.

    Raises:
        DatabaseError: there is no such file, or it is no database.
        SchemaError: there is no such table.
    """
    count = 0
    with reading(path) as connection:
        chosen = _chosen(connection, tables)
        counter = _row_counter(connection, chosen, report)
        out.write("{")
        for number, table in enumerate(chosen):
            out.write(",\n" if number else "\n")
            out.write(f"{json.dumps(table.name)}: {{")
            out.write(f'"key": {json.dumps(table.key, ensure_ascii=False)}, "rows": [')
            columns = (*table.key, *table.columns)
            for position, row in enumerate(counter.counting(_rows(connection, table))):
                cells = {
                    column: json_of(value)
                    for column, value in zip(columns, row, strict=True)
                    if value is not None
                }
                out.write(",\n" if position else "\n")
                out.write(json.dumps(cells, ensure_ascii=False))
                count += 1
            out.write("\n]}")
        out.write("\n}\n")
    return count


def dump_csv(
    path: str | os.PathLike[str], table: str | None, out: TextIO, report: Report | None = None
) -> int:
    """Write one table as CSV with a line of column names, the key first.

    Args:
        path: The database file, which others may be using.
        table: The table; None for the only one there is.
        out: Where to write.
        report: Told how many rows are written and to be written.

    Returns:
        How many rows were written.

    Raises:
        DatabaseError: there is no such file, or it is no database.
        SchemaError: there is no such table, or more than one and none was named.
    """
    count = 0
    with reading(path) as connection:
        chosen = _chosen(connection, [] if table is None else [table])
        if len(chosen) != 1:
            names = ", ".join(found.name for found in chosen) or "none"
            raise SchemaError(f"CSV holds one table: name it. {os.fspath(path)} has: {names}.")
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow((*chosen[0].key, *chosen[0].columns))
        width = len(chosen[0].key)
        for row in _row_counter(connection, chosen, report).counting(_rows(connection, chosen[0])):
            keys, cells = row[:width], row[width:]
            writer.writerow([*map(field_of_key, keys), *map(field_of, cells)])
            count += 1
    return count


def read_json(source: TextIO, name: str) -> list[TableRows]:
    """Read what :func:`dump_json` wrote.

    Args:
        source: Where to read.
        name: Its name, for messages.

    Raises:
        ContentFormatError: it is something else; the message says where.
    """
    try:
        things = parse_json(source.read())
    except ValueError as error:
        raise ContentFormatError(f"{name} is not JSON: {error}.") from error
    if not isinstance(things, dict):
        raise ContentFormatError(f'{name} must be an object of tables: {{"todo": {{"key": [...], ...}}}}.')
    return [_table_of_json(table, thing, name) for table, thing in things.items()]


def read_csv(source: TextIO, name: str, table: str, key: Sequence[str]) -> TableRows:
    """Read what :func:`dump_csv` wrote, or any CSV with a line of column names.

    Args:
        source: Where to read.
        name: Its name, for messages.
        table: The table that it is for.
        key: The columns of its primary key; none for the first column.

    Raises:
        ContentFormatError: it is something else; the message names the line.
    """
    csv.field_size_limit(_LARGEST_FIELD)
    reader = csv.reader(source, strict=True)
    try:
        columns = next(reader, [])
        if not columns or len(set(columns)) != len(columns) or not all(columns):
            raise ContentFormatError(f"{name} must begin with a line of column names, each once.")
        chosen = tuple(key) or (columns[0],)
        rows = []
        for fields in reader:
            if len(fields) != len(columns):
                raise ContentFormatError(
                    f"{name}, line {reader.line_num}: {len(fields)} fields for {len(columns)} columns."
                )
            try:
                values = [
                    (key_of_field(field) or None) if column in chosen else value_of_field(field)
                    for column, field in zip(columns, fields, strict=True)
                ]
            except ValueError as error:
                raise ContentFormatError(f"{name}, line {reader.line_num}: {error}.") from error
            rows.append(dict(zip(columns, values, strict=True)))
    except csv.Error as error:
        raise ContentFormatError(f"{name}, line {reader.line_num}: {error}.") from error
    missing = [column for column in chosen if column not in columns]
    if missing:
        raise ContentFormatError(f"{name} has no column {missing[0]!r}; it has: {', '.join(columns)}.")
    return TableRows(table, chosen, rows)


def load_rows(path: str | os.PathLike[str], tables: Iterable[TableRows], report: Report | None = None) -> int:
    """Write rows to a cr-sqlite database, from where they travel to other replicas.

    Tables and columns that are missing are made. A row that is there gets the cells that are given and keeps
    the others; cells that are the same already are no edit. All rows are written in one transaction.

    Args:
        path: The file; it is created if it is not there.
        tables: The rows.
        report: Told how many rows are written and to be written.

    Returns:
        How many rows were written.

    Raises:
        ContentFormatError: a row has no key.
        DatabaseError: the file cannot be used, or a table is not a replicated one with that key.
    """
    tables = list(tables)
    _refuse_ordinary_file(path)
    counter = Counter(sum(len(table.rows) for table in tables), report)
    connection = open_connection(path)
    try:
        with translated(os.fspath(path)):
            for table in tables:
                _check_keys(table)
                _make_table(connection, table)
            with transaction(connection):
                for table in tables:
                    _upsert(connection, table, counter)
    finally:
        close_connection(connection)
    return sum(len(table.rows) for table in tables)


def _refuse_ordinary_file(path: str | os.PathLike[str]) -> None:
    if Path(path).exists():
        with reading(path) as connection:
            if not is_replica(connection) and user_tables(connection):
                raise SchemaError(
                    f"{os.fspath(path)} is an ordinary SQLite file, not a replica. It has not been touched. "
                    "To make it one, open it with CrSqliteDatabase and adopt_table() its tables."
                )


def _chosen(connection: apsw.Connection, names: Iterable[str]) -> list[UserTable]:
    tables = user_tables(connection)
    names = list(names)
    for name in names:
        if name not in tables:
            raise SchemaError(f"There is no table {name!r}; there are: {', '.join(tables) or 'none'}.")
    return [tables[name] for name in names or tables]


def _row_counter(connection: apsw.Connection, tables: Iterable[UserTable], report: Report | None) -> Counter:
    if report is None:
        return Counter(0, None)
    counts = (connection.execute(f"SELECT count(*) FROM {quote(table.name)}").get for table in tables)
    return Counter(sum(counts), report)


def _rows(connection: apsw.Connection, table: UserTable) -> Iterator[tuple[Any, ...]]:
    columns = ", ".join(map(quote, (*table.key, *table.columns)))
    order = f" ORDER BY {', '.join(map(quote, table.key))}" if table.key else ""
    try:
        yield from connection.execute(f"SELECT {columns} FROM {quote(table.name)}{order}")
    except UnicodeDecodeError as error:
        raise SchemaError(
            f"Table {table.name!r} holds text that is not UTF-8 ({error}): find it with "
            "WHERE typeof(column) = 'text' and store it as a blob."
        ) from error


def _table_of_json(table: str, thing: Any, name: str) -> TableRows:
    key = thing.get("key") if isinstance(thing, dict) else None
    rows = thing.get("rows") if isinstance(thing, dict) else None
    is_key = isinstance(key, list) and key and all(isinstance(column, str) for column in key)
    if not is_key or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ContentFormatError(f'{name}, table {table!r}: it must be {{"key": [...], "rows": [...]}}.')
    values = []
    for number, row in enumerate(rows, 1):
        try:
            values.append({column: value_of_json(cell) for column, cell in row.items()})
        except ValueError as error:
            raise ContentFormatError(f"{name}, table {table!r}, row {number}: {error}.") from error
    return TableRows(table, tuple(key or ()), values)


def _check_keys(table: TableRows) -> None:
    for number, row in enumerate(table.rows, 1):
        for column in table.key:
            if row.get(column) is None:
                raise ContentFormatError(f"Table {table.table!r}, row {number}: no {column!r}, its key.")


def _make_table(connection: apsw.Connection, table: TableRows) -> None:
    columns = tuple(dict.fromkeys(column for row in table.rows for column in row if column not in table.key))
    schema = read_schema(connection).get(table.table)
    if schema is None or schema.key != table.key or not set(columns) <= set(schema.columns):
        create_table(connection, TableSchema(table.table, table.key, columns))


def _upsert(connection: apsw.Connection, table: TableRows, counter: Counter) -> None:
    groups: dict[tuple[str, ...], list[list[Any]]] = {}
    for row in table.rows:
        columns = (*table.key, *(column for column in row if column not in table.key))
        groups.setdefault(columns, []).append([row[column] for column in columns])
    for columns, rows in groups.items():
        connection.executemany(_upsert_sql(table, columns), counter.counting(rows))


def _upsert_sql(table: TableRows, columns: tuple[str, ...]) -> str:
    keys = ", ".join(map(quote, table.key))
    others = columns[len(table.key) :]
    changes = ", ".join(f"{quote(column)} = excluded.{quote(column)}" for column in others)
    conflict = f"DO UPDATE SET {changes}" if others else "DO NOTHING"
    return (
        f"INSERT INTO {quote(table.table)} ({', '.join(map(quote, columns))}) "
        f"VALUES ({', '.join('?' * len(columns))}) ON CONFLICT ({keys}) {conflict}"
    )
