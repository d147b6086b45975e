"""Whatever happens to a store, each query's result is the one worked out from scratch, and by SQLite."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from replicell.store import MISSING, DefinitionError, Queries, create_queries, create_store
from tests.store.query_specs import Join, Query, build, evaluate, run_sql

TABLES = ("t1", "t2", "t3")
ROWS = ("1", "2", "3", "4")
NAMES = ("s0", "s1", "s2")
CELLS = {
    "a": st.sampled_from(("x", "y", "z")),
    "n": st.integers(1, 4),
    "link": st.one_of(st.sampled_from(ROWS), st.integers(1, 4)),
}
rows = st.fixed_dictionaries({}, optional=CELLS).filter(bool)
cells = st.sampled_from(list(CELLS)).flatmap(lambda cell_id: st.tuples(st.just(cell_id), CELLS[cell_id]))
writes = st.one_of(
    st.tuples(st.just("set_cell"), st.sampled_from(TABLES), st.sampled_from(ROWS), cells),
    st.tuples(st.just("set_row"), st.sampled_from(TABLES), st.sampled_from(ROWS), rows),
    st.tuples(
        st.just("del_cell"), st.sampled_from(TABLES), st.sampled_from(ROWS), st.sampled_from(list(CELLS))
    ),
    st.tuples(st.just("del_row"), st.sampled_from(TABLES), st.sampled_from(ROWS)),
    st.tuples(st.just("del_table"), st.sampled_from(TABLES)),
)


class Failure(Exception):
    pass


@st.composite
def queries_over(draw: st.DrawFn, sources: Sequence[str]) -> Query:
    root = draw(st.sampled_from((*TABLES, *sources)))
    joins: list[Join] = []
    for number in range(draw(st.sampled_from((0, 1, 1, 1, 2)))):
        start = draw(st.sampled_from((None, *[join.alias for join in joins])))
        table = draw(st.sampled_from((*TABLES, *sources)))
        alias = f"j{number}"
        if draw(st.sampled_from((False, False, True))):
            joins.append(Join(table, alias, "link", None, start, False, table in sources))
        else:
            on = draw(st.sampled_from(("link", "n", None)))
            by = draw(st.sampled_from(("link", "n")))
            joins.append(Join(table, alias, on, by, start, draw(st.booleans()), table in sources))
    places = st.sampled_from((None, *[join.alias for join in joins]))
    paths = draw(st.lists(st.tuples(places, st.sampled_from(list(CELLS))), min_size=1, max_size=3))
    selects = tuple((name, *path) for name, path in zip(NAMES, paths, strict=False))
    wheres = tuple(
        draw(st.lists(places.flatmap(lambda place: conditions(place)), max_size=1 + draw(st.integers(0, 1))))
    )
    query = Query(root, selects, root in sources, tuple(joins), wheres)
    return draw(finished(query))


def conditions(place: str | None) -> st.SearchStrategy[tuple[str | None, str, Any]]:
    wanted = st.one_of(cells, cells.map(lambda cell: (cell[0], MISSING)))
    return wanted.map(lambda cell: (place, cell[0], cell[1]))


@st.composite
def finished(draw: st.DrawFn, query: Query) -> Query:
    """Perhaps group a query, order it, cut it."""
    numeric = [name for name, _, cell_id in query.selects if cell_id == "n"]
    names = [name for name, _, _ in query.selects]
    groups: tuple[tuple[str, str, str], ...] = ()
    havings: tuple[tuple[str, Any], ...] = ()
    distinct = draw(st.sampled_from((False, False, False, True)))
    if draw(st.booleans()):
        counted = draw(st.sampled_from(names))
        groups = ((counted, draw(st.sampled_from(("count", "count_distinct"))), "many"),)
        if numeric:
            aggregate = draw(st.sampled_from(("sum", "avg", "min", "max")))
            groups = (*groups, (draw(st.sampled_from(numeric)), aggregate, "measure"))
        if draw(st.booleans()):
            havings = (("many", draw(st.integers(1, 3))),)
    shown = [name for name in names if name not in {group[0] for group in groups}]
    shown += [as_ for _, _, as_ in groups]
    orders: tuple[tuple[str, bool], ...] = ()
    limit, offset = None, 0
    if draw(st.booleans()):
        orders = tuple(draw(st.lists(st.tuples(st.sampled_from(shown), st.booleans()), max_size=2)))
        limit = draw(st.sampled_from((None, 0, 1, 2, 3)))
        offset = draw(st.sampled_from((0, 0, 1, 2)))
    return Query(
        query.root,
        query.selects,
        query.is_query,
        query.joins,
        query.wheres,
        groups,
        havings,
        distinct,
        orders,
        limit,
        offset,
    )


class QueriesMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.store = create_store()
        self.queries = create_queries(self.store)
        self.defined: dict[str, Query] = {}
        self.mirror: dict[str, dict[str, dict[str, Any]]] = {}
        self.orders: dict[str, list[str]] = {}
        self.fails = False
        self.queries.add_result_cell_listener(None, None, None, self.hear_cell)
        self.queries.add_result_row_ids_listener(None, self.hear_row_ids)
        self.store.add_cell_listener(None, None, "a", self.fail)

    def hear_cell(self, _: Queries, query_id: str, row_id: str, cell_id: str, new: Any, *__: Any) -> None:
        row = self.mirror.setdefault(query_id, {}).setdefault(row_id, {})
        if new is MISSING:
            del row[cell_id]
            if not row:
                del self.mirror[query_id][row_id]
        else:
            row[cell_id] = new

    def hear_row_ids(self, queries: Queries, query_id: str, _: Any) -> None:
        self.orders[query_id] = queries.get_result_row_ids(query_id)

    def fail(self, *_: Any) -> None:
        if self.fails:
            raise Failure

    def write(self, write: tuple[Any, ...]) -> None:
        method, *arguments = write
        if method == "set_cell":
            arguments[2:] = arguments[2]
        getattr(self.store, method)(*arguments)

    @rule(write=writes, fails=st.sampled_from((False, False, False, True)))
    def write_once(self, write: tuple[Any, ...], fails: bool) -> None:
        self.fails = fails
        with suppress(Failure):
            self.write(write)
        self.fails = False

    @rule(several=st.lists(writes, min_size=2, max_size=8), rolls_back=st.booleans())
    def write_in_a_transaction(self, several: list[tuple[Any, ...]], rolls_back: bool) -> None:
        with self.store.transaction(do_rollback=lambda store: rolls_back):
            for write in several:
                self.write(write)

    @rule(data=st.data())
    def define(self, data: st.DataObject) -> None:
        self.define_some(data)

    def define_some(self, data: st.DataObject) -> None:
        query_id = data.draw(st.sampled_from(("q1", "q2", "q3")))
        others = [other for other in self.defined if other != query_id]
        query = data.draw(queries_over(others))
        define: Any = self.queries.set_query_definition
        source = [True, query.root] if query.is_query else [query.root]
        with suppress(DefinitionError):  # it would read its own result
            define(query_id, *source, lambda q: build(query, q))
            self.defined[query_id] = query

    @rule(data=st.data(), several=st.lists(writes, max_size=4), fails=st.booleans())
    def define_in_a_transaction(
        self, data: st.DataObject, several: list[tuple[Any, ...]], fails: bool
    ) -> None:
        with suppress(Failure), self.store.transaction():
            for write in several:
                self.write(write)
            self.define_some(data)
            if fails:
                raise Failure

    @precondition(lambda self: self.defined)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        query_id = data.draw(st.sampled_from(sorted(self.defined)))
        self.queries.del_query_definition(query_id)
        del self.defined[query_id]

    @invariant()
    def every_result_equals_one_from_scratch(self) -> None:
        tables = self.store.get_tables()
        results = {query_id: self.queries.get_result_table(query_id) for query_id in ("q1", "q2", "q3")}
        assert self.queries.get_query_ids() == [*dict.fromkeys(self.queries.get_query_ids())]
        assert set(self.queries.get_query_ids()) == set(self.defined)
        for query_id, query in self.defined.items():
            result = list(results[query_id].items())
            assert_same(query, result, evaluate(query, tables, results))
            if not query.is_query and not any(join.is_query for join in query.joins):
                assert_same(query, result, run_sql(query, tables))

    @invariant()
    def listeners_have_heard_of_everything(self) -> None:
        for query_id in ("q1", "q2", "q3"):
            assert self.mirror.get(query_id, {}) == dict(self.queries.get_result_table(query_id))
            row_ids = self.queries.get_result_row_ids(query_id)
            heard = self.orders.get(query_id, [])
            ordered = query_id in self.defined and self.defined[query_id].is_ordered
            # Without an order of its own, a new definition may leave the same rows in another order.
            assert heard == row_ids if ordered else set(heard) == set(row_ids)
            assert list(self.queries.get_result_table(query_id)) == row_ids


def assert_same(query: Query, result: list[tuple[str, Any]], expected: list[tuple[str, Any]]) -> None:
    if query.is_grouped:
        result = [("", row) for _, row in result]
    if not query.is_ordered:
        result, expected = sorted(result, key=repr_sorted), sorted(expected, key=repr_sorted)
    assert len(result) == len(expected)
    for (row_id, row), (expected_id, expected_row) in zip(result, expected, strict=True):
        assert row_id == expected_id
        assert row.keys() == expected_row.keys()
        for cell_id, cell in row.items():
            other = expected_row[cell_id]
            assert cell == other or math.isclose(cell, other)


def repr_sorted(pair: tuple[str, Any]) -> str:
    row_id, row = pair
    rounded = {key: round(cell, 6) if isinstance(cell, float) else cell for key, cell in row.items()}
    return repr((row_id, sorted((key, float(c) if isinstance(c, int) else c) for key, c in rounded.items())))


QueriesMachine.TestCase.settings = settings(
    max_examples=120,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestQueries = QueriesMachine.TestCase
