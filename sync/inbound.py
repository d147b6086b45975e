"""The receiving half of a session: the other side's changes come in order, are applied whole, and then
acknowledged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from replicell.persisters.crsqlite.changes import Change
from replicell.sync.actions import Emit, Send
from replicell.sync.errors import ProtocolError
from replicell.sync.jobs import Batch
from replicell.sync.messages import Ack, Changes, Encoding, Heartbeat, Resend, encode

__all__ = ["BATCH_OVERHEAD", "Inbound"]

_MAX_VERSION: Final = 2**53 - 1
BATCH_OVERHEAD: Final = 2048
"""About how many bytes of memory even the smallest batch takes."""
_GROUP: Final = 5000
"""How many changes of several batches are applied in one transaction, so that other writers need not wait
long."""


class Inbound:
    """Receives the changes of one sender.

    Up to ``confirmed`` everything is acknowledged, up to ``cursor`` applied, and up to ``expected`` it has
    come. A batch that does not follow is not taken: the sender is asked to go back. So nothing is ever
    skipped, whatever gets lost on the way.

    Args:
        emit: Takes the actions.
        encoding: How frames are encoded.
        apply: Asked to apply batches; answers with `applied` when that is committed.
        transaction_bytes: The biggest batch, in bytes of its frames, that is held back until it is complete.
        turn_size: About how many changes may be applied in one transaction.
        confirms_later: Whether what is applied is not acknowledged before `confirm` is called.
    """

    def __init__(
        self,
        *,
        emit: Emit,
        encoding: Encoding,
        apply: Callable[[list[Batch]], None],
        transaction_bytes: int,
        confirms_later: bool = False,
        turn_size: Callable[[], int] = lambda: _GROUP,
    ) -> None:
        self._emit = emit
        self._encoding: Encoding = encoding
        self._apply = apply
        self._transaction_bytes = transaction_bytes
        self._confirms_later = confirms_later
        self._turn_size = turn_size
        self.confirmed = 0
        self.cursor = 0
        self.expected = 0
        self._queue: list[Batch] = []
        self._applying: list[Batch] = []
        self._held = False
        self._batch: int | None = None
        self._next_part = 0
        self._rows: list[Change] = []
        self._bytes = 0
        self._asked_for: int | None = None
        self.backlog = 0
        """About the memory of the batches that wait to be applied or are just being applied, so that the
        connection is not read too far ahead. One that has not come whole does not count: it waits for being
        read."""
        self._applying_backlog = 0

    @property
    def idle(self) -> bool:
        """Whether everything that has come is applied."""
        return not self._queue and not self._applying

    def begin(self, cursor: int, confirmed: int | None = None) -> None:
        """Expect the changes after a version.

        Args:
            cursor: The version.
            confirmed: The version up to which they are acknowledged, if that is not the same.
        """
        self.cursor = self.expected = cursor
        self.confirmed = cursor if confirmed is None else confirmed

    def hold(self, held: bool) -> None:
        """Apply nothing for now, because the schema is just being changed; or go on."""
        self._held = held
        self._pump()

    def receive(self, changes: Changes, size: int) -> None:
        """Take one frame of changes.

        Args:
            changes: The message.
            size: Bytes of the frame.

        Raises:
            ProtocolError: Its numbers make no sense.
        """
        if (
            not 0 <= changes.since <= changes.until <= _MAX_VERSION
            or changes.part < 0
            or len(changes.epoch) != 16
        ):
            raise ProtocolError("the versions, the part or the epoch of a batch of changes are out of range")
        if changes.until <= self.expected and changes.until < _MAX_VERSION:
            self._acknowledge_again(changes.until)
        elif changes.since > self.expected:
            self._ask_again()
        elif self._follows(changes):
            self._take(changes, size)
        elif not self._is_repeated(changes):
            self._ask_again()

    def heartbeat(self, heartbeat: Heartbeat) -> None:
        """Answer how far the changes have come."""
        if heartbeat.sent > self.expected:
            self._asked_for = None
            self._ask_again()
        elif heartbeat.sent <= self.cursor:
            self._acknowledge()

    def applied(self) -> None:
        """The batches that `apply` was asked for are committed."""
        reached = [batch.until for batch in self._applying if batch.whole]
        self._applying = []
        self.backlog -= self._applying_backlog
        if reached:
            self.cursor = max(self.cursor, reached[-1])
            if not self._confirms_later:
                self.confirm(self.cursor)
        self._pump()

    def confirm(self, version: int) -> None:
        """Acknowledge what is applied up to a version."""
        self.confirmed = max(self.confirmed, version)
        self._acknowledge()

    def _follows(self, changes: Changes) -> bool:
        return changes.part == 0 if changes.batch != self._batch else changes.part == self._next_part

    def _is_repeated(self, changes: Changes) -> bool:
        return changes.batch == self._batch and changes.part < self._next_part

    def _take(self, changes: Changes, size: int) -> None:
        self._asked_for = None
        if changes.part == 0:
            self._drop_parts()
        self._batch = changes.batch
        self._next_part = changes.part + 1
        if self._rows:
            self._rows.extend(changes.rows)
        else:
            self._rows = changes.rows
        self._bytes += size
        if changes.last:
            self.expected = changes.until
            self._batch = None
        elif self._bytes <= self._transaction_bytes:
            return
        self._queue.append(Batch(changes.epoch, changes.until, changes.last, self._rows, self._bytes))
        self.backlog += self._bytes + BATCH_OVERHEAD
        self._drop_parts()
        self._pump()

    def _pump(self) -> None:
        if self._applying or self._held or not self._queue:
            return
        count = changes = 0
        most = self._turn_size()
        while count < len(self._queue) and (count == 0 or changes + len(self._queue[count].rows) <= most):
            changes += len(self._queue[count].rows)
            count += 1
        self._applying, self._queue = self._queue[:count], self._queue[count:]
        self._applying_backlog = sum(batch.size + BATCH_OVERHEAD for batch in self._applying)
        self._apply(self._applying)

    def _acknowledge_again(self, until: int) -> None:
        if until <= self.cursor:
            self._acknowledge()

    def _acknowledge(self) -> None:
        self._emit(Send(encode(Ack(self.confirmed), self._encoding)))

    def _ask_again(self) -> None:
        """Ask for what is missing, once until something of it has come."""
        if self._asked_for != self.expected:
            self._asked_for = self.expected
            self._batch = None
            self._drop_parts()
            self._emit(Send(encode(Resend(self.expected), self._encoding)))

    def _drop_parts(self) -> None:
        self._rows, self._bytes = [], 0
