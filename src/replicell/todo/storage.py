"""What the program knows of its database: whether what is typed gets there."""

from __future__ import annotations

from collections.abc import Callable

from replicell.persisters import Persister, Status
from replicell.todo.listeners import Listeners

__all__ = ["Storage"]


class Storage:
    """Remembers what went wrong with the database until a later save has gone well.

    Attributes:
        problem: one line about it; empty when all is well.
    """

    def __init__(self) -> None:
        self.problem = ""
        self._saves_at_problem = 0
        self._persister: Persister | None = None
        self._listeners = Listeners()

    def watch(self, persister: Persister) -> None:
        """Take notice when `persister`, whose errors come to `on_error`, saves."""
        self._persister = persister
        persister.add_status_listener(self._on_status)

    def on_error(self, error: Exception) -> None:
        """Remember what went wrong."""
        self.problem = str(error)
        self._saves_at_problem = self._saves
        self._listeners.call()

    def on_change(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` when a problem comes or goes; return the function that ends this."""
        return self._listeners.add(listener)

    @property
    def _saves(self) -> int:
        return self._persister.get_stats()["saves"] if self._persister else 0

    def _on_status(self, _persister: Persister, status: Status) -> None:
        if self.problem and status is Status.IDLE and self._saves > self._saves_at_problem:
            self.problem = ""
            self._listeners.call()
