"""The data that every line is measured on; benchmarks/node/store.mjs makes the same."""

from __future__ import annotations

__all__ = ["Todo", "row_ids", "row_of", "table_of"]


Todo = dict[str, str | bool | int | float]
"""A row of four cells, one of each plain type."""


def row_ids(size: int) -> list[str]:
    """The ids of `size` rows."""
    return [f"row {index}" for index in range(size)]


def row_of(index: int) -> Todo:
    """The row with this index."""
    return {"text": f"todo {index}", "done": index % 2 == 0, "rank": index, "weight": index / 4}


def table_of(size: int) -> dict[str, Todo]:
    """A table of `size` rows."""
    return {row_id: row_of(index) for index, row_id in enumerate(row_ids(size))}
