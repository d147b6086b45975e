"""Strict stores raise where others drop in silence, and change nothing when they do."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from replicell.errors import ReplicellError
from replicell.store import (
    MISSING,
    InvalidCellError,
    InvalidValueError,
    InvalidWriteError,
    SchemaDataLossError,
    SchemaError,
    Store,
    StoreError,
    WriteForbiddenError,
    create_store,
)

NAN = float("nan")


@pytest.fixture
def store() -> Store:
    store = create_store(strict=True).set_tables_schema(
        {
            "t": {
                "n": {"type": "number", "default": 0},
                "s": {"type": "string", "required": True},
                "o": {"type": "object"},
            }
        }
    )
    return store.set_values_schema({"v": {"type": "number"}, "w": {"enum": ["a"]}}).set_row(
        "t", "r", {"s": "x"}
    )


@pytest.mark.parametrize(
    ("write", "where", "value"),
    [
        (lambda s: s.set_cell("t", "r", "n", "bad"), ("t", "r", "n"), "bad"),
        (lambda s: s.set_cell("t", "r", "x", 1), ("t", "r", "x"), 1),
        (lambda s: s.set_cell("u", "r", "n", 1), ("u", "r", "n"), 1),
        (lambda s: s.set_row("t", "q", {"n": 1}), ("t", "q", "s"), MISSING),
        (lambda s: s.set_row("t", "q", 5), ("t", "q", MISSING), 5),
        (lambda s: s.set_partial_row("t", "r", {"n": None}), ("t", "r", "n"), None),
        (lambda s: s.add_row("t", {"s": 1}), ("t", MISSING, "s"), 1),
        (lambda s: s.set_table("t", {"a": {"s": "x"}, "b": {"s": {}}}), ("t", "b", "s"), {}),
        (lambda s: s.set_tables({"t": {"a": {"s": "x"}}, "u": {}}), ("u", MISSING, MISSING), {}),
        (lambda s: s.set_tables({}), (MISSING, MISSING, MISSING), {}),
        (lambda s: s.set_content(({"t": {"a": {"s": 1}}}, {})), ("t", "a", "s"), 1),
        (lambda s: s.set_json('[{"t":{"a":{"s":1}}},{}]'), ("t", "a", "s"), 1),
        (
            lambda s: s.apply_changes(({"t": {"r": {"s": "y"}, "q": {"n": "bad"}}}, {}, 1)),
            ("t", "q", "n"),
            "bad",
        ),
        (lambda s: s.apply_changes(({"t": {"r": {"s": "y"}}, "u": 5}, {}, 1)), ("u", MISSING, MISSING), 5),
        (lambda s: s.apply_changes(({"t": {"q": {"s": "y"}, "r": []}}, {}, 1)), ("t", "r", MISSING), []),
    ],
    ids=[
        "wrong_type",
        "unknown_cell",
        "unknown_table",
        "required_absent",
        "row_no_mapping",
        "partial_row_null",
        "add_row",
        "table",
        "tables",
        "tables_empty",
        "content",
        "json",
        "changes",
        "changes_of_a_table",
        "changes_of_a_row",
    ],
)
def test_an_invalid_cell_raises_and_changes_nothing(
    store: Store, write: Callable[[Store], object], where: tuple[Any, ...], value: object
) -> None:
    before = store.get_json()
    with pytest.raises(InvalidCellError) as caught:
        write(store)
    assert (caught.value.table_id, caught.value.row_id, caught.value.cell_id) == where
    assert caught.value.value == value
    assert caught.value.rule in str(caught.value)
    assert store.get_json() == before
    for part in where:
        assert part is MISSING or repr(part) in str(caught.value)


@pytest.mark.parametrize(
    ("write", "value_id"),
    [
        (lambda s: s.set_value("v", "bad"), "v"),
        (lambda s: s.set_value("x", 1), "x"),
        (lambda s: s.set_values({"v": 1, "w": "b"}), "w"),
        (lambda s: s.set_partial_values({}), MISSING),
        (lambda s: s.set_content(({"t": {"a": {"s": "x"}}}, {"v": NAN})), "v"),
        (lambda s: s.apply_changes(({"t": {"r": MISSING}}, {"w": 1}, 1)), "w"),
    ],
    ids=["wrong_type", "unknown", "not_in_enum", "empty", "content", "changes"],
)
def test_an_invalid_value_raises_and_changes_nothing(
    store: Store, write: Callable[[Store], object], value_id: object
) -> None:
    before = store.get_json()
    with pytest.raises(InvalidValueError) as caught:
        write(store)
    assert caught.value.value_id == value_id
    assert store.get_json() == before


@pytest.mark.parametrize(
    "write",
    [
        lambda s: s.set_content(5),
        lambda s: s.set_json("no JSON"),
        lambda s: s.set_json("5"),
        lambda s: s.set_tables_json("no JSON"),
        lambda s: s.set_values_json("{"),
    ],
    ids=["content", "json", "json_of_a_number", "tables_json", "values_json"],
)
def test_what_is_no_content_at_all_raises(store: Store, write: Callable[[Store], object]) -> None:
    before = store.get_json()
    with pytest.raises(InvalidWriteError) as caught:
        write(store)
    assert caught.value.rule in str(caught.value)
    assert store.get_json() == before
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_the_error_shows_what_was_given_and_which_part_is_unknown(store: Store) -> None:
    with pytest.raises(InvalidCellError, match=r"but \[\] was given"):
        store.set_row("t", "r", [])  # type: ignore[arg-type]  # a mistake on purpose
    with pytest.raises(InvalidCellError, match="knows no such table"):
        store.set_cell("u", "r", "c", 1)
    with pytest.raises(InvalidValueError, match=r"but \{\} was given"):
        store.set_values({})


def test_a_cell_that_is_merely_absent_does_not_raise(store: Store) -> None:
    assert store.set_row("t", "q", {"s": "y"}).get_row("t", "q") == {"s": "y", "n": 0}


def test_without_a_schema_only_what_is_no_cell_raises() -> None:
    store = Store(strict=True).set_cell("t", "r", "c", [1]).set_row("t", "r", {"c": "x"})
    with pytest.raises(InvalidCellError, match="a string, a finite number"):
        store.set_cell("t", "r", "c", NAN)
    with pytest.raises(InvalidCellError):
        store.set_row("t", "s", {"c": NAN})
    assert store.get_tables() == {"t": {"r": {"c": "x"}}}


def test_a_refused_write_does_not_doom_a_transaction_that_goes_on(store: Store) -> None:
    with store.transaction():
        store.set_cell("t", "r", "n", 1)
        with pytest.raises(InvalidWriteError):
            store.set_cell("t", "r", "n", "bad")
        with pytest.raises(InvalidWriteError):
            store.set_values({"v": "bad"})
    assert store.get_cell("t", "r", "n") == 1


def test_a_refused_write_undoes_a_transaction_that_it_leaves(store: Store) -> None:
    with pytest.raises(InvalidWriteError), store.transaction():
        store.set_cell("t", "r", "n", 1).set_cell("t", "r", "n", "bad")
    assert store.get_cell("t", "r", "n") == 0


def test_a_schema_that_would_drop_data_raises_with_what_would_go(store: Store) -> None:
    store.set_partial_row("t", "r", {"o": {"a": 1}}).set_value("v", 1)
    before = store.get_content(), store.get_schema_json()
    with pytest.raises(SchemaDataLossError) as caught:
        store.set_tables_schema({"t": {"n": {"type": "number"}, "s": {"type": "number", "default": 1}}})
    assert [(loss.path, loss.value, loss.replacement) for loss in caught.value.losses] == [
        (("t", "r", "s"), "x", 1),
        (("t", "r", "o"), {"a": 1}, MISSING),
    ]
    assert "t/r/s" in str(caught.value) and "discard=True" in str(caught.value)
    with pytest.raises(SchemaDataLossError, match="the required value 'x' is absent"):
        store.set_values_schema({"v": {"type": "number"}, "x": {"type": "number", "required": True}})
    with pytest.raises(SchemaDataLossError, match="no such table"):
        store.set_schema({"u": {"c": {"type": "number"}}})
    assert (store.get_content(), store.get_schema_json()) == before


def test_data_goes_when_told_to_discard_it(store: Store) -> None:
    store.set_tables_schema({"t": {"n": {"type": "number"}}}, discard=True)
    store.set_value("v", 1).set_values_schema({"w": {"type": "string"}}, discard=True)
    assert store.get_content() == ({"t": {"r": {"n": 0}}}, {})


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({}, "non-empty mapping"),
        ({"t": {"c": {"type": "date"}}}, "'type'"),
        ({"t": {"c": {"type": "string", "default": 1}}}, "default it forbids"),
        ({"t": {"c": {"type": "string", "colour": 1}}}, "unknown property 'colour'"),
        ({"t": {"c": {"type": "string", "default": None}}}, "does not allow None"),
    ],
)
def test_a_schema_that_makes_no_sense_raises_saying_where(schema: Any, problem: str) -> None:
    with pytest.raises(SchemaError, match=problem):
        Store(strict=True).set_tables_schema(schema)


def test_a_write_where_only_reading_is_allowed_raises(store: Store) -> None:
    store.add_tables_listener(lambda store, change: store.set_value("v", 1))
    with pytest.raises(WriteForbiddenError, match="mutator=True"):
        store.set_cell("t", "r", "n", 5)
    assert store.get_cell("t", "r", "n") == 5


def test_every_error_is_a_store_error_and_survives_pickling(store: Store) -> None:
    with pytest.raises(InvalidCellError) as caught:
        store.set_cell("t", "r", "n", "bad" * 100)
    with pytest.raises(InvalidValueError) as caught_value:
        store.set_value("v", "bad")
    with pytest.raises(SchemaDataLossError) as caught_loss:
        store.set_tables_schema({"u": {"c": {"type": "number"}}})
    errors: tuple[StoreError, ...] = (caught.value, caught_value.value, caught_loss.value)
    for error in errors:
        assert isinstance(error, ReplicellError) and isinstance(error, ValueError)
        assert str(pickle.loads(pickle.dumps(error))) == str(error) == str(copy.copy(error))
