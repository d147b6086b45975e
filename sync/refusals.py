"""The changes that one of the two sides could not apply, and who is told of them."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import Final

from replicell.sync.messages import RefusedChange

__all__ = ["Refusals"]

_MAX_REFUSED: Final = 1000

_log = logging.getLogger("replicell.sync.client")


class Refusals:
    """Keeps the last refused changes and tells listeners of each as it comes."""

    def __init__(self) -> None:
        self._changes: deque[RefusedChange] = deque(maxlen=_MAX_REFUSED)
        self._listeners: dict[str, Callable[[tuple[RefusedChange, ...]], object]] = {}

    @property
    def changes(self) -> tuple[RefusedChange, ...]:
        """The last changes, at most 1000."""
        return tuple(self._changes)

    def add_listener(self, listener_id: str, listener: Callable[[tuple[RefusedChange, ...]], object]) -> None:
        """Call a listener with what is refused from now on."""
        self._listeners[listener_id] = listener

    def del_listener(self, listener_id: str) -> None:
        """Call a listener no more; an unknown id is ignored."""
        self._listeners.pop(listener_id, None)

    def add(self, changes: Collection[RefusedChange]) -> None:
        """Keep changes that were just refused, and tell."""
        if not changes:
            return
        self._changes.extend(changes)
        for listener in list(self._listeners.values()):
            try:
                listener(tuple(changes))
            except Exception:
                _log.exception("a listener for refused changes failed")

    def remove(self, changes: Iterable[RefusedChange]) -> None:
        """Forget changes that were settled."""
        settled = set(changes)
        left = [change for change in self._changes if change not in settled]
        self._changes = deque(left, maxlen=_MAX_REFUSED)
