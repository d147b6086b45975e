"""A client that keeps to no rule: it repeats what honest clients say, bent and broken."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from replicell.persisters.crsqlite.changes import ROW, Change
from replicell.persisters.crsqlite.keys import pack_key
from replicell.sync.actions import Action, Close, Send
from replicell.sync.errors import DecodeError
from replicell.sync.jobs import Job
from replicell.sync.messages import (
    PROTOCOL,
    Ack,
    Changes,
    Heartbeat,
    Hello,
    Mark,
    Message,
    Ready,
    Resend,
    Schema,
    TableAnnouncement,
    decode,
    encode,
)
from tests.simulation.nodes import Client, serve

if TYPE_CHECKING:
    from tests.simulation.history import History

FRAMES: Final = 12
LARGE: Final = (0, 1, -1, 2**31, 2**53 - 1, 2**53, 2**63 - 1)
SPARED: Final = ("log", "pair")
"""The tables by which the oracle judges: whoever may write to a room may also delete what is in it."""


class Intruder:
    """Comes in as somebody, says all kinds of things at random moments, and goes.

    Args:
        world: The history that it disturbs.
        victim: The client whose site id it may take.
    """

    def __init__(self, world: History, victim: Client) -> None:
        self._world = world
        self._rng = world.rng
        self._server = world.server
        self._site_id = victim.site_id() if victim.up and self._rng.random() < 0.3 else self._bytes(16)
        self._open = True
        self._session = serve(world.server, self._emit)

    def come_in(self) -> None:
        """Connect, and begin to talk."""
        self._server.guests[self.cut] = None
        self._session.start(self._world.clock.now)
        hello = Hello(PROTOCOL, self._site_id, [], [_announced("todo")])
        self._say(encode(hello))
        # The handshake takes two jobs of the database, if all goes well.
        self._world.clock.after(0.1, partial(self._say, encode(Ready(self._bytes(16), 0))))
        for _ in range(FRAMES):
            self._world.clock.after(self._rng.random() * 3, self._say_something)
        self._world.clock.after(3.5, self.cut)

    def cut(self) -> None:
        """It is gone."""
        if self._open:
            self._open = False
            self._server.guests.pop(self.cut, None)
            self._session.connection_lost()

    def _emit(self, action: Action) -> None:
        match action:
            case Job():
                self._server.submit(action)
            case Close():
                self._world.clock.after(0, self.cut)
            case Send():
                pass
            case _:
                raise AssertionError("a server's session asks for nothing else")

    def _say(self, frame: bytes | str) -> None:
        if self._open:
            self._session.receive(frame, self._world.clock.now)

    def _say_something(self) -> None:
        frame = encode(self._message())
        if isinstance(frame, bytes) and self._rng.random() < 0.5:
            bent = bytearray(frame)
            for _ in range(self._rng.randint(1, 4)):
                bent[self._rng.randrange(len(bent))] = self._rng.randrange(256)
            frame = bytes(bent)
        if not _touches_what_is_judged(frame):
            self._say(frame)

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
