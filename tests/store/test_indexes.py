"""Indexes: slices of rows, kept in order without sorting, told of at the end of transactions."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from replicell.store import MISSING, DefinitionError, Indexes, Store, create_indexes, create_metrics
from replicell.store.key_order import KeyOrder

PETS: dict[str, dict[str, Any]] = {
    "fido": {"species": "dog", "age": 3},
    "felix": {"species": "cat", "age": 2},
    "rex": {"species": "dog", "age": 1},
}


def by_species(store: Store) -> Indexes:
    return create_indexes(store).set_index_definition("i", "pets", "species", "age")


def slices(indexes: Indexes, index_id: str = "i") -> dict[str, list[str]]:
    return {s: indexes.get_slice_row_ids(index_id, s) for s in indexes.get_slice_ids(index_id)}


def test_there_is_one_indexes_object_a_store_and_none_is_shared() -> None:
    store = Store()
    assert create_indexes(store) is create_indexes(store)
    assert create_indexes(store) is not create_indexes(Store())
    assert create_indexes(store).get_store() is store


def test_rows_are_in_the_slice_of_their_cell_by_their_sort_key() -> None:
    store = Store().set_table("pets", PETS)
    assert slices(by_species(store)) == {"dog": ["rex", "fido"], "cat": ["felix"]}
    store.set_cell("pets", "rex", "age", 9).set_cell("pets", "felix", "species", "dog")
    assert slices(by_species(store)) == {"dog": ["felix", "fido", "rex"]}


def test_a_definition_may_come_before_its_table() -> None:
    store = Store()
    indexes = by_species(store)
    assert slices(indexes) == {}
    store.set_table("pets", PETS)
    assert indexes.get_slice_ids("i") == ["dog", "cat"]


def test_a_function_may_return_several_slices_as_list_tuple_or_set() -> None:
    store = Store().set_row("pets", "fido", {"colors": ["black", "white", "black"]})
    indexes = create_indexes(store)
    indexes.set_index_definition("i", "pets", lambda get_cell, row_id: get_cell("colors"))
    assert slices(indexes) == {"black": ["fido"], "white": ["fido"]}
    indexes.set_index_definition("i", "pets", lambda get_cell, row_id: ("black", row_id))
    assert slices(indexes) == {"black": ["fido"], "fido": ["fido"]}
    indexes.set_index_definition("i", "pets", lambda get_cell, row_id: frozenset(["x"]))
    assert slices(indexes) == {"x": ["fido"]}


def test_several_sort_keys_come_as_a_tuple() -> None:
    store = Store().set_table("pets", PETS)
    indexes = create_indexes(store).set_index_definition(
        "i", "pets", None, lambda get_cell, row_id: (get_cell("species"), get_cell("age"))
    )
    assert slices(indexes) == {"": ["felix", "rex", "fido"]}


def test_results_are_old_until_the_table_is_told_of() -> None:
    store = Store().set_table("pets", PETS)
    indexes = by_species(store)
    seen: list[Any] = []
    store.add_row_listener("pets", None, lambda *args: seen.append(("row", indexes.get_slice_ids("i"))))
    store.add_table_listener("pets", lambda *args: seen.append(("table", indexes.get_slice_ids("i"))))
    with store.transaction():
        store.del_row("pets", "felix")
        seen.append(("inside", indexes.get_slice_ids("i")))
    assert seen == [("inside", ["dog", "cat"]), ("row", ["dog", "cat"]), ("table", ["dog"])]


def test_a_failing_listener_of_somebody_else_leaves_no_index_behind() -> None:
    store = Store().set_table("pets", PETS)

    def fail(*args: Any) -> None:
        raise RuntimeError("failed")

    store.add_cell_listener(None, None, None, fail)
    indexes = by_species(store)
    told: list[str] = []
    indexes.add_slice_row_ids_listener("i", None, lambda indexes, index_id, slice_id: told.append(slice_id))
    with pytest.raises(RuntimeError, match="failed"):
        store.set_cell("pets", "felix", "species", "dog")
    assert slices(indexes) == {"dog": ["rex", "felix", "fido"]}
    assert told == ["cat", "dog"]


def test_a_definition_inside_a_transaction_holds_for_what_the_transaction_leaves() -> None:
    store = Store().set_table("pets", PETS)
    with store.transaction(do_rollback=lambda store: True):
        store.del_row("pets", "felix")
        indexes = by_species(store)
        assert indexes.get_slice_ids("i") == ["dog"]
    assert indexes.get_slice_ids("i") == ["dog", "cat"]
    with store.transaction():
        store.set_row("pets", "tom", {"species": "cat"})
        indexes.set_index_definition("j", "pets", "species")
        store.del_row("pets", "tom")
    assert indexes.get_slice_row_ids("j", "cat") == ["felix"]


def test_a_failing_function_leaves_the_index_as_it_was_and_is_asked_again() -> None:
    store = Store().set_table("pets", PETS)
    fails = False

    def species(get_cell: Any, row_id: str) -> Any:
        if fails:
            raise RuntimeError("failed")
        return get_cell("species")

    indexes = create_indexes(store).set_index_definition("i", "pets", species)
    fails = True
    with pytest.raises(RuntimeError, match="failed"):
        store.set_cell("pets", "felix", "species", "dog")
    assert store.get_cell("pets", "felix", "species") == "dog"
    assert indexes.get_slice_row_ids("i", "cat") == ["felix"]
    fails = False
    store.set_cell("pets", "rex", "age", 5)
    assert slices(indexes) == {"dog": ["fido", "rex", "felix"]}


def test_a_redefinition_that_fails_changes_nothing_and_a_definition_that_fails_is_none() -> None:
    store = Store().set_table("pets", PETS)
    indexes = by_species(store)
    for index_id in ("i", "new"):
        with pytest.raises(ZeroDivisionError):
            indexes.set_index_definition(index_id, "pets", lambda get_cell, row_id: str(1 / 0))
    assert indexes.get_index_ids() == ["i"]
    store.set_cell("pets", "felix", "species", "dog")
    assert slices(indexes) == {"dog": ["rex", "felix", "fido"]}


def test_an_index_whose_ids_listener_fails_is_not_defined() -> None:
    store = Store()

    def fail(indexes: Indexes) -> None:
        raise RuntimeError("failed")

    indexes = create_indexes(store)
    indexes.add_index_ids_listener(fail)
    with pytest.raises(RuntimeError, match="failed"):
        by_species(store)
    assert not indexes.has_index("i")
    assert store.get_listener_stats()["row"] == 0


def test_a_sorter_that_fails_half_way_is_made_up_for() -> None:
    store = Store().set_table("pets", PETS)
    fails = False

    def sorter(one: Any, other: Any, slice_id: str) -> float:
        if fails:
            raise RuntimeError("failed")
        return float(one - other)

    indexes = create_indexes(store).set_index_definition("i", "pets", "species", "age", None, sorter)
    fails = True
    with pytest.raises(BaseException, match="failed"):
        store.set_row("pets", "ace", {"species": "dog", "age": 2})
    fails = False
    store.set_cell("pets", "felix", "age", 5)
    assert slices(indexes) == {"dog": ["rex", "ace", "fido"], "cat": ["felix"]}


def test_a_listener_that_writes_while_an_index_is_defined_is_heard() -> None:
    store = Store().set_table("pets", PETS)
    indexes = create_indexes(store)
    indexes.add_slice_ids_listener("i", lambda *args: store.set_cell("pets", "ace", "species", "owl"))
    by_species(store)
    assert indexes.get_slice_ids("i") == ["dog", "cat", "owl"]


def test_other_functions_than_extractors_are_refused() -> None:
    indexes = create_indexes(Store())
    with pytest.raises(TypeError, match="a cell id or a function"):
        indexes.set_index_definition("i", "pets", ["species"])  # type: ignore[arg-type]  # what is refused
    assert indexes.get_index_ids() == []
    assert issubclass(DefinitionError, ValueError)


def test_tables_rows_and_cells_can_be_gone_through() -> None:
    store = Store().set_table("pets", PETS)
    seen: list[Any] = []
    by_species(store).for_each_slice(
        "i",
        lambda slice_id, for_each_row: for_each_row(
            lambda row_id, for_each_cell: for_each_cell(
                lambda cell_id, cell: seen.append((slice_id, row_id, cell_id, cell))
            )
        ),
    )
    assert seen[:2] == [("dog", "rex", "species", "dog"), ("dog", "rex", "age", 1)]
    assert len(seen) == 6


def test_a_destroyed_index_costs_nothing_and_its_object_can_be_used_again() -> None:
    store = Store().set_table("pets", PETS)
    indexes = by_species(store)
    indexes.destroy()
    assert store.get_listener_stats()["row"] == store.get_listener_stats()["table"] == 0
    assert slices(by_species(store)) == {"dog": ["rex", "fido"], "cat": ["felix"]}


def test_what_there_is_not_reads_as_nothing() -> None:
    indexes = create_indexes(Store())
    assert indexes.get_table_id("i") is None
    assert indexes.get_slice_ids("i") == indexes.get_slice_row_ids("i", "dog") == []
    assert not indexes.has_slice("i", "dog")
    assert MISSING is not None


def calls_of_writes(rows: int) -> int:
    """How many functions are called in a hundred writes."""
    store = Store().set_table("t", {f"r{i}": {"g": f"g{i % 20}", "n": i * 7919 % rows} for i in range(rows)})
    create_indexes(store).set_index_definition("i", "t", "g", "n")
    create_metrics(store).set_metric_definition("sum", "t", "sum", "n")
    create_metrics(store).set_metric_definition("max", "t", "max", "n")
    calls = 0

    def count(*args: Any) -> None:
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        for number in range(100):
            store.set_cell("t", f"r{number * 9}", "n", number * 13 % rows)
    finally:
        sys.setprofile(None)
    return calls


def test_a_write_to_many_rows_costs_what_one_to_few_does() -> None:
    assert calls_of_writes(50_000) < 1.5 * calls_of_writes(1_000)


def test_moving_a_row_within_a_large_slice_sorts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store().set_table("t", {f"r{i}": {"n": i} for i in range(5_000)})
    indexes = create_indexes(store).set_index_definition("i", "t", None, "n")

    def forbidden(*args: Any) -> None:
        raise AssertionError("a whole slice was sorted")

    monkeypatch.setattr(KeyOrder, "fill", forbidden)
    store.set_cell("t", "r0", "n", 2500.5)
    assert indexes.get_slice_row_ids("i", "")[2498:2502] == ["r2499", "r2500", "r0", "r2501"]
