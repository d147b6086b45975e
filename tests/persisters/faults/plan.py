"""What happens in a history, decided by its seed alone."""

from __future__ import annotations

from random import Random
from typing import Any, Final, NamedTuple, TypeAlias

__all__ = ["CELLS", "LOCAL", "MEDIA", "PAIRS", "ROWS", "VALUE_IDS", "Life", "Plan", "Step", "make_plan"]

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
_LONGEST_WAY_TO_A_KILL: Final = 90


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
    """A history."""

    medium: str
    seed: int
    lives: tuple[Life, ...]


_Weights: TypeAlias = dict[str, int]

_PARTS: Final[_Weights] = {"write": 10, "drop_cell": 2, "drop_row": 2, "replace_row": 2, "write_pair": 3}
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
    "turn": 12,
    "work": 16,
    "wait": 5,
    "fault": 5,
    "mend": 4,
}
LOCAL: Final = frozenset((*_PARTS, "write_value", "transaction"))
"""The kinds of steps that write to the store."""

_WITH_PEERS: Final[_Weights] = {"peer_write": 5, "peer_drop_row": 1, "merge": 5, "push": 3}
_FAULTS: Final = ("full", "io", "sync", "lock", "read-only")


def make_plan(medium: str, seed: int) -> Plan:
    """Make the plan of a seed."""
    return _Planner(medium, seed).plan()


class _Planner:
    def __init__(self, medium: str, seed: int) -> None:
        self._medium = medium
        self._seed = seed
        self._random = Random(f"{medium} {seed}")
        self._number = 0
        self._weights = {**_ALWAYS, **(_WITH_PEERS if medium == "cr-sqlite tabular" else {})}

    def plan(self) -> Plan:
        chance = self._random
        is_deadly = self._seed % 3 == 0
        lives = [self._life(is_deadly) for _ in range(chance.choice((1, 1, 2) if is_deadly else (0, 1, 2)))]
        return Plan(self._medium, self._seed, (*lives, self._life(is_deadly=False)))

    def _life(self, is_deadly: bool) -> Life:
        chance = self._random
        early = tuple(self._step(_PARTS) for _ in range(chance.choice((0, 0, 2))))
        steps = tuple(self._step(self._weights) for _ in range(chance.randint(*_STEPS_A_LIFE)))
        fatal = chance.randint(1, _LONGEST_WAY_TO_A_KILL) if is_deadly else None
        return Life(early, steps, fatal)

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
                return (chance.choice((None, None, 1, 2, 3, 5, 8)),)
            case "wait":
                return (chance.choice((0.01, 0.1, 1.0)),)
            case "fault":
                return chance.choice(_FAULTS), chance.choice((0, 0, 1, 2, 4))
            case _:
                return ()

    def _value(self) -> Any:
        self._number += 1
        number = self._number
        if self._random.random() < 0.1:
            return self._random.choice((None, True, False, ""))
        forms: tuple[Any, ...] = (number, f"t{number}", number + 0.5, {"n": number}, [number], -number)
        return self._random.choice(forms)
