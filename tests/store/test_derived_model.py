"""After every step everything derived from a store equals what is computed from scratch."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from replicell.store import (
    MISSING,
    GetCell,
    Store,
    create_checkpoints,
    create_computed_cells,
    create_indexes,
    create_links,
    create_metrics,
    create_relationships,
)
from replicell.store.aggregates import to_number
from replicell.store.ids import to_id
from replicell.store.key_order import sort_key

tables = st.sampled_from(("t", "t", "u"))
row_ids = st.sampled_from(("r0", "r1", "r2", "r3", "r4"))
cells = st.fixed_dictionaries(
    {},
    optional={
        "group": st.sampled_from(("x", "y", 1, True, None)),
        "number": st.one_of(st.integers(-3, 3), st.floats(-10, 10), st.just("2.5")),
        "next": row_ids,
        "tags": st.lists(st.sampled_from("abc"), max_size=3),
    },
).filter(bool)


def tags_of(get_cell: GetCell, row_id: str) -> Any:
    return get_cell("tags")


def id_of(get_cell: GetCell, row_id: str) -> str:
    return row_id


extractors: st.SearchStrategy[Any] = st.sampled_from(("group", "number", "next", None, tags_of, id_of))
sort_keys: st.SearchStrategy[Any] = st.sampled_from((None, "number", "next", id_of))
cell_extractors = st.sampled_from(("group", "number", "next"))


def taken(extractor: Any, store: Store, table_id: str, row_id: str, default: Any = MISSING) -> Any:
    if extractor is None:
        return default
    if callable(extractor):
        return extractor(lambda cell_id: store.get_cell(table_id, row_id, cell_id, MISSING), row_id)
    return store.get_cell(table_id, row_id, extractor, MISSING)


def text(thing: Any) -> str:
    return "" if thing is MISSING else to_id(thing)


class Derived(RuleBasedStateMachine):
    @initialize()
    def begin(self) -> None:
        self.store = Store()
        self.indexes = create_indexes(self.store)
        self.metrics = create_metrics(self.store)
        self.relationships = create_relationships(self.store)
        self.links = create_links(self.store)
        self.checkpoints = create_checkpoints(self.store)
        self.index: dict[str, Any] = {}
        self.metric: dict[str, Any] = {}
        self.relationship: dict[str, Any] = {}
        self.history: list[Any] = [self.store.get_content()]
        self.place = 0
        self.links.set_link_definition("l", "t", "t", "next", "u", "group")
        create_computed_cells(self.store).set_computed_cell(
            "u", "doubled", lambda get_cell, row_id: str(get_cell("number")) * 2
        )

    # Writes

    @rule(table_id=tables, row_id=row_ids, row=cells)
    def set_row(self, table_id: str, row_id: str, row: dict[str, Any]) -> None:
        self.store.set_row(table_id, row_id, row)

    @rule(table_id=tables, row_id=row_ids, row=cells)
    def set_cells(self, table_id: str, row_id: str, row: dict[str, Any]) -> None:
        for cell_id, cell in row.items():
            self.store.set_cell(table_id, row_id, cell_id, cell)

    @rule(table_id=tables, row_id=row_ids)
    def del_row(self, table_id: str, row_id: str) -> None:
        self.store.del_row(table_id, row_id)

    @rule(table_id=tables, row_id=row_ids, cell_id=st.sampled_from(("group", "number", "next", "tags")))
    def del_cell(self, table_id: str, row_id: str, cell_id: str) -> None:
        self.store.del_cell(table_id, row_id, cell_id)

    @rule(table=st.dictionaries(row_ids, cells, min_size=1), gone=row_ids, rolls_back=st.booleans())
    def transaction(self, table: dict[str, Any], gone: str, rolls_back: bool) -> None:
        with self.store.transaction(do_rollback=lambda store: rolls_back):
            self.store.set_table("t", table).set_value("v", gone).del_row("t", gone)

    @rule(extractor=extractors, row_id=row_ids, row=cells, rolls_back=st.booleans())
    def define_within_a_transaction(
        self, extractor: Any, row_id: str, row: dict[str, Any], rolls_back: bool
    ) -> None:
        with self.store.transaction(do_rollback=lambda store: rolls_back):
            self.store.set_row("t", row_id, row)
            self.define_index("within", "t", extractor, None)
            self.store.del_row("t", row_id)

    # Definitions

    @rule(index_id=st.sampled_from("ij"), table_id=tables, extractor=extractors, key=sort_keys)
    def define_index(self, index_id: str, table_id: str, extractor: Any, key: Any) -> None:
        self.indexes.set_index_definition(index_id, table_id, extractor, key)
        self.index[index_id] = (table_id, extractor, key)

    @rule(
        metric_id=st.sampled_from("mn"),
        table_id=tables,
        aggregate=st.sampled_from(("sum", "avg", "min", "max", "count_distinct")),
        extractor=st.sampled_from(("number", "group", None)),
    )
    def define_metric(self, metric_id: str, table_id: str, aggregate: str, extractor: Any) -> None:
        self.metrics.set_metric_definition(metric_id, table_id, aggregate, extractor)
        self.metric[metric_id] = (table_id, aggregate, extractor)

    @rule(relationship_id=st.sampled_from("qp"), local=tables, remote=tables, extractor=cell_extractors)
    def define_relationship(self, relationship_id: str, local: str, remote: str, extractor: str) -> None:
        self.relationships.set_relationship_definition(relationship_id, local, remote, extractor)
        self.relationship[relationship_id] = (local, extractor)

    # History

    @rule()
    def add_checkpoint(self) -> None:
        if self.checkpoints.get_checkpoint_ids().current is None:
            self.checkpoints.add_checkpoint()
            self.history = [*self.history[: self.place + 1], self.store.get_content()]
            self.place += 1

    @precondition(lambda self: self.checkpoints.get_checkpoint_ids().current is not None)
    @rule(steps=st.integers(-3, 3))
    def travel(self, steps: int) -> None:
        for _ in range(abs(steps)):
            (self.checkpoints.go_forward if steps > 0 else self.checkpoints.go_backward)()
        self.place = min(max(self.place + steps, 0), len(self.history) - 1)

    # What must hold

    @invariant()
    def indexes_equal_recomputation(self) -> None:
        for index_id, (table_id, extractor, key) in self.index.items():
            slices: dict[str, list[str]] = {}
            for row_id in self.store.get_row_ids(table_id):
                found = taken(extractor, self.store, table_id, row_id)
                for slice_id in dict.fromkeys(map(text, found if isinstance(found, list) else [found])):
                    slices.setdefault(slice_id, []).append(row_id)
            assert set(self.indexes.get_slice_ids(index_id)) == set(slices)
            for slice_id, row_ids in slices.items():
                present = self.indexes.get_slice_row_ids(index_id, slice_id)
                assert sorted(present) == sorted(row_ids)
                if key is not None:
                    found_keys = [sort_key(taken(key, self.store, table_id, row_id)) for row_id in present]
                    assert found_keys == sorted(found_keys)

    @invariant()
    def metrics_equal_recomputation(self) -> None:
        for metric_id, (table_id, aggregate, extractor) in self.metric.items():
            row_ids = self.store.get_row_ids(table_id)
            things = [taken(extractor, self.store, table_id, row_id, 1) for row_id in row_ids]
            if aggregate == "count_distinct":
                distinct = {(isinstance(thing, bool), thing) for thing in things if thing is not MISSING}
                expected: Any = len(distinct) or None
            else:
                numbers = [number for thing in things if (number := to_number(thing)) is not MISSING]
                exact = sum(map(Fraction, numbers), Fraction())
                expected = None
                if numbers:
                    expected = {
                        "sum": float(exact),
                        "avg": float(exact / len(numbers)),
                        "min": min(numbers),
                        "max": max(numbers),
                    }[aggregate]
            assert self.metrics.get_metric(metric_id) == expected

    @invariant()
    def relationships_and_links_equal_recomputation(self) -> None:
        for relationship_id, (local, extractor) in self.relationship.items():
            remote_of = {
                row_id: text(found)
                for row_id in self.store.get_row_ids(local)
                if (found := taken(extractor, self.store, local, row_id)) is not MISSING
            }
            for row_id in ("r0", "r1", "r2", "r3", "r4", "x", "1", "true", "null"):
                found = self.relationships.get_remote_row_id(relationship_id, row_id)
                assert found == remote_of.get(row_id)
                present = self.relationships.get_local_row_ids(relationship_id, row_id)
                assert set(present) == {local for local, remote in remote_of.items() if remote == row_id}
                assert len(present) == len(set(present))
        rows = self.store.get_table("t").values()
        for row_id in ("r0", "r1"):
            expected = {text(row["group"]) for row in rows if row.get("next") == row_id and "group" in row}
            assert set(self.links.get_right_row_ids("l", row_id)) == expected

    @invariant()
    def computed_cells_equal_recomputation(self) -> None:
        for row in self.store.get_table("u").values():
            assert row["doubled"] == str(row.get("number", MISSING)) * 2

    @invariant()
    def at_a_checkpoint_the_store_is_what_it_was(self) -> None:
        if self.checkpoints.get_checkpoint_ids().current is not None:
            assert self.store.get_content() == self.history[self.place]


TestDerived = Derived.TestCase
TestDerived.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
