"""Who somebody is, and what that allows in which rooms."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias, get_args

from replicell.sync.errors import SyncError

__all__ = ["ANYBODY", "Authenticate", "Identity", "Request", "Right", "check_rooms"]

Right: TypeAlias = Literal["none", "read", "write"]
"""What may be done in a room; ``write`` is reading and writing."""

_RIGHTS: Final[tuple[Right, ...]] = get_args(Right)
_EVERYWHERE: Final[Mapping[str, Right]] = MappingProxyType({"*": "write"})


def check_rooms(rooms: object) -> None:
    """Refuse what does not say which rights there are in which rooms.

    Raises:
        SyncError: A pattern or a right is none.
    """
    if not isinstance(rooms, Mapping):
        raise SyncError(f'rooms says the right by room, as {{"team/*": "write"}}, not {rooms!r}')
    for pattern, right in rooms.items():
        if not isinstance(pattern, str) or not pattern or "*" in pattern[:-1]:
            raise SyncError(
                f"{pattern!r} is no room: it is a name, or the beginning of names and one * at the end"
            )
        if right not in _RIGHTS:
            raise SyncError(f"the right in {pattern!r} is one of {', '.join(_RIGHTS)}, not {right!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is known of somebody who wants to enter a room.

    Args:
        room: The room's name.
        token: The access token: from the ``Authorization: Bearer`` header, else from ``?token=`` in the
            address, else from the first message; None if there was none.
        headers: The HTTP request's headers by name in small letters; values of one that came several times
            are joined by commas.
        query: The address's query, each name with all its values.
        address: The client's address; behind a trusted proxy what that says.
        origin: The web page that a browser says it comes from, None for programs that are no browsers.
    """

    room: str
    token: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, list[str]] = field(default_factory=dict)
    address: str = ""
    origin: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who somebody is and what that allows.

    Args:
        name: A name for logs, limits and one's own hooks; empty for somebody nameless.
        rooms: What may be done where: the right by a room's name, or by the beginning of names and a ``*``.
            The longest that fits decides; in a room that none fits nothing may be done.
        expires_at: Until when this holds, in seconds since 1970; None for ever. A client that has not sent a
            new token by then is sent away.
        claims: Whatever else is known, for one's own hooks.

    Raises:
        SyncError: A right or a pattern is none, or one of the others is of another kind.

    >>> anna = Identity(name="anna", rooms={"team/*": "write", "team/archive": "read"})
    >>> anna.right("team/plans"), anna.right("team/archive"), anna.right("elsewhere")
    ('write', 'read', 'none')
    """

    name: str = ""
    rooms: Mapping[str, Right] = field(default_factory=lambda: _EVERYWHERE)
    expires_at: float | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_rooms(self.rooms)
        if not isinstance(self.name, str):
            raise SyncError(f"the name of an identity is a text, not {self.name!r}")
        ends = self.expires_at
        if ends is not None and (not isinstance(ends, int | float) or ends != ends):
            raise SyncError(f"expires_at is a number of seconds since 1970, not {ends!r}")

    def right(self, room: str) -> Right:
        """Return what may be done in a room."""
        exact = self.rooms.get(room)
        if exact is not None and not room.endswith("*"):
            return exact
        fitting = [
            pattern for pattern in self.rooms if pattern.endswith("*") and room.startswith(pattern[:-1])
        ]
        return self.rooms[max(fitting, key=len)] if fitting else "none"


ANYBODY: Final = Identity()
"""Somebody nameless who may do everything: everybody, where no token is asked for."""

Authenticate: TypeAlias = Callable[[Request], Identity | Awaitable[Identity | None] | None]
"""Finds out who sends a request. None is nobody that is known; `AccessDeniedError` refuses with a reason."""
