"""One room's log in JetStream, seen from one node.

Live entries come by way of the stream's republishing, with their sequence and that of the room's entry
before: a hole is seen at once, and read from the stream without a consumer, which could die with its NATS
server.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import zlib
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from replicell.sync.access import room_file_name
from replicell.sync.backplane.interface import (
    BackplaneError,
    ConnectionReplacedError,
    Entry,
    TrimmedError,
    UnreachableError,
)

if TYPE_CHECKING:
    from replicell.sync.backplane.jetstream import JetStreamBackplane
    from replicell.sync.backplane.nats_connection import Reply

__all__ = ["JetStreamLog"]

_log = logging.getLogger("replicell.sync.backplane")

_T = TypeVar("_T")

_FIRST_DELAY: Final = 0.05
_LONGEST_DELAY: Final = 0.5
_CHECK_SECONDS: Final = 10.0
_BATCH: Final = 256
_BATCH_BYTES: Final = 8 * 1024 * 1024
_QUEUE_BYTES: Final = 16 * 1024 * 1024
_PIECE: Final = 512 * 1024
_PIECE_OVERHEAD: Final = 4096

_IN_PROCESS: Final = 10158
_FULL: Final = 10077
_WRONG_LAST_SEQUENCE: Final = (10071, 10164)
_NO_MESSAGE: Final = 10037


class JetStreamLog:
    """One room's log; see `replicell.sync.backplane.interface.RoomLog`.

    Args:
        backplane: The connection.
        name: The room's name.
    """

    def __init__(self, backplane: JetStreamBackplane, name: str) -> None:
        self._backplane = backplane
        self._identity = backplane.identity
        self._generation = backplane.generation
        self._max_payload = backplane.max_payload
        # A room's file name has no character that means something in a subject.
        room = room_file_name(name).removesuffix(".db")
        self._subject = f"{backplane.stream}.log.{room}"
        self._live_subject = f"{backplane.stream}.live.{room}"
        self._tell_subject = f"{backplane.stream}.tell.{room}"
        self._manifest_subject = f"{backplane.stream}.snapshot.{room}.manifest"
        self._pieces_subject = f"{backplane.stream}.snapshot.{room}.pieces"
        self._snapshots = f"{backplane.stream}-snapshots"
        self._queue: deque[tuple[int, int, bytes]] = deque()
        self._queued_bytes = 0
        self._awake = asyncio.Event()
        self._behind = True
        self._newest = 0
        self._stop_listening: Callable[[], Awaitable[None]] | None = None

    @property
    def identity(self) -> str:
        return self._identity

    @property
    def max_payload(self) -> int:
        return self._max_payload

    async def append(self, payload: bytes, message_id: str) -> int:
        return await self._store(self._backplane.stream, self._subject, payload, message_id)

    async def last(self) -> int:
        message = await self._patiently(lambda: self._last_message(self._backplane.stream, self._subject))
        self._newest = 0 if message is None else int(message["seq"])
        return self._newest

    async def follow(self, after: int) -> AsyncGenerator[Sequence[Entry], None]:
        self._behind = True
        await self.last()
        stop = await self._patiently(lambda: self._backplane.subscribe(self._live_subject, self._on_live))
        self._backplane.joined(self)
        try:
            while True:
                self._check_is_current()
                if self._behind:
                    self._behind = False
                    async with aclosing(self._backlog(after)) as backlog:
                        async for entries in backlog:
                            after = entries[-1].sequence
                            yield entries
                if entries := self._take_queued(after):
                    after = entries[-1].sequence
                    yield entries
                elif not self._behind:
                    await self._wait()
        finally:
            self._backplane.left(self)
            await stop()

    async def save_snapshot(self, content: Path, position: int) -> bool:
        while True:
            kept = await self._manifest()
            if kept is not None and int(kept["position"]) >= position:
                return False
            try:
                await self._keep(content, position, after=kept)
            except _OvertakenError:
                # Another node has kept one meanwhile, and has purged pieces of this one.
                continue
            return True

    async def _keep(self, content: Path, position: int, after: dict[str, Any] | None) -> None:
        """Keep a snapshot in place of another one.

        Raises:
            _OvertakenError: Another node has put one in that place.
        """
        snapshot = os.urandom(8).hex()
        first = pieces = 0
        size = min(_PIECE, self._max_payload - _PIECE_OVERHEAD)
        with content.open("rb") as file:
            while piece := await asyncio.to_thread(_next_piece, file.read, size):
                message_id = f"{snapshot}-{pieces}"
                sequence = await self._store(
                    self._snapshots, self._pieces_subject, snapshot.encode() + piece, message_id
                )
                first = first or sequence
                pieces += 1
        manifest = {"snapshot": snapshot, "position": position, "first": first, "pieces": pieces}
        try:
            sequence = await self._store(
                self._snapshots,
                self._manifest_subject,
                json.dumps(manifest).encode(),
                snapshot,
                after=0 if after is None else int(after["sequence"]),
            )
        except _OvertakenError:
            kept = await self._manifest()
            # An attempt whose answer was lost overtakes itself.
            if kept is None or kept["snapshot"] != snapshot:
                raise
            sequence = int(kept["sequence"])
        # The entry at the position stays, so that the room's newest sequence can always be found.
        await self._purge(self._backplane.stream, self._subject, position)
        await self._purge(self._snapshots, self._pieces_subject, first)
        await self._purge(self._snapshots, self._manifest_subject, sequence)

    async def load_snapshot(self, target: Path, arrived: Callable[[], None] | None = None) -> int | None:
        while (manifest := await self._manifest()) is not None:
            try:
                with target.open("wb") as file:
                    async for piece in self._pieces(manifest, arrived):
                        await asyncio.to_thread(file.write, piece)
            except TrimmedError:
                # A newer one has taken its place.
                continue
            return int(manifest["position"])
        return None

    async def snapshot_position(self) -> int:
        manifest = await self._manifest()
        return 0 if manifest is None else int(manifest["position"])

    async def tell(self, payload: bytes) -> None:
        await self._backplane.tell(self._tell_subject, payload)

    async def listen(self, listener: Callable[[bytes], None]) -> None:
        self._stop_listening = await self._patiently(
            lambda: self._backplane.subscribe(self._tell_subject, lambda reply: listener(reply.data))
        )

    async def close(self) -> None:
        stop, self._stop_listening = self._stop_listening, None
        if stop is not None:
            await stop()

    def look_again(self) -> None:
        """The connection has been away: something may have been missed."""
        self._behind = True
        self._awake.set()

    # -- appending --

    async def _store(
        self, stream: str, subject: str, payload: bytes, message_id: str, *, after: int | None = None
    ) -> int:
        """Publish until it is acknowledged; by the id it counts once, however many attempts get through.

        Args:
            stream: The stream.
            subject: The subject.
            payload: What to publish.
            message_id: The id.
            after: The sequence that must be the subject's newest; None for any.

        Raises:
            _OvertakenError: It is not.
        """
        if len(payload) > self._max_payload:
            raise BackplaneError(f"an entry of {len(payload)} bytes is too big: cut it into parts")
        headers = {"Nats-Msg-Id": message_id, "Nats-Expected-Stream": stream}
        if after is not None:
            headers["Nats-Expected-Last-Subject-Sequence"] = str(after)
        try:
            return await self._publish_until_acknowledged(stream, subject, payload, headers)
        finally:
            self._backplane.append_ended(message_id)

    async def _publish_until_acknowledged(
        self, stream: str, subject: str, payload: bytes, headers: dict[str, str]
    ) -> int:
        delay = _FIRST_DELAY
        doubtful = False
        while True:
            answered = self._backplane.times_answered
            try:
                self._backplane.require_fit()
                reply = await self._backplane.request(subject, payload, headers)
                answer: dict[str, Any] = json.loads(reply.data) if reply.data else {}
                if "error" not in answer and "seq" in answer:
                    sequence = int(answer["seq"])
                    if doubtful:
                        # It was away for a moment: is it still the one that has all the entries before?
                        await self._backplane.verify(self._identity)
                    self._check_is_current()
                    if answer.get("duplicate"):
                        await self._verify_stored(stream, sequence, payload)
                    self._backplane.append_succeeded()
                    return sequence
                error = answer.get("error", {})
                if error.get("err_code") == _FULL:
                    _log.error("the stream %r is full: nothing is acknowledged until it has room", stream)
                elif error.get("err_code") == _IN_PROCESS or error.get("code") == 503:
                    self._backplane.append_failed(headers["Nats-Msg-Id"])
                elif error.get("err_code") in _WRONG_LAST_SEQUENCE:
                    raise _OvertakenError(f"{subject}: {error.get('description')}")
                else:
                    raise BackplaneError(f"the stream {stream!r} refuses an entry: {error}")
            except UnreachableError as error:
                _log.debug("waiting for JetStream: %s", error)
                self._check_is_current()
                self._backplane.append_failed(headers["Nats-Msg-Id"])
                doubtful = True
            delay = await self._wait_before_asking_again(delay, answered)

    async def _verify_stored(self, stream: str, sequence: int, payload: bytes) -> None:
        """Find out whether an entry that is said to be there already is.

        A leader that is cut off from the others says so of what it was given before and could not replicate;
        it is thrown away when another leader is found.

        Raises:
            UnreachableError: It is not.
        """
        answer = await self._backplane.api(f"STREAM.MSG.GET.{stream}", {"seq": sequence})
        if base64.b64decode(answer.get("message", {}).get("data", "")) != payload:
            raise UnreachableError(f"{sequence} of the stream {stream!r} is acknowledged and not stored")

    def _check_is_current(self) -> None:
        self._backplane.check_identity(self._identity)
        if self._backplane.generation != self._generation:
            raise ConnectionReplacedError("the connection to NATS was made anew: open the room's log again")

    # -- following --

    def _on_live(self, reply: Reply) -> None:
        sequence = int(reply.headers["Nats-Sequence"])
        self._newest = max(self._newest, sequence)
        if self._queued_bytes > _QUEUE_BYTES:
            # Whoever follows is slow: it will read the rest from the stream, at its own pace.
            self._behind = True
        else:
            self._queue.append((sequence, int(reply.headers["Nats-Last-Sequence"]), reply.data))
            self._queued_bytes += len(reply.data)
        self._awake.set()

    def _take_queued(self, after: int) -> list[Entry]:
        entries: list[Entry] = []
        while self._queue:
            sequence, previous, payload = self._queue[0]
            if sequence > after and previous != after:
                self._behind = True
                break
            self._queue.popleft()
            self._queued_bytes -= len(payload)
            if sequence > after:
                entries.append(Entry(sequence, payload))
                after = sequence
        return entries

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await self._awake.wait()
        except TimeoutError:
            # What was republished last may have got lost, and nothing came after it to tell.
            self._behind = True
        self._awake.clear()

    async def _backlog(self, after: int) -> AsyncGenerator[list[Entry], None]:
        """Read what is in the stream after a sequence, up to the newest that was heard of."""
        while True:
            entries, pending = await self._patiently(partial(self._read, after))
            if not entries and not pending and after >= self._newest:
                return
            # Only now, for a snapshot may have taken the place of entries while these were read.
            if await self._snapshot_is_needed(after):
                raise TrimmedError(f"entries after {after} are in a snapshot now")
            if entries:
                after = entries[-1].sequence
                yield entries
            else:
                # The server that was asked lags behind the leader.
                await asyncio.sleep(_FIRST_DELAY)
                await self.last()

    async def _read(self, after: int) -> tuple[list[Entry], int]:
        wanted = {"seq": after + 1, "next_by_subj": self._subject, "batch": _BATCH, "max_bytes": _BATCH_BYTES}
        replies = await self._backplane.request_many(
            f"$JS.API.DIRECT.GET.{self._backplane.stream}", json.dumps(wanted).encode()
        )
        end = replies.pop()
        entries = [Entry(int(reply.headers["Nats-Sequence"]), reply.data) for reply in replies]
        if end.status not in ("204", "404"):
            raise UnreachableError(f"the stream answers {end.status} to a reader")
        return entries, int(end.headers.get("Nats-Num-Pending", 0))

    # -- snapshots --

    async def _snapshot_is_needed(self, after: int) -> bool:
        return await self.snapshot_position() > after

    async def _manifest(self) -> dict[str, Any] | None:
        message = await self._patiently(lambda: self._last_message(self._snapshots, self._manifest_subject))
        if message is None:
            return None
        manifest: dict[str, Any] = json.loads(base64.b64decode(message["data"]))
        return {**manifest, "sequence": message["seq"]}

    async def _pieces(
        self, manifest: dict[str, Any], arrived: Callable[[], None] | None
    ) -> AsyncIterator[bytes]:
        """Read the pieces in their order.

        Raises:
            BackplaneError: One is damaged.
            TrimmedError: They are there no more.
        """
        sequence, missing, mark = (
            int(manifest["first"]),
            int(manifest["pieces"]),
            manifest["snapshot"].encode(),
        )
        wanted = {"next_by_subj": self._pieces_subject, "batch": 16}
        while missing:
            asked = json.dumps({**wanted, "seq": sequence}).encode()
            replies = await self._patiently(
                partial(self._backplane.request_many, f"$JS.API.DIRECT.GET.{self._snapshots}", asked, arrived)
            )
            for reply in replies[:-1]:
                sequence = int(reply.headers["Nats-Sequence"]) + 1
                if reply.data.startswith(mark):
                    missing -= 1
                    yield await asyncio.to_thread(_unpacked, reply.data[len(mark) :])
            if len(replies) == 1:
                newest = await self._manifest()
                if newest is None or newest["snapshot"] != manifest["snapshot"]:
                    raise TrimmedError("a newer snapshot has taken its place")
                await asyncio.sleep(_FIRST_DELAY)

    async def _purge(self, stream: str, subject: str, keep_from: int) -> None:
        arguments = {"filter": subject, "seq": keep_from}
        answer = await self._patiently(lambda: self._backplane.api(f"STREAM.PURGE.{stream}", arguments))
        if "error" in answer:
            _log.warning("the stream %r is not trimmed: %s", stream, answer["error"].get("description"))

    # -- asking --

    async def _last_message(self, stream: str, subject: str) -> dict[str, Any] | None:
        """Ask the stream's leader, for others may lag behind."""
        answer = await self._backplane.api(f"STREAM.MSG.GET.{stream}", {"last_by_subj": subject})
        error = answer.get("error")
        if error is None:
            message: dict[str, Any] = answer["message"]
            return message
        if error.get("err_code") == _NO_MESSAGE:
            return None
        raise UnreachableError(f"the stream {stream!r} answers {error.get('description')}")

    async def _patiently(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Do something that needs the backplane, again and again until it can be reached."""
        delay = _FIRST_DELAY
        while True:
            answered = self._backplane.times_answered
            try:
                return await work()
            except UnreachableError as error:
                _log.debug("waiting for JetStream: %s", error)
                self._check_is_current()
            delay = await self._wait_before_asking_again(delay, answered)

    async def _wait_before_asking_again(self, delay: float, answered: int) -> float:
        """Wait until JetStream answers, or for so long; returns for how long the next time."""
        if await self._backplane.wait_for_answers(delay, answered):
            return _FIRST_DELAY
        return min(2 * delay, _LONGEST_DELAY)


class _OvertakenError(BackplaneError):
    """Somebody else has published where this was to be the next."""


def _unpacked(piece: bytes) -> bytes:
    try:
        return zlib.decompress(piece)
    except zlib.error as error:
        raise BackplaneError(f"a piece of a snapshot is damaged: {error}") from error


def _next_piece(read: Callable[[int], bytes], size: int) -> bytes:
    content = read(size)
    return zlib.compress(content, 1) if content else b""
