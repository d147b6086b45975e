"""What both notebooks share: the tables, what is in them at first, and a chart of hours."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import altair

from replicell.store import Queries, Store
from replicell.sync import SyncServer

__all__ = ["TABLES", "chart_of_hours", "define_hours", "join_or_serve", "plant"]

TABLES = {
    "work": {
        "task": {"type": "string"},
        "who": {"enum": ["Ada", "Grace", "Edith"]},
        "hours": {"type": "number"},
        "done": {"type": "boolean", "default": False},
    }
}

_AT_FIRST = (
    ("dig the beds", "Ada", 6),
    ("build a compost bin", "Grace", 3),
    ("sow carrots", "Edith", 1.5),
    ("prune the apple tree", "Ada", 2),
    ("mend the fence", "Grace", 4.5),
    ("plant tomatoes", "Edith", 2.5),
    ("lay the path", "Grace", 5),
    ("water everything", "Ada", 1),
)


async def join_or_serve(folder: Path) -> tuple[str, Callable[[], Awaitable[None]]]:
    """Return the address of the room to join, and what ends the server that was started for it, if any."""
    address = os.environ.get("REPLICELL_ROOM")
    if address:
        return address, _nothing_to_end
    server = await SyncServer(folder / "rooms", host="127.0.0.1", port=0).start()
    return f"{server.url}/garden", server.close


def plant(store: Store) -> None:
    """Fill the table, unless somebody has."""
    if not store.has_table("work"):
        store.set_table(
            "work",
            {
                f"w{number}": {"task": task, "who": who, "hours": hours}
                for number, (task, who, hours) in enumerate(_AT_FIRST, 1)
            },
        )


def define_hours(queries: Queries) -> None:
    """Define the query behind the chart: how many hours each has to do."""
    queries.set_query_definition(
        "hours",
        "work",
        lambda q: (
            q.select("who"),
            q.select("hours"),
            q.where("done", False),
            q.group("hours", "sum").as_("hours"),
            q.order_by("who"),
        ),
    )


def chart_of_hours(queries: Queries) -> altair.Chart:
    """Draw how many hours each has to do."""
    rows: list[dict[str, Any]] = list(queries.get_result_table("hours").values())
    chart = altair.Chart(
        altair.InlineData(values=rows),
        title="hours to do",
        width=420,
        height=130,
        # Drawn as SVG, each bar says what it is to those who hear the page read.
        usermeta={"embedOptions": {"renderer": "svg"}},
    )
    drawn: altair.Chart = chart.mark_bar(cornerRadiusEnd=3).encode(
        x=altair.X("hours:Q", title=None),
        y=altair.Y("who:N", title=None, sort=None),
        color=altair.Color("who:N", legend=None),
    )
    return drawn


async def _nothing_to_end() -> None:
    """Leave the server to whoever runs it."""
