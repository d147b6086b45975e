"""A medium of one's own is kept the same as a store by four functions."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from replicell.persisters import ConfigError, PersisterClosedError, PersisterError
from replicell.persisters.custom import CustomPersister, create_custom_persister
from replicell.store import MISSING, Store, create_store
from tests.persisters.waiting_for import until, until_store


class Shelf:
    """A medium in memory, which tells one listener when somebody else changes it."""

    def __init__(self, content: Any = MISSING) -> None:
        self.content = content
        self.saves: list[Any] = []
        self.listener: Callable[..., None] | None = None
        self.loads = 0

    async def get(self) -> Any:
        self.loads += 1
        return self.content

    async def set(self, get_content: Callable[[], Any], changes: Any) -> None:
        self.content = get_content()
        self.saves.append(changes)

    def add(self, listener: Callable[..., None]) -> str:
        self.listener = listener
        return "handle"

    def delete(self, handle: str) -> None:
        assert handle == "handle"
        self.listener = None

    def put(self, content: Any) -> None:
        """Change the content as somebody else would."""
        self.content = content
        if self.listener is not None:
            self.listener()

    def persister(self, store: Store, **options: Any) -> CustomPersister:
        return create_custom_persister(store, self.get, self.set, self.add, self.delete, **options)


async def test_what_the_medium_holds_is_loaded_and_the_store_is_saved() -> None:
    shelf = Shelf([{"t": {"1": {"a": 1, "b": {"x": [1]}}}}, {"v": True}])
    store = create_store()
    async with shelf.persister(store) as persister:
        await persister.load()
        assert store.get_content() == ({"t": {"1": {"a": 1, "b": {"x": [1]}}}}, {"v": True})
        store.set_cell("t", "1", "a", 2)
        await persister.save()
    assert shelf.content == ({"t": {"1": {"a": 2, "b": {"x": [1]}}}}, {"v": True})


async def test_an_empty_medium_is_no_error_and_gives_way_to_initial_content() -> None:
    errors: list[Exception] = []
    kinds: list[Any] = [MISSING, None, ({}, {})]
    for nothing in kinds:
        store = create_store()
        async with Shelf(nothing).persister(store, on_error=errors.append) as persister:
            await persister.load([{"t": {"1": {"a": 1}}}, {}])
        assert store.get_tables() == {"t": {"1": {"a": 1}}}
    assert errors == []


async def test_a_first_save_gives_everything_and_later_ones_what_has_changed() -> None:
    shelf = Shelf()
    store = create_store().set_row("t", "1", {"a": 1}).set_row("t", "2", {"a": 1})
    async with shelf.persister(store) as persister:
        await persister.start_auto_save()
        store.set_cell("t", "1", "a", [1]).del_row("t", "2").set_value("v", 1)
        await persister.flush()
    assert shelf.saves[0] is None
    tables: dict[str, Any] = {}
    for changes in shelf.saves[1:]:
        tables.setdefault("t", {}).update(changes.tables.get("t", {}))
        assert changes[2] == 1
    assert tables == {"t": {"1": {"a": [1]}, "2": MISSING}}
    assert shelf.content == ({"t": {"1": {"a": [1]}}}, {"v": 1})


async def test_others_changes_arrive_whether_told_as_nothing_content_or_changes() -> None:
    shelf = Shelf([{"t": {"1": {"a": 1}, "2": {"a": 1}}}, {}])
    store = create_store()
    async with shelf.persister(store) as persister:
        await persister.start_auto_persisting()
        shelf.put([{"t": {"1": {"a": 2}}}, {}])
        await until_store(store, lambda: store.get_tables() == {"t": {"1": {"a": 2}}})
        assert shelf.listener is not None
        reads = shelf.loads
        shelf.listener([{"t": {"1": {"a": 3}, "3": {"a": 1}}}, {}])
        await until_store(store, lambda: store.get_row_ids("t") == ["1", "3"])
        shelf.listener(None, [{"t": {"1": MISSING, "3": {"a": MISSING, "b": 1}}}, {"v": 1}, 1])
        await until_store(store, lambda: store.get_content() == ({"t": {"3": {"b": 1}}}, {"v": 1}))
        shelf.listener(None, [{"t": MISSING}, {"v": MISSING}, 1])
        await until_store(store, lambda: store.get_content() == ({}, {}))
        assert shelf.loads == reads
        assert shelf.saves == []
    assert shelf.listener is None


async def test_an_edit_during_a_load_survives_and_is_saved() -> None:
    shelf = Shelf([{"t": {"1": {"a": 1, "b": 1}}}, {}])
    store = create_store()
    async with shelf.persister(store) as persister:
        await persister.start_auto_persisting()
        shelf.put([{"t": {"1": {"a": 2, "b": 2}}}, {}])
        store.set_cell("t", "1", "a", 9)
        await until_store(store, lambda: store.get_cell("t", "1", "b") == 2)
        await persister.flush()
        assert store.get_row("t", "1") == {"a": 9, "b": 2}
    assert shelf.content == ({"t": {"1": {"a": 9, "b": 2}}}, {})


async def test_a_failed_save_comes_again_as_what_it_was(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    shelf = Shelf()
    attempts = 0

    async def set_persisted(get_content: Callable[[], Any], changes: Any) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:
            raise OSError("no")
        await shelf.set(get_content, changes)

    store = create_store().set_row("t", "1", {"a": 1})
    persister = CustomPersister(store, shelf.get, set_persisted, shelf.add, shelf.delete, retry_delay=0.001)
    with pytest.raises(OSError, match="no"):
        await persister.save()
    await persister.flush()
    assert shelf.saves == [None]
    await persister.destroy()


@pytest.mark.parametrize("content", [7, "text", [{}], [1, 2], [{}, {}, 1, 2]])
async def test_something_that_is_no_content_is_an_error_and_changes_nothing(content: Any) -> None:
    store = create_store().set_row("t", "1", {"a": 1})
    async with Shelf(content).persister(store) as persister:
        with pytest.raises(PersisterError, match="medium"):
            await persister.load()
    assert store.get_tables() == {"t": {"1": {"a": 1}}}


async def test_cells_that_are_none_are_reported_and_the_others_are_loaded(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.CRITICAL)
    errors: list[Exception] = []
    store = create_store()
    shelf = Shelf([{"t": {"1": {"a": object(), "b": 1}}}, {}])
    async with shelf.persister(store, on_error=errors.append) as persister:
        await persister.load()
    assert store.get_tables() == {"t": {"1": {"b": 1}}}
    assert len(errors) == 1
    assert "table 't', row '1', cell 'a'" in str(errors[0])


async def test_what_the_medium_tells_while_it_is_read_is_read_as_well() -> None:
    reading, go_on = asyncio.Event(), asyncio.Event()
    go_on.set()

    class SlowShelf(Shelf):
        async def get(self) -> Any:
            content = await super().get()
            reading.set()
            await go_on.wait()
            return content

    shelf = SlowShelf([{}, {"a": 0}])
    store = create_store()
    async with shelf.persister(store) as persister:
        await persister.start_auto_load()
        reading.clear()
        go_on.clear()
        shelf.put([{}, {"a": 1}])
        await reading.wait()
        shelf.put([{}, {"a": 2}])
        go_on.set()
        await until_store(store, lambda: store.get_value("a") == 2)


async def test_what_was_loaded_into_a_transaction_that_is_undone_is_loaded_again() -> None:
    shelf = Shelf([{}, {}])
    store = create_store()
    async with shelf.persister(store, retry_delay=0.001) as persister:
        await persister.start_auto_load()
        store.start_transaction()
        assert shelf.listener is not None
        shelf.content = [{}, {"a": 1}]
        shelf.listener(None, [{}, {"a": 1}, 1])
        await until(lambda: store.get_value("a") == 1)
        store.finish_transaction(lambda _: True)
        assert store.get_value("a") is None
        await until_store(store, lambda: store.get_value("a") == 1)


async def test_listeners_may_be_added_and_deleted_asynchronously_and_plain_functions_will_do() -> None:
    events: list[str] = []

    async def add(listener: Callable[..., None]) -> int:
        await asyncio.sleep(0)
        events.append("added")
        return 7

    async def delete(handle: int) -> None:
        events.append(f"deleted {handle}")

    def get() -> Any:
        events.append("read")
        return [{"t": {"1": {"a": 1}}}, {}]

    store = create_store()
    persister = create_custom_persister(store, get, lambda get_content, changes: None, add, delete)
    await persister.start_auto_load()
    await persister.stop_auto_load()
    await until(lambda: events[-1] == "deleted 7")
    assert events == ["added", "read", "deleted 7"]
    assert store.get_tables() == {"t": {"1": {"a": 1}}}
    await persister.destroy()


async def test_tinybases_persist_modes_are_taken_where_a_plain_store_will_do() -> None:
    for persist in (1, 3):
        shelf = Shelf()
        store = create_store().set_value("a", 1)
        async with create_custom_persister(
            store, shelf.get, shelf.set, shelf.add, shelf.delete, None, persist
        ) as persister:
            await persister.save()
        assert shelf.content == ({}, {"a": 1})


@pytest.mark.parametrize(
    ("persist", "message"),
    [
        (2, "persist=2 asks for a MergeableStore, which replicell does not have"),
        (0, "persist must be 1"),
        ("1", "persist must be 1"),
        (True, "persist must be 1"),
    ],
)
async def test_a_persist_mode_that_a_plain_store_cannot_have_is_refused_at_once(
    persist: Any, message: str
) -> None:
    shelf = Shelf()
    with pytest.raises(ConfigError, match=message):
        shelf.persister(create_store(), persist=persist)


async def test_mergeable_content_is_told_from_plain_content_and_refused() -> None:
    stamped = [[{"t": [{"1": [{"a": ["x", "hlc", 1]}, "", 0]}, "", 0]}, "", 0], [{}, "", 0]]
    store = create_store()
    async with Shelf(stamped).persister(store) as persister:
        with pytest.raises(PersisterError, match="MergeableStore"):
            await persister.load()
    assert store.get_content() == ({}, {})


async def test_a_destroyed_persister_says_so() -> None:
    persister = Shelf().persister(create_store())
    await persister.destroy()
    with pytest.raises(PersisterClosedError):
        await persister.save()
    with pytest.raises(PersisterClosedError):
        await persister.schedule()
