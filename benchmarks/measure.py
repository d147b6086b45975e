"""Lines of the figures: two sides measured by turns, medians, and targets."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Figure", "Line", "Target", "alternate", "at_most", "cost", "speed"]

Unit = Literal["s", "bytes"]
REPETITIONS = 5
WARM_UPS = 3


@dataclass(frozen=True)
class Target:
    """What a line is to reach: a description and a test on (ours, theirs)."""

    text: str
    is_met: Callable[[float, float], bool]


def speed(times: float) -> Target:
    """At least so many times as fast as the peer."""
    return Target(f"≥ {times:g} times as fast", lambda ours, theirs: theirs / ours >= times)


def cost(times: float) -> Target:
    """At most so many times what the peer takes."""
    return Target(f"≤ {times:g} times the cost", lambda ours, theirs: ours / theirs <= times)


def at_most(limit: float, text: str) -> Target:
    """At most so much, whatever a peer takes."""
    return Target(f"≤ {text}", lambda ours, theirs: ours <= limit)


@dataclass(frozen=True)
class Figure:
    """One finished line: ours and the peer's median, each for one operation.

    `ratio` says how the two are compared: "speed" is theirs/ours, "cost" is ours/theirs.
    """

    section: str
    name: str
    ours: float
    peer: str
    theirs: float
    target: Target | None = None
    ratio: Literal["speed", "cost"] = "speed"
    unit: Unit = "s"
    note: str = ""

    @property
    def factor(self) -> float:
        return self.theirs / self.ours if self.ratio == "speed" else self.ours / self.theirs

    @property
    def is_met(self) -> bool | None:
        return None if self.target is None else self.target.is_met(self.ours, self.theirs)


@dataclass(frozen=True)
class Line:
    """A line to be measured: two runs that each give the seconds (or bytes) of `operations` operations."""

    section: str
    name: str
    operations: int
    ours: Callable[[], float]
    peer: str
    theirs: Callable[[], float]
    target: Target | None = None
    ratio: Literal["speed", "cost"] = "speed"
    unit: Unit = "s"
    note: str = ""
    repetitions: int = REPETITIONS
    warm_ups: int = field(default=WARM_UPS)

    def measure(self) -> Figure:
        ours, theirs = alternate(self.ours, self.theirs, self.repetitions, self.warm_ups)
        return Figure(
            self.section,
            self.name,
            ours / self.operations,
            self.peer,
            theirs / self.operations,
            self.target,
            self.ratio,
            self.unit,
            self.note,
        )


def alternate(
    ours: Callable[[], float], theirs: Callable[[], float], repetitions: int, warm_ups: int
) -> tuple[float, float]:
    """Run both sides by turns and give the median of each, so that a busy machine is busy for both."""
    own: list[float] = []
    other: list[float] = []
    for turn in range(-warm_ups, repetitions):
        our_run, their_run = ours(), theirs()
        if turn >= 0:
            own.append(our_run)
            other.append(their_run)
    return statistics.median(own), statistics.median(other)
