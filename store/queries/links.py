"""Joins by row id: at most one joined row for each row of the root, and one result row."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

from replicell.store.changes import EncodedRow
from replicell.store.ids import Id
from replicell.store.queries.plan import NO_CELLS, Plan, Slot, Source
from replicell.store.queries.selection import Selection

__all__ = ["Failed", "Links", "Put", "Rows"]

Put: TypeAlias = Callable[[Id, "EncodedRow | None"], None]
"""Takes a result row by its id; None says that there is none."""

Failed: TypeAlias = Callable[[Exception], None]
"""Takes the error of a function in a query; the row at hand is then left out."""


class Rows(Protocol):
    """What makes result rows of the rows of all sources, and keeps up with them."""

    def load(self, put: Put, failed: Failed) -> None:
        """Give all result rows there are."""

    def follow(self, source: Source, row_id: Id, cell_ids: Iterable[Id], put: Put, failed: Failed) -> None:
        """Give the result rows that a changed row of a source concerns.

        Args:
            source: Where the row is.
            row_id: The row, which may have come or gone.
            cell_ids: The cells of it that may have changed.
            put: Takes the result rows.
            failed: Takes errors of the query's functions.
        """


class Links:
    """Follows links from each row of the root to the one row that is joined to it.

    For each joined row it is known which rows of the root use it, so a change costs what it concerns. The
    rows are looked at in the order in which TinyBase does.
    """

    __slots__ = ("_joined", "_linked", "_plan", "_rows", "_selection", "_users")

    def __init__(self, plan: Plan, selection: Selection) -> None:
        self._plan = plan
        self._selection = selection
        self._joined = plan.slots[1:]
        self._rows = plan.empty_rows()
        self._linked: list[dict[Id, Id]] = [{} for _ in plan.slots]
        """For each slot: the root's row ids, and the rows that are joined to them."""
        self._users: dict[Source, dict[Id, dict[tuple[Id, int], None]]] = {
            slot.source: {} for slot in self._joined
        }
        """The rows of the root, with slots, that use each joined row, in the order in which they began to."""

    def load(self, put: Put, failed: Failed) -> None:
        """Give all result rows there are."""
        root = self._plan.slots[0]
        joins = len(self._plan.slots) > 1
        for root_id, row in list(root.source.rows.items()):
            if joins:
                self._link(root, row, root_id, failed)
            self._pick(root_id, row, put, failed)

    def follow(self, source: Source, row_id: Id, cell_ids: Iterable[Id], put: Put, failed: Failed) -> None:
        """Give the result rows that a changed row of a source concerns."""
        if self._users:
            users = self._users.get(source)
            if users is not None and row_id in users:
                self._follow_joined(source, row_id, cell_ids, users, put, failed)
        if source is self._plan.root:
            self._follow_root(row_id, cell_ids, put, failed)

    def _follow_joined(
        self,
        source: Source,
        row_id: Id,
        cell_ids: Iterable[Id],
        users: dict[Id, dict[tuple[Id, int], None]],
        put: Put,
        failed: Failed,
    ) -> None:
        row = source.rows.get(row_id, NO_CELLS)
        root_rows = self._plan.root.rows
        for user in list(users[row_id]):
            root_id, index = user
            slot = self._plan.slots[index]
            if slot.needs_any(cell_ids) and user in users.get(row_id, ()):
                self._link(slot, row, root_id, failed)
                root_row = root_rows.get(root_id)
                if root_row is None:
                    put(root_id, None)
                else:
                    self._pick(root_id, root_row, put, failed)

    def _follow_root(self, root_id: Id, cell_ids: Iterable[Id], put: Put, failed: Failed) -> None:
        root = self._plan.slots[0]
        row = root.source.rows.get(root_id)
        if row is None:
            put(root_id, None)
            for slot in self._joined:
                self._relink(slot, root_id, None)
        elif root.needs_any(cell_ids):
            if root.children:
                self._link(root, row, root_id, failed)
            self._pick(root_id, row, put, failed)

    def _link(self, slot: Slot, row: EncodedRow, root_id: Id, failed: Failed) -> None:
        """Follow the links that start from the row in a slot."""
        for child in slot.children:
            try:
                found = None if child.find_row is None else child.find_row(row, root_id)
            except Exception as error:
                failed(error)
                found = None
            if found != self._linked[child.index].get(root_id):
                self._relink(child, root_id, found)
                joined = NO_CELLS if found is None else child.source.rows.get(found, NO_CELLS)
                self._link(child, joined, root_id, failed)

    def _relink(self, slot: Slot, root_id: Id, row_id: Id | None) -> None:
        users = self._users[slot.source]
        linked = self._linked[slot.index]
        old = linked.pop(root_id, None)
        if old is not None:
            using = users[old]
            del using[root_id, slot.index]
            if not using:
                del users[old]
        if row_id is not None:
            linked[root_id] = row_id
            users.setdefault(row_id, {})[root_id, slot.index] = None

    def _pick(self, root_id: Id, root_row: EncodedRow, put: Put, failed: Failed) -> None:
        rows = self._rows
        rows[0] = root_row
        for slot in self._joined:
            joined = self._linked[slot.index].get(root_id)
            rows[slot.index] = NO_CELLS if joined is None else slot.source.rows.get(joined, NO_CELLS)
        try:
            picked = self._selection.pick(rows, root_id)
        except Exception as error:
            failed(error)
            picked = None
        put(root_id, picked)
