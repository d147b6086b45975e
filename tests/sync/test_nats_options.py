"""How ``replicell server`` gets into NATS, shown at real NATS servers that let in nobody else."""

from __future__ import annotations

import asyncio
import json
from argparse import Namespace
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from replicell.commands import nats_options
from replicell.commands.server_settings import resolve
from replicell.sync.backplane import Entry, LinkOptions, RoomLog
from replicell.sync.errors import MissingPackageError, SyncError
from tests.sync.certificates import make_certificate
from tests.sync.guarded_nats import NatsByCredentials, NatsByTls
from tests.sync.support import PATIENCE
from tests.sync.test_server_settings import flags


def settings(*words: str) -> Namespace:
    return resolve(flags("--nats-replicas", "1", *words), {})


@asynccontextmanager
async def opened_log(*words: str) -> AsyncIterator[RoomLog]:
    backplane = nats_options.backplane(settings(*words))
    assert backplane is not None
    await backplane.start()
    try:
        async with asyncio.timeout(PATIENCE):
            log = await backplane.open_room("room")
        yield log
        await log.close()
    finally:
        await backplane.close()


def test_without_nats_a_server_is_alone() -> None:
    assert nats_options.backplane(settings()) is None


def test_how_much_a_snapshot_takes_the_place_of_can_be_set() -> None:
    assert nats_options.link_options(settings()) == LinkOptions()
    assert nats_options.link_options(settings("--nats-snapshot-bytes", "5")) == LinkOptions(snapshot_bytes=5)
    with pytest.raises(SyncError, match="more than 0"):
        nats_options.link_options(settings("--nats-snapshot-bytes", "0"))


async def test_nats_that_speaks_tls_and_asks_for_a_certificate_and_a_password(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    chain, key = map(str, certificate)
    tls = ["--nats-tls-ca", chain, "--nats-tls-certificate", chain, "--nats-tls-key", key]
    with NatsByTls(tmp_path, certificate) as nats:
        async with opened_log("--nats", nats.url, *tls) as log:
            async with asyncio.timeout(PATIENCE):
                assert await log.append(b"entry", "id") == 1


async def test_nats_that_asks_for_credentials(tmp_path: Path) -> None:
    nats = NatsByCredentials(tmp_path)
    credentials = tmp_path / "user.creds"
    nats.write_credentials(credentials)
    with nats:
        async with opened_log("--nats", nats.urls[0], "--nats-credentials", str(credentials)) as log:
            told = asyncio.Event()
            async with asyncio.timeout(PATIENCE), aclosing(log.follow(0)) as coming:
                assert await log.append(b"entry", "id") == 1
                assert await anext(coming) == [Entry(1, b"entry")]
                await log.append(b"another", "another id")
                assert await anext(coming) == [Entry(2, b"another")]
                await log.listen(lambda _: told.set())
                await log.tell(b"something")
                await told.wait()
                snapshot = tmp_path / "snapshot"
                await asyncio.to_thread(snapshot.write_bytes, b"content")
                assert await log.save_snapshot(snapshot, 2)
                assert await log.load_snapshot(tmp_path / "loaded") == 2


@pytest.mark.parametrize("scheme", ["nats", "tls"])
async def test_a_server_without_tls_is_told_nothing_where_tls_is_wanted(
    scheme: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[bytes] = []
    is_left = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        info = {"server_id": "x", "version": "2.15.1", "max_payload": 10**6, "auth_required": True}
        writer.write(f"INFO {json.dumps(info)}\r\n".encode())
        heard.append(await reader.read())
        writer.close()
        is_left.set()

    words = ["--nats-tls-ca", str(make_certificate(tmp_path).chain)] if scheme == "nats" else []
    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        backplane = nats_options.backplane(
            settings("--nats", f"{scheme}://anna:secret@127.0.0.1:{port}", *words)
        )
        assert backplane is not None
        await backplane.start()
        async with asyncio.timeout(PATIENCE):
            await is_left.wait()
        await backplane.close()
    assert set(heard) == {b""}
    assert "the NATS server speaks no TLS" in caplog.text


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (["--nats-credentials", "user.creds"], "nats_credentials is of no use without nats"),
        (["--nats-tls-ca", "ca.pem"], "nats_tls_ca is of no use without nats"),
        (["--nats-tls-certificate", "cert.pem"], "nats_tls_certificate is of no use without nats"),
        (
            ["--nats", "nats://n1", "--nats-tls-key", "key.pem"],
            "nats_tls_key is of no use without nats_tls_certificate",
        ),
        (["--nats", "nats://n1", "--nats-credentials", "missing"], "credentials missing cannot be read"),
        (["--nats", "nats://n1", "--nats-tls-ca", "missing"], "authorities in missing cannot be used"),
        (["--nats", "nats://n1", "--nats-tls-certificate", "missing"], "certificate missing cannot be used"),
    ],
)
def test_what_cannot_be_used_is_an_error_of_ours(words: list[str], rule: str) -> None:
    with pytest.raises(SyncError, match=rule):
        nats_options.backplane(settings(*words))


def test_files_that_hold_something_else_are_errors_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("something else")
    for name, rule in {
        "credentials": "are none: a file of nsc",
        "tls-ca": "cannot be used",
        "tls-certificate": "cannot be used",
    }.items():
        with pytest.raises(SyncError, match=rule):
            nats_options.backplane(settings("--nats", "nats://n1", f"--nats-{name}", str(path)))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SyncError, match="no text"):
        nats_options.backplane(settings("--nats", "nats://n1", "--nats-credentials", str(path)))


def test_credentials_need_a_package_and_say_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r'pip install "replicell\[cluster\]"'):
        nats_options.backplane(settings("--nats", "nats://n1", "--nats-credentials", "user.creds"))
