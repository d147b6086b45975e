"""What somebody says who keeps to no rule: what honest clients say, bent and broken."""

from __future__ import annotations

from random import Random
from typing import Final

import msgspec

from replicell.persisters.crsqlite.changes import ROW, Change
from replicell.persisters.crsqlite.keys import pack_key
from replicell.sync.errors import DecodeError
from replicell.sync.messages import (
    PROTOCOL,
    Ack,
    AskPart,
    AskRow,
    Changes,
    Heartbeat,
    Hello,
    Mark,
    Message,
    Ready,
    Resend,
    Schema,
    TableAnnouncement,
    Token,
    decode,
    encode,
)

__all__ = ["Babble"]

LARGE: Final = (0, 1, -1, 2**31, 2**53 - 1, 2**53, 2**63 - 1)
SPARED: Final = ("log", "pair")
"""The tables by which the oracles judge: whoever may write to a room may also delete what is in it."""


class Babble:
    """Says all kinds of things, each of which a server may get from a stranger.

    Args:
        rng: Decides what.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def site_id(self) -> bytes:
        """Return the site id of nobody."""
        return self._bytes(16)

    def hello(self, site_id: bytes) -> bytes | str:
        """Return what opens the handshake, as an honest client says it."""
        return encode(Hello(PROTOCOL, site_id, [], [_announced("todo")]))

    def ready(self) -> bytes | str:
        """Return what ends the handshake, as an honest client says it that has nothing."""
        return encode(Ready(self._bytes(16), 0))

    def frame(self) -> bytes | str | None:
        """Return anything; None if it would touch by what others are judged."""
        frame = encode(self._message())
        if isinstance(frame, bytes) and self._rng.random() < 0.5:
            bent = bytearray(frame)
            for _ in range(self._rng.randint(1, 4)):
                bent[self._rng.randrange(len(bent))] = self._rng.randrange(256)
            frame = bytes(bent)
        return None if _touches_what_is_judged(frame) else frame

    def _message(self) -> Message:
        rng = self._rng
        number = rng.choice((*LARGE, rng.randrange(100)))
        return rng.choice(
            (
                Changes(
                    self._bytes(16), 0, abs(number), rng.randrange(5), rng.randrange(2), True, self._rows()
                ),
                Changes(self._bytes(16), 0, rng.randrange(50), 1, 0, True, self._rows()),
                Changes(self._bytes(16), 0, rng.randrange(50), 1, 0, False, self._rows()),
                Ack(number),
                Heartbeat(number),
                Resend(number),
                Mark(number),
                AskRow(number, rng.choice(("todo", "", "nothing")), self._bytes(rng.randrange(6))),
                AskPart(self._bytes(16), number, number),
                Token("let me in"),
                Schema([_announced("todo", column="text\0")]),
                Schema([_announced("todo", key="other")]),
                Ready(self._bytes(16), number),
            )
        )

    def _rows(self) -> list[Change]:
        return [self._row() for _ in range(self._rng.randint(0, 4))]

    def _row(self) -> Change:
        rng = self._rng
        row = Change("todo", pack_key([f"k{rng.randrange(8)}"]), "text", "x", rng.randint(1, 4), 1, 0, 1)
        faults: tuple[dict[str, object], ...] = (
            {},
            {},
            {"cid": ROW, "val": None, "cl": 2, "col_version": 2},
            {"pk": self._bytes(rng.randrange(6))},
            {"pk": pack_key([rng.choice((None, 7, b"k1"))])},
            {"cid": rng.choice(("", "id", "__crsql_x", "nothing"))},
            {"table": rng.choice(("", "crsql_changes", "todo__crsql_clock", "nothing"))},
            {"col_version": rng.choice(LARGE)},
            {"cl": rng.choice(LARGE)},
            {"seq": rng.choice(LARGE)},
            {"db_version": rng.choice(LARGE)},
        )
        return msgspec.structs.replace(row, **rng.choice(faults))

    def _bytes(self, size: int) -> bytes:
        return bytes(self._rng.randrange(256) for _ in range(size))


def _announced(table: str, key: str = "id", column: str = "text") -> TableAnnouncement:
    return TableAnnouncement(table, [key], [column, "done", "n"], ["TEXT"])


def _touches_what_is_judged(frame: bytes | str) -> bool:
    try:
        message = decode(frame)
    except DecodeError:
        return False
    return isinstance(message, Changes) and any(row.table in SPARED for row in message.rows)
