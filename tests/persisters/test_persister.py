"""What all persisters have in common, seen with a medium that does what a test tells it to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from replicell.persisters import Persister, PersisterError, Status, Subscription
from replicell.persisters.content import LoadedContent, LoadedTable, SaveResult
from replicell.persisters.tracking import ChangeTracker, Scope
from replicell.persisters.unsaved import RowState, UnsavedChanges, UnsavedRow
from replicell.store import MISSING, Store, create_store

ALL = Scope(loaded_tables=None, saved_tables=None, shared_tables=None, loaded_values=None, saved_values=None)


class Medium(Persister):
    """A persister whose loads and saves are finished by the test."""

    def __init__(self, store: Store, scope: Scope = ALL, **options: Any) -> None:
        super().__init__(store, ChangeTracker(store, scope), **options)
        self.loads: list[asyncio.Future[LoadedContent]] = []
        self.saves: list[asyncio.Future[SaveResult]] = []
        self.saved: list[dict[str, dict[str, dict[str, Any]]]] = []
        self.applied: list[Any] = []
        self.change: Callable[[], None] = lambda: None
        self.is_released = False

    def _begin_load(self) -> asyncio.Future[LoadedContent]:
        self.loads.append(asyncio.get_running_loop().create_future())
        return self.loads[-1]

    def _begin_save(self, unsaved: UnsavedChanges) -> asyncio.Future[SaveResult]:
        self.saved.append(
            {
                table_id: {row_id: dict(row.cells) for row_id, row in rows.items()}
                for table_id, rows in unsaved.tables.items()
            }
        )
        self.saves.append(asyncio.get_running_loop().create_future())
        return self.saves[-1]

    def _watch(self, on_change: Callable[[], None]) -> Subscription:
        self.change = on_change

        def cancel() -> None:
            self.change = lambda: None

        return Subscription(cancel)

    def _on_applied(self, content: LoadedContent) -> None:
        self.applied.append(content.version)

    def _release(self) -> None:
        self.is_released = True


def content(rows: dict[str, Any], version: int = 0, is_complete: bool = False) -> LoadedContent:
    return LoadedContent({"t": LoadedTable(rows, frozenset({"a", "b"}), is_complete)}, version=version)


async def run_loop() -> None:
    """Let everything happen that can happen without the test."""
    for _ in range(10):
        await asyncio.sleep(0)


async def started(store: Store, **options: Any) -> Medium:
    medium = Medium(store, **options)
    starting = asyncio.ensure_future(medium.start_auto_persisting())
    await run_loop()
    medium.loads[0].set_result(content({}, is_complete=True))
    await run_loop()
    if medium.saves:
        medium.saves[0].set_result(SaveResult())
    await starting
    return medium


async def test_a_transaction_is_handed_to_the_medium_at_once() -> None:
    store = create_store()
    medium = await started(store)
    store.set_cell("t", "1", "a", 1)
    assert medium.saved == [{"t": {"1": {"a": 1}}}]
    assert medium.status is Status.SAVING


async def test_transactions_during_a_save_go_together_into_the_next() -> None:
    store = create_store()
    medium = await started(store)
    store.set_cell("t", "1", "a", 1)
    store.set_cell("t", "1", "a", 2)
    store.set_cell("t", "2", "b", 3)
    assert len(medium.saved) == 1
    medium.saves[0].set_result(SaveResult())
    await run_loop()
    assert medium.saved[1:] == [{"t": {"1": {"a": 2}, "2": {"b": 3}}}]


async def test_flush_waits_for_what_was_changed_before_it_and_no_longer() -> None:
    store = create_store()
    medium = await started(store)
    store.set_cell("t", "1", "a", 1)
    flushing = asyncio.ensure_future(medium.flush())
    await run_loop()
    store.set_cell("t", "1", "a", 2)
    medium.saves[0].set_result(SaveResult())
    await run_loop()
    assert flushing.done()
    assert len(medium.saves) == 2
    assert not medium.saves[1].done()


async def test_flush_returns_at_once_if_everything_is_saved() -> None:
    medium = await started(create_store())
    assert await medium.flush() is medium
    assert medium.saves == []


async def test_a_failed_save_comes_again_with_what_was_changed_since(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL)
    errors: list[Exception] = []
    store = create_store()
    medium = await started(store, on_error=errors.append, retry_delay=0.001)
    store.set_row("t", "1", {"a": 1, "b": 1})
    store.set_cell("t", "1", "b", 2)
    medium.saves[0].set_exception(PersisterError("no"))
    await run_loop()
    assert [str(error) for error in errors] == ["no"]
    flushing = asyncio.ensure_future(medium.flush())
    await run_loop()
    assert medium.saved[-1] == {"t": {"1": {"a": 1, "b": 2}}}
    medium.saves[-1].set_result(SaveResult())
    await flushing


async def test_a_load_leaves_alone_what_is_unsaved() -> None:
    store = create_store().set_row("t", "1", {"a": 1, "b": 1})
    medium = await started(store)
    await medium.stop_auto_save()
    store.set_cell("t", "1", "a", 2)
    loading = asyncio.ensure_future(medium.load())
    await run_loop()
    medium.loads[-1].set_result(content({"1": {"a": 9, "b": 9}, "2": {"a": 9}}, version=7))
    await loading
    assert store.get_table("t") == {"1": {"a": 2, "b": 9}, "2": {"a": 9}}
    assert medium.applied[-1] == 7


async def test_what_was_loaded_is_not_saved() -> None:
    store = create_store()
    medium = await started(store)
    medium.change()
    await run_loop()
    medium.loads[-1].set_result(content({"1": {"a": 1}}))
    await run_loop()
    assert store.get_table("t") == {"1": {"a": 1}}
    assert medium.saves == []
    medium.change()
    await run_loop()
    medium.loads[-1].set_result(content({"1": None}))
    await run_loop()
    assert store.get_tables() == {}
    assert medium.saves == []


async def test_rows_that_others_deleted_under_an_edit_are_saved_whole() -> None:
    store = create_store().set_row("t", "1", {"a": 1, "b": 1})
    medium = await started(store)
    store.set_cell("t", "1", "a", 2)
    loaded = content({"1": None}, version=3)
    medium.saves[-1].set_result(SaveResult(loaded, incomplete_rows=[("t", "1")]))
    await run_loop()
    assert store.get_row("t", "1") == {"a": 2, "b": 1}
    assert medium.saved[-1] == {"t": {"1": {"a": 2, "b": 1}}}
    assert medium.applied[-1] == 3


async def test_changes_of_the_medium_during_a_load_lead_to_one_more() -> None:
    medium = await started(create_store())
    for _ in range(3):
        medium.change()
        await run_loop()
    assert len(medium.loads) == 2
    medium.loads[1].set_result(content({}))
    await run_loop()
    assert len(medium.loads) == 3


async def test_a_load_that_fails_is_told_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    errors: list[Exception] = []
    medium = await started(create_store(), on_error=errors.append, retry_delay=0.001)
    medium.change()
    await run_loop()
    medium.loads[1].set_exception(PersisterError("no"))
    await run_loop()
    assert [str(error) for error in errors] == ["no"]
    loading = asyncio.ensure_future(medium.load())
    await run_loop()
    medium.loads[-1].set_result(content({"1": {"a": 1}}))
    await loading
    assert medium.get_store().get_tables() == {"t": {"1": {"a": 1}}}


async def test_a_medium_that_raises_at_once_is_an_error_like_any_other() -> None:
    class Broken(Medium):
        def _begin_load(self) -> asyncio.Future[LoadedContent]:
            raise PersisterError("broken")

    medium = Broken(create_store())
    with pytest.raises(PersisterError, match="broken"):
        await medium.load()
    assert medium.status is Status.IDLE


async def test_a_row_that_comes_whole_goes_or_is_edited_is_marked_so() -> None:
    store = create_store().set_row("t", "old", {"a": 1}).set_row("t", "gone", {"a": 1})
    tracker = ChangeTracker(store, ALL)
    tracker.start(lambda: None)
    store.set_row("t", "new", {"a": 1}).set_cell("t", "old", "a", 2).del_row("t", "gone")
    rows = tracker.take().tables["t"]
    assert {row_id: (row.state, row.cells) for row_id, row in rows.items()} == {
        "new": (RowState.WHOLE, {"a": 1}),
        "old": (RowState.PARTIAL, {"a": 2}),
        "gone": (RowState.GONE, {"a": MISSING}),
    }
    tracker.stop()
    store.set_cell("t", "old", "a", 3)
    assert not tracker.has_unsaved


async def test_only_what_is_in_scope_is_tracked() -> None:
    none: frozenset[str] = frozenset()
    scope = Scope(none, frozenset({"mine"}), none, none, frozenset({"v"}))
    store = create_store()
    tracker = ChangeTracker(store, scope)
    tracker.start(lambda: None)
    store.set_row("other", "1", {"a": 1}).set_value("w", 1)
    assert (tracker.has_unsaved, tracker.edits) == (False, 0)
    store.set_row("mine", "1", {"a": 1}).set_value("v", 1)
    unsaved = tracker.take()
    assert (list(unsaved.tables), unsaved.values) == (["mine"], {"v": 1})


async def test_closing_waits_for_the_last_save_and_releases_the_medium() -> None:
    store = create_store()
    medium = await started(store)
    store.set_cell("t", "1", "a", 1)
    closing = asyncio.ensure_future(medium.close())
    await run_loop()
    assert not medium.is_released
    medium.saves[0].set_result(SaveResult())
    await closing
    assert medium.is_released
    assert medium.status is Status.IDLE


def test_delays_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="0 < first <= longest"):
        Medium(create_store(), retry_delay=2.0, max_retry_delay=1.0)


async def test_closing_waits_for_what_is_under_way_even_if_the_last_save_failed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL)
    store = create_store()
    medium = await started(store)
    store.set_cell("t", "1", "a", 1)
    await run_loop()
    closing = asyncio.ensure_future(medium.close())
    await run_loop()
    store.set_cell("t", "1", "a", 2)
    flushing = asyncio.ensure_future(medium.flush())
    await run_loop()
    medium.saves[0].set_exception(PersisterError("no"))
    await run_loop()
    assert len(medium.saves) == 2
    assert not closing.done()
    assert not medium.is_released
    medium.saves[1].set_result(SaveResult())
    with pytest.raises(PersisterError, match="no"):
        await closing
    await flushing
    assert medium.is_released
    await medium.close()


async def test_a_row_that_is_nowhere_any_more_is_not_saved_again_and_again() -> None:
    tracker = ChangeTracker(create_store(), ALL)
    unsaved = UnsavedChanges()
    unsaved.add_row("t", "1", UnsavedRow({"a": MISSING}, RowState.PARTIAL))
    tracker.put_back(unsaved)
    tracker.complete_rows([("t", "1")])
    row = tracker.take().row("t", "1")
    assert row is not None
    assert row.state is RowState.GONE
