"""How traces of queries are compared, and which scripts mean something."""

from __future__ import annotations

import math
from itertools import groupby, takewhile
from typing import Any

from tests.conformance.twin import Script, Trace

__all__ = ["first_difference", "is_whole"]

CELL = ["call", "ResultCell"]
LISTS_OF_CELL_IDS = {"getResultCellIds", "getResultTableCellIds"}


def first_difference(original: Trace, ours: Trace) -> int | None:
    """Return the index of the first event that differs.

    Numbers may differ by rounding, errors in wording, and the cells of one row may be told of, and listed, in
    any order. TinyBase moves a row to the end that seems to leave while a transaction is carried out; where
    that happened the order of rows is compared no more.
    """
    original, ours = cells_in_order(original), cells_in_order(ours)
    before: list[Any] = []
    any_order = False
    for index, (theirs, own) in enumerate(zip(original, ours, strict=False)):
        if theirs[0] == own[0] == "results":
            any_order = any_order or changed_rows_moved(before, theirs[1], own[1])
            before = theirs[1]
        if any_order:
            theirs, own = rows_in_order(theirs), rows_in_order(own)
        if not same(theirs, own) and not (theirs[0] == own[0] == "!"):
            return index
    return None if len(original) == len(ours) else min(len(original), len(ours))


def changed_rows_moved(before: list[Any], theirs: list[Any], own: list[Any]) -> bool:
    """Tell whether in some result of TinyBase rows that have changed are at the end, and in ours are not."""
    rows_before = {query[0]: dict(query[3]) for query in before}
    for query, own_query in zip(theirs, own, strict=False):
        known = rows_before.get(query[0], {})
        changed = {row_id for row_id, cells in query[3] if row_id in known and known[row_id] != cells}
        order, own_order = ([row_id for row_id, _ in rows] for rows in (query[3], own_query[3]))
        last = set(takewhile(changed.__contains__, reversed(order)))
        others = [row_id for row_id in own_order if row_id not in last]
        if order != own_order and order[: len(others)] == others:
            return True
    return False


def rows_in_order(event: list[Any]) -> list[Any]:
    """Sort the rows of results, and lists of row ids."""
    if event[0] == "results":
        return ["results", [[*query[:3], sorted(query[3], key=lambda row: row[0])] for query in event[1]]]
    return [*event[:2], sorted(event[2])] if event[:2] == ["read", "getResultRowIds"] else event


def cells_in_order(trace: Trace) -> Trace:
    """Sort lists of cell ids, and each run of calls that tell of the cells of one row."""
    ordered: Trace = []
    for _, events in groupby(trace, key=lambda event: event[3:5] if event[:1] + event[2:3] == CELL else None):
        run = [[*event[:2], sorted(event[2])] if is_list_of_cell_ids(event) else event for event in events]
        ordered += sorted(run, key=lambda event: str(event[5])) if run[0][:1] + run[0][2:3] == CELL else run
    return ordered


def is_list_of_cell_ids(event: list[Any]) -> bool:
    return event[0] == "read" and event[1] in LISTS_OF_CELL_IDS


def same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (int, float)) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(child, other[key]) for key, child in one.items())
    return bool(one == other)


def is_whole(script: Script) -> bool:
    """Tell whether every definition still says what it takes to mean anything."""
    return are_whole(script["ops"])


def are_whole(ops: list[Any]) -> bool:
    for op in ops:
        if op[0] == "define":
            needed = {"select": 1, "join": 2, "where": 1, "group": 2, "having": 1}
            counts = [
                (
                    kind,
                    len([arg for arg in clause.get("args", []) if arg is not True]) + ("fn" in clause),
                    "fn" in clause,
                )
                for kind, clause in op[3]
            ]
            if not op[2] or any(
                count < needed.get(kind, 0) or (kind in ("where", "having") and count < 2 and not function)
                for kind, count, function in counts
            ):
                return False
        elif op[0] == "transaction" and not are_whole(op[1]):
            return False
    return True
