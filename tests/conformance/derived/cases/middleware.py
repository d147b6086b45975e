from __future__ import annotations

from typing import Any

from tests.conformance.case import UNDEFINED, Case
from tests.conformance.derived.cases.pets import PETS
from tests.conformance.derived.functions import function

__all__ = ["CASES"]


def guard(kind: str, by: str) -> list[Any]:
    return ["guard", kind, function(by)]


SETTING = ("Content", "Tables", "Table", "Row", "Cell", "Values", "Value")
DELETING = ("Tables", "Table", "Row", "Cell", "Values", "Value")
WATCHED = [
    *[guard(f"WillSet{level}", "same") for level in SETTING],
    *[guard(f"WillDel{level}", "allow") for level in DELETING],
    guard("WillApplyChanges", "same"),
]
SCHEMA: list[Any] = [
    "setTablesSchema",
    {"t1": {"n": {"type": "number", "default": 7}, "a": {"type": "string"}, "b": {"type": "string"}}},
]

CASES = (
    Case(
        121,
        "A cell changed or vetoed on its way",
        [
            guard("WillSetCell", "double"),
            ["setCell", "t1", "r0", "n", 2],
            guard("WillSetCell", "vetoX"),
            guard("WillSetCell", "same"),
            ["setRow", "t1", "r0", {"a": "x", "n": 3}],
            ["setRow", "t1", "r1", {"a": "x"}],
            ["addRow", "t1", {"a": "x"}],
            ["addRow", "t1", {"a": "y"}],
            ["addRow", "t3", {"a": "x"}],
        ],
        mended=True,
    ),
    Case(
        121,
        "Rows, tables and content changed or vetoed on their way",
        [
            guard("WillSetRow", "withB"),
            ["setRow", "t1", "r0", {"a": "x"}],
            guard("WillSetTable", "withoutR1"),
            ["setTable", "t1", {"r0": {"a": "x"}, "r1": {"a": "x"}}],
            ["setRow", "t1", "r1", {"a": "x"}],
            guard("WillSetContent", "onlyTables"),
            ["setContent", [{"t1": {"r2": {"a": "x"}}}, {"v1": 1}]],
            guard("WillSetTables", "veto"),
            ["setTables", {"t2": {"r2": {"a": "x"}}}],
        ],
        mended=True,
    ),
    Case(
        121,
        "Values changed or vetoed on their way",
        [
            guard("WillSetValue", "double"),
            ["setValue", "v1", 2],
            guard("WillSetValues", "withB"),
            ["setValues", {"v2": 5}],
            ["setPartialValues", {"v1": 1}],
            guard("WillSetValue", "veto"),
            ["setValue", "v3", 2],
        ],
    ),
    Case(
        121,
        "One cell is a new version of its row, if anybody asks about rows",
        [
            PETS,
            guard("WillSetRow", "withoutA"),
            guard("WillSetCell", "same"),
            guard("WillDelCell", "allow"),
            ["setCell", "t1", "r0", "n", 9],
            ["setPartialRow", "t1", "r1", {"n": 9}],
            ["applyChanges", [{"t1": {"r2": {"n": 9}}}, {}, 1]],
        ],
    ),
    Case(
        122,
        "Deletions vetoed at each level",
        [
            PETS,
            ["setRow", "t2", "r0", {"a": "x"}],
            guard("WillDelRow", "protectR1"),
            ["delTable", "t1"],
            guard("WillDelCell", "protectA"),
            ["delRow", "t2", "r0"],
            ["setRow", "t2", "r0", {"n": 1}],
            guard("WillDelTable", "protectT1"),
            ["delTables"],
            ["delCell", "t2", "r0", "n"],
        ],
        mended=True,
    ),
    Case(
        122,
        "Values kept, and changes altered or refused",
        [
            ["setValues", {"v1": 1, "a": 2}],
            guard("WillDelValue", "protectA"),
            ["delValues"],
            guard("WillDelValues", "forbid"),
            ["setValue", "v1", 1],
            ["delValues"],
            guard("WillApplyChanges", "onlyChangedValues"),
            ["applyChanges", [{"t1": {"r0": {"n": 1}}}, {"v1": 3}, 1]],
            guard("WillApplyChanges", "veto"),
            ["applyChanges", [{}, {"v1": 4}, 1]],
        ],
    ),
    Case(
        123,
        "Who is asked about what",
        [
            *WATCHED,
            ["setContent", [{"t1": {"r0": {"a": "x"}, "r1": {"a": "x"}}}, {"v1": 1}]],
            ["setContent", [{}, {}]],
            PETS,
            ["setTables", {"t1": {"r0": {"a": {"k": 1}}}}],
            ["setRow", "t1", "r1", {"a": "x"}],
            ["addRow", "t1", {"a": "x"}],
            ["setPartialRow", "t1", "r1", {"b": 1}],
            ["setCell", "t1", "r1", "n", 1],
            ["applyChanges", [{"t1": {"0": UNDEFINED, "r1": {"n": 2}}}, {"v1": UNDEFINED}, 1]],
            ["setValues", {"v1": 1, "v2": 2}],
            ["setValues", {"v2": 3}],
            ["setPartialValues", {"v1": 1}],
            ["setTablesJson", '{"t1":{"r0":{"a":"y"}}}'],
            ["setValuesJson", '{"v1":"y"}'],
            ["delValues"],
            ["delTables"],
            ["transaction", [["setCell", "t1", "r1", "n", 1]], True],
        ],
    ),
    Case(
        124,
        "What a callback returns is validated, and an invalid cell becomes the default",
        [
            SCHEMA,
            guard("WillSetCell", "invalid"),
            ["setRow", "t1", "r0", {"n": 1, "a": "x"}],
            ["setCell", "t1", "r0", "n", 2],
        ],
        mended=True,
    ),
    Case(
        124,
        "A row that one cell begins is offered with its defaults",
        [
            SCHEMA,
            guard("WillSetRow", "withB"),
            ["setCell", "t1", "r0", "a", "x"],
            ["setPartialRow", "t1", "r1", {"a": "x"}],
            ["delCell", "t1", "r0", "n"],
        ],
        mended=True,
    ),
    Case(
        125,
        "Nobody is asked after the end",
        [
            guard("WillSetCell", "veto"),
            ["setCell", "t1", "r0", "n", 1],
            ["middleware.destroy"],
            ["setCell", "t1", "r0", "n", 2],
            guard("WillSetCell", "double"),
            ["setCell", "t1", "r0", "n", 3],
            ["middleware.getStore"],
        ],
        mended=True,
    ),
)
