"""The configuration is TinyBase's, and what cannot be followed is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from replicell.persisters import ConfigError, TableLoad, TableSave, TablesConfig, TabularConfig, ValuesConfig
from replicell.persisters.config import parse_config
from replicell.persisters.json_config import parse_database_config

PARSED = TabularConfig(
    TablesConfig(load={"pets": TableLoad("animals", "id")}, save={"animals": TableSave("pets", "id")}),
    ValuesConfig(load=True, save=("open",), table_name="settings"),
)


def test_tinybase_spelling_is_understood() -> None:
    config = {
        "mode": "tabular",
        "tables": {
            "load": {"pets": {"tableId": "animals", "rowIdColumnName": "id"}},
            "save": {"animals": {"tableName": "pets", "rowIdColumnName": "id"}},
        },
        "values": {"load": True, "save": ["open"], "tableName": "settings"},
    }
    assert parse_config(config) == PARSED


def test_snake_case_is_understood() -> None:
    config = {
        "mode": "tabular",
        "tables": {
            "load": {"pets": {"table_id": "animals", "row_id_column_name": "id"}},
            "save": {"animals": {"table_name": "pets", "row_id_column_name": "id"}},
        },
        "values": {"load": True, "save": ("open",), "table_name": "settings"},
    }
    assert parse_config(config) == PARSED


def test_dataclasses_are_understood_alone_and_inside_mappings() -> None:
    assert parse_config(PARSED) == PARSED
    mixed = {"mode": "tabular", "tables": PARSED.tables, "values": PARSED.values}
    assert parse_config(mixed) == PARSED
    leaves = {"load": {"pets": TableLoad("animals", "id")}, "save": {"animals": TableSave("pets", "id")}}
    assert parse_config({"mode": "tabular", "tables": leaves}).tables == PARSED.tables


def test_a_string_is_short_for_a_table() -> None:
    config = parse_config({"mode": "tabular", "tables": {"load": {"pets": "a"}, "save": {"a": "pets"}}})
    assert config.tables.load == {"pets": TableLoad("a", "_id")}
    assert config.tables.save == {"a": TableSave("pets", "_id")}


def test_false_leaves_a_table_out() -> None:
    config = parse_config({"mode": "tabular", "tables": {"load": {"pets": False}, "save": {"a": False}}})
    assert config.tables == TablesConfig()


def test_nothing_is_loaded_or_saved_unless_configured() -> None:
    assert parse_config({"mode": "tabular"}) == TabularConfig()
    assert TabularConfig().values == ValuesConfig(load=False, save=False, table_name="tinybase_values")


def test_tinybase_defaults_may_be_written_out() -> None:
    save = {
        "tableName": "pets",
        "deleteEmptyColumns": False,
        "deleteEmptyTable": False,
        "condition": "true",
    }
    config = {
        "mode": "tabular",
        "tables": {"load": {"pets": {"tableId": "a", "condition": "true"}}, "save": {"a": save}},
    }
    assert parse_config(config).tables.save == {"a": TableSave("pets", condition="true")}


def test_what_is_loaded_and_saved_of_a_table_may_be_chosen() -> None:
    config = {
        "mode": "tabular",
        "tables": {
            "load": {"pets": {"tableId": "a", "condition": "$tableName.age > 3", "columns": ["age"]}},
            "save": {"a": {"tableName": "pets", "columns": ["age", "sold"], "deleteEmptyColumns": True}},
        },
    }
    parsed = parse_config(config).tables
    assert parsed.load["pets"].condition == "$tableName.age > 3"
    assert parsed.load["pets"].columns == ("age",)
    assert parsed.save["a"] == TableSave("pets", delete_empty_columns=True, columns=("age", "sold"))


def tables(**halves: Any) -> dict[str, Any]:
    return {"mode": "tabular", "tables": halves}


REFUSED: list[tuple[Any, str]] = [
    (None, "allowed modes: tabular"),
    ("my_table", "allowed modes: tabular"),
    ({}, "mode is 'json'; allowed modes: tabular"),
    ({"mode": "json"}, "mode is 'json'; allowed modes: tabular"),
    (42, "must be a mapping with the keys mode, tables, values, not int"),
    ({"mode": "tabular", "tabels": {}}, "unknown key 'tabels'; allowed: mode, tables, values"),
    ({"mode": "tabular", "autoLoadIntervalSeconds": 1}, "the database tells of changes by itself"),
    ({"mode": "tabular", "tables": []}, "tables must be a mapping with the keys load, save, not list"),
    (tables(lode={}), "tables: unknown key 'lode'; allowed: load, save"),
    (tables(load=[]), "tables.load must map table names to tables, not list"),
    (tables(load={1: "a"}), "tables.load: its keys must be strings, not int"),
    (tables(load={"pets": 1}), "tables.load.pets must be a mapping"),
    (tables(load={"pets": {}}), "tables.load.pets.table_id must be a string, not nothing"),
    (tables(load={"pets": {"tableId": "a", "rowIdColumn": "id"}}), "allowed: table_id, row_id_column_name"),
    (tables(load={"pets": TableLoad("a", 5)}), "row_id_column_name must be a string, not int"),  # type: ignore[arg-type]  # that is the point
    (tables(load={"pets": {"tableId": "a", "table_id": "a"}}), "table_id in two spellings"),
    (tables(load={"pets": {"tableId": "a", "condition": 3}}), "pets.condition must be a string, not int"),
    (tables(load={"pets": {"tableId": "a", "columns": "age"}}), "pets.columns must be True, False or a list"),
    (tables(load={"pets": {"tableId": "a", "columns": True}}), "pets.columns must be a list of columns"),
    (tables(save={"a": {"rowIdColumnName": "id"}}), "tables.save.a.table_name must be a string"),
    (
        tables(save={"a": {"tableName": "p", "deleteEmptyTable": 1}}),
        "delete_empty_table must be True or False, not 1",
    ),
    (tables(save={"a": {"tableName": "p", "condition": []}}), "a.condition must be a string, not list"),
    (tables(load={"p": "a", "q": "a"}), "tables.load loads into table 'a' more than once"),
    (tables(save={"a": "p", "b": "p"}), "tables.save saves into table 'p' more than once"),
    (
        tables(load={"p": {"tableId": "a", "rowIdColumnName": "x"}}, save={"a": "p"}),
        "one table has one key column",
    ),
    (
        {"mode": "tabular", "values": {"load": "open"}},
        "values.load must be True, False or a list of value ids",
    ),
    ({"mode": "tabular", "values": {"load": [1]}}, "values.load must be True, False or a list of value ids"),
    ({"mode": "tabular", "values": {"tableName": None}}, "values.table_name must be a string"),
    (
        {**tables(save={"a": "tinybase_values"}), "values": {"save": True}},
        "uses 'tinybase_values', the table of the values",
    ),
]


@pytest.mark.parametrize(("config", "message"), REFUSED)
def test_a_configuration_that_cannot_be_followed_is_refused_by_name(config: Any, message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        parse_config(config)
    assert message in str(refusal.value)


@pytest.mark.parametrize("config", [{"mode": "tabular"}, {"mode": "json"}, {}])
def test_an_interval_of_tinybase_is_refused_saying_what_there_is_instead(config: Any) -> None:
    with pytest.raises(ConfigError, match=r"the database tells of changes by itself \(see poll_interval"):
        parse_database_config({**config, "autoLoadIntervalSeconds": 1})
