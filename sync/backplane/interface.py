"""What server nodes share a room through: a replicated log for each room, seen from one node."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from replicell.sync.errors import SyncError

__all__ = [
    "Backplane",
    "BackplaneError",
    "ConnectionReplacedError",
    "Entry",
    "RoomLog",
    "StreamReplacedError",
    "TrimmedError",
    "UnfitStreamError",
    "UnreachableError",
]


class BackplaneError(SyncError):
    """The backplane cannot do what a node asks of it."""


class UnreachableError(BackplaneError):
    """The backplane does not answer; it is asked again until it does."""


class UnfitStreamError(UnreachableError):
    """A log is there that would not keep what it is given; nothing is acknowledged until that is mended."""


class TrimmedError(BackplaneError):
    """The log no longer holds all entries after a position: a snapshot comes first."""


class ConnectionReplacedError(BackplaneError):
    """The log was opened through a connection that is no more; what was listened to is heard no more."""


class StreamReplacedError(BackplaneError):
    """The log is another one than before, so positions in it mean nothing any more."""


class Entry(NamedTuple):
    """Something that a node has appended to a room's log.

    Args:
        sequence: Its place; of two entries of a room the later one has the greater.
        payload: What was appended.
    """

    sequence: int
    payload: bytes


class RoomLog(Protocol):
    """One room's log.

    Every method may take as long as the backplane is out of reach: it waits and tries again by itself.
    """

    @property
    def identity(self) -> str:
        """Names this very log; one that was deleted and made anew has another."""
        ...

    @property
    def max_payload(self) -> int:
        """The biggest payload of an entry, in bytes."""
        ...

    async def append(self, payload: bytes, message_id: str) -> int:
        """Append an entry, and return its sequence once it is replicated.

        Args:
            payload: At most `max_payload` bytes.
            message_id: Unique among all entries of all nodes; the same one again within some minutes
                appends nothing.

        Raises:
            StreamReplacedError: The log is not the one that was opened.
        """
        ...

    async def last(self) -> int:
        """Return the sequence of the newest entry that is there or in a snapshot, 0 for none."""
        ...

    def follow(self, after: int) -> AsyncGenerator[Sequence[Entry], None]:
        """Give all entries after a sequence, in order and without a gap, for as long as one listens.

        Raises:
            TrimmedError: Some of them are gone, and `load_snapshot` has what was in them.
            StreamReplacedError: The log is not the one that was opened.
        """
        ...

    async def save_snapshot(self, content: Path, position: int) -> bool:
        """Keep a file that holds all of the room up to a position, and drop the entries up to there.

        Returns:
            False if there is a newer one already.
        """
        ...

    async def load_snapshot(self, target: Path, arrived: Callable[[], None] | None = None) -> int | None:
        """Write the newest snapshot to a file.

        Args:
            target: The file.
            arrived: Called with each piece that has come, for whoever wants to know that it gets on.

        Returns:
            Its position; None, and no file, if there is none.

        Raises:
            BackplaneError: It is damaged.
        """
        ...

    async def snapshot_position(self) -> int:
        """Return the position of the newest snapshot, 0 for none."""
        ...

    async def tell(self, payload: bytes) -> None:
        """Send something to the nodes that have the room open now; it may get lost."""
        ...

    async def listen(self, listener: Callable[[bytes], None]) -> None:
        """Call a function with what is told, one's own words included."""
        ...

    async def close(self) -> None:
        """Stop listening; what is still being appended is given up."""
        ...


class Backplane(Protocol):
    """Where the nodes of a cluster meet. One object serves one `replicell.sync.SyncServer`, except an
    `InProcessBackplane`."""

    @property
    def shared(self) -> bool:
        """Whether there may be other nodes; if not, nothing is logged and a commit is all there is to
        wait for."""
        ...

    @property
    def connected(self) -> bool:
        """Whether the logs can be reached and appended to just now, as far as is known."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why nothing is acknowledged, if that is more than a pause such as the loss of a machine makes; None
        if all is well."""
        ...

    async def start(self) -> None:
        """Begin to connect; returns at once, also when nobody can be reached yet."""
        ...

    async def close(self) -> None:
        """Disconnect."""
        ...

    async def open_room(self, name: str) -> RoomLog:
        """Open a room's log; waits until the backplane can be reached."""
        ...
