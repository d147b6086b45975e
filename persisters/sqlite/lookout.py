"""One thread that looks whether other connections have committed, for all open databases of the process."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Protocol

__all__ = ["LOOKOUT", "Lookout", "Watched"]

_log = logging.getLogger("replicell.persisters.database")

_SECONDS_A_FILE = 0.0004
"""So that a process with very many databases looks at 2500 files a second and no more, which costs less than
a tenth of a core."""


class Watched(Protocol):
    """A database to look at."""

    @property
    def poll_interval(self) -> float:
        """Seconds between two looks, as its owner wants it."""
        ...

    @property
    def next_look(self) -> float:
        """When the next look is due, by the monotonic clock."""
        ...

    def look(self) -> None:
        """Look, unless that would have to wait for somebody."""


class Lookout:
    """Looks at each database from time to time, as long as there are any.

    If each database's thread woke up for that by itself, a thousand of them would keep a busy event loop from
    the interpreter's lock: each waits for it anew, and every one that waits makes its holder let go.
    """

    def __init__(self) -> None:
        self._watched: set[Watched] = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._looked_at = 0.0

    def add(self, watched: Watched) -> None:
        """Look at a database from now on."""
        with self._changed:
            self._watched.add(watched)
            if self._thread is None:
                self._looked_at = time.monotonic()
                self._thread = threading.Thread(
                    target=self._keep_looking, name="replicell lookout", daemon=True
                )
                self._thread.start()
            self._changed.notify()

    def discard(self, watched: Watched) -> None:
        """Look at a database no more; the thread ends with the last one."""
        with self._changed:
            self._watched.discard(watched)
            self._changed.notify()

    def pause(self, poll_interval: float) -> float:
        """Return the seconds between two looks at a database, which are more where there are very many."""
        return max(poll_interval, len(self._watched) * _SECONDS_A_FILE)

    def forget(self) -> None:
        """Begin anew in a forked process, which has neither the thread nor what it looked at."""
        self._watched = set()
        self._changed = threading.Condition()
        self._thread = None

    def _keep_looking(self) -> None:
        while (pause := self._rest()) is not None:
            # Who would have to wait for another round would have to wait for up to twice its time.
            soon = time.monotonic() + pause / 2
            for watched in tuple(self._watched):
                if watched.next_look <= soon:
                    self._look(watched)

    def _look(self, watched: Watched) -> None:
        try:
            watched.look()
        except Exception:
            # The others are to be looked at all the same.
            _log.exception("a database cannot be looked at any more")
            self.discard(watched)

    def _rest(self) -> float | None:
        with self._changed:
            while self._watched:
                pause = self.pause(min(watched.poll_interval for watched in self._watched))
                remaining = self._looked_at + pause - time.monotonic()
                if remaining <= 0:
                    self._looked_at = time.monotonic()
                    return pause
                self._changed.wait(remaining)
            self._thread = None
            return None


LOOKOUT = Lookout()
"""The one of this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=LOOKOUT.forget)
