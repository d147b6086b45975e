"""What is fuzzed: all that a stranger's bytes reach. A target returns if all is well and raises if not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from replicell.persisters.crsqlite.changes import ROW, Change, merge_changes
from replicell.persisters.crsqlite.connection import transaction
from replicell.persisters.crsqlite.keys import pack_key, unpack_key
from replicell.persisters.crsqlite.rules import sift_changes
from replicell.persisters.errors import PersisterError
from replicell.sync.errors import DecodeError
from replicell.sync.messages import (
    PROTOCOL,
    Ack,
    Changes,
    Heartbeat,
    Hello,
    Mark,
    Message,
    Present,
    Ready,
    Resend,
    Schema,
    TableAnnouncement,
    decode,
    encode,
)
from replicell.sync.room import Room
from replicell.sync.server_session import Access, ServerSession
from tests.sync.support import End, Link, Site, make_room

EPOCH: Final = b"e" * 16
STRANGER: Final = b"s" * 16
SEPARATOR: Final = b"\xc1"
"""The one byte that MessagePack never uses stands between the frames of one input."""
_ANNOUNCED: Final = TableAnnouncement("todo", ["id"], ["text", "n"], ["TEXT"])


def fuzz_frame(data: bytes) -> None:
    """A frame is decoded, and then means the same again, or refused with the one documented error."""
    for frame in (data, data.decode(errors="replace")):
        try:
            message = decode(frame)
        except DecodeError:
            continue
        # Compared as text, in which a number that is none equals itself.
        assert repr(decode(encode(message))) == repr(message)


def fuzz_key(data: bytes) -> None:
    """A packed key is the canonical form of its values, or refused with the documented error."""
    try:
        values = unpack_key(data)
    except PersisterError:
        return
    assert pack_key(values) == data


def fuzz_changes(data: bytes) -> None:
    """Whatever passes the rules is merged, and leaves the database usable."""
    try:
        message = decode(data)
    except DecodeError:
        return
    if not isinstance(message, Changes):
        return
    with _site() as site:
        with transaction(site.conn):
            accepted, refused, unknown = sift_changes(site.conn, site.catalog, message.rows)
            failures = merge_changes(site.conn, site.catalog, accepted, STRANGER)
        assert failures == []
        assert len(accepted) + len(refused) + len(unknown) == len(message.rows)
        _check_usable(site)


def fuzz_session(data: bytes) -> None:
    """A stranger who has shaken hands says anything: the room goes on for the others."""
    with _site() as site:
        room = make_room(site)
        end = End(site)
        session = _joined(room, end, site)
        for frame in data.split(SEPARATOR):
            session.receive(frame, 0.0)
            _work(site)
        assert [close for close in end.closed if close.reason == "internal"] == []
        session.connection_lost()
        _check_usable(site)
        _check_others_go_on(site, room)


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "frame": fuzz_frame,
    "key": fuzz_key,
    "changes": fuzz_changes,
    "session": fuzz_session,
}


def seeds() -> list[bytes]:
    """Honest frames, and some that are nearly so, to begin with."""
    row = Change("todo", pack_key(["a"]), "text", "x", 1, 1, 0, 1)
    gone = Change("todo", pack_key(["b"]), ROW, None, 2, 2, 0, 1)
    other = Change("later", pack_key([1, 2.5, b"c"]), "n", 7, 1, 1, 1, 2)
    messages: tuple[Message, ...] = (
        Changes(EPOCH, 0, 1, 1, 0, True, [row, gone]),
        Changes(EPOCH, 0, 2, 1, 0, False, [row]),
        Changes(EPOCH, 0, 2, 1, 1, True, [other]),
        Ack(1),
        Heartbeat(1),
        Resend(0),
        Mark(1),
        Present('{"name":"x"}'),
        Present(None),
        Schema([_ANNOUNCED, TableAnnouncement("later", ["a", "b"], ["n"], ["", "REAL"])]),
        Hello(PROTOCOL, STRANGER, [], [_ANNOUNCED], "token"),
    )
    frames = [_packed(message) for message in messages]
    return [*frames, SEPARATOR.join(frames), pack_key(["a", 1, -1, 2.5, b"\0", None])]


@contextmanager
def _site() -> Iterator[Site]:
    site = Site()
    try:
        yield site
    finally:
        site.close()


def _joined(room: Room, end: End, site: Site) -> ServerSession:
    session = ServerSession(emit=end.emit, room=room, access=Access())
    session.start(0.0)
    for message in (Hello(PROTOCOL, STRANGER, [], [_ANNOUNCED]), Ready(EPOCH, 0)):
        session.receive(_packed(message), 0.0)
        _work(site)
    assert session.state == "live"
    return session


def _work(site: Site) -> None:
    while site.work():
        continue


def _check_usable(site: Site) -> None:
    with transaction(site.conn):
        site.conn.execute("INSERT INTO todo(id, n) VALUES ('own', 0) ON CONFLICT(id) DO UPDATE SET n = 1")
    assert site.conn.execute("SELECT crsql_internal_sync_bit()").get == 0
    assert site.conn.execute("PRAGMA quick_check").get == "ok"
    site.conn.execute("SELECT * FROM crsql_changes").fetchall()


def _check_others_go_on(site: Site, room: Room) -> None:
    with _site() as honest:
        honest.put("honest", "x")
        link = Link(honest, site, room).start()
        while link.step():
            continue
        assert link.client.synced
        assert site.rows()["honest"] == "x"


def _packed(message: Message) -> bytes:
    frame = encode(message)
    assert isinstance(frame, bytes)
    return frame
