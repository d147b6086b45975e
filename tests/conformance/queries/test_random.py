from __future__ import annotations

from typing import Any

import pytest

from replicell.store.queries.results import ResultTable
from tests.conformance.queries.compare import OriginalQueries, compare_seeds, describe, differs, shrunk
from tests.conformance.queries.generate import random_script

SCRIPTS = 1200
GROUP = 100


@pytest.mark.parametrize("first", range(0, SCRIPTS, GROUP))
def test_random_scripts_over_queries_come_out_as_on_tinybase(
    first: int, original_queries: OriginalQueries
) -> None:
    for found in compare_seeds(original_queries, range(first, first + GROUP)):
        pytest.fail(describe(shrunk(original_queries, found)))


def test_a_seed_always_gives_the_same_script() -> None:
    assert random_script(7) == random_script(7)
    assert random_script(7) != random_script(8)


def test_the_scripts_use_every_clause_and_kind_of_operation() -> None:
    ops = [op for seed in range(200) for op in flat(random_script(seed)["ops"])]
    methods = {op[0] for op in ops}
    assert {
        "define",
        "delQueryDefinition",
        "setParamValue",
        "setParamValues",
        "listen",
        "unlisten",
    } <= methods
    assert {"setCell", "setRow", "setTable", "delCell", "delRow", "delTable", "read", "stats"} <= methods
    defined = [op for op in ops if op[0] == "define"]
    clauses = {clause[0] for op in defined for clause in op[3]}
    assert clauses == {"select", "selectAll", "join", "where", "group", "having"}
    assert {tuple(op[2]) for op in defined} == {("table",), ("query",)}


def flat(ops: list[Any]) -> list[list[Any]]:
    return [inner for op in ops for inner in (flat(op[1]) if op[0] == "transaction" else [op])]


def test_a_planted_fault_is_found_and_shrunk(
    original_queries: OriginalQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = ResultTable.put

    def forgetful_put(self: ResultTable, row_id: str, row: Any, *more: Any) -> None:
        if row is not None:
            put(self, row_id, row, *more)

    monkeypatch.setattr(ResultTable, "put", forgetful_put)
    found = shrunk(original_queries, next(compare_seeds(original_queries, range(SCRIPTS))))
    assert len(found.script["ops"]) <= 5
    assert "first difference" in describe(found)
    monkeypatch.undo()
    assert differs(original_queries, found.script) is None
