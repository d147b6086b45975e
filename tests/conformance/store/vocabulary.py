"""What random scripts are made of: ids, cells, listener kinds and methods."""

from __future__ import annotations

from typing import Any

from tests.conformance.values import UNDEFINED

__all__ = [
    "CELLS",
    "HIDING_ERRORS",
    "INVALID",
    "ITERATIONS",
    "LISTENER_KINDS",
    "MANY_ROWS",
    "NUMBERS",
    "NUMERIC_ROWS",
    "PLAIN",
    "READS",
    "RICH",
    "RICH_TYPES",
    "ROWS",
    "TABLES",
    "TYPES",
    "UNIVERSE",
    "UNLIKE_AS_PUBLISHED",
    "VALUES",
    "WRITES",
]

TABLES = ("t1", "t2")
ROWS = ("r1", "r2", "r3")
# Enough for a sort that merges runs and for windows that leave rows out.
MANY_ROWS = tuple(f"r{index}" for index in range(1, 50))
NUMERIC_ROWS = ("0", "1", "2", "r1")
CELLS = ("a", "b", "n")
VALUES = ("v1", "v2", "v3")
PLAIN = ("x", "y", "", "é\u2028", 0, 1, 2.5, 1e-7, -3, True, False, None)
NUMBERS = (0, 1, 2, 3, 2.5, -1, None)
RICH: tuple[Any, ...] = ({}, [], {"k": 1}, {"k": [1, {"z": None}]}, [1, "x"], ["é", 1e21, 1e-7])
INVALID = (
    UNDEFINED,
    {"$": "NaN"},
    {"$": "Infinity"},
    {"$": "instance"},
    "\ufffc",
    "\ufffdx",
    '\ufffd{"k":1}',
)
TYPES = ("string", "number", "boolean")
RICH_TYPES = ("object", "array")
LISTENER_KINDS: tuple[tuple[str, str], ...] = (
    ("HasTables", ""),
    ("Tables", ""),
    ("TableIds", ""),
    ("HasTable", "t"),
    ("Table", "t"),
    ("TableCellIds", "t"),
    ("HasTableCell", "tc"),
    ("RowCount", "t"),
    ("RowIds", "t"),
    ("HasRow", "tr"),
    ("Row", "tr"),
    ("CellIds", "tr"),
    ("HasCell", "trc"),
    ("Cell", "trc"),
    ("Cell", "trc"),
    ("InvalidCell", "trc"),
    ("HasValues", ""),
    ("Values", ""),
    ("ValueIds", ""),
    ("HasValue", "v"),
    ("Value", "v"),
    ("InvalidValue", "v"),
    ("StartTransaction", ""),
    ("WillFinishTransaction", ""),
    ("DidFinishTransaction", ""),
)
UNIVERSE = {"t": TABLES, "c": CELLS, "v": VALUES}
READS = (
    ("getContent", ""),
    ("getTables", ""),
    ("getTableIds", ""),
    ("getTable", "t"),
    ("getTableCellIds", "t"),
    ("getRowCount", "t"),
    ("getRowIds", "t"),
    ("getRow", "tr"),
    ("getCellIds", "tr"),
    ("getCell", "trc"),
    ("getValues", ""),
    ("getValueIds", ""),
    ("getValue", "v"),
    ("hasTables", ""),
    ("hasTable", "t"),
    ("hasTableCell", "tc"),
    ("hasRow", "tr"),
    ("hasCell", "trc"),
    ("hasValues", ""),
    ("hasValue", "v"),
    ("getTablesJson", ""),
    ("getValuesJson", ""),
    ("getJson", ""),
    ("getTablesSchemaJson", ""),
    ("getValuesSchemaJson", ""),
    ("getSchemaJson", ""),
    ("getTransactionChanges", ""),
    ("getTransactionLog", ""),
    ("getListenerStats", ""),
)
ITERATIONS = (
    ("forEachTable", ""),
    ("forEachTableCell", "t"),
    ("forEachRow", "t"),
    ("forEachCell", "tr"),
    ("forEachValue", ""),
)

# As published, these differ in what patches.py says of the order of schemas and of listener stats.
UNLIKE_AS_PUBLISHED = {"getTablesSchemaJson", "getValuesSchemaJson", "getSchemaJson", "getListenerStats"}
# As published, these ignore the errors of listeners.
HIDING_ERRORS = {"setTablesJson", "setValuesJson"}
WRITES = (
    "setCell",
    "setCell",
    "setCell",
    "setCell",
    "setRow",
    "setRow",
    "setPartialRow",
    "setTable",
    "setTables",
    "addRow",
    "addRow",
    "setValue",
    "setValue",
    "setValues",
    "setPartialValues",
    "setContent",
    "applyChanges",
    "setTablesJson",
    "setValuesJson",
    "setJson",
    "delTables",
    "delTable",
    "delRow",
    "delRow",
    "delCell",
    "delCell",
    "delValues",
    "delValue",
)
