"""Listeners and hooks: callbacks are checked against the kind they are for, and stay what they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_type

from reactivex import Observable

from replicell.store import (
    Cell,
    CellChange,
    Hook,
    Id,
    MissingType,
    Store,
    ValueChange,
    create_indexes,
    create_metrics,
    create_queries,
)
from replicell.store.changes import GetCellChange

store = Store()


def hear_row_count(store: Store, table_id: Id, count: int) -> str:
    return f"{table_id}: {count}"


store.add_row_count_listener("pets", hear_row_count)
store.add_row_listener("pets", None, hear_row_count)  # expect: mypy[arg-type], pyright[reportArgumentType]

# Decorators return the function as it is, with what it returns.
assert_type(store.on_row_count("pets")(hear_row_count), Callable[[Store, str, int], str])
assert_type(hear_row_count(store, "pets", 1), str)


@store.on_cell("pets", None, "age")
async def hear_age(
    store: Store, table_id: Id, row_id: Id, cell_id: Id, new: object, old: object, change: object
) -> int:
    return 1


async def call(change: GetCellChange) -> None:
    assert_type(await hear_age(store, "pets", "fido", "age", 1, 2, change), int)


@store.on_cell("pets", None, "age")  # expect: mypy[arg-type], pyright[reportArgumentType]
def takes_too_little(store: Store, table_id: Id) -> None: ...


@store.on_value("open", mutator=True)
def takes_anything(*args: Any) -> None: ...


store.on_has_value("open")(lambda store, value_id, has: assert_type(has, bool))
store.on_value("open")(lambda store, value_id, new, old, change: assert_type(new, Cell | MissingType))

with store.on_row_count("pets").attach(hear_row_count) as hook:
    assert_type(hook, Hook[Callable[[Store, str, int], object]])
store.on_start_transaction(mutator=True)  # expect: mypy[call-arg], pyright[reportCallIssue]

indexes, metrics, queries = create_indexes(store), create_metrics(store), create_queries(store)
indexes.on_slice_ids("by")(lambda indexes, index_id: indexes.get_slice_ids(index_id))
metrics.on_metric("m")(hear_row_count)  # expect: mypy[arg-type], pyright[reportArgumentType]
queries.on_result_row_count("q")(hear_row_count)  # expect: mypy[arg-type], pyright[reportArgumentType]

assert_type(store.observe_row_count("pets"), Observable[int])
assert_type(store.observe_row_ids("pets"), Observable[list[str]])
assert_type(store.observe_has_row("pets", "fido"), Observable[bool])
assert_type(indexes.observe_slice_ids("by"), Observable[list[str]])
assert_type(queries.observe_result_row_count("q"), Observable[int])


async def follow() -> None:
    assert_type(await store.wait_for(lambda store: store.get_row_count("pets")), int)
    async for change in store.watch(table_id="pets", overflow="error"):
        assert_type(change, CellChange | ValueChange)
        change.new = 1  # expect: mypy[misc], pyright[reportAttributeAccessIssue]
    store.watch(overflow="drop")  # expect: mypy[arg-type], pyright[reportArgumentType]
