"""An orderly end: on a signal, and when the terminal is taken away."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self, TextIO

__all__ = ["Ending"]

ENDING_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
STDERR = "__stderr__"


class Ending:
    """Hears when the system wants the program to go, or its terminal has gone, and passes that on.

    It listens until the program has closed everything: a second signal changes nothing any more, least of all
    does it end the program before the last todo is saved.
    """

    def __init__(self) -> None:
        self.is_wished = False
        self._end: Callable[[], object] | None = None
        self._before: dict[signal.Signals, Any] = {}
        self._stderr = sys.__stderr__

    def on_wish(self, end: Callable[[], object]) -> None:
        """Have `end` called, by the event loop, when the program shall go."""
        self._end = end

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        numbers = [signal.Signals[name] for name in ENDING_SIGNALS if name in signal.Signals.__members__]
        self._before = {number: signal.signal(number, self._on_signal) for number in numbers}
        if self._stderr is not None:
            replace_stderr(LastingStream(self._stderr))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stderr is not None:
            replace_stderr(self._stderr)
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        # Not left to the event loop: when a terminal goes, SIGHUP is followed at once by SIGCONT, on which
        # Textual would take that terminal into use again.
        if signal.Signals(number).name == "SIGHUP":
            signal.signal(signal.SIGCONT, signal.SIG_IGN)
            let_go_of_terminal()
        self._loop.call_soon_threadsafe(self._wish)

    def _wish(self) -> None:
        if self._end is not None and not self.is_wished:
            self._end()
        self.is_wished = True


class LastingStream:
    """A terminal's stream that swallows what is written to it once the terminal has gone.

    An error would end the thread in which Textual writes, and the program would wait for it for ever.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text`, if that is still possible."""
        with contextlib.suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what is buffered, if that is still possible."""
        with contextlib.suppress(OSError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def replace_stderr(stream: TextIO | LastingStream) -> None:
    """Set the stream that Textual draws on."""
    setattr(sys, STDERR, stream)


def let_go_of_terminal() -> None:
    """Point the standard streams at nothing, as a terminal that has gone can neither be read nor written."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    os.close(nothing)
