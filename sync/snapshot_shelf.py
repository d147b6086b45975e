"""The snapshots that a server has made of a room, for clients that have nothing yet."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from replicell.persisters.crsqlite.copies import write_copy
from replicell.persisters.crsqlite.epochs import Cursor
from replicell.sync.download import SNAPSHOT_ID_BYTES, digest_of
from replicell.sync.messages import Snapshot

__all__ = ["SnapshotShelf"]

_log = logging.getLogger("replicell.sync.server")

_FRESH_SECONDS: Final = 30.0
"""How long others are given the same one: what came after it follows as changes."""
_KEEP_SECONDS: Final = 120.0
"""How long one is kept that nobody asks for, for clients that come back to go on."""
_MOST_KEPT: Final = 3
"""Or clients that never come to an end could fill the disk."""


@dataclass(slots=True)
class _Kept:
    told: Snapshot
    path: Path
    made_at: float
    used_at: float


class SnapshotShelf:
    """Makes copies of a room's database and gives them out in parts, all beside the room's own thread.

    Args:
        database: The room's file. The snapshots are kept beside it, and those that a killed server has left
            are removed.
        now: A clock in seconds that only goes forward.
    """

    def __init__(self, database: str | Path, now: Callable[[], float] = time.monotonic) -> None:
        self._database = Path(database)
        self._now = now
        self._kept: dict[bytes, _Kept] = {}
        self._making: asyncio.Task[_Kept] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_clean = False

    async def find(self, wanted: bytes) -> Snapshot:
        """Return what there is to say of a snapshot; of another, recent one if that is gone."""
        kept = self._kept.get(wanted) or self._newest()
        if kept is None:
            if self._making is None:
                self._making = asyncio.get_running_loop().create_task(self._make())
                self._making.add_done_callback(_retrieve)
            # One is made for all who wait; who goes must not take it away from the others.
            kept = await asyncio.shield(self._making)
        self._use(kept)
        return kept.told

    async def read(self, wanted: bytes, offset: int, length: int) -> bytes:
        """Return a part of a snapshot; nothing if that is gone."""
        kept = self._kept.get(wanted)
        if kept is None:
            return b""
        self._use(kept)
        try:
            return await asyncio.to_thread(_read, kept.path, offset, length)
        except FileNotFoundError:
            return b""

    async def close(self) -> None:
        """Remove them all."""
        if self._timer is not None:
            self._timer.cancel()
        if self._making is not None:
            await asyncio.wait([self._making])
        for kept in self._kept.values():
            kept.path.unlink(missing_ok=True)
        self._kept.clear()

    def _newest(self) -> _Kept | None:
        newest = max(self._kept.values(), key=lambda kept: kept.made_at, default=None)
        return newest if newest is not None and newest.made_at > self._now() - _FRESH_SECONDS else None

    def _use(self, kept: _Kept) -> None:
        kept.used_at = self._now()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_KEEP_SECONDS, self._clear)

    def _clear(self) -> None:
        self._timer = None
        for kept in list(self._kept.values()):
            if kept.used_at <= self._now() - _KEEP_SECONDS:
                self._drop(kept)
        if self._kept:
            self._timer = asyncio.get_running_loop().call_later(_KEEP_SECONDS / 2, self._clear)

    def _drop(self, kept: _Kept) -> None:
        del self._kept[kept.told.id]
        kept.path.unlink(missing_ok=True)

    async def _make(self) -> _Kept:
        snapshot_id = os.urandom(SNAPSHOT_ID_BYTES)
        prefix = f"{self._database.name}-copy-"
        path = self._database.with_name(prefix + snapshot_id.hex())
        leftovers = None if self._is_clean else prefix
        try:
            cursor, size, digest = await asyncio.to_thread(_make, self._database, path, leftovers)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            self._making = None
        self._is_clean = True
        while len(self._kept) >= _MOST_KEPT:
            self._drop(min(self._kept.values(), key=lambda kept: kept.used_at))
        now = self._now()
        kept = self._kept[snapshot_id] = _Kept(Snapshot(snapshot_id, size, digest, cursor), path, now, now)
        _log.info("a snapshot of %s for new clients has %d bytes", self._database.name, size)
        return kept


def _retrieve(making: asyncio.Task[_Kept]) -> None:
    # Nobody may be waiting for it any more.
    if not making.cancelled() and (error := making.exception()) is not None:
        _log.error("no snapshot can be made: %s", error)


def _make(database: Path, path: Path, leftovers: str | None) -> tuple[Cursor, int, bytes]:
    if leftovers is not None:
        for left in database.parent.iterdir():
            if left.name.startswith(leftovers):
                left.unlink(missing_ok=True)
    cursor = write_copy(database, path)
    return cursor, path.stat().st_size, digest_of(path)


def _read(path: Path, offset: int, length: int) -> bytes:
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(length)
