"""A web server that keeps one JSON document in a file."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

__all__ = ["DocumentServer"]


class DocumentServer:
    """Serves a file at every path, and replaces it by what is posted.

    Args:
        file: The file; if it is not there, neither is the document.
        tells_etags: Whether it tells versions apart, and refuses to replace one that was not read.
        compresses: Whether it has weak ETags only for whoever takes compressed answers, as nginx does.
    """

    def __init__(self, file: Path, *, tells_etags: bool = True, compresses: bool = False) -> None:
        self.file = file
        self.tells_etags = tells_etags
        self.compresses = compresses
        self.requests: list[tuple[str, int]] = []
        self.headers: list[dict[str, str]] = []
        self.failure: HTTPStatus | None = None
        self.fails_to_write_only = False
        self.location = ""
        self._lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.answer(self)

            do_HEAD = do_POST = do_PUT = do_GET

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/todo.json"

    def close(self) -> None:
        """End it; may be called again."""
        if not self._thread.is_alive():
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @contextmanager
    def failing(self, status: HTTPStatus, *, to_write_only: bool = False) -> Iterator[None]:
        self.fails_to_write_only = to_write_only
        self.failure = status
        try:
            yield
        finally:
            self.failure = None

    def count(self, method: str) -> int:
        return sum(request[0] == method for request in self.requests)

    def put(self, text: bytes) -> None:
        """Change the document as somebody else would."""
        with self._lock:
            self.file.write_bytes(text)

    def get(self) -> bytes:
        """Return the document, nothing if there is none."""
        with self._lock:
            return self.file.read_bytes() if self.file.exists() else b""

    def etag(self) -> str | None:
        return f'"{hashlib.sha256(self.file.read_bytes()).hexdigest()}"' if self.file.exists() else None

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        with self._lock:
            status = self._status(request, body)
            self.requests.append((request.command, status))
            self.headers.append(dict(request.headers))
            content = self.file.read_bytes() if request.command == "GET" and status == HTTPStatus.OK else b""
            etag = self.etag() if self.tells_etags else None
            if etag is not None and self.compresses and "gzip" in request.headers.get("Accept-Encoding", ""):
                etag = f"W/{etag}"
        request.send_response(status)
        if etag is not None:
            request.send_header("ETag", etag)
        if self.location:
            request.send_header("Location", self.location)
        request.send_header("Content-Length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def _status(self, request: BaseHTTPRequestHandler, body: bytes) -> HTTPStatus:
        writes = request.command in ("POST", "PUT")
        if self.failure is not None and (writes or not self.fails_to_write_only):
            return self.failure
        etag = self.etag()
        given = request.headers
        if writes:
            if self.tells_etags and "If-Match" in given and given["If-Match"] != etag:
                return HTTPStatus.PRECONDITION_FAILED
            if self.tells_etags and given.get("If-None-Match") == "*" and etag is not None:
                return HTTPStatus.PRECONDITION_FAILED
            self.file.write_bytes(body)
            return HTTPStatus.OK
        if etag is None:
            return HTTPStatus.NOT_FOUND
        if self.tells_etags and given.get("If-None-Match") == etag:
            return HTTPStatus.NOT_MODIFIED
        return HTTPStatus.OK
