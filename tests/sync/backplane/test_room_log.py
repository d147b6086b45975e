"""A room's log: what every backplane promises to those who follow it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from pathlib import Path

import pytest

from replicell.sync.backplane import Backplane, BackplaneError, Entry, RoomLog, TrimmedError
from tests.sync.backplane.conftest import MakeBackplane
from tests.sync.support import PATIENCE


@pytest.fixture
async def backplane(make_backplane: MakeBackplane, stack: AsyncExitStack) -> AsyncIterator[Backplane]:
    made = make_backplane()
    await made.start()
    yield made
    await made.close()


@pytest.fixture
async def log(backplane: Backplane, stack: AsyncExitStack) -> RoomLog:
    opened = await backplane.open_room("room")
    stack.push_async_callback(opened.close)
    return opened


async def read(log: RoomLog, after: int, count: int) -> list[Entry]:
    """Follow until so many entries have come."""
    found: list[Entry] = []
    async with asyncio.timeout(PATIENCE), aclosing(log.follow(after)) as coming:
        while len(found) < count:
            found.extend(await anext(coming))
    return found


async def test_entries_come_in_the_order_of_their_sequences(log: RoomLog) -> None:
    sequences = [await log.append(bytes([number]), f"id {number}") for number in range(10)]
    assert await read(log, 0, 10) == [
        Entry(sequence, bytes([number])) for number, sequence in enumerate(sequences)
    ]
    assert await log.last() == sequences[-1]


async def test_an_empty_log_has_no_last_entry_and_no_snapshot(log: RoomLog, tmp_path: Path) -> None:
    assert await log.last() == 0
    assert await log.snapshot_position() == 0
    assert await log.load_snapshot(tmp_path / "none") is None
    assert not (tmp_path / "none").exists()


async def test_who_follows_gets_what_is_appended_meanwhile(log: RoomLog) -> None:
    await log.append(b"before", "1")
    async with asyncio.timeout(PATIENCE), aclosing(log.follow(0)) as coming:
        first = await anext(coming)
        sequence = await log.append(b"meanwhile", "2")
        second: Sequence[Entry] = await anext(coming)
    assert [entry.payload for entry in first] == [b"before"]
    assert list(second) == [Entry(sequence, b"meanwhile")]


async def test_one_can_follow_from_any_place(log: RoomLog) -> None:
    sequences = [await log.append(bytes([number]), f"id {number}") for number in range(5)]
    assert [entry.payload for entry in await read(log, sequences[2], 2)] == [b"\x03", b"\x04"]


async def test_the_same_id_appends_nothing_the_second_time(log: RoomLog) -> None:
    first = await log.append(b"once", "the id")
    assert await log.append(b"once", "the id") == first
    await log.append(b"after", "another id")
    assert [entry.payload for entry in await read(log, 0, 2)] == [b"once", b"after"]


async def test_more_than_fits_in_one_answer_is_read_to_the_end(log: RoomLog) -> None:
    await asyncio.gather(*(log.append(b"%d" % number, f"id {number}") for number in range(700)))
    entries = await read(log, 0, 700)
    assert len({entry.payload for entry in entries}) == 700
    assert [entry.sequence for entry in entries] == sorted(entry.sequence for entry in entries)


async def test_an_entry_may_be_as_big_as_is_said_and_no_bigger(log: RoomLog) -> None:
    await log.append(b"x" * log.max_payload, "big")
    assert [len(entry.payload) for entry in await read(log, 0, 1)] == [log.max_payload]
    with pytest.raises(BackplaneError, match="too big"):
        await log.append(b"x" * (log.max_payload + 1), "bigger")


async def test_rooms_have_logs_of_their_own(backplane: Backplane, log: RoomLog) -> None:
    other = await backplane.open_room("Room/of *another* kind.>")
    await other.append(b"other", "1")
    await log.append(b"this", "2")
    assert [entry.payload for entry in await read(log, 0, 1)] == [b"this"]
    assert [entry.payload for entry in await read(other, 0, 1)] == [b"other"]
    await other.close()


async def test_a_snapshot_takes_the_place_of_the_entries_up_to_its_position(
    log: RoomLog, tmp_path: Path
) -> None:
    sequences = [await log.append(bytes([number]), f"id {number}") for number in range(6)]
    content = tmp_path / "snapshot"
    content.write_bytes(bytes(range(256)) * 8000)

    assert await log.save_snapshot(content, sequences[3])

    assert await log.snapshot_position() == sequences[3]
    assert await log.load_snapshot(tmp_path / "loaded") == sequences[3]
    assert (tmp_path / "loaded").read_bytes() == content.read_bytes()
    for position in (0, sequences[2]):
        with pytest.raises(TrimmedError):
            await read(log, position, 1)
    assert [entry.payload for entry in await read(log, sequences[3], 2)] == [b"\x04", b"\x05"]
    assert await log.last() == sequences[5]


async def test_of_two_snapshots_the_newer_one_stays(log: RoomLog, tmp_path: Path) -> None:
    sequences = [await log.append(bytes([number]), f"id {number}") for number in range(3)]
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"old")
    new.write_bytes(b"new" * 400_000)
    assert await log.save_snapshot(new, sequences[2])
    assert not await log.save_snapshot(old, sequences[1])
    assert await log.load_snapshot(tmp_path / "loaded") == sequences[2]
    assert (tmp_path / "loaded").read_bytes() == new.read_bytes()
    # The room's newest sequence can be found although everything is in the snapshot.
    assert await log.last() == sequences[2]


async def test_of_two_snapshots_that_are_kept_at_the_same_time_the_newer_one_stays_too(
    backplane: Backplane, log: RoomLog, tmp_path: Path
) -> None:
    other = await backplane.open_room("room")
    sequences = [await log.append(bytes([number]), f"id {number}") for number in range(4)]
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"old" * 2_000_000)
    new.write_bytes(b"new")

    async with asyncio.timeout(PATIENCE):
        # The older one takes longer.
        await asyncio.gather(log.save_snapshot(old, sequences[1]), other.save_snapshot(new, sequences[2]))
        assert await log.load_snapshot(tmp_path / "loaded") == sequences[2]

    assert (tmp_path / "loaded").read_bytes() == b"new"
    assert [entry.payload for entry in await read(log, sequences[2], 1)] == [b"\x03"]
    await other.close()


async def test_of_two_snapshots_that_are_kept_at_the_same_time_neither_takes_the_others_pieces(
    backplane: Backplane, log: RoomLog, tmp_path: Path
) -> None:
    other = await backplane.open_room("room")
    sequences = [await log.append(bytes([number]), f"id {number}") for number in range(4)]
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"old")
    new.write_bytes(b"new" * 2_000_000)

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(other.save_snapshot(new, sequences[2]), log.save_snapshot(old, sequences[1]))
        assert await log.load_snapshot(tmp_path / "loaded") == sequences[2]

    assert (tmp_path / "loaded").read_bytes() == new.read_bytes()
    await other.close()


async def test_what_is_told_reaches_those_who_listen(backplane: Backplane, log: RoomLog) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()
    other = await backplane.open_room("room")
    await other.listen(heard.put_nowait)
    # Who has just begun to listen is not known everywhere yet, and what is told may get lost.
    said = b""
    async with asyncio.timeout(PATIENCE):
        while not said:
            await log.tell(b"hello")
            with suppress(TimeoutError):
                said = await asyncio.wait_for(heard.get(), 0.1)
    assert said == b"hello"
    await other.close()
