"""What the audience sees: both replicas' tables side by side, live, and the story's lines below."""

from __future__ import annotations

from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from examples.demo.actors import ReplicaActor

__all__ = ["Stage"]

MOST_TODOS = 8
MOST_COLUMNS = 4
STATUS_STYLES = {
    "synced": "green",
    "syncing": "yellow",
    "connecting": "yellow",
    "offline": "red",
    "paused": "magenta",
}


class Stage:
    """Draws the replicas while the story goes on; without a terminal it prints them once a chapter."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console()
        self.replicas: list[ReplicaActor] = []
        self.live = Live(console=self.console, auto_refresh=False, transient=True)
        self.is_live = self.console.is_terminal

    def __enter__(self) -> Stage:
        if self.is_live:
            self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_live:
            self.live.stop()

    def refresh(self) -> None:
        if self.is_live and len(self.replicas) == 2:
            self.live.update(self.draw(), refresh=True)

    def chapter(self, number: int, title: str) -> None:
        self.console.print(f"\n[bold cyan]{number}. {title}[/]")
        self.refresh()

    def say(self, text: str) -> None:
        self.console.print(Padding(text, (0, 0, 0, 3)))
        self.refresh()

    def show(self) -> None:
        """Leave the tables, as they are now, in the scrolling text."""
        self.console.print(self.draw())
        self.refresh()

    def draw(self) -> RenderableType:
        grid = Table.grid(expand=True, padding=(0, 1))
        for _ in self.replicas:
            grid.add_column(ratio=1)
        grid.add_row(*(draw_replica(replica) for replica in self.replicas))
        return grid


def draw_replica(replica: ReplicaActor) -> Panel:
    state = replica.state
    status = state["status"]
    parts: list[RenderableType] = [draw_todos(state["todo"])]
    if state["data_rows"]:
        parts.append(draw_sample(state["data_rows"], state["data_sample"]))
    title = f"{replica.name}  [{STATUS_STYLES.get(status, 'dim')}]● {status}[/]"
    return Panel(Group(*parts), title=title, title_align="left", border_style="dim")


def draw_todos(todos: dict[str, dict[str, Any]]) -> Table:
    table = Table(box=None, expand=True, pad_edge=False)
    table.add_column("id", style="dim", no_wrap=True)
    table.add_column("todo", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("done", justify="center")
    ordered = sorted(todos.items())
    for row_id, todo in ordered[:MOST_TODOS]:
        table.add_row(row_id, Text(str(todo.get("text", ""))), "✔" if todo.get("completed") else "·")
    if len(ordered) > MOST_TODOS:
        table.add_row("", f"… and {len(ordered) - MOST_TODOS} more", "")
    if not ordered:
        table.add_row("", "[dim]nothing to do[/]", "")
    return table


def draw_sample(count: int, sample: dict[str, dict[str, Any]]) -> Table:
    """Show the last rows of the data set, with as many columns as fit."""
    columns = list(dict.fromkeys(column for row in sample.values() for column in row))[:MOST_COLUMNS]
    table = Table(box=None, expand=True, pad_edge=False, title=f"{count} rows of data", title_justify="left")
    for column in columns:
        table.add_column(column, no_wrap=True, overflow="ellipsis", max_width=16)
    for row in sample.values():
        table.add_row(*(Text("null" if row.get(column) is None else str(row[column])) for column in columns))
    return table
