"""What a shape is, and what it says when something does not fit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

__all__ = ["MismatchError", "Shape"]


class MismatchError(Exception):
    """Something is not what a model says.

    Attributes:
        path: Where in the cell it is; the first part is the cell's id.
        value: What it is.
        rule: What it must be, in words.
    """

    def __init__(self, value: object, rule: str, path: tuple[str | int, ...] = ()) -> None:
        super().__init__(value, rule, path)
        self.value = value
        self.rule = rule
        self.path = path

    def below(self, key: str | int) -> MismatchError:
        """Return the same, seen from one level further up."""
        return MismatchError(self.value, self.rule, (key, *self.path))


class Shape(ABC):
    """What may stand in one place."""

    rule: str
    """What is asked for, in words."""

    plain: frozenset[type] = frozenset()
    """The types of what needs neither a conversion nor a further look."""

    @abstractmethod
    def read(self, held: Any) -> Any:
        """Make of JSON what the model has.

        Raises:
            MismatchError: If it is something else.
        """

    @abstractmethod
    def write(self, given: Any) -> Any:
        """Make JSON of what the model has.

        Raises:
            MismatchError: If it is something else.
        """

    def mismatch(self, value: object) -> MismatchError:
        """Return the error that says what was asked for."""
        return MismatchError(value, f"it must be {self.rule}")
