"""Rows 98-112 of the feature list: one or more named scripts for each."""

from __future__ import annotations

from typing import Any

from tests.conformance.case import Case
from tests.conformance.values import UNDEFINED

__all__ = ["CASES", "ROWS"]

ROWS = range(98, 113)


T1: dict[str, Any] = {
    "r1": {"a": "x", "b": True, "n": 1, "link": "r1"},
    "r2": {"a": "y", "b": False, "n": 2.5, "link": "r2"},
    "r3": {"a": "x", "n": 3},
    "r4": {"a": "x", "b": True, "link": "nowhere"},
}
T2: dict[str, Any] = {"r1": {"a": "p", "n": 5, "link": "r2"}, "r2": {"a": "q", "n": 7, "link": "r9"}}
T3: dict[str, Any] = {"r2": {"a": "far"}}
FILLED: list[list[Any]] = [["setTables", {"t1": T1, "t2": T2, "t3": T3}]]


def said(kind: str, *args: Any, as_: str | None = None, fn: str | None = None, fns: Any = ()) -> list[Any]:
    clause: dict[str, Any] = {"args": list(args)}
    if as_ is not None:
        clause["as"] = as_
    if fn is not None:
        clause["fn"] = fn
    if fns:
        clause["fns"] = list(fns)
    return [kind, clause]


def define(query_id: str, *clauses: list[Any], table: str = "t1", params: Any = None) -> list[Any]:
    return ["define", query_id, {"table": table}, list(clauses), *([] if params is None else [params])]


def define_over(query_id: str, source: str, *clauses: list[Any]) -> list[Any]:
    return ["define", query_id, {"query": source}, list(clauses)]


AGGREGATES = ("count", "sum", "avg", "min", "max", "none")
SELECT_N = said("select", "n")
WRITES: list[list[Any]] = [
    ["setCell", "t1", "r1", "n", 4],
    ["setCell", "t2", "r2", "n", 8],
    ["setCell", "t1", "r2", "link", "r1"],
    ["setCell", "t1", "r4", "link", "r2"],
    ["setRow", "t1", "r5", {"a": "y", "b": True, "n": 9, "link": "r2"}],
    ["delCell", "t1", "r5", "link"],
    ["delRow", "t2", "r1"],
    ["delRow", "t1", "r1"],
    ["setRow", "t1", "r1", {"a": "x", "n": 0}],
]
LISTENERS: list[list[Any]] = [
    ["listen", "ResultTable", ["q"]],
    ["listen", "ResultTableCellIds", ["q"]],
    ["listen", "ResultRowCount", ["q"]],
    ["listen", "ResultRowIds", ["q"]],
    ["listen", "ResultSortedRowIds", ["q", "n", False, 0, UNDEFINED]],
    ["listen", "ResultRow", ["q", None]],
    ["listen", "ResultCellIds", ["q", None]],
    ["listen", "ResultCell", ["q", None, None]],
]
READS: list[list[Any]] = [
    ["read", "getResultTable", "q"],
    ["read", "getResultTableCellIds", "q"],
    ["read", "getResultRowCount", "q"],
    ["read", "getResultRowIds", "q"],
    ["read", "getResultRow", "q", "r1"],
    ["read", "getResultCellIds", "q", "r1"],
    ["read", "getResultCell", "q", "r1", "n"],
    ["read", "hasResultTable", "q"],
    ["read", "hasResultRow", "q", "r1"],
    ["read", "hasResultCell", "q", "r1", "n"],
]

CASES: tuple[Case, ...] = (
    Case(
        98,
        "select a cell, a joined cell, a function, under other ids",
        [
            *FILLED,
            define(
                "q",
                said("select", "a"),
                said("select", "t2", "a", as_="joined"),
                said("select", fn="double", as_="double"),
                said("select", fn="rowId", as_="of"),
                said("join", "t2", "link"),
            ),
            *WRITES,
        ],
    ),
    Case(
        98,
        "unnamed functions are numbered",
        [*FILLED, define("q", SELECT_N, said("select", fn="double"), said("select", fn="rowId")), *WRITES],
    ),
    Case(
        98,
        "of two cells with one id the later counts",
        [*FILLED, define("q", said("select", "a", as_="x"), said("select", "n", as_="x")), *WRITES],
    ),
    Case(
        99,
        "all cells of a row, also of a joined one with a prefix",
        [
            *FILLED,
            define("q", said("selectAll"), said("selectAll", "t2", "j_"), said("join", "t2", "link")),
            *WRITES,
        ],
    ),
    Case(
        99,
        "a mapper, and selects that come after",
        [
            *FILLED,
            define("q", said("selectAll", UNDEFINED, fn="upper"), said("select", "n", as_="A")),
            *WRITES,
        ],
    ),
    Case(
        100,
        "join by a cell and by a function, under an alias",
        [
            *FILLED,
            define(
                "q",
                said("select", "j1", "n", as_="one"),
                said("select", "j2", "a", as_="other"),
                said("join", "t2", "link", as_="j1"),
                said("join", "t2", fn="link", as_="j2"),
            ),
            *WRITES,
        ],
    ),
    Case(
        100,
        "join from a join, and a table to itself",
        [
            *FILLED,
            define(
                "q",
                said("select", "a"),
                said("select", "t3", "a", as_="far"),
                said("select", "self", "a", as_="same"),
                said("join", "t2", "link"),
                said("join", "t3", "t2", "link"),
                said("join", "t1", "link", as_="self"),
            ),
            *WRITES,
        ],
        mended=True,
    ),
    Case(
        101,
        "where a function, a cell, a joined cell, an absent cell",
        [
            *FILLED,
            define("q", SELECT_N, said("where", fn="big")),
            define("joined", SELECT_N, said("join", "t2", "link"), said("where", "t2", "a", "q")),
            define("both", SELECT_N, said("where", "a", "x"), said("where", "b", UNDEFINED)),
            *WRITES,
        ],
    ),
    Case(
        102,
        "group by count, sum, avg, min, max",
        [
            *FILLED,
            define(
                "q",
                said("select", "a"),
                SELECT_N,
                *[said("group", "n", kind, as_=kind) for kind in AGGREGATES],
            ),
            *WRITES,
        ],
    ),
    Case(
        102,
        "functions that aggregate, with and without short cuts",
        [
            *FILLED,
            define(
                "q",
                said("select", "a"),
                SELECT_N,
                said("group", "n", fn="spread", as_="spread"),
                said("group", "n", fn="total", fns=("totalAdd", "totalRemove", "totalReplace"), as_="total"),
            ),
            *WRITES,
        ],
    ),
    Case(
        103,
        "having a function or a value, and having without group",
        [
            *FILLED,
            define(
                "q",
                said("select", "a"),
                SELECT_N,
                said("group", "n", "sum", as_="sum"),
                said("having", fn="manyOrBig"),
            ),
            define("distinct", said("select", "a"), said("select", "b"), said("having", "a", "x")),
            *WRITES,
        ],
    ),
    Case(
        104,
        "parameters, and listeners to them",
        [
            *FILLED,
            ["listen", "ParamValues", [None]],
            ["listen", "ParamValue", ["q", None]],
            ["listen", "ResultRowIds", ["q"]],
            define("q", SELECT_N, said("where", "a", {"$": "param", "value": "p"}), params={"p": "x"}),
            ["setParamValue", "q", "p", "y"],
            ["setParamValue", "q", "p", "y"],
            ["setParamValues", "q", {"other": 1}],
            ["setParamValue", "unknown", "p", "y"],
            ["read", "getParamValue", "q", "other"],
            ["read", "getParamValue", "q", "p"],
            define("q", SELECT_N),
            ["delQueryDefinition", "q"],
        ],
    ),
    Case(
        105,
        "a query of a query, and one that joins a query",
        [
            *FILLED,
            define("big", SELECT_N, said("select", "a"), said("where", fn="big")),
            define_over("q", "big", SELECT_N, said("where", "a", "x")),
            define(
                "joins",
                said("select", "a"),
                said("select", True, "big", "n"),
                said("join", True, "big", "link"),
            ),
            ["listen", "ResultCell", [None, None, None]],
            *WRITES,
        ],
    ),
    Case(
        106,
        "the getters, of what is there and of what is not",
        [*FILLED, *READS, define("q", SELECT_N), *READS, ["read", "getResultCell", "q", "r9", "n"]],
    ),
    Case(
        107,
        "sorted row ids of a result",
        [
            *FILLED,
            define("q", SELECT_N),
            ["read", "getResultSortedRowIds", "q", "n", False, 0, UNDEFINED],
            ["read", "getResultSortedRowIds", "q", "n", True, 1, 2],
            ["read", "getResultSortedRowIds", "q", UNDEFINED, True, 0, UNDEFINED],
            ["read", "getResultSortedRowIds", "none", "n", False, 0, UNDEFINED],
        ],
    ),
    Case(108, "result listeners of all kinds", [*FILLED, *LISTENERS, define("q", SELECT_N), *WRITES]),
    Case(
        108,
        "a listener to any query hears of those to come",
        [
            *FILLED,
            ["listen", "ResultCell", [None, None, None]],
            ["listen", "ResultCell", ["q", "r1", "n"]],
            define("q", SELECT_N),
            define("more", said("select", "a")),
            *WRITES,
            ["unlisten", 0],
            ["setCell", "t1", "r1", "n", 99],
        ],
    ),
    Case(
        109,
        "rows that come back come last, and rows without a cell are none",
        [
            *FILLED,
            define("q", SELECT_N, said("where", "a", "x")),
            ["setCell", "t1", "r1", "a", "y"],
            ["setCell", "t1", "r1", "a", "x"],
            ["delCell", "t1", "r3", "n"],
            ["setCell", "t1", "r4", "n", 0],
        ],
    ),
    Case(
        110,
        "groups take free row ids, the oldest first",
        [
            *FILLED,
            define("q", said("select", "a"), SELECT_N, said("group", "n", "sum")),
            ["setCell", "t1", "r2", "a", "z"],
            ["setRow", "t1", "r6", {"a": "w", "n": 1}],
            ["delRow", "t1", "r2"],
            ["setRow", "t1", "r7", {"a": "v", "n": 1}],
            ["delTable", "t1"],
            ["setRow", "t1", "r7", {"a": "v", "n": 1}],
        ],
    ),
    Case(
        110,
        "a hidden group keeps its row id",
        [
            *FILLED,
            define(
                "q",
                said("select", "a"),
                SELECT_N,
                said("group", "n", "sum", as_="sum"),
                said("having", fn="manyOrBig"),
            ),
            ["setCell", "t1", "r1", "n", 0],
            ["setCell", "t1", "r3", "n", 0],
            ["setRow", "t1", "r6", {"a": "w", "n": 9}],
            ["setCell", "t1", "r3", "n", 9],
        ],
        mended=True,
    ),
    Case(
        111,
        "a new definition tells of differences only, and one that fails changes nothing",
        [
            *FILLED,
            define("q", SELECT_N),
            *LISTENERS,
            define("q", SELECT_N, said("where", "a", "x")),
            define("q", said("select", fn="fail")),
            define("new", said("select", fn="fail")),
            ["setCell", "t1", "r3", "n", 5],
        ],
    ),
    Case(
        112,
        "which queries there are, deleting, and stats",
        [
            *FILLED,
            ["listen", "QueryIds", []],
            ["listen", "ResultRowIds", ["q"]],
            define("q", SELECT_N),
            define("q", said("select", "a")),
            ["read", "getQueryIds"],
            ["stats"],
            ["delQueryDefinition", "q"],
            ["delQueryDefinition", "unknown"],
            ["read", "hasQuery", "q"],
            define("q", SELECT_N),
        ],
    ),
)
