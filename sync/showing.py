"""How often a client may show another state of itself: of what comes faster the latest counts."""

from __future__ import annotations

from collections.abc import Callable

from replicell.sync.actions import Emit
from replicell.sync.pace import Pace

__all__ = ["Showing"]


class Showing:
    """Passes a client's states on at a bounded rate, the first at once and the last for certain.

    Args:
        emit: Takes the `Later` actions by which it paces itself.
        per_second: How many states are passed on a second at most; None for all.
        show: Called with a state as JSON, or None for who takes no part any more.
    """

    def __init__(self, emit: Emit, per_second: float | None, show: Callable[[str | None], object]) -> None:
        self._show = show
        self._rest = 1 / per_second if per_second is not None else 0.0
        self._pace = Pace(emit, self._pass_on)
        self._latest: str | None = None

    def take(self, state: str | None) -> None:
        """The client shows another state, or takes no part any more."""
        self._latest = state
        self._pace.ask()

    def _pass_on(self) -> float:
        self._show(self._latest)
        return self._rest
