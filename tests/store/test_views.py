"""`store.tables` and `store.values`: the content as live nested mappings."""

from __future__ import annotations

import sys
from collections.abc import Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from replicell.store import (
    AbsentError,
    InvalidCellError,
    RowView,
    Store,
    StoreError,
    TablesView,
    TableView,
    ValuesView,
    WriteForbiddenError,
    WrongThreadError,
    create_middleware,
)


@pytest.fixture
def store() -> Store:
    return (
        Store()
        .set_tables(
            {
                "pets": {"fido": {"species": "dog", "age": 3, "tags": ["good"]}, "felix": {"species": "cat"}},
                "species": {"dog": {"legs": 4}},
            }
        )
        .set_values({"open": True, "hours": {"from": 9}})
    )


def test_views_are_mutable_mappings(store: Store) -> None:
    for view in (store.tables, store.tables["pets"], store.tables["pets"]["fido"], store.values):
        assert isinstance(view, MutableMapping)


def test_reading_goes_down_to_the_cell_and_decodes_it(store: Store) -> None:
    assert store.tables["pets"]["fido"]["age"] == 3
    assert store.tables["pets"]["fido"]["tags"] == ["good"]
    assert store.values["hours"] == {"from": 9}


def test_a_decoded_cell_is_a_copy(store: Store) -> None:
    tags: Any = store.tables["pets"]["fido"]["tags"]
    tags.append("bad")
    assert store.get_cell("pets", "fido", "tags") == ["good"]


def test_ids_may_be_numbers_as_everywhere() -> None:
    store = Store().set_cell(1, 2, 3, "x")
    assert store.tables[1][2][3] == "x"
    assert "1" in store.tables
    store.tables[1][2][4] = "y"
    assert store.get_row("1", "2") == {"3": "x", "4": "y"}


def test_views_have_the_length_order_and_membership_of_what_they_show(store: Store) -> None:
    assert list(store.tables) == ["pets", "species"]
    assert len(store.tables["pets"]) == 2
    assert list(store.tables["pets"]["fido"]) == ["species", "age", "tags"]
    assert "felix" in store.tables["pets"]
    assert "rex" not in store.tables["pets"]
    assert object() not in store.values
    assert len(store.values) == 2


def test_views_compare_with_dicts(store: Store) -> None:
    assert store.tables["pets"]["felix"] == {"species": "cat"}
    assert store.tables == store.get_tables()
    assert store.values == store.get_values()
    assert store.tables["pets"] != {}


def test_views_are_live(store: Store) -> None:
    pets, fido, values = store.tables["pets"], store.tables["pets"]["fido"], store.values
    store.set_row("pets", "rex", {"age": 1}).set_cell("pets", "fido", "age", 4).del_value("open")
    assert list(pets) == ["fido", "felix", "rex"]
    assert fido["age"] == 4
    assert list(values) == ["hours"]


def test_a_view_stays_good_when_its_row_goes_and_comes_back(store: Store) -> None:
    fido = store.tables["pets"]["fido"]
    del store.tables["pets"]["fido"]
    assert len(fido) == 0
    with pytest.raises(AbsentError):
        fido["age"]
    fido["age"] = 1
    assert store.get_row("pets", "fido") == {"age": 1}


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda store: store.tables["plants"], "the store has no table 'plants'"),
        (lambda store: store.tables["pets"]["rex"], "table 'pets' has no row 'rex'"),
        (lambda store: store.tables["pets"]["felix"]["age"], "row 'felix' of table 'pets' has no cell 'age'"),
        (lambda store: store.values["closed"], "the store has no value 'closed'"),
    ],
    ids=["table", "row", "cell", "value"],
)
def test_what_is_absent_is_a_key_error_that_names_it(
    store: Store, read: Callable[[Store], object], message: str
) -> None:
    with pytest.raises(KeyError) as caught:
        read(store)
    assert isinstance(caught.value, StoreError)
    assert str(caught.value).startswith(message)


def test_get_gives_a_default_for_what_is_absent(store: Store) -> None:
    assert store.tables["pets"]["felix"].get("age") is None
    assert store.tables["pets"]["felix"].get("age", 0) == 0
    assert store.tables.get("plants") is None
    assert store.values.get("open") is True


def test_assigning_writes_to_the_store(store: Store) -> None:
    heard: list[object] = []
    store.add_cell_listener(
        None, None, None, lambda store, t, r, c, new, old, change: heard.append((t, r, c, new))
    )
    store.tables["pets"]["fido"]["age"] = 4
    store.tables["pets"]["rex"] = {"age": 1}
    store.tables["plants"] = {"fern": {"green": True}}
    store.values["open"] = False
    assert heard == [("pets", "fido", "age", 4), ("pets", "rex", "age", 1), ("plants", "fern", "green", True)]
    assert store.get_value("open") is False


def test_views_can_be_assigned_to_each_other(store: Store) -> None:
    store.tables["pets"]["twin"] = store.tables["pets"]["fido"]
    store.tables["animals"] = store.tables["pets"]
    assert store.get_row("pets", "twin") == store.get_row("pets", "fido")
    assert store.get_table("animals") == store.get_table("pets")
    store.set_cell("pets", "twin", "age", 9)
    assert store.get_cell("animals", "twin", "age") == 3


def test_the_methods_of_mutable_mappings_work(store: Store) -> None:
    fido = store.tables["pets"]["fido"]
    assert fido.pop("age") == 3
    assert fido.setdefault("age", 5) == 5
    fido.update(age=6, sold=True)
    assert fido == {"species": "dog", "tags": ["good"], "age": 6, "sold": True}
    assert store.values.pop("open") is True


def test_what_is_popped_is_what_was_there_and_no_view_of_what_is_gone(store: Store) -> None:
    fido, felix = store.get_row("pets", "fido"), store.get_row("pets", "felix")
    species = store.get_table("species")
    assert store.tables["pets"].pop("felix") == felix != {}
    assert store.tables["pets"].popitem() == ("fido", fido)
    assert store.tables.pop("species") == species != {}
    assert not store.has_tables()
    store.set_row("pets", 1, {"age": 3})
    assert store.tables["pets"].pop("rex", None) is None
    assert store.tables["pets"].pop(1, None) == {"age": 3}
    assert store.tables.pop("pets", default=5) == 5
    for pop in (lambda: store.tables.pop("pets"), store.tables.popitem):
        with pytest.raises(AbsentError):
            pop()
    emptied = store.set_row("pets", 1, {"age": 3}).tables["pets"]
    assert store.tables.popitem() == ("pets", {"1": {"age": 3}})
    for pop_row in (lambda: emptied.pop("1"), emptied.popitem):
        with pytest.raises(AbsentError):
            pop_row()


def test_deleting_deletes(store: Store) -> None:
    del store.tables["pets"]["fido"]["age"]
    del store.tables["pets"]["felix"]
    del store.tables["species"]
    del store.values["open"]
    assert store.get_tables() == {"pets": {"fido": {"species": "dog", "tags": ["good"]}}}
    assert store.get_values() == {"hours": {"from": 9}}


@pytest.mark.parametrize(
    "delete",
    [
        lambda store: store.tables.__delitem__("plants"),
        lambda store: store.tables["pets"].__delitem__("rex"),
        lambda store: store.tables["pets"]["felix"].__delitem__("age"),
        lambda store: store.values.__delitem__("closed"),
    ],
    ids=["table", "row", "cell", "value"],
)
def test_deleting_what_is_absent_is_a_key_error(store: Store, delete: Callable[[Store], object]) -> None:
    with pytest.raises(KeyError):
        delete(store)


def test_clear_empties_in_one_transaction(store: Store) -> None:
    transactions: list[str] = []
    store.add_did_finish_transaction_listener(lambda store: transactions.append("done"))
    store.tables["pets"]["fido"].clear()
    store.tables["pets"].clear()
    store.tables.clear()
    store.values.clear()
    assert store.get_content() == ({}, {})
    assert len(transactions) == 4


def test_a_deleted_cell_with_a_default_is_set_to_it() -> None:
    store = Store().set_tables_schema({"pets": {"sold": {"type": "boolean", "default": False}}})
    store.tables["pets"] = {"fido": {"sold": True}}
    del store.tables["pets"]["fido"]["sold"]
    assert store.tables["pets"]["fido"]["sold"] is False


def test_writes_are_validated_as_set_cell_does_it() -> None:
    schema: Any = {"pets": {"age": {"type": "number"}}}
    lenient = Store().set_tables_schema(schema).set_cell("pets", "fido", "age", 3)
    lenient.tables["pets"]["fido"]["age"] = "old"
    assert lenient.get_cell("pets", "fido", "age") == 3
    strict = Store(strict=True).set_tables_schema(schema).set_cell("pets", "fido", "age", 3)
    with pytest.raises(InvalidCellError, match="table 'pets', row 'fido', cell 'age'"):
        strict.tables["pets"]["fido"]["age"] = "old"


def test_middleware_sees_writes(store: Store) -> None:
    create_middleware(store).add_will_set_cell_callback(
        lambda table_id, row_id, cell_id, cell: cell * 2 if cell_id == "age" else cell
    )
    store.tables["pets"]["fido"]["age"] = 4
    assert store.get_cell("pets", "fido", "age") == 8


def test_a_write_from_a_listener_that_may_only_read_is_an_error_rather_than_nothing(store: Store) -> None:
    def write(store: Store, *_: object) -> None:
        store.tables["pets"]["fido"]["seen"] = True

    store.add_cell_listener("pets", "fido", "age", write)
    with pytest.raises(WriteForbiddenError, match="mutator=True"):
        store.tables["pets"]["fido"]["age"] = 4


@pytest.mark.parametrize(
    "use",
    [
        lambda store: list(store.tables),
        lambda store: "open" in store.values,
        lambda store: len(store.values),
        lambda store: store.values["open"],
        lambda store: store.values.__setitem__("open", False),
        lambda store: store.tables.clear(),
    ],
    ids=["iterate", "in", "len", "get", "set", "clear"],
)
def test_another_thread_is_refused(store: Store, use: Callable[[Store], object]) -> None:
    with ThreadPoolExecutor(1) as other_thread, pytest.raises(WrongThreadError):
        other_thread.submit(use, store).result(10)


def test_changing_while_iterating_is_an_error_as_in_a_dict(store: Store) -> None:
    with pytest.raises(RuntimeError, match="changed size"):
        for row_id in store.tables["pets"]:
            store.tables["pets"][f"{row_id} again"] = {"age": 1}


def test_reading_a_cell_costs_the_same_however_large_the_table_is() -> None:
    def steps(size: int) -> int:
        store = Store().set_table("t", {str(i): {"x": i} for i in range(size)})
        counted = 0

        def count(*_: object) -> None:
            nonlocal counted
            counted += 1

        sys.setprofile(count)
        try:
            assert store.tables["t"]["5"]["x"] == 5
        finally:
            sys.setprofile(None)
        return counted

    assert steps(10) == steps(10_000)


def test_views_show_what_they_are(store: Store) -> None:
    assert repr(store.tables) == "<TablesView: 'pets', 'species'>"
    assert repr(store.tables["pets"]) == "<TableView of table 'pets': 2 rows>"
    assert repr(store.tables["species"]) == "<TableView of table 'species': 1 row>"
    assert (
        repr(store.tables["pets"]["felix"]) == "<RowView of row 'felix' of table 'pets': {'species': 'cat'}>"
    )
    assert repr(store.values) == "<ValuesView of the store: {'open': True, 'hours': {'from': 9}}>"


def test_a_long_row_is_shown_in_part() -> None:
    store = Store().set_row("t", "r", {f"c{i}": i for i in range(20)})
    assert repr(store.tables["t"]["r"]).endswith("'c11': 11, ... 8 more}>")


def test_the_classes_are_public(store: Store) -> None:
    assert isinstance(store.tables, TablesView)
    assert isinstance(store.tables["pets"], TableView)
    assert isinstance(store.tables["pets"]["fido"], RowView)
    assert isinstance(store.values, ValuesView)
