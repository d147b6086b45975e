"""What ``replicell server`` makes of the settings that say who may do what, and how much."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replicell.commands.server_settings import UNSAID

if TYPE_CHECKING:
    import ssl

    from replicell.sync.access import Authenticate
    from replicell.sync.limits import Limits

__all__ = ["authenticate", "limits", "tls"]


def limits(args: argparse.Namespace) -> Limits:
    """Return the limits that the settings say."""
    from replicell.sync.limits import Limits

    given: dict[str, Any] = {
        field.name: value
        for field in fields(Limits)
        if (value := getattr(args, f"limit_{field.name}", UNSAID)) is not UNSAID
    }
    return Limits(message_bytes=args.max_message_size, **given)


def authenticate(args: argparse.Namespace) -> Authenticate | None:
    """Return what reads JSON Web Tokens as the options say, None where they say nothing of them.

    Raises:
        SyncError: They make no sense, or the key's file cannot be read.
    """
    if args.jwt_key is None and args.jwt_key_set is None:
        _refuse_without(args, ("jwt_algorithm", "jwt_audience", "jwt_issuer"), "jwt_key or jwt_key_set")
        return None
    from replicell.sync.access import JwtTokens

    return JwtTokens(
        None if args.jwt_key is None else _read(args.jwt_key),
        algorithms=args.jwt_algorithm,
        key_set=args.jwt_key_set,
        audience=args.jwt_audience,
        issuer=args.jwt_issuer,
    )


def tls(args: argparse.Namespace) -> ssl.SSLContext | None:
    """Return the server's context for ``wss://``, None where no certificate is given.

    Raises:
        SyncError: The certificate or the key cannot be used.
    """
    if args.tls_certificate is None:
        _refuse_without(args, ("tls_key",), "tls_certificate")
        return None
    import ssl

    from replicell.sync.errors import SyncError

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(args.tls_certificate, args.tls_key)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or error
        raise SyncError(f"the certificate {args.tls_certificate} cannot be used: {reason}") from error
    return context


def _refuse_without(args: argparse.Namespace, names: tuple[str, ...], needed: str) -> None:
    """Refuse settings that protect nothing without another one; who gives them believes it there."""
    from replicell.sync.errors import SyncError

    for name in names:
        if getattr(args, name):
            raise SyncError(f"{name} is of no use without {needed}: give that too, or leave it out")


def _read(path: str) -> str:
    from replicell.sync.errors import SyncError

    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SyncError(f"the key {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SyncError(f"the key {path} cannot be read: it is no text") from error
