"""What the tests of the extension share: the real library, an empty cache and a release server."""

from __future__ import annotations

import hashlib
import io
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from replicell.persisters.crsqlite.extension import extension_path
from replicell.persisters.crsqlite.extension.cache import ExtensionCache, cache_folder
from replicell.persisters.crsqlite.extension.release import Platform
from tests.persisters.crsqlite.extension.building_machine import BuildingMachine

Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture(scope="session")
def library() -> Path:
    """The extension of this machine, as `replicell extension install` left it."""
    return extension_path()


@pytest.fixture
def cache(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ExtensionCache:
    """An empty cache that everything in this process and its children uses, and no other settings."""
    for name in ("CRSQLITE_PATH", "CRSQLITE_SHA256", "CRSQLITE_RELEASES_URL", "CC", "LIBCLANG_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("REPLICELL_CACHE", str(tmp_path / "cache"))
    return ExtensionCache(cache_folder())


@pytest.fixture
def no_tools(cache: ExtensionCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nothing can be built."""
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))


@pytest.fixture(scope="session")
def archive(library: Path) -> bytes:
    """A release archive with the real library in it."""
    return zipped({Platform.current().library: library.read_bytes()})


def zipped(members: dict[str, bytes]) -> bytes:
    """Return a zip archive of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def sha256(content: bytes) -> str:
    """Return the SHA-256 of bytes in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


class ReleaseServer(ThreadingHTTPServer):
    """A server of releases on this machine that answers every request as the test says."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[str] = []
        self.released = threading.Event()
        self.answer: Answer = self.not_found

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def serve(self, body: bytes, *, announced: int | None = None) -> None:
        """Answer with a body, and say it is as long as announced."""

        def answer(request: BaseHTTPRequestHandler) -> None:
            request.send_response(200)
            request.send_header("Content-Length", str(len(body) if announced is None else announced))
            request.end_headers()
            request.wfile.write(body)

        self.answer = answer

    def not_found(self, request: BaseHTTPRequestHandler) -> None:
        request.send_error(404)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, ReleaseServer)
        self.server.requests.append(self.path)
        self.server.answer(self)

    def log_message(self, format: str, *args: object) -> None:
        """Stay silent: the tests look at ``requests``."""


@pytest.fixture
def server() -> Iterator[ReleaseServer]:
    """A release server that has nothing until it is told what to serve."""
    with ReleaseServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.released.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def machine(
    cache: ExtensionCache, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> BuildingMachine:
    """A machine that builds the extension of this machine in a moment."""
    return BuildingMachine(tmp_path / "machine", library.read_bytes(), monkeypatch)
