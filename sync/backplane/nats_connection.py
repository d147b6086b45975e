"""A connection to NATS: asking and telling through it, and knowing when nobody will answer any more."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, NamedTuple

from replicell.sync.backplane.interface import UnreachableError
from replicell.sync.errors import MissingPackageError

try:
    from nats import errors as nats_errors
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.aio.subscription import Subscription
except ImportError as error:
    raise MissingPackageError(
        'JetStream needs the package nats-py: pip install "replicell[cluster]"'
    ) from error

__all__ = ["NatsConnection", "Reply"]

_log = logging.getLogger("replicell.sync.backplane")

_REQUEST_SECONDS: Final = 1.5
_ASK_AGAIN_SECONDS: Final = 0.25
_UNREACHABLE: Final = (
    TimeoutError,
    nats_errors.NoRespondersError,
    nats_errors.OutboundBufferLimitError,
    nats_errors.ConnectionClosedError,
    nats_errors.ConnectionReconnectingError,
    nats_errors.FlushTimeoutError,
    nats_errors.StaleConnectionError,
    OSError,
)


class Reply(NamedTuple):
    """A message from NATS.

    Args:
        data: Its content.
        headers: Its headers.
    """

    data: bytes
    headers: Mapping[str, str]

    @property
    def status(self) -> str:
        """The code of a message that is not content but says how a request went; empty for content."""
        return self.headers.get("Status", "")


class NatsConnection:
    """A connection to one of several NATS servers; when it is lost, the package goes to the next one.

    Args:
        servers: Their addresses.
        options: More for ``nats.connect``.
    """

    def __init__(self, servers: Iterable[str], options: Mapping[str, Any]) -> None:
        self._servers = list(servers)
        self._options = dict(options)
        self._encrypts = "tls" in self._options or any(url.startswith("tls://") for url in self._servers)
        self._client: Client | None = None
        self._requests: set[asyncio.Timeout] = set()
        self._reported = ""
        self.generation = 0
        """Grows with each connection that was not gone on with but made anew: what was subscribed to through
        the one before is heard no more."""

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection to one of the servers."""
        return self._client is not None and self._client.is_connected

    @property
    def is_given_up(self) -> bool:
        """Whether the package will not connect again by itself: NATS has said an error for which it never
        does, as when a user's credentials have run out."""
        return self._client is not None and self._client.is_closed

    async def request(self, subject: str, payload: bytes, headers: dict[str, str] | None = None) -> Reply:
        """Ask for one reply.

        Raises:
            UnreachableError: None has come: nobody is there, or there is no leader.
        """
        client = self._connected_client()
        try:
            async with self._under_way():
                message = await client.request(subject, payload, timeout=_REQUEST_SECONDS, headers=headers)
        except _UNREACHABLE as error:
            raise _unreachable(subject, error) from error
        return _reply(message)

    async def insist(self, subject: str, payload: bytes) -> Reply:
        """Ask again and again for one reply, because one that was asked and lost the lead meanwhile stays
        silent.

        Raises:
            UnreachableError: Nobody has answered.
        """
        try:
            async with self._inbox() as (client, inbox), self._under_way(), asyncio.timeout(_REQUEST_SECONDS):
                while True:
                    await client.publish(subject, payload, inbox.subject)
                    with suppress(nats_errors.TimeoutError):
                        reply = _reply(await inbox.next_msg(timeout=_ASK_AGAIN_SECONDS))
                        if not reply.status:
                            return reply
                        await asyncio.sleep(_ASK_AGAIN_SECONDS)
        except _UNREACHABLE as error:
            raise _unreachable(subject, error) from error

    async def request_many(
        self, subject: str, payload: bytes, arrived: Callable[[], None] | None = None
    ) -> list[Reply]:
        """Ask for many replies, of which the last one has a status.

        Args:
            subject: Whom to ask.
            payload: What.
            arrived: Called with each reply.

        Raises:
            UnreachableError: They stopped coming before the last one.
        """
        try:
            async with self._inbox() as (client, inbox), self._under_way():
                replies: list[Reply] = []
                await client.publish(subject, payload, inbox.subject)
                while not replies or not replies[-1].status:
                    replies.append(_reply(await inbox.next_msg(timeout=_REQUEST_SECONDS)))
                    if arrived is not None:
                        arrived()
                return replies
        except _UNREACHABLE as error:
            raise _unreachable(subject, error) from error

    async def tell(self, subject: str, payload: bytes) -> None:
        """Publish something that may get lost."""
        try:
            await self._require_client().publish(subject, payload)
        except _UNREACHABLE as error:
            _log.debug("not told: %s", error)

    async def subscribe(self, subject: str, heard: Callable[[Reply], None]) -> Callable[[], Any]:
        """Call a function with every message of a subject; returns how to stop that.

        Raises:
            UnreachableError: There is no connection.
        """

        async def receive(message: Msg) -> None:
            heard(_reply(message))

        try:
            subscription = await self._require_client().subscribe(subject, cb=receive)
        except _UNREACHABLE as error:
            raise _unreachable(subject, error) from error

        async def stop() -> None:
            try:
                await subscription.unsubscribe()
            except (*_UNREACHABLE, nats_errors.BadSubscriptionError):
                _log.debug("%s was not listened to any more", subject)

        return stop

    def give_up_requests(self) -> None:
        """Let nobody wait for answers that will not come: an `UnreachableError` is raised there."""
        for request in self._requests:
            if not request.expired():
                request.reschedule(asyncio.get_running_loop().time())

    async def open(self) -> None:
        """Connect, in place of a connection that was given up; returns when that is done, however long it
        takes."""
        client = await connect(
            random.sample(self._servers, len(self._servers)),
            encrypts=self._encrypts,
            **{
                "name": "replicell",
                # In turns, so that one that is left for its silence is not the next one too.
                "dont_randomize": True,
                "max_reconnect_attempts": -1,
                "reconnect_time_wait": 0.2,
                "connect_timeout": 1,
                "ping_interval": 2,
                "max_outstanding_pings": 2,
                "error_cb": self._on_error,
                "reconnected_cb": self._on_reconnected,
                "disconnected_cb": self._on_disconnected,
                **self._options,
            },
        )
        before, self._client = self._client, client
        self.generation += 1
        if before is not None:
            await before.close()

    async def disconnect(self) -> None:
        """End the connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def change_server(self) -> None:
        """Go to another server."""
        await self._require_client().force_reconnect()

    def went_away(self) -> None:
        """The connection is lost; for subclasses."""

    def came_back(self) -> None:
        """There is a connection again, and what was told meanwhile was missed; for subclasses."""

    def report(self, text: str, level: int = logging.WARNING) -> None:
        """Log a trouble once, not with every attempt."""
        if text != self._reported:
            self._reported = text
            _log.log(level, "%s", text)

    def report_end(self, text: str) -> None:
        """Log that a trouble is over; should it come again, it is told again."""
        self._reported = ""
        _log.info("%s", text)

    @asynccontextmanager
    async def _inbox(self) -> AsyncIterator[tuple[Client, Subscription]]:
        client = self._connected_client()
        inbox = await client.subscribe(client.new_inbox())
        try:
            yield client, inbox
        finally:
            await inbox.unsubscribe()

    @asynccontextmanager
    async def _under_way(self) -> AsyncIterator[None]:
        """Raise a TimeoutError once it is known that no answer will come, and a CancelledError that the
        package has lost."""
        task = asyncio.current_task()
        cancelled_before = task.cancelling() if task is not None else 0
        try:
            async with asyncio.timeout(None) as request:
                self._requests.add(request)
                try:
                    yield
                finally:
                    self._requests.discard(request)
        finally:
            # It takes an answer that comes at the same time for all that has happened; and who was told to
            # end would go on for ever.
            if task is not None and task.cancelling() > cancelled_before:
                raise asyncio.CancelledError

    async def _on_error(self, error: Exception) -> None:
        self.report(f"NATS: {str(error) or type(error).__name__}")

    async def _on_disconnected(self) -> None:
        _log.info("the connection to NATS is lost")
        self.give_up_requests()
        self.went_away()

    async def _on_reconnected(self) -> None:
        self.report_end("connected to NATS again")
        self.came_back()

    def _connected_client(self) -> Client:
        client = self._require_client()
        if not client.is_connected:
            raise UnreachableError("the connection to NATS is lost")
        return client

    def _require_client(self) -> Client:
        if self._client is None:
            raise UnreachableError("there is no connection to NATS")
        return self._client


class _Client(Client):
    """Says nothing in the clear where TLS is wanted: the package encrypts if the server asks for it, so
    whoever stands between could do away with it and be told the password.

    Args:
        encrypts: Whether TLS is wanted.
    """

    def __init__(self, *, encrypts: bool) -> None:
        super().__init__()
        self._encrypts = encrypts

    def _connect_command(self) -> bytes:
        if self._encrypts and not self._server_info.get("tls_required"):
            raise nats_errors.Error("the NATS server speaks no TLS, so nothing is said to it")
        return super()._connect_command()


async def connect(servers: list[str], *, encrypts: bool, **options: Any) -> Client:
    """Connect to one of several NATS servers, as ``nats.connect`` does, in no case in the clear if TLS is
    wanted."""
    client = _Client(encrypts=encrypts)
    try:
        await client.connect(servers, **options)
    except BaseException:
        # An attempt that was under way has a connection open.
        await client.close()
        raise
    return client


def _unreachable(subject: str, error: Exception) -> UnreachableError:
    return UnreachableError(f"{subject}: {str(error) or 'no answer'}")


def _reply(message: Msg) -> Reply:
    return Reply(message.data, message.headers or {})
