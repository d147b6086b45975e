"""How many messages beside changes a client may send in a moment."""

from __future__ import annotations

from typing import Final

from replicell.sync.actions import Emit, Later

__all__ = ["MOST_IN_A_MOMENT", "Chatter"]

_MOMENT: Final = 0.02
MOST_IN_A_MOMENT: Final = 100
"""A second's worth is several times what a client says that is told of a thousand edits a second; a moment's
is over in some milliseconds, for which the others wait."""


class Chatter:
    """Counts what a client says beside its changes, so that it is not listened to without end.

    Such messages cost little each, and nothing else holds back who sends them: changes wait for their turn,
    and questions for their answers.

    Args:
        emit: Takes the `Later` action that ends a moment in which too much was said.
    """

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._count = 0
        self._until = float("-inf")

    @property
    def is_too_much(self) -> bool:
        """Whether no more should be read until the moment is over."""
        return self._count >= MOST_IN_A_MOMENT

    def note(self, now: float) -> None:
        """The client has said something.

        Args:
            now: The time in seconds, from any clock that only goes forward.
        """
        if now >= self._until:
            self._count = 0
            self._until = now + _MOMENT
        self._count += 1
        if self._count == MOST_IN_A_MOMENT:
            self._emit(Later(self._until - now, self._is_over))

    def _is_over(self) -> None:
        self._count = 0
