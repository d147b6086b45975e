"""The folder that keeps the installed extension, and the record beside it that tells how it came there.

The layout, below one folder for each release and platform::

    installed.json                  which library counts; replaced in one step, so readers never see a half
    <start of its SHA-256>/crsqlite.so
    install.lock                    held by whoever installs
    build.log                       what the tools said in the last source build
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import msgspec
import platformdirs

from replicell.persisters.crsqlite.extension.release import VERSION, Platform
from replicell.persisters.errors import ExtensionDamagedError, ExtensionError, ExtensionNotFoundError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["CACHE_VARIABLE", "ExtensionCache", "InstalledExtension", "cache_folder", "sha256_of"]

CACHE_VARIABLE = "REPLICELL_CACHE"

_RECORD = "installed.json"
_NEXT_STEP = "run `replicell extension install`, or point CRSQLITE_PATH to a cr-sqlite library you have"

_verified_signatures: set[tuple[str, str, int, int]] = set()


class InstalledExtension(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of an installed library: which file it is, and how it was made.

    Args:
        library: the library's path, relative to the folder of the record.
        sha256: the library's SHA-256 in hexadecimal, taken when it was checked.
        size: the library's length in bytes.
        version: the release of cr-sqlite, such as ``0.16.3``.
        platform: the platform's short name, such as ``linux-x86_64``.
        source: where it came from: ``prebuilt release``, ``source build`` or ``given file``.
        detail: the archive's address, the tools that built it, or the file it was copied from.
        seconds: how long getting and checking it took.
        installed_at: when, as an ISO 8601 time in UTC.
    """

    library: str
    sha256: str
    size: int
    version: str
    platform: str
    source: str
    detail: str
    seconds: float
    installed_at: str


def cache_folder() -> Path:
    """Return the folder that keeps the extension of this release for this platform.

    It is below the user's cache folder, or below ``REPLICELL_CACHE`` where that is set. It need not exist.
    """
    root = os.environ.get(CACHE_VARIABLE)
    base = Path(root).expanduser() if root else platformdirs.user_cache_path("replicell", appauthor=False)
    return base.absolute() / "crsqlite" / VERSION / Platform.current().name


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class ExtensionCache:
    """The installed extension of one release and platform, safe to use from several processes at once.

    Args:
        folder: where everything is kept; created when something is first written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read_record(self) -> InstalledExtension:
        """Return the record of what is installed.

        Raises:
            ExtensionNotFoundError: nothing is installed.
            ExtensionDamagedError: the record cannot be understood.
        """
        try:
            record = (self.folder / _RECORD).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            raise ExtensionNotFoundError(
                f"The cr-sqlite extension is not installed in {self.folder}: {_NEXT_STEP}."
            ) from None
        try:
            return msgspec.json.decode(record, type=InstalledExtension)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ExtensionDamagedError(
                f"The record of the installed cr-sqlite extension, {self.folder / _RECORD}, is damaged "
                f"({error}): {_NEXT_STEP}."
            ) from error

    def library(self) -> Path:
        """Return the path of the installed library after comparing it with its record.

        Comparing costs a few milliseconds the first time in a process; afterwards only the file's size and
        time of change are looked at.

        Raises:
            ExtensionNotFoundError: nothing is installed.
            ExtensionDamagedError: the library is missing or not the one that was installed.
        """
        record = self.read_record()
        path = self.folder / record.library
        try:
            status = path.stat()
            signature = (str(path), record.sha256, status.st_size, status.st_mtime_ns)
            if signature in _verified_signatures:
                return path
            intact = status.st_size == record.size and sha256_of(path) == record.sha256
        except (FileNotFoundError, NotADirectoryError):
            raise ExtensionDamagedError(
                f"The installed cr-sqlite extension {path} is gone: {_NEXT_STEP}."
            ) from None
        if not intact:
            raise ExtensionDamagedError(
                f"The installed cr-sqlite extension {path} is not the file that was installed "
                f"(its SHA-256 differs from the record): {_NEXT_STEP}."
            )
        _verified_signatures.add(signature)
        return path

    def keep(self, library: Path, *, source: str, detail: str, seconds: float) -> InstalledExtension:
        """Copy a library into the cache and make it the one that counts, in one step for all readers.

        Call it with the lock held, and only with a library that has been checked.

        Args:
            library: the file to keep; it stays where it is.
            source: where it came from, for the record.
            detail: more about that, for the record.
            seconds: how long getting and checking it took.
        """
        sha256 = sha256_of(library)
        relative = Path(sha256[:16]) / Platform.current().library
        target = self.folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, library.read_bytes())
        target.chmod(0o755)
        record = InstalledExtension(
            library=relative.as_posix(),
            sha256=sha256,
            size=target.stat().st_size,
            version=VERSION,
            platform=Platform.current().name,
            source=source,
            detail=detail,
            seconds=round(seconds, 1),
            installed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        _replace(self.folder / _RECORD, msgspec.json.format(msgspec.json.encode(record)) + b"\n")
        return record

    @contextmanager
    def lock(self, report: Callable[[str], None]) -> Iterator[None]:
        """Hold the installer's lock; the system frees it when the process ends, however it ends.

        Args:
            report: is told when another process holds the lock and this one has to wait.

        Raises:
            ExtensionError: the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = (self.folder / "install.lock").open("a+b")
        except OSError as error:
            raise ExtensionError(
                f"The cache folder {self.folder} cannot be written ({error.strerror}): "
                f"set {CACHE_VARIABLE} to a folder that can."
            ) from error
        with file:
            if not _try_lock(file):
                report("another process is installing the extension: waiting for it")
                _wait_for_lock(file)
            try:
                yield
            finally:
                _unlock(file)


def _replace(target: Path, content: bytes) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        with suppress(FileNotFoundError):
            Path(name).unlink()
        raise


if sys.platform == "win32":

    def _try_lock(file: IO[bytes]) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _wait_for_lock(file: IO[bytes]) -> None:
        # LK_LOCK gives up after ten tries, a second apart.
        file.seek(0)
        while True:
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
            except OSError:
                continue
            return

    def _unlock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _wait_for_lock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)

    def _unlock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
