"""How cells stand in the columns of a cr-sqlite table.

Columns have no type, so integers, floats and strings stand there as they are. What SQLite has no type for is
text that starts with the character U+FFFD and goes on as JSON, which says what it is to every replica and is
readable with plain SQL (``substr(column, 2)``):

==================  ======================
cell                in the database
==================  ======================
``True``            ``'\\ufffdtrue'``
``None``            ``'\\ufffdnull'``
``{"a": [1]}``      ``'\\ufffd{"a":[1]}'``
no such cell        ``NULL``
==================  ======================

No ordinary string of a store starts with that character, so nothing is taken for what it is not.
"""

from __future__ import annotations

import math
from typing import Final, TypeAlias

from replicell.store.cells import RICH_PREFIX, EncodedCell, encoded_rich_cell, is_reserved
from replicell.store.missing import MISSING

__all__ = [
    "SqlCell",
    "UnreadableValueError",
    "decode_cell",
    "encode_cell",
    "why_unstorable",
]

SqlCell: TypeAlias = int | float | str
"""A cell as it stands in the database."""

_TRUE: Final = RICH_PREFIX + "true"
_FALSE: Final = RICH_PREFIX + "false"
_NULL: Final = RICH_PREFIX + "null"
_WORDS: Final[dict[str, bool | None]] = {_TRUE: True, _FALSE: False, _NULL: None}
_SMALLEST: Final = -(2**63)
_GREATEST: Final = 2**63 - 1


class UnreadableValueError(ValueError):
    """A value in the database is nothing a cell can be; the message says why."""


def encode_cell(cell: EncodedCell) -> SqlCell:
    """Return what to write for a cell. Whether SQLite takes it, :func:`why_unstorable` tells.

    >>> encode_cell(True) == "\\ufffdtrue", encode_cell(None) == "\\ufffdnull", encode_cell(1.5)
    (True, True, 1.5)
    """
    if cell is None:
        return _NULL
    if cell is True:
        return _TRUE
    if cell is False:
        return _FALSE
    return cell


def decode_cell(value: object, as_boolean: bool = False) -> EncodedCell:
    """Return the cell that a value in the database stands for.

    Args:
        value: What SQLite gave; not None, which is no cell.
        as_boolean: Whether the store's schema says "boolean" and nothing else, so that the 0 and 1 that other
            programs write are booleans.

    Raises:
        UnreadableValueError: it stands for no cell: a blob, an infinite number, or a text with the mark of an
            encoded cell that is none.

    >>> decode_cell("\\ufffdfalse"), decode_cell(1), decode_cell(1, as_boolean=True)
    (False, 1, True)
    """
    if isinstance(value, str):
        return _decode_reserved(value) if is_reserved(value) else value
    if isinstance(value, int):
        return value == 1 if as_boolean and value in (0, 1) else value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        raise UnreadableValueError(f"{value} is not a finite number")
    raise UnreadableValueError(f"a value of type {type(value).__name__} cannot be a cell")


def why_unstorable(cell: EncodedCell) -> str | None:
    """Tell why SQLite cannot hold a cell, None if it can.

    >>> why_unstorable(2**63)
    'SQLite holds integers of 64 bits at most; store it as a string or a float'
    """
    if isinstance(cell, int) and not _SMALLEST <= cell <= _GREATEST:
        return "SQLite holds integers of 64 bits at most; store it as a string or a float"
    if isinstance(cell, str):
        try:
            cell.encode()
        except UnicodeEncodeError:
            return "it contains half of a surrogate pair, which is no Unicode text; remove it"
    return None


def _decode_reserved(text: str) -> EncodedCell:
    if text in _WORDS:
        return _WORDS[text]
    if not text.startswith(RICH_PREFIX):
        raise UnreadableValueError("the text U+FFFC is reserved")
    if encoded_rich_cell(text) is MISSING:
        raise UnreadableValueError("the text starts with U+FFFD, but no JSON object or array follows")
    return text
