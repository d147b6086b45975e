"""Rows 1-20: what is read, and what a cell can be."""

from __future__ import annotations

from typing import Any

from tests.conformance.case import UNDEFINED, Case, listen

__all__ = ["READING"]

PETS: dict[str, Any] = {
    "pets": {
        "fido": {"species": "dog", "age": 4, "weight": 12.5, "tame": True},
        "felix": {"species": "cat", "age": None, "colour": "black"},
        "cujo": {"species": "dog", "age": 4},
    },
    "species": {"dog": {"price": 5}, "cat": {"price": 4.5}},
}
VALUES: dict[str, Any] = {"open": True, "employees": 3, "address": {"street": "Main", "numbers": [1, 2]}}
FILLED: list[list[Any]] = [["setTables", PETS], ["setValues", VALUES]]

MISSING_PATHS: list[list[Any]] = [
    ["getTable", "none"],
    ["getTableCellIds", "none"],
    ["getRowCount", "none"],
    ["getRowIds", "none"],
    ["getSortedRowIds", "none"],
    ["getRow", "pets", "none"],
    ["getCellIds", "pets", "none"],
    ["getCell", "pets", "fido", "none"],
    ["getCell", "none", "none", "none"],
    ["getValue", "none"],
    ["hasTable", "none"],
    ["hasTableCell", "pets", "none"],
    ["hasTableCell", "none", "none"],
    ["hasRow", "none", "none"],
    ["hasCell", "none", "none", "none"],
    ["hasValue", "none"],
]
SCORES: list[list[Any]] = [
    ["setRow", "scores", row_id, {"score": score} if score is not None else {"name": "no score"}]
    for row_id, score in (("d", 2), ("a", 10), ("c", None), ("b", 2), ("e", -1))
]

READING: tuple[Case, ...] = (
    Case(1, "get_content of an empty and a filled store", [["getContent"], *FILLED, ["getContent"]]),
    Case(
        2,
        "tables, table ids and one table",
        [["getTables"], ["getTableIds"], *FILLED, ["getTables"], ["getTableIds"], ["getTable", "pets"]],
    ),
    Case(
        3,
        "table cell ids in the order of first use",
        [
            *FILLED,
            ["getTableCellIds", "pets"],
            ["delCell", "pets", "fido", "species"],
            ["delCell", "pets", "fido", "weight"],
            ["getTableCellIds", "pets"],
            ["setCell", "pets", "cujo", "weight", 30],
            ["getTableCellIds", "pets"],
        ],
    ),
    Case(
        4,
        "row count and row ids",
        [
            ["getRowCount", "pets"],
            *FILLED,
            ["getRowCount", "pets"],
            ["getRowIds", "pets"],
            ["delRow", "pets", "fido"],
            ["setRow", "pets", "fido", {"species": "dog"}],
            ["getRowIds", "pets"],
        ],
    ),
    Case(
        5,
        "sorted row ids with ties, missing cells and windows",
        [
            *SCORES,
            ["getSortedRowIds", "scores"],
            ["getSortedRowIds", "scores", "score"],
            ["getSortedRowIds", "scores", "score", True],
            ["getSortedRowIds", "scores", "score", False, 1],
            ["getSortedRowIds", "scores", "score", False, 1, 2],
            ["getSortedRowIds", "scores", "score", True, 0, 0],
            ["getSortedRowIds", "scores", "score", False, -2],
            ["getSortedRowIds", "scores", "score", False, 9, 2],
            ["getSortedRowIds", "scores", UNDEFINED, True],
            *(
                [
                    ["setCell", "words", str(id), "word", word]
                    for id, word in enumerate(("pear", "Apple", "apple", "é"))
                ]
            ),
            ["getSortedRowIds", "words", "word"],
            ["getSortedRowIds", "words", "word", True, 1, 2],
        ],
    ),
    Case(
        6,
        "sorted row ids with options and a custom sorter",
        [
            *SCORES,
            [
                "getSortedRowIds",
                {"tableId": "scores", "cellId": "score", "descending": True, "offset": 1, "limit": 3},
            ],
            [
                "getSortedRowIds",
                {"tableId": "scores", "cellId": "score", "sorter": {"$": "sorter", "by": "reverse"}},
            ],
            [
                "getSortedRowIds",
                {
                    "tableId": "scores",
                    "cellId": "score",
                    "descending": True,
                    "sorter": {"$": "sorter", "by": "reverse"},
                },
            ],
            ["setRow", "scores", "long id", {"score": 0}],
            ["getSortedRowIds", {"tableId": "scores", "sorter": {"$": "sorter", "by": "length"}}],
        ],
    ),
    Case(
        7,
        "rows, cells and values that are there and that are not",
        [
            *FILLED,
            ["getRow", "pets", "felix"],
            ["getCellIds", "pets", "felix"],
            ["getCell", "pets", "felix", "age"],
            ["getValues"],
            ["getValueIds"],
            ["getValue", "address"],
            *MISSING_PATHS,
        ],
    ),
    Case(
        8,
        "has of everything",
        [
            ["hasTables"],
            ["hasValues"],
            *FILLED,
            ["hasTables"],
            ["hasTable", "pets"],
            ["hasTableCell", "pets", "colour"],
            ["hasRow", "pets", "felix"],
            ["hasCell", "pets", "felix", "age"],
            ["hasValues"],
            ["hasValue", "open"],
        ],
    ),
    Case(
        9,
        "content as JSON keeps objects encoded",
        [
            ["getTablesJson"],
            ["getValuesJson"],
            ["getJson"],
            *FILLED,
            ["setCell", "pets", "fido", "toys", ["ball", {"é": "\u2028"}]],
            ["getTablesJson"],
            ["getValuesJson"],
            ["getJson"],
        ],
    ),
    Case(
        9,
        "numbers in JSON are written as JavaScript writes them",
        [
            [
                "setCell",
                "t",
                "r",
                "c",
                [0.1, 1e21, 1e-7, 1.5e300, 123456789012, -0.5, 5e-324, 100000.5, 1e-6],
            ],
            ["getJson"],
            ["setRow", "t", "r", {"a": 0.1, "b": 1e-7, "c": 2.5e22}],
            ["getTablesJson"],
        ],
    ),
    Case(
        10,
        "schemas as JSON, with defaults as they were given",
        [
            ["getTablesSchemaJson"],
            ["getValuesSchemaJson"],
            ["getSchemaJson"],
            [
                "setSchema",
                {"pets": {"species": {"type": "string"}, "toys": {"type": "array", "default": ["ball"]}}},
                {"open": {"type": "boolean", "default": False}},
            ],
            ["getTablesSchemaJson"],
            ["getValuesSchemaJson"],
            ["getSchemaJson"],
        ],
    ),
    Case(
        11,
        "has a schema, is mergeable",
        [
            ["hasTablesSchema"],
            ["hasValuesSchema"],
            ["setTablesSchema", {"t": {"c": {"type": "number"}}}],
            ["setValuesSchema", {"v": {"type": "number"}}],
            ["hasTablesSchema"],
            ["hasValuesSchema"],
            ["delSchema"],
            ["hasTablesSchema"],
            ["hasValuesSchema"],
            ["isMergeable"],
        ],
        mended=True,
    ),
    Case(
        12,
        "iteration in the order of insertion",
        [
            *FILLED,
            ["iterate", "forEachTable"],
            ["iterate", "forEachRow", "pets"],
            ["iterate", "forEachCell", "pets", "felix"],
            ["iterate", "forEachValue"],
            ["iterate", "forEachTableCell", "pets"],
            ["iterate", "forEachRow", "none"],
            ["iterate", "forEachCell", "none", "none"],
            ["iterate", "forEachTableCell", "none"],
        ],
    ),
    Case(
        13,
        "strings, numbers, booleans and null are cells, NaN and infinities are not",
        [
            listen("InvalidCell", None, None, None),
            *(
                ["setCell", "t", "r", f"c{index}", cell]
                for index, cell in enumerate(
                    (
                        "",
                        "text",
                        0,
                        -1,
                        2.5,
                        True,
                        False,
                        None,
                        {"$": "NaN"},
                        {"$": "Infinity"},
                        {"$": "-Infinity"},
                    )
                )
            ),
            ["setCell", "t", "r", "c", {"$": "instance"}],
            ["setCell", "t", "r", "c", UNDEFINED],
            ["getRow", "t", "r"],
        ],
    ),
    Case(
        14,
        "objects and arrays are cells, equal when their text is",
        [
            listen("Cell", "t", "r", None),
            ["setRow", "t", "r", {"object": {"a": 1, "b": 2}, "array": [1, [2]], "empty": {}, "none": []}],
            ["setCell", "t", "r", "object", {"a": 1, "b": 2}],
            ["setCell", "t", "r", "object", {"b": 2, "a": 1}],
            ["setCell", "t", "r", "object", {"a": UNDEFINED, "b": [UNDEFINED, {"$": "NaN"}]}],
            ["getRow", "t", "r"],
        ],
    ),
    Case(
        15,
        "reserved strings are invalid",
        [
            listen("InvalidCell", None, None, None),
            listen("InvalidValue", None),
            [
                "setRow",
                "t",
                "r",
                {"a": "\ufffc", "b": "\ufffd", "c": '\ufffd{"a":1}', "d": "x\ufffd", "e": "\ufffcx"},
            ],
            ["setValues", {"a": "\ufffc", "b": "\ufffd[]", "c": "x\ufffc"}],
            ["getContent"],
        ],
    ),
    Case(
        16,
        "ids are strings, any string",
        [
            ["setCell", 1, True, None, "coerced"],
            ["setCell", 1.5, False, 2, "coerced"],
            ["setCell", "", "__proto__", "constructor", 1],
            ["setValue", 7, "coerced"],
            ["setValue", "", "empty"],
            ["getTableIds"],
            ["getCell", "1", "true", "null"],
            ["getCell", 1.5, False, 2],
            ["getCell", "", "__proto__", "constructor"],
            ["getValueIds"],
            ["hasRow", 1, True],
            ["delRow", 1, True],
            ["delValue", 7],
        ],
    ),
    Case(
        17,
        "empty containers vanish upwards",
        [
            ["setTables", {"t": {"r": {"a": 1, "b": 2}, "s": {"a": 1}}}],
            ["delCell", "t", "r", "a"],
            ["delCell", "t", "r", "b"],
            ["hasRow", "t", "r"],
            ["delCell", "t", "s", "a"],
            ["hasTables"],
            ["setValue", "v", 1],
            ["delValue", "v"],
            ["hasValues"],
        ],
    ),
    Case(
        18,
        "booleans are not numbers, 1 is 1.0, 0 is -0",
        [
            listen("Cell", None, None, None),
            ["setCell", "t", "r", "c", 1],
            ["setCell", "t", "r", "c", 1.0],
            ["setCell", "t", "r", "c", True],
            ["setCell", "t", "r", "c", 0],
            ["setCell", "t", "r", "c", -0.0],
            ["setCell", "t", "r", "c", False],
            ["setCell", "t", "r", "c", None],
            ["setCell", "t", "r", "c", "0"],
        ],
    ),
    Case(
        19,
        "a whole replacement keeps the places of survivors",
        [
            ["setTable", "t", {"r1": {"a": 1}, "r2": {"a": 1}, "r3": {"a": 1}}],
            ["setTable", "t", {"r4": {"a": 1}, "r3": {"a": 1}, "r1": {"b": 1, "a": 2}}],
            ["getRowIds", "t"],
            ["getCellIds", "t", "r1"],
            ["setRow", "t", "r1", {"c": 1, "a": 3}],
            ["getCellIds", "t", "r1"],
        ],
    ),
    Case(
        20,
        "invalid parts are dropped, valid ones kept",
        [
            listen("InvalidCell", None, None, None),
            listen("InvalidValue", None),
            [
                "setTables",
                {"t": {"r": {"good": 1, "bad": {"$": "NaN"}}, "empty": {}, "none": None}, "u": {}, "w": 5},
            ],
            ["setTable", "t", {"r": {"bad": {"$": "instance"}}}],
            ["setRow", "t", "r", {"bad": {"$": "Infinity"}}],
            ["setValues", {"good": 1, "bad": UNDEFINED}],
            ["setValues", {"bad": UNDEFINED}],
            ["setTables", 5],
            ["setTables", {}],
            ["setTable", "t", []],
            ["setRow", "t", "r", UNDEFINED],
            ["setPartialRow", "t", "r", {}],
            ["setValues", None],
            ["setPartialValues", {}],
            ["addRow", "t", {"bad": {"$": "NaN"}}],
            ["addRow", "t", {}],
            ["getContent"],
        ],
    ),
)
