"""The options of ``replicell server`` that say who may do what, and how much."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import ssl

    from replicell.sync.access import Authenticate
    from replicell.sync.limits import Limits

__all__ = ["add_arguments", "authenticate", "limits", "tls"]

_LIMITS: Final[tuple[tuple[str, Callable[[str], float], str], ...]] = (
    ("value_bytes", int, "biggest text or blob in a cell"),
    ("changes_per_second", float, "changes that one client may have applied a second in the long run"),
    ("burst_changes", int, "changes that may come at once before that counts"),
    ("connections", int, "connections in all"),
    ("connections_per_address", int, "connections from one address"),
    ("open_rooms", int, "rooms that are open at a time"),
    ("rooms", int, "rooms that there are at all"),
    ("tables", int, "tables in a room"),
    ("columns", int, "columns of a table"),
    ("peers", int, "clients of a room that take part in presence"),
    ("presence_bytes", int, "biggest presence state, as JSON"),
    ("room_bytes", int, "size of a room's database"),
    ("handshake_seconds", float, "time for a new connection's handshakes"),
    ("idle_seconds", float, "time after which a client that says nothing is sent away"),
)

_UNSAID: Final = object()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options to a parser."""
    tokens = parser.add_argument_group("JSON Web Tokens (instead of --token)")
    tokens.add_argument("--jwt-key", metavar="FILE", help="the shared secret, or the public key as PEM")
    tokens.add_argument("--jwt-key-set", metavar="FILE", help="instead: a JSON Web Key Set; may be exchanged")
    tokens.add_argument(
        "--jwt-algorithm", action="append", default=[], help="algorithm that is taken, as ES256; repeatable"
    )
    tokens.add_argument("--jwt-audience", help="who tokens must be for")
    tokens.add_argument("--jwt-issuer", help="who must have made them")
    network = parser.add_argument_group("network")
    network.add_argument("--tls-certificate", metavar="FILE", help="certificate chain as PEM, for wss://")
    network.add_argument("--tls-key", metavar="FILE", help="its private key as PEM, if it is in another file")
    network.add_argument(
        "--trusted-proxy",
        action="append",
        default=[],
        help="address or network of a proxy that is believed, as 10.0.0.0/8; repeatable",
    )
    network.add_argument(
        "--proxy-header",
        default="X-Forwarded-For",
        help="where it says whom it speaks for (default: %(default)s)",
    )
    group = parser.add_argument_group("limits (default: as in docs/access.md)")
    for name, kind, text in _LIMITS:
        group.add_argument(
            f"--limit-{name.replace('_', '-')}",
            type=partial(_number, kind),
            default=_UNSAID,
            metavar="N",
            help=f"{text}; none for no limit",
        )


def limits(args: argparse.Namespace) -> Limits:
    """Return the limits that the options say."""
    from replicell.sync.limits import Limits

    given: dict[str, Any] = {
        name: value for name, _, _ in _LIMITS if (value := getattr(args, f"limit_{name}")) is not _UNSAID
    }
    return Limits(message_bytes=args.max_message_size, **given)


def authenticate(args: argparse.Namespace) -> Authenticate | None:
    """Return what reads JSON Web Tokens as the options say, None where they say nothing of them.

    Raises:
        SyncError: They make no sense, or the key's file cannot be read.
    """
    if args.jwt_key is None and args.jwt_key_set is None:
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
        return None
    import ssl

    from replicell.sync.errors import SyncError

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(args.tls_certificate, args.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise SyncError(f"the certificate {args.tls_certificate} cannot be used: {error}") from error
    return context


def _number(kind: Callable[[str], float], text: str) -> float | None:
    try:
        return None if text == "none" else kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"a number, or none for no limit, not {text!r}") from None


def _read(path: str) -> str:
    from replicell.sync.errors import SyncError

    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SyncError(f"the key {path} cannot be read: {error}") from error
