"""Who may do what: identities and their rights, ways to find out who somebody is, and the names of rooms."""

from replicell.sync.access.identity import ANYBODY, Authenticate, Identity, Request, Right
from replicell.sync.access.json_web_tokens import JwtTokens
from replicell.sync.access.room_names import MAX_ROOM_NAME, room_file_name, room_name, room_of_file
from replicell.sync.access.static_tokens import StaticTokens

__all__ = [
    "ANYBODY",
    "MAX_ROOM_NAME",
    "Authenticate",
    "Identity",
    "JwtTokens",
    "Request",
    "Right",
    "StaticTokens",
    "room_file_name",
    "room_name",
    "room_of_file",
]
