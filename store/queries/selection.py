"""From rows that belong together to one result row: conditions and selected cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from replicell.store.cells import encode_cell, is_rich
from replicell.store.changes import EncodedRow
from replicell.store.extractors import decoded
from replicell.store.ids import Id, to_id
from replicell.store.missing import MISSING
from replicell.store.queries.clauses import (
    Clauses,
    GetTableCell,
    Place,
    Select,
    SelectAll,
    SelectFunction,
    WhereFunction,
)
from replicell.store.queries.equality import is_equal_to
from replicell.store.queries.plan import Plan, Source

__all__ = ["Selection"]

_Fetch: TypeAlias = tuple[Id, int, Id, SelectFunction | None]
"""The id in the result, then the slot and the cell, or the function."""


class Selection:
    """What one result row is made of.

    Args:
        clauses: What the query says.
        plan: Its slots, which learn here which of their cells matter.
    """

    __slots__ = (
        "_clauses",
        "_conditions",
        "_fetches",
        "_functions",
        "_get_cell",
        "_naming",
        "_rows",
        "found_rich",
        "ids",
    )

    def __init__(self, clauses: Clauses, plan: Plan) -> None:
        self._clauses = clauses
        self._rows = plan.empty_rows()
        self._get_cell = self._reader(plan)
        self._conditions: list[tuple[int, Id, Callable[[object], bool]]] = []
        self._functions: list[WhereFunction] = []
        self._fetches: list[_Fetch] = []
        self._naming: list[tuple[_Fetch | None, int, Callable[[Id], Any]]] | None = None
        """The same with the cells of whole rows among them, in order; None if there are no such."""
        self.found_rich = False
        """Whether a function ever gave an object or array."""

        for where in clauses.wheres:
            if where.function is not None:
                plan.need_everything()
                self._functions.append(where.function)
            else:
                slot = plan.slot_of(where.place)
                plan.need(slot, where.cell_id)
                self._conditions.append((slot, where.cell_id, is_equal_to(where.wanted)))
        selected: dict[Id, _Fetch] = {}
        for select in clauses.selections:
            if isinstance(select, Select):
                fetch = self._fetch(select, plan)
                selected[fetch[0]] = fetch
        self._fetches = list(selected.values())
        self.ids: tuple[Id, ...] = tuple(selected)
        """The ids of the cells selected one by one."""
        if any(isinstance(select, SelectAll) for select in clauses.selections):
            self._name_all(clauses, plan)

    @property
    def takes_whole_rows(self) -> bool:
        """Whether cells are selected whose ids only the rows know."""
        return self._naming is not None

    def whole_sources(self, plan: Plan) -> list[Source]:
        """Return the sources of which whole rows are selected, each once."""
        slots = [slot for fetch, slot, _ in self._naming or () if fetch is None and slot < plan.nowhere]
        return list(dict.fromkeys(plan.slots[slot].source for slot in slots))

    def column_ids(self, plan: Plan) -> tuple[Id, ...]:
        """Return the ids of all cells that result rows can have, as far as their sources have them now."""
        if self._naming is None:
            return self.ids
        found: dict[Id, None] = {}
        for fetch, slot, mapper in self._naming:
            if fetch is not None:
                found[fetch[0]] = None
            elif slot < plan.nowhere:
                source = plan.slots[slot].source
                for cell_id in sorted(source.store.get_table_cell_ids(source.table_id)):
                    found[to_id(mapper(cell_id))] = None
        return tuple(found)

    def pick(self, rows: list[EncodedRow], root_id: Id) -> EncodedRow | None:
        """Return the result row of rows that belong together, or None if there is none."""
        for slot, cell_id, is_wanted in self._conditions:
            if not is_wanted(rows[slot].get(cell_id, MISSING)):
                return None
        self._rows = rows
        get_cell = self._get_cell
        for function in self._functions:
            if not function(get_cell):
                return None
        if self._naming is not None:
            return self._pick_all(rows, root_id) or None
        picked: EncodedRow = {}
        for result_id, slot, cell_id, select in self._fetches:
            cell = rows[slot].get(cell_id, MISSING) if select is None else self._call(select, root_id)
            if cell is not MISSING:
                picked[result_id] = cell
        return picked or None

    def _pick_all(self, rows: list[EncodedRow], root_id: Id) -> EncodedRow:
        picked: EncodedRow = {}
        for fetch, whole_slot, mapper in self._naming or ():
            if fetch is None:
                row = rows[whole_slot]
                for cell_id in sorted(row):
                    picked[to_id(mapper(cell_id))] = row[cell_id]
                continue
            result_id, slot, cell_id, select = fetch
            cell = rows[slot].get(cell_id, MISSING) if select is None else self._call(select, root_id)
            if cell is not MISSING:
                picked[result_id] = cell
            else:
                picked.pop(result_id, None)
        return picked

    def _call(self, select: SelectFunction, root_id: Id) -> Any:
        cell = encode_cell(select(self._get_cell, root_id))
        if cell is not MISSING and is_rich(cell):
            self.found_rich = True
        return cell

    def _fetch(self, select: Select, plan: Plan) -> _Fetch:
        if select.function is not None:
            plan.need_everything()
            return select.id, 0, "", select.function
        slot = plan.slot_of(select.place)
        plan.need(slot, select.cell_id)
        return select.id, slot, select.cell_id, None

    def _name_all(self, clauses: Clauses, plan: Plan) -> None:
        self._naming = []
        for select in clauses.selections:
            if isinstance(select, SelectAll):
                slot = plan.joined(select.place.alias)
                plan.need(slot, None)
                self._naming.append((None, slot, select.mapper))
            else:
                self._naming.append((self._fetch(select, plan), 0, to_id))

    def _reader(self, plan: Plan) -> GetTableCell:
        slots: dict[tuple[Any, ...], int] = {}

        def get_table_cell(*arguments: Any) -> Any:
            path = arguments[:-1]
            slot = slots.get(path)
            if slot is None:
                is_query = bool(path) and path[0] is True
                alias = path[1] if is_query else path[0] if path else None
                place = Place(None if alias is None else to_id(alias), is_query)
                slot = slots[path] = plan.slot_of(place)
            return decoded(self._rows[slot].get(to_id(arguments[-1]), MISSING))

        return get_table_cell
