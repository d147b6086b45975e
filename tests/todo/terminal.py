"""A real terminal for tests: the program runs in a process of its own behind a pseudo-terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from types import TracebackType
from typing import Self

__all__ = ["Terminal"]

PATIENCE = 30.0
ESCAPES = re.compile(rb"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|P[^\x1b]*\x1b\\|[@-Z\\^_])")


class Terminal:
    """Runs ``replicell`` with a pseudo-terminal of 80 by 24 and remembers what it wrote.

    Args:
        arguments: the words after ``replicell``.
    """

    def __init__(self, *arguments: str | Path) -> None:
        self._master, self._slave = pty.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "replicell", *map(str, arguments)],
            stdin=self._slave,
            stdout=self._slave,
            stderr=self._slave,
            start_new_session=True,
            env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"},
            preexec_fn=become_controlling_terminal,
        )
        os.close(self._slave)
        self._written = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        self.hang_up()

    @property
    def text(self) -> str:
        """All that was written, without what steers the terminal."""
        return ESCAPES.sub(b"", self._written).decode(errors="replace")

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, text: str) -> None:
        """Wait until the program has written `text`."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.text:
            is_there_more = self._read(deadline)
            assert is_there_more, f"{text!r} was never written; this was: {self.text[-2000:]!r}"

    def wait_for_end(self) -> int:
        """Wait for the process to end and return its exit status."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline):
            pass
        return self.process.wait(PATIENCE)

    def hang_up(self) -> None:
        """Take the terminal away, as closing its window does."""
        if self._master >= 0:
            os.close(self._master)
        self._master = -1

    def _read(self, deadline: float) -> bool:
        """Take in some more; return False when no more will come, or not in time."""
        if self._master < 0:
            return False
        is_readable, _, _ = select.select([self._master], [], [], max(deadline - time.monotonic(), 0))
        if not is_readable:
            return False
        try:
            self._written += os.read(self._master, 65_536)
        except OSError:
            # This is how Linux says that nobody has the other end open any more.
            return False
        return True


def become_controlling_terminal() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
