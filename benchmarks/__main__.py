"""`python -m benchmarks [section ...]`: the figures, of some sections (`SECTIONS`) or all."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from benchmarks.lines.derived import derived_lines
from benchmarks.lines.listening import listening_lines
from benchmarks.lines.peers import peer_lines
from benchmarks.lines.queries import query_lines
from benchmarks.lines.size import size_lines
from benchmarks.lines.store import store_lines
from benchmarks.measure import Figure
from benchmarks.processes import NodeMissingError, node
from benchmarks.table import as_json, as_line, as_markdown, print_table

WIDTH_OF_A_FILE = 160
SECTIONS = (
    "store",
    "derived",
    "queries",
    "peers",
    "listening",
    "typed",
    "persister",
    "sync",
    "cluster",
    "limits",
    "scale",
    "bootstrap",
)
DEFAULT_MINUTES = 1.0


def figures_of(section: str, minutes: float) -> Iterator[Figure]:
    """Measure the lines of one section, one after the other.

    Args:
        section: One of `SECTIONS`.
        minutes: How long the full room of "scale" is edited.
    """
    if section == "store":
        with node("store.mjs") as original:
            for line in store_lines(original):
                yield line.measure()
        for line in size_lines():
            yield line.measure()
    elif section == "derived":
        with node("derived.mjs") as original:
            for line in derived_lines(original):
                yield line.measure()
    elif section == "queries":
        with node("queries.mjs") as original:
            for line in query_lines(original):
                yield line.measure()
    elif section == "peers":
        for line in peer_lines():
            yield line.measure()
    elif section == "listening":
        for line in listening_lines():
            yield line.measure()
    elif section == "typed":
        from benchmarks.lines.typed import typed_lines

        for line in typed_lines():
            yield line.measure()
    elif section == "persister":
        from benchmarks.lines.databases import bulk_lines, long_work_lines
        from benchmarks.lines.notices import notice_figures
        from benchmarks.lines.one_row import one_row_figures
        from benchmarks.lines.persister import persister_lines

        for line in persister_lines():
            yield line.measure()
        with node("persister.mjs") as original:
            for line in bulk_lines(original):
                yield line.measure()
            for line in long_work_lines():
                yield line.measure()
            yield from one_row_figures(original)
        yield from notice_figures()
    elif section == "cluster":
        from benchmarks.lines.cluster import cluster_figures

        yield from cluster_figures()
    elif section == "limits":
        from benchmarks.lines.limits import limits_figures

        yield from limits_figures()
    elif section == "scale":
        from benchmarks.lines.scale import scale_figures

        yield from scale_figures(60 * minutes)
    elif section == "bootstrap":
        from benchmarks.lines.bootstrap import bootstrap_figures

        yield from bootstrap_figures()
    else:
        from benchmarks.lines.group_commit import group_commit_figures
        from benchmarks.lines.sync import sync_figures

        yield from sync_figures()
        yield from group_commit_figures()


def describe_conditions() -> str:
    """Say on what the figures are measured, and how busy that already is: other work slows both sides."""
    if shutil.which("node") is None:
        raise NodeMissingError("Node is not installed; TinyBase's side of the figures needs Node 20 or later")
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    load = f", load {os.getloadavg()[0]:.1f} at the start" if hasattr(os, "getloadavg") else ""
    return (
        f"CPython {platform.python_version()}, Node {version}, {platform.system()} {platform.machine()}, "
        f"{os.cpu_count()} cores{load}; medians of alternating runs."
    )


def parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure replicell beside its peers."
    )
    parser.add_argument(
        "sections", nargs="*", metavar="section", help=f"some of {', '.join(SECTIONS)}; default: all"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write the figures as Markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures as JSON")
    parser.add_argument(
        "--minutes", type=float, default=DEFAULT_MINUTES, metavar="N",
        help="how long the full room of section scale is edited; default %(default)s",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no such section: {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    return options


def main(arguments: list[str]) -> int:
    options = parsed(arguments)
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_OF_A_FILE)
    figures: list[Figure] = []
    try:
        conditions = describe_conditions()
        try:
            for section in options.sections or SECTIONS:
                for figure in figures_of(section, options.minutes):
                    figures.append(figure)
                    console.print(as_line(figure), style="dim", markup=False, soft_wrap=True)
        finally:
            # What was measured is told whatever has become of the rest.
            tell(figures, conditions, options, console)
    except NodeMissingError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def tell(figures: list[Figure], conditions: str, options: argparse.Namespace, console: Console) -> None:
    """Print the figures as a table, and write the files that were asked for."""
    print_table(figures, console)
    console.print(conditions)
    if options.markdown:
        options.markdown.write_text(f"{as_markdown(figures)}\n{conditions}\n", encoding="utf-8")
    if options.json:
        options.json.write_text(as_json(figures, {"conditions": conditions}), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
