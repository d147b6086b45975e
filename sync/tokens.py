"""A client's access token, and where the next one comes from."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from replicell.sync.addresses import check_token

__all__ = ["TokenKeeper", "TokenSource"]

TokenSource: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""An access token, or what gives one."""


class TokenKeeper:
    """Gives a client its access token.

    Args:
        source: The token or what gives one; None for a client without.
        timeout: Seconds that a function may take.

    Raises:
        SyncError: It is no token.
    """

    def __init__(self, source: TokenSource | None, timeout: float) -> None:
        self._timeout = timeout
        self._source = None if source is None else _checked(source)

    @property
    def renewable(self) -> bool:
        """Whether the next token may be another one."""
        return callable(self._source)

    def replace(self, source: TokenSource) -> None:
        """Use another token, or function, from now on.

        Raises:
            SyncError: It is no token.
        """
        self._source = _checked(source)

    async def fresh(self) -> str | None:
        """Return the token, from the function if there is one; None without a token.

        Raises:
            SyncError: The function has given none.
            Exception: Whatever the function raises.
        """
        if not callable(self._source):
            return self._source
        async with asyncio.timeout(self._timeout):
            given = self._source()
            return check_token(await given if inspect.isawaitable(given) else given)


def _checked(source: TokenSource) -> TokenSource:
    return source if callable(source) else check_token(source)
