"""Where a query takes its rows from: the root and the joined tables, in the order in which links lead.

While a row is looked at, the rows that belong together stand in a list, one in each slot: the root's in
slot 0, joined ones in those that follow, and in the last one the empty row, for what is not joined at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

from replicell.store.changes import EncodedRow, EncodedTable
from replicell.store.errors import DefinitionError
from replicell.store.extractors import compile_extractor
from replicell.store.ids import Id, to_id
from replicell.store.missing import MISSING
from replicell.store.queries.clauses import Clauses, Join, Place
from replicell.store.store import Store

__all__ = ["NO_CELLS", "Plan", "Slot", "Source"]

FindRow: TypeAlias = Callable[[EncodedRow, Id], "Id | None"]
"""Given a row and the root's row id, names the row that is joined to it."""

NO_ROWS: EncodedTable = {}
NO_CELLS: EncodedRow = {}


class Source:
    """A table that is read: one of the store, or of the store that holds a query's result.

    A plan has one object for each, so sources are equal if they are the same.
    """

    __slots__ = ("store", "table_id")

    def __init__(self, store: Store, table_id: Id) -> None:
        self.store = store
        self.table_id = table_id

    @property
    def rows(self) -> EncodedTable:
        """The rows as they are now."""
        return self.store._tables.get(self.table_id, NO_ROWS)


class Slot:
    """The root, or a joined table."""

    __slots__ = ("alias", "children", "find_row", "index", "join", "needs", "parent", "source")

    def __init__(self, index: int, alias: Id | None, source: Source, join: Join | None, parent: int) -> None:
        self.index = index
        self.alias = alias
        self.source = source
        self.join = join
        self.parent = parent
        """The slot from whose row the link starts."""
        self.children: list[Slot] = []
        self.needs: set[Id] | None = set()
        """The cells that matter, or None if any may."""
        self.find_row: FindRow | None = None if join is None or join.by is not None else _finder(join)

    def needs_any(self, cell_ids: Iterable[Id]) -> bool:
        """Tell whether any of some cells matters."""
        return self.needs is None or not self.needs.isdisjoint(cell_ids)

    def need(self, cell_id: Id | None) -> None:
        """Note that a cell matters, or that any may."""
        if cell_id is None:
            self.needs = None
        elif self.needs is not None:
            self.needs.add(cell_id)


class Plan:
    """The slots of a query.

    Args:
        clauses: What the query says.
        root: Its root.
        source_of: Gives the source of a joined table, or of the result of a joined query.
        strict: Whether an alias that no join has is an error.
    """

    __slots__ = ("_aliases", "_root_id", "_strict", "nowhere", "root", "slots", "sources")

    def __init__(
        self,
        clauses: Clauses,
        root: Source,
        source_of: Callable[[Id, bool], Source],
        strict: bool,
    ) -> None:
        self.root = root
        self._root_id = root.table_id
        self._strict = strict
        joins = {join.id: join for join in clauses.joins}
        self.slots = [Slot(0, None, root, None, -1)]
        self.sources = [root]
        """All sources, each once."""
        self._aliases: dict[Id, int] = {}
        for slot in self.slots:  # which grows: links are followed from slot to slot
            for alias, join in joins.items():
                if join.from_alias == slot.alias and alias not in self._aliases:
                    source = self._unique(source_of(join.table_id, join.is_query))
                    child = Slot(len(self.slots), alias, source, join, slot.index)
                    self._aliases[alias] = child.index
                    self.slots.append(child)
                    slot.children.append(child)
                    if join.on is not None:
                        slot.need(None if callable(join.on) else to_id(join.on))
                    if join.by is not None:
                        child.need(join.by)
        self.nowhere = len(self.slots)
        if strict:
            for alias in joins:
                self._check(alias)

    @property
    def expands(self) -> bool:
        """Whether a row of the root may have several result rows."""
        return any(slot.join is not None and slot.join.by is not None for slot in self.slots)

    def slot_of(self, place: Place) -> int:
        """Return the slot in which a cell is looked up; the root goes by its table's id as well."""
        if place.alias is None or (place.alias == self._root_id and not place.is_query):
            return 0
        return self.joined(place.alias)

    def joined(self, alias: Id | None) -> int:
        """Return the slot of a join by its alias, None being the root."""
        if alias is None:
            return 0
        if self._strict:
            self._check(alias)
        return self._aliases.get(alias, self.nowhere)

    def need(self, slot: int, cell_id: Id | None) -> None:
        """Note that a cell of a slot matters, or that any may."""
        if slot < self.nowhere:
            self.slots[slot].need(cell_id)

    def need_everything(self) -> None:
        """Note that any cell of any slot may matter."""
        for slot in self.slots:
            slot.need(None)

    def empty_rows(self) -> list[EncodedRow]:
        """Return a list of rows, to be filled slot by slot."""
        return [NO_CELLS] * (self.nowhere + 1)

    def _unique(self, source: Source) -> Source:
        for known in self.sources:
            if known.store is source.store and known.table_id == source.table_id:
                return known
        self.sources.append(source)
        return source

    def _check(self, alias: Id) -> None:
        if alias not in self._aliases:
            known = ", ".join(map(repr, self._aliases)) or "none"
            raise DefinitionError(
                f"nothing is joined as {alias!r}; joined are {known}. Join it, or correct the id."
            )


def _finder(join: Join) -> FindRow:
    on = join.on
    if callable(on):
        extract = compile_extractor(on)

        def find_by_function(row: EncodedRow, root_id: Id) -> Id | None:
            found = extract(root_id, row)
            return None if found is MISSING else to_id(found)

        return find_by_function
    cell_id = to_id(on)

    def find_by_cell(row: EncodedRow, root_id: Id) -> Id | None:
        found = row.get(cell_id, MISSING)
        return None if found is MISSING else to_id(found)

    return find_by_cell
