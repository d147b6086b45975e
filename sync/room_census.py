"""How many rooms there are, open or not: counted once, and from then on as they are made."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from replicell.sync.access import room_file_name, room_of_file
from replicell.sync.errors import TooManyRoomsError

__all__ = ["RoomCensus"]

_FRESH_SECONDS: Final = 10.0


class RoomCensus:
    """Lets so many rooms be made in a folder, and no more.

    The folder is looked through in a thread, once at the start, and again now and then while there seem to be
    too many, because rooms may have been removed.

    Args:
        folder: The rooms' folder.
        most: How many rooms there may be; None for any number.
        in_use: Gives the names of the rooms that are open, or are being opened.
        clock: The time in seconds, from any clock that only goes forward.
    """

    def __init__(
        self,
        folder: Path,
        most: int | None,
        in_use: Callable[[], Iterable[str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._most = most
        self._in_use = in_use
        self._clock = clock
        self._there: set[str] = set()
        self._looked_at = float("-inf")
        self._looking = asyncio.Lock()

    def has(self, room: str) -> bool:
        """Tell whether a room's file is there."""
        return (self._folder / room_file_name(room)).exists()

    async def admit(self, room: str) -> None:
        """Count a room that is about to be opened.

        Raises:
            TooManyRoomsError: It would have to be made, and there are as many as there may be.
        """
        if self._most is None or room in self._there:
            return
        if not self.has(room):
            if self._looked_at == float("-inf") or len(self._there) >= self._most:
                await self._look()
            if len(self._there) >= self._most and room not in self._there:
                raise TooManyRoomsError(f"there are {self._most} rooms already, and no more are made")
        self._there.add(room)

    async def _look(self) -> None:
        async with self._looking:
            if self._clock() < self._looked_at + _FRESH_SECONDS:
                return
            before = set(self._there)
            found = await asyncio.to_thread(_rooms_in, self._folder)
            made_meanwhile = self._there - before
            self._there = found.union(made_meanwhile, self._in_use())
            self._looked_at = self._clock()


def _rooms_in(folder: Path) -> set[str]:
    with os.scandir(folder) as entries:
        return {room for entry in entries if (room := room_of_file(entry.name)) is not None}
