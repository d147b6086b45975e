"""The persister between a store and an SQLite connection that the program has opened by itself."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any, TypeAlias, TypeVar

from replicell.persisters.content import LoadedContent, SaveResult
from replicell.persisters.crsqlite.cleaning import Cleaning
from replicell.persisters.errors import ConfigError
from replicell.persisters.persister import ErrorListener
from replicell.persisters.sqlite.cleaning import clean_script
from replicell.persisters.sqlite.image import STAMP_SQL
from replicell.persisters.sqlite.mode_persister import ModePersister
from replicell.persisters.sqlite.modes import BlindWriteLog
from replicell.persisters.sqlite.scripts import Rows, Script, Statement
from replicell.persisters.subscription import Subscription
from replicell.persisters.unsaved import UnsavedChanges
from replicell.store.store import Store

__all__ = ["CustomSqlitePersister", "Execute", "create_custom_sqlite_persister"]

_T = TypeVar("_T")

Execute: TypeAlias = Callable[[str, Sequence[Any]], Iterable[Any] | Awaitable[Iterable[Any]]]
"""Runs one statement with values for its ``?`` and returns all its rows."""

_MOST_BINDINGS = 900  # every SQLite takes 999


class CustomSqlitePersister(ModePersister):
    """Keeps a store, or tables of it, and an SQLite database the same, through the program's own connection.

    `Persister` says what it promises, and `SqlitePersister` how content stands in the database. Which rows
    others have written is not known here, so whenever anything but the persister has written, the mapped
    tables are read whole, and only rows that differ from before reach the store.

    Loads and saves run in transactions of their own, between ``BEGIN`` and ``COMMIT``. Where other code uses
    the same connection in between, be it another persister, give all of them one ``asyncio.Lock``.

    Args:
        store: The store.
        execute: Runs a statement with the values for its ``?`` and returns its rows, or an awaitable of them.
        config: What is kept where; see `parse_database_config`.
        lock: Held during each load and save.
        poll_interval: Seconds between looks at whether anybody has written to the database.
        options: The keyword arguments of `Persister`.

    Raises:
        ConfigError: the configuration cannot be followed.
    """

    def __init__(
        self,
        store: Store,
        execute: Execute,
        config: object = None,
        *,
        lock: asyncio.Lock | None = None,
        poll_interval: float = 0.02,
        **options: Any,
    ) -> None:
        if poll_interval <= 0:
            raise ConfigError(f"poll_interval must be positive, it is {poll_interval} seconds.")
        self._execute = execute
        self._lock = asyncio.Lock() if lock is None else lock
        self._poll_interval = poll_interval
        self._look: Rows = []
        super().__init__(store, config, **options)

    def _begin_load(self) -> asyncio.Future[LoadedContent]:
        script = self._mode.load(self._tracker.schema(), BlindWriteLog(), self._held_rows())
        return asyncio.ensure_future(self._in_transaction(script, "BEGIN"))

    def _begin_save(self, unsaved: UnsavedChanges) -> asyncio.Future[SaveResult]:
        return asyncio.ensure_future(self._save(unsaved))

    async def _save(self, unsaved: UnsavedChanges) -> SaveResult:
        script = self._mode.save(unsaved, self._tracker.schema(), self.is_auto_loading(), BlindWriteLog())
        return self._saved(await self._in_transaction(script, "BEGIN IMMEDIATE"), unsaved)

    async def _clean(self, cleanings: Sequence[Cleaning]) -> None:
        await self._in_transaction(clean_script(cleanings), "BEGIN IMMEDIATE")

    def _watch(self, on_change: Callable[[], None]) -> Subscription:
        watching = asyncio.ensure_future(self._poll(on_change))

        def stop() -> None:
            watching.cancel()

        return Subscription(stop)

    def _release(self) -> None:
        return

    async def _poll(self, on_change: Callable[[], None]) -> None:
        has_failed = False
        while True:
            await asyncio.sleep(self._poll_interval)
            async with self._lock:
                try:
                    look = await self._run(Statement(STAMP_SQL))
                except Exception as error:
                    if not has_failed:
                        self._report(error, "cannot look for others' writes, will keep trying")
                    has_failed = True
                    continue
                has_failed = False
                has_changed, self._look = look != self._look, look
            if has_changed:
                on_change()

    async def _in_transaction(self, script: Script[_T], begin: str) -> _T:
        async with self._lock:
            await self._run(Statement(begin))
            try:
                result = await self._run_script(script)
                # Later, others might have written already, and would not be noticed.
                look = await self._run(Statement(STAMP_SQL))
                await self._run(Statement("COMMIT"))
            except BaseException:
                await self._roll_back()
                raise
            self._look = look
            return result

    async def _run_script(self, script: Script[_T]) -> _T:
        try:
            statement = next(script)
            while True:
                try:
                    rows = await self._run(statement)
                except Exception as error:
                    statement = script.throw(error)
                else:
                    statement = script.send(rows)
        except StopIteration as end:
            result: _T = end.value
            return result

    async def _roll_back(self) -> None:
        try:
            await self._run(Statement("ROLLBACK"))
        except Exception as error:
            # A full disk has already rolled back by itself; then there is nothing to report.
            if "no transaction" not in str(error):
                self._report(error, "rolling back failed")

    async def _run(self, statement: Statement) -> Rows:
        if statement.many is None:
            return await self._rows(statement.sql, statement.bindings)
        if statement.wide is not None:
            return await self._run_wide(statement.wide, statement.many)
        for bindings in statement.many:
            await self._rows(statement.sql, bindings)
        return []

    async def _run_wide(self, wide: Callable[[int], str], rows: Iterable[Sequence[Any]]) -> Rows:
        """Write many rows with each statement, as every statement is a call of the program's function."""
        remaining = iter(rows)
        while first := next(remaining, None):
            count = max(1, _MOST_BINDINGS // len(first))
            some = [first, *islice(remaining, count - 1)]
            await self._rows(wide(len(some)), tuple(chain.from_iterable(some)))
        return []

    async def _rows(self, sql: str, bindings: Sequence[Any]) -> Rows:
        rows = self._execute(sql, tuple(bindings))
        if inspect.isawaitable(rows):
            rows = await rows
        return [tuple(row.values()) if isinstance(row, Mapping) else tuple(row) for row in rows or ()]


def create_custom_sqlite_persister(
    store: Store,
    config: object,
    execute: Execute,
    *,
    on_ignored_error: ErrorListener | None = None,
    **options: Any,
) -> CustomSqlitePersister:
    """Create a persister that uses the program's own SQLite connection.

    Mirrors TinyBase's `createCustomSqlitePersister`.

    Args:
        store: The store.
        config: As for `create_sqlite_persister`.
        execute: Runs a statement with the values for its ``?`` and returns all its rows, as sequences or
            mappings, or an awaitable of them. The connection must leave transactions to the statements it is
            given.
        on_ignored_error: TinyBase's name for ``on_error``.
        options: The keyword arguments of `CustomSqlitePersister`.

    Raises:
        ConfigError: the configuration cannot be followed.
    """
    options.setdefault("on_error", on_ignored_error)
    return CustomSqlitePersister(store, execute, config, **options)
