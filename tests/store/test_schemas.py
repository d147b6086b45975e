"""Schemas: what they allow, what stands in, and what happens to data when they change."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from replicell.store import MISSING, Store
from replicell.store.testing import Recorder


def store_with(schema: Any, calls: Recorder | None = None) -> Store:
    store = Store().set_tables_schema({"t": schema})
    if calls is not None:
        store.add_invalid_cell_listener(None, None, None, calls.named("invalid"))
    return store


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        ("string", ["", "1"], [1, True, None, {}, []]),
        ("number", [0, 1.5, -1], ["1", True, None, float("nan")]),
        ("boolean", [True, False], [0, 1, "true", None]),
        ("object", [{}, {"a": 1}], [[], "x", 1]),
        ("array", [[], [1], (1,)], [{}, "x", 1]),
        (["string", "array"], ["x", [1]], [1, {}, True]),
        (("number", "number"), [1], ["x"]),
    ],
)
def test_a_type_or_union_of_types_admits_just_these(kind: Any, good: list[Any], bad: list[Any]) -> None:
    store = store_with({"c": {"type": kind}})
    for cell in good:
        store.set_cell("t", "r", "c", cell)
        assert store.get_cell("t", "r", "c") == (list(cell) if isinstance(cell, tuple) else cell)
        store.del_tables()
    for cell in bad:
        assert store.set_cell("t", "r", "c", cell).get_tables() == {}


def test_an_enum_admits_its_members_only() -> None:
    store = store_with({"c": {"enum": ["a", 1, True], "default": "a"}})
    for member in ("a", 1, True):
        assert store.set_cell("t", "r", "c", member).get_cell("t", "r", "c") == member
    assert store.set_cell("t", "r", "c", "b").get_cell("t", "r", "c") == "a"
    store = store_with({"c": {"enum": [1]}})
    assert store.set_cell("t", "r", "c", True).get_tables() == {}
    assert store.set_cell("t", "r", "c", 1.0).get_cell("t", "r", "c") == 1


def test_null_is_allowed_only_where_the_schema_says_so() -> None:
    for allowing in ("allowNull", "allow_null"):
        store = store_with({"c": {"type": "string", allowing: True}, "d": {"type": "string"}})
        store.set_partial_row("t", "r", {"c": None, "d": None})
        assert store.get_row("t", "r") == {"c": None}


def test_unknown_tables_and_cells_are_invalid() -> None:
    calls = Recorder()
    store = store_with({"c": {"type": "string"}}, calls)
    store.set_cell("t", "r", "x", 1).set_cell("u", "r", "c", "x").set_table("u", {"r": {"c": "x"}})
    assert store.get_tables() == {}
    assert calls.taken() == [
        ("invalid", "t", "r", "x", [1]),
        ("invalid", "u", "r", "c", ["x"]),
        ("invalid", "u", MISSING, MISSING, [MISSING]),
    ]


def test_defaults_are_added_to_whole_rows_and_to_rows_that_come_by_a_cell() -> None:
    calls = Recorder()
    schema = {
        "a": {"type": "number"},
        "b": {"type": "number", "default": 2},
        "c": {"type": "object", "default": {}},
    }
    store = store_with(schema, calls)
    store.set_row("t", "r1", {"a": 1}).set_cell("t", "r2", "a", 1).set_partial_row("t", "r3", {"b": 3})
    assert store.get_table("t") == {
        "r1": {"a": 1, "b": 2, "c": {}},
        "r2": {"a": 1, "b": 2, "c": {}},
        "r3": {"b": 3, "c": {}},
    }
    # An object as default is filled in without being reported as invalid, unlike in TinyBase.
    assert calls.taken() == [("invalid", "t", "r3", "a", [MISSING])]
    assert store.set_row("t", "r4", {}).get_row("t", "r4") == {"b": 2, "c": {}}


def test_an_invalid_cell_becomes_its_default_even_over_a_good_one() -> None:
    calls = Recorder()
    store = store_with({"c": {"type": "number", "default": 7}}, calls)
    store.set_cell("t", "r", "c", 1).set_cell("t", "r", "c", "bad")
    assert store.get_cell("t", "r", "c") == 7
    assert calls.taken() == [("invalid", "t", "r", "c", ["bad"])]


def test_deleting_a_cell_with_a_default_resets_it_and_by_force_deletes_the_row() -> None:
    store = store_with({"a": {"type": "number"}, "b": {"type": "number", "default": 2}})
    store.set_row("t", "r", {"a": 1, "b": 1}).del_cell("t", "r", "b")
    assert store.get_row("t", "r") == {"a": 1, "b": 2}
    assert store.del_cell("t", "r", "a", True).get_row("t", "r") == {"b": 2}
    assert store.del_cell("t", "r", "b", force_del=True).get_tables() == {}


def test_a_required_cell_counts_for_whole_rows_only() -> None:
    store = store_with({"a": {"type": "number", "required": True}, "b": {"type": "number"}})
    store.set_row("t", "r", {"b": 1}).set_row("t", "s", {"a": "bad", "b": 1})
    assert store.get_tables() == {}
    store.set_row("t", "r", {"a": 1, "b": 1}).set_row("t", "r", {"b": 2})
    assert store.get_row("t", "r") == {"a": 1, "b": 1}
    store.set_cell("t", "s", "b", 1).set_partial_row("t", "u", {"b": 1}).del_cell("t", "r", "a")
    assert store.get_table("t") == {"r": {"b": 1}, "s": {"b": 1}, "u": {"b": 1}}


def test_values_have_the_same_rules() -> None:
    calls = Recorder()
    store = Store().set_values_schema({"a": {"type": "number", "default": 1}, "b": {"type": "string"}})
    assert store.get_values() == {"a": 1}
    store.add_invalid_value_listener(None, calls.named("invalid"))
    store.set_values({"b": "x", "c": 1}).set_value("a", "bad")
    assert store.get_values() == {"a": 1, "b": "x"}
    assert calls.taken() == [("invalid", "c", [1]), ("invalid", "a", ["bad"])]
    assert store.del_value("a").del_values().get_values() == {"a": 1}
    assert Store().set_values_schema({"a": {"type": "number"}}).del_value("a").get_values() == {}


def test_an_absent_value_with_a_default_stays_absent_when_deleted() -> None:
    store = Store().set_values_schema(
        {"a": {"type": "number", "default": 1}, "b": {"type": "string", "required": True}}
    )
    assert store.get_values() == {}
    assert store.del_value("a").get_values() == {}


def test_setting_a_schema_makes_present_data_comply_and_tells_the_net_change() -> None:
    calls = Recorder()
    store = Store().set_tables({"t": {"r": {"a": 1, "b": "x", "d": {}}}, "u": {"r": {"a": 1}}})
    store.add_cell_listener(None, None, None, calls.named("cell"))
    store.add_invalid_cell_listener(None, None, None, calls.named("invalid"))
    store.set_tables_schema({"t": {"a": {"type": "number"}, "c": {"type": "number", "default": 3}}})
    assert store.get_tables() == {"t": {"r": {"a": 1, "c": 3}}}
    assert calls.taken() == [
        ("invalid", "t", "r", "b", ["x"]),
        ("invalid", "t", "r", "d", [{}]),
        ("invalid", "u", MISSING, MISSING, [MISSING]),
        ("cell", "t", "r", "b", MISSING, "x"),
        ("cell", "t", "r", "d", MISSING, {}),
        ("cell", "t", "r", "c", 3, MISSING),
        ("cell", "u", "r", "a", MISSING, 1),
    ]


def test_a_schema_change_that_drops_data_leaves_a_warning_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Store().set_cell("t", "r", "a", "x")
    with caplog.at_level(logging.WARNING, "replicell.store.schemas"):
        store.set_tables_schema({"t": {"a": {"type": "number"}}})
    assert "t/r/a" in caplog.text
    assert store.get_tables() == {}


def test_deleting_a_schema_leaves_the_data_and_allows_anything() -> None:
    store = Store().set_schema({"t": {"a": {"type": "number"}}}, {"v": {"type": "number"}})
    store.set_cell("t", "r", "a", 1).set_value("v", 1)
    assert (store.has_tables_schema(), store.has_values_schema()) == (True, True)
    store.del_schema()
    assert (store.has_tables_schema(), store.has_values_schema()) == (False, False)
    assert store.set_cell("u", "r", "x", "y").set_value("w", "z").get_content() == (
        {"t": {"r": {"a": 1}}, "u": {"r": {"x": "y"}}},
        {"v": 1, "w": "z"},
    )


def test_a_schema_change_is_undone_with_its_transaction() -> None:
    store = Store().set_tables_schema({"t": {"a": {"type": "number", "default": 1}}})
    store.set_row("t", "r", {"a": 5})
    before = store.get_schema_json(), store.get_content()
    with store.transaction(do_rollback=lambda store: True):
        store.set_tables_schema({"t": {"a": {"type": "string", "default": "x"}}}).del_values_schema()
        store.set_values_schema({"v": {"type": "number", "default": 1}})
        assert store.get_cell("t", "r", "a") == "x"
    assert (store.get_schema_json(), store.get_content()) == before
    assert not store.has_values_schema()


@pytest.mark.parametrize(
    "entry",
    [
        {},
        {"type": "date"},
        {"type": []},
        {"type": ["string", "date"]},
        {"enum": []},
        {"enum": [None]},
        {"enum": [{}]},
        {"enum": ["\ufffc"]},
        {"type": "string", "enum": ["a"]},
        {"default": 1},
        {"type": "string", "default": None},
        "string",
        None,
    ],
)
def test_entries_that_mean_nothing_are_dropped_and_with_the_last_one_the_call(entry: Any) -> None:
    store = Store().set_tables_schema({"t": {"kept": {"type": "string"}}})
    store.set_tables_schema({"t": {"c": entry}})
    assert json.loads(store.get_tables_schema_json()) == {"t": {"kept": {"type": "string"}}}
    store.set_tables_schema({"t": {"c": entry, "d": {"type": "number"}}, "u": {}})
    assert json.loads(store.get_tables_schema_json()) == {"t": {"d": {"type": "number"}}}


@pytest.mark.parametrize("default", [1, "\ufffc", {}, float("nan")])
def test_a_default_that_does_not_fit_is_dropped_alone(default: Any) -> None:
    store = store_with({"c": {"type": "string", "default": default}})
    assert store.get_tables_schema_json() == '{"t":{"c":{"type":"string"}}}'


def test_a_schema_reads_as_it_was_given_without_what_means_nothing() -> None:
    given: Any = {"t": {"c": {"default": {"a": 1}, "type": ["object"], "allow_null": True, "colour": "red"}}}
    store = Store().set_tables_schema(given)
    given["t"]["c"]["type"].append("array")
    assert (
        store.get_tables_schema_json() == '{"t":{"c":{"default":{"a":1},"type":["object"],"allowNull":true}}}'
    )


def test_set_schema_without_values_leaves_the_values_schema() -> None:
    store = Store().set_values_schema({"v": {"type": "number"}}).set_schema({"t": {"c": {"type": "number"}}})
    assert store.get_schema_json() == '[{"t":{"c":{"type":"number"}}},{"v":{"type":"number"}}]'
