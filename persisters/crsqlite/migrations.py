"""Changing what a database holds from one version of a program to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import apsw

from replicell.persisters.crsqlite.connection import transaction
from replicell.persisters.crsqlite.identifiers import check_column_name, quote
from replicell.persisters.crsqlite.schema import TableSchema, add_columns_within, create_within, read_schema
from replicell.persisters.errors import ConfigError, DatabaseTooNewError, MigrationError

__all__ = ["Migration", "Migrations", "check_migrations", "migrate", "migration_version"]

_TABLE = "CREATE TABLE IF NOT EXISTS replicell_migrations (version INTEGER PRIMARY KEY)"


class Migration:
    """One step, in one transaction; what a migration function gets.

    Schema changes come first and what is written after them, because cr-sqlite does not see tables and
    columns that come after a write of the same transaction. What is written is an edit like any other: it
    reaches other replicas, also those that are up to date.

    Args:
        connection: The connection, in a transaction that holds the write lock.
        version: The version that the database has when the step is done.
    """

    def __init__(self, connection: apsw.Connection, version: int) -> None:
        self._connection = connection
        self._has_written = False
        self.version = version

    def create_table(self, name: str, key: str = "id", columns: Sequence[str] = ()) -> None:
        """Create a replicated table, or add the columns that it lacks.

        Args:
            name: The table.
            key: The column of the row ids.
            columns: All other columns; they have no type.
        """
        self._begin_schema_change()
        create_within(self._connection, TableSchema(name, (key,), tuple(columns)))

    def add_columns(self, table: str, columns: Iterable[str]) -> None:
        """Add columns to a replicated table; those that exist are left alone."""
        self._begin_schema_change()
        add_columns_within(self._connection, table, columns)

    def rename_column(self, table: str, old: str, new: str) -> None:
        """Rename a column; its cells keep their history.

        Replicas know columns by name. One that has not made this step keeps cells of the new name until it
        has.
        """
        check_column_name(new)
        self._alter(table, [old], f"RENAME COLUMN {quote(old)} TO {quote(new)}")

    def drop_columns(self, table: str, columns: Iterable[str]) -> None:
        """Drop columns with all their cells."""
        for column in columns:
            self._alter(table, [column], f"DROP COLUMN {quote(column)}")

    def execute(self, sql: str, bindings: Sequence[Any] | dict[str, Any] = ()) -> list[tuple[Any, ...]]:
        """Run SQL that reads or writes rows, and return what it gives.

        Raises:
            MigrationError: the SQL changes the schema; the methods for that do it as replicas need it.
        """
        words = sql.split(None, 1)
        if words and words[0].upper() in ("ALTER", "CREATE", "DROP", "BEGIN", "COMMIT", "ROLLBACK", "END"):
            raise MigrationError(
                f"Migration {self.version}: {words[0].upper()} cannot be used in execute(); "
                "use create_table, add_columns, rename_column or drop_columns."
            )
        before = self._connection.total_changes()
        rows: list[tuple[Any, ...]] = self._connection.execute(sql, bindings).fetchall()
        self._has_written = self._has_written or self._connection.total_changes() != before
        return rows

    def _alter(self, table: str, columns: Iterable[str], change: str) -> None:
        self._begin_schema_change()
        schema = read_schema(self._connection).get(table)
        for column in columns:
            if schema is None or column not in schema.columns:
                raise MigrationError(
                    f"Migration {self.version}: no replicated table {table!r} has a column {column!r}; "
                    "check the spelling, or leave the step out."
                )
        self._connection.execute("SELECT crsql_begin_alter(?)", (table,)).fetchall()
        self._connection.execute(f"ALTER TABLE {quote(table)} {change}")
        self._connection.execute("SELECT crsql_commit_alter(?)", (table,)).fetchall()

    def _begin_schema_change(self) -> None:
        if self._has_written:
            raise MigrationError(
                f"Migration {self.version} changes the schema after it has written: change the schema first, "
                "or split it into two migrations."
            )


Migrations: TypeAlias = Sequence[tuple[int, Callable[[Migration], object]]]
"""Versions, ascending from 1 at least, each with the function that makes it out of the one before."""


def check_migrations(migrations: Migrations) -> None:
    """Refuse migrations that are in no order.

    Raises:
        ConfigError: the versions are not ascending integers from 1 at least.
    """
    last = 0
    for version, _ in migrations:
        if type(version) is not int or version <= last:
            raise ConfigError(
                f"migrations must have ascending versions from 1 at least, but {version!r} follows {last}."
            )
        last = version


def migration_version(connection: apsw.Connection) -> int:
    """Return the version that a database has been migrated to, 0 if it never was."""
    if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'replicell_migrations'").get:
        return 0
    return int(connection.execute("SELECT max(version) FROM replicell_migrations").get or 0)


def migrate(connection: apsw.Connection, migrations: Migrations) -> None:
    """Make the steps that the database has not made, each in a transaction of its own.

    A step that fails is undone and those before it stay, so that the next attempt goes on there. Several
    processes may do this at once.

    Raises:
        MigrationError: a step failed; its error is the cause.
        DatabaseTooNewError: the database has made steps of which these migrations do not know.
    """
    newest = migrations[-1][0] if migrations else 0
    if migrations and migration_version(connection) > newest:
        raise DatabaseTooNewError(
            f"The database was migrated to version {migration_version(connection)}, but this program knows "
            f"{newest} at most: open it with a newer version of the program."
        )
    for version, function in migrations:
        if version <= migration_version(connection):
            continue
        with transaction(connection):
            if version > migration_version(connection):  # or another process was faster
                _make_step(connection, version, function)


def _make_step(connection: apsw.Connection, version: int, function: Callable[[Migration], object]) -> None:
    connection.execute(_TABLE)
    try:
        function(Migration(connection, version))
    except MigrationError:
        raise
    except Exception as error:
        raise MigrationError(f"Migration {version} failed and was undone: {error}") from error
    connection.execute("INSERT INTO replicell_migrations VALUES (?)", (version,))
