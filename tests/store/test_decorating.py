"""Decorators: one for every kind of listener, of a store and of what is derived from it."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable
from inspect import signature
from typing import Any

import pytest

from replicell.store import (
    Hook,
    Store,
    WrongThreadError,
    create_checkpoints,
    create_indexes,
    create_links,
    create_metrics,
    create_queries,
    create_relationships,
)
from replicell.store.testing import Recorder

CREATORS: dict[str, Callable[[Store], Any]] = {
    "store": lambda store: store,
    "indexes": create_indexes,
    "metrics": create_metrics,
    "relationships": create_relationships,
    "links": create_links,
    "queries": create_queries,
    "checkpoints": create_checkpoints,
}


def listener_kinds(owner: object) -> list[str]:
    names = [name for name in dir(owner) if name.startswith("add_") and name.endswith("_listener")]
    return [name.removeprefix("add_").removesuffix("_listener") for name in names]


KINDS = [(name, kind) for name, create in CREATORS.items() for kind in listener_kinds(create(Store()))]


def test_there_is_a_decorator_for_each_way_to_add_a_listener_and_no_other() -> None:
    for create in CREATORS.values():
        owner = create(Store())
        decorators = [name.removeprefix("on_") for name in dir(owner) if name.startswith("on_")]
        assert sorted(decorators) == sorted(listener_kinds(owner))
    assert len(KINDS) > 50


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_a_decorator_takes_the_ids_of_the_listener_and_whether_it_is_a_mutator(name: str, kind: str) -> None:
    owner = CREATORS[name](Store())
    add, on = getattr(owner, f"add_{kind}_listener"), getattr(owner, f"on_{kind}")
    parameters = [parameter for parameter in signature(add).parameters if parameter != "listener"]
    given = [parameter for parameter in signature(on).parameters if parameter != "sorter"]
    assert given == parameters


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_a_hook_adds_one_listener_and_removes_it(name: str, kind: str) -> None:
    owner = CREATORS[name](Store())
    on = getattr(owner, f"on_{kind}")
    ids = ["t" for it in signature(on).parameters.values() if it.default is it.empty]
    before = added_count(owner)
    hook: Hook[Callable[..., object]] = on(*ids)
    assert not hook.is_listening
    with hook.attach(print):
        assert hook.is_listening
        assert added_count(owner) == before + 1
    assert not hook.is_listening
    assert added_count(owner) == before


def added_count(owner: Any) -> int:
    if isinstance(owner, Store):
        return sum(owner.get_listener_stats().values())
    of_params = sum(owner._params.get_listener_stats().values()) if hasattr(owner, "_params") else 0
    return len(owner._listeners._by_id) + of_params


def test_a_decorator_returns_the_function_itself() -> None:
    store, heard = Store(), list[Any]()

    def hear(store: Store, value_id: str, new: Any, old: Any, change: object) -> None:
        heard.append(new)

    assert store.on_value("v")(hear) is hear
    store.set_value("v", 1)
    assert heard == [1]


def test_a_function_decorated_twice_is_called_for_each_and_each_is_cancelled_alone() -> None:
    store, recorder = Store(), Recorder()
    listener = recorder.named("it")
    first, second = store.on_value("v"), store.on_value(None)
    first(second(listener))
    store.set_value("v", 1)
    assert len(recorder.taken()) == 2
    first.cancel()
    store.set_value("v", 2)
    assert len(recorder.taken()) == 1
    second.cancel()
    second.cancel()
    store.set_value("v", 3)
    assert recorder.taken() == []


def test_one_hook_holds_several_functions_and_can_be_used_again() -> None:
    store, recorder = Store(), Recorder()
    hook = store.on_cell("t", None, "c").attach(recorder.named("a")).attach(recorder.named("b"))
    store.set_cell("t", "r", "c", 1)
    assert [name for name, *_ in recorder.taken()] == ["a", "b"]
    hook.cancel()
    hook.attach(recorder.named("c"))
    store.set_cell("t", "r", "c", 2)
    assert [name for name, *_ in recorder.taken()] == ["c"]


class Shop:
    def __init__(self) -> None:
        self.sold: list[str] = []

    def note(self, store: Store, table_id: str, row_id: str, *_: object) -> None:
        self.sold.append(row_id)


def test_bound_methods_listen_and_are_held() -> None:
    store, shop = Store(), Shop()
    sold = shop.sold
    store.on_cell("pets", None, "sold").attach(shop.note)
    del shop
    gc.collect()
    store.set_cell("pets", "fido", "sold", True)
    assert sold == ["fido"]


def test_a_hook_that_is_thrown_away_goes_on_listening() -> None:
    store, recorder = Store(), Recorder()
    store.on_tables()(recorder.named("tables"))
    gc.collect()
    store.set_cell("t", "r", "c", 1)
    assert recorder.taken() == [("tables",)]


def test_a_mutator_may_write_before_others_hear() -> None:
    store, recorder = Store(), Recorder()

    @store.on_cell("t", None, "price", mutator=True)
    def no_debts(store: Store, table_id: str, row_id: str, cell_id: str, new: Any, *_: object) -> None:
        if new < 0:
            store.set_cell(table_id, row_id, cell_id, 0)

    store.on_cell("t", None, "price")(recorder.named("price"))
    store.set_cell("t", "r", "price", 5).set_cell("t", "r", "price", -1)
    assert recorder.taken()[-1] == ("price", "t", "r", "price", 0, 5)


def test_a_window_of_sorted_rows_is_listened_to_with_a_sorter() -> None:
    store, heard = Store(), list[Any]()
    hook = store.on_sorted_row_ids("t", "c", limit=1, sorter=lambda one, other: other - one)
    hook.attach(lambda *args: heard.append(args[-1]))
    store.set_cell("t", "a", "c", 1).set_cell("t", "b", "c", 2).set_cell("t", "c", "c", 0)
    assert heard == [["a"], ["b"]]


def test_cancelling_inside_a_listener_skips_those_not_yet_called() -> None:
    store, recorder = Store(), Recorder()
    later = store.on_value("v")
    store.on_value("v").attach(lambda *_: later.cancel())
    later.attach(recorder.named("later"))
    store.set_value("v", 1)
    assert recorder.taken() == []


def test_the_block_of_a_hook_cancels_also_when_it_fails() -> None:
    store, recorder = Store(), Recorder()
    with pytest.raises(ZeroDivisionError), store.on_value("v").attach(recorder.named("v")):
        raise ZeroDivisionError
    store.set_value("v", 1)
    assert recorder.taken() == []


def test_cancelling_in_the_wrong_thread_changes_nothing() -> None:
    store, recorder = Store(), Recorder()
    hook = store.on_value("v").attach(recorder.named("v"))
    raised: list[type[BaseException]] = []

    def cancel() -> None:
        try:
            hook.cancel()
        except WrongThreadError as error:
            raised.append(type(error))

    thread = threading.Thread(target=cancel)
    thread.start()
    thread.join(10)
    assert raised == [WrongThreadError]
    hook.cancel()
    store.set_value("v", 1)
    assert recorder.taken() == []
