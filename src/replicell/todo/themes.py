"""The colours, for terminals with a dark and with a light background."""

from __future__ import annotations

import os
from collections.abc import Mapping

from textual.theme import Theme

__all__ = ["DARK", "LIGHT", "is_dark_terminal"]

DARK = Theme(
    name="replicell-dark",
    primary="#7aa2f7",
    secondary="#9aa5ce",
    accent="#7dcfff",
    foreground="#d5daf0",
    background="#16171f",
    surface="#1c1e29",
    panel="#272a3a",
    success="#9ece6a",
    warning="#e0af68",
    error="#f7768e",
    dark=True,
)
LIGHT = Theme(
    name="replicell-light",
    primary="#2959aa",
    secondary="#565a6e",
    accent="#0f6a8b",
    foreground="#1f2335",
    background="#fafafa",
    surface="#f0f1f5",
    panel="#dfe3ee",
    success="#33702b",
    warning="#8a5a00",
    error="#b3213f",
    dark=False,
)


def is_dark_terminal(environment: Mapping[str, str] = os.environ) -> bool:
    """Return whether the terminal's background is dark, as far as it says so in ``COLORFGBG``.

    Example:
        >>> is_dark_terminal({"COLORFGBG": "0;15"}), is_dark_terminal({"COLORFGBG": "15;0"})
        (False, True)
        >>> is_dark_terminal({})
        True
    """
    background = environment.get("COLORFGBG", "").rpartition(";")[2]
    return background not in {"7", "15"}
