"""The errors of the sync layer::

SyncError
├── SyncClosedError       something was asked of a client or server that is closed
├── SyncTimeoutError      what was waited for did not come about in time
├── RefusedError          the server refuses this client until something is changed
├── AccessDeniedError     raised by an authenticate hook: this request is refused, for this reason
├── KeySetError           the keys that tokens are checked with cannot be had now
├── MissingPackageError   an optional package is needed and not installed
├── BackplaneError        the backplane of a cluster cannot do what a node asks of it
├── ProtocolError         the other side sent what the protocol does not allow
│   └── DecodeError       a frame that is no message of this protocol
├── PresenceError         a presence state that cannot be shown
├── RoomNameError         a room name that is not allowed
├── NoRoomError           a room is not there, and who asks for it may not make it
└── TooManyRoomsError     the server has all the rooms it takes
"""

from __future__ import annotations

from replicell.errors import ReplicellError

__all__ = [
    "AccessDeniedError",
    "DecodeError",
    "KeySetError",
    "MissingPackageError",
    "NoRoomError",
    "PresenceError",
    "ProtocolError",
    "RefusedError",
    "RoomNameError",
    "SyncClosedError",
    "SyncError",
    "SyncTimeoutError",
    "TooManyRoomsError",
]


class SyncError(ReplicellError):
    """Base of all errors raised by replicell.sync."""


class SyncClosedError(SyncError):
    """Something was asked of a client or server that is closed or not started."""


class SyncTimeoutError(SyncError, TimeoutError):
    """What was waited for did not come about in time."""


class RefusedError(SyncError, PermissionError):
    """The server refuses this client until its token, its address or its data are put right.

    Attributes:
        code: The reason, for programs; one of `replicell.sync.messages.ProblemCode`.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class AccessDeniedError(SyncError, PermissionError):
    """A request is refused; an ``authenticate`` hook raises it to say why.

    Args:
        reason: Why, for the one who asks; it is sent back.
        forbidden: Whether it is known who asks, and that one may not (403, or close code 4403). Otherwise
            it is not known, and another token would help (401, 4401).
    """

    def __init__(self, reason: str, *, forbidden: bool = False) -> None:
        super().__init__(reason)
        self.forbidden = forbidden


class KeySetError(SyncError):
    """The keys that tokens are checked with cannot be had now, so nobody knows whether a token is valid."""


class MissingPackageError(SyncError, ImportError):
    """An optional package is needed and not installed."""


class ProtocolError(SyncError, ValueError):
    """The other side sent something that the protocol does not allow, so the connection is closed.

    Attributes:
        code: The reason, for programs; one of `replicell.sync.messages.ProblemCode`.
    """

    def __init__(self, message: str, code: str = "protocol") -> None:
        super().__init__(message)
        self.code = code


class DecodeError(ProtocolError):
    """A frame that is no message of this protocol."""

    def __init__(self, message: str) -> None:
        super().__init__(message, "malformed")


class PresenceError(SyncError, ValueError):
    """A presence state is no JSON object, or is bigger than what is taken."""


class RoomNameError(SyncError, ValueError):
    """A room name that is too long or holds characters that are not allowed."""


class NoRoomError(SyncError):
    """A room is not there, and who asks for it may only read, so it is not made."""


class TooManyRoomsError(SyncError):
    """A room cannot be opened or made, because the server has all the rooms it takes."""
