"""The structures of replicell's sync protocol; `replicell.sync.messages` says when which is sent, and encodes
them."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from replicell.persisters.crsqlite.changes import ROW, Change
from replicell.persisters.crsqlite.epochs import Cursor
from replicell.persisters.crsqlite.keys import InvalidKeyError, SqlValue, unpack_key

__all__ = [
    "PROTOCOL",
    "Ack",
    "AskPart",
    "AskRow",
    "AskSchema",
    "AskSnapshot",
    "Changes",
    "Heartbeat",
    "Hello",
    "MapMessage",
    "Mark",
    "Marked",
    "Message",
    "Part",
    "PeerAnnouncement",
    "Peers",
    "Present",
    "Problem",
    "ProblemCode",
    "Ready",
    "RefusedChange",
    "Renewed",
    "Resend",
    "Row",
    "Schema",
    "Snapshot",
    "TableAnnouncement",
    "Token",
    "Welcome",
]

PROTOCOL: Final = 1

ProblemCode: TypeAlias = Literal[
    "malformed",  # a frame that is no message
    "protocol",  # a message that is not allowed now, or a protocol version that is not spoken
    "unauthorized",  # no token, or a wrong one
    "forbidden",  # nothing may be done in this room
    "expired",  # the token has run out, and no new one has come
    "too_many",  # connections or rooms: later it may be taken
    "idle",  # nothing was said for too long
    "read_only",  # changes from a client that may only read
    "forked",  # this file is a copy of another one, or was restored: it needs a new site id
    "replaced",  # another connection came with the same site id
    "schema",  # tables or columns that are not taken over here
    "refused",  # changes that were not applied, named in `rows`
    "presence",  # a presence state that is not shown to the others
    "restart",  # the server is going away and will be back
    "internal",  # the server failed; it is not the client's fault
]


class _Base(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag=str.lower):
    """What all messages have in common: their tag, and that unknown fields are refused."""


class TableAnnouncement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A replicated table, as one side has it.

    Args:
        name: The table's name.
        key: Its key columns, in PRIMARY KEY order.
        columns: Its other columns.
        key_types: The key columns' declared type affinities, in the same order.
    """

    name: str
    key: list[str]
    columns: list[str]
    key_types: list[str]


class RefusedChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A change that was not applied.

    Args:
        table: Its table.
        pk: Its packed key.
        cid: Its column, or ``"-1"`` for the creation or deletion of the whole row.
        reason: Why not.
        col_version: How often the cell had been written; for a whole row how often it was created and
            deleted.
    """

    table: str
    pk: bytes
    cid: str
    reason: str
    col_version: int = 0

    @property
    def key(self) -> tuple[SqlValue, ...]:
        """The values of the row's key columns; empty if they cannot be read."""
        try:
            return unpack_key(self.pk)
        except InvalidKeyError:
            return ()

    @property
    def column(self) -> str | None:
        """The column's name, None if it is about the row as a whole."""
        return None if self.cid == ROW else self.cid


class Hello(_Base, frozen=True):
    """The client's first message.

    Args:
        protocol: The version of this protocol, 1.
        site_id: The client database's site id.
        cursors: How far the client has the servers it knows, the newest first.
        tables: The client's tables.
        token: The access token, where it could not be sent with the HTTP request.
    """

    protocol: int
    site_id: bytes
    cursors: list[Cursor]
    tables: list[TableAnnouncement]
    token: str | None = None


class Welcome(_Base, frozen=True):
    """The server's answer to `Hello`.

    Args:
        protocol: The version of this protocol, 1.
        site_id: The site id of the room's database.
        epoch: Its newest epoch.
        version: Its latest version.
        known: How far the server has the client's changes; the client checks it against its own history.
        since: The version after which the server's changes will begin.
        reset: Whether the client's cursor was not of this server's history, so that all begins anew on both
            sides.
        tables: The room's tables.
        max_message_size: The biggest frame that the server takes, in bytes.
        read_only: Whether the client's changes are not wanted.
        confirmed: Whether what is known of the client's changes counts as acknowledged; if not, an `Ack` will
            follow.
        expires_in: Seconds until the client must have sent a new token (`Token`), None for never.
        snapshot: Whether the client may have all of the room as a file, before it says `Ready`.
    """

    protocol: int
    site_id: bytes
    epoch: bytes
    version: int
    known: Cursor | None
    since: int
    reset: bool
    tables: list[TableAnnouncement]
    max_message_size: int
    read_only: bool = False
    confirmed: bool = True
    expires_in: float | None = None
    snapshot: bool = False


class AskSnapshot(_Base, frozen=True):
    """Asks for the room as a file, in place of all its changes.

    Args:
        id: The snapshot that was begun to be fetched earlier, empty for none.
    """

    id: bytes


class Snapshot(_Base, frozen=True):
    """The answer to `AskSnapshot`: what there is to fetch.

    Args:
        id: Names it, 16 bytes; another one than asked for if that is gone.
        size: Bytes in all.
        digest: Their BLAKE2b digest of 32 bytes.
        cursor: How far it has the room's changes.
    """

    id: bytes
    size: int
    digest: bytes
    cursor: Cursor


class AskPart(_Base, frozen=True):
    """Asks for a part of a snapshot.

    Args:
        id: The snapshot.
        offset: Where the part begins.
        length: How many bytes, at most 1048576.
    """

    id: bytes
    offset: int
    length: int


class Part(_Base, frozen=True):
    """The answer to `AskPart`.

    Args:
        id: The snapshot.
        offset: Where the part begins.
        data: As many bytes as were asked for, or fewer at the end; none if the snapshot is gone.
    """

    id: bytes
    offset: int
    data: bytes


class Token(_Base, frozen=True):
    """The client has a new access token, with which it may stay.

    Args:
        token: The token.
    """

    token: str


class Renewed(_Base, frozen=True):
    """The new token is good.

    Args:
        expires_in: Seconds until a newer one is needed, None for never.
    """

    expires_in: float | None


class AskRow(_Base, frozen=True):
    """Asks how a row stands at the server, because a change of it was refused.

    Args:
        number: Any number, which comes back.
        table: The row's table.
        pk: Its packed key.
    """

    number: int
    table: str
    pk: bytes


class Row(_Base, frozen=True):
    """The answer to `AskRow`.

    Args:
        number: The number that was asked with.
        rows: All changes that make up the row; none if it has never been there.
    """

    number: int
    rows: list[Change]


class Ready(_Base, frozen=True):
    """The client has found the server's view of its history right, and changes may flow.

    Args:
        epoch: The newest epoch of the client's database.
        since: The version after which the client's changes will begin, at most what `Welcome` said is known.
    """

    epoch: bytes
    since: int


class Schema(_Base, frozen=True):
    """Tables as they are now, after some were added or altered.

    Args:
        tables: All of the sender's tables.
    """

    tables: list[TableAnnouncement]


class AskSchema(_Base, frozen=True):
    """Changes came for tables or columns that were not announced: asks for `Schema`."""


class Present(_Base, frozen=True):
    """The client takes part in presence, or shows another state; until then it is not told of the others, so
    that those who do not know these messages never get one.

    Args:
        state: A JSON object, None to take no part any more.
    """

    state: str | None


class PeerAnnouncement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody who is in the room.

    Args:
        id: Names it among the others.
        state: The JSON object that it shows.
        name: Who it is, as the server knows; None if it does not tell.
    """

    id: str
    state: str
    name: str | None = None


class Peers(_Base, frozen=True):
    """Who has come, has changed or has gone.

    Args:
        here: Those who are there, in any case those who have come or changed.
        gone: The ids of those who have left.
        you: The client's own id, said once.
        everybody: The ids of all who are there, when the client may have missed something.
    """

    here: list[PeerAnnouncement]
    gone: list[str]
    you: str | None = None
    everybody: list[str] | None = None


class Changes(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, array_like=True, tag_field="type", tag="changes"
):
    """All changes of the sender's versions after ``since`` up to ``until``, or one part of them.

    Args:
        epoch: The sender's newest epoch when they were read.
        since: The version before the first; the receiver must have everything up to it.
        until: The last version, always a whole one.
        batch: A number that the parts of one batch share, and no other batch of the connection.
        part: Number of this part, from 0.
        last: Whether the batch ends with this part, and so may be applied.
        rows: The changes.
    """

    epoch: bytes
    since: int
    until: int
    batch: int
    part: int
    last: bool
    rows: list[Change]


class Ack(_Base, frozen=True):
    """Everything up to a version is on the receiver's disk.

    Args:
        version: A version of the side that sent the changes.
    """

    version: int


class Resend(_Base, frozen=True):
    """Something is missing: the changes after a version are asked for again.

    Args:
        since: The version up to which the receiver has everything.
    """

    since: int


class Heartbeat(_Base, frozen=True):
    """Tells how far the sender's changes have been sent, so that a lost one is noticed; answered by `Ack` or
    `Resend`.

    Args:
        sent: The last version that was sent.
    """

    sent: int


class Mark(_Base, frozen=True):
    """Asks the server how far it is.

    Args:
        number: Any number, which comes back.
    """

    number: int


class Marked(_Base, frozen=True):
    """The answer to `Mark`: once the client has all up to ``version``, it has what the server had when asked.

    Args:
        number: The number that was asked with.
        version: The server's latest version.
    """

    number: int
    version: int


class Problem(_Base, frozen=True):
    """Something that was sent could not be accepted.

    Args:
        code: What kind of problem, for programs.
        message: What was wrong, the rule and the next step.
        rows: The changes it is about, at most 100, more in further messages; others of their batch were
            applied.
    """

    code: ProblemCode
    message: str
    rows: list[RefusedChange] = []


MapMessage: TypeAlias = (
    Hello
    | Welcome
    | Ready
    | Schema
    | AskSchema
    | Ack
    | Resend
    | Heartbeat
    | Mark
    | Marked
    | Token
    | Renewed
    | AskRow
    | Row
    | AskSnapshot
    | Snapshot
    | AskPart
    | Part
    | Present
    | Peers
    | Problem
)
"""What is encoded as a map with a ``type``."""

Message: TypeAlias = Changes | MapMessage
