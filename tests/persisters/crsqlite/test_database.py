"""All SQL of a database runs on its thread, and every commit is told."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from replicell.persisters import (
    CrSqliteDatabase,
    DatabaseBusyError,
    DatabaseChange,
    DatabaseClosedError,
    DatabaseDamagedError,
    DatabaseError,
    DatabaseFullError,
    DatabaseReadOnlyError,
)
from replicell.persisters.crsqlite.schema import TableSchema, create_table
from replicell.persisters.crsqlite.versions import latest_version
from tests.persisters.waiting_for import until

TODO = TableSchema("todo", ("id",), ("text",))


def insert(connection: apsw.Connection, row_id: str, text: str = "") -> None:
    connection.execute("INSERT INTO todo VALUES (?, ?)", (row_id, text))


def count(connection: apsw.Connection) -> int:
    number: int = connection.execute("SELECT count(*) FROM todo").get
    return number


def thread_name(connection: apsw.Connection) -> str:
    return threading.current_thread().name


@pytest.fixture
async def db(file: Path) -> AsyncIterator[CrSqliteDatabase]:
    async with CrSqliteDatabase(file) as database:
        await database.run(create_table, TODO)
        yield database


def threads_of(file: Path) -> list[str]:
    return [thread.name for thread in threading.enumerate() if str(file) in thread.name]


# ----------------------------------------------------------------------------------- open and close


async def test_opening_and_closing_again_and_twice(file: Path) -> None:
    db = CrSqliteDatabase(file)
    assert not db.is_open
    await db.close()
    await db.open()
    await db.open()
    assert db.is_open
    assert db.path == str(file)
    site_id = db.site_id
    await db.close()
    await db.close()
    assert not db.is_open
    await db.open()
    assert db.site_id == site_id
    await asyncio.gather(db.close(), db.close())
    assert threads_of(file) == []


async def test_a_database_that_is_not_open_says_so(file: Path) -> None:
    db = CrSqliteDatabase(file)
    with pytest.raises(DatabaseClosedError, match=r"await open\(\)"):
        await db.read(count)
    with pytest.raises(DatabaseClosedError):
        _ = db.site_id


@pytest.fixture
def foreign_file(file: Path) -> Path:
    file.write_bytes(b"not a database, but long enough to look at" * 100)
    return file


async def test_a_failed_open_leaves_nothing_behind(foreign_file: Path) -> None:
    db = CrSqliteDatabase(foreign_file)
    with pytest.raises(DatabaseDamagedError):
        await db.open()
    await until(lambda: not threads_of(foreign_file))
    await db.close()
    await asyncio.to_thread(foreign_file.unlink)
    async with db:
        assert db.is_open


async def test_a_cancelled_open_leaves_no_thread(file: Path) -> None:
    db = CrSqliteDatabase(file)
    opening = asyncio.ensure_future(db.open())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await db.close()
    assert threads_of(file) == []


async def test_closing_runs_what_is_queued(file: Path) -> None:
    db = CrSqliteDatabase(file)
    await db.open()
    await db.run(create_table, TODO)
    writes = [db.write(insert, str(number)) for number in range(50)]
    await db.close()
    assert all(write.done() for write in writes)
    async with CrSqliteDatabase(file) as again:
        assert await again.read(count) == 50


async def test_hooks_run_before_the_database_closes(file: Path) -> None:
    db = CrSqliteDatabase(file)
    await db.open()
    await db.run(create_table, TODO)

    async def save() -> None:
        await db.write(insert, "last")

    async def fail() -> None:
        raise ZeroDivisionError

    db.before_close(fail)
    db.before_close(save)
    db.before_close(fail).cancel()
    with pytest.raises(ZeroDivisionError):
        await db.close()
    async with db:
        assert await db.read(count) == 1


async def test_a_forgotten_database_warns_and_ends_its_thread(file: Path) -> None:
    db: CrSqliteDatabase | None = CrSqliteDatabase(file)
    assert db is not None
    await db.open()
    with pytest.warns(ResourceWarning, match="was never closed"):
        del db
        gc.collect()
    await until(lambda: not threads_of(file))


async def test_the_database_belongs_to_its_event_loop(db: CrSqliteDatabase) -> None:
    def from_another_thread() -> None:
        with pytest.raises(RuntimeError, match="run_coroutine_threadsafe"):
            db.read(count)

    await asyncio.to_thread(from_another_thread)


async def test_each_opening_begins_an_epoch(file: Path) -> None:
    for opening in (1, 2, 3):
        async with CrSqliteDatabase(file) as db:
            assert len(set(await db.execute("SELECT id FROM replicell_epochs"))) == opening


# ----------------------------------------------------------------------------------- read, write and run


async def test_functions_run_on_the_database_s_thread_in_order(db: CrSqliteDatabase) -> None:
    assert (await db.read(thread_name)).startswith("replicell")
    order: list[int] = []
    calls = [db.read(lambda _, number: order.append(number), number) for number in range(20)]
    await asyncio.gather(*calls)
    assert order == list(range(20))


async def test_a_write_that_raises_is_rolled_back(db: CrSqliteDatabase) -> None:
    def write(connection: apsw.Connection) -> None:
        insert(connection, "1")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await db.write(write)
    assert await db.read(count) == 0


async def test_a_read_sees_one_state(db: CrSqliteDatabase, file: Path) -> None:
    async with CrSqliteDatabase(file) as other:
        is_reading, has_written = threading.Event(), threading.Event()

        def read(connection: apsw.Connection) -> tuple[int, int]:
            before = count(connection)
            is_reading.set()
            assert has_written.wait(10)
            return before, count(connection)

        reading = db.read(read)
        await asyncio.to_thread(is_reading.wait, 10)
        await other.write(insert, "1")
        has_written.set()
        assert await reading == (0, 0)
    assert await db.read(count) == 1


async def test_a_read_must_not_write(db: CrSqliteDatabase) -> None:
    with pytest.raises(DatabaseError, match=r"give it to write\(\)"):
        await db.read(insert, "1")
    assert await db.read(count) == 0


async def test_a_run_must_not_leave_a_transaction_open(db: CrSqliteDatabase) -> None:
    with pytest.raises(DatabaseError, match="left a transaction open"):
        await db.run(lambda connection: connection.execute("BEGIN"))
    await db.write(insert, "1")


async def test_a_cancelled_call_is_left_out_and_the_queue_goes_on(db: CrSqliteDatabase) -> None:
    release = threading.Event()
    blocking = db.read(lambda _: release.wait(10))
    cancelled = db.write(insert, "cancelled")
    kept = db.write(insert, "kept")
    cancelled.cancel()
    release.set()
    await kept
    assert await blocking
    assert await db.execute("SELECT id FROM todo") == [("kept",)]


async def test_a_call_that_is_given_up_while_it_runs_is_finished_all_the_same(db: CrSqliteDatabase) -> None:
    is_running, release = threading.Event(), threading.Event()

    def write(connection: apsw.Connection) -> None:
        is_running.set()
        assert release.wait(10)
        insert(connection, "1")

    async def impatient() -> None:
        await db.write(write)

    task = asyncio.ensure_future(impatient())
    await asyncio.to_thread(is_running.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()
    assert await db.read(count) == 1


async def test_the_event_loop_does_not_wait_for_sql(db: CrSqliteDatabase) -> None:
    release = threading.Event()
    blocking = db.read(lambda _: release.wait(10))
    loop_ran = False

    def note() -> None:
        nonlocal loop_ran
        loop_ran = True
        release.set()

    asyncio.get_running_loop().call_later(0.001, note)
    assert await blocking
    assert loop_ran


async def test_execute_returns_rows_and_commits(db: CrSqliteDatabase) -> None:
    await db.execute("INSERT INTO todo VALUES (?, ?)", ("1", "a"))
    await db.execute("INSERT INTO todo VALUES (:id, :text)", {"id": "2", "text": "b"})
    assert await db.execute("SELECT * FROM todo ORDER BY id") == [("1", "a"), ("2", "b")]
    with pytest.raises(apsw.SQLError):
        await db.execute("NONSENSE")


# ----------------------------------------------------------------------------------- the file's errors


async def test_a_lock_that_others_keep_is_an_error_that_says_so(db: CrSqliteDatabase, file: Path) -> None:
    async with CrSqliteDatabase(file, busy_timeout=0.01) as other:
        release, is_locked = threading.Event(), threading.Event()

        def hold(_: apsw.Connection) -> None:
            is_locked.set()
            assert release.wait(10)

        holding = db.write(hold)
        await asyncio.to_thread(is_locked.wait, 10)
        with pytest.raises(DatabaseBusyError, match="busy_timeout") as failure:
            await other.write(insert, "1")
        assert isinstance(failure.value.__cause__, apsw.BusyError)
        release.set()
        await holding
        await other.write(insert, "1")


async def test_a_full_disk_is_an_error_and_the_database_goes_on_after_it(db: CrSqliteDatabase) -> None:
    pages = (await db.execute("PRAGMA page_count"))[0][0]
    await db.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(DatabaseFullError, match="make room"):
        await db.write(insert, "1", "x" * 100_000)
    await db.execute("PRAGMA max_page_count = 1000000")
    await db.write(insert, "1", "x" * 100_000)
    assert await db.read(count) == 1
    assert await db.read(latest_version) == 1


async def test_a_database_that_may_not_be_written_is_an_error(db: CrSqliteDatabase) -> None:
    await db.execute("PRAGMA query_only = 1")
    with pytest.raises(DatabaseReadOnlyError, match="permissions"):
        await db.write(insert, "1")


# ----------------------------------------------------------------------------------- changes


async def test_own_commits_are_told_with_their_origin(db: CrSqliteDatabase) -> None:
    changes: list[DatabaseChange] = []
    with db.on_change(changes.append) as subscription:
        await db.write(insert, "1", origin="me")
        await db.execute("INSERT INTO todo (id) VALUES ('2')")
        await db.run(create_table, TableSchema("other", ("id",), ()), origin=42)
        assert subscription.is_active
    await db.write(insert, "3")
    await db.read(count)
    assert changes == [DatabaseChange("me"), DatabaseChange(None), DatabaseChange(42)]


async def test_what_writes_nothing_is_not_told(db: CrSqliteDatabase) -> None:
    changes: list[DatabaseChange] = []
    db.on_change(changes.append)
    await db.write(count)
    await db.run(count)
    await db.execute("SELECT * FROM todo")
    with pytest.raises(apsw.ConstraintError):
        await db.execute("INSERT INTO todo VALUES ('1', 1), ('1', 2)")
    await db.read(count)
    assert changes == []


async def test_commits_of_other_connections_are_told_within_50_ms(db: CrSqliteDatabase, file: Path) -> None:
    loop = asyncio.get_running_loop()
    delays = []
    async with CrSqliteDatabase(file) as other:
        for number in range(10):
            told: asyncio.Future[float] = loop.create_future()

            def note(change: DatabaseChange, told: asyncio.Future[float] = told) -> None:
                assert change == DatabaseChange(external=True)
                if not told.done():
                    told.set_result(loop.time())

            await db.read(count)
            with db.on_change(note):
                await other.write(insert, str(number))
                committed = loop.time()
                delays.append(await asyncio.wait_for(told, 10) - committed)
    assert sorted(delays)[len(delays) // 2] < 0.05


async def test_commits_of_others_are_noticed_while_the_database_is_busy(
    db: CrSqliteDatabase, file: Path
) -> None:
    noticed = asyncio.Event()
    async with CrSqliteDatabase(file) as other:
        db.on_change(lambda change: noticed.set() if change.external else None)
        noticed.clear()
        await other.write(insert, "1")
        async with asyncio.timeout(10):
            while not noticed.is_set():
                await db.read(count)


async def test_a_listener_that_raises_does_not_stop_the_others(
    db: CrSqliteDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[DatabaseChange] = []

    def fail(change: DatabaseChange) -> None:
        raise ZeroDivisionError

    db.on_change(fail)
    db.on_change(told.append)
    with caplog.at_level(logging.CRITICAL + 1):
        await db.write(insert, "1")
        await db.read(count)
    assert told == [DatabaseChange()]


async def test_reidentifying_gives_a_new_site_id_and_keeps_everything(
    db: CrSqliteDatabase,
) -> None:
    await db.write(insert, "1")
    before = db.site_id
    waiting = db.write(insert, "2")
    await db.reidentify()
    await waiting
    assert db.site_id != before
    await db.write(insert, "3")
    authors = await db.execute("SELECT DISTINCT site_id FROM crsql_changes")
    assert {site_id for (site_id,) in authors} == {before, db.site_id}
    assert await db.read(count) == 3


def test_an_empty_path_is_refused_as_sqlite_would_keep_nothing() -> None:
    with pytest.raises(ValueError, match="path is empty"):
        CrSqliteDatabase("")
