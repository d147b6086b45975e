"""A family of scripts: how one is run and written, which cases it has, and what is mended for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.conformance.case import Case
from tests.conformance.twin import Script, Trace

__all__ = ["Family", "Patch", "first_difference"]


@dataclass(frozen=True)
class Patch:
    """One replacement in the source of a module of TinyBase, which must fit in exactly one place.

    A defect of TinyBase that replicell mends is mended in a second copy of TinyBase too, and scripts that
    touch it are compared with that copy. Scripts that touch none of them are compared with TinyBase exactly
    as it was published. `documented` is what docs/differences.md says of it.
    """

    name: str
    documented: str
    reason: str
    original: str
    mended: str
    module: str = "store"


def first_difference(original: Trace, ours: Trace) -> int | None:
    """The index of the first event in which two traces differ, or None."""
    for index, (theirs, own) in enumerate(zip(original, ours, strict=False)):
        if theirs != own or repr(theirs) != repr(own):
            return index
    return None if len(original) == len(ours) else min(len(original), len(ours))


@dataclass(frozen=True, eq=False)
class Family:
    """What the harness has to know of one of the three families.

    `run_alike` runs a script once more where the traces differ, without what makes the order of events
    another one on purpose; `is_whole` tells whether a script that was made smaller still means anything.
    """

    name: str
    rows: Iterable[int]
    cases: tuple[Case, ...]
    patches: tuple[Patch, ...]
    scripts: int
    random_script: Callable[[int], Script]
    run: Callable[[Script], Trace]
    run_alike: Callable[[Script], Trace] | None = None
    first_difference: Callable[[Trace, Trace], int | None] = first_difference
    is_whole: Callable[[Script], bool] = lambda script: True

    @property
    def folder(self) -> Path:
        """Where the family's runner.mjs and its recordings are."""
        return Path(__file__).with_name(self.name)
