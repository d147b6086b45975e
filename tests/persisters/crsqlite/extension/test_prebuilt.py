"""Downloading the release: good, wrong, cut off, not there, unreachable or slow."""

from __future__ import annotations

import socket
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from replicell.persisters.crsqlite.extension import prebuilt
from replicell.persisters.crsqlite.extension.prebuilt import (
    Patience,
    download_release,
    parse_sha256,
    unpack_release,
)
from replicell.persisters.crsqlite.extension.release import Platform
from replicell.persisters.errors import ExtensionOptionsError, ReleaseRefusedError, ReleaseUnavailableError
from tests.persisters.crsqlite.extension.conftest import ReleaseServer, sha256, zipped

LINUX = Platform("linux", "x86_64")
BODY = zipped({"crsqlite.so": b"library" * 1000})
QUICK = Patience(connect=2.0, stall=0.3, whole=20.0)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


def download(folder: Path, url: str, *, digest: str = sha256(BODY), patience: Patience = QUICK) -> Path:
    lines: list[str] = []
    archive = download_release(
        folder, platform=LINUX, sha256=digest, releases_url=url, patience=patience, report=lines.append
    )
    assert lines == [f"downloading {url}/crsqlite-linux-x86_64.zip"]
    return archive


def test_the_archive_of_the_platform_is_downloaded(server: ReleaseServer, tmp_path: Path) -> None:
    server.serve(BODY)
    assert download(tmp_path, server.url).read_bytes() == BODY
    assert server.requests == ["/v1/crsqlite-linux-x86_64.zip"]


def test_redirects_are_followed(server: ReleaseServer, tmp_path: Path) -> None:
    def redirect(request: BaseHTTPRequestHandler) -> None:
        server.serve(BODY)
        request.send_response(302)
        request.send_header("Location", "/elsewhere.zip")
        request.send_header("Content-Length", "0")
        request.end_headers()

    server.answer = redirect
    assert download(tmp_path, server.url).read_bytes() == BODY
    assert server.requests[-1] == "/elsewhere.zip"


def test_a_wrong_checksum_is_refused_and_the_archive_deleted(server: ReleaseServer, tmp_path: Path) -> None:
    server.serve(BODY)
    with pytest.raises(ReleaseRefusedError) as caught:
        download(tmp_path, server.url, digest="0" * 64)
    message = str(caught.value)
    assert sha256(BODY) in message
    assert "0" * 64 in message
    assert "was deleted" in message
    assert "replicell extension install --from-source" in message
    assert list(tmp_path.iterdir()) == []


def test_a_truncated_archive_is_refused_as_truncated_and_deleted(
    server: ReleaseServer, tmp_path: Path
) -> None:
    server.serve(BODY[:-5], announced=len(BODY))
    expected = f"truncated, {len(BODY) - 5} of {len(BODY)} bytes, and was deleted"
    with pytest.raises(ReleaseRefusedError, match=expected):
        download(tmp_path, server.url)
    assert list(tmp_path.iterdir()) == []


def test_an_archive_that_is_not_there_is_unavailable(server: ReleaseServer, tmp_path: Path) -> None:
    with pytest.raises(ReleaseUnavailableError, match="the server says 404 Not Found"):
        download(tmp_path, server.url)
    assert list(tmp_path.iterdir()) == []


def test_a_refused_connection_is_unavailable_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(ReleaseUnavailableError, match="Connection refused"):
        download(tmp_path, f"http://127.0.0.1:{port}")


def test_a_host_without_an_address_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(ReleaseUnavailableError, match="cannot be had"):
        download(tmp_path, "https://replicell.invalid")


def test_a_server_that_does_not_answer_is_given_up_quickly(server: ReleaseServer, tmp_path: Path) -> None:
    def say_nothing(request: BaseHTTPRequestHandler) -> None:
        server.released.wait(30)

    server.answer = say_nothing
    started = time.monotonic()
    with pytest.raises(ReleaseUnavailableError, match=r"no answer within 0\.2 seconds"):
        download(tmp_path, server.url, patience=Patience(connect=0.2, stall=20, whole=20))
    assert time.monotonic() - started < 5


def test_a_server_that_stalls_in_the_middle_is_given_up_quickly(
    server: ReleaseServer, tmp_path: Path
) -> None:
    def stall(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(BODY)))
        request.end_headers()
        request.wfile.write(BODY[:10])
        server.released.wait(30)

    server.answer = stall
    with pytest.raises(ReleaseUnavailableError, match="the server stopped answering"):
        download(tmp_path, server.url)
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_drips_is_given_up_after_the_whole_time(server: ReleaseServer, tmp_path: Path) -> None:
    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "1000000")
        request.end_headers()
        while not server.released.wait(0.02):
            try:
                request.wfile.write(b"x")
            except OSError:
                return

    server.answer = drip
    with pytest.raises(ReleaseUnavailableError, match=r"it took longer than 0\.4 seconds"):
        download(tmp_path, server.url, patience=Patience(connect=5, stall=5, whole=0.4))


def test_an_endless_archive_is_given_up(
    server: ReleaseServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prebuilt, "_LARGEST", 2**20)
    server.serve(b"x" * (2**20 + 1))
    with pytest.raises(ReleaseUnavailableError, match="larger than 1 MB"):
        download(tmp_path, server.url)


def test_only_https_is_used_beyond_this_machine(tmp_path: Path) -> None:
    for url in ("http://releases.invalid", "ftp://releases.invalid", "file:///etc"):
        with pytest.raises(ReleaseUnavailableError, match="only https is used"):
            download(tmp_path, url)


def test_a_redirect_away_from_https_is_not_followed(server: ReleaseServer, tmp_path: Path) -> None:
    def redirect(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", "http://releases.invalid/crsqlite.zip")
        request.send_header("Content-Length", "0")
        request.end_headers()

    server.answer = redirect
    with pytest.raises(ReleaseUnavailableError, match=r"invalid/crsqlite\.zip, and only https is used"):
        download(tmp_path, server.url)


def archive_of(folder: Path, content: bytes) -> Path:
    archive = folder / "crsqlite-linux-x86_64.zip"
    archive.write_bytes(content)
    return archive


@pytest.mark.parametrize("member", ["crsqlite.so", "dist/crsqlite.so", "../../crsqlite.so"])
def test_the_library_is_unpacked_beside_the_archive_whatever_its_folder(tmp_path: Path, member: str) -> None:
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    library = unpack_release(archive_of(folder, zipped({member: b"library", "README": b""})), "crsqlite.so")
    assert library == folder / "crsqlite.so"
    assert library.read_bytes() == b"library"
    assert sorted(path.name for path in tmp_path.rglob("*.so")) == ["crsqlite.so"]


@pytest.mark.parametrize(
    "members", [{"README": b""}, {"crsqlite.so": b"", "dist/crsqlite.so": b""}], ids=["none", "two"]
)
def test_an_archive_without_exactly_one_library_is_refused(tmp_path: Path, members: dict[str, bytes]) -> None:
    with pytest.raises(ReleaseRefusedError, match="not one"):
        unpack_release(archive_of(tmp_path, zipped(members)), "crsqlite.so")


def test_a_library_of_no_sensible_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prebuilt, "_LARGEST", 1000)
    with pytest.raises(ReleaseRefusedError, match="sensible size"):
        unpack_release(archive_of(tmp_path, zipped({"crsqlite.so": b"0" * 1001})), "crsqlite.so")


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseRefusedError, match="is not a zip archive"):
        unpack_release(archive_of(tmp_path, b"<html>"), "crsqlite.so")


def test_a_users_checksum_is_read_as_sha256sum_prints_it() -> None:
    assert parse_sha256(f" {'AB' * 32}\n") == "ab" * 32
    assert parse_sha256(f"sha256:{'cd' * 32}") == "cd" * 32


@pytest.mark.parametrize("text", ["", "abc", "g" * 64, "ab" * 33])
def test_a_users_checksum_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ExtensionOptionsError, match="64 hexadecimal digits"):
        parse_sha256(text)
