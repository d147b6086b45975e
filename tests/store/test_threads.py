"""A store belongs to one thread; others hand it work."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import Callable
from typing import Any

import pytest

from replicell.store import Store, WrongThreadError


def in_another_thread(work: Callable[[], object]) -> BaseException | None:
    raised: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
    return raised[0] if raised else None


@pytest.mark.parametrize(
    "work",
    [
        lambda s: s.set_cell("t", "r", "c", 2),
        lambda s: s.set_row("t", "r", {"c": 2}),
        lambda s: s.del_row("t", "r"),
        lambda s: s.set_tables({"t": {"r": {"c": 2}}}),
        lambda s: s.set_value("v", 2),
        lambda s: s.start_transaction(),
        lambda s: s.transaction(lambda: None),
        lambda s: s.get_cell("t", "r", "c"),
        lambda s: s.get_tables(),
        lambda s: s.get_json(),
        lambda s: s.add_tables_listener(print),
        lambda s: s.pump(),
    ],
    ids=[
        "set_cell",
        "set_row",
        "del_row",
        "set_tables",
        "set_value",
        "start_transaction",
        "transaction",
        "get_cell",
        "get_tables",
        "get_json",
        "add_tables_listener",
        "pump",
    ],
)
def test_use_from_another_thread_raises_and_changes_nothing(work: Callable[[Store], object]) -> None:
    store = Store().set_cell("t", "r", "c", 1)
    error = in_another_thread(lambda: work(store))
    assert isinstance(error, WrongThreadError)
    assert "'MainThread'" in str(error) and "store.submit(fn)" in str(error)
    assert store.get_tables() == {"t": {"r": {"c": 1}}}


ARGUMENTS: dict[str, Any] = {
    "actions": lambda: None,
    "callback": print,
    "changes": ({}, {"v": 1}, 1),
    "content": ({}, {"v": 1}),
    "descending": False,
    "limit": None,
    "listener": print,
    "listener_id": "0",
    "offset": 0,
    "row_callback": print,
    "schema": {"t": {"c": {"type": "number"}}},
    "scheduler": None,
    "table_callback": print,
    "tables_schema": {"t": {"c": {"type": "number"}}},
    "text": "{}",
    "values_schema": {"v": {"type": "number"}},
}
FOR_ANY_THREAD = {"is_mergeable", "submit", "move_to_current_thread"}
# Views such as `store.tables` refuse when something is done with them.
METHODS = sorted(
    name
    for name in dir(Store)
    if name[0] != "_" and name not in FOR_ANY_THREAD and callable(getattr(Store, name))
)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_refuses_another_thread(name: str) -> None:
    store = Store().set_cell("t", "r", "c", 1)
    method = getattr(store, name)
    required = [
        parameter.name
        for parameter in inspect.signature(method).parameters.values()
        if parameter.default is parameter.empty or parameter.name == "actions"
    ]
    arguments = {
        name: ARGUMENTS.get(name, "t" if name.endswith("_id") else {"t": {"c": 1}}) for name in required
    }
    work = (
        (lambda: method(**arguments).subscribe(print))
        if name.startswith("observe_")
        else lambda: method(**arguments)
    )
    assert isinstance(in_another_thread(work), WrongThreadError)
    assert store.get_content() == ({"t": {"r": {"c": 1}}}, {})


def test_submitted_work_is_done_in_order_when_the_owner_pumps() -> None:
    store = Store()
    futures: list[Any] = []

    def submit() -> None:
        futures.append(store.submit(store.set_cell, "t", "r", "c", 1))
        futures.append(store.submit(lambda: store.get_cell("t", "r", "c")))
        futures.append(store.submit(lambda: 1 // 0))

    assert in_another_thread(submit) is None
    assert store.get_tables() == {}
    assert futures[2].cancel() is True
    futures.append(store.submit(int, "x"))
    assert store.pump() == 4
    assert futures[1].result(0) == 1
    assert isinstance(futures[3].exception(0), ValueError)
    assert store.pump() == 0


async def test_with_an_event_loop_as_scheduler_work_gets_done_by_itself() -> None:
    loop = asyncio.get_running_loop()
    store = Store().set_scheduler(loop.call_soon_threadsafe)

    def from_a_thread() -> Any:
        return store.submit(lambda: store.set_cell("t", "r", "c", 1).get_cell("t", "r", "c")).result(10)

    assert await asyncio.to_thread(from_a_thread) == 1
    assert store.get_cell("t", "r", "c") == 1
    store.set_scheduler(None).submit(store.del_tables)
    assert store.has_tables()
    assert store.pump() == 1
    assert not store.has_tables()


def test_a_store_can_move_to_another_thread() -> None:
    store = Store()
    assert in_another_thread(lambda: store.move_to_current_thread().set_value("v", 1)) is None
    with pytest.raises(WrongThreadError):
        store.get_value("v")
    assert store.move_to_current_thread().get_value("v") == 1
