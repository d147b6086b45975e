"""Listeners of what is derived from a store: of indexes, metrics, relationships, queries and checkpoints.

Each of these objects has listener ids of its own. They are called by the Store's rules: the exact id before
the wildcard None, the leftmost position first; one that is added to a bucket while it is being called is
called as well, one that is removed is not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast

from replicell.store.callbacks import as_listener
from replicell.store.ids import Id, IdLike, IdPool, to_id
from replicell.store.listeners import Kind, Listener, Wildcards

__all__ = ["ModuleListeners", "Path"]

Path: TypeAlias = tuple[Id | None, ...]
"""The ids a listener was registered with; None is the wildcard."""


class ModuleListeners:
    """All listeners of one object.

    Args:
        owner: What is given to callbacks as their first argument.
        kinds: The kinds there are, in snake_case as in `get_listener_stats`.
    """

    __slots__ = ("_by_id", "_calling", "_dead", "_kinds", "_owner", "_pool")

    def __init__(self, owner: object, *kinds: str) -> None:
        self._owner = owner
        self._kinds = {kind: Wildcards() for kind in kinds}
        self._by_id: dict[Id, Listener] = {}
        self._pool = IdPool()
        self._dead: list[Listener] = []
        self._calling = 0

    def add(self, kind: str, path: tuple[IdLike | None, ...], callback: Callable[..., Any]) -> Id:
        """Register a callback and return its id, which may have been another's before.

        Raises:
            ArgumentError: If the callback cannot be called.
        """
        callback = as_listener(callback, kind)
        coerced = tuple([None if thing_id is None else to_id(thing_id) for thing_id in path])
        # Buckets do not look at the kind of what is in them.
        listener = Listener(self._pool.take(), cast("Kind", kind), coerced, callback, False)
        self._by_id[listener.id] = listener
        self._kinds[kind].add(listener)
        return listener.id

    def remove(self, listener_id: IdLike) -> tuple[str, Path] | None:
        """Unregister a listener and return its kind and the ids it was for; unknown ids are ignored."""
        listener = self._by_id.pop(to_id(listener_id), None)
        if listener is None:
            return None
        listener.callback = None
        self._pool.release(listener.id)
        if self._kinds[listener.kind].discard(listener, self._calling > 0):
            self._dead.append(listener)
        return listener.kind, listener.path

    def hears(self, kind: str) -> bool:
        """Tell whether anybody listens to a kind."""
        return bool(self._kinds[kind].buckets)

    def of(self, kind: str) -> Wildcards:
        """Return the listeners of one kind."""
        return self._kinds[kind]

    def call(self, kind: str, ids: tuple[Id, ...] = (), *arguments: Any) -> None:
        """Call the listeners of a kind that match some ids, with the ids and further arguments."""
        wildcards = self._kinds[kind]
        if not wildcards.patterns:
            return
        self._calling += 1
        try:
            for bucket in wildcards.find(*ids):
                for listener in bucket:
                    callback = listener.callback
                    if callback is not None:
                        try:
                            callback(self._owner, *ids, *arguments)
                        except Exception as error:
                            error.add_note(listener.describe((*ids, *arguments)))
                            raise
        finally:
            self._calling -= 1
            if self._dead and not self._calling:
                for listener in self._dead:
                    self._kinds[listener.kind].discard(listener, False)
                self._dead.clear()

    def count(self, kind: str) -> int:
        """Count the listeners of a kind."""
        return sum(listener.kind == kind for listener in self._by_id.values())
