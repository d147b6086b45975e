"""Who may enter: tokens, and the names of rooms."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

from replicell.sync.errors import RoomNameError
from replicell.sync.server_session import Access

__all__ = ["MAX_ROOM_NAME", "StaticTokens", "room_file_name", "room_name"]

MAX_ROOM_NAME: Final = 100
_HEALTH: Final = "healthz"
_MAX_FILE_NAME: Final = 240
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")


class StaticTokens:
    """Knows a fixed set of tokens; without any, everybody may do everything.

    Args:
        write: Tokens whose bearers may read and write.
        read: Tokens whose bearers may only read.
    """

    def __init__(self, write: Iterable[str] = (), read: Iterable[str] = ()) -> None:
        self._known = [(token.encode(), Access(write=True)) for token in write]
        self._known += [(token.encode(), Access(write=False)) for token in read]

    @property
    def open_to_all(self) -> bool:
        """Whether no token is needed."""
        return not self._known

    def access(self, token: str | None) -> Access | None:
        """Return what the bearer of a token may do, None for nothing; it takes as long for every token of a
        length."""
        if not self._known:
            return Access(write=True)
        if token is None:
            return None
        given = token.encode(errors="surrogatepass")
        found: Access | None = None
        for known, access in self._known:
            if hmac.compare_digest(given, known) and found is None:
                found = access
        return found


def room_name(path: str) -> str:
    """Return the name of the room that an address's path stands for.

    Args:
        path: The path as it came, percent-encoded, without the query.

    Raises:
        RoomNameError: The name is empty, longer than 100 characters, or holds control characters, a
            backslash, or an empty, ``.`` or ``..`` segment; or it is ``healthz``.

    >>> room_name("/my-room")
    'my-room'
    >>> room_name("/../secret")
    Traceback (most recent call last):
    ...
    replicell.sync.errors.RoomNameError: the room name '../secret' is not allowed: ...
    """
    try:
        name = unquote(path.removeprefix("/"), errors="strict")
    except UnicodeDecodeError as error:
        raise RoomNameError("the room name is not valid UTF-8") from error
    if not 0 < len(name) <= MAX_ROOM_NAME or not name.isprintable() or "\\" in name:
        rule = f"it has 1 to {MAX_ROOM_NAME} printable characters and no backslash"
    elif any(segment in ("", ".", "..") for segment in name.split("/")):
        rule = "its segments are not empty, '.' or '..'"
    elif name == _HEALTH:
        rule = "that address tells whether the server is well"
    elif len(room_file_name(name)) > _MAX_FILE_NAME:
        rule = "it is too long for a file name"
    else:
        return name
    raise RoomNameError(f"the room name {name[:MAX_ROOM_NAME]!r} is not allowed: {rule}")


def room_file_name(name: str) -> str:
    """Return the file name of a room's database; no two rooms have the same, on any file system.

    >>> room_file_name("my-room")
    'my-room.db'
    >>> room_file_name("Team/plans")
    '%54eam%2Fplans.db'
    """
    # Capitals are escaped too, because some file systems do not tell them from small letters.
    escaped = (
        character if character in _PLAIN else "".join(f"%{byte:02X}" for byte in character.encode())
        for character in name
    )
    return "".join(escaped) + ".db"
