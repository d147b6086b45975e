"""Fingerprints of a room's content, and what is asked for and published once more when they differ."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.changes import Change, read_page
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.schema import create_table
from replicell.sync.backplane import LinkOptions
from replicell.sync.backplane.entries import AskRows, Beacon
from replicell.sync.backplane.repair import BUCKETS, Repairer
from replicell.sync.errors import SyncError
from replicell.sync.ledger import LOG_SITE_ID
from tests.sync.support import TODO, put

ONE, OTHER = b"one run.", b"another."


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[CrSqliteDatabase]:
    async with CrSqliteDatabase(tmp_path / "room.db") as opened:
        await opened.run(create_table, TODO)
        yield opened


def beacon(digest: list[int], position: int) -> Beacon:
    return Beacon(OTHER, b"s" * 16, [], [], position, position, [], digest, "the log")


async def test_equal_content_has_equal_fingerprints_whatever_the_order_it_was_written_in(
    db: CrSqliteDatabase, tmp_path: Path
) -> None:
    async with CrSqliteDatabase(tmp_path / "other.db") as other:
        await other.run(create_table, TODO)
        for number in range(100):
            await put(db, str(number), number)
        for number in reversed(range(100)):
            await put(other, str(number), number)
        first = await Repairer(ONE, db, Catalog()).digest(1)
        second = await Repairer(OTHER, other, Catalog()).digest(1)
    assert first == second
    assert len(set(first)) > BUCKETS // 2


async def test_one_cell_more_changes_one_fingerprint_and_that_is_asked_for_once(db: CrSqliteDatabase) -> None:
    await put(db, "1", "x")
    repairer = Repairer(ONE, db, Catalog())
    theirs = await repairer.digest(7)
    await put(db, "2", "y")
    ours = await repairer.digest(8)
    differing = [bucket for bucket in range(BUCKETS) if ours[bucket] != theirs[bucket]]
    assert len(differing) == 1
    assert repairer.compare(beacon(theirs, 8)) == AskRows(ONE, OTHER, differing)
    assert repairer.compare(beacon(theirs, 8)) is None


async def test_there_is_nothing_to_compare_before_both_have_a_digest(db: CrSqliteDatabase) -> None:
    repairer = Repairer(ONE, db, Catalog())
    assert repairer.compare(beacon([1] * BUCKETS, 7)) is None
    await repairer.digest(7)
    assert repairer.compare(beacon([], 7)) is None
    assert repairer.compare(beacon([1] * BUCKETS, 7)) is not None


async def test_what_was_asked_for_and_changed_nothing_is_asked_for_again_three_times_at_most(
    db: CrSqliteDatabase,
) -> None:
    repairer = Repairer(ONE, db, Catalog())
    await repairer.digest(7)
    assert repairer.ask_again() is None
    asked = repairer.compare(beacon([1] * BUCKETS, 7))
    assert asked is not None
    assert [repairer.ask_again() for _ in range(4)] == [asked, asked, asked, None]

    repairer.compare(beacon([2] * BUCKETS, 7))
    await repairer.digest(8)
    assert repairer.ask_again() is None


async def test_what_is_not_in_the_log_yet_is_not_compared(db: CrSqliteDatabase) -> None:
    await put(db, "1", "x")
    repairer = Repairer(ONE, db, Catalog())
    assert await repairer.digest(7, lambda version: version < 1) == []
    assert repairer.compare(beacon([1] * BUCKETS, 7)) is None
    assert await repairer.digest(7, lambda version: version <= 1) != []
    assert repairer.compare(beacon([1] * BUCKETS, 7)) is not None


async def test_nothing_is_looked_at_again_as_long_as_nothing_has_changed(db: CrSqliteDatabase) -> None:
    repairer = Repairer(ONE, db, Catalog())
    assert await repairer.digest(7)
    assert await repairer.digest(7) == []
    assert await repairer.digest(8)


async def changes_after(db: CrSqliteDatabase, version: int) -> list[Change]:
    """Read what is to be published after a version."""
    read = partial(
        read_page,
        catalog=Catalog(),
        since=version,
        exclude=LOG_SITE_ID,
        max_changes=10**6,
        max_bytes=10**9,
    )
    return (await db.read(read)).changes


async def test_the_answer_renews_the_rows_of_the_parts_that_were_asked_for_in_pages_and_then_ends(
    db: CrSqliteDatabase,
) -> None:
    for number in range(200):
        await put(db, str(number), "x" * 20_000)
    before = await db.read(Catalog().latest_version)
    answer = Repairer(ONE, db, Catalog()).answer(AskRows(OTHER, ONE, list(range(BUCKETS // 2))))
    assert answer is not None
    while await answer.next():
        pass
    assert await answer.next() is False

    renewed = await changes_after(db, before)
    versions = {change.db_version for change in renewed}
    assert len(versions) > 1
    assert min(versions) > before
    assert 50 < len({change.pk for change in renewed}) < 150
    assert len({change.pk for change in await changes_after(db, 0)}) == 200


async def test_what_is_written_while_an_answer_is_given_is_left_where_it_is(db: CrSqliteDatabase) -> None:
    for number in range(50):
        await put(db, str(number), "x" * 20_000)
    answer = Repairer(ONE, db, Catalog()).answer(AskRows(OTHER, ONE, list(range(BUCKETS))))
    assert answer is not None
    assert await answer.next()
    await put(db, "49", "written meanwhile")
    ((version,),) = await db.execute("SELECT max(db_version) FROM todo__crsql_clock WHERE col_name = 'text'")
    while await answer.next():
        pass
    written = [change for change in await changes_after(db, 0) if change.val == "written meanwhile"]
    assert [change.db_version for change in written] == [version]


async def test_what_two_nodes_ask_for_is_published_once(db: CrSqliteDatabase) -> None:
    await put(db, "1", "x")
    repairer = Repairer(ONE, db, Catalog())
    assert repairer.answer(AskRows(OTHER, ONE, [1, 2])) is not None
    assert repairer.answer(AskRows(b"a third.", ONE, [2, 1])) is None
    assert repairer.answer(AskRows(b"a third.", ONE, [2, 3])) is not None
    await repairer.digest(7)
    assert repairer.answer(AskRows(OTHER, ONE, [1, 2])) is not None


async def test_a_difference_that_stays_is_asked_about_three_times(db: CrSqliteDatabase) -> None:
    await put(db, "1", "x")
    repairer = Repairer(ONE, db, Catalog())
    ours = await repairer.digest(1)
    theirs = [fingerprint ^ 1 for fingerprint in ours]
    asked = 0
    for position in range(2, 10):
        await repairer.digest(position)
        asked += repairer.compare(beacon(theirs, position)) is not None
    assert asked == 3
    await put(db, "1", "y")
    ours_now = await repairer.digest(10)
    again = repairer.compare(beacon(theirs, 10))
    assert again is not None
    assert again.buckets == [bucket for bucket in range(BUCKETS) if ours[bucket] != ours_now[bucket]]


@pytest.mark.parametrize("seconds", [0, -1])
def test_intervals_that_make_no_sense_are_refused(seconds: float) -> None:
    with pytest.raises(SyncError, match="more than 0"):
        LinkOptions(beacon_interval=seconds)
    with pytest.raises(SyncError, match="more than 0"):
        LinkOptions(check_interval=seconds)


def test_waits_that_make_no_sense_are_refused() -> None:
    with pytest.raises(SyncError, match="0 or more"):
        LinkOptions(catch_up_timeout=-1)
