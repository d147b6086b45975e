"""Folders that may not be written, for whoever runs the tests, be it root."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["unwritable"]

_VERSION_3 = 0x20080522
_OVERRIDE_PERMISSIONS = 1 << 1


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


@contextmanager
def unwritable(path: Path) -> Iterator[None]:
    """Forbid writing to a file or folder for a while, also to this thread and those it starts."""
    mode = path.stat().st_mode
    path.chmod(mode & ~0o222)
    try:
        with _ordinary_user():
            yield
    finally:
        path.chmod(mode)


@contextmanager
def _ordinary_user() -> Iterator[None]:
    """Let permissions apply to root too, where the system is Linux."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = _Header(_VERSION_3, 0), (_Sets * 2)()
    _check(libc.capget(ctypes.byref(header), sets))
    before = sets[0].effective
    sets[0].effective = before & ~_OVERRIDE_PERMISSIONS
    _check(libc.capset(ctypes.byref(header), sets))
    try:
        yield
    finally:
        sets[0].effective = before
        _check(libc.capset(ctypes.byref(header), sets))


def _check(result: int) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), "capabilities cannot be changed")
