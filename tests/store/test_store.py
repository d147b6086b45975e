"""The Store as a thing: copying, pickling, saying what it is."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from collections.abc import Callable

import pytest

from replicell.store import InvalidWriteError, Store, create_store


def filled() -> Store:
    store = Store(strict=True).set_tables({"t": {"r": {"b": {"x": [1]}}, "s": {"a": 1}}}).set_value("v", [1])
    store.set_cell("t", "r", "a", 1)
    store.set_values_schema({"v": {"type": "array", "default": []}})
    store.add_tables_listener(lambda store, change: None)
    return store


@pytest.mark.parametrize(
    "twin_of", [copy.copy, copy.deepcopy, lambda store: pickle.loads(pickle.dumps(store))]
)
def test_a_copy_has_the_content_and_schemas_but_no_listeners(twin_of: Callable[[Store], Store]) -> None:
    store = filled()
    twin = twin_of(store)
    assert twin.get_content() == store.get_content()
    assert twin.get_schema_json() == store.get_schema_json()
    assert twin.get_table_cell_ids("t") == store.get_table_cell_ids("t") == ["b", "a"]
    assert set(twin.get_listener_stats().values()) == {0}
    with pytest.raises(InvalidWriteError):
        twin.set_value("v", 5)
    twin.del_tables().del_values()
    assert store.has_tables() and store.get_value("v") == [1]


def test_deepcopy_keeps_shared_stores_shared() -> None:
    store = filled()
    one, other = copy.deepcopy([store, store])
    assert one is other is not store


def test_it_says_what_it_holds() -> None:
    assert repr(create_store()) == "<Store: 0 tables, 0 rows, 0 values>"


def test_it_is_mergeable_only_if_it_says_so() -> None:
    assert not Store().is_mergeable()


def test_a_store_takes_no_attributes_by_mistake() -> None:
    with pytest.raises(AttributeError):
        Store().tabels = {}  # type: ignore[attr-defined]  # on purpose


def test_a_store_that_nobody_holds_goes_away() -> None:
    store = filled()
    reference = weakref.ref(store)
    del store
    gc.collect()
    assert reference() is None
