"""A NATS server that lets in only those who show what they are supposed to."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from time import time
from typing import Any

import nkeys  # type: ignore[import-untyped]  # it has no types

from examples.cluster.nats_cluster import NatsCluster
from tests.sync.certificates import Certificate

__all__ = ["NatsByCredentials", "NatsByTls"]

_UNLIMITED = dict.fromkeys(
    ("subs", "conn", "leaf", "imports", "exports", "data", "payload", "streams", "consumer"), -1
)
_STORAGE = {"mem_storage": -1, "disk_storage": -1}


class NatsByTls(NatsCluster):
    """Speaks TLS only, and asks for a certificate and a password.

    Args:
        folder: Where it keeps everything.
        certificate: Its own certificate, which clients must show too.
    """

    def __init__(self, folder: Path, certificate: Certificate) -> None:
        super().__init__(folder, size=1)
        self._certificate = certificate

    @property
    def url(self) -> str:
        """Its address, with name and password."""
        return f"nats://anna:secret@127.0.0.1:{self.ports[0]}"

    def options(self, number: int) -> list[str]:
        """Return what makes it ask."""
        chain, key = map(str, self._certificate)
        tls = ["--tls", "--tlscert", chain, "--tlskey", key, "--tlsverify", "--tlscacert", chain]
        return [*tls, "--user", "anna", "--pass", "secret"]


class NatsByCredentials(NatsCluster):
    """Lets in the users of an account, each by a token that is signed by the account's key."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, size=1)
        self._operator, self._system, self._account = [
            _new_key(prefix)
            for prefix in (
                nkeys.PREFIX_BYTE_OPERATOR,
                nkeys.PREFIX_BYTE_ACCOUNT,
                nkeys.PREFIX_BYTE_ACCOUNT,
            )
        ]

    def more_configuration(self) -> str:
        """Return whom it believes."""
        operator = _token(self._operator, self._operator, "operator")
        # The account of the servers themselves stores nothing.
        system = _token(self._operator, self._system, "account", limits={**_UNLIMITED, "wildcards": True})
        account = _token(
            self._operator,
            self._account,
            "account",
            limits={**_UNLIMITED, **_STORAGE, "wildcards": True},
        )
        return (
            f"operator: {operator}\n"
            f"system_account: {_name(self._system)}\n"
            "resolver: MEMORY\n"
            f"resolver_preload: {{ {_name(self._system)}: {system}, {_name(self._account)}: {account} }}\n"
        )

    def write_credentials(self, path: Path) -> None:
        """Make a user that may do no more than a node needs, and write what it shows to be let in."""
        user = _new_key(nkeys.PREFIX_BYTE_USER)
        may = {
            "pub": {"allow": ["replicell.>", "$JS.API.>"]},
            "sub": {"allow": ["replicell.>", "_INBOX.>"]},
        }
        token = _token(self._account, user, "user", **may, subs=-1, data=-1, payload=-1)
        path.write_text(
            f"-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n"
            f"-----BEGIN USER NKEY SEED-----\n{user.seed.decode()}\n------END USER NKEY SEED------\n"
        )


def _new_key(prefix: int) -> Any:
    return nkeys.from_seed(nkeys.encode_seed(os.urandom(32), prefix))


def _name(key: Any) -> str:
    return str(key.public_key.decode())


def _token(issuer: Any, subject: Any, kind: str, **claims: Any) -> str:
    header = {"typ": "JWT", "alg": "ed25519-nkey"}
    body = {
        "jti": os.urandom(8).hex(),
        "iat": int(time()),
        "iss": _name(issuer),
        "name": kind,
        "sub": _name(subject),
        "nats": {"type": kind, "version": 2, **claims},
    }
    text = f"{_encoded(json.dumps(header).encode())}.{_encoded(json.dumps(body).encode())}"
    return f"{text}.{_encoded(issuer.sign(text.encode()))}"


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")
