"""What both kinds of session have in common: one connection, its two halves, its messages and its end."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Literal, TypeVar

import apsw

from replicell.errors import ReplicellError
from replicell.persisters.crsqlite.catalog import Catalog
from replicell.sync.actions import Close, Emit, Send, SessionOptions
from replicell.sync.announcements import SchemaPolicy, adopt_tables
from replicell.sync.errors import ProtocolError
from replicell.sync.inbound import Inbound
from replicell.sync.jobs import Batch, Drained, Job, TakenIn, drain_parked
from replicell.sync.limits import Limits
from replicell.sync.messages import (
    Ack,
    AskSchema,
    Changes,
    Encoding,
    Heartbeat,
    Message,
    Problem,
    ProblemCode,
    RefusedChange,
    Resend,
    Schema,
    TableAnnouncement,
    decode,
    encode,
)
from replicell.sync.outbound import Outbound

__all__ = ["Session"]

_Result = TypeVar("_Result")

_MAX_JOBS = 8


class Session(ABC):
    """One connection's side of the protocol, without I/O: messages and job results go in, actions come out.

    Args:
        emit: Takes the actions.
        catalog: The catalogue of this side's database.
        schema_policy: Whether tables that the other side announces are created here.
        options: Times and sizes.
        limits: How many tables the other side may make here, None for as many as it likes.
    """

    log: ClassVar[logging.Logger]
    trusts_peer: ClassVar[bool]

    def __init__(
        self,
        *,
        emit: Emit,
        catalog: Catalog,
        schema_policy: SchemaPolicy,
        options: SessionOptions,
        limits: Limits | None = None,
    ) -> None:
        self._emit = emit
        self._catalog = catalog
        self._schema_policy: SchemaPolicy = schema_policy
        self._options = options
        self._limits = limits
        self._encoding: Encoding = "msgpack"
        self._patient_until = 0.0
        self._now = 0.0
        self._adopting = 0
        self._jobs = 0
        self.is_held = False
        """Whether the socket is full."""
        self._schema_wanted = False
        self._schema_asked_at = float("-inf")
        self.state: Literal["handshake", "live", "closed"] = "handshake"
        self._outbound: Outbound | None = None
        self._inbound: Inbound | None = None

    @property
    def backlog(self) -> int:
        """Bytes that have come and are not applied; the owner stops reading when there are too many."""
        return self._inbound.backlog if self._inbound is not None else 0

    @property
    def encoding(self) -> Encoding:
        """How messages are encoded: as the client does it."""
        return self._encoding

    @property
    def busy(self) -> bool:
        """Whether so much runs in the database for it that the owner should not read on."""
        return self._jobs >= _MAX_JOBS

    def start(self, now: float) -> None:
        """The connection is open.

        Args:
            now: The time in seconds, from any clock that only goes forward.
        """
        self._now = now
        self._patient_until = now + self._options.handshake_timeout

    def receive(self, frame: bytes | str, now: float) -> None:
        """Take a frame from the other side."""
        self._now = now
        if self.state == "closed":
            return
        try:
            message = decode(frame)
            if self.state == "live" and isinstance(message, Changes):
                self._on_changes(message, len(frame))
            else:
                self._on_message(message)
        except ProtocolError as error:
            self._refuse(error)

    def tick(self, now: float) -> None:
        """Time has passed; to be called about every second."""
        self._now = now
        if self.state == "handshake" and now > self._patient_until:
            self.close("timeout", f"the handshake took longer than {self._options.handshake_timeout} seconds")
        elif self.state == "live" and self._outbound is not None:
            self._outbound.tick(now)
            if self._schema_wanted and now >= self._schema_asked_at + self._options.heartbeat_interval:
                self._schema_asked_at = now
                self._send(AskSchema())

    def hold_sending(self, held: bool) -> None:
        """The socket is full, or has room again."""
        self.is_held = held
        if self._outbound is not None:
            self._outbound.hold(held)

    def close(self, reason: str, message: str) -> None:
        """End the session and close the connection."""
        if self.state != "closed":
            self.connection_lost()
            self._emit(Close(reason, message))

    def connection_lost(self) -> None:
        """The connection is gone; nothing is sent any more, and what runs in the database is of no
        interest."""
        self.state = "closed"
        if self._outbound is not None:
            self._outbound.stop()

    def _be_patient(self, seconds: float) -> None:
        """The handshake may take so much longer from now on."""
        self._patient_until = self._now + seconds

    def _send(self, message: Message) -> None:
        self._emit(Send(encode(message, self._encoding)))

    def _problem(self, code: ProblemCode, text: str, rows: list[RefusedChange] | None = None) -> None:
        self._send(Problem(code, text, rows or []))

    def _refuse(self, error: ProtocolError) -> None:
        self.log.warning("refused a message: %s", error)
        code: ProblemCode = "malformed" if error.code == "malformed" else "protocol"
        self._problem(code, str(error))
        self.close(code, str(error))

    def _job(
        self,
        mode: Literal["read", "write", "run"],
        function: Callable[[apsw.Connection], _Result],
        done: Callable[[_Result], None],
    ) -> None:
        self._jobs += 1
        self._emit(Job(mode, function, partial(self._job_done, done), self._job_failed))

    def _job_done(self, done: Callable[[Any], None], result: object) -> None:
        self._jobs -= 1
        if self.state != "closed":
            done(result)

    def _job_failed(self, error: BaseException) -> None:
        if self.state != "closed":
            unexpected = None if isinstance(error, ReplicellError) else error
            self.log.error("the database failed: %s", error, exc_info=unexpected)
            self.close("internal", "the database failed, see the log")

    def _on_message(self, message: Message) -> None:
        if self.state != "live" or self._outbound is None or self._inbound is None:
            raise ProtocolError(f"{type(message).__name__} is not allowed before the handshake is over")
        match message:
            case Ack(version):
                self._outbound.acknowledged(version)
            case Resend(since):
                self._outbound.rewind(since)
            case Heartbeat():
                self._inbound.heartbeat(message)
            case Schema(tables):
                self._schema_wanted = False
                self._adopt(tables)
            case AskSchema():
                self._outbound.repeat_tables()
            case _:
                raise ProtocolError(f"{type(message).__name__} is not allowed now")

    def _on_changes(self, changes: Changes, size: int) -> None:
        if self._inbound is not None:
            self._inbound.receive(changes, size)

    def _adopt(self, tables: list[TableAnnouncement], then: Callable[[], None] | None = None) -> None:
        """Take over announced tables, and what was parked for want of them; meanwhile no changes are
        applied."""
        self._adopting += 1
        if self._inbound is not None:
            self._inbound.hold(True)
        adopt = partial(
            adopt_tables,
            catalog=self._catalog,
            tables=tables,
            policy=self._schema_policy,
            limits=self._limits,
        )
        self._job("run", adopt, partial(self._adopted, then))

    def _adopted(self, then: Callable[[], None] | None, problems: list[str]) -> None:
        if problems:
            self._on_schema_problems(problems)
        drain = partial(drain_parked, catalog=self._catalog, trusted=self.trusts_peer)
        self._job("write", drain, partial(self._drained, then))

    def _drained(self, then: Callable[[], None] | None, drained: Drained) -> None:
        self._adopting -= 1
        if drained.merged:
            self.log.info("applied %d changes that were parked until their table was there", drained.merged)
        self._on_drained(drained)
        if then is not None:
            then()
        if self._inbound is not None and not self._adopting:
            self._inbound.hold(False)

    def _on_schema_problems(self, problems: list[str]) -> None:
        self.log.warning("parts of the announced schema are not taken over: %s", "; ".join(problems))

    @abstractmethod
    def _on_drained(self, drained: Drained) -> None: ...

    def _was_parked(self, taken: TakenIn) -> None:
        """Ask for the tables that changes were parked for, unless they are not wanted anyway."""
        self._schema_wanted = self._schema_wanted or (bool(taken.parked) and self._schema_policy == "auto")

    def _named_rows(self, taken: TakenIn) -> list[RefusedChange]:
        return [
            RefusedChange(change.table, change.pk, change.cid, reason, change.col_version)
            for change, _, reason in (*taken.refused, *taken.parked)
        ]

    @abstractmethod
    def _apply(self, batches: list[Batch]) -> None: ...
