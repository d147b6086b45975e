"""Joins on any cell, which give a result row for each combination of rows that match.

For each row of the root there is a tree with a level for each slot: below a node stand the rows that match
what is above it, and each path from the root to a leaf is one result row. Nodes are found by the row they
stand for and by the key they look for, so a change costs as much as the result rows it concerns.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeAlias

from replicell.store.cells import EncodedCell, encode_cell, json_text
from replicell.store.changes import EncodedRow
from replicell.store.extractors import compile_extractor
from replicell.store.ids import Id, to_id
from replicell.store.missing import MISSING, MissingType
from replicell.store.queries.clauses import Join
from replicell.store.queries.equality import key_of
from replicell.store.queries.links import Failed, Put
from replicell.store.queries.plan import NO_CELLS, Plan, Source
from replicell.store.queries.selection import Selection

__all__ = ["Expansion"]

_Seek: TypeAlias = Callable[["Id | None", EncodedRow, Id], Hashable]
"""Given a row id, the row, and the root's row id, returns the key that joined rows must have, or None."""


class _Node:
    __slots__ = ("children", "key", "level", "parent", "row_id")

    def __init__(self, level: int, row_id: Id | None, parent: _Node | None) -> None:
        self.level = level
        self.row_id = row_id
        """The row it stands for; None where none matches."""
        self.parent = parent
        self.key: Hashable = None
        """What the rows below must have."""
        self.children: dict[Id | None, _Node] = {}

    def above(self, level: int) -> _Node:
        node = self
        while node.level > level and node.parent is not None:
            node = node.parent
        return node

    def below(self, level: int) -> Iterator[_Node]:
        """Go through the nodes of a level at or below this one."""
        if self.level == level:
            yield self
        else:
            for child in list(self.children.values()):
                yield from child.below(level)


class _Level:
    """How rows of one slot are found, and which nodes stand for them and look for them."""

    __slots__ = ("by", "by_id", "inner", "keys", "matches", "nodes", "seek", "seekers")

    def __init__(self, join: Join | None) -> None:
        self.by = None if join is None else join.by
        self.inner = join is not None and join.inner
        self.by_id = join is not None and join.on is None
        """Whether cells are compared with a row's id."""
        self.seek: _Seek = _seeker(join)
        self.nodes: dict[Id, dict[_Node, None]] = {}
        self.seekers: dict[Hashable, dict[_Node, None]] = {}
        self.keys: dict[Id, Hashable] = {}
        self.matches: dict[Hashable, dict[Id, None]] = {}

    def key_of_row(self, row: EncodedRow | None) -> Hashable:
        cell = MISSING if row is None or self.by is None else row.get(self.by, MISSING)
        if cell is MISSING or cell is None:
            return None
        return to_id(cell) if self.by_id else key_of(cell)

    def index(self, row_id: Id, row: EncodedRow | None) -> tuple[Hashable, Hashable]:
        """Note the key of a row, and return the old and the new one."""
        old, new = self.keys.pop(row_id, None), self.key_of_row(row)
        if old is not None and old != new:
            matches = self.matches[old]
            del matches[row_id]
            if not matches:
                del self.matches[old]
        if new is not None:
            self.keys[row_id] = new
            self.matches.setdefault(new, {})[row_id] = None
        return old, new


class Expansion:
    """The combinations of rows that belong together."""

    __slots__ = ("_levels", "_plan", "_rows", "_selection")

    def __init__(self, plan: Plan, selection: Selection) -> None:
        self._plan = plan
        self._selection = selection
        self._rows = plan.empty_rows()
        self._levels = [_Level(slot.join) for slot in plan.slots]

    def load(self, put: Put, failed: Failed) -> None:
        """Give all result rows there are."""
        for slot, level in zip(self._plan.slots, self._levels, strict=True):
            if level.by is not None:
                for row_id, row in slot.source.rows.items():
                    level.index(row_id, row)
        for root_id in list(self._plan.root.rows):
            self._plant(root_id, put, failed)

    def follow(self, source: Source, row_id: Id, cell_ids: Iterable[Id], put: Put, failed: Failed) -> None:
        """Give the result rows that a changed row of a source concerns."""
        row = source.rows.get(row_id)
        for slot, level in zip(self._plan.slots, self._levels, strict=True):
            if level.by is not None and slot.source is source:
                old, new = level.index(row_id, row)
                if old != new:
                    self._rematch(slot.index, row_id, old, new, put, failed)
        if source is self._plan.root:
            if row is None:
                for node in list(self._levels[0].nodes.get(row_id, ())):
                    self._prune(node, put)
            elif row_id not in self._levels[0].nodes:
                self._plant(row_id, put, failed)
        for slot in self._plan.slots:
            if slot.source is source and slot.needs_any(cell_ids):
                for node in list(self._levels[slot.index].nodes.get(row_id, ())):
                    if self._is_alive(node):
                        self._refresh(node, put, failed)

    def _is_alive(self, node: _Node) -> bool:
        return node.row_id is not None and node in self._levels[node.level].nodes.get(node.row_id, ())

    def _plant(self, root_id: Id, put: Put, failed: Failed) -> None:
        node = _Node(0, root_id, None)
        self._levels[0].nodes[root_id] = {node: None}
        self._grow(node, put, failed)

    def _rematch(
        self, level: int, row_id: Id, old: Hashable, new: Hashable, put: Put, failed: Failed
    ) -> None:
        """Take a row from below the nodes that look for its old key to those that look for its new one."""
        seekers, inner = self._levels[level].seekers, self._levels[level].inner
        for node in list(seekers.get(old, ())):
            child = node.children.get(row_id)
            # Where a table is joined to itself, nodes may go and come while others are seen to.
            if child is not None and node in seekers.get(old, ()):
                self._prune(child, put)
                if not node.children and not inner:
                    self._add(node, None, put, failed)
        for node in list(seekers.get(new, ())):
            if row_id not in node.children and node in seekers.get(new, ()):
                unmatched = node.children.get(None)
                if unmatched is not None:
                    self._prune(unmatched, put)
                self._add(node, row_id, put, failed)

    def _refresh(self, node: _Node, put: Put, failed: Failed) -> None:
        """Look anew at what is below a node whose row has changed."""
        for child in self._plan.slots[node.level].children:
            for above in node.below(child.index - 1):
                if self._key_below(above, failed) != above.key:
                    for grown in list(above.children.values()):
                        self._prune(grown, put)
                    self._stop_seeking(above)
                    self._grow(above, put, failed)
        for leaf in node.below(len(self._levels) - 1):
            self._pick(leaf, put, failed)

    def _grow(self, node: _Node, put: Put, failed: Failed) -> None:
        """Put below a node what belongs there."""
        index = node.level + 1
        if index == len(self._levels):
            self._pick(node, put, failed)
            return
        node.key = self._key_below(node, failed)
        level = self._levels[index]
        if level.by is None:
            self._add(node, None if node.key is None else str(node.key), put, failed)
            return
        if node.key is not None:
            level.seekers.setdefault(node.key, {})[node] = None
        matches = level.matches.get(node.key, ()) if node.key is not None else ()
        for row_id in list(matches):
            self._add(node, row_id, put, failed)
        if not matches and not level.inner:
            self._add(node, None, put, failed)

    def _add(self, node: _Node, row_id: Id | None, put: Put, failed: Failed) -> None:
        child = node.children[row_id] = _Node(node.level + 1, row_id, node)
        if row_id is not None:
            self._levels[child.level].nodes.setdefault(row_id, {})[child] = None
        self._grow(child, put, failed)

    def _prune(self, node: _Node, put: Put) -> None:
        """Take a node away, with all that is below it."""
        if node.level == len(self._levels) - 1:
            put(self._result_id(node), None)
        for child in list(node.children.values()):
            self._prune(child, put)
        self._stop_seeking(node)
        if node.row_id is not None:
            nodes = self._levels[node.level].nodes
            del nodes[node.row_id][node]
            if not nodes[node.row_id]:
                del nodes[node.row_id]
        if node.parent is not None:
            del node.parent.children[node.row_id]

    def _stop_seeking(self, node: _Node) -> None:
        if node.level + 1 < len(self._levels) and self._levels[node.level + 1].by is not None:
            seekers = self._levels[node.level + 1].seekers
            seeking = seekers.get(node.key)
            if seeking is not None and node in seeking:
                del seeking[node]
                if not seeking:
                    del seekers[node.key]

    def _key_below(self, node: _Node, failed: Failed) -> Hashable:
        slot = self._plan.slots[node.level + 1]
        start = node.above(slot.parent)
        row = self._row_of(start)
        root_id = node.above(0).row_id or ""
        try:
            if slot.find_row is not None:
                return slot.find_row(row, root_id)
            return self._levels[slot.index].seek(start.row_id, row, root_id)
        except Exception as error:
            failed(error)
            return None

    def _row_of(self, node: _Node) -> EncodedRow:
        if node.row_id is None:
            return NO_CELLS
        return self._plan.slots[node.level].source.rows.get(node.row_id, NO_CELLS)

    def _pick(self, leaf: _Node, put: Put, failed: Failed) -> None:
        node = leaf
        self._rows[node.level] = self._row_of(node)
        while node.parent is not None:
            node = node.parent
            self._rows[node.level] = self._row_of(node)
        try:
            picked = self._selection.pick(self._rows, node.row_id or "")
        except Exception as error:
            failed(error)
            picked = None
        put(self._result_id(leaf), picked)

    def _result_id(self, leaf: _Node) -> Id:
        row_ids = [
            leaf.above(level).row_id for level in range(len(self._levels)) if self._is_part_of_ids(level)
        ]
        return json_text(row_ids)

    def _is_part_of_ids(self, level: int) -> bool:
        return level == 0 or self._levels[level].by is not None


def _seeker(join: Join | None) -> _Seek:
    on = None if join is None else join.on
    if on is None:
        return lambda row_id, row, root_id: row_id
    if not callable(on):
        cell_id = to_id(on)
        return lambda row_id, row, root_id: _key(row.get(cell_id, MISSING))
    extract = compile_extractor(on)
    return lambda row_id, row, root_id: _key(encode_cell(extract(root_id, row)))


def _key(cell: EncodedCell | MissingType) -> Hashable:
    return None if cell is MISSING else key_of(cell)
