"""Cells, rows and tables as reactivex Observables; imported only when one is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import reactivex
from reactivex import Observable, abc
from reactivex import operators as ops
from reactivex.disposable import Disposable

from replicell.store.ids import Id
from replicell.store.observers import Observation

if TYPE_CHECKING:
    from replicell.store.store import Store

__all__ = ["observe", "same_content"]

_T = TypeVar("_T")


def observe(store: Store, path: tuple[Id, ...], read: Callable[[], _T]) -> Observable[_T]:
    """Return an Observable of a table, row or cell: what it is now, then what each transaction makes of it.

    Equal consecutive items are left out. Subscribers are told after the transaction and may write.
    """

    def subscribe(observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None = None) -> Disposable:
        observation = Observation(path, read, observer.on_next)
        store._add_observation(observation)
        observer.on_next(read())
        return Disposable(lambda: store._remove_observation(observation))

    return reactivex.create(subscribe).pipe(ops.distinct_until_changed(comparer=same_content))


def same_content(one: Any, other: Any) -> bool:
    """Tell whether two decoded cells, rows or tables are the same: True is not 1, but 1 is 1.0."""
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same_content(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_content, one, other))
    return bool(one == other) and isinstance(one, bool) is isinstance(other, bool)
