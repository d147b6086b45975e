"""What is in a store as reactivex Observables; imported only when one is asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from replicell.store.ids import Id
from replicell.store.observers import Observation, Observers

if TYPE_CHECKING:
    from replicell.store.observing import Observing

__all__ = ["Begin", "derived_from", "news_of", "observable_of"]

_T = TypeVar("_T")

Begin: TypeAlias = Callable[[Observers, Observation], object]
"""Puts an observation where it belongs."""


def observable_of(
    store: Observing, name: str, begin: Begin, read: Callable[[], _T], *, compares: bool = False
) -> Observable[_T]:
    """Return an Observable of something: what it is now, then what each transaction makes of it.

    Args:
        store: The store that it is in, or derived from.
        name: What it is, for errors.
        begin: Puts each subscription's observation where it belongs.
        read: Reads what it is now.
        compares: Whether `begin` has it read also when it may not have changed.
    """

    def subscribe(observer: abc.ObserverBase[_T], scheduler: abc.SchedulerBase | None = None) -> Disposable:
        observation = Observation(name, read, observer.on_next, compares=compares)
        observers = store._begin_observation(begin, observation)
        try:
            content = read()
            # Inside a transaction it may be undone, so it must be looked at again.
            if compares or store._depth != 0:
                observation.remember(content)
            observers.tell_first(observation, content)
        except BaseException:
            store._end_observation(observation)
            raise
        return Disposable(lambda: store._end_observation(observation))

    return Observable(subscribe)


def news_of(store: Observing, name: str, read: Callable[[], Any]) -> Observable[Any]:
    """Return an Observable of what each transaction does, which begins with the next.

    Args:
        store: The store.
        name: What it is, for errors.
        read: Reads at the end of a transaction what is to be told of it, or `NOTHING`.
    """

    def subscribe(observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None) -> Disposable:
        observation = Observation(name, read, observer.on_next)
        store._begin_observation(Observers.follow, observation)
        return Disposable(lambda: store._end_observation(observation))

    return Observable(subscribe)


def derived_from(
    store: Observing,
    name: str,
    listen: Callable[[Callable[..., None]], Id],
    stop: Callable[[Id], object],
    read: Callable[[], _T],
) -> Observable[_T]:
    """Return an Observable of something derived from a store, such as a metric.

    Args:
        store: The store.
        name: What it is, for errors.
        listen: Adds a listener to it.
        stop: Removes that listener.
        read: Reads what it is now.
    """

    def begin(observers: Observers, observation: Observation) -> None:
        def hear(*_: object) -> None:
            observers.post(observation)
            if store._depth == 0:
                observers.emit()

        listener_id = listen(hear)
        observers.observe_derived(observation)
        observation.on_release(lambda: stop(listener_id))

    return observable_of(store, name, begin, read, compares=True)
