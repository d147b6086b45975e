"""The functions that scripts name, as runner.mjs has them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from replicell.store import MISSING
from tests.conformance.values import is_number

__all__ = ["FUNCTIONS", "function"]


def function(by: str) -> dict[str, str]:
    """How a script names a function."""
    return {"$": "function", "by": by}


def or_zero(key: Any) -> Any:
    return 0 if key is None or key is MISSING else key


def n_plus_1(get_cell: Any, row_id: str) -> Any:
    return get_cell("n") + 1 if is_number(get_cell("n")) else MISSING


def a_and_b(get_cell: Any, row_id: str) -> Any:
    cells = (get_cell("a"), get_cell("b"))
    return [cell for cell in cells if cell is not MISSING and not isinstance(cell, (dict, list))]


def first_of_n(get_cell: Any, row_id: str) -> Any:
    return f"r{abs(math.trunc(get_cell('n'))) % 4}" if is_number(get_cell("n")) else MISSING


def without(key: str) -> Callable[..., Any]:
    return lambda *args: {other: child for other, child in args[-1].items() if other != key}


def compared(one: Any, other: Any) -> int:
    return int(one > other) - int(one < other)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "nPlus1": n_plus_1,
    "aAndB": a_and_b,
    "tags": lambda get_cell, row_id: get_cell("tags"),
    "rowId": lambda get_cell, row_id: row_id,
    "nothing": lambda get_cell, row_id: MISSING,
    "firstOfN": first_of_n,
    "descendingIds": lambda id1, id2: compared(id2, id1),
    "neverEqualIds": lambda id1, id2: -1 if id1 < id2 else 1,
    "descendingNumbers": lambda key1, key2, slice_id: or_zero(key2) - or_zero(key1),
    "bySlice": lambda key1, key2, slice_id: (or_zero(key1) - or_zero(key2)) * (-1 if slice_id == "x" else 1),
    "sumOfSquares": lambda numbers, length: sum(number * number for number in numbers),
    "addSquare": lambda metric, add, length: metric + add * add,
    "removeSquare": lambda metric, remove, length: metric - remove * remove,
    "replaceSquare": lambda metric, add, remove, length: metric + add * add - remove * remove,
    "range": lambda numbers, length: max(numbers) - min(numbers),
    "lengthOnly": lambda numbers, length: length,
    "addOne": lambda metric, add, length: length + 1,
    "removeOne": lambda metric, remove, length: length - 1,
    "keepLength": lambda metric, add, remove, length: length,
    "giveUp": lambda *args: MISSING,
    "infinite": lambda *args: math.inf,
    "same": lambda *args: args[-1],
    "veto": lambda *args: MISSING,
    "allow": lambda *args: True,
    "forbid": lambda *args: False,
    "vetoX": lambda *args: MISSING if args[-1] == "x" else args[-1],
    "vetoNumbers": lambda *args: MISSING if is_number(args[-1]) else args[-1],
    "double": lambda *args: args[-1] * 2 if is_number(args[-1]) else args[-1],
    "invalid": lambda *args: math.nan,
    "protectR1": lambda table_id, row_id, *rest: row_id != "r1",
    "protectA": lambda *ids: ids[-1] != "a",
    "protectT1": lambda table_id, *rest: table_id != "t1",
    "withB": lambda *args: {**args[-1], "b": "added"},
    "withoutA": without("a"),
    "withoutR1": without("r1"),
    "onlyTables": lambda content: (content[0], {}),
    "onlyChangedValues": lambda changes: ({}, changes[1], 1),
}
