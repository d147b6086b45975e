"""Rows 46-55: transactions."""

from __future__ import annotations

from typing import Any

from tests.conformance.case import UNDEFINED, Case, listen, listen_to_all

__all__ = ["TRANSACTIONS"]

HEAR_PHASES: list[list[Any]] = [listen(f"{kind}Transaction") for kind in ("Start", "WillFinish", "DidFinish")]
SET_R: list[Any] = ["setRow", "t", "r", {"a": 1, "b": 2}]
LOG: list[list[Any]] = [["getTransactionChanges"], ["getTransactionLog"]]

TRANSACTIONS: tuple[Case, ...] = (
    Case(
        46,
        "a transaction reports once, at its end, and gives its function's result",
        [
            *listen_to_all(),
            ["transaction", [SET_R, ["setCell", "t", "r", "a", 2], ["setValue", "v", 1]]],
            ["transaction", []],
            ["transaction", [["setCell", "t", "r", "a", 3]], {"result": False}],
            ["transaction", [["setCell", "t", "r", "a", 4], ["delRow", "t", "r"]], {"result": True}],
        ],
        probes=[["t", "r", "a"]],
        value_probes=["v"],
    ),
    Case(
        47,
        "start and finish nest",
        [
            *HEAR_PHASES,
            listen("Cell", None, None, None),
            ["startTransaction"],
            SET_R,
            ["startTransaction"],
            ["setCell", "t", "r", "a", 2],
            ["finishTransaction"],
            ["setCell", "t", "r", "a", 3],
            ["finishTransaction"],
            ["finishTransaction"],
            ["startTransaction"],
            ["setCell", "t", "r", "a", 4],
            ["finishTransaction", {"result": True}],
            ["getRow", "t", "r"],
        ],
    ),
    Case(
        48,
        "do_rollback sees the net changes and may write; an inner one is ignored",
        [
            listen("Cell", None, None, None),
            listen("Cell", "t", "r", "a", mutator=True, ops=[["setCell", "t", "r", "m", 1]], times=9),
            SET_R,
            [
                "transaction",
                [["setCell", "t", "r", "a", 9]],
                {"ops": [*LOG, ["setCell", "t", "r", "z", 1]], "result": False},
            ],
            [
                "transaction",
                [["setCell", "t", "r", "a", 8]],
                {"ops": [*LOG, ["setCell", "t", "r", "y", 1]], "result": True},
            ],
            [
                "transaction",
                [["transaction", [["setCell", "t", "r", "a", 7]], {"result": True}]],
                {"result": False},
            ],
            ["transaction", [["setCell", "t", "r", "a", 6]], {"fails": "no"}],
            ["getRow", "t", "r"],
        ],
    ),
    Case(
        49,
        "an error in the actions rolls all back, also when it was caught inside",
        [
            *HEAR_PHASES,
            listen("Cell", None, None, None),
            SET_R,
            ["transaction", [["setCell", "t", "r", "a", 2], ["throw", "boom"]]],
            [
                "transaction",
                [
                    ["setCell", "t", "r", "a", 3],
                    ["try", [["transaction", [["setCell", "t", "r", "b", 3], ["throw", "inner"]]]]],
                    ["setCell", "t", "r", "c", 3],
                ],
            ],
            [
                "transaction",
                [["try", [["throw", "outside any inner transaction"]]], ["setCell", "t", "r", "a", 4]],
            ],
            ["getRow", "t", "r"],
        ],
    ),
    Case(
        49,
        "an error in a listener after the commit keeps the data",
        [
            *HEAR_PHASES,
            listen("CellIds", None, None),
            listen("Cell", None, None, "a", fails=[1]),
            listen("Cell", None, None, None),
            listen("Value", None),
            ["transaction", [SET_R, ["setValue", "v", 1]]],
            ["getContent"],
            ["setCell", "t", "r", "a", 2],
        ],
    ),
    Case(
        49,
        "an error in a mutator, a start or a will-finish listener rolls back",
        [
            *HEAR_PHASES,
            listen("Cell", None, None, "m", mutator=True, fails=[1]),
            SET_R,
            ["setRow", "t", "s", {"m": 1}],
            listen("WillFinishTransaction", fails=[1]),
            listen("WillFinishTransaction"),
            ["setRow", "t", "q", {"a": 1}],
            listen("StartTransaction", fails=[1]),
            ["setRow", "t", "p", {"a": 1}],
            listen("DidFinishTransaction", fails=[1]),
            listen("DidFinishTransaction"),
            ["setRow", "t", "o", {"a": 1}],
            ["getTables"],
        ],
    ),
    Case(
        50,
        "what comes to nothing is not reported",
        [
            *listen_to_all(),
            SET_R,
            ["setCell", "t", "r", "a", 1],
            ["transaction", [["setCell", "t", "r", "a", 5], ["setCell", "t", "r", "a", 1]]],
            ["transaction", [["setCell", "t", "r", "c", 5], ["delCell", "t", "r", "c"]]],
            ["transaction", [["delRow", "t", "r"], ["setRow", "t", "s", {"a": 1}]]],
            ["transaction", [["delTable", "t"], ["setRow", "t", "s", {"a": 1}]]],
            ["transaction", [["setValue", "v", 1], ["delValue", "v"]]],
        ],
        probes=[["t", "r", "a"], ["t", "r", "c"], ["t", "s", "a"]],
        value_probes=["v"],
    ),
    Case(
        51,
        "writes in listeners that are no mutators are ignored",
        [
            listen(
                "Cell",
                None,
                None,
                None,
                ops=[
                    ["setCell", "t", "r", "z", 1],
                    ["addRow", "t", {"z": 1}],
                    ["transaction", [["setValue", "v", 1]]],
                    ["delTables"],
                    ["startTransaction"],
                    ["finishTransaction"],
                    ["setTablesSchema", {"t": {"x": {"type": "string"}}}],
                ],
            ),
            listen(
                "DidFinishTransaction", ops=[["setValue", "did", 1], ["transaction", [["setValue", "v", 1]]]]
            ),
            SET_R,
            ["getContent"],
            ["setValue", "after", 1],
            ["getSchemaJson"],
        ],
    ),
    Case(
        52,
        "the changes of a transaction are net and minimal",
        [
            listen("DidFinishTransaction", ops=[["getTransactionChanges"]], times=99),
            [
                "setContent",
                [{"t": {"r": {"a": 1, "b": 2}, "s": {"a": 1}}, "u": {"r": {"a": 1}}}, {"v": 1, "w": 2}],
            ],
            [
                "transaction",
                [["delTable", "u"], ["delRow", "t", "s"], ["delCell", "t", "r", "b"], ["delValue", "v"]],
            ],
            [
                "transaction",
                [
                    ["setCell", "t", "r", "c", {"k": [1]}],
                    ["setCell", "t", "r", "n", None],
                    ["setValue", "w", [1]],
                ],
            ],
            [
                "transaction",
                [["delTable", "t"], ["setRow", "t", "r", {"a": 1, "z": 1}], ["setRow", "t", "q", {"a": 1}]],
            ],
            ["transaction", [["setCell", "t", "r", "a", 5], ["setCell", "t", "r", "a", 1]]],
            ["getTransactionChanges"],
        ],
    ),
    Case(
        53,
        "the log of a transaction",
        [
            listen("WillFinishTransaction", ops=[["getTransactionLog"]], times=99),
            listen("DidFinishTransaction", ops=[["getTransactionLog"]], times=99),
            ["setContent", [{"t": {"r": {"a": 1, "b": {"k": 1}}}}, {"v": 1, "w": [1]}]],
            ["transaction", [["setCell", "t", "r", "a", {"$": "NaN"}], ["setValue", "v", UNDEFINED]]],
            [
                "transaction",
                [["setCell", "t", "r", "b", [2]], ["delRow", "t", "r"], ["setRow", "t", "s", {"a": 1}]],
            ],
            ["transaction", [["setCell", "t", "s", "a", 5], ["setCell", "t", "s", "a", 1]]],
            ["delValue", "w"],
            ["getTransactionLog"],
        ],
    ),
    Case(
        54,
        "start, mutators, rollback question, will finish, listeners, did finish",
        [
            listen("DidFinishTransaction"),
            listen("WillFinishTransaction", ops=[["setCell", "t", "r", "will", 1]]),
            listen("StartTransaction", ops=[["setCell", "t", "r", "start", 1]]),
            listen("Cell", None, None, None),
            listen("Cell", None, None, "a", mutator=True, ops=[["setCell", "t", "r", "mutator", 1]]),
            listen("InvalidCell", None, None, None),
            listen("InvalidCell", None, None, None, mutator=True, ops=[["setCell", "t", "r", "a", 5]]),
            listen("Value", None),
            listen("Value", None, mutator=True, ops=[["setCell", "t", "r", "late", 1]]),
            [
                "transaction",
                [["setCell", "t", "r", "a", {"$": "NaN"}], ["setValue", "v", 1]],
                {"result": False},
            ],
            ["getContent"],
        ],
    ),
    Case(
        55,
        "a rollback restores objects and arrays",
        [
            *HEAR_PHASES,
            listen("InvalidCell", None, None, None),
            listen("InvalidValue", None),
            ["setRow", "t", "r", {"a": {"k": [1]}, "b": [1, 2], "c": 1}],
            ["setValues", {"v": {"k": 1}, "w": [1]}],
            [
                "transaction",
                [["setCell", "t", "r", "a", 5], ["delRow", "t", "r"], ["setValue", "v", 5]],
                {"result": True},
            ],
            ["getContent"],
            ["transaction", [["delTables"], ["delValues"], ["throw", "boom"]]],
            ["getContent"],
        ],
        mended=True,
    ),
)
