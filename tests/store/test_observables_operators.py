"""Observables of a store under reactivex's operators and schedulers, on its own virtual clock."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from reactivex import Observable
from reactivex import operators as ops
from reactivex.testing import ReactiveTest, TestScheduler

from replicell.store import (
    Change,
    Store,
)

on_next = ReactiveTest.on_next


def items_of(scheduler: TestScheduler, observable: Observable[Any], write: Callable[[int], object]) -> Any:
    """Write 1 to 5 at 210, 220, ... 250, and return what is observed from 200 to 1000."""

    def writing(count: int, *_: object) -> None:
        write(count)

    observer = scheduler.create_observer()
    scheduler.schedule_absolute(200.0, lambda *_: observable.subscribe(observer))
    for count in range(1, 6):
        scheduler.schedule_absolute(200.0 + 10 * count, partial(writing, count))
    scheduler.advance_to(400.0)
    return observer.messages


def test_debounce_waits_until_nothing_has_changed_for_a_while() -> None:
    store, scheduler = Store(), TestScheduler()
    observable = store.observe_value("v").pipe(ops.debounce(15.0, scheduler))
    messages = items_of(scheduler, observable, lambda count: store.set_value("v", count))
    assert messages == [on_next(265, 5)]


def test_sample_takes_the_latest_at_intervals() -> None:
    store, scheduler = Store(), TestScheduler()
    observable = store.observe_value("v").pipe(ops.sample(25.0, scheduler))
    messages = items_of(scheduler, observable, lambda count: store.set_value("v", count))
    assert messages == [on_next(225, 2), on_next(250, 5)]


def news(lists: list[list[Change]]) -> list[Any]:
    return [change.new for changes in lists for change in changes]


def test_buffer_gathers_changes() -> None:
    store, scheduler = Store(), TestScheduler()
    changes: Observable[Any] = store.changes()
    observable = changes.pipe(ops.buffer_with_count(2), ops.map(news))
    messages = items_of(scheduler, observable, lambda count: store.set_value("v", count))
    assert messages == [on_next(220, [1, 2]), on_next(240, [3, 4])]


def test_observe_on_hands_items_to_a_scheduler() -> None:
    store, scheduler = Store().set_value("v", 0), TestScheduler()
    seen: list[Any] = []
    store.observe_value("v").pipe(ops.observe_on(scheduler)).subscribe(seen.append)
    store.set_value("v", 1)
    assert seen == []
    scheduler.start()
    assert seen == [0, 1]
