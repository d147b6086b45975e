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
        buffer_bytes: How much may be under way in one direction before its sender is held.
    """

    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    latency: float = 0.05
    buffer_bytes: int = 1_000_000

    def sheltered(self) -> Weather:
        """The same without losses and disorder."""
        return Weather(latency=self.latency, buffer_bytes=self.buffer_bytes)


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

    def run_until(self, moment: float) -> None:
        """Let everything happen up to a moment."""
        while self._due and self._due[0][0] <= moment:
            self.step()
        self.now = max(self.now, moment)


def as_bytes(frame: bytes | str) -> bytes:
    """Return a frame as it is on the wire."""
    return frame.encode() if isinstance(frame, str) else frame


class Pipe:
    """One direction of a connection: a buffer that may be full, and a wire that may be blocked.

    Args:
        clock: Virtual time.
        rng: Decides how long each frame takes, and whether it arrives.
        weather: How likely that is.
        deliver: Takes what arrives.
        hold: Told when the buffer is full, and when it has room again.
    """

    def __init__(
        self,
        clock: Clock,
        rng: Random,
        weather: Weather,
        deliver: Callable[[bytes | str], None],
        hold: Callable[[bool], None],
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._weather = weather
        self._deliver = deliver
        self._hold = hold
        self._last = 0.0
        self._buffered = 0
        self._held = False
        self.open = True

    def block(self, seconds: float) -> None:
        """Let nothing that is sent from now on arrive before some time has passed."""
        self._last = max(self._last, self._clock.now + seconds)

    def send(self, frame: bytes | str, *, sheltered: bool) -> None:
        """Put a frame on its way.

        Args:
            frame: The frame.
            sheltered: Whether it arrives for certain, and in order, as on a real websocket.
        """
        weather, rng = (self._weather.sheltered() if sheltered else self._weather), self._rng
        if rng.random() < weather.loss:
            return
        for _ in range(2 if rng.random() < weather.duplication else 1):
            arrival = self._clock.now + rng.random() * weather.latency
            if rng.random() >= weather.reordering:
                arrival = self._last = max(arrival, self._last)
            self._buffered += len(frame)
            self._clock.after(arrival - self._clock.now, lambda: self._arrive(frame))
        if self._buffered > weather.buffer_bytes and not self._held:
            self._held = True
            self._hold(True)

    def _arrive(self, frame: bytes | str) -> None:
        if not self.open:
            return
        self._buffered -= len(frame)
        self._deliver(frame)
        if self._held and self._buffered <= self._weather.buffer_bytes // 2:
            self._held = False
            self._hold(False)
