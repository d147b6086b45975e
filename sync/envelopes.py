"""Encoded changes that are passed on without looking at their rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

__all__ = ["Envelope", "join_changes", "join_parts", "open_changes"]


_SMALL_BYTES: Final = 64 * 1024
"""Batches that are no bigger together become one frame."""


class Envelope(msgspec.Struct, frozen=True, array_like=True, tag_field="type", tag="changes"):
    """`replicell.sync.messages.Changes` whose rows stay encoded."""

    epoch: bytes
    since: int
    until: int
    batch: int
    part: int
    last: bool
    rows: list[msgspec.Raw]


open_changes = msgspec.msgpack.Decoder(Envelope).decode
"""Decode a binary frame of changes."""

_pack = msgspec.msgpack.Encoder().encode


def join_changes(frames: Sequence[bytes], batch: int) -> bytes:
    """Make one batch of several that follow one another.

    Args:
        frames: Encoded changes, each a whole batch in one part.
        batch: The number of the new one.
    """
    envelopes = [open_changes(frame) for frame in frames]
    first, last = envelopes[0], envelopes[-1]
    rows = [row for envelope in envelopes for row in envelope.rows]
    return _pack(Envelope(last.epoch, first.since, last.until, batch, 0, True, rows))


def join_parts(frames: Sequence[bytes]) -> list[bytes]:
    """Make one batch of several that tell of the same versions.

    Args:
        frames: Encoded changes, each a part of one of the batches.
    """
    envelopes = [open_changes(frame) for frame in frames]
    until = max(envelope.until for envelope in envelopes)
    if sum(map(len, frames)) <= _SMALL_BYTES:
        rows = [row for envelope in envelopes for row in envelope.rows]
        return [_pack(replace(envelopes[0], until=until, part=0, last=True, rows=rows))]
    batch = envelopes[0].batch
    return [
        _pack(replace(envelope, until=until, batch=batch, part=part, last=part + 1 == len(envelopes)))
        for part, envelope in enumerate(envelopes)
    ]
