"""What nodes say to each other: entries of a room's log, and what is told to whoever is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, TypeAlias, TypeVar

import msgspec

from replicell.persisters.crsqlite.changes import Change
from replicell.persisters.crsqlite.epochs import Cursor
from replicell.sync.backplane.interface import BackplaneError
from replicell.sync.messages import PeerAnnouncement, TableAnnouncement

__all__ = [
    "AskRows",
    "Beacon",
    "Company",
    "Part",
    "Publication",
    "Step",
    "Telling",
    "cut",
    "decode_part",
    "decode_publication",
    "decode_telling",
    "encode_telling",
]

_Message = TypeVar("_Message")

_PART_OVERHEAD: Final = 512


class Step(NamedTuple):
    """Who has a node's versions up to one has all entries of the log up to a position.

    Args:
        version: The version.
        position: The position.
    """

    version: int
    position: int


class Publication(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """Changes that a node has taken in from its clients, or the tables that they need.

    Args:
        epoch: The node's epoch for the room.
        version: The node's version that these changes reach.
        position: Where the node was in the log when it read them: up to there it had all entries; 0 if some
            of what they brought waits for a table or column.
        complete: Whether the node had published everything with this.
        tables: All of the node's tables, if they have changed; then there are no rows.
        rows: The changes.
        peers: How far the node has the clients that they came from.
    """

    epoch: bytes
    version: int
    position: int
    complete: bool
    tables: list[TableAnnouncement] | None
    rows: list[Change]
    peers: list[Cursor]


class Part(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """An entry of the log: a publication, or a piece of one that is too big for an entry.

    Args:
        run: A random id of the node's present life.
        site_id: The site id of the node's database.
        batch: The publication's number in that life.
        number: The part's number, from 0.
        parts: How many there are.
        schema: Whether it is about tables; such a publication has one part.
        since: The node's version before the publication's first.
        until: The node's version that it reaches.
        chunk: A piece of the encoded publication.
    """

    run: bytes
    site_id: bytes
    batch: int
    number: int
    parts: int
    schema: bool
    since: int
    until: int
    chunk: bytes

    @property
    def message_id(self) -> str:
        """The same for every attempt to append it, and for nothing else."""
        return f"{self.run.hex()}-{self.batch}-{self.number}"

    @property
    def last(self) -> bool:
        """Whether its publication is whole with it."""
        return self.number + 1 == self.parts


class Beacon(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag="beacon"):
    """How a node is doing with a room, told now and then.

    Args:
        run: The node's present life.
        site_id: The site id of its database.
        epochs: Its newest epochs, each with the last version in it.
        steps: Which of its newest versions had which entries.
        position: Where it is in the log.
        needed: Where one must be in the log to have all that it has.
        peers: How far it has some of its clients.
        digest: A fingerprint of each part of its content at that position, empty for none.
        identity: The log that the positions are in.
    """

    run: bytes
    site_id: bytes
    epochs: list[tuple[bytes, int]]
    steps: list[Step]
    position: int
    needed: int
    peers: list[Cursor]
    digest: list[int]
    identity: str


class AskRows(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag="ask"):
    """Asks a node to publish some parts of its content once more, because one's own differ.

    Args:
        run: Who asks.
        asked: Who is asked, by its run.
        buckets: The numbers of the parts.
    """

    run: bytes
    asked: bytes
    buckets: list[int]


class Company(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True, tag="company"):
    """Who is in the room at a node, or what has changed of that.

    Args:
        run: The node's present life.
        here: Those who are there, in any case those who have come or changed.
        gone: The ids of those who have left.
        everybody: The ids of all who are there, None if only something has changed.
        asks: Whether the other nodes are to tell who is with them.
    """

    run: bytes
    here: list[PeerAnnouncement]
    gone: list[str]
    everybody: list[str] | None
    asks: bool


Telling: TypeAlias = Beacon | AskRows | Company

_pack = msgspec.msgpack.Encoder().encode
_unpack_part = msgspec.msgpack.Decoder(Part).decode
_unpack_publication = msgspec.msgpack.Decoder(Publication).decode
_unpack_telling = msgspec.msgpack.Decoder(Telling).decode


def cut(
    publication: Publication, *, run: bytes, site_id: bytes, batch: int, since: int, max_payload: int
) -> Iterator[tuple[Part, bytes]]:
    """Encode a publication as entries of at most so many bytes.

    Returns:
        The parts, and each one encoded.
    """
    content = _pack(publication)
    step = max_payload - _PART_OVERHEAD
    parts = max(1, -(-len(content) // step))
    for number in range(parts):
        chunk = content[number * step : (number + 1) * step]
        part = Part(
            run,
            site_id,
            batch,
            number,
            parts,
            publication.tables is not None,
            since,
            publication.version,
            chunk,
        )
        yield part, _pack(part)


def decode_part(payload: bytes) -> Part:
    """Decode an entry.

    Raises:
        BackplaneError: It is none of ours.
    """
    return _decode(_unpack_part, payload, "an entry of the log is not replicell's")


def decode_publication(content: bytes) -> Publication:
    """Decode the joined chunks of all parts.

    Raises:
        BackplaneError: They are no publication.
    """
    return _decode(_unpack_publication, content, "a publication in the log cannot be read")


def encode_telling(telling: Telling) -> bytes:
    """Encode what is told to the other nodes."""
    return _pack(telling)


def decode_telling(payload: bytes) -> Telling:
    """Decode what another node has told.

    Raises:
        BackplaneError: It is none of ours.
    """
    telling: Telling = _decode(_unpack_telling, payload, "what was told is not replicell's")
    return telling


def _decode(unpack: Callable[[bytes], _Message], content: bytes, complaint: str) -> _Message:
    try:
        return unpack(content)
    except (msgspec.MsgspecError, ValueError) as error:
        raise BackplaneError(f"{complaint}: {error}") from error
