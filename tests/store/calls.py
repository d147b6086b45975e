"""Recording what listeners are called with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Calls"]


class Calls:
    """Makes listeners that write down their name and arguments, the store left out.

    Functions among the arguments are called if they take no argument, and left out otherwise.
    """

    def __init__(self) -> None:
        self.made: list[tuple[Any, ...]] = []

    def named(self, name: str) -> Callable[..., None]:
        """Return a listener that goes by this name."""

        def listener(store: object, *arguments: Any) -> None:
            self.made.append((name, *[_told(it) for it in arguments if not _wants_arguments(it)]))

        return listener

    def taken(self) -> list[tuple[Any, ...]]:
        """Return the calls made since last asked."""
        made, self.made = self.made, []
        return made


def _told(argument: Any) -> Any:
    return argument() if callable(argument) else argument


def _wants_arguments(argument: Any) -> bool:
    return getattr(argument, "__name__", "") in ("_get_cell_change", "_get_value_change")
