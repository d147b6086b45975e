"""A disk that fails when it is told to, after some operations that still succeed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any

import apsw

__all__ = ["Faults", "FaultyDisk", "FaultyOs"]

_ERRORS = {"full": apsw.FullError, "io": apsw.IOError, "sync": apsw.IOError}
_NUMBERS = {"full": errno.ENOSPC, "io": errno.EIO, "sync": errno.EIO, "read-only": errno.EROFS}


class Faults:
    """What fails now.

    Args:
        on_operation: Called before each file operation.
    """

    def __init__(self, on_operation: Callable[[], None]) -> None:
        self._on_operation = on_operation
        self._kind: str | None = None
        self._spared = 0

    def begin(self, kind: str, spared: int) -> None:
        """Let operations fail, after some that are spared."""
        self._kind, self._spared = kind, spared

    def end(self) -> None:
        """Let everything succeed again."""
        self._kind = None

    def failing(self, is_sync: bool) -> str | None:
        """Note an operation, and return what lets it fail."""
        self._on_operation()
        kind = self._kind
        if kind is None or (kind == "sync" and not is_sync):
            return None
        if self._spared > 0:
            self._spared -= 1
            return None
        return kind


class FaultyDisk(apsw.VFS):
    """An SQLite file system."""

    def __init__(self, name: str, faults: Faults) -> None:
        super().__init__(name, "")
        self.name = name
        self.faults = faults

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _File(self.faults, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        _fail_if(self.faults.failing(is_sync=False))
        super().xDelete(filename, syncdir)


class _File(apsw.VFSFile):
    def __init__(self, faults: Faults, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self._faults = faults

    def xWrite(self, data: bytes, offset: int) -> None:
        _fail_if(self._faults.failing(is_sync=False))
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        _fail_if(self._faults.failing(is_sync=True))
        super().xSync(flags)


class FaultyOs:
    """The module ``os`` for `replicell.persisters.files`, in which syncing and renaming may fail."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def fsync(self, handle: int) -> None:
        self._fail_if(self._faults.failing(is_sync=True))
        os.fsync(handle)

    def replace(self, source: Any, target: Any) -> None:
        self._fail_if(self._faults.failing(is_sync=False))
        os.replace(source, target)

    def _fail_if(self, kind: str | None) -> None:
        if kind is not None:
            number = _NUMBERS[kind]
            raise OSError(number, os.strerror(number))


def _fail_if(kind: str | None) -> None:
    if kind is not None:
        raise _ERRORS[kind](f"the disk was told to fail: {kind}")
