"""Writing: what is set, what is dropped, what is deleted."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from replicell.store import MISSING, ArgumentError, Store
from replicell.store.testing import Recorder

NAN = float("nan")


@pytest.fixture
def calls() -> Recorder:
    return Recorder()


@pytest.fixture
def store(calls: Recorder) -> Store:
    store = Store()
    store.add_invalid_cell_listener(None, None, None, calls.named("cell"))
    store.add_invalid_value_listener(None, calls.named("value"))
    return store


def test_writers_return_the_store() -> None:
    store = Store()
    assert store.set_tables({"t": {"r": {"c": 1}}}) is store
    assert store.set_cell("t", "r", "c", 2).del_cell("t", "r", "c").set_value("v", 1).del_value("v") is store


def test_nothing_empty_remains(store: Store) -> None:
    store.set_tables({"t1": {"r1": {"c1": 1}, "r2": {"c1": 1}}, "t2": {"r1": {"c1": 1}}})
    assert store.del_cell("t1", "r1", "c1").get_tables() == {"t1": {"r2": {"c1": 1}}, "t2": {"r1": {"c1": 1}}}
    assert store.del_row("t1", "r2").get_tables() == {"t2": {"r1": {"c1": 1}}}
    assert store.del_table("t2").get_tables() == {}


def test_deleting_what_is_not_there_does_nothing(store: Store) -> None:
    store.del_tables().del_table("t").del_row("t", "r").del_cell("t", "r", "c").del_values().del_value("v")
    assert store.get_content() == ({}, {})


@pytest.mark.parametrize("bad", [{}, None, 5, "row", [], [1], MISSING])
def test_sets_of_something_empty_or_of_no_mapping_are_invalid(
    store: Store, calls: Recorder, bad: Any
) -> None:
    store.set_content(({"t": {"r": {"c": 1}}}, {"v": 1}))
    store.set_tables(bad).set_table("t", bad).set_row("t", "r", bad).set_partial_row("t", "r", bad)
    assert store.add_row("t", bad) is MISSING
    store.set_values(bad).set_partial_values(bad)
    assert store.get_content() == ({"t": {"r": {"c": 1}}}, {"v": 1})
    assert calls.taken() == [
        ("cell", MISSING, MISSING, MISSING, [MISSING]),
        ("cell", "t", MISSING, MISSING, [MISSING]),
        ("cell", "t", "r", MISSING, [MISSING]),
        ("cell", "t", "r", MISSING, [MISSING]),
        ("cell", "t", MISSING, MISSING, [MISSING]),
        ("value", MISSING, [MISSING]),
        ("value", MISSING, [MISSING]),
    ]


def test_invalid_parts_are_dropped_and_valid_ones_kept(store: Store, calls: Recorder) -> None:
    bad: Any = {"t1": {"r1": {"a": NAN, "b": 1}, "r2": {}, "r3": 7}, "t2": None}
    store.set_tables(bad)
    assert store.get_tables() == {"t1": {"r1": {"b": 1}}}
    made = calls.taken()
    assert [call[1:4] for call in made] == [
        ("t1", "r1", "a"),
        ("t1", "r2", MISSING),
        ("t1", "r3", MISSING),
        ("t2", MISSING, MISSING),
    ]
    store.set_values({"a": object(), "b": 1})
    assert store.get_values() == {"b": 1}


def test_if_nothing_valid_remains_what_is_there_stays(store: Store) -> None:
    store.set_row("t", "r", {"a": 1}).set_row("t", "r", {"a": NAN})
    assert store.get_row("t", "r") == {"a": 1}


def test_set_row_replaces_and_set_partial_row_merges(store: Store) -> None:
    store.set_row("t", "r", {"a": 1, "b": 2}).set_row("t", "r", {"b": 3, "c": 4})
    assert store.get_row("t", "r") == {"b": 3, "c": 4}
    store.set_partial_row("t", "r", {"a": 0, "c": 5})
    assert list(store.get_row("t", "r").items()) == [("b", 3), ("c", 5), ("a", 0)]


def test_set_values_replaces_and_set_partial_values_merges(store: Store) -> None:
    store.set_values({"a": 1, "b": 2}).set_values({"b": 3})
    assert store.get_values() == {"b": 3}
    assert store.set_partial_values({"a": 0}).get_values() == {"b": 3, "a": 0}


def test_set_cell_and_set_value_take_functions_of_what_is_there(store: Store) -> None:
    store.set_cell("t", "r", "c", lambda cell: "none yet" if cell is MISSING else "wrong")
    store.set_cell("t", "r", "c", lambda cell: f"{cell}!")
    store.set_value("v", lambda value: 1 if value is MISSING else 0)
    store.set_value("v", lambda value: [value])
    assert store.get_content() == ({"t": {"r": {"c": "none yet!"}}}, {"v": [1]})


def test_set_content_replaces_both_halves_an_empty_one_deletes_and_a_missing_one_is_invalid(
    store: Store, calls: Recorder
) -> None:
    store.set_content(({"t": {"r": {"c": 1}}}, {"v": 1})).set_content(lambda: [{}, {"w": 2}])
    assert store.get_content() == ({}, {"w": 2})
    store.set_content([{"t": {"r": {"c": 1}}}])
    assert store.get_content() == ({"t": {"r": {"c": 1}}}, {"w": 2})
    assert calls.taken() == [("value", MISSING, [MISSING])]
    store.set_content("no list")  # type: ignore[arg-type]  # on purpose
    assert store.get_content() == ({"t": {"r": {"c": 1}}}, {"w": 2})
    assert calls.taken() == []


def test_what_is_given_is_neither_kept_nor_changed(store: Store) -> None:
    frozen: Any = MappingProxyType(
        {"r": MappingProxyType({"a": 1, "bad": NAN, "rich": MappingProxyType({"x": 1})})}
    )
    store.set_table("t", frozen)
    assert store.get_table("t") == {"r": {"a": 1, "rich": {"x": 1}}}
    given = {"a": 1, "bad": NAN}
    store.set_row("t", "r", given)
    assert list(given) == ["a", "bad"]


def test_apply_changes_deletes_what_is_missing_and_sets_the_rest(store: Store) -> None:
    store.set_content(
        ({"t1": {"r": {"a": 1}}, "t2": {"r": {"a": 1}, "s": {"a": 1, "b": 2}}}, {"v": 1, "w": 2})
    )
    changes = (
        {"t1": MISSING, "t2": {"r": MISSING, "s": {"a": MISSING, "c": None}}},
        {"v": MISSING, "x": 3},
        1,
    )
    store.apply_changes(changes)
    assert store.get_content() == ({"t2": {"s": {"b": 2, "c": None}}}, {"w": 2, "x": 3})


def test_only_encoded_writers_accept_encoded_objects(store: Store, calls: Recorder) -> None:
    changes = (
        {"t": {"r": {"good": '\ufffd{"a":1}', "bad": "\ufffdtrue", "worse": "\ufffd{"}}},
        {"v": "\ufffd[]"},
        1,
    )
    store.apply_changes(changes)
    assert store.get_content() == ({}, {})
    calls.taken()
    store.apply_encoded_changes(changes)
    assert store.get_content() == ({"t": {"r": {"good": {"a": 1}}}}, {"v": []})
    assert [call[3] for call in calls.taken()] == ["bad", "worse"]


def test_an_equal_cell_is_no_change_and_keeps_its_type(store: Store) -> None:
    for _ in range(2):
        store.set_cell("t", "r", "c", 1).set_cell("t", "r", "c", 1.0)
        assert type(store.get_cell("t", "r", "c")) is int
        store.set_cell("t", "r", "c", True)
        assert store.get_cell("t", "r", "c") is True
        store.del_tables()
        store.del_listener("0")


def test_writers_work_the_same_with_and_without_listeners() -> None:
    def written(store: Store) -> tuple[Any, ...]:
        store.set_cell("t", "r", "a", 1).set_cell("t", "r", "b", {}).set_cell("t", "r", "a", 2)
        store.set_row("t", "s", {"a": 1}).set_row("t", "s", {"b": 1}).set_table(
            "u", {"r": {"c": 1}, "s": {"c": 1, "d": 2}}
        )
        store.del_row("u", "r").del_row("u", "nobody").del_cell("t", "r", "b").set_tables(store.get_tables())
        store.add_row("u", {"e": 1})
        store.del_row("u", "0").del_row("u", "s")
        return (
            *store.get_content(),
            store.get_table_cell_ids("t"),
            store.get_table_cell_ids("u"),
            store.add_row("u", {"x": 1}),
        )

    observed = Store()
    observed.add_start_transaction_listener(lambda store: None)
    observed.add_tables_listener(lambda store, change: None)
    assert written(Store()) == written(observed)


@pytest.mark.parametrize("changes", [5, None, "ab", [{}], [None, {}, 1], ({}, 5, 1)])
def test_what_is_no_change_set_raises(changes: Any) -> None:
    store = Store().set_value("v", 1)
    with pytest.raises(ArgumentError, match="get_transaction_changes"):
        store.apply_changes(changes)
    assert store.get_content() == ({}, {"v": 1})


def test_parts_of_a_change_set_that_mean_nothing_are_left_out() -> None:
    changes: Any = ({"t": 5, "u": {"r": 7, "s": {"c": 1}}}, {}, 1)
    store = Store().set_cell("u", "r", "c", 2).apply_changes(changes)
    assert store.get_tables() == {"u": {"r": {"c": 2}, "s": {"c": 1}}}


ROWS_TO_INSERT: dict[str, dict[str, Any]] = {
    "1": {"a": 1, "b": "x"},
    "2": {"a": 2, "b": "y"},
    "3": {"b": None},
    "4": {"c": True, "a": 1.5},
    "5": {"tags": '\ufffd["good"]'},
}


def _notes_of(store: Store) -> list[Any]:
    notes: list[Any] = []
    store.add_row_listener(None, None, lambda *args: notes.append(args[1:3]))
    store.add_cell_listener("t", None, None, lambda *args: notes.append(args[1:6]))
    store.add_row_ids_listener(None, lambda *args: notes.append(args[1:2]))
    store.add_table_cell_ids_listener(None, lambda *args: notes.append(args[1:2]))
    store.add_sorted_row_ids_listener("t", "a", False, 0, None, lambda *args: notes.append(args[1:]))
    store.add_did_finish_transaction_listener(
        lambda store: notes.append((str(store.get_transaction_log()), store.get_json()))
    )
    return notes


@pytest.mark.parametrize("row_ids", ["12", "12345", ""])
def test_inserted_rows_are_noticed_as_applied_ones_are(row_ids: str) -> None:
    stores = (Store(), Store())
    heard = [_notes_of(store.set_table("t", {"9": {"b": "w"}, "8": {"a": 7}})) for store in stores]
    rows = {row_id: dict(ROWS_TO_INSERT[row_id]) for row_id in row_ids}
    assert stores[0].insert_encoded_rows("t", rows, has_rich="5" in row_ids)
    if rows:
        stores[1].apply_encoded_changes([{"t": rows}, {}, 1])
    assert heard[0] == heard[1]
    assert stores[0].get_content() == stores[1].get_content()
    assert stores[0].get_table_cell_ids("t") == stores[1].get_table_cell_ids("t")
    for store in stores:
        store.del_cell("t", "1", "a").del_row("t", "2").del_row("t", "4")
    assert stores[0].get_table_cell_ids("t") == stores[1].get_table_cell_ids("t")


def test_rows_make_a_table_when_they_are_inserted() -> None:
    store = Store()
    assert store.insert_encoded_rows("t", {"1": {"a": 1}})
    assert store.get_content() == ({"t": {"1": {"a": 1}}}, {})
    assert store.add_row("t", {"a": 2}) == "0"


def _do_nothing(*_: object) -> None:
    return


@pytest.mark.parametrize(
    "interfere",
    [
        lambda store: store.set_tables_schema({"t": {"a": {"type": "number"}}}),
        lambda store: store.set_row("t", "2", {"a": 0}),
        lambda store: store.start_transaction(),
        lambda store: store.add_row_listener(None, None, _do_nothing, mutator=True),
        lambda store: store.add_will_finish_transaction_listener(_do_nothing),
    ],
    ids=["schema", "row", "transaction", "mutator", "will-finish listener"],
)
def test_rows_are_not_inserted_where_somebody_may_want_something_else(interfere: Any) -> None:
    store = Store()
    interfere(store)
    before = store.get_json()
    assert not store.insert_encoded_rows("t", {"1": {"a": 1}, "2": {"a": 2}})
    assert store.get_json() == before
