"""Encoded changes that are passed on without looking at their rows."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

__all__ = ["Envelope", "join_changes", "open_changes"]


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
