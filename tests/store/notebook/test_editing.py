"""What is typed in a page, and the cell that is meant by it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicell.store import MISSING, EditError, Store, create_store
from replicell.store.notebook.editing import clear_cell, edit_cell, edit_value, parse_edit
from replicell.store.notebook.html import cell_text
from replicell.store.schemas import CellRule, compile_values_schema


def rule(**schema: Any) -> CellRule:
    return compile_values_schema({"it": schema})[0].cells["it"]


@pytest.mark.parametrize(
    ("text", "present", "meant"),
    [
        ("12", MISSING, 12),
        ("-1.5", MISSING, -1.5),
        ("1e3", MISSING, 1000.0),
        ("true", MISSING, True),
        ("some words", MISSING, "some words"),
        ("", MISSING, ""),
        ("12", "eleven", "12"),
        ("true", "eleven", "true"),
        ("12", 11, 12),
        ("twelve", 11, "twelve"),
        ("false", True, False),
        ("maybe", True, "maybe"),
        ('{"a": 1}', '\ufffd{"b":2}', {"a": 1}),
        ("[1, 2]", "\ufffd[]", [1, 2]),
        ("[1, 2", "\ufffd[]", "[1, 2"),
        ("5", None, 5),
        ("nan", 1, "nan"),
        ("1e999", 1, "1e999"),
        ("12345678901234567890123", 1, 12345678901234567890123),
    ],
)
def test_without_a_schema_the_present_cell_decides(text: str, present: Any, meant: Any) -> None:
    parsed = parse_edit(text, present, None)
    assert (parsed, type(parsed)) == (meant, type(meant))


@pytest.mark.parametrize(
    ("schema", "text", "meant"),
    [
        ({"type": "string"}, "12", "12"),
        ({"type": "number"}, " 12 ", 12),
        ({"type": "number"}, "0.5", 0.5),
        ({"type": "boolean"}, "TRUE", True),
        ({"type": "object"}, '{"a": [1]}', {"a": [1]}),
        ({"type": "array"}, "[]", []),
        ({"type": ["string", "number"]}, "12", 12),
        ({"type": ["string", "number"]}, "twelve", "twelve"),
        ({"type": "number", "allowNull": True}, "", None),
        ({"type": "boolean", "allowNull": True}, "null", None),
        ({"type": "string", "allowNull": True}, "null", "null"),
        ({"enum": ["small", "large"]}, "large", "large"),
        ({"enum": [1, 2, True]}, "2", 2),
        ({"enum": [1, 2, True]}, "true", True),
    ],
)
def test_with_a_schema_its_type_decides(schema: Any, text: str, meant: Any) -> None:
    parsed = parse_edit(text, MISSING, rule(**schema))
    assert (parsed, type(parsed)) == (meant, type(meant))


@pytest.mark.parametrize(
    ("schema", "text", "reason"),
    [
        ({"type": "number"}, "ten", "“ten” cannot stand here: it must be of type number."),
        ({"type": "number"}, "", "“” cannot stand here: it must be of type number."),
        ({"type": "object"}, "[1]", "“[1]” cannot stand here: it must be of type object."),
        ({"type": "boolean", "allowNull": True}, "1", "it must be of type boolean or None"),
        ({"enum": ["a", "b"]}, "c", "it must be one of ['a', 'b']"),
        ({"type": "string"}, "\ufffdx", "cannot begin with U+FFFD"),
        ({"type": "number"}, "9" * 5000, "characters"),
    ],
)
def test_what_the_schema_forbids_is_refused_with_the_rule(schema: Any, text: str, reason: str) -> None:
    with pytest.raises(EditError) as caught:
        parse_edit(text, MISSING, rule(**schema))
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 300


CELLS = st.one_of(
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=3),
    st.lists(st.text(max_size=3), max_size=3),
)


@given(CELLS)
def test_the_text_of_a_cell_typed_again_is_the_same_cell(cell: Any) -> None:
    store = Store().set_cell("t", "r", "c", cell)
    encoded = store.get_encoded_cell("t", "r", "c")
    if encoded is not MISSING:
        edit_cell(store, "t", "r", "c", cell_text(encoded))
        assert store.get_encoded_cell("t", "r", "c") == encoded


def test_a_cell_or_value_that_the_schema_does_not_know_is_refused() -> None:
    store = create_store().set_schema({"t": {"c": {"type": "string"}}}, {"v": {"type": "string"}})
    store.set_cell("t", "r", "c", "x").set_value("v", "x")
    with pytest.raises(EditError, match="knows no cell 'd'"):
        edit_cell(store, "t", "r", "d", "x")
    with pytest.raises(EditError, match="knows no value 'w'"):
        edit_value(store, "w", "x")


def test_a_strict_store_takes_the_same_edits() -> None:
    store = create_store(strict=True).set_tables_schema({"t": {"c": {"type": "number"}}})
    store.set_cell("t", "r", "c", 1)
    edit_cell(store, "t", "r", "c", "2")
    with pytest.raises(EditError, match="of type number"):
        edit_cell(store, "t", "r", "c", "two")
    assert store.get_cell("t", "r", "c") == 2


def test_clearing_a_cell_that_is_kept_says_so() -> None:
    store = Store().set_row("t", "r", {"c": 1, "d": 2})
    store.add_cell_listener("t", "r", "c", lambda store, *_: store.set_cell("t", "r", "c", 1), mutator=True)
    with pytest.raises(EditError, match="kept the cell"):
        clear_cell(store, "t", "r", "c")
    clear_cell(store, "t", "r", "d")
    assert store.get_row("t", "r") == {"c": 1}
