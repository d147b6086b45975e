"""Hooks: decorators that make functions listen, and by which they can be stopped again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, ParamSpec, Self, TypeVar

from replicell.store.ids import Id

__all__ = ["Hook"]

_L = TypeVar("_L", bound=Callable[..., object])
_P = ParamSpec("_P")
_R = TypeVar("_R")


class Hook(Generic[_L]):
    """Makes functions listen to one thing; what the `on_...` methods return.

    As a decorator it returns the function as it is. Kept under a name it is also the handle: `cancel`, or the
    end of a ``with`` block, stops everything that was attached through it. A hook that is thrown away stops
    nothing: functions listen until they are cancelled, whether or not anybody else refers to them.

    >>> store = Store()
    >>> @store.on_cell("pets", None, "age")
    ... def tell(store, table_id, row_id, cell_id, new, old, get_cell_change):
    ...     print(row_id, new)
    >>> _ = store.set_cell("pets", "fido", "age", 3)
    fido 3

    >>> with store.on_value("open").attach(lambda store, value_id, new, old, change: print(new)) as hook:
    ...     _ = store.set_value("open", True)
    True
    >>> hook.is_listening
    False
    """

    __slots__ = ("_add", "_listener_ids", "_remove")

    def __init__(self, add: Callable[[Any], Id], remove: Callable[[Id], object]) -> None:
        self._add = add
        self._remove = remove
        self._listener_ids: list[Id] = []

    def __call__(self: Hook[Callable[_P, object]], listener: Callable[_P, _R]) -> Callable[_P, _R]:
        """Have a function called from now on, and return it."""
        self.attach(listener)
        return listener

    def attach(self, listener: _L) -> Self:
        """Have a function called from now on, and return this hook.

        A function attached twice is called twice. Bound methods and coroutine functions will do as well.

        >>> store, rows = Store(), []
        >>> hook = store.on_row_count("pets").attach(lambda store, table_id, count: rows.append(count))
        >>> _ = store.add_row("pets", {"age": 3})
        >>> hook.cancel()
        >>> _ = store.add_row("pets", {"age": 4})
        >>> rows
        [1]
        """
        self._listener_ids.append(self._add(listener))
        return self

    @property
    def is_listening(self) -> bool:
        """Whether anything attached through this hook still listens."""
        return bool(self._listener_ids)

    def cancel(self) -> None:
        """Stop everything that was attached through this hook; it can be used again.

        A coroutine function still gets the calls that were scheduled for it before.
        """
        while self._listener_ids:
            self._remove(self._listener_ids[-1])
            self._listener_ids.pop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()
