"""A network and a clock for the simulation: everything happens at a moment that the seed decides."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from random import Random


@dataclass
class Weather:
    """How bad the network is.

    Args:
        loss: Part of the frames that get lost.
        duplication: Part of the frames that come twice.
        reordering: Part of the frames that overtake others or are overtaken.
        latency: The longest that a frame takes, in seconds.
    """

    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    latency: float = 0.05


class Clock:
    """Virtual time: runs what is due, in order."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = count()

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """Let something happen later."""
        heapq.heappush(self._due, (self.now + seconds, next(self._numbers), event))

    def step(self) -> bool:
        """Let the next thing happen; False if there is none."""
        if not self._due:
            return False
        moment, _, event = heapq.heappop(self._due)
        self.now = max(self.now, moment)
        event()
        return True


class Pipe:
    """One direction of a connection."""

    def __init__(
        self, clock: Clock, rng: Random, weather: Weather, deliver: Callable[[bytes | str], None]
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._weather = weather
        self._deliver = deliver
        self._last = 0.0
        self.open = True

    def send(self, frame: bytes | str, *, sheltered: bool) -> None:
        """Put a frame on its way.

        Args:
            frame: The frame.
            sheltered: Whether it arrives for certain, and in order, as on a real websocket.
        """
        weather, rng = (Weather(latency=self._weather.latency) if sheltered else self._weather), self._rng
        if rng.random() < weather.loss:
            return
        for _ in range(2 if rng.random() < weather.duplication else 1):
            arrival = self._clock.now + rng.random() * weather.latency
            if rng.random() >= weather.reordering:
                arrival = self._last = max(arrival, self._last)
            self._clock.after(arrival - self._clock.now, lambda: self._arrive(frame))

    def _arrive(self, frame: bytes | str) -> None:
        if self.open:
            self._deliver(frame)
