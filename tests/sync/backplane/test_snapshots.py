"""Snapshots in place of a log's entries: where the files are that they need for a while."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from replicell.persisters.crsqlite.database import CrSqliteDatabase
from replicell.sync.backplane import InProcessBackplane
from replicell.sync.backplane.snapshots import bootstrap, read_snapshot, save_snapshot
from tests.sync.backplane.node_sites import journaled
from tests.sync.conftest import OpenDatabase
from tests.sync.support import PATIENCE


@pytest.fixture
async def room(open_database: OpenDatabase) -> CrSqliteDatabase:
    return await journaled(await open_database("room"))


def files_for_a_while(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if ".db.snapshot-" in path.name]


async def test_copies_are_on_the_rooms_disk_and_gone_afterwards(
    room: CrSqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await InProcessBackplane().open_room("room")
    seen: list[Path] = []
    save, load = log.save_snapshot, log.load_snapshot

    async def watched_save(content: Path, position: int) -> bool:
        seen.append(content)
        return await save(content, position)

    async def watched_load(target: Path, *more: object) -> int | None:
        seen.append(target)
        return await load(target)

    monkeypatch.setattr(log, "save_snapshot", watched_save)
    monkeypatch.setattr(log, "load_snapshot", watched_load)
    assert await save_snapshot(log, room)
    assert await read_snapshot(log, room, 0) is not None
    assert await bootstrap(log, tmp_path / "new.db", PATIENCE)
    assert [path.parent for path in seen] == [tmp_path] * 3
    assert [path.name.rpartition("-")[0] for path in seen] == ["room.db.snapshot"] * 2 + ["new.db.snapshot"]
    assert not files_for_a_while(tmp_path)


async def test_what_a_killed_node_has_left_is_removed_and_nothing_else(
    room: CrSqliteDatabase, tmp_path: Path
) -> None:
    left = [tmp_path / f"room.db.snapshot-{name}" for name in ("0123abcd", "0123abcd-wal", "4567cdef")]
    others = [tmp_path / name for name in ("bathroom.db.snapshot-0123abcd", "room.db.backup")]
    for path in (*left, *others):
        path.write_bytes(b"x")
    assert await save_snapshot(await InProcessBackplane().open_room("room"), room)
    assert not [path for path in left if path.exists()]
    assert all(path.exists() for path in others)


async def test_a_file_that_is_being_read_stays_while_another_one_is_made(
    room: CrSqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = await InProcessBackplane().open_room("room")
    assert await save_snapshot(log, room)
    load = log.load_snapshot
    is_loaded, may_go_on = asyncio.Event(), asyncio.Event()

    async def halting(target: Path, *more: object) -> int | None:
        position = await load(target)
        is_loaded.set()
        await may_go_on.wait()
        return position

    monkeypatch.setattr(log, "load_snapshot", halting)
    async with asyncio.timeout(PATIENCE):
        reading = asyncio.create_task(read_snapshot(log, room, 0))
        await is_loaded.wait()
        assert not await save_snapshot(log, room)
        assert len(files_for_a_while(tmp_path)) == 1
        may_go_on.set()
        snapshot = await reading
    assert snapshot is not None
    assert [row.val for row in snapshot.rows + snapshot.unlogged if row.cid == "text"] == ["x"]
    assert not files_for_a_while(tmp_path)
