"""What happens in a history, decided by a seed alone."""

from __future__ import annotations

from random import Random
from typing import Any, Final, NamedTuple, TypeAlias

__all__ = [
    "CELLS",
    "FAULTS",
    "LOCAL",
    "MEDIA",
    "PAIRS",
    "ROWS",
    "VALUE_IDS",
    "Life",
    "Plan",
    "Step",
    "make_plan",
    "saved_in_parts",
]

MEDIA: Final = (
    "cr-sqlite tabular",
    "cr-sqlite json",
    "sqlite tabular",
    "sqlite json",
    "custom tabular",
    "custom json",
    "json file",
)
ROWS: Final = ("1", "2", "3")
CELLS: Final = ("a", "b", "c")
VALUE_IDS: Final = ("x", "y")
PAIRS: Final = ("k", "l")

_STEPS_A_LIFE: Final = (15, 40)
_LONGEST_WAY_TO_A_KILL: Final = 80


class Step(NamedTuple):
    """One thing that happens.

    Args:
        kind: The name of the method of a life that does it.
        args: Its arguments.
    """

    kind: str
    args: tuple[Any, ...] = ()

    def __str__(self) -> str:
        return f"{self.kind} {' '.join(map(repr, self.args))}"


class Life(NamedTuple):
    """One run of the program.

    Args:
        early: What happens before the persister is started.
        steps: What happens afterwards.
        fatal: At which point the process is killed, counting steps and file operations; None if it lives on
            and is closed.
    """

    early: tuple[Step, ...]
    steps: tuple[Step, ...]
    fatal: int | None


class Plan(NamedTuple):
    """A history.

    Args:
        medium: The medium.
        is_prepared: Whether others have made the table before the first life begins.
        lives: One after the other.
    """

    medium: str
    is_prepared: bool
    lives: tuple[Life, ...]


_Weights: TypeAlias = dict[str, int]

_SAVED_IN_PARTS: Final = "saved in parts"
_PARTS: Final[_Weights] = {"write": 10, "drop_cell": 2, "drop_row": 2, "replace_row": 2, "write_pair": 7}
_ALWAYS: Final[_Weights] = {
    **_PARTS,
    "write_value": 2,
    "transaction": 3,
    "foreign_write": 5,
    "foreign_drop_cell": 1,
    "foreign_drop_row": 2,
    "flush": 6,
    "load": 3,
    "toggle_auto_load": 1,
    "toggle_auto_save": 1,
    _SAVED_IN_PARTS: 3,
    "turn": 12,
    "work": 16,
    "wait": 5,
    "fault": 5,
    "mend": 4,
}
LOCAL: Final = frozenset((*_PARTS, "write_value", "transaction"))
"""The kinds of steps that write to the store."""

_WITH_PEERS: Final[_Weights] = {"peer_write": 5, "peer_drop_row": 1, "merge": 5, "push": 3}
FAULTS: Final = ("full", "io", "sync", "lock", "read-only")


def make_plan(medium: str, seed: int) -> Plan:
    """Make the plan of a seed."""
    return _Planner(medium, seed).plan()


def saved_in_parts(first: tuple[Any, ...], second: tuple[Any, ...], operations: int) -> list[Step]:
    """Return steps that have a transaction over two tables saved, and stop somewhere on the way.

    Args:
        first: The arguments of a pair that is written and saved before.
        second: Those of the pair in question.
        operations: The number of file operations that are done.
    """
    return [
        Step("write_pair", first),
        Step("flush"),
        Step("work", (3, None)),
        Step("write_pair", second),
        Step("work", (3, operations)),
    ]


class _Planner:
    def __init__(self, medium: str, seed: int) -> None:
        self._medium = medium
        self._seed = seed
        self._random = Random(f"{medium} {seed}")
        self._number = 0
        self._weights = {**_ALWAYS, **(_WITH_PEERS if medium == "cr-sqlite tabular" else {})}

    def plan(self) -> Plan:
        chance = self._random
        is_deadly = self._seed % 2 == 0
        lives = [self._life(is_deadly) for _ in range(chance.choice((1, 1, 2) if is_deadly else (0, 1, 2)))]
        return Plan(self._medium, chance.random() < 0.5, (*lives, self._life(is_deadly=False)))

    def _life(self, is_deadly: bool) -> Life:
        chance = self._random
        early = tuple(self._step(_PARTS) for _ in range(chance.choice((0, 0, 2))))
        steps: list[Step] = []
        for _ in range(chance.randint(*_STEPS_A_LIFE)):
            step = self._step(self._weights)
            steps += self._saved_in_parts() if step.kind == _SAVED_IN_PARTS else [step]
        fatal = chance.randint(1, _LONGEST_WAY_TO_A_KILL) if is_deadly else None
        return Life(early, tuple(steps), fatal)

    def _saved_in_parts(self) -> list[Step]:
        first, second = self._args("write_pair"), self._args("write_pair")
        return saved_in_parts(first, second, self._random.randint(1, 12))

    def _step(self, weights: _Weights) -> Step:
        (kind,) = self._random.choices(list(weights), list(weights.values()))
        return Step(kind, self._args(kind))

    def _args(self, kind: str) -> tuple[Any, ...]:
        chance = self._random
        match kind:
            case "write" | "foreign_write" | "peer_write":
                return chance.choice(ROWS), chance.choice(CELLS), self._value()
            case "drop_cell" | "foreign_drop_cell":
                return chance.choice(ROWS), chance.choice(CELLS)
            case "drop_row" | "foreign_drop_row" | "peer_drop_row":
                return (chance.choice(ROWS),)
            case "replace_row":
                cell_ids = chance.sample(CELLS, chance.randint(1, len(CELLS)))
                return chance.choice(ROWS), {cell_id: self._value() for cell_id in cell_ids}
            case "write_pair":
                return chance.choice(PAIRS), self._value()
            case "write_value":
                return chance.choice(VALUE_IDS), self._value()
            case "transaction":
                return (tuple(self._step(_PARTS) for _ in range(3)),)
            case "turn":
                return (chance.choice((1, 1, 2, 3, 10)),)
            case "work":
                return chance.choice((0, 2, 4)), chance.choice((None, 1, 2, 3, 4, 5, 6, 7, 9, 11))
            case "wait":
                return (chance.choice((0.01, 0.1, 1.0)),)
            case "fault":
                return chance.choice(FAULTS), chance.choice((0, 0, 1, 2, 4))
            case _:
                return ()

    def _value(self) -> Any:
        self._number += 1
        number = self._number
        if self._random.random() < 0.1:
            return self._random.choice((None, True, False, ""))
        forms: tuple[Any, ...] = (number, f"t{number}", number + 0.5, {"n": number}, [number], -number)
        return self._random.choice(forms)
