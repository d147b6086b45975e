"""What may stand in a cell, and how objects and arrays are kept."""

from __future__ import annotations

import datetime
import enum
from collections import OrderedDict
from typing import Any

import pytest

from replicell.store import MISSING, Store
from replicell.store.cells import encode_cell, is_same_cell, json_text, type_of_cell


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@pytest.mark.parametrize(
    "cell", ["", "x", "é😀", "a\ufffd", "\ufffcx", 0, -7, 2**80, 1.5, -0.0, True, False, None]
)
def test_plain_cells_are_held_as_they_are(cell: Any) -> None:
    encoded = encode_cell(cell)
    assert is_same_cell(encoded, cell)
    assert Store().set_cell("t", "r", "c", cell).get_cell("t", "r", "c", MISSING) == cell


@pytest.mark.parametrize(
    "thing",
    [
        float("nan"),
        float("inf"),
        -float("inf"),
        "\ufffc",
        "\ufffd",
        '\ufffd{"a":1}',
        MISSING,
        object(),
        {1, 2},
        b"bytes",
        datetime.date(2026, 1, 1),
        {"when": datetime.date(2026, 1, 1)},
        {(1, 2): "tuple key"},
        1j,
    ],
)
def test_what_is_no_json_and_reserved_strings_cannot_be_cells(thing: Any) -> None:
    assert encode_cell(thing) is MISSING
    assert Store().set_cell("t", "r", "c", thing).get_tables() == {}


def test_a_cycle_and_a_bottomless_nest_cannot_be_cells() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    nest: list[Any] = []
    for _ in range(5000):
        nest = [nest]
    assert encode_cell(cycle) is MISSING
    assert encode_cell(nest) is MISSING


@pytest.mark.parametrize(
    ("thing", "text"),
    [
        ({}, "{}"),
        ([], "[]"),
        ((1, "é"), '[1,"é"]'),
        ({"b": 1, "a": [True, None]}, '{"b":1,"a":[true,null]}'),
        ({"gone": MISSING, "kept": None}, '{"kept":null}'),
        ([MISSING, float("nan"), float("inf")], "[null,null,null]"),
        (
            [1.0, -0.0, 1e21, 1e-7, 1.5e-10, 123456789012345680000.0],
            "[1,0,1e+21,1e-7,1.5e-10,123456789012345680000]",
        ),
        ({1: "a", None: "b"}, '{"1":"a","null":"b"}'),
        (OrderedDict(a="\ud800"), '{"a":"\\ud800"}'),
    ],
)
def test_objects_and_arrays_are_held_as_compact_json_text(thing: Any, text: str) -> None:
    assert encode_cell(thing) == "\ufffd" + text


def test_subclasses_of_plain_types_become_plain() -> None:
    store = Store().set_row("t", Colour.RED, {"colour": Colour.RED, "level": Level.HIGH})
    assert store.get_tables() == {"t": {"red": {"colour": "red", "level": 3}}}
    assert [type(cell) for cell in store.get_row("t", "red").values()] == [str, int]


def test_true_is_not_one_but_one_is_one_point_zero() -> None:
    assert not is_same_cell(True, 1)
    assert not is_same_cell(0, False)
    assert is_same_cell(1, 1.0)
    assert not is_same_cell(None, MISSING)


def test_equality_of_objects_is_equality_of_their_text() -> None:
    store = Store().set_cell("t", "r", "c", {"a": 1, "b": 2})
    changes: list[object] = []
    store.add_cell_listener("t", "r", "c", lambda *args: changes.append(args[4]))
    store.set_cell("t", "r", "c", {"a": 1.0, "b": 2})
    assert changes == []
    store.set_cell("t", "r", "c", {"b": 2, "a": 1})
    assert changes == [{"b": 2, "a": 1}]


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("x", "string"),
        (1, "number"),
        (1.5, "number"),
        (True, "boolean"),
        (None, "null"),
        ({}, "object"),
        ([], "array"),
    ],
)
def test_every_cell_has_a_schema_type(cell: Any, name: str) -> None:
    encoded = encode_cell(cell)
    assert encoded is not MISSING
    assert type_of_cell(encoded) == name


def test_json_is_written_as_javascript_does() -> None:
    content = {"e-7": '1.0, "2e-07"', "é": [1.0, 1e-7, 2.5e22, 0.1], "\ud83d": "\\"}
    assert json_text(content) == '{"e-7":"1.0, \\"2e-07\\"","é":[1,1e-7,2.5e+22,0.1],"\\ud83d":"\\\\"}'
