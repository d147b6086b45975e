"""The figures as a table: in the terminal, as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Figure

__all__ = ["as_json", "as_line", "as_markdown", "print_table"]

HEADINGS = ("", "replicell", "beside", "", "ratio", "to reach", "")
SECONDS = ((1e-6, 1e9, "ns"), (1e-3, 1e6, "µs"), (1.0, 1e3, "ms"))


def amount(figure: Figure, value: float) -> str:
    """A time or a size in the unit that reads best."""
    if figure.unit == "bytes":
        return f"{value:,.0f} B"
    scale, unit = next(((scale, unit) for limit, scale, unit in SECONDS if value < limit), (1.0, "s"))
    return f"{value * scale:.3g} {unit}" if value * scale < 100 else f"{value * scale:,.0f} {unit}"


def ratio(figure: Figure) -> str:
    return f"{figure.factor:.2f} times " + ("as fast" if figure.ratio == "speed" else "the cost")


def verdict(figure: Figure) -> str:
    return {None: "", True: "met", False: "missed"}[figure.is_met]


def cells(figure: Figure) -> tuple[str, ...]:
    target = figure.target.text if figure.target else "(shown)"
    name = f"{figure.name} ({figure.note})" if figure.note else figure.name
    ours, theirs = amount(figure, figure.ours), amount(figure, figure.theirs)
    return name, ours, figure.peer, theirs, ratio(figure), target, verdict(figure)


def as_line(figure: Figure) -> str:
    """A figure in a line, to be shown as soon as it is measured."""
    name, ours, peer, theirs, compared, target, judged = cells(figure)
    return f"{figure.section}: {name}: {ours}; {peer}: {theirs}; {compared}, {target} {judged}".rstrip()


def sections(figures: Sequence[Figure]) -> list[str]:
    return list(dict.fromkeys(figure.section for figure in figures))


def print_table(figures: Sequence[Figure], console: Console) -> None:
    """Print the figures, a table a section."""
    for section in sections(figures):
        table = Table(*HEADINGS, title=section, title_justify="left")
        for figure in figures:
            if figure.section == section:
                style = {True: "green", False: "red", None: ""}[figure.is_met]
                *rest, last = cells(figure)
                table.add_row(*rest, f"[{style}]{last}[/{style}]" if style else last)
        console.print(table)
    with_target = [figure for figure in figures if figure.target]
    met = sum(figure.is_met is True for figure in with_target)
    console.print(f"{met} of {len(with_target)} targets met")


def as_markdown(figures: Sequence[Figure]) -> str:
    """The figures as a Markdown table, to be pasted."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    for section in sections(figures):
        lines.append(f"| **{section}** |" + " |" * (len(HEADINGS) - 1))
        lines += ["| " + " | ".join(cells(figure)) + " |" for figure in figures if figure.section == section]
    return "\n".join([*lines, ""])


def as_json(figures: Sequence[Figure], about: dict[str, Any]) -> str:
    """The figures as JSON, with what is known of the run."""
    rows = [
        {
            "section": figure.section,
            "name": figure.name,
            "ours": figure.ours,
            "peer": figure.peer,
            "theirs": figure.theirs,
            "unit": figure.unit,
            "ratio": round(figure.factor, 3),
            "ratio of": figure.ratio,
            "target": figure.target.text if figure.target else None,
            "met": figure.is_met,
        }
        for figure in figures
    ]
    return json.dumps({**about, "figures": rows}, indent=1, ensure_ascii=False) + "\n"
