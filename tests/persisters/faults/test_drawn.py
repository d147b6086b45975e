"""Drawn histories: the same promises, and a failing history is made as short as it can be."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.persisters.faults.drawn import DrawnHistory, drawn_history
from tests.persisters.faults.sabotage import SABOTAGES

ALL_PHASES = (Phase.generate, Phase.shrink)
SOON_FOUND = (
    "loads go over unsaved cells",
    "flush does not wait",
    "the file is written in place",
    "others' writes are not heard",
)
"""The others show at one certain moment only, which the histories of seeds are made to meet."""


def run(machine: type[DrawnHistory], number: int, examples: int, steps: int, *phases: Phase) -> None:
    """Live histories that a number decides."""
    run_state_machine_as_test(
        seed(number)(machine),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            phases=phases,
            deadline=None,
            database=None,
            suppress_health_check=[
                HealthCheck.too_slow,
                HealthCheck.data_too_large,
                HealthCheck.large_base_example,
            ],
            print_blob=False,
            report_multiple_bugs=False,
        ),
    )


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("medium", ["cr-sqlite tabular", "sqlite tabular", "json file"])
def test_nothing_that_was_flushed_is_lost_in_drawn_histories(medium: str, number: int) -> None:
    run(drawn_history(medium), number, 8, 30, *ALL_PHASES)


@pytest.mark.parametrize("sabotage", SOON_FOUND)
def test_a_broken_persister_is_found(sabotage: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        run(drawn_history(SABOTAGES[sabotage][0], sabotage), 1, 60, 30, Phase.generate)


def test_a_failing_history_is_made_short() -> None:
    machine = drawn_history("custom tabular", "flush does not wait")
    with pytest.raises(AssertionError):
        run(machine, 1, 60, 12, *ALL_PHASES)
    (life,) = machine.shortest.lives
    assert len(life.early) + len(life.steps) <= 5  # which one rule may have brought
