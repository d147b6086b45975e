"""Cells on their way to a page: JSON that JavaScript reads without loss, of bounded size.

Booleans, None, text and numbers go as they are. What cannot is a list: ``[]`` where there is no cell,
``["int", text]`` for an integer beyond JavaScript's exact ones, ``["json", text, length]`` for an object or
array, and ``["text", beginning, length]`` for a long text.
"""

from __future__ import annotations

from typing import TypeAlias

from replicell.store.cells import RICH_PREFIX, EncodedCell
from replicell.store.missing import MissingType

__all__ = ["MOST_TEXT", "PageCell", "page_cell", "page_text"]

MOST_TEXT = 300
"""How many characters of a text are sent; the rest only when the cell is edited."""

PageCell: TypeAlias = bool | int | float | str | list[str | int] | None
"""A cell as it is sent."""

_MOST_EXACT = 2**53 - 1


def page_cell(cell: EncodedCell | MissingType) -> PageCell:
    """Return what stands for an encoded cell in a message.

    >>> page_cell(True), page_cell(1.5), page_cell("yes"), page_cell(MISSING), page_cell(2**53)
    (True, 1.5, 'yes', [], ['int', '9007199254740992'])
    """
    if isinstance(cell, MissingType):
        return []
    if isinstance(cell, str):
        if cell[:1] == RICH_PREFIX:
            return ["json", page_text(cell[1 : MOST_TEXT + 1]), len(cell) - 1]
        return page_text(cell) if len(cell) <= MOST_TEXT else ["text", page_text(cell[:MOST_TEXT]), len(cell)]
    if type(cell) is int and abs(cell) > _MOST_EXACT:
        return ["int", str(cell)]
    return cell


def page_text(text: str) -> str:
    """Return a text that can be sent: a lone surrogate would stop the whole message.

    >>> page_text("a\\ud800b")
    'a?b'
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
