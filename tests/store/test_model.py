"""Whatever is done to a store: it agrees with plain dicts, its changes replay, and rollback restores."""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from replicell.store import MISSING, Store

IDS = st.sampled_from(("a", "b", "c"))
ROW_IDS = st.sampled_from(("0", "1", "r", "s"))
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from((0.5, 1.0, -0.0))
    | st.sampled_from(("", "x", "é")),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(("k", "l")), inner, max_size=2)
    ),
    max_leaves=4,
)
ROWS = st.dictionaries(IDS, JSON, min_size=1, max_size=3)
TABLES = st.dictionaries(ROW_IDS, ROWS, min_size=1, max_size=3)


def same(one: Any, other: Any) -> bool:
    """Compare as JavaScript would: True is not 1, and the order of a JSON object's keys matters."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other) and isinstance(one, bool) is isinstance(other, bool)


class Machine(RuleBasedStateMachine):
    """A store, a model of plain dicts, a replica fed by changes, and a history to roll back to."""

    def __init__(self) -> None:
        super().__init__()
        self.store = Store()
        self.tables: dict[str, dict[str, dict[str, Any]]] = {}
        self.values: dict[str, Any] = {}
        self.replica = Store()
        self.listened: dict[str, Any] = {}
        self.sorted: dict[bool, list[str]] = {False: [], True: []}
        self.before: list[tuple[Any, Any]] = []

    @precondition(lambda self: not self.before)
    @rule()
    def listen(self) -> None:
        if not self.listened:
            self.store.add_did_finish_transaction_listener(
                lambda store: self.replica.apply_changes(store.get_transaction_changes())
            )
            for descending in (False, True):
                self.store.add_sorted_row_ids_listener(
                    "a", "b", descending, 0, None, lambda *args: self.sorted.__setitem__(args[3], args[-1])
                )
                self.sorted[descending] = self.store.get_sorted_row_ids("a", "b", descending)
            self.store.add_cell_listener(None, None, None, self._cell_changed)
            self.replica.set_content(self.store.get_content())
            self.listened = {"cells": self._cells()}

    def _cells(self) -> dict[tuple[str, str, str], Any]:
        tables = self.store.get_tables()
        return {(t, r, c): cell for t in tables for r in tables[t] for c, cell in tables[t][r].items()}

    def _cell_changed(self, store: Store, t: str, r: str, c: str, new: Any, old: Any, change: Any) -> None:
        cells = self.listened["cells"]
        assert same(cells.pop((t, r, c), MISSING), old)
        if new is not MISSING:
            cells[t, r, c] = new

    @rule(table_id=IDS, row_id=ROW_IDS, cell_id=IDS, cell=JSON)
    def set_cell(self, table_id: str, row_id: str, cell_id: str, cell: Any) -> None:
        self.store.set_cell(table_id, row_id, cell_id, cell)
        self.tables.setdefault(table_id, {}).setdefault(row_id, {})[cell_id] = cell

    @rule(table_id=IDS, row_id=ROW_IDS, row=ROWS)
    def set_row(self, table_id: str, row_id: str, row: Any) -> None:
        self.store.set_row(table_id, row_id, row)
        self.tables.setdefault(table_id, {})[row_id] = dict(row)

    @rule(table_id=IDS, row_id=ROW_IDS, row=ROWS)
    def set_partial_row(self, table_id: str, row_id: str, row: Any) -> None:
        self.store.set_partial_row(table_id, row_id, row)
        self.tables.setdefault(table_id, {}).setdefault(row_id, {}).update(row)

    @rule(table_id=IDS, row=ROWS)
    def add_row(self, table_id: str, row: Any) -> None:
        row_id = self.store.add_row(table_id, row)
        assert isinstance(row_id, str) and row_id not in self.tables.get(table_id, {})
        self.tables.setdefault(table_id, {})[row_id] = dict(row)

    @rule(table_id=IDS, table=TABLES)
    def set_table(self, table_id: str, table: Any) -> None:
        self.store.set_table(table_id, table)
        self.tables[table_id] = copy.deepcopy(table)

    @rule(tables=st.dictionaries(IDS, TABLES, min_size=1, max_size=2))
    def set_tables(self, tables: Any) -> None:
        self.store.set_tables(tables)
        self.tables = copy.deepcopy(tables)

    @rule(table_id=IDS, row_id=ROW_IDS, cell_id=IDS)
    def del_cell(self, table_id: str, row_id: str, cell_id: str) -> None:
        self.store.del_cell(table_id, row_id, cell_id)
        row = self.tables.get(table_id, {}).get(row_id, {})
        row.pop(cell_id, None)
        if not row:
            self._forget_row(table_id, row_id)

    @rule(table_id=IDS, row_id=ROW_IDS)
    def del_row(self, table_id: str, row_id: str) -> None:
        self.store.del_row(table_id, row_id)
        self._forget_row(table_id, row_id)

    @rule(table_id=IDS)
    def del_table(self, table_id: str) -> None:
        self.store.del_table(table_id)
        self.tables.pop(table_id, None)

    @rule(value_id=IDS, value=JSON)
    def set_value(self, value_id: str, value: Any) -> None:
        self.store.set_value(value_id, value)
        self.values[value_id] = value

    @rule(value_id=IDS)
    def del_value(self, value_id: str) -> None:
        self.store.del_value(value_id)
        self.values.pop(value_id, None)

    @rule()
    def reload_from_json(self) -> None:
        self.store.set_json(self.store.get_json())

    @precondition(lambda self: not self.before)
    @rule()
    def start(self) -> None:
        self.before.append((copy.deepcopy(self.tables), dict(self.values)))
        self.store.start_transaction()

    @precondition(lambda self: self.before)
    @rule(roll_back=st.booleans())
    def finish(self, roll_back: bool) -> None:
        self.store.finish_transaction(lambda store: roll_back)
        before = self.before.pop()
        if roll_back:
            self.tables, self.values = before

    def _forget_row(self, table_id: str, row_id: str) -> None:
        table = self.tables.get(table_id, {})
        table.pop(row_id, None)
        if not table:
            self.tables.pop(table_id, None)

    @invariant()
    def store_agrees_with_model(self) -> None:
        assert same(self.store.get_tables(), self.tables)
        assert same(self.store.get_values(), self.values)
        for table_id in "abc":
            table = self.tables.get(table_id, {})
            used = {cell_id for row in table.values() for cell_id in row}
            assert set(self.store.get_table_cell_ids(table_id)) == used
            assert self.store.get_row_count(table_id) == len(table)

    @invariant()
    def what_listeners_heard_is_what_there_is(self) -> None:
        if self.listened and not self.before:
            assert same(self.replica.get_tables(), self.tables)
            assert same(self.replica.get_values(), self.values)
            assert same(
                {repr(path): cell for path, cell in self.listened["cells"].items()},
                {repr(path): cell for path, cell in self._cells().items()},
            )

    @invariant()
    def getters_do_not_alias(self) -> None:
        before = self.store.get_json()
        for table in self.store.get_tables().values():
            for row in table.values():
                for cell in row.values():
                    if isinstance(cell, (list, dict)):
                        cell.clear()
                row.clear()
            table.clear()
        self.store.get_values().clear()
        assert self.store.get_json() == before


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)


@settings(deadline=None, max_examples=100)
@given(content=st.tuples(st.dictionaries(IDS, TABLES, max_size=3), st.dictionaries(IDS, JSON, max_size=3)))
def test_json_pickle_and_content_are_the_same_content(content: Any) -> None:
    store = Store().set_content(content)
    assert same(store.get_content()[0], content[0]) and same(store.get_content()[1], content[1])
    assert Store().set_json(store.get_json()).get_json() == store.get_json()
    assert copy.copy(store).get_json() == store.get_json()


@settings(deadline=None, max_examples=150)
@given(
    rows=st.lists(st.tuples(st.sampled_from([f"r{n}" for n in range(9)]), st.none() | JSON), max_size=25),
    descending=st.booleans(),
    offset=st.integers(-4, 4),
    limit=st.none() | st.integers(0, 5),
)
def test_a_sorted_listener_knows_what_sorting_anew_would_give(
    rows: Any, descending: bool, offset: int, limit: Any
) -> None:
    store = Store()
    told: list[list[str]] = [[]]
    store.add_sorted_row_ids_listener(
        "t", "c", descending, offset, limit, lambda *args: told.append(args[-1])
    )
    for row_id, cell in rows:
        if cell is None:
            store.del_row("t", row_id)
        else:
            store.set_cell("t", row_id, "c", cell)
        assert told[-1] == copy.copy(store).get_sorted_row_ids("t", "c", descending, offset, limit)
    assert all(one != other for one, other in pairwise(told))
