"""JSON out and in."""

from __future__ import annotations

import json

import pytest

from replicell.store import MISSING, Store
from replicell.store.testing import Recorder


def test_objects_stand_in_json_as_they_are_held() -> None:
    store = Store().set_cell("t", "r", "c", {"b": 1}).set_value("v", ["é"])
    assert store.get_tables_json() == '{"t":{"r":{"c":"\ufffd{\\"b\\":1}"}}}'
    assert store.get_values_json() == '{"v":"\ufffd[\\"é\\"]"}'
    assert store.get_json() == f"[{store.get_tables_json()},{store.get_values_json()}]"


def test_json_comes_back_as_it_went() -> None:
    store = Store().set_tables({"t": {"r": {"a": None, "b": [1, {"x": "y"}], "c": 1.5, "d": True, "e": "é"}}})
    store.set_values({"v": {}, "w": "x"})
    assert Store().set_json(store.get_json()).get_content() == store.get_content()
    assert Store().set_tables_json(store.get_tables_json()).get_tables() == store.get_tables()
    assert Store().set_values_json(store.get_values_json()).get_values() == store.get_values()


@pytest.mark.parametrize("odd", ["plain", ":1.0,", '":1.0,', "x:", "e-7", "\\", ',"a":1.0,'])
def test_numbers_are_written_as_javascript_does_and_strings_are_left_alone(odd: str) -> None:
    store = Store().set_row(
        "t", odd, {odd: odd, "a": 1.0, "b": -2.0, "c": 1e-7, "d": 2.5e22, "e": 10.05, "f": -0.0}
    )
    store.set_cell("t", odd, "g", [1.0, ":1.0,"])
    text = store.get_json()
    assert text.endswith(
        '"a":1,"b":-2,"c":1e-7,"d":2.5e+22,"e":10.05,"f":0,"g":"\ufffd[1,\\":1.0,\\"]"}}},{}]'
    )
    assert Store().set_json(text).get_content() == store.get_content()
    del_g = store.del_cell("t", odd, "g").get_json()
    assert del_g.endswith('"a":1,"b":-2,"c":1e-7,"d":2.5e+22,"e":10.05,"f":0}}},{}]')
    assert json.loads(del_g)[0]["t"][odd][odd] == odd


def test_objects_may_be_given_as_they_are() -> None:
    assert Store().set_tables_json('{"t":{"r":{"c":{"b":1}}}}').get_cell("t", "r", "c") == {"b": 1}


def test_an_empty_object_deletes() -> None:
    store = Store().set_cell("t", "r", "c", 1).set_value("v", 1)
    assert store.set_values_json("{}").get_content() == ({"t": {"r": {"c": 1}}}, {})
    assert store.set_tables_json("{}").get_content() == ({}, {})
    store.set_cell("t", "r", "c", 1).set_value("v", 1).set_json('[{},{"w":2}]')
    assert store.get_content() == ({}, {"w": 2})


def test_a_missing_half_is_left_alone_and_tables_alone_are_understood() -> None:
    store = Store().set_cell("t", "r", "c", 1).set_value("v", 1)
    assert store.set_json("[{}]").get_content() == ({}, {"v": 1})
    assert store.set_json('{"t":{"r":{"c":2}}}').get_content() == ({"t": {"r": {"c": 2}}}, {"v": 1})


@pytest.mark.parametrize("text", ["", "{", "[1,", "NaN", '{"t":{"r":{"c":NaN}}}', "[" * 100_000])
def test_what_is_no_json_is_ignored(text: str) -> None:
    store = Store().set_cell("t", "r", "c", 1).set_value("v", 1)
    before = store.get_json()
    assert store.set_json(text).set_tables_json(text).set_values_json(text).get_json() == before


@pytest.mark.parametrize("text", ["null", "5", "true"])
def test_json_of_the_wrong_shape_is_an_invalid_write(text: str) -> None:
    calls, store = Recorder(), Store().set_cell("t", "r", "c", 1)
    store.add_invalid_cell_listener(None, None, None, calls.named("cell"))
    store.add_invalid_value_listener(None, calls.named("value"))
    store.set_tables_json(text).set_json(text).set_values_json(text)
    missing = ("cell", MISSING, MISSING, MISSING, [MISSING])
    assert calls.taken() == [missing, missing, ("value", MISSING, [MISSING])]
    assert store.get_tables() == {"t": {"r": {"c": 1}}}


def test_schemas_read_as_json_with_defaults_decoded() -> None:
    store = Store().set_schema({"t": {"c": {"type": "array", "default": [1.0]}}}, {"v": {"enum": ["a", 1]}})
    assert json.loads(store.get_schema_json()) == [
        {"t": {"c": {"type": "array", "default": [1]}}},
        {"v": {"enum": ["a", 1]}},
    ]
    assert store.get_tables_schema_json() == '{"t":{"c":{"type":"array","default":[1]}}}'
    assert store.get_values_schema_json() == '{"v":{"enum":["a",1]}}'
