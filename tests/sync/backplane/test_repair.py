"""Fingerprints of a room's content, and what is asked for when they differ."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.persisters.crsqlite.schema import create_table
from replicell.sync.backplane import InProcessBackplane, LinkOptions
from replicell.sync.backplane.entries import AskRows, Beacon, Repair, decode_telling
from replicell.sync.backplane.repair import BUCKETS, Repairer
from replicell.sync.errors import SyncError
from tests.sync.support import TODO, put

ONE, OTHER = b"one run.", b"another."


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[CrSqliteDatabase]:
    async with CrSqliteDatabase(tmp_path / "room.db") as opened:
        await opened.run(create_table, TODO)
        yield opened


def beacon(digest: list[int], position: int) -> Beacon:
    return Beacon(OTHER, b"s" * 16, b"e" * 16, 1, position, position, [], digest)


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


async def test_nodes_at_different_places_of_the_log_are_not_compared(db: CrSqliteDatabase) -> None:
    repairer = Repairer(ONE, db, Catalog())
    await repairer.digest(7)
    assert repairer.compare(beacon([1] * BUCKETS, 8)) is None
    assert repairer.compare(beacon([], 7)) is None
    assert repairer.compare(beacon([1] * BUCKETS, 7)) is not None


async def test_nothing_is_looked_at_again_as_long_as_nothing_has_changed(db: CrSqliteDatabase) -> None:
    repairer = Repairer(ONE, db, Catalog())
    assert await repairer.digest(7)
    assert await repairer.digest(7) == []
    assert await repairer.digest(8)


async def test_the_answer_holds_the_rows_of_the_parts_that_were_asked_for(
    db: CrSqliteDatabase,
) -> None:
    hub = InProcessBackplane()
    log = await hub.open_room("room")
    heard: list[bytes] = []
    await log.listen(heard.append)
    for number in range(200):
        await put(db, str(number), "x" * 20_000)
    repairer = Repairer(ONE, db, Catalog())
    await repairer.answer(AskRows(OTHER, ONE, list(range(BUCKETS // 2))), log)

    # What is told is heard in the next turn of the loop.
    await db.execute("SELECT 1")
    answers = [telling for payload in heard if isinstance(telling := decode_telling(payload), Repair)]
    assert len(answers) > 1
    assert max(map(len, heard)) <= log.max_payload
    keys = {row.pk for answer in answers for row in answer.rows}
    assert 50 < len(keys) < 150
    assert {answer.asked for answer in answers} == {OTHER}
    await log.close()


@pytest.mark.parametrize("seconds", [0, -1])
def test_intervals_that_make_no_sense_are_refused(seconds: float) -> None:
    with pytest.raises(SyncError, match="more than 0"):
        LinkOptions(beacon_interval=seconds)
    with pytest.raises(SyncError, match="more than 0"):
        LinkOptions(check_interval=seconds)


def test_waits_that_make_no_sense_are_refused() -> None:
    with pytest.raises(SyncError, match="0 or more"):
        LinkOptions(catch_up_timeout=-1)
