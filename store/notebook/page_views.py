"""What one page shows of a table or a value, and the messages that bring it from there to what there is now.

A view remembers what it has sent. After any number of changes the difference is one message, and none if
nothing that is shown has changed, so a view costs the same however much happens outside its window.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, TypeAlias

from replicell.store.cells import EncodedCell, is_same_cell, type_of_cell
from replicell.store.changes import EncodedRow
from replicell.store.ids import Id
from replicell.store.missing import MISSING, MissingType
from replicell.store.notebook.sources import Cancel, TableSource, ValueSource, void
from replicell.store.notebook.wire import PageCell, page_cell, page_text
from replicell.store.schemas import CellRule

__all__ = ["Message", "PageView", "TablePageView", "ValuePageView"]

Message: TypeAlias = dict[str, Any]

_MOST_ROWS = 500
"""How many rows a page gets at once, whatever it asks for."""


class PageView(ABC):
    """What one page shows."""

    __slots__ = ("unanswered",)

    def __init__(self) -> None:
        self.unanswered = 0
        """How many messages the page has been sent since it last said anything."""

    @abstractmethod
    def opened(self) -> Message:
        """Return everything, for a page that has nothing yet."""

    @abstractmethod
    def difference(self) -> Message | None:
        """Return what has changed since the last message, or None."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what is kept for this view."""


class ValuePageView(PageView):
    """One value, or one metric."""

    __slots__ = ("_sent", "_source")

    def __init__(self, source: ValueSource) -> None:
        super().__init__()
        self._source = source
        self._sent: EncodedCell | MissingType = MISSING

    def opened(self) -> Message:
        """Return the value and what can be written there."""
        self._sent = self._source.read()
        return {
            "kind": "opened",
            "value": page_cell(self._sent),
            "editable": self._source.is_editable,
            **_described(self._source.rule()),
        }

    def difference(self) -> Message | None:
        """Return the value if it has changed."""
        now = self._source.read()
        if is_same_cell(now, self._sent):
            return None
        self._sent = now
        return {"kind": "changed", "value": page_cell(now)}

    def close(self) -> None:
        """Do nothing: nothing is kept."""


class TablePageView(PageView):
    """A window of the rows of a table, in an order.

    Args:
        source: The table.
        column_ids: The columns to show, or None for all there are.
        most_columns: How many columns are shown at most.
    """

    __slots__ = (
        "_column_ids",
        "_columns",
        "_count",
        "_descending",
        "_forget_order",
        "_limit",
        "_most_columns",
        "_offset",
        "_order",
        "_rows",
        "_sort",
        "_source",
    )

    def __init__(self, source: TableSource, column_ids: Sequence[Id] | None, most_columns: int = 100) -> None:
        super().__init__()
        self._source = source
        self._column_ids = column_ids
        self._most_columns = most_columns
        self._offset = self._limit = 0
        self._sort: Id | None = None
        self._descending = False
        self._forget_order: Cancel = void
        self._columns: list[Message] = []
        self._count = 0
        self._order: list[Id] = []
        self._rows: dict[Id, EncodedRow] = {}

    def look_at(self, offset: int, limit: int, sort: Id | None, descending: bool) -> None:
        """Say which rows are looked at from now on."""
        if (sort, descending) != (self._sort, self._descending):
            forget_order = self._forget_order
            # Opened before the other is closed, so that the order both ways is never sorted twice.
            self._forget_order = void if sort is None else self._source.keep_order(sort, descending)
            forget_order()
        self._offset, self._limit = max(offset, 0), min(max(limit, 0), _MOST_ROWS)
        self._sort, self._descending = sort, descending

    def close(self) -> None:
        """Let go of the order."""
        self._forget_order()
        self._forget_order = void

    def opened(self) -> Message:
        """Return the columns, the number of rows and the whole window."""
        self._columns = []
        self._rows = {}
        window = self.moved()
        return {**window, "kind": "opened", "columns": self._columns, "editable": self._source.is_editable}

    def moved(self) -> Message:
        """Return the whole window, but only those of its rows that the page does not have."""
        self._order = []
        difference = self._difference()
        difference.pop("splices", None)
        return {
            "count": self._count,
            **difference,
            "kind": "window",
            "offset": self._offset,
            "order": [page_text(row_id) for row_id in self._order],
        }

    def difference(self) -> Message | None:
        """Return what has changed in the window since the last message, or None."""
        difference = self._difference()
        return {"kind": "changed", **difference} if difference else None

    def _difference(self) -> Message:
        source = self._source
        difference: Message = {}
        columns = self._describe_columns()
        if columns != self._columns:
            self._columns = columns
            difference["columns"] = columns
        if source.row_count != self._count:
            self._count = difference["count"] = source.row_count
        order = source.window(self._offset, self._limit, self._sort, self._descending)
        if order != self._order:
            difference["splices"] = _splices(self._order, order)
            self._order = order
        column_ids = [column["id"] for column in columns]
        rows = {
            row_id: {column_id: row[column_id] for column_id in column_ids if column_id in row}
            for row_id in order
            for row in (source.row(row_id),)
        }
        changed = {
            page_text(row_id): cells
            for row_id, row in rows.items()
            if (cells := _changed_cells(self._rows.get(row_id), row))
        }
        if changed:
            difference["rows"] = changed
        self._rows = rows
        return difference

    def _describe_columns(self) -> list[Message]:
        column_ids = self._source.column_ids() if self._column_ids is None else list(self._column_ids)
        return [
            {"id": column_id, **_described(self._source.rule(column_id))}
            for column_id in column_ids[: self._most_columns]
        ]


def _changed_cells(old: EncodedRow | None, new: EncodedRow) -> dict[Id, PageCell]:
    if old is None:
        return {cell_id: page_cell(cell) for cell_id, cell in new.items()}
    changed = {
        cell_id: page_cell(cell)
        for cell_id, cell in new.items()
        if not is_same_cell(cell, old.get(cell_id, MISSING))
    }
    return changed | {cell_id: page_cell(MISSING) for cell_id in old if cell_id not in new}


def _splices(old: list[Id], new: list[Id]) -> list[tuple[int, int, list[Id]]]:
    """Return what turns one list into the other: where, how many go, which come; the last place first."""
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    return [
        (old_start, old_stop - old_start, [page_text(row_id) for row_id in new[new_start:new_stop]])
        for kind, old_start, old_stop, new_start, new_stop in reversed(blocks)
        if kind != "equal"
    ]


def _described(rule: CellRule | None) -> Mapping[str, Any]:
    """Say of a cell's schema what a page needs in order to offer the right editor."""
    if rule is None:
        return {}
    if rule.enum is None:
        return {"types": sorted(rule.types)}
    kinds = sorted({type_of_cell(member) for member in rule.enum})
    return {"types": kinds, "enum": [page_cell(member) for member in rule.enum]}
