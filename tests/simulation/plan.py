"""What the machines of a simulation need of the world around them."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from replicell.sync.actions import SessionOptions
from tests.simulation.network import Clock, Weather

if TYPE_CHECKING:
    from tests.simulation.nodes import Client, Machine

Fate: TypeAlias = Literal["fine", "crash before commit", "crash after commit", "disk fails"]


class Plan(Protocol):
    """The world as the machines see it."""

    clock: Clock
    rng: Random
    weather: Weather
    options: SessionOptions

    def fate_of_job(self, machine: Machine) -> Fate:
        """Decide what becomes of a job."""
        ...

    def crash(self, machine: Machine) -> None:
        """Stop a machine, and let it come back some time."""
        ...

    def check(self, machine: Machine) -> None:
        """Look at what a machine has just committed."""
        ...

    def ends(self, machine: Machine) -> None:
        """Look at a process that is about to end."""
        ...

    def started(self, machine: Machine) -> None:
        """Look at a process that has opened its file."""
        ...

    def reconnect_later(self, client: Client) -> None:
        """Let a client that lost its connection try again."""
        ...

    def digest(self, where: str, content: bytes) -> None:
        """Take note of a frame that has arrived."""
        ...

    def closed(self, reason: str) -> None:
        """Note why a session closed its connection."""
        ...
