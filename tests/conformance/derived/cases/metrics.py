from __future__ import annotations

from typing import Any

from tests.conformance.case import UNDEFINED, Case
from tests.conformance.derived.cases.pets import PETS, listen, listen_to_all
from tests.conformance.derived.functions import function

__all__ = ["CASES"]


def metric(*definition: Any) -> list[Any]:
    return ["metrics.setMetricDefinition", *definition]


PERHAPS_NUMBERS: tuple[Any, ...] = (
    *(5, "5", " 7 ", "0x10", "1e2", "", " ", "x", True, None, "0b11", "1_0", "nan", ".5", "5.", "+5"),
    *([5], [], [1, 2], {}, ["2"], [None], [[3]]),
)

CASES = (
    Case(
        84,
        "Sum, least and greatest follow the rows",
        [
            metric("sum", "t1", "sum", "n"),
            metric("min", "t1", "min", "n"),
            metric("max", "t1", "max", "n"),
            *listen_to_all("metrics"),
            PETS,
            ["setCell", "t1", "r3", "n", 0],
            ["delRow", "t1", "r3"],
            ["transaction", [["setCell", "t1", "r0", "n", 7], ["setCell", "t1", "r0", "n", 3]], False],
            ["setCell", "t1", "r0", "n", 2.5],
            ["delTables"],
        ],
    ),
    Case(
        84,
        "An average does not drift",
        [
            metric("avg", "t1", "avg", "n"),
            *listen_to_all("metrics"),
            PETS,
            ["setCell", "t1", "r0", "n", 4],
            ["setRow", "t1", "r4", {"n": 10}],
            ["delRow", "t1", "r1"],
            ["delTables"],
        ],
        mended=True,
    ),
    Case(
        85,
        "Without a number each row counts one",
        [
            metric("m1", "t1"),
            metric("m2", "t1", UNDEFINED),
            metric("m3", "t1", "max"),
            PETS,
            ["delRow", "t1", "r0"],
        ],
    ),
    Case(
        86,
        "A function of all numbers",
        [
            metric("m1", "t1", function("range"), "n"),
            metric("m2", "t1", function("lengthOnly"), "a"),
            metric("m3", "t1", function("infinite"), "n"),
            PETS,
            ["setCell", "t1", "r0", "n", 100],
        ],
    ),
    Case(
        86,
        "Steps that may give up",
        [
            metric("m1", "t1", *map(function, ("sumOfSquares",)), "n", *map(function, ("addSquare",))),
            metric(
                "m2",
                "t1",
                function("sumOfSquares"),
                "n",
                *map(function, ("addSquare", "removeSquare", "replaceSquare")),
            ),
            metric(
                "m3", "t1", function("lengthOnly"), "n", *map(function, ("addOne", "removeOne", "keepLength"))
            ),
            metric("m4", "t1", function("lengthOnly"), "n", *map(function, ("giveUp", "giveUp", "giveUp"))),
            PETS,
            ["transaction", [["delRow", "t1", "r0"], ["setCell", "t1", "r1", "n", 9]], False],
            ["setRow", "t1", "r0", {"n": -2.5}],
            ["delTables"],
        ],
    ),
    Case(
        87,
        "What counts as a number",
        [
            metric("m1", "t1", "sum", "a"),
            metric("m2", "t1", "min", "a"),
            metric("m3", "t1", function("lengthOnly"), "a"),
            *[["setRow", "t1", "r0", {"a": cell}] for cell in PERHAPS_NUMBERS],
        ],
    ),
    Case(
        88,
        "No value without a number or where it is not finite",
        [
            metric("m1", "t1", "sum", "n"),
            ["metrics.hasMetric", "m1"],
            ["metrics.getMetric", "m1"],
            *listen_to_all("metrics")[1:],
            ["setRow", "t1", "r0", {"n": "Infinity"}],
            ["setRow", "t1", "r0", {"n": 1}],
            ["metrics.hasMetric", "m1"],
            ["setRow", "t1", "r0", {"n": "-Infinity"}],
        ],
    ),
    Case(
        89,
        "Metric ids and metrics, new and old",
        [
            *listen_to_all("metrics"),
            listen("metrics", "Metric", "m1"),
            listen("store", "Table", "t1"),
            metric("m1", "t1", "sum", "n"),
            PETS,
            metric("m1", "t1", "max", "n"),
            ["setCell", "t1", "r1", "n", 0],
            ["metrics.delMetricDefinition", "m1"],
            ["metrics.delMetricDefinition", "no"],
        ],
    ),
    Case(
        90,
        "Ids list all definitions and going through them only those with a value",
        [
            metric("m1", "t1", "sum", "n"),
            metric("m2", "t2", "sum", "n"),
            PETS,
            ["metrics.getMetricIds"],
            ["iterate", "metrics", "forEachMetric"],
            *[["metrics.getMetric", id] for id in ("m1", "m2", "no")],
            *[["metrics.getTableId", id] for id in ("m1", "m2", "no")],
            *listen_to_all("metrics"),
            ["metrics.getListenerStats"],
            ["metrics.delListener", "1"],
            ["metrics.getListenerStats"],
            ["metrics.destroy"],
            ["getListenerStats"],
            ["setCell", "t1", "r0", "n", 9],
            ["create", "Metrics"],
            metric("m1", "t1", "sum", "n"),
            ["metrics.getStore"],
        ],
    ),
)
