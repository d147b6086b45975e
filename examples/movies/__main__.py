"""Films come out and are edited, and all that is derived follows: ``python -m examples.movies``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table

from examples.movies.films import Films, FilmsError, fetch_films, read_films
from replicell.store import (
    QueryBuilder,
    create_checkpoints,
    create_indexes,
    create_metrics,
    create_queries,
    create_store,
)

FRAMES_A_SECOND = 20
MISTYPED_YEARS = 2010
"""Release dates with two digits for the year were read as future ones when the data set was made."""


class Cinema:
    """A store of films with everything that is derived from it."""

    def __init__(self, distributors: Films) -> None:
        self.store = create_store().set_table("distributors", distributors)
        self.metrics = create_metrics(self.store)
        self.metrics.set_metric_definition("films", "films")
        self.metrics.set_metric_definition("average rating", "films", "avg", rated)
        self.metrics.set_metric_definition("best rating", "films", "max", rated)
        self.metrics.set_metric_definition("worldwide gross", "films", "sum", "gross")
        self.indexes = create_indexes(self.store)
        self.indexes.set_index_definition("by year", "films", "year", "title")
        self.queries = create_queries(self.store)
        self.queries.set_query_definition("genres", "films", genres_by_kind_of_distributor)
        self.queries.set_query_definition("best", "films", best_films)
        self.checkpoints = create_checkpoints(self.store)

    def draw(self) -> RenderableType:
        return Group(
            Columns([self.draw_metrics(), self.draw_years()]),
            self.draw_query("genres"),
            self.draw_query("best"),
        )

    def draw_metrics(self) -> Panel:
        table = Table.grid(padding=(0, 2))
        for metric_id in self.metrics.get_metric_ids():
            table.add_row(metric_id, shown(self.metrics.get_metric(metric_id)))
        return Panel(table, title="metrics", title_align="left")

    def draw_years(self) -> Panel:
        years = sorted(self.indexes.get_slice_ids("by year"))[-4:]
        table = Table.grid(padding=(0, 2))
        for year in years:
            row_ids = self.indexes.get_slice_row_ids("by year", year)
            title = self.store.get_cell("films", row_ids[-1], "title")
            table.add_row(year, f"{len(row_ids)} films", f"… {title}"[:30])
        return Panel(table, title="index by year", title_align="left")

    def draw_query(self, query_id: str) -> Table:
        table = Table(title=f"query: {query_id}", title_justify="left", box=None, padding=(0, 2))
        columns = self.queries.get_result_table_cell_ids(query_id)
        for column in columns:
            table.add_column(column)
        for row in self.queries.get_result_table(query_id).values():
            table.add_row(*(shown(row.get(column)) for column in columns))
        return table


def rated(get_cell: Callable[[str], Any], row_id: str) -> Any:
    """Return a film's rating; one that nobody rated counts for no metric, where null would count as 0."""
    rating = get_cell("rating")
    return "" if rating is None else rating


def genres_by_kind_of_distributor(q: QueryBuilder) -> None:
    q.select("genre")
    q.select("distributors", "kind").as_("distributor")
    q.select("title")
    q.select("gross")
    q.join("distributors", "distributor")
    q.group("title", "count").as_("films")
    q.group("gross", "avg").as_("average gross")
    q.having(lambda get_cell: get_cell("films") >= 10)
    q.order_by("average gross", descending=True)
    q.limit(6)


def best_films(q: QueryBuilder) -> None:
    for cell_id in ("title", "year", "rating"):
        q.select(cell_id)
    q.where(lambda get_cell: get_cell("rating") is not None)
    q.order_by("rating", descending=True)
    q.limit(5)


def shown(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.2f}"
    return f"{cell:,}" if isinstance(cell, int) and cell >= 10_000 else str(cell)


class Screening:
    """Shows a cinema while it changes; without a terminal, once at the end of each chapter."""

    def __init__(self, cinema: Cinema, console: Console) -> None:
        self.cinema = cinema
        self.console = console
        self.drawn_at = 0.0
        self.live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Screening:
        if self.console.is_terminal:
            self.live.start()
            self.cinema.store.add_did_finish_transaction_listener(lambda _: self.draw_if_due())
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def draw_if_due(self) -> None:
        now = time.monotonic()
        if now >= self.drawn_at + 1 / FRAMES_A_SECOND:
            self.drawn_at = now
            self.live.update(self.cinema.draw(), refresh=True)

    def chapter(self, title: str, act: Callable[[], int]) -> None:
        began = time.perf_counter()
        writes = act()
        spent = time.perf_counter() - began
        self.console.print(f"\n[bold cyan]{title}[/]  ({writes} writes, {spent:.2f} s)")
        self.console.print(self.cinema.draw())


def play(films: Films, distributors: Films, console: Console) -> None:
    cinema = Cinema(distributors)
    store, checkpoints = cinema.store, cinema.checkpoints
    by_release = sorted(films.items(), key=lambda item: item[1]["year"])

    def release() -> int:
        for row_id, film in by_release:
            store.set_row("films", row_id, film)
        return len(films)

    def correct_years() -> int:
        late = [row_id for row_id, film in films.items() if film["year"] > MISTYPED_YEARS]
        with store.transaction():
            for row_id in late:
                store.set_cell("films", row_id, "year", lambda year: year - 100)
        checkpoints.add_checkpoint("years corrected")
        return len(late)

    comedies = [row_id for row_id, film in films.items() if film["genre"] == "Comedy" and film["rating"]]

    def praise() -> int:
        with store.transaction():
            for row_id in comedies:
                store.set_cell("films", row_id, "rating", 10)
        checkpoints.add_checkpoint("comedies praised")
        return len(comedies)

    def take_back() -> int:
        checkpoints.go_backward()
        return len(comedies)

    with Screening(cinema, console) as screening:
        screening.chapter("The films come out, one by one", release)
        checkpoints.add_checkpoint("released")
        screening.chapter("Years after 2010 were typed with two digits: they lose a century", correct_years)
        screening.chapter("Somebody gives every comedy ten points", praise)
        screening.chapter("... which is taken back", take_back)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m examples.movies", description=__doc__)
    parser.add_argument(
        "--input", type=Path, metavar="MOVIES.json", help="the data set, if it is here already"
    )
    args = parser.parse_args()
    try:
        films, distributors = read_films(args.input or fetch_films())
    except FilmsError as error:
        print(f"movies: {error}", file=sys.stderr)
        return 1
    play(films, distributors, Console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
