"""Making an existing ordinary table, with all its rows, a replicated one."""

from __future__ import annotations

from collections.abc import Iterator

import apsw

from replicell.persisters.crsqlite.connection import transaction
from replicell.persisters.crsqlite.identifiers import check_column_names, check_table_name, quote
from replicell.persisters.crsqlite.schema import MAX_COLUMNS, MAX_TABLES, read_schema
from replicell.persisters.errors import IdentifierError, SchemaError

__all__ = ["adopt_table"]

_COLUMNS = 'SELECT name, "notnull", dflt_value, pk FROM pragma_table_xinfo(?) ORDER BY cid'
_UNIQUE = """SELECT name FROM pragma_index_list(?) WHERE "unique" AND origin <> 'pk'"""
_KEY_COLLATIONS = """
    SELECT parts.name, parts.coll FROM pragma_index_list(?) AS indexes
    JOIN pragma_index_xinfo(indexes.name) AS parts WHERE indexes.origin = 'pk' AND parts.key
"""


def adopt_table(connection: apsw.Connection, table: str) -> int:
    """Make an ordinary table a replicated one: its rows stay, and travel to other replicas.

    The table keeps its columns, types and indexes. What merges cannot live with is refused before anything is
    touched: a merge writes one cell after the other, so other cells of a new row are absent for a while, and
    two replicas may write at once what one alone could not.

    Args:
        connection: A connection from ``open_connection``, not in a transaction.
        table: The table, spelled as in the database. A replicated one is left as it is.

    Returns:
        The number of its rows.

    Raises:
        SchemaError: it cannot be replicated; the message lists every reason and what to do. Nothing has
            changed.
    """
    with transaction(connection):
        existing = read_schema(connection)
        if table not in existing:
            reasons = list(_reasons_against(connection, table, len(existing)))
            if reasons:
                raise SchemaError(
                    f"Table {table!r} cannot be replicated as it is, and has not been touched:\n"
                    + "\n".join(f"- {reason}" for reason in reasons)
                    + "\nCreate a table that fits, with the key as TEXT PRIMARY KEY NOT NULL, copy the rows "
                    "with INSERT INTO ... SELECT, and adopt that one."
                )
            connection.execute("SELECT crsql_as_crr(?)", (table,)).fetchall()
        rows = _count(connection, table)
        recorded = _count(connection, table + "__crsql_pks")
        if table not in existing and rows != recorded:
            raise SchemaError(
                f"Table {table!r} has {rows} rows, of which cr-sqlite recorded {recorded}; everything is as "
                "it was. Look for keys that are equal but for their type."
            )
        return rows


def _reasons_against(connection: apsw.Connection, table: str, replicated: int) -> Iterator[str]:
    try:
        check_table_name(table)
    except IdentifierError as error:
        yield f"{error} (ALTER TABLE ... RENAME TO)"
        return
    found = connection.execute(
        "SELECT type, name, sql FROM sqlite_schema WHERE type IN ('table', 'view') "
        "AND name = ? COLLATE NOCASE",
        (table,),
    ).fetchall()
    if not found:
        yield "there is no such table"
        return
    kind, spelling, sql = found[0]
    if spelling != table:
        yield f"it is spelled {spelling!r} in the database"
    elif kind == "view":
        yield "it is a view"
    elif str(sql).lstrip().upper().startswith("CREATE VIRTUAL"):
        yield "it is a virtual table"
    else:
        if replicated >= MAX_TABLES:
            yield f"the database has {replicated} replicated tables, as many as cr-sqlite can take"
        yield from _reasons_in_columns(connection, table)
        yield from _reasons_in_rules(connection, table, str(sql))
        yield from _reasons_in_checks(connection, table, str(sql))
        yield from _reasons_in_rows(connection, table)


def _reasons_in_columns(connection: apsw.Connection, table: str) -> Iterator[str]:
    columns = connection.execute(_COLUMNS, (table,)).fetchall()
    names = tuple(str(name) for name, *_ in columns)
    try:
        check_column_names(names)
    except IdentifierError as error:
        yield str(error)
    if len(names) > MAX_COLUMNS:
        yield f"it has {len(names)} columns, {MAX_COLUMNS} are the most that cr-sqlite can take"
    if not any(key_position for *_, key_position in columns):
        yield "it has no primary key"
    for name, is_not_null, default, key_position in columns:
        if key_position and not is_not_null:
            yield f"its key column {name!r} may be NULL: it must be declared NOT NULL"
        elif is_not_null and not key_position and (default is None or str(default).upper() == "NULL"):
            yield f"column {name!r} is NOT NULL without a DEFAULT, which a row has until the cell arrives"
    for name, collation in connection.execute(_KEY_COLLATIONS, (table,)):
        if name is not None and str(collation).upper() != "BINARY":
            yield f"its key column {name!r} is compared by {collation}, so that two keys could be one row"


def _reasons_in_rules(connection: apsw.Connection, table: str, sql: str) -> Iterator[str]:
    for (index,) in connection.execute(_UNIQUE, (table,)):
        yield f"its unique index {index!r} could refuse what another replica wrote: drop it"
    targets = connection.execute('SELECT DISTINCT "table" FROM pragma_foreign_key_list(?)', (table,))
    for (target,) in targets.fetchall():
        yield f"its foreign key to {target!r} could refuse what another replica wrote"
    if "AUTOINCREMENT" in sql.upper():
        yield "its key is AUTOINCREMENT, which two replicas would count alike"


def _reasons_in_checks(connection: apsw.Connection, table: str, sql: str) -> Iterator[str]:
    if "CHECK" not in sql.upper():
        return
    key = [quote(str(name)) for name, *_, position in connection.execute(_COLUMNS, (table,)) if position]
    if not key:
        return
    names = ", ".join(key)
    connection.execute("SAVEPOINT replicell_checks")
    try:
        # SQLite looks at checks before it finds that the row is there already.
        connection.execute(f"INSERT INTO {quote(table)} ({names}) SELECT {names} FROM {quote(table)} LIMIT 1")
    except apsw.ConstraintError as error:
        if str(error).startswith("CHECK"):
            yield f"{error}, which a row must meet before its cells have arrived, too"
    finally:
        connection.execute("ROLLBACK TO replicell_checks; RELEASE replicell_checks")


def _reasons_in_rows(connection: apsw.Connection, table: str) -> Iterator[str]:
    try:
        for _ in connection.execute(f"SELECT * FROM {quote(table)}"):
            continue
    except UnicodeDecodeError:
        yield "some of its text is not UTF-8, which would stop every replica: store it as a blob"


def _count(connection: apsw.Connection, table: str) -> int:
    number: int = connection.execute(f"SELECT count(*) FROM {quote(table)}").get
    return number
