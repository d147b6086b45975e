"""A cr-sqlite database for asyncio programs: its SQL runs on a thread of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress

import apsw

from replicell.persisters.crsqlite.adopting import adopt_table
from replicell.persisters.crsqlite.connection import (
    close_connection,
    forget_undone_schema,
    open_connection,
    record_local_writes,
    transaction,
)
from replicell.persisters.crsqlite.copies import take_copy
from replicell.persisters.crsqlite.epochs import Cursor, begin_epoch
from replicell.persisters.crsqlite.identity import reidentify
from replicell.persisters.crsqlite.migrations import Migrations, check_migrations, migrate
from replicell.persisters.errors import DatabaseClosedError
from replicell.persisters.sqlite.database import SqliteDatabase, SqliteEngine, SqlListener
from replicell.persisters.sqlite.worker import DatabaseChange, Engine, Mode, Worker

__all__ = ["CrSqliteDatabase", "DatabaseChange"]


class CrSqliteEngine(SqliteEngine):
    """Makes connections with cr-sqlite, each of which begins a new epoch of the file.

    Args:
        path: The file.
        busy_timeout: Seconds to wait for another connection's lock.
        vfs: The name of a registered SQLite VFS, None for the default one.
        migrations: The steps that the database must have made.
    """

    def __init__(self, path: str, busy_timeout: float, vfs: str | None, migrations: Migrations) -> None:
        super().__init__(path, busy_timeout, vfs)
        self.migrations = migrations
        self._has_failed = False

    def connect(self) -> apsw.Connection:
        """Open a connection."""
        connection = open_connection(self.path, busy_timeout=self.busy_timeout, vfs=self.vfs)
        try:
            with transaction(connection):
                begin_epoch(connection)
            migrate(connection, self.migrations)
        except BaseException:
            close_connection(connection)
            raise
        return connection

    def close(self, connection: apsw.Connection) -> None:
        """Close a connection."""
        close_connection(connection)

    def after_failure(self, connection: apsw.Connection) -> None:
        """Have local writes recorded again, should a merge have failed."""
        record_local_writes(connection)
        self._has_failed = True

    def before_writing(self, connection: apsw.Connection) -> None:
        """Have cr-sqlite forget tables and columns whose creation was rolled back."""
        if self._has_failed:
            # While the disk is full this fails as well, and so will whatever is to be written.
            with suppress(apsw.Error):
                forget_undone_schema(connection)
                self._has_failed = False


class CrSqliteDatabase(SqliteDatabase):
    """A database file in which every replica may write, offline too.

    Persisters and sync clients share one database: they meet in it, and each is told when somebody has
    committed something. `SqliteDatabase` says how it is used: functions are sent to the database's thread,
    where they are called with the connection. Several processes may use the same file at once.

    With plain SQL, write replicated tables with ``INSERT ... ON CONFLICT DO UPDATE``: ``REPLACE`` counts as
    an edit of every cell of the row, and a changed primary key reaches no other replica. Change the schema
    of replicated tables in functions given to :meth:`run`, never to :meth:`write`.

    Args:
        path: The file; it is created if it is not there. ``":memory:"`` for none.
        poll_interval: Seconds between looks at whether another process has committed; at most 0.02 for others
            to be noticed within 50 ms. It is at least 0.4 ms for each database that the process has open.
        busy_timeout: Seconds to wait for another connection's lock.
        vfs: The name of a registered SQLite VFS, None for the default one.
        migrations: Steps from one version of the program to the next, ``[(1, function), ...]``, of which the
            database makes those it has not made when it is opened. Each function is called with a `Migration`
            on the database's thread.
        on_sql_command: See `SqliteDatabase`; migrations are not told.

    Raises:
        ConfigError: the versions are not ascending, or a number of seconds makes no sense.

    Example::

        async with CrSqliteDatabase("todo.db") as db:
            rows = await db.execute("SELECT id, text FROM todo WHERE done IS NULL")
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        poll_interval: float = 0.01,
        busy_timeout: float = 5.0,
        vfs: str | None = None,
        migrations: Migrations = (),
        on_sql_command: SqlListener | None = None,
    ) -> None:
        check_migrations(migrations)
        self._migrations = tuple(migrations)
        super().__init__(
            path,
            poll_interval=poll_interval,
            busy_timeout=busy_timeout,
            vfs=vfs,
            on_sql_command=on_sql_command,
        )
        self._site_id: bytes | None = None

    @property
    def site_id(self) -> bytes:
        """The 16 bytes by which cr-sqlite knows this replica.

        Raises:
            DatabaseClosedError: the database has not been opened yet.
        """
        if self._site_id is None:
            raise DatabaseClosedError(f"{self.path} has not been opened yet: await open() first.")
        return self._site_id

    async def adopt_table(self, table: str) -> int:
        """Make an existing ordinary table, with all its rows, a replicated one.

        Args:
            table: The table. A replicated one is left as it is.

        Returns:
            The number of its rows.

        Raises:
            SchemaError: it cannot be replicated; the message says why, and nothing has changed.
        """
        return await self.run(adopt_table, table)

    async def reidentify(self) -> None:
        """Give the file a new site id, as a copy of another replica's file needs before both may sync.

        What is queued runs first, and what is called meanwhile waits. The file must not be open elsewhere.
        """
        await self._submit(Mode.REOPEN, reidentify, (self.path,))
        self._site_id = await self.read(_site_id)

    async def adopt_copy(
        self,
        copy: str | os.PathLike[str],
        cursor: Cursor,
        note: Callable[[apsw.Connection], None],
        origin: object = None,
    ) -> bool:
        """Take over all rows of a copy that `write_copy` has written, if there are none here yet.

        Args:
            copy: The copy's file.
            cursor: How far it has its origin's changes.
            note: Called with a connection without cr-sqlite, in the same transaction.
            origin: Who is told to have written.

        Returns:
            False if there are rows here, which then stay as they are.

        Raises:
            BadCopyError: The file is no copy, or one of tables that are not like those here.
        """
        taken = False

        def take(path: str) -> None:
            nonlocal taken
            taken = take_copy(path, copy, cursor, note)

        await self._submit(Mode.REOPEN, take, (self.path,), origin)
        return taken

    def _engine(self) -> Engine:
        return CrSqliteEngine(self.path, self._busy_timeout, self._vfs, self._migrations)

    async def _on_started(self, worker: Worker) -> None:
        self._site_id = await worker.submit(Mode.READ, _site_id, ())


def _site_id(connection: apsw.Connection) -> bytes:
    site_id: bytes = connection.execute("SELECT crsql_site_id()").get
    return site_id
