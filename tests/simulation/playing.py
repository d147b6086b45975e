"""Playing histories in tests, so that one that fails tells its course and how to play it again."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

__all__ = ["Playable", "chosen_seeds", "played"]


class Playable(Protocol):
    """A history."""

    trace: list[str]
    """Its course."""

    def run(self) -> None:
        """Live through it."""


_H = TypeVar("_H", bound=Playable)


def chosen_seeds(seeds: range, a_test: int) -> list[range]:
    """Return seeds, so many for each test; the one that ``REPLICELL_SEED`` names alone, if it names one."""
    seed = os.environ.get("REPLICELL_SEED")
    if seed is not None:
        return [range(int(seed), int(seed) + 1)]
    return [seeds[first : first + a_test] for first in range(0, len(seeds), a_test)]


def played(make: Callable[[Path], _H], folder: Path, command: str) -> _H:
    """Return a history that has come to its end; tell its course if it has not.

    Args:
        make: Returns the history, given an empty folder.
        folder: That folder, which is not there yet.
        command: The module, with its arguments, that plays it again.
    """
    folder.mkdir()
    history = make(folder)
    try:
        history.run()
    except Exception as error:
        course = "\n".join(history.trace)
        pytest.fail(f"{course}\n{type(error).__name__}: {error}\nreplay it with: python -m {command}")
    return history
