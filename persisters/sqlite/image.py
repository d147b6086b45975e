"""What the mapped tables of a database held when they were last read, to tell what others have changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeAlias, cast

from replicell.persisters.crsqlite.planning import TablePlan
from replicell.store.ids import Id

__all__ = ["STAMP_SQL", "Image", "Stamp", "Step", "TableImage", "TableStep"]

SqlRow: TypeAlias = tuple[Any, ...]
"""The values of a row's columns, as SQLite gave them."""


class Stamp(NamedTuple):
    """What moves when a database changes.

    Args:
        data_version: Moves with the commits of other connections.
        schema_version: Moves with every change of the schema.
        total_changes: Moves with the writes of this connection.
    """

    data_version: int
    schema_version: int
    total_changes: int


STAMP_SQL: Final = (
    "SELECT data_version, schema_version, total_changes() FROM pragma_data_version, pragma_schema_version"
)
"""Reads a `Stamp`."""


class TableImage:
    """What one table held."""

    __slots__ = ("columns", "rows")

    def __init__(self, columns: tuple[str, ...], rows: dict[Id, SqlRow]) -> None:
        self.columns = columns
        self.rows = rows

    def widen(self, columns: tuple[str, ...]) -> bool:
        """Take in columns that were added at the end; False if others have changed."""
        if columns[: len(self.columns)] != self.columns:
            return False
        if columns != self.columns:
            empty = (None,) * (len(columns) - len(self.columns))
            self.rows = {row_id: row + empty for row_id, row in self.rows.items()}
            self.columns = columns
        return True

    def note_saved(self, plan: TablePlan) -> None:
        """Take in what was written."""
        for (row_id,) in plan.deleted:
            self.rows.pop(row_id, None)
        places = {column: place for place, column in enumerate(self.columns)}
        nothing = (None,) * len(self.columns)
        for columns, rows in plan.batches():
            if columns == self.columns:
                self.rows.update((bindings[0], bindings[1:]) for bindings in rows)
                continue
            targets = [(places[name], at) for at, name in enumerate(columns, 1) if name in places]
            for bindings in rows:
                row = list(self.rows.get(bindings[0], nothing))
                for place, at in targets:
                    row[place] = bindings[at]
                self.rows[bindings[0]] = tuple(row)


class TableStep(NamedTuple):
    """What others have done to a table.

    Args:
        columns: Its columns.
        rows: The rows that have changed, None for those that are gone; all rows if ``is_complete``.
        is_complete: Whether there was no image of the table before.
        left_out: Rows of the store that are in the database and not among those to load.
    """

    columns: tuple[str, ...]
    rows: dict[Id, SqlRow | None] | dict[Id, SqlRow]
    is_complete: bool
    left_out: Sequence[Id] = ()


@dataclass(slots=True)
class Step:
    """From one image to the next.

    Args:
        stamp: The database's state after it; None if there may be more than was looked at.
        tables: What others have done, by the database's table.
        gone: Tables that are not there any more.
        plans: What was written after that.
    """

    stamp: Stamp | None
    tables: dict[str, TableStep] = field(default_factory=dict)
    gone: list[str] = field(default_factory=list)
    plans: list[TablePlan] = field(default_factory=list)


class Image:
    """The tables as they were when they were last read or written.

    Attributes:
        tables: By the database's table; None before anything was read.
        stamp: The database's state then; None if everything must be looked at again.
    """

    def __init__(self) -> None:
        self.tables: dict[str, TableImage] | None = None
        self.stamp: Stamp | None = None

    def advance(self, step: Step) -> None:
        """Take a step whose changes have reached the store."""
        tables = self.tables = {} if self.tables is None else self.tables
        for name in step.gone:
            tables.pop(name, None)
        for name, changes in step.tables.items():
            image = tables.get(name)
            if image is None or not image.widen(changes.columns):
                tables[name] = TableImage(changes.columns, _existing(changes.rows))
                continue
            for row_id, row in changes.rows.items():
                if row is None:
                    image.rows.pop(row_id, None)
                else:
                    image.rows[row_id] = row
        self.note_saved(step.plans)
        self.stamp = step.stamp

    def note_saved(self, plans: list[TablePlan]) -> None:
        """Take in what was written, unless nothing was ever read."""
        if self.tables is None:
            return
        for plan in plans:
            name = plan.table.name
            if plan.schema is None:
                self.tables[name] = TableImage((), {})
            image = self.tables.get(name)
            if image is not None:
                if plan.new_columns and plan.table.cell_ids is None:
                    image.widen((*image.columns, *plan.new_columns))
                image.note_saved(plan)


def _existing(rows: dict[Id, SqlRow | None] | dict[Id, SqlRow]) -> dict[Id, SqlRow]:
    if None in rows.values():
        return {row_id: row for row_id, row in rows.items() if row is not None}
    return cast("dict[Id, SqlRow]", rows)
