"""What a listener of changes will want is read right after the commit, where nothing else waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from replicell.persisters.sqlite.database import SqliteDatabase
from replicell.persisters.sqlite.prefetch import Found, Prefetch

OWNER = object()


def count(connection: apsw.Connection) -> int:
    number: int = connection.execute("SELECT count(*) FROM todo").get
    return number


def insert(connection: apsw.Connection) -> None:
    connection.execute("INSERT INTO todo VALUES ('milk')")


class Reader:
    """A listener with a prefetch, which wants to count the rows each time."""

    def __init__(self, db: SqliteDatabase) -> None:
        self.prefetch: Prefetch[int] = Prefetch(OWNER)
        self.found: list[Found[int] | None] = []
        db.on_change(lambda _: self.found.append(self.prefetch.take()), prefetch=self.prefetch)


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[SqliteDatabase]:
    async with SqliteDatabase(tmp_path / "todo.db") as database:
        await database.execute("CREATE TABLE todo (text)")
        yield database


async def test_what_is_wanted_is_there_when_the_listener_is_told(db: SqliteDatabase) -> None:
    reader = Reader(db)
    reader.prefetch.want(count)

    await db.write(insert)

    assert reader.found == [Found(count, 1)]


async def test_it_is_read_once(db: SqliteDatabase) -> None:
    reader = Reader(db)
    reader.prefetch.want(count)

    await db.write(insert)
    await db.write(insert)

    assert reader.found == [Found(count, 1), None]


async def test_nothing_is_read_after_the_own_writes(db: SqliteDatabase) -> None:
    reader = Reader(db)
    reader.prefetch.want(count)

    await db.write(insert, origin=OWNER)
    await db.write(insert)

    assert reader.found == [None, Found(count, 2)]


async def test_nothing_is_read_while_others_wait_for_the_thread(db: SqliteDatabase) -> None:
    reader = Reader(db)
    reader.prefetch.want(count)

    await asyncio.gather(db.write(insert), db.write(insert))

    assert reader.found == [None, Found(count, 2)]


async def test_nothing_is_read_after_a_write_that_failed(db: SqliteDatabase) -> None:
    reader = Reader(db)
    reader.prefetch.want(count)

    with pytest.raises(apsw.SQLError):
        await db.write(lambda connection: connection.execute("nonsense"))

    assert reader.found == []
    assert reader.prefetch.begin() is count


async def test_a_read_that_fails_is_left_to_the_listener_and_hurts_nobody(db: SqliteDatabase) -> None:
    def fail(connection: apsw.Connection) -> int:
        raise ValueError("no")

    reader = Reader(db)
    reader.prefetch.want(fail)

    await db.write(insert)

    assert reader.found == [None]
    assert await db.read(count) == 1


async def test_a_read_that_writes_is_undone(db: SqliteDatabase) -> None:
    def write(connection: apsw.Connection) -> int:
        insert(connection)
        return 1

    reader = Reader(db)
    reader.prefetch.want(write)

    await db.write(insert)

    assert reader.found == [None]
    assert await db.read(count) == 1


async def test_what_the_listener_leaves_is_forgotten(db: SqliteDatabase) -> None:
    prefetch: Prefetch[int] = Prefetch(OWNER)
    db.on_change(lambda _: None, prefetch=prefetch)
    prefetch.want(count)

    await db.write(insert)

    assert prefetch.take() is None


async def test_who_listens_no_more_has_nothing_read(db: SqliteDatabase) -> None:
    prefetch: Prefetch[int] = Prefetch(OWNER)
    db.on_change(lambda _: None)
    db.on_change(lambda _: None, prefetch=prefetch).cancel()
    prefetch.want(count)

    await db.write(insert)

    assert prefetch.begin() is count
