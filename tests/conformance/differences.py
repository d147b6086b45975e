"""Where replicell differs from TinyBase 10.0.1 on purpose, and how traces are compared all the same.

A defect of TinyBase that replicell mends is mended in a second copy of TinyBase too, by the one-line patches
below, and scripts that touch it are compared with that copy. Scripts that do not touch any of them are
compared with TinyBase exactly as it was published.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.conformance.twin import Trace

__all__ = ["PATCHES", "Patch", "first_difference"]


@dataclass(frozen=True)
class Patch:
    """One replacement in TinyBase's source, which must fit in exactly one place."""

    name: str
    reason: str
    original: str
    mended: str


PATCHES = (
    Patch(
        "rollback of rich cells",
        "TinyBase validates an old object in its encoded form, takes it for a reserved string and loses it.",
        "setOrDelCell(tableId, rowId, cellId, oldCell, true),",
        "setOrDelCell(tableId, rowId, cellId, decodeIfJson(oldCell), true),",
    ),
    Patch(
        "rollback of rich values",
        "The same for values.",
        "setOrDelValue(valueId, oldValue, true),",
        "setOrDelValue(valueId, decodeIfJson(oldValue), true),",
    ),
    Patch(
        "rich cell defaults are no invalid cells",
        "TinyBase reports an InvalidCell event each time it fills in a default that is an object or array.",
        "              : isReservedString(cell, acceptingEncodedData)\n"
        "                ? cellInvalid(tableId, rowId, cellId, cell, cellSchema[DEFAULT])",
        "              : isEncodedJson(cell) && cell === cellSchema[DEFAULT] ? cell\n"
        "              : isReservedString(cell, acceptingEncodedData)\n"
        "                ? cellInvalid(tableId, rowId, cellId, cell, cellSchema[DEFAULT])",
    ),
    Patch(
        "rich value defaults are no invalid values",
        "The same for values.",
        "              : isReservedString(value, acceptingEncodedData)\n"
        "                ? valueInvalid(valueId, value, valueSchema[DEFAULT])",
        "              : isEncodedJson(value) && value === valueSchema[DEFAULT] ? value\n"
        "              : isReservedString(value, acceptingEncodedData)\n"
        "                ? valueInvalid(valueId, value, valueSchema[DEFAULT])",
    ),
    Patch(
        "a row that is no object is invalid under a schema too",
        "TinyBase raises a TypeError while it looks for defaults in it.",
        "const rowWithDefaults = skipDefaults\n",
        "const rowWithDefaults = skipDefaults || !isObject(row)\n",
    ),
    Patch(
        "values that are no object are invalid under a schema too",
        "TinyBase raises a TypeError while it looks for defaults in them.",
        "const valuesWithDefaults = skipDefaults\n",
        "const valuesWithDefaults = skipDefaults || !isObject(values)\n",
    ),
    Patch(
        "a sorted listener does not hide changes",
        "With a SortedRowIds listener TinyBase forgets that a cell was touched when it was set away and back.",
        ": collDel(cells, cellId),",
        ": 0,",
    ),
    Patch(
        "no tables schema is False",
        "TinyBase says undefined where no tables schema was ever set.",
        "hasTablesSchema: () => hasTablesSchema,",
        "hasTablesSchema: () => !!hasTablesSchema,",
    ),
    Patch(
        "no values schema is False",
        "The same for values.",
        "hasValuesSchema: () => hasValuesSchema,",
        "hasValuesSchema: () => !!hasValuesSchema,",
    ),
)


def first_difference(original: Trace, ours: Trace) -> int | None:
    """The index of the first event in which two traces differ, or None."""
    for index, (theirs, own) in enumerate(zip(original, ours, strict=False)):
        if theirs != own or repr(theirs) != repr(own):
            return index
    return None if len(original) == len(ours) else min(len(original), len(ours))
