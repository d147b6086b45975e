"""Tokens that somebody else signs: JSON Web Tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from replicell.sync.access.identity import Identity, Request, Right, check_rooms
from replicell.sync.access.key_sets import GetKeySet, KeyFile, Keys, KeySource, OneKey
from replicell.sync.errors import AccessDeniedError, MissingPackageError, SyncError

__all__ = ["JwtTokens"]

_SYMMETRIC: Final = frozenset(("HS256", "HS384", "HS512"))
_ASYMMETRIC: Final = frozenset(
    (
        "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
        "ES256", "ES384", "ES512", "ES256K", "EdDSA",
    )
)  # fmt: skip
_LONGEST_TOKEN: Final = 16 * 1024


class JwtTokens:
    """Reads who somebody is from a JSON Web Token, once its signature and its times are found right.

    The claims ``exp`` (required), ``nbf`` and ``iat`` are checked, ``aud`` and ``iss`` against what is given
    here. A token with an audience is refused where none is given. What they make of it:

    - ``sub`` is the `Identity`'s name, ``exp`` its end.
    - ``rooms`` says where its bearer may do what: ``{"team/*": "write", "plans": "read"}``, or a list of
      rooms together with ``access``, which is ``"read"`` or ``"write"`` (the default).

    Args:
        key: The shared secret (for HS256, HS384, HS512), or the public key as PEM.
        algorithms: The algorithms that are taken. They are never read from the token, ``none`` is refused,
            and shared secrets do not mix with public keys.
        key_set: Instead of a key, a JSON Web Key Set: a file (read again when it changes), or a function,
            plain or async, that gets it. The function is asked again when a token names a key that is not
            there, and when the set is older than ``max_age_seconds``; one call at a time, and at most one
            every ``refresh_seconds``. If it fails or takes longer than 4 seconds, the keys of before count.
        audience: Who the token must be for: one of these.
        issuer: Who must have made it: one of these.
        leeway: Seconds by which clocks may differ.
        rooms: The rights of tokens without a ``rooms`` claim; by default none.
        identify: Makes the identity from the claims in another way than the one above. Its ``expires_at`` is
            never later than the token's ``exp``.
        refresh_seconds: The least time between two calls of ``key_set``; a tenth of it after one that failed.
        max_age_seconds: How old a set that ``key_set`` got may be: for so long a key that was taken out of it
            is still good.

    Raises:
        MissingPackageError: The package pyjwt is not installed.
        SyncError: The key is missing or too short, or an algorithm is not known.

    Example::

        tokens = JwtTokens(public_key, algorithms=["ES256"], audience="todo")
        server = SyncServer("rooms", authenticate=tokens)
    """

    def __init__(
        self,
        key: str | bytes | None = None,
        *,
        algorithms: Sequence[str],
        key_set: str | Path | GetKeySet | None = None,
        audience: str | Sequence[str] | None = None,
        issuer: str | Sequence[str] | None = None,
        leeway: float = 0.0,
        rooms: Mapping[str, Right] | None = None,
        identify: Callable[[Mapping[str, Any]], Identity] | None = None,
        refresh_seconds: float = 60.0,
        max_age_seconds: float = 3600.0,
    ) -> None:
        self._jwt = _require_pyjwt()
        self._algorithms = _checked_algorithms(algorithms)
        if (key is None) == (key_set is None):
            raise SyncError(
                "give JwtTokens either key= or key_set=, where the tokens' signatures are checked with"
            )
        check_rooms(rooms or {})
        self._audience = audience
        self._issuer = issuer
        self._leeway = leeway
        self._rooms = dict(rooms or {})
        self._identify = identify or self._from_claims
        self._keys: Keys
        if isinstance(key_set, (str, Path)):
            self._keys = KeyFile(self._jwt, Path(key_set))
        elif key_set is not None:
            self._keys = KeySource(self._jwt, key_set, refresh_seconds, max_age_seconds)
        elif key is not None:
            self._keys = OneKey(_checked_key(self._jwt, key, self._algorithms))

    async def __call__(self, request: Request) -> Identity | None:
        """Return who the bearer of the request's token is, None without a token.

        Raises:
            AccessDeniedError: The token is not valid; the message says why.
            KeySetError: The function that gets the key set has failed, and the token's key is not known from
                before: whether it is valid cannot be told now.
        """
        if request.token is None:
            return None
        claims = await self._claims(request.token)
        identity = self._identify(claims)
        ends = claims["exp"] + self._leeway
        if identity.expires_at is not None and identity.expires_at <= ends:
            return identity
        return Identity(
            name=identity.name, rooms=identity.rooms, expires_at=float(ends), claims=identity.claims
        )

    async def _claims(self, token: str) -> dict[str, Any]:
        if len(token) > _LONGEST_TOKEN:
            raise AccessDeniedError(f"the token is longer than {_LONGEST_TOKEN} characters")
        try:
            header = self._jwt.get_unverified_header(token)
            key = await self._keys.find(header.get("kid"))
            claims: dict[str, Any] = self._jwt.decode(
                token,
                key,
                algorithms=self._algorithms,
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway,
                options={"require": ["exp"], "enforce_minimum_key_length": True},
            )
        except (self._jwt.PyJWTError, UnicodeError, RecursionError) as error:
            raise AccessDeniedError(f"the token is not valid here: {error}") from error
        return claims

    def _from_claims(self, claims: Mapping[str, Any]) -> Identity:
        name = claims.get("sub", "")
        rooms = _rights(claims.get("rooms", self._rooms), claims.get("access", "write"))
        try:
            return Identity(name=name, rooms=rooms, claims=claims)
        except SyncError as error:
            raise AccessDeniedError(f"the token's claims make no sense: {error}") from error


def _rights(rooms: Any, access: Any) -> Any:
    """Return the rights by room that a claim says, which `Identity` checks; a list has one for all."""
    is_list = isinstance(rooms, list) and all(isinstance(room, str) for room in rooms)
    return dict.fromkeys(rooms, access) if is_list else rooms


def _require_pyjwt() -> Any:
    try:
        import jwt
    except ImportError as error:
        raise MissingPackageError('JWT needs the package pyjwt: pip install "replicell[server]"') from error
    return jwt


def _checked_algorithms(algorithms: Sequence[str]) -> list[str]:
    if isinstance(algorithms, str):
        raise SyncError(f'algorithms is a list, as ["{algorithms}"]')
    chosen = frozenset(algorithms)
    if not chosen or not (chosen <= _SYMMETRIC or chosen <= _ASYMMETRIC):
        raise SyncError(
            f"algorithms are some of {', '.join(sorted(_SYMMETRIC))}, or some of"
            f" {', '.join(sorted(_ASYMMETRIC))}, not {list(algorithms)!r}"
        )
    return list(algorithms)


def _checked_key(module: Any, key: str | bytes, algorithms: Sequence[str]) -> str | bytes:
    """Refuse at the start what would refuse every token."""
    for name in algorithms:
        try:
            algorithm = module.get_algorithm_by_name(name)
            complaint = algorithm.check_key_length(algorithm.prepare_key(key))
        except (module.PyJWTError, NotImplementedError, ValueError, TypeError) as error:
            raise SyncError(f"the key cannot be used for {name}: {error}") from error
        if complaint:
            raise SyncError(f"the key is too short for {name}: {complaint}")
    return key
