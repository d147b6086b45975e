"""The media of the histories: each opens a persister whose work the plan paces and whose disk it breaks."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import patch

import apsw

from replicell.persisters import (
    CrSqliteDatabase,
    JsonFilePersister,
    Persister,
    SqliteDatabase,
    create_crsqlite_json_persister,
    create_crsqlite_persister,
    create_custom_sqlite_persister,
    create_sqlite_persister,
    files,
)
from replicell.persisters.sqlite.lookout import Lookout, Watched
from replicell.persisters.sqlite.worker import Worker
from replicell.persisters.subscription import Subscription
from replicell.store import Store
from tests.persisters.faults.disk import Faults, FaultyDisk, FaultyOs
from tests.persisters.faults.pace import Pace
from tests.persisters.media import JSON, TABULAR

__all__ = ["Rig", "make_rig"]

_AT_EACH_JOB = 1e-9
_NEVER = 1e9


class Rig(ABC):
    """One medium as one life of a program uses it.

    Args:
        file: The file.
        on_operation: Called before each file operation, on whatever thread does it.
    """

    turns_a_statement = 1
    """How many turns of the event loop the medium needs for what others do in one."""

    def __init__(self, file: Path, on_operation: Callable[[], None]) -> None:
        self._file = file
        self._on_operation = on_operation
        self.faults = Faults(self._operate)

    @abstractmethod
    async def open(self, store: Store, options: dict[str, Any]) -> Persister:
        """Open the medium and make a persister."""

    @abstractmethod
    def begin_pacing(self) -> None:
        """Go on only at `work` from now on."""

    @abstractmethod
    def work(self, operations: int | None) -> None:
        """Do all that is queued, or up to a number of file operations, and look for others' changes."""

    @abstractmethod
    async def close(self) -> None:
        """Save what is unsaved and close everything."""

    def break_down(self, kind: str, spared: int) -> None:
        """Let writing fail."""
        self.faults.begin(kind, spared)

    def mend(self) -> None:
        """Let writing succeed again."""
        self.faults.end()

    def _operate(self) -> None:
        self._on_operation()


class _SqliteRig(Rig):
    """A file that is used through an SQLite file system of its own."""

    def __init__(self, file: Path, on_operation: Callable[[], None]) -> None:
        super().__init__(file, on_operation)
        self._disk = FaultyDisk(f"faulty {id(self)}", self.faults)
        self._is_read_only = False

    def break_down(self, kind: str, spared: int) -> None:
        if kind == "read-only":
            self._set_read_only(True)
        else:
            super().break_down(kind, spared)

    def mend(self) -> None:
        super().mend()
        self._set_read_only(False)

    def _set_read_only(self, is_read_only: bool) -> None:
        if is_read_only is not self._is_read_only:
            self._is_read_only = is_read_only
            self._execute(f"PRAGMA query_only = {int(is_read_only)}")

    @abstractmethod
    def _execute(self, sql: str) -> None:
        """Run a statement on the persister's connection."""


class DatabaseRig(_SqliteRig):
    """A database with a thread of its own."""

    def __init__(
        self,
        file: Path,
        on_operation: Callable[[], None],
        database: type[SqliteDatabase],
        create: Callable[..., Persister],
        config: object,
    ) -> None:
        super().__init__(file, on_operation)
        self._create = create
        self._config = config
        self.database = database(file, busy_timeout=0, poll_interval=_AT_EACH_JOB, vfs=self._disk.name)
        self._pace = Pace(lambda job: self.database.run(lambda _: job()))
        # Or another thread would use the disk at moments that no plan knows.
        self._no_lookout = patch.object(Worker, "lookout", _NoLookout())

    async def open(self, store: Store, options: dict[str, Any]) -> Persister:
        self._no_lookout.start()
        await self.database.open()
        return self._create(store, self.database, self._config, **options)

    def begin_pacing(self) -> None:
        self._pace.begin()

    def work(self, operations: int | None) -> None:
        self._pace.work(operations)

    async def close(self) -> None:
        self._pace.end()
        try:
            await self.database.close()
        finally:
            self._no_lookout.stop()
            self._disk.unregister()

    def _operate(self) -> None:
        super()._operate()
        self._pace.on_operation()

    def _execute(self, sql: str) -> None:
        self.database.run(lambda connection: connection.execute(sql).fetchall())


class _NoLookout(Lookout):
    """Leaves it to each database to look for others' commits after its own jobs."""

    def add(self, watched: Watched) -> None:
        """Nothing is to be done."""

    def pause(self, poll_interval: float) -> float:
        return poll_interval


class CustomRig(_SqliteRig):
    """A connection of the program's own, used on the loop's thread, with a rollback journal."""

    turns_a_statement = 30

    def __init__(self, file: Path, on_operation: Callable[[], None], config: object) -> None:
        super().__init__(file, on_operation)
        self._config = config
        self._connection: apsw.Connection | None = None
        self._persister: Persister | None = None

    async def open(self, store: Store, options: dict[str, Any]) -> Persister:
        connection = self._connection = apsw.Connection(str(self._file), vfs=self._disk.name)

        async def execute(sql: str, bindings: Sequence[Any]) -> list[tuple[Any, ...]]:
            await asyncio.sleep(0)
            return connection.execute(sql, bindings).fetchall()

        self._persister = create_custom_sqlite_persister(store, self._config, execute, **options)
        return self._persister

    def begin_pacing(self) -> None:
        return

    def work(self, operations: int | None) -> None:
        return

    async def close(self) -> None:
        try:
            if self._persister is not None:
                await self._persister.close()
        finally:
            if self._connection is not None:
                self._connection.close()
            self._disk.unregister()

    def _execute(self, sql: str) -> None:
        if self._connection is not None:
            self._connection.execute(sql).fetchall()


class JsonFileRig(Rig):
    """A text file, which a thread reads and replaces."""

    def __init__(self, file: Path, on_operation: Callable[[], None]) -> None:
        super().__init__(file, on_operation)
        self._pace = Pace(lambda job: self._executor.submit(job))
        self._executor = ThreadPoolExecutor(1)
        self._faulty_os = patch.object(files, "os", FaultyOs(self.faults))
        self._persister: _PacedJsonFilePersister | None = None

    async def open(self, store: Store, options: dict[str, Any]) -> Persister:
        self._faulty_os.start()
        self._persister = _PacedJsonFilePersister(store, self._file, self._executor, options)
        return self._persister

    def begin_pacing(self) -> None:
        self._pace.begin()

    def work(self, operations: int | None) -> None:
        self._pace.work(operations)
        if self._persister is not None:
            self._persister.look()

    async def close(self) -> None:
        self._pace.end()
        try:
            if self._persister is not None:
                await self._persister.close()
        finally:
            self._executor.shutdown()
            self._faulty_os.stop()

    def _operate(self) -> None:
        super()._operate()
        self._pace.on_operation()


class _PacedJsonFilePersister(JsonFilePersister):
    def __init__(
        self, store: Store, file: Path, executor: ThreadPoolExecutor, options: dict[str, Any]
    ) -> None:
        super().__init__(store, file, poll_interval=_NEVER, lock_timeout=0, **options)
        self._executor = executor
        self._last = files.signature(file)
        self._on_change: Callable[[], None] | None = None

    def look(self) -> None:
        """Do what the watching thread would."""
        now, last = files.signature(self.path), self._last
        self._last = now
        if now not in (last, self._written) and self._on_change is not None:
            self._on_change()

    def _watch(self, on_change: Callable[[], None]) -> Subscription:
        self._last = files.signature(self.path)
        self._on_change = on_change
        return Subscription(self._stop_watching)

    def _stop_watching(self) -> None:
        self._on_change = None

    def _in_thread(self, function: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().run_in_executor(self._executor, function, *args)


def make_rig(medium: str, file: Path, on_operation: Callable[[], None]) -> Rig:
    """Return what a life needs to use a medium."""
    config = JSON if medium.endswith("json") else TABULAR
    match medium:
        case "cr-sqlite tabular":
            return DatabaseRig(file, on_operation, CrSqliteDatabase, create_crsqlite_persister, config)
        case "cr-sqlite json":
            return DatabaseRig(file, on_operation, CrSqliteDatabase, create_crsqlite_json_persister, config)
        case "sqlite tabular" | "sqlite json":
            return DatabaseRig(file, on_operation, SqliteDatabase, create_sqlite_persister, config)
        case "custom tabular" | "custom json":
            return CustomRig(file, on_operation, config)
        case _:
            return JsonFileRig(file, on_operation)
