"""What a program says about its tables and values, and what becomes of it."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any, TypedDict

import pytest

from replicell.app.contents import Contents, describe
from replicell.app.errors import AppOptionsError
from replicell.persisters import ConfigError
from replicell.store import ModelError, Store


@dataclasses.dataclass
class Todo:
    text: str
    done: bool = False


class Settings(TypedDict):
    theme: str


def contents(tables: Any, values: Any = True, store: Store | None = None, key: str = "_id") -> Contents:
    return describe(tables, values, store, key)


def test_a_schema_is_that_of_the_store_and_names_the_tables() -> None:
    said = contents({"todo": {"text": {"type": "string"}}, "pets": {"age": {"type": "number"}}})
    assert said.tables_schema == {"todo": {"text": {"type": "string"}}, "pets": {"age": {"type": "number"}}}
    assert set(said.config.tables.load) == set(said.config.tables.save) == {"todo", "pets"}


def test_models_are_schemas() -> None:
    store = contents({"todo": Todo}, Settings).prepare(Store())
    store.set_row("todo", "1", {"text": "Milk"}).set_value("theme", "dark").set_value("other", 1)
    assert store.get_content() == ({"todo": {"1": {"text": "Milk", "done": False}}}, {"theme": "dark"})


@pytest.mark.parametrize("tables", [["todo", "pets"], ("todo", "pets"), {"todo": None, "pets": None}])
def test_names_alone_are_tables_without_a_schema(tables: Any) -> None:
    said = contents(tables)
    assert said.tables_schema is None
    assert list(said.config.tables.save) == ["todo", "pets"]


def test_without_tables_those_in_the_schema_of_the_given_store_are_kept() -> None:
    store = Store().set_tables_schema({"todo": {"text": {"type": "string"}}})
    said = contents(None, store=store)
    assert list(said.config.tables.load) == ["todo"]


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        (True, True),
        (False, False),
        (["a", "b"], ("a", "b")),
        ({"theme": {"type": "string"}}, ("theme",)),
        (Settings, ("theme",)),
        ({}, False),
    ],
)
def test_values_are_kept_as_said(values: Any, kept: object) -> None:
    said = contents(["todo"], values)
    assert said.config.values.load == said.config.values.save == kept


def test_row_ids_stand_in_the_named_column() -> None:
    assert contents(["todo"], key="id").config.tables.load["todo"].row_id_column_name == "id"


@pytest.mark.parametrize(
    ("tables", "values", "message"),
    [
        (None, True, "tables is missing"),
        ("todo", True, "tables must be a mapping or a list of ids"),
        ([1], True, "tables must be a mapping or a list of ids"),
        ({"todo": {"text": {"type": "string"}}, "pets": None}, True, "none for 'pets'"),
        ({"todo": "text"}, True, r"tables\['todo'\] must be a schema"),
        ({"todo": {"text": {"type": "words"}}}, True, "tables: "),
        (["todo"], {"theme": {"type": "colour"}}, "values: "),
        (["todo"], "theme", "values must be a mapping or a list of ids"),
        ({"todo": {"_ID": {"type": "string"}}}, True, "rename one of them"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_to_do(tables: Any, values: Any, message: str) -> None:
    with pytest.raises(AppOptionsError, match=message):
        contents(tables, values)


def test_names_that_a_database_cannot_have_are_refused() -> None:
    with pytest.raises(ConfigError, match="crsql_"):
        contents(["crsql_todo"])


def test_a_class_that_is_no_model_is_refused() -> None:
    with pytest.raises(ModelError, match="no model"):
        contents({"todo": int})


def test_a_table_that_is_not_kept_is_warned_of_once(caplog: pytest.LogCaptureFixture) -> None:
    store = Store()
    subscription = contents(["todo"]).warn_of_others(store, "todo.db")
    with caplog.at_level(logging.WARNING, "replicell.app"):
        store.set_cell("todo", "1", "text", "x").set_cell("scratch", "1", "n", 1)
        store.del_table("scratch").set_cell("scratch", "1", "n", 1)
        subscription.cancel()
        store.set_cell("other", "1", "n", 1)
    (record,) = caplog.records
    assert "'scratch' is in memory only: todo.db keeps the tables 'todo'" in record.getMessage()
