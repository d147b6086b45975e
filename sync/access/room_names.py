"""The names of rooms, and of their files."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote

from replicell.sync.errors import RoomNameError

__all__ = ["MAX_ROOM_NAME", "room_file_name", "room_name", "room_of_file"]

MAX_ROOM_NAME: Final = 100
_TAKEN: Final = frozenset(("healthz", "readyz", "metrics"))
_MAX_FILE_NAME: Final = 240
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")


def room_name(path: str) -> str:
    """Return the name of the room that an address's path stands for.

    Args:
        path: The path as it came, percent-encoded, without the query.

    Raises:
        RoomNameError: The name is empty, longer than 100 characters, or holds control characters, a
            backslash, or an empty, ``.`` or ``..`` segment; or it is ``healthz``, ``readyz`` or ``metrics``.

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
    elif name in _TAKEN:
        rule = "that address tells how the server is doing"
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
    '=54eam=2Fplans.db'
    """
    # Capitals are escaped too, because some file systems do not tell them from small letters; and not with a
    # percent sign, which programs that make a URI of a file's name take for an escape of their own.
    escaped = (
        character if character in _PLAIN else "".join(f"={byte:02X}" for byte in character.encode())
        for character in name
    )
    return "".join(escaped) + ".db"


def room_of_file(file_name: str) -> str | None:
    """Return the name of the room that a file holds, None for a file that is no room's.

    >>> room_of_file("=54eam=2Fplans.db"), room_of_file("notes.txt")
    ('Team/plans', None)
    """
    if not file_name.endswith(".db"):
        return None
    try:
        name = unquote(file_name.removesuffix(".db").replace("=", "%"), errors="strict")
    except UnicodeDecodeError:
        return None
    return name if name and room_file_name(name) == file_name else None
