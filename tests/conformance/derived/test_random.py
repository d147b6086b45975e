from __future__ import annotations

import pytest

from tests.conformance.compare import describe
from tests.conformance.derived.compare import compare_seeds, shrunk_difference
from tests.conformance.derived.generate import random_script
from tests.conformance.derived.original import DerivedOriginal
from tests.conformance.test_random import every_op

SCRIPTS = 1000
GROUP = 100


@pytest.mark.parametrize("first", range(0, SCRIPTS, GROUP))
def test_random_scripts_come_out_as_on_tinybase(first: int, original: DerivedOriginal) -> None:
    for found in compare_seeds(original, range(first, first + GROUP)):
        if found is not None:
            pytest.fail(describe(shrunk_difference(original, found)))


def test_a_seed_always_gives_the_same_script() -> None:
    assert random_script(7) == random_script(7)
    assert random_script(7) != random_script(8)


def test_the_scripts_define_write_travel_guard_and_listen() -> None:
    methods = {str(op[0]) for seed in range(100) for op in every_op(random_script(seed)["ops"])}
    definitions = {
        "indexes.setIndexDefinition",
        "metrics.setMetricDefinition",
        "relationships.setRelationshipDefinition",
        "indexes.delIndexDefinition",
        "metrics.delMetricDefinition",
        "relationships.delRelationshipDefinition",
    }
    travels = {
        "checkpoints.addCheckpoint",
        "checkpoints.goBackward",
        "checkpoints.goForward",
        "checkpoints.goTo",
    }
    assert definitions | travels | {"guard", "listen", "iterate", "transaction", "setContent"} <= methods
