"""What every object derived from a store has in common: one of each kind a store, and keeping up with it.

Indexes, metrics and the like hear of changes through ordinary listeners. Where those are not called, because
a transaction was rolled back or another listener failed, the store tells its modules directly, so that none
of them is ever left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar, cast

from replicell.store.ids import Id

if TYPE_CHECKING:
    from replicell.store.state import StoreState
    from replicell.store.store import Store

__all__ = ["Settler", "StoreModule", "add_settler", "module_of", "remove_settler"]

Settler: TypeAlias = Callable[[], bool]
"""Writes what must be in a transaction before it is committed, and tells whether it wrote anything."""

_M = TypeVar("_M", bound="StoreModule")


class StoreModule(Protocol):
    """Something derived from a store."""

    def _catch_up(self, touched: Mapping[Id, Iterable[Id]], committed: bool) -> None:
        """Take in what a transaction touched, as far as that has not happened.

        Args:
            touched: The rows touched, by table.
            committed: Whether the transaction was committed but a listener failed; else it was undone.
        """


def module_of(store: Store, kind: str, create: Callable[[Store], _M]) -> _M:
    """Return the one module of a kind that a store has, creating it at first."""
    store._check_thread()
    module = store._modules.get(kind)
    if module is None:
        module = store._modules[kind] = create(store)
    return cast("_M", module)


def add_settler(store: StoreState, settler: Settler) -> None:
    """Have a function called before each commit, until no such function has anything left to write."""
    store._settlers = (*store._settlers, settler)
    store._settle()


def remove_settler(store: StoreState, settler: Settler) -> None:
    """Take back `add_settler`."""
    store._settlers = tuple([other for other in store._settlers if other != settler])
    store._settle()
