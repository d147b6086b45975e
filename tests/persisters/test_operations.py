"""What comes when: actions between loads and saves, collected saves, many rows a few at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from replicell.persisters import PersisterError, Progress, Status
from replicell.persisters.content import LoadedContent, LoadedTable, SaveResult
from replicell.persisters.turns import Turns
from replicell.store import Store, create_store
from tests.persisters.test_persister import Medium, content, run_loop, started
from tests.persisters.waiting_for import until

MANY = 1_201


def many(count: int = MANY) -> dict[str, Any]:
    return {str(number): {"a": number} for number in range(count)}


def noting(notes: list[str], note: str) -> Callable[[], Awaitable[None]]:
    async def action() -> None:
        notes.append(note)
        await asyncio.sleep(0)
        notes.append(f"{note} done")

    return action


# ------------------------------------------------------------------------------------------------- actions


async def test_actions_run_one_after_the_other() -> None:
    notes: list[str] = []
    medium = Medium(create_store())
    await asyncio.gather(
        medium.schedule(noting(notes, "1"), noting(notes, "2")), medium.schedule(noting(notes, "3"))
    )
    assert notes == ["1", "1 done", "2", "2 done", "3", "3 done"]


async def test_nothing_is_loaded_or_saved_while_an_action_runs() -> None:
    store = create_store()
    medium = await started(store)
    gate = asyncio.Event()
    scheduled = asyncio.ensure_future(medium.schedule(gate.wait))
    await run_loop()
    store.set_cell("t", "1", "a", 1)
    medium.change()
    await run_loop()
    assert (len(medium.loads), len(medium.saves)) == (1, 0)
    gate.set()
    await run_loop()
    assert scheduled.done()
    assert len(medium.loads) == 2


async def test_an_action_comes_next_however_much_there_is_to_save() -> None:
    store = create_store()
    medium = await started(store)
    store.set_cell("t", "1", "a", 1)
    notes: list[str] = []
    scheduled = asyncio.ensure_future(medium.schedule(noting(notes, "action")))
    await run_loop()
    store.set_cell("t", "1", "a", 2)
    assert notes == []
    medium.saves[0].set_result(SaveResult())
    await scheduled
    assert notes == ["action", "action done"]
    await run_loop()
    assert len(medium.saves) == 2


async def test_a_medium_that_changes_without_end_holds_back_no_save() -> None:
    store = create_store()
    medium = await started(store)
    medium.change()
    store.set_cell("t", "1", "a", 1)
    for load, saves in ((1, 0), (2, 1)):
        medium.change()
        await run_loop()
        assert (len(medium.loads), len(medium.saves)) == (load + 1, 0)
        medium.loads[load].set_result(content({}))
        await run_loop()
        assert len(medium.saves) == saves
    medium.saves[0].set_result(SaveResult())
    await run_loop()
    assert (len(medium.loads), len(medium.saves)) == (4, 1)


async def test_all_actions_run_though_one_fails(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    errors: list[Exception] = []
    notes: list[str] = []

    async def fail() -> None:
        raise PersisterError("on purpose")

    medium = Medium(create_store(), on_error=errors.append)
    assert await medium.schedule(fail, noting(notes, "after")) is medium
    assert [str(error) for error in errors] == ["on purpose"]
    assert notes == ["after", "after done"]


async def test_persisters_that_share_turns_never_run_at_once() -> None:
    turns = Turns()
    one, other = Medium(create_store(), turns=turns), Medium(create_store(), turns=turns)
    gate = asyncio.Event()
    scheduled = asyncio.ensure_future(one.schedule(gate.wait))
    await run_loop()
    loading = asyncio.ensure_future(other.load())
    await run_loop()
    assert other.loads == []
    gate.set()
    await run_loop()
    assert scheduled.done()
    assert len(other.loads) == 1
    other.loads[0].set_result(content({}))
    await loading


async def test_a_persister_that_is_closed_while_it_waits_for_its_turn_leaves_it_to_others() -> None:
    turns = Turns()
    one, other = Medium(create_store(), turns=turns), Medium(create_store(), turns=turns)
    gate = asyncio.Event()
    scheduled = asyncio.ensure_future(one.schedule(gate.wait))
    await run_loop()
    loading = asyncio.ensure_future(other.load())
    await run_loop()
    await other.close()
    with pytest.raises(PersisterError, match="closed meanwhile"):
        await loading
    gate.set()
    await scheduled
    await one.schedule()
    assert one.status is Status.IDLE


async def test_closing_drops_actions_that_have_not_begun() -> None:
    notes: list[str] = []
    medium = Medium(create_store())
    gate = asyncio.Event()
    first = asyncio.ensure_future(medium.schedule(gate.wait, noting(notes, "second")))
    await run_loop()
    closing = asyncio.ensure_future(medium.close())
    await run_loop()
    gate.set()
    await asyncio.gather(first, closing)
    assert medium.is_released
    assert notes == []


# -------------------------------------------------------------------------------------------- save_interval


async def test_edits_within_the_save_interval_are_saved_together_when_it_has_passed() -> None:
    store = create_store()
    medium = await started(store, save_interval=0.02)
    store.set_cell("t", "1", "a", 1)
    await run_loop()
    store.set_cell("t", "2", "a", 2)
    assert medium.saved == []
    await until(lambda: medium.saved)
    assert medium.saved == [{"t": {"1": {"a": 1}, "2": {"a": 2}}}]


async def test_flushing_does_not_wait_for_the_save_interval() -> None:
    store = create_store()
    medium = await started(store, save_interval=3600)
    store.set_cell("t", "1", "a", 1)
    flushing = asyncio.ensure_future(medium.flush())
    await run_loop()
    medium.saves[0].set_result(SaveResult())
    await flushing
    store.set_cell("t", "1", "a", 2)
    closing = asyncio.ensure_future(medium.close())
    await run_loop()
    medium.saves[1].set_result(SaveResult())
    await closing
    assert medium.saved[1] == {"t": {"1": {"a": 2}}}


def test_a_negative_save_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        Medium(create_store(), save_interval=-1)


# ------------------------------------------------------------------------------------------------ many rows


async def finished_load(medium: Medium, loaded: LoadedContent) -> None:
    loading = asyncio.ensure_future(medium.load())
    await run_loop()
    medium.loads[-1].set_result(loaded)
    await loading


async def test_many_rows_arrive_a_few_at_a_time_so_that_the_loop_goes_on() -> None:
    store = create_store()
    counts: list[int] = []
    store.add_did_finish_transaction_listener(lambda store: counts.append(store.get_row_count("t")))
    medium = Medium(store)
    turns_of_the_loop = 0

    async def count() -> None:
        nonlocal turns_of_the_loop
        while True:
            await asyncio.sleep(0)
            turns_of_the_loop += 1

    counting = asyncio.ensure_future(count())
    await finished_load(medium, content(many(), version=5, is_complete=True))
    counting.cancel()
    assert counts == [500, 1000, MANY]
    assert turns_of_the_loop >= len(counts)
    assert list(store.get_table("t")) == list(many())
    assert medium.applied == [5]
    assert medium.get_stats() == {"loads": 1, "saves": 0}


async def test_what_others_have_changed_together_arrives_together_however_much_it_is() -> None:
    store = create_store()
    medium = Medium(store)
    await finished_load(medium, content({}, is_complete=True))
    counts: list[int] = []
    store.add_did_finish_transaction_listener(lambda store: counts.append(store.get_row_count("t")))
    await finished_load(medium, content(many()))
    assert counts == [MANY]


async def test_an_edit_between_two_parts_of_a_load_is_kept_and_saved() -> None:
    store = create_store()
    medium = await started(store)

    def edit(store: Store, *_: object) -> None:
        loop.call_soon(store.set_cell, "t", "1100", "a", -1)
        store.del_listener(listener_id)

    loop = asyncio.get_running_loop()
    listener_id = store.add_row_listener("t", "0", edit)
    await finished_load(medium, content(many(), is_complete=True))
    assert store.get_cell("t", "1100", "a") == -1
    await run_loop()
    assert medium.saved == [{"t": {"1100": {"a": -1}}}]


async def test_rows_that_the_medium_never_had_are_kept_and_saved_after_the_last_part() -> None:
    store = create_store().set_table("t", {"mine": {"a": 1}, "5": {"a": -5}})
    medium = Medium(store)
    await finished_load(medium, content(many(), is_complete=True))
    assert store.get_row_count("t") == MANY + 1
    assert store.get_cell("t", "5", "a") == 5
    flushing = asyncio.ensure_future(medium.flush())
    await run_loop()
    assert medium.saved == [{"t": {"mine": {"a": 1}}}]
    medium.saves[0].set_result(SaveResult())
    await flushing


async def test_a_listener_that_fails_during_a_part_fails_the_load_and_the_next_load_brings_all() -> None:
    store = create_store()
    medium = Medium(store)

    def fail(store: Store, *_: object) -> None:
        store.del_listener(listener_id)
        raise ZeroDivisionError("on purpose")

    listener_id = store.add_row_listener("t", "700", fail)
    with pytest.raises(ZeroDivisionError):
        await finished_load(medium, content(many(), is_complete=True))
    assert medium.applied == []
    await finished_load(medium, content(many(), version=6, is_complete=True))
    assert store.get_row_count("t") == MANY
    assert medium.applied == [6]


async def test_the_progress_of_a_long_load_is_told() -> None:
    told: list[Progress] = []
    medium = Medium(create_store(), on_progress=told.append)
    await finished_load(medium, content(many(), is_complete=True))
    assert [progress.done for progress in told] == [0, 500, 1000, MANY]
    assert {(progress.status, progress.total) for progress in told} == {(Status.LOADING, MANY)}


async def test_a_save_of_many_rows_takes_them_a_few_at_a_time_and_writes_them_at_once() -> None:
    store = create_store().set_table("t", many(5_000))
    medium = Medium(store)
    turns_of_the_loop = 0

    async def edit() -> None:
        nonlocal turns_of_the_loop
        while not medium.saves:
            turns_of_the_loop += 1
            store.set_cell("t", "4999", "a", -turns_of_the_loop).del_row("t", "4000")
            await asyncio.sleep(0)

    editing = asyncio.ensure_future(edit())
    saving = asyncio.ensure_future(medium.save())
    await run_loop()
    await editing
    assert turns_of_the_loop >= 2
    assert len(medium.saved) == 1
    assert len(medium.saved[0]["t"]) == 5_000
    assert medium.saved[0]["t"]["4999"] == {"a": store.get_cell("t", "4999", "a")}
    medium.saves[0].set_result(SaveResult())
    await saving


# ------------------------------------------------------------------------------------------ initial content


async def test_initial_content_may_be_a_function_that_is_called_only_if_it_is_needed() -> None:
    calls: list[str] = []

    def initial() -> tuple[dict[str, Any], dict[str, Any]]:
        calls.append("called")
        return {"t": {"1": {"a": 1}}}, {"v": 1}

    for rows, expected in (({}, {"1": {"a": 1}}), ({"2": {"a": 2}}, {"2": {"a": 2}})):
        store = create_store()
        medium = Medium(store)
        loading = asyncio.ensure_future(medium.load(initial))
        await run_loop()
        medium.loads[0].set_result(LoadedContent({"t": LoadedTable(rows, frozenset(), is_complete=True)}))
        await loading
        assert store.get_table("t") == expected
    assert calls == ["called"]


async def test_both_may_start_with_saving() -> None:
    store = create_store().set_row("t", "1", {"a": 1})
    medium = Medium(store)
    starting = asyncio.ensure_future(medium.start_auto_persisting(start_save_first=True))
    await run_loop()
    assert (len(medium.saves), len(medium.loads)) == (1, 0)
    medium.saves[0].set_result(SaveResult())
    await run_loop()
    medium.loads[0].set_result(content({"1": {"a": 1}}, is_complete=True))
    await starting
    assert medium.is_auto_loading()
    assert medium.is_auto_saving()
    await medium.stop_auto_persisting(stop_save_first=True)
    assert not medium.is_auto_loading()


async def test_if_one_half_cannot_start_neither_runs() -> None:
    medium = Medium(create_store().set_row("t", "1", {"a": 1}))
    starting = asyncio.ensure_future(medium.start_auto_persisting())
    await run_loop()
    medium.loads[0].set_result(content({}, is_complete=True))
    await run_loop()
    medium.saves[0].set_exception(PersisterError("no"))
    with pytest.raises(PersisterError, match="no"):
        await starting
    assert not medium.is_auto_loading()
    assert not medium.is_auto_saving()
