from __future__ import annotations

from tests.conformance.case import UNDEFINED, Case
from tests.conformance.derived.cases.pets import PETS, listen, listen_to_all
from tests.conformance.derived.functions import function

__all__ = ["CASES"]

BY_A = ["indexes.setIndexDefinition", "i1", "t1", "a"]
SORTED = ["indexes.setIndexDefinition", "i1", "t1", "a", "n"]

CASES = (
    Case(
        74,
        "Slices by a cell, and those without it in the slice of the empty string",
        [BY_A, PETS, ["setCell", "t1", "r3", "a", "y"], ["delCell", "t1", "r0", "a"]],
    ),
    Case(
        74,
        "Slice ids are strings whatever the cell",
        [
            BY_A,
            [
                "setTable",
                "t1",
                {"r0": {"a": True}, "r1": {"a": None}, "r2": {"a": 1.5}, "r3": {"a": {"k": 1}}},
            ],
            ["setRow", "t1", "r4", {"a": [1, "x"]}],
        ],
    ),
    Case(74, "There is one indexes object a store", [["create", "Indexes"], BY_A, ["create", "Indexes"]]),
    Case(
        75,
        "A function may put a row into several slices or none",
        [
            ["indexes.setIndexDefinition", "i1", "t1", function("tags")],
            [
                "setTable",
                "t1",
                {"r0": {"tags": ["x", "y"]}, "r1": {"tags": ["y", "y", "z"]}, "r2": {"tags": []}},
            ],
            ["setCell", "t1", "r0", "tags", ["y", "z"]],
            ["setCell", "t1", "r2", "n", 1],
            ["indexes.setIndexDefinition", "i2", "t1", function("aAndB")],
            ["setPartialRow", "t1", "r0", {"a": True, "b": None}],
        ],
    ),
    Case(
        75,
        "A function gets the row id, may return nothing, and may be absent",
        [
            PETS,
            ["indexes.setIndexDefinition", "i1", "t1", function("rowId")],
            ["indexes.setIndexDefinition", "i2", "t1", function("nothing")],
            ["indexes.setIndexDefinition", "i1", "t1"],
        ],
    ),
    Case(
        76,
        "Rows sorted by a cell, and moved as it changes",
        [
            *listen_to_all("indexes"),
            PETS,
            SORTED,
            ["setCell", "t1", "r0", "n", 0],
            ["setCell", "t1", "r0", "n", 1.5],
            ["setCell", "t1", "r1", "a", "x"],
            ["setCell", "t1", "r3", "a", "x"],
            ["delRow", "t1", "r2"],
        ],
    ),
    Case(
        76,
        "A changed row comes before its equals from below and after them from above",
        [
            ["setTable", "t1", {"r0": {"n": 1}, "r1": {"n": 2}, "r2": {"n": 2}, "r3": {"n": 3}}],
            ["indexes.setIndexDefinition", "i1", "t1", UNDEFINED, "n"],
            ["setCell", "t1", "r0", "n", 2],
            ["setCell", "t1", "r3", "n", 2],
            ["setRow", "t1", "r4", {"n": 2}],
            ["transaction", [["setCell", "t1", "r4", "n", 0], ["setCell", "t1", "r1", "n", 0]], False],
        ],
        mended=True,
    ),
    Case(
        76,
        "Equal sort keys do not count as a change of order",
        [
            ["setTable", "t1", {"r0": {"n": 1}, "r1": {"n": 1}, "r2": {"n": 2}}],
            *listen_to_all("indexes"),
            ["indexes.setIndexDefinition", "i1", "t1", UNDEFINED, "n"],
            ["setCell", "t1", "r2", "n", 3],
        ],
        mended=True,
    ),
    Case(
        76,
        "A sort key by function and a sorter that knows the slice",
        [
            PETS,
            [
                "indexes.setIndexDefinition",
                "i1",
                "t1",
                "a",
                function("nPlus1"),
                UNDEFINED,
                function("bySlice"),
            ],
            [
                "setTable",
                "t1",
                {"r0": {"a": "x", "n": 9}, "r1": {"a": "y", "n": 9}, "r2": {"a": "y", "n": 8}},
            ],
        ],
        mended=True,
    ),
    Case(
        76,
        "Without a sort key moved rows come last",
        [PETS, BY_A, ["setCell", "t1", "r0", "a", "y"], ["setCell", "t1", "r0", "a", "x"]],
    ),
    Case(
        77,
        "Slices sorted by their ids as they come and go",
        [
            *listen_to_all("indexes"),
            ["indexes.setIndexDefinition", "i1", "t1", "a", UNDEFINED, function("descendingIds")],
            PETS,
            ["setCell", "t1", "r3", "a", "z"],
            ["delCell", "t1", "r1", "a"],
            ["indexes.setIndexDefinition", "i1", "t1", "a", UNDEFINED, function("neverEqualIds")],
        ],
    ),
    Case(
        78,
        "What is there and what is not",
        [
            PETS,
            BY_A,
            ["indexes.setIndexDefinition", "i2", "t2", "a"],
            ["indexes.getIndexIds"],
            *[[f"indexes.{read}", "i1"] for read in ("hasIndex", "getTableId", "getSliceIds")],
            *[[f"indexes.{read}", "no"] for read in ("hasIndex", "getTableId", "getSliceIds")],
            *[["indexes.hasSlice", "i1", slice_id] for slice_id in ("x", "no")],
            *[["indexes.getSliceRowIds", index_id, "x"] for index_id in ("i1", "i2", "no")],
            ["indexes.getStore"],
        ],
    ),
    Case(
        79,
        "Going through indexes, slices, rows and cells",
        [
            PETS,
            SORTED,
            ["indexes.setIndexDefinition", "i2", "t2", "a"],
            ["iterate", "indexes", "forEachIndex"],
            ["iterate", "indexes", "forEachSlice", "i1"],
            ["iterate", "indexes", "forEachSlice", "no"],
        ],
    ),
    Case(
        80,
        "Ids and existence of indexes as they are defined and deleted",
        [
            PETS,
            *listen_to_all("indexes"),
            BY_A,
            BY_A,
            ["indexes.delIndexDefinition", "i1"],
            ["indexes.delIndexDefinition", "no"],
        ],
    ),
    Case(
        81,
        "Only what differs is told, at the end of the transaction",
        [
            PETS,
            BY_A,
            *listen_to_all("indexes"),
            listen("indexes", "SliceRowIds", "i1", "x"),
            listen("store", "Row", "t1", None),
            listen("store", "Table", "t1"),
            listen("store", "Table", None),
            listen("store", "Tables"),
            ["setCell", "t1", "r0", "n", 9],
            ["transaction", [["setCell", "t1", "r0", "a", "y"], ["setCell", "t1", "r0", "a", "x"]], False],
            ["transaction", [["setCell", "t1", "r0", "a", "z"], ["delRow", "t1", "r1"]], False],
            ["delTables"],
        ],
    ),
    Case(
        82,
        "A redefinition tells what differs and no ids",
        [PETS, *listen_to_all("indexes"), BY_A, ["indexes.setIndexDefinition", "i1", "t1", "n"], PETS],
    ),
    Case(
        82,
        "An index of another table, or sorted no more",
        [
            PETS,
            ["setTable", "t2", {"r0": {"a": "x"}, "r9": {"a": "x"}}],
            *listen_to_all("indexes"),
            SORTED,
            ["indexes.setIndexDefinition", "i1", "t2", "a"],
            ["indexes.setIndexDefinition", "i1", "t1", "a"],
            ["setRow", "t1", "r4", {"a": "x", "n": 0}],
        ],
        mended=True,
    ),
    Case(
        82,
        "A sort key that goes is forgotten",
        [
            SORTED,
            PETS,
            ["delRow", "t1", "r0"],
            ["setRow", "t1", "r0", {"a": "x"}],
            ["delCell", "t1", "r2", "n"],
        ],
        mended=True,
    ),
    Case(
        83,
        "Deleted and destroyed indexes, and listeners by number",
        [
            PETS,
            *listen_to_all("indexes"),
            BY_A,
            ["getListenerStats"],
            ["indexes.getListenerStats"],
            ["indexes.delListener", "3"],
            ["indexes.getListenerStats"],
            ["indexes.delIndexDefinition", "i1"],
            BY_A,
            ["indexes.setIndexDefinition", "i2", "t1"],
            ["indexes.destroy"],
            ["getListenerStats"],
            ["setCell", "t1", "r0", "a", "z"],
            BY_A,
        ],
    ),
)
