"""The backplane of a cluster: a replicated stream of NATS JetStream.

One stream holds the logs of all rooms, a subject each; a second one holds their snapshots. Every node follows
just the rooms that it has open.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from replicell.sync.backplane.interface import (
    BackplaneError,
    StreamReplacedError,
    UnfitStreamError,
    UnreachableError,
)
from replicell.sync.backplane.jetstream_health import LONGEST_PAUSE, Health
from replicell.sync.backplane.jetstream_log import JetStreamLog
from replicell.sync.backplane.jetstream_streams import check_fit, log_stream, snapshots_stream
from replicell.sync.backplane.nats_connection import NatsConnection
from replicell.sync.errors import SyncClosedError

__all__ = ["JetStreamBackplane"]

_log = logging.getLogger("replicell.sync.backplane")

_STREAM_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_RETRY_SECONDS: Final = 0.1
_LOOK_SECONDS: Final = 3.0
_ANEW_SECONDS: Final = 1.0
_UNFIT_SECONDS: Final = 1.0
_ALONE_NANOSECONDS: Final = 3 * 10**9
"""A leader that has not heard of the other servers for so long, three of their heartbeats, leads nobody."""
_MARGIN: Final = 8 * 1024
"""What headers and the protocol need of the biggest message; one that is too big would cut the connection."""
_MAX_PAYLOAD: Final = 4 * 1024 * 1024

_NO_SUCH_STREAM: Final = 10059


class JetStreamBackplane(NatsConnection):
    """Shares rooms through NATS JetStream.

    What is acknowledged is stored by a majority of ``replicas`` NATS servers. As long as they cannot be
    reached the rooms go on: clients read and write, and what they write waits to be acknowledged.

    Give each `replicell.sync.SyncServer` one of its own. The streams are created with the first use; those
    that are there already are compared with what they must be, and nothing is acknowledged while they differ.

    Args:
        servers: Addresses of the NATS servers, as ``nats://host:4222``; all of them, so that any may fail.
        stream: Begins the names of the streams and subjects, for several clusters on one NATS.
        replicas: How many NATS servers keep everything: 3, or 1 for development.
        connect_options: More for ``nats.connect``, as ``tls`` or ``user_credentials``.

    Raises:
        BackplaneError: An argument makes no sense.
        MissingPackageError: nats-py is not installed; raised when the module is imported.

    Example::

        server = SyncServer("rooms", backplane=JetStreamBackplane(["nats://n1:4222", "nats://n2:4222"]))
    """

    def __init__(
        self,
        servers: Iterable[str],
        *,
        stream: str = "replicell",
        replicas: int = 3,
        connect_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__([servers] if isinstance(servers, str) else servers, connect_options or {})
        if not self._servers:
            raise BackplaneError("servers is empty: give the addresses of the NATS servers")
        if not _STREAM_NAME.fullmatch(stream):
            raise BackplaneError(f"the stream name {stream!r} is not 1 to 64 letters, digits, '_' and '-'")
        if replicas not in (1, 3, 5):
            raise BackplaneError(f"replicas is 1, 3 or 5, not {replicas}")
        self.stream = stream
        self._replicas = replicas
        self._connecting: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._identity = ""
        self._logs: set[JetStreamLog] = set()
        self._doubt = asyncio.Event()
        self._answers = asyncio.Event()
        self.times_answered = 0
        """How often JetStream has begun to answer again."""
        self._health = Health(monotonic)
        self._leader = ""
        self._unfit: UnfitStreamError | None = None

    @property
    def shared(self) -> bool:
        """There may be other nodes."""
        return True

    @property
    def connected(self) -> bool:
        """Whether there is a connection to one of the NATS servers, which brings answers, and the streams are
        as they must be."""
        return self._ready.is_set() and self._unfit is None and self.is_connected and self._health.answers

    @property
    def trouble(self) -> str | None:
        """Why nothing is acknowledged, once that lasts longer than the loss of a machine makes it last."""
        if self._unfit is not None:
            return str(self._unfit)
        if not self._ready.is_set():
            return f"the stream {self.stream!r} was not found yet: no NATS server with JetStream has answered"
        silent = self._health.silent_seconds
        if silent < LONGEST_PAUSE:
            return None
        return f"JetStream has acknowledged nothing and found no leader for {silent:.0f} seconds"

    @property
    def identity(self) -> str:
        """Names the stream, as it was found last."""
        return self._identity

    @property
    def max_payload(self) -> int:
        """The biggest entry, in bytes."""
        return min(self._require_client().max_payload, _MAX_PAYLOAD) - _MARGIN

    async def start(self) -> None:
        """Begin to connect; returns at once, also when nobody can be reached yet."""
        if self._connecting is None:
            self._connecting = asyncio.get_running_loop().create_task(self._connect())

    async def close(self) -> None:
        """Disconnect."""
        connecting, self._connecting = self._connecting, None
        if connecting is not None:
            # One that comes just as an attempt to connect ends is lost in the package, which tries again.
            while not connecting.done():
                connecting.cancel()
                await asyncio.wait([connecting], timeout=_RETRY_SECONDS)
        self._ready.clear()
        await self.disconnect()

    async def open_room(self, name: str) -> JetStreamLog:
        """Open a room's log; waits until the stream can be reached.

        Raises:
            SyncClosedError: The backplane is not started.
        """
        if self._connecting is None:
            raise SyncClosedError("the backplane is not started: the server does so when it starts")
        await self._ready.wait()
        return JetStreamLog(self, name)

    def joined(self, log: JetStreamLog) -> None:
        """A log is to be told when the connection has been away."""
        self._logs.add(log)

    def left(self, log: JetStreamLog) -> None:
        """A log needs nothing any more."""
        self._logs.discard(log)

    async def api(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Call JetStream's own interface; an error that it answers is in the result.

        Raises:
            UnreachableError: There is no answer.
        """
        reply = await self.request(f"$JS.API.{name}", json.dumps(arguments).encode())
        answer: dict[str, Any] = json.loads(reply.data)
        return answer

    async def verify(self, identity: str) -> None:
        """Find out whether the stream still is the one that it was.

        Raises:
            StreamReplacedError: It is another one, or was just made anew.
            UnreachableError: That cannot be found out now.
        """
        await self._find_log_stream()
        self.check_identity(identity)

    def check_identity(self, identity: str) -> None:
        """Tell whether the stream is the one that it was, as far as is known.

        Raises:
            StreamReplacedError: It is another one.
        """
        if identity != self._identity:
            raise StreamReplacedError(f"the stream {self.stream!r} was deleted and made anew")

    def require_fit(self) -> None:
        """Make sure that the streams are as they must be, as far as is known.

        Raises:
            UnfitStreamError: They would not keep what they are given.
        """
        if self._unfit is not None:
            raise self._unfit

    def append_failed(self, entry: object) -> None:
        """An entry was not acknowledged, and is going to be sent again."""
        self._health.append_failed(entry)
        self._doubt.set()

    def append_succeeded(self) -> None:
        """An entry was acknowledged."""
        if self._health.append_succeeded():
            self._tell_of_answers()

    def append_ended(self, entry: object) -> None:
        """Nobody tries to append an entry any more."""
        self._health.append_ended(entry)

    async def wait_for_answers(self, seconds: float, since: int) -> bool:
        """Wait until JetStream answers again, or for so long.

        Args:
            seconds: For how long.
            since: What `times_answered` was before it was asked.

        Returns:
            Whether it does.
        """
        answers = self._answers
        if self.times_answered == since:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await answers.wait()
        return self.times_answered != since

    def went_away(self) -> None:
        self._doubt.set()

    def came_back(self) -> None:
        for log in list(self._logs):
            log.look_again()
        self._tell_of_answers()

    async def _connect(self) -> None:
        """Be connected, and look after the streams."""
        while True:
            try:
                if self._client is None or self.is_given_up:
                    await self.open()
                    self.came_back()
                await self._look_after_streams()
            except Exception as error:
                # Nobody would begin again.
                self.report(f"NATS cannot be used, which is tried again and again: {error!r}", logging.ERROR)
                await asyncio.sleep(_ANEW_SECONDS)

    async def _look_after_streams(self) -> None:
        try:
            await self._look()
        except UnfitStreamError as error:
            self._health.nothing_is_asked()
            self.report(str(error), logging.ERROR)
            await asyncio.sleep(_UNFIT_SECONDS)
        except UnreachableError as error:
            self.report(f"JetStream is out of reach, or has no leader: {error}")
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            await self._rest()
        if self._health.leave():
            _log.info("JetStream does not answer here, another NATS server is tried")
            await self.change_server()

    async def _look(self) -> None:
        """Look whether the streams are there, for somebody may delete one and another node make it anew, and
        whether they are as they must be, for somebody may change them."""
        was_unfit = self._unfit is not None
        try:
            await self._find_log_stream()
            await self._find_stream(snapshots_stream(self.stream, self._replicas))
        except UnfitStreamError as error:
            self._unfit = error
            raise
        self._unfit = None
        if was_unfit:
            self.report_end(f"the streams of {self.stream!r} are as they must be again")
            self._tell_of_answers()
        if not self._ready.is_set():
            self._ready.set()
            _log.info("rooms are shared through the stream %r", self.stream)

    async def _rest(self) -> None:
        """Wait until it is time to look again."""
        if self._health.is_doubtful:
            await asyncio.sleep(_RETRY_SECONDS)
            return
        self._doubt.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                await self._doubt.wait()

    def _tell_of_answers(self) -> None:
        self.times_answered += 1
        self._answers.set()
        self._answers = asyncio.Event()

    async def _find_log_stream(self) -> None:
        """Look at the stream of the logs, and create it where it is missing."""
        was_doubtful = self._health.is_doubtful
        self._health.look_begins()
        log = await self._find_stream(log_stream(self.stream, self._replicas))
        self._health.look_ends(leader_is_alone=_is_alone(log))
        leader_before, self._leader = self._leader, str((log.get("cluster") or {}).get("leader"))
        if leader_before != self._leader:
            # Who is waiting has asked the one before.
            self.give_up_requests()
        if was_doubtful or leader_before != self._leader:
            self._tell_of_answers()
        before, self._identity = self._identity, str(log["created"])
        if before != self._identity:
            for each in list(self._logs):
                each.look_again()

    async def _find_stream(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Return what there is to know of a stream, which is created where it is missing.

        Raises:
            UnfitStreamError: It is not as it must be.
            UnreachableError: That cannot be found out.
        """
        name = wanted["name"]
        reply = await self.insist(f"$JS.API.STREAM.INFO.{name}", b"{}")
        answer: dict[str, Any] = json.loads(reply.data)
        if answer.get("error", {}).get("err_code") == _NO_SUCH_STREAM:
            answer = await self.api(f"STREAM.CREATE.{name}", wanted)
        if "error" in answer:
            raise UnreachableError(f"stream {name}: {answer['error'].get('description')}")
        check_fit(wanted, answer["config"], min(self._require_client().max_payload, _MAX_PAYLOAD))
        return answer


def _is_alone(stream: Mapping[str, Any]) -> bool:
    """Tell whether a stream's leader has heard of too few servers lately to bring anything about."""
    others: list[dict[str, Any]] = (stream.get("cluster") or {}).get("replicas") or []
    heard = [
        each for each in others if not each.get("offline") and each.get("active", 0) < _ALONE_NANOSECONDS
    ]
    return 2 * (len(heard) + 1) <= len(others) + 1
