"""A bar on the terminal while something takes long."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = ["progress_bar"]

_SECONDS_BETWEEN = 0.05
_WIDEST = 40
_ERASE = "\r\x1b[K"


@contextmanager
def progress_bar(
    what: str, unit: str, *, is_wanted: bool = True
) -> Iterator[Callable[[int, int], None] | None]:
    """A function to be told how much is done and to be done, which draws a bar; it is gone at the end.

    Args:
        what: What is going on, in one word.
        unit: What is counted.
        is_wanted: Whether it would not disturb what else is printed.

    Yields:
        The function; None if there is nobody at a terminal to see it, so that nothing need be counted.
    """
    if not is_wanted or not sys.stderr.isatty():
        yield None
        return
    bar = _Bar(what, unit, sys.stderr)
    try:
        yield bar.show
    finally:
        bar.erase()


class _Bar:
    def __init__(self, what: str, unit: str, stream: TextIO) -> None:
        self._what = what
        self._unit = unit
        self._stream = stream
        self._drawn_at = 0.0

    def show(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._drawn_at >= _SECONDS_BETWEEN:
            self._drawn_at = now
            self._stream.write(_ERASE + self._line(min(done, total), total))
            self._stream.flush()

    def erase(self) -> None:
        if self._drawn_at:
            self._stream.write(_ERASE)
            self._stream.flush()

    def _line(self, done: int, total: int) -> str:
        share = done / total if total else 1.0
        counts = f" {share:4.0%}  {done:,} of {total:,} {self._unit}"
        room = shutil.get_terminal_size().columns - len(self._what) - len(counts) - 4
        width = min(_WIDEST, max(0, room))
        filled = int(share * width)
        return f"{self._what} [{'#' * filled}{'.' * (width - filled)}]{counts}"
