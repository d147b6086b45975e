"""What a server tells of itself over plain HTTP: whether it lives, whether it is ready, and its figures."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final, Literal, NamedTuple, TypeAlias

from replicell.sync.backplane.interface import Backplane
from replicell.sync.counts import Counts
from replicell.sync.overview import ClusterOverview, FileSizes, Overview, RoomOverview

__all__ = ["Answer", "Pages", "Phase"]

_log = logging.getLogger("replicell.sync.server")

_FRESH_SECONDS: Final = 1.0

Phase: TypeAlias = Literal["starting", "serving", "shutting down"]
"""Where a server is in its life."""


class Answer(NamedTuple):
    """What is answered over plain HTTP.

    Args:
        status: The status.
        text: The body.
        headers: Headers beside those that say what the body is.
    """

    status: HTTPStatus
    text: str
    headers: tuple[tuple[str, str], ...] = ()


class Pages:
    """Answers ``/healthz``, ``/readyz`` and ``/metrics``.

    Args:
        folder: The rooms' folder, which must be writable.
        backplane: Which must bring about what it is asked for, if it is shared.
        counts: What has happened.
        rooms: Tells of the open rooms.
        cluster: Tells how the server gets on with other nodes, None if it is alone.
        metrics_token: The token without which the figures are not told; None to tell them to everybody.
        labelled_rooms: How many rooms have figures of their own; 0 does not even tell their names.
    """

    def __init__(
        self,
        *,
        folder: Path,
        backplane: Backplane,
        counts: Counts,
        rooms: Callable[[], list[RoomOverview]],
        cluster: Callable[[], ClusterOverview | None],
        metrics_token: str | None,
        labelled_rooms: int,
    ) -> None:
        self._folder = folder
        self._backplane = backplane
        self._counts = counts
        self._rooms = rooms
        self._cluster = cluster
        self._token = metrics_token
        self._labelled_rooms = labelled_rooms
        self._sizes = FileSizes(folder)
        self._writable_at = float("-inf")
        self._trouble: str | None = None
        self.phase: Phase = "starting"

    async def answer(self, path: str, authorization: str) -> Answer | None:
        """Answer a request that wants no websocket; None if there is nothing at that path.

        Args:
            path: The path.
            authorization: The header of that name, empty if there was none.
        """
        if path == "/healthz":
            return Answer(HTTPStatus.OK, "ok\n")
        if path == "/readyz":
            reasons = await self.troubles()
            if reasons:
                return Answer(HTTPStatus.SERVICE_UNAVAILABLE, "".join(f"{reason}\n" for reason in reasons))
            return Answer(HTTPStatus.OK, "ready\n")
        if path == "/metrics":
            return await self._metrics(authorization)
        return None

    async def troubles(self) -> list[str]:
        """Return why the server is not ready; nothing if it is."""
        if self.phase != "serving":
            return [self.phase]
        reasons: list[str] = []
        if time.monotonic() > self._writable_at + _FRESH_SECONDS:
            self._trouble = await asyncio.to_thread(_why_not_writable, self._folder)
            self._writable_at = time.monotonic()
        if self._trouble is not None:
            reasons.append(self._trouble)
        if self._backplane.shared and (trouble := self._backplane.trouble) is not None:
            reasons.append(trouble)
        return reasons

    async def _metrics(self, authorization: str) -> Answer:
        expected = f"Bearer {self._token}"
        if self._token is not None and not hmac.compare_digest(authorization.encode(), expected.encode()):
            return Answer(HTTPStatus.UNAUTHORIZED, "the figures need their own token as Bearer\n")
        try:
            from replicell.sync.metrics import CONTENT_TYPE, render
        except ModuleNotFoundError:
            return Answer(
                HTTPStatus.NOT_IMPLEMENTED,
                'figures need prometheus-client: pip install "replicell[server]"\n',
            )
        try:
            sizes = await self._sizes.get()
        except OSError as error:
            _log.warning("the rooms' files cannot be measured: %s", error)
            sizes = {}
        ready = not await self.troubles()
        overview = Overview(self._rooms(), sizes, ready, self._cluster())
        text = render(self._counts, overview, self._labelled_rooms)
        return Answer(HTTPStatus.OK, text, (("Content-Type", CONTENT_TYPE),))


def _why_not_writable(folder: Path) -> str | None:
    try:
        with TemporaryFile(dir=folder) as file:
            file.write(b"ready?")
            file.flush()
    except OSError as error:
        return f"the rooms' folder cannot be written: {error.strerror}"
    return None
