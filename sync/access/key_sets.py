"""Where the keys come from that tokens are checked with: one key, a file, or a function that gets a set."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias

from replicell.sync.errors import KeySetError, SyncError

__all__ = ["GetKeySet", "KeyFile", "KeySet", "KeySource", "Keys", "OneKey"]

KeySet: TypeAlias = Mapping[str, Any]
"""A JSON Web Key Set, as ``{"keys": [...]}``."""

GetKeySet: TypeAlias = Callable[[], KeySet | Awaitable[KeySet]]
"""Gets a key set; plain or async."""

_log = logging.getLogger("replicell.sync.server")

_FETCH_SECONDS: Final = 4.0
"""How long one call may take: a little less than hooks have, so that the old keys can still be tried."""
_AFTER_FAILURE: Final = 0.1
"""After which part of the usual pause a source that has failed is asked again."""


class Keys(Protocol):
    """Where keys come from."""

    async def find(self, kid: object) -> Any:
        """Return the key that a token names.

        Raises:
            jwt.InvalidKeyError: There is none of this name.
            KeySetError: Whether there is one cannot be found out now.
        """
        ...


class OneKey:
    """The one key of all tokens, whatever they call it.

    Args:
        key: A shared secret, or a public key as PEM.
    """

    def __init__(self, key: str | bytes) -> None:
        self._key = key

    async def find(self, kid: object) -> Any:
        """See `Keys.find`."""
        return self._key


class KeyFile:
    """A key set in a file, which may be exchanged while it is in use.

    Args:
        module: The package pyjwt.
        path: The file.

    Raises:
        SyncError: The file cannot be read, or holds no key set.
    """

    def __init__(self, module: Any, path: Path) -> None:
        self._jwt = module
        self._path = path
        self._stamp: object = None
        self._known: Mapping[str | None, Any] = {}
        self._read()

    async def find(self, kid: object) -> Any:
        """See `Keys.find`."""
        try:
            self._read()
        except SyncError as error:
            # The keys that were there are still good.
            _log.error("%s", error)
        return _pick(self._jwt, self._known, kid)

    def _read(self) -> None:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            if stamp == self._stamp:
                return
            self._known = _by_id(self._jwt, json.loads(self._path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError, AttributeError, self._jwt.PyJWTError) as error:
            raise SyncError(f"the key set {self._path} cannot be read: {error}") from error
        self._stamp = stamp


class KeySource:
    """A key set that a function gets: asked again for keys that are not known yet, and when the set is old.

    However many tokens are looked at meanwhile, the function is called once, and all wait for that call.

    Args:
        module: The package pyjwt.
        get: The function.
        pause: The least seconds between two calls; a tenth of it after one that failed.
        max_age: After how many seconds the set is fetched anew even if it has the key, which may have been
            taken out of it.
        clock: The time in seconds, from any clock that only goes forward.
    """

    def __init__(
        self,
        module: Any,
        get: GetKeySet,
        pause: float,
        max_age: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._jwt = module
        self._get = get
        self._pause = pause
        self._max_age = max_age
        self._clock = clock
        self._free_at = float("-inf")
        self._fetched_at = float("-inf")
        self._fetching: asyncio.Task[None] | None = None
        self._failure: str | None = None
        self._known: Mapping[str | None, Any] = {}

    async def find(self, kid: object) -> Any:
        """See `Keys.find`."""
        if _named(self._known, kid) is None or self._clock() > self._fetched_at + self._max_age:
            await self._refresh()
        if _named(self._known, kid) is None and self._failure is not None:
            raise KeySetError(f"the keys that tokens are checked with cannot be had: {self._failure}")
        return _pick(self._jwt, self._known, kid)

    async def _refresh(self) -> None:
        """Have the set fetched, or wait for who does so already; not if that was done a moment ago."""
        if self._fetching is None or self._fetching.done():
            # Tokens with invented key names must not make it ask all the time, nor a source that fails.
            if self._clock() < self._free_at:
                return
            self._free_at = self._clock() + self._pause
            self._fetching = asyncio.get_running_loop().create_task(self._fetch())
        # Who gives up must not take it away from the others.
        await asyncio.shield(self._fetching)

    async def _fetch(self) -> None:
        try:
            async with asyncio.timeout(_FETCH_SECONDS):
                got = self._get()
                keys = await got if inspect.isawaitable(got) else got
            self._known = _by_id(self._jwt, keys)
            self._fetched_at = self._clock()
            self._failure = None
        except Exception as error:
            # The keys that were there are still good.
            self._failure = str(error) or type(error).__name__
            self._free_at = self._clock() + self._pause * _AFTER_FAILURE
            _log.exception("the key set cannot be fetched")


def _by_id(module: Any, keys: KeySet) -> Mapping[str | None, Any]:
    return {key.key_id: key for key in module.PyJWKSet.from_dict(dict(keys)).keys}


def _named(known: Mapping[str | None, Any], kid: object) -> Any:
    """Return the key of a name, or the only one for a token that names none; None if there is none."""
    if kid is None and len(known) == 1:
        return next(iter(known.values()))
    return known.get(kid) if isinstance(kid, str) else None


def _pick(module: Any, known: Mapping[str | None, Any], kid: object) -> Any:
    key = _named(known, kid)
    if key is None:
        raise module.InvalidKeyError("its key is not known here")
    return key
