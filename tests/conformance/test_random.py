from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import pytest

from replicell.store import IdLike, Store
from tests.conformance.compare import compare_seeds, describe, differs, shrunk
from tests.conformance.differences import first_difference
from tests.conformance.generate import random_script
from tests.conformance.original import Original
from tests.conformance.shrink import shrink
from tests.conformance.twin import Script, Trace, run_script

SCRIPTS = 2000
GROUP = 100


@pytest.mark.parametrize("first", range(0, SCRIPTS, GROUP))
def test_random_scripts_come_out_as_on_tinybase(first: int, original: Original) -> None:
    for found in compare_seeds(original, range(first, first + GROUP)):
        if found is not None:
            pytest.fail(describe(shrunk(original, found)))


def test_a_seed_always_gives_the_same_script() -> None:
    assert random_script(7) == random_script(7)
    assert random_script(7) != random_script(8)


def test_the_scripts_use_every_kind_of_operation() -> None:
    methods = {str(op[0]) for seed in range(200) for op in every_op(random_script(seed)["ops"])}
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


def every_op(thing: Any) -> list[list[Any]]:
    if isinstance(thing, dict):
        return [op for child in thing.values() for op in every_op(child)]
    if not isinstance(thing, list):
        return []
    own = [thing] if thing and isinstance(thing[0], str) else []
    return own + [op for child in thing for op in every_op(child)]


class ForgetfulStore(Store):
    """A store with a planted fault: it deletes a row where a cell is deleted."""

    def del_cell(self, table_id: IdLike, row_id: IdLike, cell_id: IdLike, force_del: bool = False) -> Self:
        return self.del_row(table_id, row_id)


def run_on(store_class: Callable[[], Store]) -> Callable[[Script], Trace]:
    return lambda script: run_script(script, store_class)


def test_a_planted_fault_is_found_and_shrunk_to_the_operations_that_show_it(original: Original) -> None:
    run = run_on(ForgetfulStore)
    found = next(found for found in compare_seeds(original, range(SCRIPTS), run) if found is not None)
    smaller = shrunk(original, found, run)
    assert differs(original, smaller.script, run) is not None
    assert differs(original, smaller.script) is None
    assert len(smaller.script["ops"]) <= 4
    assert "delCell" in describe(smaller)


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
