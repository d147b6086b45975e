"""What ``replicell server`` makes of the settings that say how it shares its rooms with other nodes."""

from __future__ import annotations

import argparse
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import ssl

    from replicell.sync.backplane import Backplane, LinkOptions

__all__ = ["backplane", "connect_options", "link_options"]

_CREDENTIALS: Final = ("BEGIN NATS USER JWT", "BEGIN USER NKEY SEED")


def backplane(args: argparse.Namespace) -> Backplane | None:
    """Return what the server shares its rooms through, None where it is alone.

    Raises:
        SyncError: The settings make no sense, or a file cannot be used.
    """
    options = connect_options(args)
    servers = _servers(args)
    if not servers:
        return None
    from replicell.sync.backplane.jetstream import JetStreamBackplane

    return JetStreamBackplane(
        servers, stream=args.nats_stream, replicas=args.nats_replicas, connect_options=options
    )


def link_options(args: argparse.Namespace) -> LinkOptions:
    """Return how the server's rooms follow their logs.

    Raises:
        SyncError: The settings make no sense.
    """
    from replicell.sync.backplane import LinkOptions

    return LinkOptions(snapshot_bytes=args.nats_snapshot_bytes)


def connect_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return what the settings add to ``nats.connect``.

    Raises:
        SyncError: They make no sense, or a file cannot be used.
    """
    from replicell.sync.errors import SyncError

    needs = {
        "nats_credentials": "nats",
        "nats_tls_ca": "nats",
        "nats_tls_certificate": "nats",
        "nats_tls_key": "nats_tls_certificate",
    }
    for name, needed in needs.items():
        if getattr(args, name) is not None and not getattr(args, needed):
            raise SyncError(f"{name} is of no use without {needed}: give that too, or leave it out")
    options: dict[str, Any] = {}
    if args.nats_credentials is not None:
        _check_credentials(args.nats_credentials)
        # The file is read whenever a connection is made, so it may be exchanged.
        options["user_credentials"] = args.nats_credentials
    if args.nats_tls_ca is not None or args.nats_tls_certificate is not None:
        options["tls"] = _tls(args)
    return options


def _servers(args: argparse.Namespace) -> list[str]:
    return [url for urls in args.nats for url in urls.split(",") if url]


def _check_credentials(path: str) -> None:
    from replicell.sync.errors import MissingPackageError, SyncError

    if importlib.util.find_spec("nkeys") is None:
        raise MissingPackageError('NATS credentials need the package nkeys: pip install "replicell[cluster]"')
    try:
        content = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise SyncError(f"the NATS credentials {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SyncError(f"the NATS credentials {path} cannot be read: they are no text") from error
    if not all(mark in content for mark in _CREDENTIALS):
        raise SyncError(
            f"the NATS credentials {path} are none: a file of nsc or of the NATS service is needed, with a"
            " user's JWT and seed (nsc generate creds)"
        )


def _tls(args: argparse.Namespace) -> ssl.SSLContext:
    import ssl

    from replicell.sync.errors import SyncError

    try:
        context = ssl.create_default_context(cafile=args.nats_tls_ca)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or error
        raise SyncError(f"the authorities in {args.nats_tls_ca} cannot be used: {reason}") from error
    if args.nats_tls_certificate is not None:
        try:
            context.load_cert_chain(args.nats_tls_certificate, args.nats_tls_key)
        except (OSError, ssl.SSLError) as error:
            reason = error.strerror or error
            raise SyncError(
                f"the certificate {args.nats_tls_certificate} cannot be used: {reason}"
            ) from error
    return context
