from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from replicell.store import Checkpoints, IdLike, Store
from replicell.store.queries.results import ResultTable
from tests.conformance.compare import compare, compare_seeds, describe, shrunk
from tests.conformance.families import DERIVED, FAMILIES, QUERIES, STORE
from tests.conformance.family import Family, first_difference
from tests.conformance.original import Original
from tests.conformance.shrink import shrink
from tests.conformance.twin import Script

GROUP = 100


@pytest.mark.parametrize(
    ("family", "first"),
    [
        pytest.param(family, first, id=f"{family.name} {first}")
        for family in FAMILIES
        for first in range(0, family.scripts, GROUP)
    ],
)
def test_random_scripts_come_out_as_on_tinybase(
    family: Family, first: int, original_of: Callable[[Family], Original]
) -> None:
    original = original_of(family)
    for found in compare_seeds(family, original, range(first, first + GROUP)):
        if found is not None:
            pytest.fail(describe(shrunk(family, original, found)))


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_seed_always_gives_the_same_script(family: Family) -> None:
    assert family.random_script(7) == family.random_script(7)
    assert family.random_script(7) != family.random_script(8)


def test_the_scripts_on_the_store_use_every_kind_of_operation() -> None:
    methods = {op[0] for op in ops_of_seeds(STORE, 200)}
    writers = {
        "setCell",
        "setRow",
        "setPartialRow",
        "setTable",
        "setTables",
        "addRow",
        "setContent",
        "applyChanges",
    }
    others = {
        "setTablesSchema",
        "setValuesSchema",
        "setJson",
        "transaction",
        "startTransaction",
        "finishTransaction",
    }
    special = {"listen", "delListener", "callListener", "throw", "try", "iterate", "getSortedRowIds"}
    assert writers | others | special <= methods


def test_the_scripts_on_what_is_derived_define_write_travel_guard_and_listen() -> None:
    methods = {op[0] for op in ops_of_seeds(DERIVED, 100)}
    definitions = {
        f"{module}.{verb}{name}Definition"
        for module, name in (("indexes", "Index"), ("metrics", "Metric"), ("relationships", "Relationship"))
        for verb in ("set", "del")
    }
    travels = {f"checkpoints.{method}" for method in ("addCheckpoint", "goBackward", "goForward", "goTo")}
    assert definitions | travels | {"guard", "listen", "iterate", "transaction", "setContent"} <= methods


def test_the_scripts_over_queries_use_every_clause_and_kind_of_operation() -> None:
    ops = ops_of_seeds(QUERIES, 200)
    definitions = {"define", "delQueryDefinition", "setParamValue", "setParamValues", "listen", "unlisten"}
    writers = {"setCell", "setRow", "setTable", "delCell", "delRow", "delTable", "read", "stats"}
    assert definitions | writers <= {op[0] for op in ops}
    defined = [op for op in ops if op[0] == "define"]
    clauses = {clause[0] for op in defined for clause in op[3]}
    assert clauses == {"select", "selectAll", "join", "where", "group", "having"}
    assert {tuple(op[2]) for op in defined} == {("table",), ("query",)}


def ops_of_seeds(family: Family, count: int) -> list[list[Any]]:
    return [op for seed in range(count) for op in every_op(family.random_script(seed)["ops"])]


def every_op(thing: Any) -> list[list[Any]]:
    if isinstance(thing, dict):
        return [op for child in thing.values() for op in every_op(child)]
    if not isinstance(thing, list):
        return []
    own = [thing] if thing and isinstance(thing[0], str) else []
    return own + [op for child in thing for op in every_op(child)]


def delete_the_row(store: Store, table_id: IdLike, row_id: IdLike, *_: object) -> Store:
    return store.del_row(table_id, row_id)


def stay(checkpoints: Checkpoints) -> Checkpoints:
    return checkpoints


PUT = ResultTable.put


def put_but_never_take_out(table: ResultTable, row_id: str, row: Any, *more: Any) -> None:
    if row is not None:
        PUT(table, row_id, row, *more)


@pytest.mark.parametrize(
    ("family", "owner", "method", "fault", "most"),
    [
        pytest.param(STORE, Store, "del_cell", delete_the_row, 4, id="store"),
        pytest.param(DERIVED, Checkpoints, "go_backward", stay, 4, id="derived"),
        pytest.param(QUERIES, ResultTable, "put", put_but_never_take_out, 5, id="queries"),
    ],
)
def test_a_planted_fault_is_found_and_shrunk_to_the_operations_that_show_it(
    family: Family,
    owner: type,
    method: str,
    fault: Callable[..., Any],
    most: int,
    original_of: Callable[[Family], Original],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = original_of(family)
    monkeypatch.setattr(owner, method, fault)
    seeds = range(family.scripts)
    found = next(found for found in compare_seeds(family, original, seeds) if found is not None)
    smaller = shrunk(family, original, found)
    assert compare(family, original, smaller.script) is not None
    assert len(smaller.script["ops"]) <= most
    assert "first difference" in describe(smaller)
    monkeypatch.undo()
    assert compare(family, original, smaller.script) is None


def test_shrinking_keeps_only_what_the_failure_needs() -> None:
    script: Script = {
        "ops": [
            ["a"],
            ["transaction", [["b"], ["needed", {"x": 1, "y": 2}]]],
            ["listen", "Cell", [], {"ops": [["c"]]}],
        ]
    }
    smallest = shrink(script, lambda script: "needed" in repr(script) and "'y'" in repr(script))
    assert smallest == {"ops": [["needed", {"y": 2}]]}


def test_traces_that_end_early_or_confuse_true_with_1_differ() -> None:
    assert first_difference([["=", 1]], [["=", 1]]) is None
    assert first_difference([["=", 1]], [["=", True]]) == 0
    assert first_difference([["=", 1], ["=", 2]], [["=", 1]]) == 1


def test_rows_of_results_may_only_differ_in_order_where_tinybase_has_moved_a_changed_one_to_the_end() -> None:
    def results(*rows: tuple[str, int]) -> list[Any]:
        return ["results", [["q", "t", {}, [[row_id, [["n", cell]]] for row_id, cell in rows]]]]

    before, moved, kept = (
        results(("a", 1), ("b", 2)),
        results(("b", 2), ("a", 3)),
        results(("a", 3), ("b", 2)),
    )
    assert QUERIES.first_difference([before, moved, moved], [before, kept, kept]) is None
    assert QUERIES.first_difference([before, kept], [before, moved]) == 1
    assert QUERIES.first_difference([before, before], [before, results(("b", 2), ("a", 1))]) == 1
    assert QUERIES.first_difference([before, moved], [before, results(("a", 4), ("b", 2))]) == 1
