"""Disks that are slow or fail, as SQLite file systems of their own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import apsw


class Disk(apsw.VFS):
    """A file system that waits before each write and sync, and fails while it is told to.

    Args:
        name: The name to give to ``vfs=``.
        delay: Seconds.
    """

    def __init__(self, name: str, delay: float = 0.0) -> None:
        super().__init__(name, "")
        self.name = name
        self.delay = delay
        self.is_failing = False
        self.writes = 0

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _File(self, name, flags)


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._disk = disk

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.writes += 1
        self._touch()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        self._touch()
        super().xSync(flags)

    def _touch(self) -> None:
        if self._disk.is_failing:
            raise apsw.IOError("the disk was told to fail")
        if self._disk.delay:
            time.sleep(self._disk.delay)


@contextmanager
def disk(name: str, delay: float = 0.0) -> Iterator[Disk]:
    """A disk for as long as a test runs."""
    made = Disk(name, delay)
    try:
        yield made
    finally:
        made.unregister()
