"""Others' commits are noticed whatever the database's own thread does, and whoever holds locks."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import apsw
import pytest

from replicell.persisters.sqlite.database import DatabaseChange, SqliteDatabase
from tests.persisters.waiting_for import until

MANY = 30


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "todo.db"


def heard_by(db: SqliteDatabase) -> list[DatabaseChange]:
    heard: list[DatabaseChange] = []
    db.on_change(lambda change: heard.append(change) if change.external else None)
    return heard


async def test_others_commits_are_noticed_though_many_are_open(path: Path) -> None:
    open_ones = [SqliteDatabase(path.with_name(f"{number}.db")) for number in range(MANY)]
    for one in open_ones:
        await one.open()
    async with SqliteDatabase(path) as ours, SqliteDatabase(path) as theirs:
        await ours.execute("CREATE TABLE todo (text)")
        heard = heard_by(ours)
        await theirs.execute("INSERT INTO todo VALUES ('milk')")

        await until(lambda: heard == [DatabaseChange(external=True)])
    for one in open_ones:
        await one.close()


async def test_others_commits_are_noticed_between_jobs_that_never_end(path: Path) -> None:
    async with SqliteDatabase(path) as ours, SqliteDatabase(path) as theirs:
        await ours.execute("CREATE TABLE todo (text)")
        heard = heard_by(ours)

        async def keep_busy() -> None:
            pending = [ours.read(lambda _: None)]
            while not heard:
                pending.append(ours.read(lambda _: None))
                await pending.pop(0)

        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            tasks.create_task(keep_busy())
            await theirs.execute("INSERT INTO todo VALUES ('milk')")

    assert heard


async def test_a_long_job_of_one_database_keeps_no_other_from_noticing(path: Path) -> None:
    may_end = threading.Event()
    async with (
        SqliteDatabase(path.with_name("slow.db")) as slow,
        SqliteDatabase(path) as ours,
        SqliteDatabase(path) as theirs,
    ):
        await ours.execute("CREATE TABLE todo (text)")
        heard = heard_by(ours)
        job = slow.read(lambda _: may_end.wait(10))
        try:
            await theirs.execute("INSERT INTO todo VALUES ('milk')")
            await until(lambda: heard)
            assert not job.done()
        finally:
            may_end.set()
        await job


async def test_a_lock_on_one_file_keeps_no_other_from_noticing(path: Path) -> None:
    locked = path.with_name("locked.db")
    async with SqliteDatabase(locked, busy_timeout=1e5) as waiting, SqliteDatabase(path) as ours:
        # With a rollback journal a writer keeps everybody from reading, and even from looking.
        await waiting.execute("PRAGMA journal_mode = DELETE")
        await waiting.execute("CREATE TABLE todo (text)")
        await ours.execute("CREATE TABLE todo (text)")
        heard, heard_later = heard_by(ours), heard_by(waiting)
        holder = apsw.Connection(str(locked))
        with SqliteConnection(path) as theirs:
            holder.execute("BEGIN EXCLUSIVE; INSERT INTO todo VALUES ('milk')")
            theirs.execute("INSERT INTO todo VALUES ('bread')")
            await until(lambda: heard)
            theirs.execute("INSERT INTO todo VALUES ('tea')")
            await until(lambda: len(heard) == 2)
        assert not heard_later

        holder.execute("COMMIT")
        holder.close()
        await until(lambda: heard_later)


async def test_looking_leaves_the_busy_timeout_as_it_was(path: Path) -> None:
    async with SqliteDatabase(path, poll_interval=0.001, busy_timeout=1.5) as ours:
        await ours.execute("CREATE TABLE todo (text)")
        heard = heard_by(ours)
        assert await ours.execute("PRAGMA busy_timeout") == [(1500,)]
        await ours.execute("PRAGMA busy_timeout = 700")
        with SqliteConnection(path) as theirs:
            theirs.execute("INSERT INTO todo VALUES ('milk')")
        await until(lambda: heard)

        assert await ours.execute("PRAGMA busy_timeout") == [(700,)]


class SqliteConnection:
    """Another program's connection."""

    def __init__(self, path: Path) -> None:
        self._connection = apsw.Connection(str(path))

    def __enter__(self) -> apsw.Connection:
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()
