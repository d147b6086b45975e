"""When to try again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Backoff"]


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long a client waits between attempts to connect: longer each time, and by chance, so that not all
    come at once.

    Args:
        initial: Seconds: the most that the first wait may take.
        maximum: Seconds: the most that any wait may take.
        factor: How much longer each further wait may be.
        refused: Seconds after a refusal (a wrong token, a protocol that is not spoken), which haste does not
            cure.
        random: Gives numbers from 0 to 1.

    >>> backoff = Backoff(initial=1, maximum=5, random=lambda: 0.5)
    >>> [backoff.delay(attempt) for attempt in range(4)]
    [0.5, 1.0, 2.0, 2.5]
    """

    initial: float = 0.1
    maximum: float = 15.0
    factor: float = 2.0
    refused: float = 60.0
    random: Callable[[], float] = random.random

    def delay(self, attempt: int) -> float:
        """Return the seconds to wait before a further attempt; attempts that failed in a row count from 0."""
        # The exponent is capped, for a client may try for months.
        return self.random() * float(min(self.maximum, self.initial * self.factor ** min(attempt, 64)))
