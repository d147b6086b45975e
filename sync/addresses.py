"""The addresses of rooms and servers, the tokens that go with them, and in plain words what went wrong on the
way."""

from __future__ import annotations

import errno
import os
import re
import socket
import ssl
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote, urlsplit

from websockets.exceptions import InvalidURI
from websockets.uri import parse_uri

from replicell.sync.errors import SyncError

__all__ = [
    "check_port",
    "check_room_url",
    "check_room_urls",
    "check_token",
    "in_plain_words",
    "without_secrets",
]

_ERROR_NUMBER: Final = re.compile(r"\[Errno (\d+)\]")
_EXAMPLE: Final = "it looks like ws://host:port/room"
_PLAIN_WORDS: Final = {
    errno.ECONNREFUSED: "connection refused, no server listens there",
    errno.ECONNRESET: "the other side broke the connection off",
    errno.ETIMEDOUT: "no answer",
    errno.EADDRINUSE: "the port is in use; choose another, or 0 for any free one",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
    errno.EACCES: "permission denied",
}


def check_room_url(url: str) -> str:
    """Return the address of a room as it is, if it can be one.

    Args:
        url: The address, as ``ws://host:port/room`` or ``wss://host/room``.

    Raises:
        SyncError: It is none.

    >>> check_room_url("ws://localhost:8040/my-room")
    'ws://localhost:8040/my-room'
    """
    try:
        parse_uri(url)
        parts = urlsplit(url)
    except (InvalidURI, ValueError, AttributeError, TypeError) as error:
        raise SyncError(f"{url!r} is not the address of a room: {_EXAMPLE}") from error
    if any(character.isspace() or not character.isprintable() for character in url):
        raise SyncError(
            f"{without_secrets(url)!r} is not the address of a room: a space is written as %20, and so on"
        )
    if not parts.path.strip("/"):
        raise SyncError(f"{without_secrets(url)!r} names a server but no room: {_EXAMPLE}")
    return url


def check_room_urls(urls: str | Iterable[str]) -> tuple[str, ...]:
    """Return the addresses of one room at one server or several, each once.

    Args:
        urls: One address, or several.

    Raises:
        SyncError: One of them is none, there is none at all, or they name different rooms.

    >>> check_room_urls(["ws://one:8040/my-room", "ws://two:8040/my-room"])
    ('ws://one:8040/my-room', 'ws://two:8040/my-room')
    """
    if isinstance(urls, str):
        return (check_room_url(urls),)
    try:
        several = tuple(dict.fromkeys(check_room_url(url) for url in urls))
    except TypeError as error:
        raise SyncError(f"{urls!r} is not the address of a room, nor several: {_EXAMPLE}") from error
    if not several:
        raise SyncError(f"no address of a room is given: {_EXAMPLE}")
    first, *others = ((unquote(urlsplit(url).path), url) for url in several)
    for path, url in others:
        if path != first[0]:
            raise SyncError(
                f"{without_secrets(first[1])} and {without_secrets(url)} name different rooms: several"
                " addresses are for one room at several servers"
            )
    return several


def check_token(token: str) -> str:
    """Return an access token as it is, if a header can carry it.

    Args:
        token: The token.

    Raises:
        SyncError: It is empty, or holds spaces or control characters.
    """
    if not isinstance(token, str) or not token:
        raise SyncError("a token is a text that is not empty: leave it out where none is needed")
    if any(character.isspace() or not character.isprintable() for character in token):
        raise SyncError(
            "a token holds no spaces, line ends or control characters: look whether it was copied whole"
        )
    return token


def check_port(port: int) -> int:
    """Return a port as it is, if a server can listen on it.

    Args:
        port: The number; 0 for any free port.

    Raises:
        SyncError: It is not a whole number from 0 to 65535.
    """
    if not isinstance(port, int) or not 0 <= port <= 65535:
        raise SyncError(f"a port is a whole number from 0 (any free one) to 65535, not {port!r}")
    return port


def without_secrets(url: str) -> str:
    """Return an address without the user, the password and the query, in which a token may be.

    >>> without_secrets("wss://anna:secret@example.org/my-room?token=secret")
    'wss://example.org/my-room'
    """
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def in_plain_words(error: Exception) -> str:
    """Return what an error of the network means, for people.

    >>> in_plain_words(ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 8040)"))
    'connection refused, no server listens there'
    """
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the server's certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return "the other side does not speak TLS as it should; is it ws:// rather than wss://?"
    if isinstance(error, socket.gaierror):
        return "the name of the host is not known"
    if isinstance(error, TimeoutError) and not str(error):
        return "no answer in time"
    numbers = _numbers(error)
    if len(numbers) == 1:
        (number,) = numbers
        return _PLAIN_WORDS.get(number) or os.strerror(number)
    return str(error) or type(error).__name__


def _numbers(error: Exception) -> set[int]:
    """Return the kinds of an error; asyncio joins those of several addresses of a host in one text."""
    if isinstance(error, OSError) and error.errno is not None:
        return {error.errno}
    return {int(number) for number in _ERROR_NUMBER.findall(str(error))}
