"""Coroutine functions as listeners: in order, after the transaction, never lost."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from replicell.store import (
    MISSING,
    ArgumentError,
    Hook,
    NoEventLoopError,
    Store,
    create_metrics,
    create_queries,
)
from replicell.store.coroutines import _RUNNING
from replicell.store.errors import StoreError


async def everything_has_run() -> None:
    """Wait until no coroutine listener is running."""
    while _RUNNING:
        await asyncio.gather(*_RUNNING, return_exceptions=True)


async def test_it_is_called_after_the_transaction_and_may_write() -> None:
    store = Store(strict=True)
    done = asyncio.Event()

    @store.on_cell("t", "r", "c")
    async def copy(
        store: Store, table_id: str, row_id: str, cell_id: str, new: Any, old: Any, _: object
    ) -> None:
        store.set_value("copy", new)
        done.set()

    store.set_cell("t", "r", "c", 1)
    assert not store.has_value("copy")
    await done.wait()
    assert store.get_value("copy") == 1


async def test_calls_of_one_listener_keep_their_order_and_none_is_lost() -> None:
    store = Store()
    heard: list[Any] = []

    @store.on_value("v")
    async def hear(store: Store, value_id: str, new: Any, old: Any, change: object) -> None:
        # The first calls take longest.
        for _ in range(5 - new):
            await asyncio.sleep(0)
        heard.append((new, old))

    for value in range(1, 6):
        store.set_value("v", value)
        if value == 3:
            await asyncio.sleep(0)
    await everything_has_run()
    assert heard == [(1, MISSING), (2, 1), (3, 2), (4, 3), (5, 4)]


async def test_one_that_waits_does_not_hold_up_another() -> None:
    store = Store()
    go, heard = asyncio.Event(), list[str]()

    @store.on_values()
    async def waits(store: Store, change: object) -> None:
        await go.wait()
        heard.append("waits")

    @store.on_values()
    async def hurries(store: Store, change: object) -> None:
        heard.append("hurries")
        go.set()

    store.set_value("v", 1)
    await everything_has_run()
    assert heard == ["hurries", "waits"]


async def test_what_it_is_told_is_of_its_transaction_also_later() -> None:
    store = Store().set_tables({"t": {"r": {"a": 1, "b": 1}}}).set_value("v", 1)
    heard: list[Any] = []

    @store.on_row("t", None)
    async def hear_row(store: Store, table_id: str, row_id: str, change: Any) -> None:
        heard.append((change("t", "r", "a"), change("t", "r", "b")))

    @store.on_values()
    async def hear_values(store: Store, change: Any) -> None:
        heard.append((change("v"), change("w")))

    @store.on_cell_ids("t", "r")
    async def hear_ids(store: Store, table_id: str, row_id: str, changes: Any) -> None:
        heard.append(changes())

    with store.transaction():
        store.set_cell("t", "r", "a", [2]).set_value("v", 2).set_cell("t", "r", "c", 1)
    store.set_cell("t", "r", "a", 3).del_cell("t", "r", "c")
    await everything_has_run()
    assert heard == [
        {"c": 1},
        {"c": -1},
        ((True, 1, [2]), (False, 1, 1)),
        ((True, [2], 3), (False, 1, 1)),
        ((False, 3, 3), (False, 1, 1)),
        ((True, 1, 2), (False, MISSING, MISSING)),
    ]


async def test_a_rolled_back_transaction_is_not_told() -> None:
    store, heard = Store(), list[Any]()

    @store.on_value(None)
    async def hear(store: Store, value_id: str, new: Any, old: Any, change: object) -> None:
        heard.append(new)

    with store.transaction(do_rollback=lambda store: True):
        store.set_value("v", 1)
    await everything_has_run()
    assert heard == []


async def test_an_error_goes_to_the_loops_handler_with_the_listener_named_and_the_next_call_is_made() -> None:
    store, heard, reported = Store(), list[Any](), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))

    @store.on_value("v")
    async def fails_once(store: Store, value_id: str, new: Any, old: Any, change: object) -> None:
        heard.append(new)
        if new == 1:
            raise ZeroDivisionError

    store.set_value("v", 1).set_value("v", 2)
    await everything_has_run()
    assert heard == [1, 2]
    (context,) = reported
    assert isinstance(context["exception"], ZeroDivisionError)
    assert "value listener" in context["message"] and "fails_once" in context["message"]
    assert "fails_once" in context["exception"].__notes__[0]


async def test_a_cancelled_wait_inside_it_is_an_error_of_that_call_only() -> None:
    store, heard, reported = Store(), list[Any](), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))

    @store.on_value("v")
    async def hear(store: Store, value_id: str, new: Any, old: Any, change: object) -> None:
        if new == 1:
            cancelled = asyncio.get_running_loop().create_future()
            cancelled.cancel()
            await cancelled
        heard.append(new)

    store.set_value("v", 1).set_value("v", 2)
    await everything_has_run()
    assert heard == [2]
    assert isinstance(reported[0]["exception"], asyncio.CancelledError)


async def test_without_any_reference_to_it_a_call_runs_to_its_end() -> None:
    done = asyncio.Event()

    def listen() -> None:
        store = Store()

        async def hear(*_: object) -> None:
            for _turn in range(3):
                await asyncio.sleep(0)
                gc.collect()
            done.set()

        with store.on_values().attach(hear):
            store.set_value("v", 1)

    listen()
    await done.wait()


async def test_calls_scheduled_before_it_was_cancelled_are_made() -> None:
    store, heard = Store(), list[Any]()

    async def hear(store: Store, value_id: str, new: Any, old: Any, change: object) -> None:
        heard.append(new)

    with store.on_value("v").attach(hear):
        store.set_value("v", 1).set_value("v", 2)
    store.set_value("v", 3)
    await everything_has_run()
    assert heard == [1, 2]


def test_without_a_running_loop_the_writer_gets_a_clear_error_and_the_data_stays() -> None:
    store = Store()

    @store.on_value("v")
    async def hear(*_: object) -> None:
        raise AssertionError("never called")

    with pytest.raises(NoEventLoopError, match=r"value listener .*hear is a coroutine function") as caught:
        store.set_value("v", 1)
    assert isinstance(caught.value, StoreError) and isinstance(caught.value, RuntimeError)
    assert store.get_value("v") == 1


def test_it_can_listen_before_there_is_a_loop_and_in_one_loop_after_another() -> None:
    store, heard = Store(), list[Any]()

    @store.on_value("v")
    async def hear(store: Store, value_id: str, new: Any, old: Any, change: object) -> None:
        heard.append(new)

    async def write(value: int) -> None:
        store.set_value("v", value)
        await everything_has_run()

    asyncio.run(write(1))
    asyncio.run(write(2))
    assert heard == [1, 2]


def test_what_a_closing_loop_cuts_off_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()

    @store.on_value("v")
    async def hear(*_: object) -> None:
        await asyncio.Event().wait()

    async def write() -> None:
        store.set_value("v", 1).set_value("v", 2).set_value("v", 3)
        for _ in range(3):
            await asyncio.sleep(0)

    with caplog.at_level(logging.WARNING, "replicell.store"):
        asyncio.run(write())
    assert "hear was cancelled" in caplog.text and "2 more change(s)" in caplog.text


@pytest.mark.parametrize(
    ("hook_of", "next_step"),
    [
        (lambda store: store.on_start_transaction(), "use on_did_finish_transaction"),
        (lambda store: store.on_will_finish_transaction(), "use on_did_finish_transaction"),
        (lambda store: store.on_values(mutator=True), "listen without mutator=True"),
    ],
    ids=["start_transaction", "will_finish_transaction", "values"],
)
def test_it_cannot_listen_where_it_would_have_to_write_at_once(
    hook_of: Callable[[Store], Hook[Any]], next_step: str
) -> None:
    async def hear(*_: object) -> None: ...

    with pytest.raises(ArgumentError, match=f"is a coroutine function.*plain function, or {next_step}"):
        hook_of(Store()).attach(hear)


class Hearer:
    def __init__(self) -> None:
        self.heard: list[str] = []

    async def hear(self, *_: object) -> None:
        self.heard.append("method")

    async def __call__(self, *_: object) -> None:
        self.heard.append("object")


async def test_bound_methods_partials_and_objects_may_be_coroutine_functions() -> None:
    store, hearer = Store(), Hearer()
    for listener in (hearer.hear, partial(hearer.hear, "more"), hearer):
        store.on_values().attach(listener)
    store.set_value("v", 1)
    await everything_has_run()
    assert sorted(hearer.heard) == ["method", "method", "object"]


async def test_what_is_derived_from_a_store_is_told_as_well() -> None:
    store, heard = Store(), list[Any]()
    metrics = create_metrics(store).set_metric_definition("count", "t")
    queries = create_queries(store).set_query_definition("all", "t", lambda q: q.select_all(), {"p": 1})

    @metrics.on_metric("count")
    async def hear_metric(metrics: object, metric_id: str, new: Any, old: Any) -> None:
        heard.append((metric_id, new, old))

    @queries.on_result_cell("all", None, None)
    async def hear_cell(queries: Any, q: str, r: str, c: str, new: Any, old: Any, change: Any) -> None:
        heard.append((r, c, new, change("all", r, c).new))

    @queries.on_param_value("all", "p")
    async def hear_param(queries: object, query_id: str, param_id: str, value: Any) -> None:
        heard.append((param_id, value))

    store.set_cell("t", "r", "c", 5)
    queries.set_param_value("all", "p", 2)
    await everything_has_run()
    assert sorted(heard, key=repr) == [("count", 1, MISSING), ("p", 2), ("r", "c", 5, 5)]


async def test_with_eager_tasks_it_still_waits_for_the_end_of_the_transaction() -> None:
    factory = getattr(asyncio, "eager_task_factory", None)
    asyncio.get_running_loop().set_task_factory(factory)
    store = Store(strict=True)

    @store.on_cell("t", "r", "c")
    async def write(store: Store, *_: object) -> None:
        store.set_value("done", True)

    store.set_cell("t", "r", "c", 1)
    await everything_has_run()
    assert store.get_value("done") is True
