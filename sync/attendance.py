"""Who is there: connections in all and per address, and how much each identity may still do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Literal, NamedTuple

from replicell.sync.access.identity import Identity
from replicell.sync.client_addresses import neighbourhood
from replicell.sync.limits import Limits, TokenBucket

__all__ = ["Attendance", "Party", "Seat", "party_of"]

_ATTEMPTS_AT_ONCE = 10.0
"""Seconds' worth of attempts to connect that may come at once: after a restart all come back together."""
_SPARE_SEATS = 64
"""Connections beyond the limit that are still listened to, so that they can be told why they must go."""


class Party(NamedTuple):
    """Those who have one allowance together.

    Args:
        kind: What they have in common; a name may look like an address.
        name: The identity's name, or the address.
    """

    kind: Literal["name", "address"]
    name: str


def party_of(identity: Identity, address: str) -> Party:
    """Return to whom somebody belongs: all of the same name, or of the nameless all from the same address."""
    return Party("name", identity.name) if identity.name else Party("address", neighbourhood(address))


class Attendance:
    """Counts the connections of a server.

    Args:
        limits: How many there may be.
        clock: The time in seconds, from any clock that only goes forward.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._by_address: Counter[str] = Counter()
        self._attempts: dict[str, TokenBucket] = {}
        self._buckets: dict[Party, TokenBucket] = {}
        self._using: Counter[Party] = Counter()
        self.connections = 0

    @property
    def overcrowded(self) -> bool:
        """Whether there are so many that another one cannot even be told."""
        limit = self._limits.connections
        return limit is not None and self.connections >= limit + _SPARE_SEATS

    def tick(self) -> None:
        """Forget about those who have gone and have no debts."""
        for key in [key for key, bucket in self._buckets.items() if not self._using[key] and bucket.full]:
            del self._buckets[key], self._using[key]
        for where in [where for where, bucket in self._attempts.items() if bucket.full]:
            del self._attempts[where]

    def attempt(self, address: str) -> float:
        """Somebody tries to connect from an address.

        Returns:
            After how many seconds that would be in time; 0 if it is.
        """
        rate, where = self._limits.connects_per_second, neighbourhood(address)
        if rate is None:
            return 0.0
        if where not in self._attempts:
            self._attempts[where] = TokenBucket(rate, max(1.0, rate * _ATTEMPTS_AT_ONCE), self._clock)
        return self._attempts[where].take_if_there(1.0)

    def refusal(self, address: str) -> str | None:
        """Tell why a connection that has arrived may not stay, None if it may."""
        limits, where = self._limits, neighbourhood(address)
        if limits.connections is not None and self.connections > limits.connections:
            return f"the server has all the {limits.connections} connections it takes: try again later"
        most = limits.connections_per_address
        if most is not None and self._by_address[where] >= most:
            return f"there are already {most} connections from {where}: close one, or try again later"
        return None

    def count(self, address: str, by: int) -> None:
        """A connection from an address has been let in (1) or has gone (-1)."""
        where = neighbourhood(address)
        self._by_address[where] += by
        if not self._by_address[where]:
            del self._by_address[where]

    def bucket(self, party: Party) -> TokenBucket | None:
        """Return what somebody may do, for all connections together; None for anything."""
        if self._limits.changes_per_second is None:
            return None
        self._using[party] += 1
        if party not in self._buckets:
            self._buckets[party] = TokenBucket(
                self._limits.changes_per_second, self._limits.burst_changes, self._clock
            )
        return self._buckets[party]

    def return_bucket(self, party: Party) -> None:
        """A connection of somebody has ended."""
        if self._using[party] > 0:
            self._using[party] -= 1


class Seat:
    """One connection's place among the others, from when it arrives until it leaves.

    Args:
        attendance: Where it counts.
    """

    def __init__(self, attendance: Attendance) -> None:
        self._attendance = attendance
        self._address: str | None = None
        self._there = False

    def arrive(self) -> None:
        """The connection was made."""
        self._there = True
        self._attendance.connections += 1

    def take(self, address: str) -> str | None:
        """Stay as a client from an address.

        Returns:
            Why not, None if it may.
        """
        refusal = self._attendance.refusal(address)
        if refusal is None:
            self._address = address
            self._attendance.count(address, 1)
        return refusal

    def leave(self) -> None:
        """The connection has ended; leaving twice does nothing."""
        if not self._there:
            return
        self._there = False
        self._attendance.connections -= 1
        if self._address is not None:
            self._attendance.count(self._address, -1)
