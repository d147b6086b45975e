"""Reading: nothing raises, nothing aliases, order is insertion order."""

from __future__ import annotations

from typing import Any

import pytest

from replicell.store import MISSING, Store


@pytest.fixture
def store() -> Store:
    return Store().set_tables(
        {"pets": {"fido": {"species": "dog", "age": 3}, "felix": {"species": "cat", "tags": ["soft"]}}}
    )


def test_what_is_not_there_reads_as_empty() -> None:
    store = Store()
    assert store.get_content() == ({}, {})
    assert (store.get_tables(), store.get_table("t"), store.get_row("t", "r"), store.get_values()) == (
        {},
        {},
        {},
        {},
    )
    assert (store.get_table_ids(), store.get_row_ids("t"), store.get_cell_ids("t", "r")) == ([], [], [])
    assert (store.get_table_cell_ids("t"), store.get_sorted_row_ids("t"), store.get_value_ids()) == (
        [],
        [],
        [],
    )
    assert store.get_row_count("t") == 0
    assert not any(
        (
            store.has_tables(),
            store.has_table("t"),
            store.has_table_cell("t", "c"),
            store.has_row("t", "r"),
            store.has_cell("t", "r", "c"),
            store.has_values(),
            store.has_value("v"),
        )
    )


def test_an_absent_cell_reads_as_the_default_and_a_null_as_none() -> None:
    store = Store().set_cell("t", "r", "null", None).set_value("null", None)
    assert store.get_cell("t", "r", "c") is None
    assert store.get_cell("t", "r", "c", MISSING) is MISSING
    assert store.get_cell("t", "r", "null", MISSING) is None
    assert store.get_cell("t", "r", "c", default=7) == 7
    assert store.get_value("v") is None
    assert store.get_value("v", 7) == 7
    assert store.get_value("null", MISSING) is None


def test_reading_finds_what_was_written(store: Store) -> None:
    assert store.get_table_ids() == ["pets"]
    assert store.get_row_ids("pets") == ["fido", "felix"]
    assert store.get_row_count("pets") == 2
    assert store.get_cell_ids("pets", "felix") == ["species", "tags"]
    assert store.get_table_cell_ids("pets") == ["species", "age", "tags"]
    assert store.get_row("pets", "felix") == {"species": "cat", "tags": ["soft"]}
    assert store.get_cell("pets", "felix", "tags") == ["soft"]
    assert store.has_table_cell("pets", "tags")
    assert store.has_row("pets", "fido")


@pytest.mark.parametrize("rich", [True, False])
def test_what_is_returned_is_a_copy(rich: bool) -> None:
    cell: Any = {"list": [1]} if rich else 1
    given = {"t": {"r": {"c": cell}}}
    store = Store().set_tables(given).set_value("v", cell)
    before = store.get_json()
    given["t"]["r"]["c"] = "changed"
    store.get_tables()["t"]["r"]["c"] = "changed"
    store.get_table("t")["r"]["c"] = "changed"
    store.get_row("t", "r")["c"] = "changed"
    store.get_values()["v"] = "changed"
    store.get_encoded_tables()["t"]["r"]["c"] = "changed"
    store.get_encoded_table("t")["r"]["c"] = "changed"
    store.get_encoded_row("t", "r")["c"] = "changed"
    store.get_encoded_values()["v"] = "changed"
    store.get_row_ids("t").append("changed")
    if rich:
        read: Any = store.get_cell("t", "r", "c")
        read["list"].append("changed")
        cell["list"].append("changed")
    assert store.get_json() == before


def test_overwriting_keeps_the_place_and_coming_back_goes_to_the_end(store: Store) -> None:
    store.set_cell("pets", "fido", "species", "wolf")
    assert store.get_cell_ids("pets", "fido") == ["species", "age"]
    store.del_row("pets", "fido").set_row("pets", "fido", {"age": 1})
    assert store.get_row_ids("pets") == ["felix", "fido"]


def test_replacing_a_table_keeps_survivors_in_place() -> None:
    store = Store().set_table("t", {"r1": {"n": 1}, "r2": {"n": 2}, "r3": {"n": 3}})
    store.set_table("t", {"r4": {"n": 4}, "r3": {"n": 3}, "r1": {"n": 1}})
    assert store.get_row_ids("t") == ["r1", "r3", "r4"]


def test_table_cell_ids_stay_in_order_of_first_use_until_nobody_uses_them() -> None:
    store = Store().set_row("t", "r1", {"a": 1}).set_row("t", "r2", {"b": 1}).set_cell("t", "r1", "c", 1)
    assert store.get_table_cell_ids("t") == ["a", "b", "c"]
    store.set_cell("t", "r2", "a", 1).del_cell("t", "r1", "a")
    assert store.get_table_cell_ids("t") == ["a", "b", "c"]
    store.del_cell("t", "r2", "a").set_cell("t", "r2", "a", 1)
    assert store.get_table_cell_ids("t") == ["b", "c", "a"]


def test_the_encoded_form_is_what_is_held(store: Store) -> None:
    assert store.get_encoded_cell("pets", "felix", "tags") == '\ufffd["soft"]'
    assert store.get_encoded_row("pets", "felix") == {"species": "cat", "tags": '\ufffd["soft"]'}
    assert store.get_encoded_cell("pets", "felix", "x") is MISSING
    assert store.get_encoded_row("pets", "nobody") == {}
    assert store.set_value("v", {}).get_encoded_value("v") == "\ufffd{}"
    assert store.get_encoded_value("x") is MISSING


def test_iterating_visits_everything_in_order(store: Store) -> None:
    seen: list[tuple[Any, ...]] = []
    store.for_each_table(
        lambda t, rows: rows(lambda r, cells: cells(lambda c, cell: seen.append((t, r, c, cell))))
    )
    assert seen == [
        ("pets", "fido", "species", "dog"),
        ("pets", "fido", "age", 3),
        ("pets", "felix", "species", "cat"),
        ("pets", "felix", "tags", ["soft"]),
    ]
    counts: dict[str, int] = {}
    store.for_each_table_cell("pets", counts.__setitem__)
    assert counts == {"species": 2, "age": 1, "tags": 1}


def test_iterating_survives_changes_and_leaves_out_what_is_gone(store: Store) -> None:
    seen: list[str] = []

    def visit(row_id: str, for_each_cell: object) -> None:
        seen.append(row_id)
        store.del_row("pets", "felix").set_row("pets", "new", {"age": 0})

    store.for_each_row("pets", visit)
    assert seen == ["fido"]
    values: list[str] = []

    def visit_value(value_id: str, value: object) -> None:
        values.append(value_id)
        store.del_value("b")

    store.set_values({"a": 1, "b": 2}).for_each_value(visit_value)
    assert values == ["a"]
    cells: list[str] = []

    def visit_cell(cell_id: str, cell: object) -> None:
        cells.append(cell_id)
        store.del_cell("pets", "fido", "age")

    store.for_each_cell("pets", "fido", visit_cell)
    assert cells == ["species"]
