"""What typed columns make of the values that are written to them.

Tables that replicell makes have columns without a type, which keep everything as it is. In tables that
somebody else has made, a type may turn a text into a number or the other way round. The cell would come back
as another, here and on every replica, so it is refused instead.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

from replicell.persisters.crsqlite.cells import SqlCell

__all__ = ["Affinity", "affinity_of", "why_changed"]

_NUMBER: Final = re.compile(r"[ \t\n\v\f\r]*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?[ \t\n\v\f\r]*", re.ASCII)
_EXACT_IN_FLOAT: Final = 2**53


class Affinity(Enum):
    """How SQLite converts what is written to a column."""

    NONE = "to nothing"
    TEXT = "numbers to text"
    NUMBER = "text that looks like a number to one"
    REAL = "text that looks like a number and integers to floating-point numbers"


def affinity_of(declared: str | None, table_sql: str | None = None) -> Affinity:
    """Return the affinity of a column that was declared with a type, by SQLite's rules.

    Args:
        declared: The type.
        table_sql: The statement that made the table, which says whether the table is strict.

    >>> affinity_of("VARCHAR(20)"), affinity_of(""), affinity_of("BOOLEAN")
    (<Affinity.TEXT: 'numbers to text'>, <Affinity.NONE: 'to nothing'>, <Affinity.NUMBER: ...>)
    """
    kind = (declared or "").upper()
    if "INT" in kind:
        return Affinity.NUMBER
    if any(word in kind for word in ("CHAR", "CLOB", "TEXT")):
        return Affinity.TEXT
    if not kind or "BLOB" in kind or (kind == "ANY" and _is_strict(table_sql or "")):
        return Affinity.NONE
    if any(word in kind for word in ("REAL", "FLOA", "DOUB")):
        return Affinity.REAL
    return Affinity.NUMBER


def why_changed(value: SqlCell | None, affinity: Affinity) -> str | None:
    """Tell why a value would not come back as it went, None if it would.

    Integers and floating-point numbers of the same value are the same to a store.

    >>> why_changed("12", Affinity.NUMBER)
    'the column is typed, so that SQLite would turn the text into a number; declare the column without a type'
    """
    match value:
        case int() | float() if affinity is Affinity.TEXT:
            change = "the number into text"
        case str() if affinity in (Affinity.NUMBER, Affinity.REAL) and _NUMBER.fullmatch(value):
            change = "the text into a number"
        case int() if affinity is Affinity.REAL and abs(value) > _EXACT_IN_FLOAT:
            change = "the integer into a floating-point number"
        case _:
            return None
    return f"the column is typed, so that SQLite would turn {change}; declare the column without a type"


def _is_strict(table_sql: str) -> bool:
    return "STRICT" in table_sql.upper().rpartition(")")[2]
