"""What a server lets one client, one room and all of them have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Final

from replicell.sync.errors import SyncError

__all__ = ["Limits", "TokenBucket"]

_SMALLEST_MESSAGE: Final = 128 * 1024
_NEEDED: Final = frozenset(
    ("message_bytes", "burst_changes", "presence_bytes", "handshake_seconds", "hook_seconds")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a server lets one client, one room and all of them have. None is no limit.

    Args:
        message_bytes: The biggest message that is taken, at least 131072; a bigger one ends the connection
            (1009). Clients cut theirs to fit.
        value_bytes: The biggest text or blob in a cell; a change with a bigger one is refused by name.
        changes_per_second: How many changes one identity (or address, of the nameless) may have applied a
            second, in the long run. What comes faster waits in the sender's own queue; it is not lost.
        burst_changes: How many changes may come at once before that counts.
        connections: Connections in all, those that are still shaking hands among them.
        connections_per_address: Connections from one IPv4 address, or one /64 network of IPv6.
        connects_per_second: How often somebody may try to connect from one such address, in the long run; ten
            times as often at once. Attempts that come faster are refused before anybody is asked who it is.
        open_rooms: Rooms that are open at a time.
        rooms: Rooms that there are at all, open or not, each with a file.
        tables: Tables in a room.
        columns: Columns of a table, beside its key.
        peers: Clients of a room that take part in presence; further ones are told so, and sync all the same.
        presence_bytes: The biggest presence state, as JSON.
        presence_per_second: How many presence states of one client are taken a second; of what it shows
            faster the latest counts.
        room_bytes: How big a room's database may become; changes that would make it bigger are refused by
            name, but deletions are taken until it is a tenth bigger still.
        handshake_seconds: Until when a new connection must have got through its handshakes.
        idle_seconds: After how long a connection on which the client says nothing is closed. It comes back
            when it has something to say.
        hook_seconds: How long an ``authenticate`` or ``validate`` hook may take.

    Raises:
        SyncError: A number is out of range.

    >>> Limits(connections_per_address=20).connections_per_address
    20
    """

    message_bytes: int = 1024 * 1024
    value_bytes: int | None = None
    changes_per_second: float | None = None
    burst_changes: int = 20_000
    connections: int | None = 10_000
    connections_per_address: int | None = None
    connects_per_second: float | None = None
    open_rooms: int | None = 10_000
    rooms: int | None = None
    tables: int | None = None
    columns: int | None = None
    peers: int | None = 1000
    presence_bytes: int = 4096
    presence_per_second: float | None = 50.0
    room_bytes: int | None = None
    handshake_seconds: float = 10.0
    idle_seconds: float | None = None
    hook_seconds: float = 5.0

    def __post_init__(self) -> None:
        for field in fields(self):
            limit = getattr(self, field.name)
            if limit is None and field.name in _NEEDED:
                raise SyncError(f"the limit {field.name} is needed")
            if limit is not None and not 0 < limit < float("inf"):
                raise SyncError(
                    f"the limit {field.name} is a number above 0, or None for none, not {limit!r}"
                )
        if self.message_bytes < _SMALLEST_MESSAGE:
            raise SyncError(f"message_bytes is at least {_SMALLEST_MESSAGE}, not {self.message_bytes}")


class TokenBucket:
    """Lets so much through at once, and so much a second in the long run.

    Args:
        rate: How much a second.
        burst: How much at once.
        clock: The time in seconds, from any clock that only goes forward.

    >>> now = 0.0
    >>> bucket = TokenBucket(rate=10, burst=20, clock=lambda: now)
    >>> bucket.take(20), bucket.take(5)
    (0.0, 0.5)
    >>> now = 0.5
    >>> bucket.wait
    0.0
    """

    def __init__(self, rate: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._left = burst
        self._at = clock()

    @property
    def wait(self) -> float:
        """Seconds until what was taken so far is within the limit."""
        self._refill()
        return max(0.0, -self._left / self._rate)

    @property
    def full(self) -> bool:
        """Whether nothing has been taken lately."""
        self._refill()
        return self._left >= self._burst

    def take(self, amount: float) -> float:
        """Take something, even if it is more than there is.

        Returns:
            Seconds to wait before it is within the limit.
        """
        self._refill()
        self._left -= amount
        return self.wait

    def take_if_there(self, amount: float) -> float:
        """Take something only if there is that much.

        Returns:
            Seconds to wait until there would be; 0 if it was taken.
        """
        self._refill()
        if self._left < amount:
            return (amount - self._left) / self._rate
        self._left -= amount
        return 0.0

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
