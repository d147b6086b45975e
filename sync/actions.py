"""What a session wants done: the only way it touches the world.

A session calls ``emit`` with one action at a time, in order. The shell around it moves the bytes and runs the
jobs; the simulation does the same with a clock and a network of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from replicell.persisters.crsqlite.epochs import Cursor
from replicell.persisters.crsqlite.rules import Refusal
from replicell.sync.jobs import Batch, Job
from replicell.sync.messages import AskPart, Snapshot

__all__ = [
    "CLOSE_CODES",
    "Action",
    "AdoptSnapshot",
    "Authenticate",
    "Close",
    "Emit",
    "FindSnapshot",
    "Later",
    "Progress",
    "ReadSnapshot",
    "Reidentify",
    "Send",
    "SessionOptions",
    "Validate",
]

CLOSE_CODES: Final = {
    "restart": 1012,
    "internal": 1011,
    "malformed": 4400,
    "unauthorized": 4401,
    "forbidden": 4403,
    "no_room": 4404,
    "idle": 4407,
    "timeout": 4408,
    "replaced": 4409,
    "forked": 4410,
    "expired": 4419,
    "protocol": 4422,
    "too_many": 4429,
}
"""Websocket close codes by the reason that goes with them."""


@dataclass(frozen=True, slots=True)
class Send:
    """Send a frame: binary if it is bytes, text if it is a string."""

    frame: bytes | str


@dataclass(frozen=True, slots=True)
class Close:
    """Close the connection.

    Args:
        reason: A key of `CLOSE_CODES`.
        message: For people.
    """

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Reidentify:
    """Give the client's database a new site id and connect anew.

    Args:
        message: Why, for people.
    """

    message: str


@dataclass(frozen=True, slots=True)
class AdoptSnapshot:
    """Take a snapshot over into the client's database and connect anew.

    Args:
        path: Its file.
        cursor: How far it has the server's changes.
    """

    path: str
    cursor: Cursor


@dataclass(frozen=True, slots=True, eq=False)
class FindSnapshot:
    """Find a snapshot of the room, or make one.

    Args:
        wanted: The one that a client has begun to fetch, empty for none.
        done: To be called with what there is to say of it.
        failed: To be called with the exception if there is none.
    """

    wanted: bytes
    done: Callable[[Snapshot], None]
    failed: Callable[[BaseException], None]


@dataclass(frozen=True, slots=True, eq=False)
class ReadSnapshot:
    """Read a part of a snapshot.

    Args:
        part: Which.
        done: To be called with its bytes, none if the snapshot is gone.
        failed: To be called with the exception if it cannot be read.
    """

    part: AskPart
    done: Callable[[bytes], None]
    failed: Callable[[BaseException], None]


@dataclass(frozen=True, slots=True)
class Progress:
    """Something about the session has changed that its owner may want to look at."""


@dataclass(frozen=True, slots=True)
class Later:
    """Call a function when some time has passed, even if the connection has ended meanwhile.

    Args:
        seconds: How long from now.
        call: Called without arguments.
    """

    seconds: float
    call: Callable[[], object]


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Find out whether a token is good, and tell the session with `renewed` or `not_renewed`.

    Args:
        token: What the client has sent.
    """

    token: str


@dataclass(frozen=True, slots=True, eq=False)
class Validate:
    """Have changes judged by their content before they are applied.

    Args:
        batches: The changes.
        done: To be called with those that are refused.
        failed: To be called with the exception if they could not be judged.
    """

    batches: list[Batch]
    done: Callable[[list[Refusal]], None]
    failed: Callable[[BaseException], None]


Action: TypeAlias = (
    Send
    | Close
    | Reidentify
    | AdoptSnapshot
    | FindSnapshot
    | ReadSnapshot
    | Progress
    | Later
    | Authenticate
    | Validate
    | Job[Any]
)

Emit: TypeAlias = Callable[[Action], None]


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Times and sizes that both kinds of session keep to.

    Args:
        handshake_timeout: Seconds until a connection that has not got through its handshake is closed.
        heartbeat_interval: Seconds after which it is asked about what was sent and is not acknowledged.
        window_bytes: How many bytes may be sent and not acknowledged.
        window_batches: How many batches may be.
        part_bytes: About the biggest frame of changes.
        part_changes: The most changes in a frame.
        transaction_bytes: The biggest transaction that is held back until it is complete; a bigger one is
            applied in pieces.
        snapshot_bytes: How big a room's file must be for a client that has nothing yet to fetch the room as a
            file, in place of its changes; None for never. A client fetches none either where it says None.
    """

    handshake_timeout: float = 10.0
    heartbeat_interval: float = 5.0
    window_bytes: int = 1024 * 1024
    window_batches: int = 256
    part_bytes: int = 256 * 1024
    part_changes: int = 1000
    transaction_bytes: int = 64 * 1024 * 1024
    snapshot_bytes: int | None = 4 * 1024 * 1024
