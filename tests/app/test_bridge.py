"""Two stores with changes under way in both directions, in one thread, so that every order can be tried."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from replicell.app.bridge import Arrivals, OwnerSide, SchemaChange, TwinSide, make_twin
from replicell.persisters.tracking import Scope
from replicell.store import MISSING, Store, TablesSchema

TABLES = frozenset({"t"})
SCOPE = Scope(TABLES, TABLES, TABLES, None, None)
NO_SCHEMAS = SchemaChange("{}", "{}")


class Pair:
    """An owner's store and its twin; what is under way moves when it is told to."""

    def __init__(self, owner: Store | None = None, schemas: SchemaChange = NO_SCHEMAS) -> None:
        self.owner = Store() if owner is None else owner
        self.elsewhere = make_twin(self.owner.get_encoded_tables(), {}, schemas)
        self.hops: deque[Callable[[], object]] = deque()
        self.is_announced = False
        arrivals = Arrivals(self.announce)
        self.twin = TwinSide(self.elsewhere, SCOPE, arrivals, self.hops.append, self.hops.append)
        self.side = OwnerSide(self.owner, SCOPE, arrivals, self.twin.send, self.announce)

    def announce(self) -> None:
        self.is_announced = True

    def to_twin(self) -> None:
        """The twin's thread gets its turn."""
        while self.hops:
            self.hops.popleft()()

    def pump(self) -> None:
        """The owner pumps."""
        if self.is_announced:
            self.is_announced = False
            self.side.take_in()

    def settle(self) -> None:
        while self.hops or self.is_announced:
            self.to_twin()
            self.pump()

    @property
    def content(self) -> tuple[Any, Any]:
        """What both hold; they must be the same."""
        assert self.owner.get_content() == self.elsewhere.get_content()
        return self.owner.get_tables(), self.owner.get_values()


def test_what_the_owner_writes_reaches_the_twin() -> None:
    pair = Pair()
    pair.owner.set_row("t", "1", {"a": 1, "b": [1, {"c": None}]}).set_value("v", "x")
    pair.to_twin()
    assert pair.elsewhere.get_content() == ({"t": {"1": {"a": 1, "b": [1, {"c": None}]}}}, {"v": "x"})
    pair.owner.del_cell("t", "1", "a").del_value("v")
    pair.settle()
    assert pair.content == ({"t": {"1": {"b": [1, {"c": None}]}}}, {})


def test_what_comes_from_elsewhere_waits_until_the_owner_takes_it_in() -> None:
    pair = Pair()
    pair.elsewhere.set_row("t", "1", {"a": 1}).set_value("v", None)
    assert pair.owner.get_content() == ({}, {})
    pair.pump()
    assert pair.content == ({"t": {"1": {"a": 1}}}, {"v": None})


def test_what_is_taken_in_is_not_sent_back() -> None:
    pair = Pair()
    pair.elsewhere.set_row("t", "1", {"a": 1})
    pair.pump()
    assert not pair.hops


def test_many_transactions_from_elsewhere_are_taken_in_as_one() -> None:
    pair = Pair()
    finished: list[object] = []
    pair.owner.add_did_finish_transaction_listener(finished.append)
    for number in range(5):
        pair.elsewhere.set_cell("t", str(number), "a", number)
    pair.pump()
    assert len(finished) == 1
    assert len(pair.owner.get_row_ids("t")) == 5


def test_a_write_that_is_under_way_is_not_overwritten_by_what_was_there_before_it_arrived() -> None:
    pair = Pair(Store().set_row("t", "1", {"a": 0, "b": 0}))
    pair.owner.set_cell("t", "1", "a", "mine")
    pair.elsewhere.set_row("t", "1", {"a": "theirs", "b": "theirs"})
    pair.pump()
    assert pair.owner.get_row("t", "1") == {"a": "mine", "b": "theirs"}
    pair.settle()
    assert pair.content[0] == {"t": {"1": {"a": "mine", "b": "theirs"}}}


def test_what_was_written_elsewhere_after_the_owners_write_wins() -> None:
    pair = Pair(Store().set_row("t", "1", {"a": 0}))
    pair.owner.set_cell("t", "1", "a", "mine")
    pair.to_twin()
    pair.elsewhere.set_cell("t", "1", "a", "theirs, later")
    pair.settle()
    assert pair.content[0] == {"t": {"1": {"a": "theirs, later"}}}


def test_what_waits_is_renewed_when_the_owners_write_has_arrived_meanwhile() -> None:
    pair = Pair(Store().set_row("t", "1", {"a": 0, "b": 0}))
    pair.elsewhere.set_row("t", "1", {"a": "theirs", "b": "theirs"})
    pair.owner.set_cell("t", "1", "a", "mine")
    pair.to_twin()
    pair.elsewhere.set_cell("t", "2", "a", 2)
    pair.pump()
    assert pair.content[0] == {"t": {"1": {"a": "mine", "b": "theirs"}, "2": {"a": 2}}}


@pytest.mark.parametrize("is_pumped_first", [True, False])
def test_a_row_that_is_deleted_elsewhere_while_the_owner_edits_it_stays_whole(is_pumped_first: bool) -> None:
    pair = Pair(Store().set_row("t", "1", {"a": 0, "b": 0}))
    pair.elsewhere.del_row("t", "1")
    pair.owner.set_cell("t", "1", "a", "mine")
    if is_pumped_first:
        pair.pump()
        assert pair.owner.get_row("t", "1") == {"a": "mine", "b": 0}
    pair.settle()
    assert pair.content[0] == {"t": {"1": {"a": "mine", "b": 0}}}


def test_a_row_that_the_owner_deletes_does_not_come_back_by_what_was_under_way() -> None:
    pair = Pair(Store().set_row("t", "1", {"a": 0}))
    pair.owner.del_row("t", "1")
    pair.elsewhere.set_cell("t", "1", "b", "theirs")
    pair.pump()
    assert pair.owner.get_tables() == {}
    pair.settle()
    assert pair.content[0] == {}


def test_a_deleted_cell_is_deleted_on_the_other_side() -> None:
    pair = Pair(Store().set_row("t", "1", {"a": 0, "b": 0}).set_row("t", "2", {"a": 0, "b": 0}))
    pair.elsewhere.del_cell("t", "1", "a")
    pair.elsewhere.set_cell("t", "2", "b", 1)
    pair.settle()
    assert pair.content[0] == {"t": {"1": {"b": 0}, "2": {"a": 0, "b": 1}}}


def test_tables_that_are_not_kept_stay_where_they_are() -> None:
    pair = Pair()
    pair.owner.set_cell("scratch", "1", "a", 1)
    pair.elsewhere.set_cell("other", "1", "a", 1)
    pair.settle()
    assert pair.owner.get_table_ids() == ["scratch"]
    assert pair.elsewhere.get_table_ids() == ["other"]


def test_what_a_mutator_makes_of_what_comes_is_a_write_of_the_owner() -> None:
    pair = Pair()

    def shout(store: Store, t: str, r: str, c: str, new: Any, *_: object) -> None:
        if new is not MISSING:
            store.set_cell(t, r, c, str(new).upper())

    pair.owner.add_cell_listener("t", None, "a", shout, mutator=True)
    pair.elsewhere.set_cell("t", "1", "a", "x")
    pair.settle()
    assert pair.content[0] == {"t": {"1": {"a": "X"}}}


def test_defaults_that_a_schema_adds_to_what_comes_are_no_writes() -> None:
    schema: TablesSchema = {"t": {"a": {"type": "number"}, "done": {"type": "boolean", "default": False}}}
    pair = Pair(Store().set_tables_schema(schema))
    pair.elsewhere.set_cell("t", "1", "a", 1)
    pair.pump()
    assert pair.owner.get_row("t", "1") == {"a": 1, "done": False}
    assert not pair.hops


def test_the_twin_gets_a_new_schema_before_what_is_written_under_it() -> None:
    first: TablesSchema = {"t": {"a": {"type": "number"}}}
    owner = Store().set_tables_schema(first)
    pair = Pair(owner, SchemaChange(owner.get_tables_schema_json(), "{}"))
    second: TablesSchema = {"t": {"a": {"type": "string"}}}
    pair.owner.set_tables_schema(second).set_cell("t", "1", "a", "text")
    pair.settle()
    assert pair.content[0] == {"t": {"1": {"a": "text"}}}
    assert pair.elsewhere.get_tables_schema_json() == owner.get_tables_schema_json()
    pair.owner.del_tables_schema()
    pair.settle()
    assert not pair.elsewhere.has_tables_schema()


def test_a_strict_owner_leaves_out_only_what_its_schema_refuses() -> None:
    schema: TablesSchema = {"t": {"a": {"type": "number"}}}
    pair = Pair(Store(strict=True).set_tables_schema(schema))
    pair.elsewhere.set_row("t", "1", {"a": "no number"}).set_row("t", "2", {"a": 2})
    pair.pump()
    assert pair.owner.get_tables() == {"t": {"2": {"a": 2}}}


def test_nothing_comes_into_the_middle_of_a_transaction() -> None:
    pair = Pair()
    pair.elsewhere.set_cell("t", "1", "a", "theirs")
    with pair.owner.transaction():
        pair.owner.set_cell("t", "1", "a", "mine")
        pair.pump()
        assert pair.owner.get_row("t", "1") == {"a": "mine"}
    assert pair.is_announced
    pair.settle()
    assert pair.content[0] == {"t": {"1": {"a": "mine"}}}


def test_what_waits_for_a_transaction_that_fails_is_not_forgotten() -> None:
    pair = Pair()
    pair.elsewhere.set_cell("t", "1", "a", "theirs")
    with pytest.raises(ZeroDivisionError), pair.owner.transaction():
        pair.owner.set_cell("t", "1", "a", "mine")
        pair.pump()
        raise ZeroDivisionError
    assert pair.side.is_deferred
    pair.elsewhere.set_cell("t", "2", "a", 2)
    pair.pump()
    assert pair.content[0] == {"t": {"1": {"a": "theirs"}, "2": {"a": 2}}}
    assert not pair.side.is_deferred


def test_what_came_into_a_transaction_that_is_undone_comes_again() -> None:
    pair = Pair()
    pair.elsewhere.set_cell("t", "1", "a", "theirs")
    with pair.owner.transaction(do_rollback=lambda _: True):
        pair.pump()
    pair.owner.set_value("v", 1)
    pair.settle()
    assert pair.content == ({"t": {"1": {"a": "theirs"}}}, {"v": 1})


def test_what_a_failing_mutator_keeps_out_comes_again() -> None:
    pair = Pair(Store().set_row("t", "1", {"a": 0, "b": 0}))
    fails = True

    def refuse(*_: object) -> None:
        if fails:
            raise ValueError("not now")

    pair.owner.add_cell_listener("t", None, None, refuse, mutator=True)
    pair.elsewhere.set_row("t", "1", {"a": 1}).set_value("v", 1)
    with pytest.raises(ValueError, match="not now"):
        pair.pump()
    assert pair.owner.get_content() == ({"t": {"1": {"a": 0, "b": 0}}}, {})
    fails = False
    pair.elsewhere.set_cell("t", "2", "a", 2)
    pair.settle()
    assert pair.content == ({"t": {"1": {"a": 1}, "2": {"a": 2}}}, {"v": 1})


def test_a_listener_that_fails_after_the_fact_keeps_nothing_out() -> None:
    pair = Pair()

    def fail(*_: object) -> None:
        raise ValueError("too late")

    pair.owner.add_cell_listener("t", None, None, fail)
    pair.elsewhere.set_cell("t", "1", "a", 1)
    with pytest.raises(ValueError, match="too late"):
        pair.pump()
    assert pair.content[0] == {"t": {"1": {"a": 1}}}
    assert not pair.hops


def test_what_waits_does_not_grow_with_the_number_of_changes() -> None:
    pair = Pair()
    for number in range(1000):
        pair.elsewhere.set_cell("t", "1", "a", number)
    content, _ = pair.side._arrivals.take()
    assert content.row_count == 1


def test_what_is_confirmed_is_forgotten_even_if_the_owner_never_pumps() -> None:
    pair = Pair()
    for number in range(100):
        pair.owner.set_cell("t", "1", "a", number)
        pair.to_twin()
    assert len(pair.side._unconfirmed) <= 1


def test_a_stopped_pair_hands_over_nothing_more() -> None:
    pair = Pair()
    pair.side.stop()
    pair.twin.stop()
    pair.owner.set_cell("t", "1", "a", 1)
    pair.elsewhere.set_cell("t", "2", "a", 1)
    assert not pair.hops
    assert not pair.is_announced


# ---------------------------------------------------------------------- every order

ROWS = st.sampled_from(["1", "2"])
CELLS = st.sampled_from(["a", "b"])
CONTENT = st.integers(0, 9) | st.sampled_from([None, "text", [1]])


class AnyOrder(RuleBasedStateMachine):
    """Writes on both sides in every order: both end equal, as the order of arrival at the twin says.

    No write of the owner is lost unless something newer has overwritten it, and none is undone, not even
    for a moment, by something older.
    """

    def __init__(self) -> None:
        super().__init__()
        self.pair = Pair(Store().set_tables({"t": {"1": {"a": 0, "b": 0}, "2": {"a": 0}}}))
        self.under_way: dict[tuple[str, ...], Any] = {}
        self.pair.owner.add_cell_listener("t", None, None, self.on_owner_cell)
        self.pair.owner.add_value_listener(None, self.on_owner_value)
        self.is_pumping = False

    def on_owner_cell(self, _store: Store, _t: str, r: str, c: str, new: Any, *_: object) -> None:
        if not self.is_pumping:
            self.under_way[r, c] = new

    def on_owner_value(self, _store: Store, v: str, new: Any, *_: object) -> None:
        if not self.is_pumping:
            self.under_way[(v,)] = new

    @rule(row=ROWS, cell=CELLS, content=CONTENT)
    def owner_sets_cell(self, row: str, cell: str, content: Any) -> None:
        self.pair.owner.set_cell("t", row, cell, content)

    @rule(row=ROWS, cell=CELLS)
    def owner_deletes_cell(self, row: str, cell: str) -> None:
        self.pair.owner.del_cell("t", row, cell)

    @rule(row=ROWS)
    def owner_deletes_row(self, row: str) -> None:
        self.pair.owner.del_row("t", row)

    @rule(content=CONTENT)
    def owner_sets_value(self, content: Any) -> None:
        self.pair.owner.set_value("v", content)

    @rule(first=CONTENT, second=CONTENT)
    def owner_moves_everything(self, first: Any, second: Any) -> None:
        with self.pair.owner.transaction():
            self.pair.owner.del_row("t", "1").set_row("t", "1", {"a": first}).set_row("t", "2", {"b": second})

    @rule(row=ROWS, cell=CELLS, content=CONTENT)
    def elsewhere_sets_cell(self, row: str, cell: str, content: Any) -> None:
        self.pair.elsewhere.set_cell("t", row, cell, content)

    @rule(row=ROWS, cell=CELLS)
    def elsewhere_deletes_cell(self, row: str, cell: str) -> None:
        self.pair.elsewhere.del_cell("t", row, cell)

    @rule(row=ROWS)
    def elsewhere_deletes_row(self, row: str) -> None:
        self.pair.elsewhere.del_row("t", row)

    @rule(content=CONTENT)
    def elsewhere_sets_value(self, content: Any) -> None:
        self.pair.elsewhere.set_value("v", content)

    @precondition(lambda self: self.pair.hops)
    @rule()
    def twin_takes_in(self) -> None:
        self.pair.to_twin()
        self.under_way.clear()

    @precondition(lambda self: self.pair.is_announced)
    @rule()
    def owner_pumps(self) -> None:
        self.is_pumping = True
        self.pair.pump()
        self.is_pumping = False

    @invariant()
    def what_is_under_way_stands(self) -> None:
        owner = self.pair.owner
        for place, written in self.under_way.items():
            if len(place) == 1:
                assert owner.get_value(place[0], MISSING) == written
            else:
                assert owner.get_cell("t", place[0], place[1], MISSING) == written

    def teardown(self) -> None:
        under_way = dict(self.under_way)
        self.pair.settle()
        tables, values = self.pair.content
        for place, written in under_way.items():
            held = values if len(place) == 1 else tables.get("t", {}).get(place[0], {})
            assert held.get(place[-1], MISSING) == written


def test_any_order() -> None:
    run_state_machine_as_test(
        AnyOrder, settings=settings(max_examples=100, stateful_step_count=25, deadline=None)
    )
