"""One line of text: what a todo may hold, and what of somebody else's todo may reach the terminal."""

from __future__ import annotations

import re
import unicodedata

__all__ = ["single_line"]

LONGEST = 2_000
"""Characters that are looked at; a replica may hold megabytes in a cell, a terminal line cannot."""

BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
RESERVED = frozenset("\ufffc\ufffd")
MANY_SPACES = re.compile(" {2,}")
UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})


def single_line(text: str) -> str:
    """Return `text` as one line that is safe to store and to print.

    Line breaks and control characters become spaces: a text that came over the wire could otherwise steer the
    terminal. Characters that turn the writing direction, and the two that a store reserves, are left out.

    Args:
        text: what was typed, pasted or received; of more than 2,000 characters only those are kept.

    Returns:
        The line, without space around it and with single ones in it; empty when nothing is left.

    Example:
        >>> single_line("  Buy\\tmilk\\n")
        'Buy milk'
        >>> single_line("\\x1b[2Jgone?")
        '[2Jgone?'
    """
    line = "".join(map(printable, text[:LONGEST]))
    return MANY_SPACES.sub(" ", line).strip()


def printable(character: str) -> str:
    if character in BIDI_CONTROLS or character in RESERVED:
        return ""
    return " " if unicodedata.category(character) in UNPRINTABLE else character
