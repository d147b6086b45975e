"""Text files that are replaced as a whole, never found half written, and watched for others' changes."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

__all__ = ["FileWatch", "Signature", "locked", "read_text", "remove_leftovers", "replace_text", "signature"]

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # Windows has no advisory locks of this kind
    fcntl = None

Signature: TypeAlias = tuple[int, int, int] | None
"""What tells two states of a file apart: modification time, size and inode; None if it is not there."""

_LOCK_RETRY_SECONDS = 0.002
_TOKEN_BYTES = 8


def signature(path: Path) -> Signature:
    """Return what tells the file's present state from others."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def read_text(path: Path) -> str | None:
    """Return what the file holds, None if it is not there.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is not UTF-8.
    """
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None


def replace_text(path: Path, text: str, announce: Callable[[Signature], None]) -> None:
    """Replace what the file holds, so that after a crash it holds either the old text or the new one.

    A symbolic link stays one: what it points to is replaced. The file keeps its permissions.

    Args:
        path: The file.
        text: What it will hold.
        announce: Told the signature that the file will have, before anybody can see it.

    Raises:
        OSError: it cannot be written; the file is as it was.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(_TOKEN_BYTES)}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o7777)
        announce(signature(temporary))
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    _sync_folder(target.parent)


def remove_leftovers(path: Path) -> None:
    """Remove what programs have left that were killed while they replaced the file.

    Call it while the file is :func:`locked`, or it takes away what others are writing. Where the system has
    no such locks nothing is removed.
    """
    if fcntl is None:
        return
    target = Path(os.path.realpath(path))
    leftover = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{{2 * _TOKEN_BYTES}}}\.tmp")
    with os.scandir(target.parent) as entries:
        names = [entry.name for entry in entries if leftover.fullmatch(entry.name)]
    for name in names:
        with contextlib.suppress(OSError):
            target.with_name(name).unlink()


@contextmanager
def locked(path: Path, seconds: float) -> Iterator[None]:
    """Keep other persisters from reading and replacing files of the same folder at the same time.

    The lock ends with the process that holds it. Where the system has no such locks there is none.

    Args:
        path: The file.
        seconds: How long to wait for others.

    Raises:
        TimeoutError: others kept the lock for longer.
    """
    if fcntl is None:
        yield
        return
    handle = os.open(Path(os.path.realpath(path)).parent, os.O_RDONLY)
    try:
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"another program keeps the folder of {path} locked") from None
                time.sleep(_LOCK_RETRY_SECONDS)
        yield
    finally:
        os.close(handle)


class FileWatch:
    """Calls a function, on a thread of its own, whenever a file has another signature than before.

    Args:
        path: The file.
        interval: Seconds between two looks.
        on_change: Called with the new signature.
    """

    def __init__(self, path: Path, interval: float, on_change: Callable[[Signature], None]) -> None:
        self._path = path
        self._interval = interval
        self._on_change = on_change
        self._last = signature(path)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._main, name=f"replicell {path}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._is_over.set()

    def _main(self) -> None:
        while not self._is_over.wait(self._interval):
            now = signature(self._path)
            if now != self._last:
                self._last = now
                self._on_change(now)


def _sync_folder(folder: Path) -> None:
    # Not every system lets a folder be opened; the rename is then as durable as it makes it.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
