"""Cells as text that says what they are, for columns of which Arrow has no one type.

Strings stand as they are. Everything else is U+FFFD followed by its JSON text, as objects and arrays are in
the store itself and in database files; no string in a cell begins with U+FFFD, so nothing is ambiguous.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import isfinite

from replicell.store.cells import RICH_PREFIX, EncodedCell, encode_cell, encoded_rich_cell, parse_json
from replicell.store.missing import MISSING, MissingType

__all__ = ["from_marked_text", "is_unicode", "to_marked_text"]


def to_marked_text(cells: Iterable[EncodedCell]) -> list[str | None]:
    """Write cells as they are held as text; None stays.

    >>> [text.replace("\\ufffd", "#") for text in to_marked_text(["a", 1, True])]
    ['a', '#1', '#true']
    """
    return [None if cell is None else _text_of(cell) for cell in cells]


def from_marked_text(text: str) -> EncodedCell | MissingType:
    """Return the cell, as it is held, that a text stands for, or `MISSING` if no cell can be that.

    >>> from_marked_text("a"), from_marked_text("\\ufffd1"), from_marked_text("\\ufffdtrue")
    ('a', 1, True)
    """
    if text[:1] != RICH_PREFIX:
        return encode_cell(text)
    if text[1:2] in "{[":
        return encoded_rich_cell(text)
    try:
        cell = parse_json(text[1:])
    except ValueError:
        return MISSING
    if isinstance(cell, float) and not isfinite(cell):
        return MISSING
    return encode_cell(cell)


def is_unicode(text: str) -> bool:
    """Tell whether a string can be written as UTF-8, which lone surrogates cannot.

    >>> is_unicode("a"), is_unicode("\\ud800")
    (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text_of(cell: str | float) -> str:
    if not isinstance(cell, str):
        return RICH_PREFIX + json.dumps(cell)
    return cell if is_unicode(cell) else RICH_PREFIX + json.dumps(cell)
