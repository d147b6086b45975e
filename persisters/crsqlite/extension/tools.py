"""The machine's own tools that a source build needs: finding them, and running them with progress."""

from __future__ import annotations

import os
import queue
import re
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from replicell.persisters.errors import SourceBuildError, ToolMissingError

__all__ = ["NEXT_STEP", "ToolRunner", "Tools", "find_tools", "require_rust"]

_OLDEST_RUST = (1, 75)

_HOW_TO_GET = {
    "cargo": "cargo (install Rust from rustup.rs)",
    "cc": "a C compiler (apt install build-essential, dnf install gcc, or xcode-select --install)",
    "npm": "npm (comes with Node.js from nodejs.org, or apt install npm)",
}

NEXT_STEP = (
    "Put that right and run `replicell extension install` again, "
    "or set CRSQLITE_PATH to a cr-sqlite library you have."
)

_LINES_SHOWN = 12


@dataclass(frozen=True)
class Tools:
    """The commands that make the extension.

    Args:
        cargo: the path of cargo.
        compiler: the C compiler with the arguments that ``CC`` may carry.
        npm: the path of npm.
    """

    cargo: str
    compiler: tuple[str, ...]
    npm: str


def find_tools() -> Tools:
    """Find cargo, the C compiler (``CC`` first, then cc, gcc and clang) and npm.

    Raises:
        ToolMissingError: something is not there; the message names all of it, with how to get it.
    """
    cargo, npm, compiler = shutil.which("cargo"), shutil.which("npm"), _find_compiler()
    found: dict[str, object] = {"cargo": cargo, "cc": compiler, "npm": npm}
    if missing := [_HOW_TO_GET[name] for name, tool in found.items() if not tool]:
        raise ToolMissingError(
            f"Building cr-sqlite from source needs tools that are not on PATH: "
            f"{'; '.join(missing)}. {NEXT_STEP}"
        )
    assert cargo is not None and npm is not None
    return Tools(cargo, compiler, npm)


def _find_compiler() -> tuple[str, ...]:
    if chosen := shlex.split(os.environ.get("CC", "")):
        return tuple(chosen) if shutil.which(chosen[0]) else ()
    found = (shutil.which(name) for name in ("cc", "gcc", "clang"))
    return next(((compiler,) for compiler in found if compiler), ())


def require_rust(version_text: str) -> str:
    """Return the version in what ``rustc --version`` said, when it is new enough.

    Args:
        version_text: such as ``rustc 1.95.0 (59807616e 2026-04-14)``.

    Raises:
        ToolMissingError: it is too old, or no version at all.

    >>> require_rust("rustc 1.95.0 (59807616e 2026-04-14)")
    '1.95.0'
    """
    match = re.search(r"rustc (\d+)\.(\d+)\S*", version_text)
    if match is None or (int(match[1]), int(match[2])) < _OLDEST_RUST:
        said = version_text.strip() or "nothing"
        raise ToolMissingError(
            f"Building cr-sqlite from source needs Rust {_OLDEST_RUST[0]}.{_OLDEST_RUST[1]} or later, "
            f"and rustc says {said!r}: update it (`rustup update stable`, or install Rust from rustup.rs)."
        )
    return match[0].removeprefix("rustc ")


class ToolRunner:
    """Runs tools one after the other, keeps all they say in a log and tells that they are still at work.

    Args:
        log: the file that everything is appended to.
        report: is told what begins, and every ``interval`` seconds how it goes.
        interval: seconds between two signs of life.
    """

    def __init__(self, log: Path, report: Callable[[str], None], *, interval: float = 2.0) -> None:
        self.log = log
        self._report = report
        self._interval = interval

    def run(
        self,
        title: str,
        command: Sequence[str],
        *,
        folder: Path,
        environment: Mapping[str, str],
        time_limit: float = 600.0,
        next_step: str = NEXT_STEP,
    ) -> str:
        """Run one tool to its end and return everything it said.

        Args:
            title: what it does, as in "compiling".
            command: the tool and its arguments.
            folder: where it runs.
            environment: all of its environment variables.
            time_limit: seconds after which it is ended.
            next_step: what the user can do where it fails.

        Raises:
            SourceBuildError: it could not be started, failed or took too long.
        """
        self._report(title)
        with self.log.open("ab") as log:
            log.write(f"\n$ {shlex.join(command)}\n".encode())
            try:
                process = subprocess.Popen(
                    command,
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                raise SourceBuildError(
                    f"{title} failed: {command[0]} cannot be run ({error.strerror}). {next_step}"
                ) from error
            with process:
                assert process.stdout is not None
                try:
                    said = self._follow(title, process.stdout, log, time_limit, next_step)
                    status = process.wait()
                except BaseException:
                    _end(process)
                    raise
        if status != 0:
            raise SourceBuildError(
                f"{title} failed: {Path(command[0]).name} ended with status {status}. "
                f"All it said is in {self.log}; the last lines are:\n{_last_words(said)}\n{next_step}"
            )
        return said

    def _follow(
        self, title: str, output: IO[bytes], log: IO[bytes], time_limit: float, next_step: str
    ) -> str:
        lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        threading.Thread(target=_read_lines, args=(output, lines), daemon=True).start()
        started = next_report = time.monotonic()
        said: list[str] = []
        while True:
            now = time.monotonic()
            if now - started > time_limit:
                raise SourceBuildError(
                    f"{title} failed: it was ended after {time_limit:g} seconds, see {self.log}. {next_step}"
                )
            if now >= next_report + self._interval:
                next_report = now
                self._report(
                    f"{title}: {now - started:.0f} s" + (f", {said[-1].strip()[:80]}" if said else "")
                )
            try:
                line = lines.get(timeout=min(self._interval, time_limit))
            except queue.Empty:
                continue
            if line is None:
                return "".join(said)
            log.write(line)
            log.flush()
            said.append(line.decode(errors="replace"))


def _read_lines(output: IO[bytes], lines: queue.SimpleQueue[bytes | None]) -> None:
    try:
        for line in output:
            lines.put(line)
    finally:
        lines.put(None)


def _end(process: subprocess.Popen[bytes]) -> None:
    # A tool's own children (cargo's compilers) hold the pipe open, so the whole group has to go.
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def _last_words(said: str) -> str:
    return "\n".join(f"  {line}" for line in said.rstrip().splitlines()[-_LINES_SHOWN:])
