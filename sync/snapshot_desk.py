"""Giving out a snapshot: the server's side, without I/O."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final

from replicell.persisters.crsqlite.epochs import Cursor
from replicell.sync.actions import Emit, FindSnapshot, ReadSnapshot
from replicell.sync.errors import ProtocolError
from replicell.sync.messages import AskPart, AskSnapshot, Message, Part, Snapshot

__all__ = ["SnapshotDesk"]

_log = logging.getLogger("replicell.sync.server")

_MOST_BYTES: Final = 1024 * 1024
_MOST_PARTS: Final = 8
_NONE: Final = Snapshot(b"", 0, b"", Cursor(b"", b"", 0))


class SnapshotDesk:
    """Answers one client, part by part as it asks for them: one that does not read costs no more than that.

    Args:
        emit: Takes the actions.
        send: Takes messages to the client.
        failed: Called with the exception when a snapshot cannot be read.
    """

    def __init__(
        self,
        *,
        emit: Emit,
        send: Callable[[Message], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        self._emit = emit
        self._send = send
        self._failed = failed
        self._waiting: deque[AskPart] = deque()
        self._is_finding = False
        self._is_reading = False
        self._is_held = False
        self._is_open = True

    def receive(self, ask: AskSnapshot | AskPart) -> None:
        """Answer as soon as that is possible.

        Raises:
            ProtocolError: What is asked for makes no sense, or it is too much at a time.
        """
        if isinstance(ask, AskSnapshot):
            if self._is_finding:
                raise ProtocolError("a snapshot is being prepared already")
            self._is_finding = True
            self._emit(FindSnapshot(ask.id, self._found, self._not_found))
            return
        if not (0 < ask.length <= _MOST_BYTES and ask.offset >= 0):
            raise ProtocolError(f"a part of a snapshot has 1 to {_MOST_BYTES} bytes, from 0 on")
        if len(self._waiting) >= _MOST_PARTS:
            raise ProtocolError(f"at most {_MOST_PARTS} parts of a snapshot may be asked for at a time")
        self._waiting.append(ask)
        self._pump()

    def hold(self, held: bool) -> None:
        """The socket is full, or has room again."""
        self._is_held = held
        self._pump()

    def stop(self) -> None:
        """Answer nothing any more."""
        self._is_open = False
        self._waiting.clear()

    def _pump(self) -> None:
        if self._waiting and not self._is_reading and not self._is_held:
            self._is_reading = True
            part = self._waiting.popleft()
            self._emit(ReadSnapshot(part, partial(self._read, part), self._failed))

    def _read(self, part: AskPart, data: bytes) -> None:
        self._is_reading = False
        if self._is_open:
            self._send(Part(part.id, part.offset, data))
            self._pump()

    def _found(self, snapshot: Snapshot) -> None:
        self._is_finding = False
        if self._is_open:
            self._send(snapshot)

    def _not_found(self, error: BaseException) -> None:
        _log.error("no snapshot can be had, so a client must fetch all changes: %s", error)
        self._found(_NONE)
