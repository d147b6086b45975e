"""Prove that a library is a working cr-sqlite, without letting a bad one near this process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec

from replicell.persisters.crsqlite.extension import probe
from replicell.persisters.crsqlite.extension.locate import PATH_VARIABLE
from replicell.persisters.crsqlite.extension.release import ENTRY_POINT, VERSION, VERSION_NUMBER
from replicell.persisters.errors import ExtensionCheckError, ExtensionNotFoundError

__all__ = ["CheckReport", "check_extension"]

_PROGRAM = Path(probe.__file__)


class CheckReport(msgspec.Struct, frozen=True):
    """What a library showed of itself.

    Args:
        version: cr-sqlite's version as a number, ``160300`` for 0.16.3.
        sqlite: the version of the SQLite that loaded it.
        keys: how many primary keys at byte boundaries went from one database to another unharmed.
    """

    version: int
    sqlite: str
    keys: int


class _Failure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    error: str


def check_extension(path: Path, *, timeout: float = 60.0) -> CheckReport:
    """Load a library in a process of its own, merge between two databases with it and report.

    Edits of one row on both sides, a deletion, and primary keys around every byte boundary (127 to 256,
    32767 to 65536 and beyond, as integers and as lengths of texts) have to come out right.

    Args:
        path: the library.
        timeout: seconds after which the process is ended.

    Raises:
        ExtensionNotFoundError: there is no such file.
        ExtensionCheckError: it cannot be loaded, is another version, ends its process or merges wrongly.
    """
    if not path.is_file():
        raise ExtensionNotFoundError(f"There is no file {path}: {_next_step(path)}.")
    # A name without a folder would be searched for among the system's libraries, so the path is absolute.
    command = [sys.executable, "-P", str(_PROGRAM), str(path.absolute()), ENTRY_POINT]
    try:
        process = subprocess.run(command, capture_output=True, timeout=timeout, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise _refusal(path, f"it did not answer within {timeout:g} seconds") from None
    return _judge(path, process)


def _judge(path: Path, process: subprocess.CompletedProcess[bytes]) -> CheckReport:
    if process.returncode != 0:
        last_words = process.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise _refusal(path, _cause_of_death(process.returncode) + (f" ({last_words})" if last_words else ""))
    try:
        answer = msgspec.json.decode(process.stdout, type=dict[str, object])
        if "error" in answer:
            raise _refusal(path, msgspec.convert(answer, _Failure).error)
        report = msgspec.convert(answer, CheckReport)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _refusal(path, "it is not cr-sqlite, it gave no version") from None
    if report.version != VERSION_NUMBER:
        raise _refusal(
            path, f"it is version {report.version}, and replicell needs {VERSION_NUMBER} ({VERSION})"
        )
    return report


def _cause_of_death(status: int) -> str:
    if os.name == "posix" and status < 0:
        return f"it ended the process that loaded it with {signal.Signals(-status).name}"
    return f"the process that loaded it failed with status {status}"


def _refusal(path: Path, reason: str) -> ExtensionCheckError:
    return ExtensionCheckError(
        f"The library {path} is not a working cr-sqlite: {reason}; {_next_step(path)}."
    )


def _next_step(path: Path) -> str:
    named = os.environ.get(PATH_VARIABLE)
    if named and Path(named).expanduser().absolute() == path.absolute():
        return f"let {PATH_VARIABLE} name another, or unset it and run `replicell extension install`"
    return "run `replicell extension install --force` to get another"
