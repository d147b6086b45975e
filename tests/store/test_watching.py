"""Watching and waiting: nothing is lost, memory is bounded, and nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import random
from contextlib import aclosing
from typing import Any, cast

import pytest

from replicell.store import (
    MISSING,
    ArgumentError,
    CellChange,
    Store,
    StoreError,
    ValueChange,
    WaitTimeoutError,
    WatchOverflowError,
    WrongThreadError,
    create_queries,
)
from replicell.store.watching import Watch


async def taken(watch: Watch, count: int) -> list[Any]:
    return [await anext(watch) for _ in range(count)]


async def test_changes_come_one_by_one_from_when_the_watch_began() -> None:
    store = Store().set_cell("t", "r", "a", 0)
    async with store.watch() as changes:
        with store.transaction():
            store.set_cell("t", "r", "a", 1).set_value("v", 1)
        store.del_cell("t", "r", "a")
        assert await taken(changes, 3) == [
            CellChange("t", "r", "a", 0, 1),
            ValueChange("v", MISSING, 1),
            CellChange("t", "r", "a", 1, MISSING),
        ]


async def test_a_task_waits_until_something_changes() -> None:
    store = Store()
    async with store.watch(table_id="t") as changes:
        waiting = asyncio.create_task(taken(changes, 2))
        await asyncio.sleep(0)
        store.set_value("v", 1).set_cell("u", "r", "c", 1)
        await asyncio.sleep(0)
        assert not waiting.done()
        store.set_cell("t", "r", "c", 1).set_cell("t", "r", "c", 2)
        assert [change.new for change in await waiting] == [1, 2]


async def test_several_watches_each_see_all_of_what_they_ask_for() -> None:
    store = Store()
    async with store.watch() as everything, store.watch(cell_id="c") as some:
        store.set_row("t", "r", {"b": 1, "c": 2})
        assert [it.new for it in await taken(everything, 2)] == [1, 2]
        assert [it.new for it in await taken(some, 1)] == [2]


async def test_a_loop_that_is_left_stops_listening() -> None:
    store = Store()
    loop = asyncio.get_running_loop()
    loop.call_soon(store.set_value, "v", 1)
    async for change in store.watch():
        assert change.new == 1
        break
    gc.collect()
    assert not store._observers or not store._observers.follows_store


async def test_the_end_of_the_block_stops_it_and_a_task_that_waits() -> None:
    store = Store()

    async def read() -> list[Any]:
        return [change async for change in watch]

    async with store.watch() as watch:
        reading = asyncio.create_task(read())
        await asyncio.sleep(0)
        store.set_value("v", 1)
        await asyncio.sleep(0)
    store.set_value("v", 2)
    assert [change.new for change in await reading] == [1]
    assert store._unobserved
    with pytest.raises(StopAsyncIteration):
        await anext(watch)


async def test_aclosing_stops_it_as_well() -> None:
    store = Store()
    async with aclosing(store.watch()) as changes:
        store.set_value("v", 1)
        assert (await anext(changes)).new == 1
    await changes.aclose()
    assert store._unobserved


async def test_cancelling_a_task_that_waits_loses_nothing() -> None:
    store = Store()
    async with store.watch() as changes:
        for value in range(2):
            waiting = asyncio.ensure_future(anext(changes))
            await asyncio.sleep(0)
            waiting.cancel()
            if value == 1:
                # Cancelled, but told before it could notice.
                store.set_value("v", "both")
            await asyncio.gather(waiting, return_exceptions=True)
            assert waiting.cancelled()
        store.set_value("v", "last")
        assert [it.new for it in await taken(changes, 2)] == ["both", "last"]


async def test_a_change_that_arrives_just_before_the_cancellation_is_not_lost() -> None:
    store = Store()
    async with store.watch() as changes:
        waiting = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        store.set_value("v", 1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert (await anext(changes)).new == 1


async def test_a_cancelled_task_within_the_block_leaves_nothing_behind() -> None:
    store = Store()

    async def follow() -> None:
        async with store.watch() as changes:
            async for _ in changes:
                pass

    task = asyncio.create_task(follow())
    await asyncio.sleep(0)
    assert not store._unobserved
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert store._unobserved


async def test_two_tasks_cannot_share_a_watch() -> None:
    store = Store()
    async with store.watch() as changes:
        first = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        with pytest.raises(StoreError, match=r"a store\.watch\(\) of its own"):
            await anext(changes)
        store.set_value("v", 1)
        assert (await first).new == 1


async def test_too_many_changes_of_a_cell_become_one() -> None:
    store = Store().set_values({"v": 0, "w": 0})
    async with store.watch(max_queue=2) as changes:
        for value in range(1, 5):
            store.set_value("v", value)
        store.set_value("w", 1).set_value("w", 0).set_cell("t", "r", "c", 1).set_cell("t", "r", "c", 2)
        assert await taken(changes, 2) == [ValueChange("v", 0, 4), CellChange("t", "r", "c", MISSING, 2)]
        store.set_value("v", 5).set_value("v", 6)
        assert await taken(changes, 2) == [ValueChange("v", 4, 5), ValueChange("v", 5, 6)]


@pytest.mark.parametrize("seed", range(5))
async def test_applying_coalesced_changes_gives_what_the_store_holds(seed: int) -> None:
    choose, store, copy = random.Random(seed), Store(), Store()
    async with store.watch(max_queue=3) as changes:
        for _ in range(300):
            cell = choose.choice([None, True, 1, 2.5, "x", [1], MISSING])
            ids = ("t", choose.choice("rs"), choose.choice("abc"))
            if cell is MISSING:
                store.del_cell(*ids)
            else:
                store.set_cell(*ids, cell)
            assert len(changes._queue) <= 6
            while len(changes._queue) and choose.random() < 0.3:
                apply(copy, await anext(changes))
        while len(changes._queue):
            apply(copy, await anext(changes))
    assert copy.get_tables() == store.get_tables()


def apply(store: Store, change: Any) -> None:
    ids = (change.table_id, change.row_id, change.cell_id)
    assert store.get_cell(*ids, MISSING) == change.old
    assert change.added is not store.has_cell(*ids)
    if change.removed:
        store.del_cell(*ids)
    else:
        store.set_cell(*ids, change.new)


async def test_with_overflow_error_what_waited_is_read_and_then_the_loop_ends_in_an_error() -> None:
    store, seen = Store(), list[Any]()
    watch = store.watch(max_queue=2, overflow="error")
    store.set_value("v", 1).set_value("v", 2).set_value("v", 3).set_value("v", 4)
    with pytest.raises(WatchOverflowError, match="overflow"):
        async for change in watch:
            seen.append(change.new)
    assert seen == [1, 2]
    assert store._unobserved


@pytest.mark.parametrize(
    "options", [{"max_queue": 0}, {"max_queue": 1.5}, {"overflow": "drop"}], ids=["none", "half", "drop"]
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any]) -> None:
    store = Store()
    with pytest.raises(ArgumentError, match="|".join(options)):
        store.watch(**options)
    assert store._unobserved


async def test_another_thread_cannot_watch() -> None:
    store = Store()
    with pytest.raises(WrongThreadError):
        await asyncio.to_thread(store.watch)
    with pytest.raises(WrongThreadError):
        await asyncio.to_thread(lambda: store.wait_for(bool).close())


# --- waiting ------------------------------------------------------------------------------------------------


async def test_waiting_ends_at_once_if_it_is_true_already() -> None:
    store = Store().set_value("v", 5)
    assert await store.wait_for(lambda store: store.get_value("v"), timeout=0) == 5
    assert store._unobserved


async def test_waiting_ends_with_the_first_transaction_that_makes_it_true() -> None:
    store = Store()
    waiting = asyncio.create_task(store.wait_for(lambda store: store.get_value("v")))
    await asyncio.sleep(0)
    store.set_value("w", 1).set_value("v", 1).del_value("v")
    assert await waiting == 1
    assert store._unobserved


async def test_results_of_queries_are_up_to_date_when_it_is_asked() -> None:
    store = Store()
    queries = create_queries(store).set_query_definition("all", "t", lambda q: q.select("c"))
    waiting = asyncio.create_task(store.wait_for(lambda store: queries.get_result_row_ids("all")))
    await asyncio.sleep(0)
    store.set_cell("t", "r", "c", 1)
    assert await waiting == ["r"]


async def test_what_does_not_happen_in_time_is_an_error_that_names_the_predicate() -> None:
    def is_open(store: Store) -> bool:
        return store.has_value("open")

    store = Store()
    with pytest.raises(WaitTimeoutError, match="is_open was not true") as caught:
        await store.wait_for(is_open, timeout=0)
    assert isinstance(caught.value, TimeoutError)
    assert store._unobserved


async def test_what_comes_true_as_the_time_runs_out_is_no_error() -> None:
    store, loop = Store(), asyncio.get_running_loop()

    def is_open(store: Store) -> Any:
        if not store.has_values():
            # Before the waiting has begun, so that this and the end of the time come in one turn of the loop.
            loop.call_soon(store.set_value, "open", True)
        return store.get_value("open")

    assert await store.wait_for(is_open, timeout=0) is True


@pytest.mark.parametrize("predicate", [5, "open", None])
async def test_a_predicate_must_be_a_function(predicate: Any) -> None:
    with pytest.raises(ArgumentError, match="a predicate must be callable"):
        await Store().wait_for(predicate)


async def test_a_predicate_answers_at_once() -> None:
    async def is_open(store: Store) -> bool:
        return False

    with pytest.raises(ArgumentError, match="is_open is a coroutine function, but a predicate must answer"):
        await Store().wait_for(cast(Any, is_open), timeout=60)


async def test_an_error_of_the_predicate_reaches_who_waits_not_who_writes() -> None:
    store = Store()
    waiting = asyncio.create_task(store.wait_for(fails_when_written, timeout=30))
    await asyncio.sleep(0)
    store.set_value("v", 1)
    with pytest.raises(TimeoutError, match="of its own") as caught:
        await waiting
    assert not isinstance(caught.value, WaitTimeoutError)
    assert store._unobserved


def fails_when_written(store: Store) -> bool:
    if store.has_values():
        raise TimeoutError("of its own")
    return False


async def test_a_task_cancelled_while_it_waits_leaves_nothing_behind() -> None:
    store = Store()
    waiting = asyncio.create_task(store.wait_for(lambda store: store.has_value("v")))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert store._unobserved
    store.set_value("v", 1)
