"""Tokens that are known beforehand."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping

from replicell.sync.access.identity import ANYBODY, Identity, Request
from replicell.sync.addresses import check_token
from replicell.sync.errors import SyncError

__all__ = ["StaticTokens"]


class StaticTokens:
    """Knows a fixed set of tokens; without any, everybody may do everything.

    Args:
        write: Tokens whose bearers may read and write in every room.
        read: Tokens whose bearers may only read.
        identities: Who the bearers of further tokens are.

    Raises:
        SyncError: A token is empty or cannot stand in a header, or one text stands for a list of tokens.

    >>> tokens = StaticTokens(write=["secret"], identities={"other": Identity(name="anna")})
    >>> tokens(Request(room="any", token="other")).name
    'anna'
    >>> tokens(Request(room="any", token="guess")) is None
    True
    """

    def __init__(
        self,
        write: Iterable[str] = (),
        read: Iterable[str] = (),
        identities: Mapping[str, Identity] | None = None,
    ) -> None:
        writer, reader = ANYBODY, Identity(rooms={"*": "read"})
        known = [(token, writer) for token in _several("write", write)]
        known += [(token, reader) for token in _several("read", read)]
        known += (identities or {}).items()
        self._known = [(check_token(token).encode(), identity) for token, identity in known]

    @property
    def open_to_all(self) -> bool:
        """Whether no token is needed."""
        return not self._known

    def __call__(self, request: Request) -> Identity | None:
        """Return who the bearer of the request's token is, None for nobody; it takes as long for every token
        of a length."""
        if not self._known:
            return ANYBODY
        if request.token is None:
            return None
        given = request.token.encode(errors="surrogatepass")
        found: Identity | None = None
        for known, identity in self._known:
            if hmac.compare_digest(given, known) and found is None:
                found = identity
        return found


def _several(name: str, tokens: Iterable[str]) -> list[str]:
    # A text is a sequence of texts too, and each of its letters would let somebody in.
    if isinstance(tokens, str):
        raise SyncError(f"{name} is a list of tokens, not one text: put it in brackets")
    return list(tokens)
