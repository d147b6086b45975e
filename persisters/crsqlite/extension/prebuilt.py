"""Download the official prebuilt release, and trust it only when its SHA-256 is the one that was pinned."""

from __future__ import annotations

import hashlib
import http.client
import re
import shutil
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from replicell.persisters.crsqlite.extension.release import Platform
from replicell.persisters.errors import ExtensionOptionsError, ReleaseRefusedError, ReleaseUnavailableError

__all__ = ["Patience", "download_release", "parse_sha256", "unpack_release"]

_LARGEST = 64 * 2**20
_CHUNK = 2**16
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

_REFUSED_NEXT_STEP = (
    "somebody between here and the release may have changed it. Nothing was installed. "
    "Build it instead with `replicell extension install --from-source`"
)


@dataclass(frozen=True)
class Patience:
    """How long a download may take, in seconds.

    Args:
        connect: until the server has answered, name lookup and redirects included.
        stall: without a single byte.
        whole: until the last byte.
    """

    connect: float = 8.0
    stall: float = 8.0
    whole: float = 120.0


def parse_sha256(text: str) -> str:
    """Return a SHA-256 that a user gave, in lower case.

    Raises:
        ExtensionOptionsError: it is not 64 hexadecimal digits.
    """
    digest = text.strip().lower().removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ExtensionOptionsError(
            f"The SHA-256 {text!r} is not 64 hexadecimal digits: "
            "give what `sha256sum` prints for the archive you trust."
        )
    return digest


def download_release(
    folder: Path,
    *,
    platform: Platform,
    sha256: str,
    releases_url: str,
    patience: Patience,
    report: Callable[[str], None],
) -> Path:
    """Download the release archive for a platform and compare it with its checksum.

    Args:
        folder: where the archive goes; it is deleted again when it is refused.
        platform: whose archive.
        sha256: the checksum it must have, in hexadecimal.
        releases_url: what the archive's name is appended to; ``https``, or a server on this machine.
        patience: when to give up.
        report: is told what is going on.

    Raises:
        ReleaseUnavailableError: it cannot be reached, is not there, or comes too slowly.
        ReleaseRefusedError: it is cut off or has another checksum.
    """
    url = f"{releases_url.rstrip('/')}/{platform.archive}"
    _require_safe(url)
    archive = folder / platform.archive
    report(f"downloading {url}")
    try:
        with _open(url, patience) as response, archive.open("wb") as file:
            announced = response.headers.get("Content-Length")
            digest, length = _copy(response, file, patience.whole)
    except (OSError, http.client.HTTPException) as error:
        archive.unlink(missing_ok=True)
        raise ReleaseUnavailableError(
            f"The prebuilt release {url} cannot be had: {_reason(error)}."
        ) from error
    if announced and announced.isdecimal() and length < int(announced):
        archive.unlink()
        raise ReleaseRefusedError(
            f"The prebuilt release {url} came truncated, {length} of {announced} bytes, and was deleted: "
            "run `replicell extension install` again, or build it with "
            "`replicell extension install --from-source`."
        )
    if digest != sha256:
        archive.unlink()
        raise ReleaseRefusedError(
            f"The prebuilt release {url} has the SHA-256 {digest} instead of {sha256} and was deleted: "
            f"{_REFUSED_NEXT_STEP}."
        )
    return archive


def unpack_release(archive: Path, library_name: str) -> Path:
    """Take the library out of a release archive and return its path, beside the archive.

    Raises:
        ReleaseRefusedError: it is no archive, or does not hold exactly one such library of a sensible size.
    """
    target = archive.parent / library_name
    try:
        with zipfile.ZipFile(archive) as release:
            members = [member for member in release.infolist() if Path(member.filename).name == library_name]
            if len(members) != 1 or members[0].file_size > _LARGEST:
                raise ReleaseRefusedError(
                    f"The archive {archive.name} holds {len(members)} files named {library_name}, not one "
                    "of a sensible size: "
                    "give the checksum of a cr-sqlite release, or use --from-source."
                )
            with release.open(members[0]) as source, target.open("wb") as file:
                shutil.copyfileobj(source, file)
    except (zipfile.BadZipFile, NotImplementedError, EOFError) as error:
        raise ReleaseRefusedError(
            f"The file {archive.name} is not a zip archive ({error}): "
            "give the checksum of a cr-sqlite release, or use --from-source."
        ) from error
    return target


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        try:
            _require_safe(newurl)
        except ReleaseUnavailableError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _require_safe(url: str) -> None:
    address = urllib.parse.urlsplit(url)
    if address.scheme == "https" or (address.scheme == "http" and address.hostname in _LOOPBACK):
        return
    raise ReleaseUnavailableError(
        f"The prebuilt release would come from {url}, and only https is used: correct CRSQLITE_RELEASES_URL."
    )


def _open(url: str, patience: Patience) -> http.client.HTTPResponse:
    # Looking up a name has no time limit of its own, so all of it happens in a thread
    # that can be left behind.
    opener = urllib.request.build_opener(_SafeRedirects)
    outcome: list[http.client.HTTPResponse | BaseException] = []
    finished, given_up = threading.Event(), threading.Event()

    def attempt() -> None:
        try:
            outcome.append(opener.open(url, timeout=patience.stall))
        except BaseException as error:  # handed to the waiting thread, which raises it
            outcome.append(error)
        finished.set()
        if given_up.is_set() and isinstance(outcome[0], http.client.HTTPResponse):
            outcome[0].close()

    threading.Thread(target=attempt, daemon=True, name="replicell-download").start()
    if not finished.wait(patience.connect):
        given_up.set()
        raise TimeoutError(f"no answer within {patience.connect:g} seconds")
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def _copy(response: http.client.HTTPResponse, file: IO[bytes], time_limit: float) -> tuple[str, int]:
    digest, length = hashlib.sha256(), 0
    deadline = time.monotonic() + time_limit
    while chunk := response.read1(_CHUNK):
        digest.update(chunk)
        file.write(chunk)
        length += len(chunk)
        if length > _LARGEST:
            raise OSError(f"it is larger than {_LARGEST // 2**20} MB")
        if time.monotonic() > deadline:
            raise TimeoutError(f"it took longer than {time_limit:g} seconds")
    return digest.hexdigest(), length


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        with error:
            return f"the server says {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        error = error.reason if isinstance(error.reason, Exception) else OSError(error.reason)
    if isinstance(error, TimeoutError) and str(error) in ("timed out", ""):
        return "the server stopped answering"
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
