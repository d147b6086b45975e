"""Where queries differ from those of TinyBase 10.0.1 on purpose, and how traces are compared all the same.

As in `tests.conformance.differences`, what is mended here is mended in a copy of TinyBase too, and only
scripts that touch it are compared with that copy.
"""

from __future__ import annotations

import math
from itertools import groupby
from typing import Any

from tests.conformance.differences import Patch
from tests.conformance.twin import Trace

__all__ = ["PATCHES", "first_difference"]

PATCHES = (
    Patch(
        "a group that having hides keeps its row id to itself",
        "A group keeps its result row id",
        "TinyBase (C9) gives the id to another group and then lets one overwrite the other.",
        "resultStore2.delRow(queryId, groupRowId);",
        """{
                  resultStore2.delRow(queryId, groupRowId);
                  if (collIsEmpty(selectedRowIds) && !isUndefined(groupRowId)) {
                    freeIds.push(groupRowId);
                    leaf[2] = void 0;
                    if (!--numbered) {
                      freeIds.length = nextId = 0;
                    }
                  }
                }""",
    ),
    Patch(
        "ids of groups, handed out",
        "A group keeps its result row id",
        "The other half of the same.",
        "leaf[2] = resultStore2.addRow(queryId, {...groupRow});",
        """if (Object.values(groupRow).some((cell) => !isUndefined(cell))) {
                    numbered++;
                    leaf[2] = freeIds.shift() ?? EMPTY_STRING + nextId++;
                    resultStore2.setRow(queryId, leaf[2], {...groupRow});
                  }""",
    ),
    Patch(
        "ids of groups, counted",
        "A group keeps its result row id",
        "The rest of it.",
        "const tree = mapNew();",
        "const tree = mapNew(), freeIds = []; let nextId = 0, numbered = 0;",
    ),
    Patch(
        "what is joined beyond a lost link is lost too",
        "A lost link takes what is joined beyond it along",
        "TinyBase goes on showing the cells of the row that was joined to the row that is no longer joined.",
        """                isUndefined(remoteRowId)
                  ? void 0
                  : [""",
        """                isUndefined(remoteRowId)
                  ? (mapSet(remoteIdPairs, rootRowId),
                    listenToTable(rootRowId, remoteSourceStore, realJoinedTableId, 'none', nextJoinAliases))
                  : [""",
    ),
)


CELL = ["call", "ResultCell"]


def first_difference(original: Trace, ours: Trace) -> int | None:
    """Return the index of the first event that differs.

    Numbers may differ by rounding, errors in wording, and the cells of one row may be told of in any order.
    """
    original, ours = cells_in_order(original), cells_in_order(ours)
    for index, (theirs, own) in enumerate(zip(original, ours, strict=False)):
        if not same(theirs, own) and not (theirs[0] == own[0] == "!"):
            return index
    return None if len(original) == len(ours) else min(len(original), len(ours))


def cells_in_order(trace: Trace) -> Trace:
    """Sort each run of calls that tell of the cells of one row."""
    ordered: Trace = []
    for _, events in groupby(trace, key=lambda event: event[3:5] if event[:1] + event[2:3] == CELL else None):
        run = list(events)
        ordered += sorted(run, key=lambda event: str(event[5])) if run[0][:1] + run[0][2:3] == CELL else run
    return ordered


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
