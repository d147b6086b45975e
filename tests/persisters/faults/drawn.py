"""Histories that hypothesis draws, rule by rule, and makes as short as they can be when they fail."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from tests.persisters.faults.history import History
from tests.persisters.faults.plan import (
    CELLS,
    FAULTS,
    PAIRS,
    ROWS,
    VALUE_IDS,
    Life,
    Plan,
    Step,
    saved_in_parts,
)

__all__ = ["DrawnHistory", "drawn_history"]

row_ids = st.sampled_from(ROWS)
cell_ids = st.sampled_from(CELLS)
pairs = st.sampled_from(PAIRS)
forms = st.sampled_from(["number", "text", "half", "object", "array", "negative", "null", "true", "empty"])
operations = st.none() | st.integers(1, 11)


class DrawnHistory(RuleBasedStateMachine):
    """Each rule is a step of a life, or ends one. What has come together is lived at the end."""

    medium: str
    sabotage: str | None = None
    shortest: Plan
    """What was lived last; after a failure the shortest history that fails."""

    def __init__(self) -> None:
        super().__init__()
        self._is_prepared = False
        self._lives: list[Life] = []
        self._early: list[Step] = []
        self._steps: list[Step] = []
        self._number = 0

    @initialize(is_prepared=st.booleans())
    def begin(self, is_prepared: bool) -> None:
        self._is_prepared = is_prepared

    # ------------------------------------------------------------------ the store is written

    @rule(row_id=row_ids, cell_id=cell_ids, form=forms)
    def write_before_the_persister_starts(self, row_id: str, cell_id: str, form: str) -> None:
        self._early.append(Step("write", (row_id, cell_id, self._value(form))))

    @rule(row_id=row_ids, cell_id=cell_ids, form=forms)
    def write(self, row_id: str, cell_id: str, form: str) -> None:
        self._step("write", row_id, cell_id, self._value(form))

    @rule(row_id=row_ids, cell_id=cell_ids)
    def drop_cell(self, row_id: str, cell_id: str) -> None:
        self._step("drop_cell", row_id, cell_id)

    @rule(row_id=row_ids)
    def drop_row(self, row_id: str) -> None:
        self._step("drop_row", row_id)

    @rule(row_id=row_ids, cells=st.dictionaries(cell_ids, forms, min_size=1))
    def replace_row(self, row_id: str, cells: dict[str, str]) -> None:
        self._step("replace_row", row_id, {cell_id: self._value(form) for cell_id, form in cells.items()})

    @rule(name=pairs, form=forms)
    def write_pair(self, name: str, form: str) -> None:
        self._step("write_pair", name, self._value(form))

    @rule(value_id=st.sampled_from(VALUE_IDS), form=forms)
    def write_value(self, value_id: str, form: str) -> None:
        self._step("write_value", value_id, self._value(form))

    @rule(row_id=row_ids, cell_id=cell_ids, name=pairs, form=forms)
    def write_more_in_one_transaction(self, row_id: str, cell_id: str, name: str, form: str) -> None:
        steps = (
            Step("write", (row_id, cell_id, self._value(form))),
            Step("write_pair", (name, self._value(form))),
        )
        self._step("transaction", steps)

    # ------------------------------------------------------------------ others write

    @rule(row_id=row_ids, cell_id=cell_ids, form=forms)
    def others_write(self, row_id: str, cell_id: str, form: str) -> None:
        self._step("foreign_write", row_id, cell_id, self._value(form))

    @rule(row_id=row_ids, cell_id=cell_ids)
    def others_drop_cell(self, row_id: str, cell_id: str) -> None:
        self._step("foreign_drop_cell", row_id, cell_id)

    @rule(row_id=row_ids)
    def others_drop_row(self, row_id: str) -> None:
        self._step("foreign_drop_row", row_id)

    # ------------------------------------------------------------------ the persister works

    @rule()
    def flush(self) -> None:
        self._step("flush")

    @rule()
    def load(self) -> None:
        self._step("load")

    @rule(kind=st.sampled_from(["toggle_auto_load", "toggle_auto_save"]))
    def toggle(self, kind: str) -> None:
        self._step(kind)

    @rule(turns=st.sampled_from([0, 2, 4]), operations=operations)
    def work(self, turns: int, operations: int | None) -> None:
        self._step("work", turns, operations)

    @rule(times=st.sampled_from([1, 3, 10]), seconds=st.sampled_from([0.0, 0.01, 1.0]))
    def pass_time(self, times: int, seconds: float) -> None:
        self._step("turn", times)
        self._step("wait", seconds)

    @rule(first=pairs, second=pairs, form=forms, operations=st.integers(1, 12))
    def save_in_parts(self, first: str, second: str, form: str, operations: int) -> None:
        values = self._value(form), self._value(form)
        self._steps += saved_in_parts((first, values[0]), (second, values[1]), operations)

    # ------------------------------------------------------------------ what goes wrong

    @rule(kind=st.sampled_from(FAULTS), spared=st.sampled_from([0, 1, 2, 4]))
    def fault(self, kind: str, spared: int) -> None:
        self._step("fault", kind, spared)

    @rule()
    def mend(self) -> None:
        self._step("mend")

    @rule(fatal=st.none() | st.integers(1, 60))
    def end_life(self, fatal: int | None) -> None:
        """Restart the program, which is closed before, or killed at some point on the way here."""
        self._lives.append(Life(tuple(self._early), tuple(self._steps), fatal))
        self._early, self._steps = [], []

    # ------------------------------------------------------------------ it is lived

    def teardown(self) -> None:
        last = Life(tuple(self._early), tuple(self._steps), None)
        plan = Plan(self.medium, self._is_prepared, (*self._lives, last))
        type(self).shortest = plan
        with tempfile.TemporaryDirectory() as folder:
            History(plan, Path(folder), self.sabotage).run()

    def _step(self, kind: str, *args: Any) -> None:
        self._steps.append(Step(kind, args))

    def _value(self, form: str) -> Any:
        """Return a value of a form that, as far as possible, is no other's."""
        self._number += 1
        number = self._number
        values: dict[str, Any] = {
            "number": number,
            "text": f"t{number}",
            "half": number + 0.5,
            "object": {"n": number},
            "array": [number],
            "negative": -number,
            "null": None,
            "true": True,
            "empty": "",
        }
        return values[form]


def drawn_history(of_medium: str, broken_by: str | None = None) -> type[DrawnHistory]:
    """Return the histories of a medium.

    Args:
        of_medium: The name of the medium.
        broken_by: What is broken on purpose, None for nothing.
    """

    class OfMedium(DrawnHistory):
        medium = of_medium
        sabotage = broken_by

    return OfMedium
