"""What fails is kept, told and tried again."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Iterator
from itertools import pairwise
from pathlib import Path

import apsw
import pytest

from replicell.persisters import (
    CrSqliteDatabase,
    CrSqlitePersister,
    DatabaseBusyError,
    DatabaseClosedError,
    DatabaseFullError,
    DatabaseInputOutputError,
    DatabaseReadOnlyError,
    PersisterError,
    Status,
    create_crsqlite_persister,
)
from replicell.store import Store, create_store
from tests.persisters.crsqlite.slow_disk import Disk, disk
from tests.persisters.crsqlite.todo_files import CONFIG, rows
from tests.persisters.waiting_for import until


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)


@pytest.fixture
async def db(file: Path) -> AsyncIterator[CrSqliteDatabase]:
    async with CrSqliteDatabase(file, busy_timeout=0.01) as database:
        yield database


@pytest.fixture
def failing_disk() -> Iterator[Disk]:
    with disk("failing") as made:
        yield made


async def start(db: CrSqliteDatabase) -> tuple[Store, CrSqlitePersister, list[Exception]]:
    errors: list[Exception] = []
    store = create_store().set_row("todo", "0", {"text": "first"})
    persister = create_crsqlite_persister(
        store, db, CONFIG, on_error=errors.append, retry_delay=0.001, max_retry_delay=0.01
    )
    await persister.start_auto_persisting()
    return store, persister, errors


class Lock:
    """A write lock held by another connection."""

    def __init__(self, file: Path) -> None:
        self._connection = apsw.Connection(str(file))

    def __enter__(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_: object) -> None:
        self._connection.execute("ROLLBACK")
        self._connection.close()


async def test_a_save_that_finds_the_database_locked_is_kept_and_tried_again(
    db: CrSqliteDatabase, file: Path
) -> None:
    store, persister, errors = await start(db)
    with Lock(file):
        store.set_row("todo", "1", {"text": "Milk"})
        await until(lambda: len(errors) >= 3)
        store.set_row("todo", "2", {"text": "Bread"}).set_cell("todo", "1", "text", "Butter")
        assert persister.get_stats()["saves"] == 1
    await persister.flush()
    assert {type(error) for error in errors} == {DatabaseBusyError}
    assert await rows(db) == [("0", "first"), ("1", "Butter"), ("2", "Bread")]
    assert persister.status is Status.IDLE


async def test_flush_says_that_a_save_failed_and_succeeds_later(db: CrSqliteDatabase, file: Path) -> None:
    store, persister, _ = await start(db)
    with Lock(file):
        store.set_row("todo", "1", {"text": "Milk"})
        with pytest.raises(DatabaseBusyError):
            await persister.flush()
    await persister.flush()
    assert await rows(db) == [("0", "first"), ("1", "Milk")]


async def test_a_full_disk_keeps_everything_until_there_is_room(db: CrSqliteDatabase) -> None:
    store, persister, errors = await start(db)
    pages = (await db.execute("PRAGMA page_count"))[0][0]
    await db.execute(f"PRAGMA max_page_count = {pages + 1}")
    store.set_row("todo", "1", {"text": "x" * 100_000})
    store.set_row("todo", "2", {"text": "small"})
    await until(lambda: errors)
    assert isinstance(errors[0], DatabaseFullError)
    await db.execute("PRAGMA max_page_count = 1000000")
    await persister.flush()
    assert await db.execute("SELECT id, length(text) FROM todo ORDER BY id") == [
        ("0", 5),
        ("1", 100_000),
        ("2", 5),
    ]


async def test_a_database_that_may_not_be_written_for_a_while(db: CrSqliteDatabase) -> None:
    store, persister, errors = await start(db)
    await db.execute("PRAGMA query_only = 1")
    store.set_row("todo", "1", {"text": "Milk"})
    await until(lambda: errors)
    assert isinstance(errors[0], DatabaseReadOnlyError)
    await db.execute("PRAGMA query_only = 0")
    await persister.flush()
    assert await rows(db) == [("0", "first"), ("1", "Milk")]


async def test_a_disk_that_fails_for_a_while(file: Path, failing_disk: Disk) -> None:
    async with CrSqliteDatabase(file, vfs=failing_disk.name) as db:
        store, persister, errors = await start(db)
        failing_disk.is_failing = True
        store.set_row("todo", "1", {"text": "Milk"})
        await until(lambda: errors and persister.status is Status.IDLE)  # and no attempt is under way
        assert isinstance(errors[0], DatabaseInputOutputError)
        failing_disk.is_failing = False
        await persister.flush()
        store.set_row("todo", "2", {"text": "Bread"})
        await persister.flush()
        changes = await db.execute("SELECT val FROM crsql_changes WHERE cid = 'text'")
    assert [text for (text,) in changes] == ["first", "Milk", "Bread"]


async def test_new_tables_and_columns_are_tried_again_too(db: CrSqliteDatabase, file: Path) -> None:
    store, persister, errors = await start(db)
    with Lock(file):
        store.set_row("todo", "1", {"due": 5}).set_value("open", True)
        await until(lambda: errors)
    await persister.flush()
    assert await rows(db) == [("0", "first", None), ("1", None, 5)]
    assert await rows(db, "settings") == [("_", "\ufffdtrue")]


async def test_each_failure_waits_longer_before_the_next_try(db: CrSqliteDatabase, file: Path) -> None:
    times: list[float] = []
    loop = asyncio.get_running_loop()
    store = create_store()
    persister = create_crsqlite_persister(
        store,
        db,
        CONFIG,
        on_error=lambda _: times.append(loop.time()),
        retry_delay=0.02,
        max_retry_delay=0.08,
    )
    await persister.start_auto_persisting()
    with Lock(file):
        store.set_row("todo", "1", {"text": "Milk"})
        await until(lambda: len(times) >= 5)
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert all(pause >= least for pause, least in zip(pauses, (0.02, 0.04, 0.08, 0.08), strict=False))


async def test_closing_tells_that_the_last_save_failed(db: CrSqliteDatabase, file: Path) -> None:
    store, persister, _ = await start(db)
    with Lock(file):
        store.set_row("todo", "1", {"text": "Milk"})
        with pytest.raises(DatabaseBusyError):
            await persister.close()
    with pytest.raises(PersisterError, match="closed"):
        await persister.flush()
    other = create_crsqlite_persister(store, db, CONFIG)
    await other.start_auto_persisting()
    assert await rows(db) == [("0", "first"), ("1", "Milk")]


async def test_a_persister_of_a_closed_database_says_so(file: Path) -> None:
    db = CrSqliteDatabase(file)
    persister = create_crsqlite_persister(create_store(), db, CONFIG)
    with pytest.raises(DatabaseClosedError, match=r"await open\(\)"):
        await persister.start_auto_load()
    assert not persister.is_auto_loading()
    assert persister.status is Status.IDLE
    async with db:
        await persister.start_auto_load()


async def test_a_load_that_fails_is_tried_again(db: CrSqliteDatabase) -> None:
    store, persister, errors = await start(db)
    broken = True

    def refuse(store: Store) -> None:
        if broken:
            raise ZeroDivisionError

    store.add_will_finish_transaction_listener(refuse)
    await db.execute("UPDATE todo SET text = 'changed'")
    await until(lambda: errors)
    assert isinstance(errors[0], ZeroDivisionError)
    assert store.get_cell("todo", "0", "text") == "first"
    broken = False
    await until(lambda: store.get_cell("todo", "0", "text") == "changed")
    assert await rows(db) == [("0", "changed")]
    assert persister.get_stats()["saves"] == 1


async def test_a_listener_of_the_store_that_raises_does_not_stop_loading(db: CrSqliteDatabase) -> None:
    store, _, errors = await start(db)

    def fail(*_: object) -> None:
        raise ZeroDivisionError

    store.add_table_listener("todo", fail)
    await db.execute("UPDATE todo SET text = 'one'")
    await until(lambda: store.get_cell("todo", "0", "text") == "one")
    await until(lambda: errors)
    await db.execute("UPDATE todo SET text = 'two'")
    await until(lambda: store.get_cell("todo", "0", "text") == "two")


async def test_listeners_of_the_persister_that_raise_stop_nothing(db: CrSqliteDatabase, file: Path) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    store = create_store()
    persister = create_crsqlite_persister(store, db, CONFIG, on_error=fail, retry_delay=0.001)
    persister.add_status_listener(fail)
    await persister.start_auto_persisting()
    with Lock(file):
        store.set_row("todo", "1", {"text": "Milk"})
        with pytest.raises(DatabaseBusyError):
            await persister.flush()
    await persister.flush()
    assert await rows(db) == [("1", "Milk")]


async def test_a_cancelled_flush_or_load_does_no_harm(db: CrSqliteDatabase) -> None:
    store, persister, errors = await start(db)
    release = threading.Event()
    blocked = db.read(lambda _: release.wait(10))
    store.set_row("todo", "1", {"text": "Milk"})
    waiting = [asyncio.ensure_future(persister.flush()), asyncio.ensure_future(persister.load())]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    release.set()
    await blocked
    await persister.flush()
    assert await rows(db) == [("0", "first"), ("1", "Milk")]
    assert errors == []


async def test_errors_are_logged(db: CrSqliteDatabase, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    store, persister, errors = await start(db)
    with Lock(file):
        store.set_row("todo", "1", {"text": "Milk"})
        await until(lambda: errors)
    await persister.flush()
    record = caplog.records[0]
    assert record.name == "replicell.persisters"
    assert "saving failed, the changes are kept" in record.getMessage()
