"""HTML for notebooks: everything escaped, everything of bounded size, in whatever colours are around it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple, TypeAlias

from replicell.store.cells import RICH_PREFIX, EncodedCell
from replicell.store.missing import MissingType

__all__ = [
    "MOST_COLUMNS",
    "MOST_ROWS",
    "Grid",
    "cell_text",
    "counted",
    "grid",
    "panel",
    "section",
    "shortened",
]

MOST_ROWS = 20
"""How many rows of anything are shown."""

MOST_COLUMNS = 20
"""How many columns of a table are shown."""

_MOST_CHARACTERS = 120

Shown: TypeAlias = EncodedCell | MissingType

_STYLE = (
    "<style>"
    ".replicell{font:13px/1.45 system-ui,sans-serif;max-width:100%}"
    ".replicell .head{font-weight:600;margin:.2em 0}"
    ".replicell .note,.replicell .id{opacity:.65;font-weight:400}"
    ".replicell .scroll{overflow-x:auto}"
    ".replicell table{border-collapse:collapse;margin:.2em 0 .5em;font-variant-numeric:tabular-nums}"
    ".replicell th,.replicell td{padding:.15em .7em;text-align:left;vertical-align:top;white-space:pre-wrap;"
    "border:0 solid color-mix(in srgb,currentColor 18%,transparent);border-bottom-width:1px;"
    "background:none;max-width:40em;overflow-wrap:anywhere}"
    ".replicell thead th{border-bottom-width:2px}"
    ".replicell .number{text-align:right}"
    ".replicell .none{opacity:.45}"
    ".replicell summary{cursor:pointer}"
    "</style>"
)


class Grid(NamedTuple):
    """A table to show, of which the rows and columns given are only the first.

    Attributes:
        label: What the first column holds, the ids of the rows.
        columns: The headings of the others.
        rows: For each row its id and its cells, `MISSING` where there is none.
        row_count: How many rows there are in all.
        column_count: How many columns there are in all.
    """

    label: str
    columns: Sequence[str]
    rows: Iterable[tuple[str, Sequence[Shown]]]
    row_count: int
    column_count: int


def panel(title: str, note: str, *parts: str) -> str:
    """Put parts below a heading, with the style that they need."""
    head = f'<div class="head">{_text(title)} <span class="note">{_text(note)}</span></div>'
    return f'<div class="replicell">{_STYLE}{head}{"".join(parts)}</div>'


def section(title: str, note: str, body: str, *, is_open: bool) -> str:
    """Put something below a heading that a click folds and unfolds."""
    return (
        f"<details{' open' if is_open else ''}><summary>{_text(title)} "
        f'<span class="note">{_text(note)}</span></summary>{body}</details>'
    )


def grid(shown: Grid) -> str:
    """Draw a table, and say below it what was left out."""
    heads = "".join(f'<th scope="col">{_text(column)}</th>' for column in shown.columns)
    rows = list(shown.rows)
    lines = "".join(
        f'<tr><th scope="row" class="id">{_text(row_id)}</th>{"".join(map(_cell, cells))}</tr>'
        for row_id, cells in rows
    )
    omitted = [
        f"{count:,} more {noun}{'' if count == 1 else 's'}"
        for count, noun in (
            (shown.row_count - len(rows), "row"),
            (shown.column_count - len(shown.columns), "column"),
        )
        if count > 0
    ]
    note = f'<div class="note">… and {" and ".join(omitted)}</div>' if omitted else ""
    return (
        f'<div class="scroll"><table><thead><tr><th scope="col" class="id">{_text(shown.label)}</th>{heads}'
        f"</tr></thead><tbody>{lines}</tbody></table>{note}</div>"
    )


def counted(count: int, noun: str, plural: str = "") -> str:
    """Say how many there are of something.

    >>> counted(1, "row"), counted(1200, "row"), counted(2, "index", "indexes")
    ('1 row', '1,200 rows', '2 indexes')
    """
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def cell_text(cell: EncodedCell) -> str:
    """Write a cell as text: objects and arrays as JSON, the constants as JSON has them.

    >>> cell_text(True), cell_text(None), cell_text(1.5), cell_text("yes")
    ('true', 'null', '1.5', 'yes')
    """
    if cell is None:
        return "null"
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, str):
        return cell[1:] if cell[:1] == RICH_PREFIX else cell
    return str(cell)


def shortened(text: str, most: int = _MOST_CHARACTERS) -> str:
    """Cut a long text and say how long it was.

    >>> shortened("abcdef", 4)
    'abcd… (6 characters)'
    """
    # A lone surrogate cannot be encoded, and would stop the whole message it is in.
    kept = text[:most].encode("utf-8", "replace").decode()
    return kept if len(text) <= most else f"{kept}… ({len(text):,} characters)"


def _text(text: str) -> str:
    return escape(shortened(text))


def _cell(cell: Shown) -> str:
    if isinstance(cell, MissingType):
        return "<td></td>"
    kind = "none" if cell is None else "number" if _is_number(cell) else ""
    attribute = f' class="{kind}"' if kind else ""
    return f"<td{attribute}>{_text(cell_text(cell))}</td>"


def _is_number(cell: Shown) -> bool:
    return isinstance(cell, (int, float)) and not isinstance(cell, bool)
