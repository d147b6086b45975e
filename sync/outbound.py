"""The sending half of a session: own changes go out in order, several batches under way, each until it is
acknowledged."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

import apsw

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.changes import Change, Resume
from replicell.sync.actions import Emit, Send, SessionOptions
from replicell.sync.announcements import announce
from replicell.sync.jobs import Job, Outgoing, read_outgoing
from replicell.sync.messages import Changes, Encoding, Heartbeat, Schema, TableAnnouncement, encode
from replicell.sync.ring import Ring

__all__ = ["Outbound"]


class Outbound:
    """Sends the changes of one database to one receiver.

    Three versions tell where it is. Up to ``position`` everything was sent or is not for this receiver; up to
    ``announced`` the receiver has been told; up to ``acked`` it has said that it is on its disk.

    Args:
        emit: Takes the actions.
        catalog: The database's catalogue.
        options: Times and sizes.
        encoding: How frames are encoded.
        receiver: The receiver's site id: its own changes are not sent back to it.
        next_batch: Gives a number for a batch.
        has_more: Tells whether there may be changes after a version.
        failed: Called with the exception when the database cannot be read.
        on_schema: Called when the own schema is found changed.
        on_oversized: Called with changes that are too big for a frame and so were left out.
        max_frame: The biggest frame that the receiver takes, None for any.
        ring: Recent batches, ready to send.
    """

    def __init__(
        self,
        *,
        emit: Emit,
        catalog: Catalog,
        options: SessionOptions,
        encoding: Encoding,
        receiver: bytes,
        next_batch: Callable[[], int],
        has_more: Callable[[int], bool],
        failed: Callable[[BaseException], None],
        on_schema: Callable[[], None] | None = None,
        on_oversized: Callable[[list[Change]], None] | None = None,
        max_frame: int | None = None,
        ring: Ring | None = None,
    ) -> None:
        self._emit = emit
        self._catalog = catalog
        self._options = options
        self._encoding: Encoding = encoding
        self._receiver = receiver
        self._next_batch = next_batch
        self._has_more = has_more
        self._failed = failed
        self._on_schema = on_schema
        self._on_oversized = on_oversized
        self._max_frame = max_frame
        self._ring = ring
        self.position = 0
        self.announced = 0
        self.acked = 0
        self.epoch = b""
        self.latest = 0
        self._running = False
        self._held = False
        self._everything_until = 0
        self._in_flight: deque[tuple[int, int]] = deque()
        self._bytes_in_flight = 0
        self._reading = False
        self._generation = 0
        self._resume: Resume | None = None
        self._batch = 0
        self._part = 0
        self._own_range = (0, 0)
        self._announce_until = 0
        self._heartbeat_at = 0.0
        self._cookie: object = None
        self._foreseen: _Foreseen | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing is being read or sent in parts."""
        return not self._reading and self._resume is None

    @property
    def confirmed(self) -> int:
        """The own version up to which the receiver has all that it should have."""
        return (
            self.position
            if self.acked >= self.announced and self._resume is None
            else min(self.acked, self.position)
        )

    def begin(
        self,
        *,
        since: int,
        everything_until: int,
        epoch: bytes,
        cookie: object,
        now: float,
        confirmed: bool = True,
    ) -> None:
        """Start sending.

        Args:
            since: The version after which to begin.
            everything_until: The version up to which also the receiver's own changes are sent.
            epoch: The own newest epoch.
            cookie: The schema that was announced.
            now: The time in seconds.
            confirmed: Whether everything up to there is acknowledged; if not, that is still to come.
        """
        self.position = self.announced = since
        self.acked = since if confirmed else 0
        self._everything_until = everything_until
        self.epoch = epoch
        self._cookie = cookie
        self._heartbeat_at = now
        self._running = True
        self.pump()

    def stop(self) -> None:
        """Send nothing any more."""
        self._running = False
        self._generation += 1

    def hold(self, held: bool) -> None:
        """Send nothing for now, because the socket is full; or go on."""
        self._held = held
        self.pump()

    def pump(self) -> None:
        """Send what the window has room for."""
        while self._running and not self._held and not self._reading and self._has_room():
            if self._resume is None and not self._has_more(self.position):
                if self.announced < min(self.position, self._announce_until):
                    self._announce()
                return
            if self._resume is not None or not self._send_from_ring():
                self._read()

    def foresee(self) -> Callable[[apsw.Connection], Outgoing] | None:
        """Return what will be read after the next commit; None if something else comes before."""
        if not self._running or self._held or not self.idle or not self._has_room():
            return None
        state = (self.position, self.announced, self._generation, self._cookie)
        if self._foreseen is None or self._foreseen.state != state:
            self._foreseen = _Foreseen(state, self._next_batch())
            self._foreseen.read = self._reader(self._foreseen.batch, 0)
        return self._foreseen.read

    def was_foreseen(self, read: Callable[[apsw.Connection], Outgoing], outgoing: Outgoing) -> bool:
        """Send what has been read already, as `foresee` has said.

        Returns:
            False if something else is to be read now.
        """
        if self._foreseen is None or read is not self.foresee():
            return False
        self._batch, self._part, self._foreseen = self._foreseen.batch, 0, None
        self._reading = True
        self._was_read(self._generation, outgoing)
        return True

    def acknowledged(self, version: int) -> None:
        """The receiver has everything up to a version on its disk."""
        self.acked = max(self.acked, min(version, self.announced))
        while self._in_flight and self._in_flight[0][0] <= version:
            self._bytes_in_flight -= self._in_flight.popleft()[1]
        self.pump()

    def rewind(self, since: int) -> None:
        """Send everything after a version again."""
        self._generation += 1
        self._resume = None
        self._part = 0
        self.position = self.announced = min(max(since, 0), self.announced)
        self._in_flight.clear()
        self._bytes_in_flight = 0
        self.pump()

    def skip(self, before: int, after: int) -> None:
        """The versions after ``before`` up to ``after`` came from the receiver: they need not even be
        read."""
        first, last = self._own_range
        self._own_range = (first if last == before else before, after)
        self._skip_own()

    def announce_tables(self, tables: list[TableAnnouncement], cookie: object) -> None:
        """Tell the receiver what the own tables are, if that is not what it was told last."""
        if self._running and cookie != self._cookie:
            self._cookie = cookie
            self._emit(Send(encode(Schema(tables), self._encoding)))

    def repeat_tables(self) -> None:
        """Tell the receiver again what the own tables are."""
        if self._running:
            describe = partial(announce, catalog=self._catalog)
            self._emit(Job("read", describe, self._were_described, self._failed))

    def announce_up_to(self, version: int) -> None:
        """Tell the receiver explicitly when it has everything up to a version, even if nothing of that was
        for it."""
        self._announce_until = max(self._announce_until, version)
        self.pump()

    def tick(self, now: float) -> None:
        """Look after what is not acknowledged."""
        if not self._running or now < self._heartbeat_at + self._options.heartbeat_interval:
            return
        self._heartbeat_at = now
        if self.announced < self.position and not self._reading and self._resume is None:
            self._announce()
        elif self.acked < self.announced or self._in_flight:
            self._emit(Send(encode(Heartbeat(self.announced), self._encoding)))

    def _has_room(self) -> bool:
        options = self._options
        return self._bytes_in_flight < options.window_bytes and len(self._in_flight) < options.window_batches

    def _send_from_ring(self) -> bool:
        entry = (
            self._ring.after(self.position)
            if self._ring is not None and self._encoding == "msgpack"
            else None
        )
        if entry is None:
            return False
        echo = self._receiver in entry.authors and entry.since >= self._everything_until
        if not echo:
            if self.announced < entry.since:
                self._announce_as(entry.since)
            self.announce_tables(entry.tables, entry.cookie)
            for frame in entry.frames:
                self._emit(Send(frame))
            self._sent(entry.until, entry.size)
        self.position = entry.until
        return True

    def _read(self) -> None:
        if self._resume is None:
            self._batch = self._next_batch()
            self._part = 0
        read = self._reader(self._batch, self._part)
        self._reading = True
        self._emit(Job("read", read, partial(self._was_read, self._generation), self._read_failed))

    def _reader(self, batch: int, part: int) -> Callable[[apsw.Connection], Outgoing]:
        everything = self.position < self._everything_until
        return partial(
            read_outgoing,
            catalog=self._catalog,
            position=self.position,
            since=self.announced,
            exclude=None if everything else self._receiver,
            batch=batch,
            part=part,
            resume=self._resume,
            cookie=self._cookie,
            encoding=self._encoding,
            max_bytes=self._options.part_bytes,
            max_changes=self._options.part_changes,
            max_frame=self._max_frame,
        )

    def _were_described(self, tables: list[TableAnnouncement]) -> None:
        if self._running:
            self._emit(Send(encode(Schema(tables), self._encoding)))

    def _was_read(self, generation: int, outgoing: Outgoing) -> None:
        self._reading = False
        # Also when the rest is not wanted any more: `has_more` may have told of it once, and not again.
        self.latest = max(self.latest, outgoing.latest)
        if generation == self._generation and self._running:
            if outgoing.tables is not None:
                self.announce_tables(outgoing.tables, outgoing.cookie)
                if self._on_schema is not None:
                    self._on_schema()
            if outgoing.oversized and self._on_oversized is not None:
                self._on_oversized(outgoing.oversized)
            if outgoing.frame is not None:
                self._emit(Send(outgoing.frame))
                self._part += 1
            self._resume = outgoing.resume
            if outgoing.resume is None:
                if outgoing.frame is not None:
                    self._sent(outgoing.until, len(outgoing.frame))
                self.position = outgoing.until
                self._part = 0
                self._skip_own()
        self.pump()

    def _read_failed(self, error: BaseException) -> None:
        self._reading = False
        self._failed(error)

    def _announce(self) -> None:
        self._announce_as(self.position)

    def _announce_as(self, until: int) -> None:
        """Send a batch without changes, because none of those versions' changes are for this receiver."""
        frame = encode(
            Changes(self.epoch, self.announced, until, self._next_batch(), 0, True, []), self._encoding
        )
        self._emit(Send(frame))
        self._sent(until, len(frame))

    def _sent(self, until: int, size: int) -> None:
        self.announced = max(self.announced, until)
        self._in_flight.append((until, size))
        self._bytes_in_flight += size

    def _skip_own(self) -> None:
        first, last = self._own_range
        if first <= self.position < last and not self._reading and self._resume is None:
            self.position = last


class _Foreseen:
    """A read that may be made before it is asked for, and what it depends on."""

    __slots__ = ("batch", "read", "state")

    def __init__(self, state: tuple[object, ...], batch: int) -> None:
        self.state = state
        self.batch = batch
        self.read: Callable[[apsw.Connection], Outgoing] | None = None
