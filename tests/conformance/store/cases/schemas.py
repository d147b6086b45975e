"""Rows 33-45: schemas."""

from __future__ import annotations

from typing import Any

from tests.conformance.case import UNDEFINED, Case, listen

__all__ = ["SCHEMAS"]

HEAR_CELLS: list[list[Any]] = [listen("Cell", None, None, None), listen("InvalidCell", None, None, None)]
HEAR_VALUES: list[list[Any]] = [listen("Value", None), listen("InvalidValue", None)]
OF_EACH_TYPE = ("text", 5, True, {"k": 1}, ["x"], None)


def set_each(table_id: str) -> list[list[Any]]:
    return [["setCell", table_id, f"r{index}", "c", cell] for index, cell in enumerate(OF_EACH_TYPE)]


SCHEMAS: tuple[Case, ...] = (
    Case(
        33,
        "cells have one of five types, unknown tables and cells are invalid",
        [
            *HEAR_CELLS,
            [
                "setTablesSchema",
                {type: {"c": {"type": type}} for type in ("string", "number", "boolean", "object", "array")},
            ],
            *(op for type in ("string", "number", "boolean", "object", "array") for op in set_each(type)),
            ["setCell", "unknown", "r", "c", 1],
            ["setCell", "number", "r", "unknown", 1],
            ["setTable", "unknown", {"r": {"c": 1}}],
            ["setTables", {"unknown": {"r": {"c": 1}}, "number": {"r": {"c": 1, "unknown": 2}}}],
            ["getTables"],
        ],
    ),
    Case(
        33,
        "values have a type, unknown values are invalid",
        [
            *HEAR_VALUES,
            ["setValuesSchema", {"n": {"type": "number"}, "s": {"type": "string"}}],
            ["setValues", {"n": 1, "s": 1, "unknown": 1}],
            ["setValue", "n", "1"],
            ["setPartialValues", {"s": "x", "unknown": True}],
        ],
    ),
    Case(
        34,
        "a union of types",
        [
            *HEAR_CELLS,
            [
                "setTablesSchema",
                {"t": {"c": {"type": ["string", "array", "string"]}}, "u": {"c": {"type": []}}},
            ],
            *set_each("t"),
            *set_each("u"),
            ["getTablesSchemaJson"],
        ],
    ),
    Case(
        35,
        "an enum of primitives, never together with a type",
        [
            *HEAR_CELLS,
            [
                "setTablesSchema",
                {
                    "t": {
                        "c": {"enum": ["text", 5, True]},
                        "both": {"enum": ["x"], "type": "string"},
                        "empty": {"enum": []},
                        "null": {"enum": [None]},
                        "rich": {"enum": [[1]]},
                        "reserved": {"enum": ["\ufffc"]},
                        "default": {"enum": ["x", "y"], "default": "y"},
                        "wrong": {"enum": ["x", "y"], "default": "z"},
                    }
                },
            ],
            ["getTablesSchemaJson"],
            *set_each("t"),
            ["setCell", "t", "r", "c", 1],
            ["setCell", "t", "r", "c", "5"],
            ["setCell", "t", "r2", "default", "z"],
        ],
    ),
    Case(
        36,
        "defaults, of which invalid ones are dropped",
        [
            [
                "setTablesSchema",
                {
                    "t": {
                        "a": {"type": "number", "default": 1},
                        "b": {"type": "number", "default": "1"},
                        "c": {"type": "string", "default": "\ufffc"},
                        "d": {"type": "string"},
                    }
                },
            ],
            ["getTablesSchemaJson"],
            ["setRow", "t", "r", {"d": "x"}],
            ["setCell", "t", "s", "d", "y"],
            ["setPartialRow", "t", "q", {"d": "z"}],
            ["addRow", "t", {"d": "w"}],
            ["getTables"],
        ],
    ),
    Case(
        36,
        "a default that is an object",
        [
            *HEAR_CELLS,
            *HEAR_VALUES,
            [
                "setTablesSchema",
                {"t": {"a": {"type": "object", "default": {"k": [1]}}, "b": {"type": "string"}}},
            ],
            ["setValuesSchema", {"v": {"type": "array", "default": [1, 2]}}],
            ["setRow", "t", "r", {"b": "x"}],
            ["setCell", "t", "r", "a", 5],
            ["delCell", "t", "r", "a"],
            ["setRow", "t", "s", {"a": {"own": True}, "b": "y"}],
            ["getTablesJson"],
            ["getSchemaJson"],
        ],
        mended=True,
    ),
    Case(
        37,
        "null only where it is allowed",
        [
            *HEAR_CELLS,
            [
                "setTablesSchema",
                {
                    "t": {
                        "a": {"type": "number", "allowNull": True},
                        "b": {"type": "number"},
                        "c": {"type": "number", "allowNull": True, "default": None},
                        "d": {"type": "number", "default": None},
                        "e": {"enum": [1], "allowNull": True},
                    }
                },
            ],
            ["getTablesSchemaJson"],
            ["setRow", "t", "r", {"a": None, "b": None, "e": None}],
            ["setCell", "t", "r", "a", 1],
            ["setCell", "t", "r", "a", None],
            ["setCell", "t", "r", "c", "wrong"],
            ["getTables"],
        ],
    ),
    Case(
        38,
        "required cells and values matter to whole rows and whole values only",
        [
            *HEAR_CELLS,
            *HEAR_VALUES,
            ["setTablesSchema", {"t": {"a": {"type": "number", "required": True}, "b": {"type": "number"}}}],
            ["setRow", "t", "r", {"b": 1}],
            ["setRow", "t", "r", {"a": "wrong", "b": 1}],
            ["setRow", "t", "r", {"a": 1}],
            ["setRow", "t", "r", {"b": 2}],
            ["setCell", "t", "s", "b", 1],
            ["setPartialRow", "t", "q", {"b": 1}],
            ["delCell", "t", "r", "a"],
            ["addRow", "t", {"b": 1}],
            ["setTable", "t", {"p": {"a": 1}, "o": {"b": 1}}],
            ["setValuesSchema", {"v": {"type": "number", "required": True}, "w": {"type": "number"}}],
            ["setValues", {"w": 1}],
            ["setValues", {"v": 1}],
            ["setValues", {"w": 2}],
            ["setPartialValues", {"w": 3}],
            ["setTablesSchema", {"t": {"a": {"type": "number", "required": True, "default": 9}}}],
            ["setRow", "t", "n", {"a": "wrong"}],
            ["getContent"],
        ],
    ),
    Case(
        39,
        "an invalid write writes the default over a good cell",
        [
            *HEAR_CELLS,
            *HEAR_VALUES,
            ["setTablesSchema", {"t": {"a": {"type": "number", "default": 1}, "b": {"type": "number"}}}],
            ["setRow", "t", "r", {"a": 5, "b": 5}],
            ["setCell", "t", "r", "a", "wrong"],
            ["setCell", "t", "r", "b", "wrong"],
            ["setRow", "t", "r", {"a": UNDEFINED, "b": 6}],
            ["setValuesSchema", {"v": {"type": "number", "default": 1}}],
            ["setValue", "v", 5],
            ["setValue", "v", "wrong"],
        ],
    ),
    Case(
        40,
        "a new schema validates the tables there are",
        [
            *HEAR_CELLS,
            ["setTables", {"t": {"r": {"a": 1, "b": "x"}, "s": {"a": "y"}}, "u": {"r": {"a": 1}}}],
            ["setTablesSchema", {"t": {"a": {"type": "number"}, "c": {"type": "string", "default": "new"}}}],
            ["getTables"],
        ],
        probes=[["t", "r", "a"], ["t", "r", "b"]],
    ),
    Case(
        41,
        "a values schema fills in its defaults at once",
        [
            *HEAR_VALUES,
            ["setValuesSchema", {"a": {"type": "number", "default": 1}, "b": {"type": "string"}}],
            ["setValue", "b", "x"],
            ["setValuesSchema", {"b": {"type": "string"}, "c": {"type": "boolean", "default": True}}],
            [
                "setValuesSchema",
                {"d": {"type": "string", "required": True}, "c": {"type": "boolean", "default": True}},
            ],
            ["getValues"],
        ],
        value_probes=["a", "b", "c"],
    ),
    Case(
        42,
        "a row gets its defaults however it is created, in order",
        [
            [
                "setTablesSchema",
                {
                    "t": {
                        "a": {"type": "number", "default": 1},
                        "b": {"type": "number"},
                        "c": {"type": "number", "default": 3},
                        "d": {"type": "number"},
                    }
                },
            ],
            ["setCell", "t", "r1", "b", 2],
            ["setPartialRow", "t", "r2", {"d": 4, "b": 2}],
            ["setRow", "t", "r3", {"d": 4, "c": 9}],
            ["addRow", "t", {"b": 2}],
            ["setTable", "t", {"r1": {"b": 2}, "r4": {"d": 4}}],
            ["applyChanges", [{"t": {"r5": {"d": 4, "a": 9}}}, {}, 1]],
            ["setTablesJson", '{"t":{"r6":{"b":2}}}'],
            *(["getCellIds", "t", f"r{index}"] for index in range(1, 7)),
        ],
    ),
    Case(
        43,
        "deleting a schema leaves the data",
        [
            [
                "setSchema",
                {"t": {"a": {"type": "number", "default": 1}}},
                {"v": {"type": "number", "default": 1}},
            ],
            ["setRow", "t", "r", {"a": 2}],
            ["delTablesSchema"],
            ["setCell", "t", "r", "a", "any"],
            ["delValuesSchema"],
            ["setValue", "v", "any"],
            ["setSchema", {"t": {"a": {"type": "string"}}}],
            ["setValue", "w", "free"],
            ["delSchema"],
            ["getSchemaJson"],
            ["getContent"],
        ],
    ),
    Case(
        44,
        "a schema change goes with its transaction",
        [
            ["setSchema", {"t": {"a": {"type": "number"}}}, {"v": {"type": "number"}}],
            ["setRow", "t", "r", {"a": 1}],
            ["setValue", "v", 1],
            [
                "transaction",
                [
                    ["setTablesSchema", {"t": {"a": {"type": "string"}}}],
                    ["delValuesSchema"],
                    ["setCell", "t", "r", "a", "x"],
                    ["setValue", "v", "x"],
                    ["getContent"],
                ],
                {"result": True},
            ],
            ["getSchemaJson"],
            ["getContent"],
            ["setCell", "t", "r", "a", "x"],
            ["transaction", [["delSchema"], ["throw", "no"]]],
            ["getSchemaJson"],
        ],
    ),
    Case(
        45,
        "schemas are normalised, and a bad one leaves the previous",
        [
            [
                "setTablesSchema",
                {
                    "t": {
                        "good": {"type": "number", "note": "unknown"},
                        "bad": {"type": "date"},
                        "none": {},
                        "text": "number",
                    },
                    "empty": {"bad": {"type": 5}},
                },
            ],
            ["getTablesSchemaJson"],
            ["setTablesSchema", {"t": {"bad": {"type": "date"}}}],
            ["setTablesSchema", {}],
            ["setTablesSchema", UNDEFINED],
            ["setTablesSchema", 5],
            ["getTablesSchemaJson"],
            ["setValuesSchema", {"bad": {"default": 1}}],
            ["getValuesSchemaJson"],
            ["setValuesSchema", {"v": {"type": "string", "required": 1, "allowNull": 0}}],
            ["getValuesSchemaJson"],
        ],
    ),
    Case(
        20,
        "no object where a schema has defaults is invalid",
        [
            *HEAR_CELLS,
            *HEAR_VALUES,
            ["setTablesSchema", {"t": {"a": {"type": "number", "default": 1}}}],
            ["setRow", "t", "r", UNDEFINED],
            ["setRow", "t", "r", 5],
            ["setRow", "t", "r", {}],
            ["addRow", "t", None],
            ["setTable", "t", {"s": None, "q": {"a": 2}}],
            ["setValuesSchema", {"v": {"type": "number", "default": 1}}],
            ["setValues", UNDEFINED],
            ["setValues", {}],
            ["getContent"],
        ],
        mended=True,
    ),
)
