"""How a server's rooms and clients are at one moment."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from replicell.sync.access import room_of_file

__all__ = ["ClusterOverview", "FileSizes", "Overview", "RoomOverview", "measure_files"]

_FRESH_SECONDS: Final = 10.0


@dataclass(slots=True)
class RoomOverview:
    """One open room.

    Args:
        name: Its name.
        lags: For how many seconds each of its clients has not had everything, 0 for those that do.
    """

    name: str
    lags: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ClusterOverview:
    """How a node gets on with the other ones.

    Args:
        connected: Whether the rooms' logs can be reached and appended to just now.
        waiting_seconds: For how long the oldest of what is committed here is not known to be in its log.
        repairs: How often the content of a room turned out to differ from another node's.
    """

    connected: bool
    waiting_seconds: float
    repairs: int


@dataclass(frozen=True, slots=True)
class Overview:
    """All that is open.

    Args:
        rooms: The open rooms.
        sizes: The bytes of each room's database by the room's name, open or not.
        ready: Whether the server is ready.
        cluster: How it gets on with other nodes; None on a server that is alone.
    """

    rooms: list[RoomOverview]
    sizes: dict[str, int]
    ready: bool
    cluster: ClusterOverview | None = None


class FileSizes:
    """How big the rooms' files are, looked up again only now and then.

    Args:
        folder: The rooms' folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._sizes: dict[str, int] = {}
        self._measured_at = float("-inf")

    async def get(self) -> dict[str, int]:
        """Return the bytes of each room's database by the room's name."""
        if time.monotonic() > self._measured_at + _FRESH_SECONDS:
            self._sizes = await asyncio.to_thread(measure_files, self._folder)
            self._measured_at = time.monotonic()
        return self._sizes


def measure_files(folder: Path) -> dict[str, int]:
    """Return the bytes of each room's database, with its write-ahead log, by the room's name."""
    sizes: dict[str, int] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            room = room_of_file(entry.name.removesuffix("-wal"))
            if room is not None:
                try:
                    sizes[room] = sizes.get(room, 0) + entry.stat().st_size
                except FileNotFoundError:
                    continue
    return sizes
