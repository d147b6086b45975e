"""The sending half: in order, several batches under way, from memory or from the database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from replicell.persisters.crsqlite.connection import transaction
from replicell.sync.actions import SessionOptions
from replicell.sync.messages import Changes, Heartbeat, Schema, TableAnnouncement, encode
from replicell.sync.outbound import Outbound
from replicell.sync.ring import Ring, RingEntry
from tests.sync.support import End, Site

RECEIVER, OTHER, EPOCH = b"r" * 16, b"o" * 16, b"e" * 16


class Sender:
    """An outbound half over a real database."""

    def __init__(self, site: Site, ring: Ring | None = None, **options: int) -> None:
        self.site = site
        self.end = End(site)
        self.failures: list[BaseException] = []
        numbers = iter(range(1, 1000))
        self.half = Outbound(
            emit=self.end.emit,
            catalog=site.catalog,
            options=SessionOptions(heartbeat_interval=1.0, **options),
            encoding="msgpack",
            receiver=RECEIVER,
            next_batch=numbers.__next__,
            has_more=lambda position: self.has_more(position),
            failed=self.failures.append,
            ring=ring,
        )

    def has_more(self, position: int) -> bool:
        return position < self.latest

    @property
    def latest(self) -> int:
        return self.site.catalog.latest_version(self.site.conn)

    def begin(self, since: int = 0, everything_until: int = 0) -> Sender:
        cookie = self.site.catalog.cookie(self.site.conn)
        self.half.begin(since=since, everything_until=everything_until, epoch=EPOCH, cookie=cookie, now=0.0)
        self.work()
        return self

    def work(self) -> None:
        while self.site.work():
            continue

    @property
    def batches(self) -> list[tuple[int, int]]:
        return [(changes.since, changes.until) for changes in self.end.said(Changes)]

    @property
    def texts(self) -> list[object]:
        return [row.val for changes in self.end.said(Changes) for row in changes.rows if row.cid == "text"]


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


def by(site: Site, author: bytes, key: str, text: str) -> None:
    """Let a row come from somebody."""
    from replicell.persisters.crsqlite.changes import Change, merge_changes
    from replicell.persisters.crsqlite.keys import pack_key

    with transaction(site.conn):
        merge_changes(
            site.conn, site.catalog, [Change("todo", pack_key([key]), "text", text, 1, 1, 0, 0)], author
        )


def test_everything_after_the_cursor_goes_out(site: Site) -> None:
    for number in range(4):
        site.put(str(number), number)

    sender = Sender(site).begin(since=1)

    assert sender.batches == [(1, 4)]
    assert sender.texts == [1, 2, 3]


def test_the_receivers_own_changes_are_passed_over_and_need_no_acknowledgement(site: Site) -> None:
    by(site, RECEIVER, "a", "theirs")

    sender = Sender(site).begin()

    assert sender.batches == []
    assert (sender.half.position, sender.half.confirmed) == (1, 1)


def test_the_receivers_own_changes_go_out_as_long_as_everything_is_wanted(site: Site) -> None:
    by(site, RECEIVER, "a", "theirs")
    sender = Sender(site).begin(everything_until=1)
    by(site, RECEIVER, "b", "theirs again")
    sender.half.pump()
    sender.work()

    assert sender.texts == ["theirs"]


def test_it_stops_when_the_window_is_full_and_goes_on_when_something_is_acknowledged(site: Site) -> None:
    sender = Sender(site, window_batches=2).begin()
    for number in range(4):
        site.put(str(number), number)
        sender.half.pump()
        sender.work()
    assert sender.batches == [(0, 1), (1, 2)]

    sender.half.acknowledged(1)
    sender.work()
    assert sender.batches == [(0, 1), (1, 2), (2, 4)]
    assert sender.half.confirmed == 1


def test_it_goes_back_when_asked(site: Site) -> None:
    site.put("a", "x")
    sender = Sender(site).begin()
    sender.half.rewind(0)
    sender.work()

    assert sender.batches == [(0, 1), (0, 1)]
    assert len({changes.batch for changes in sender.end.said(Changes)}) == 2


def test_nobody_makes_it_skip_by_asking_for_what_it_has_not_sent(site: Site) -> None:
    sender = Sender(site).begin()
    sender.half.rewind(100)
    site.put("a", "x")
    sender.half.pump()
    sender.work()

    assert sender.batches == [(0, 1)]


def test_what_was_read_before_going_back_is_not_sent(site: Site) -> None:
    site.put("a", "x")
    sender = Sender(site)
    sender.half.begin(
        since=0, everything_until=0, epoch=EPOCH, cookie=site.catalog.cookie(site.conn), now=0.0
    )
    sender.half.rewind(0)
    sender.work()

    assert sender.batches == [(0, 1)]


def test_what_was_written_goes_out_though_it_went_back_while_that_was_being_read(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = Sender(site).begin()
    told = ["there is something new"]
    monkeypatch.setattr(
        sender, "has_more", lambda position: bool(told and told.pop()) or position < sender.half.latest
    )
    site.put("a", "x")
    sender.half.pump()
    sender.half.rewind(0)
    sender.work()

    assert sender.batches == [(0, 1)]


def test_a_big_transaction_goes_out_in_parts_of_one_batch(site: Site) -> None:
    with transaction(site.conn):
        site.conn.executemany("INSERT INTO todo(id, text) VALUES (?, ?)", [(str(n), n) for n in range(5)])

    sender = Sender(site, part_changes=4).begin()

    parts = sender.end.said(Changes)
    assert [(part.part, part.last, len(part.rows)) for part in parts] == [
        (0, False, 4),
        (1, False, 4),
        (2, True, 2),
    ]
    assert {(part.batch, part.since, part.until) for part in parts} == {(1, 0, 1)}


def test_it_pauses_while_the_socket_is_full(site: Site) -> None:
    sender = Sender(site).begin()
    sender.half.hold(True)
    site.put("a", "x")
    sender.half.pump()
    sender.work()
    assert sender.batches == []

    sender.half.hold(False)
    sender.work()
    assert sender.batches == [(0, 1)]


def test_what_is_not_acknowledged_is_asked_about(site: Site) -> None:
    site.put("a", "x")
    sender = Sender(site).begin()
    sender.half.tick(0.5)
    assert sender.end.said(Heartbeat) == []
    sender.half.tick(1.0)
    assert sender.end.said(Heartbeat) == [Heartbeat(1)]

    sender.half.acknowledged(1)
    sender.half.tick(2.5)
    assert sender.end.said(Heartbeat) == [Heartbeat(1)]


def test_what_is_sent_again_is_asked_about_although_it_was_acknowledged_before(site: Site) -> None:
    site.put("a", "x")
    sender = Sender(site, window_batches=1).begin()
    sender.half.acknowledged(1)
    sender.half.rewind(0)
    sender.work()
    sender.half.tick(1.0)
    assert sender.end.said(Heartbeat) == [Heartbeat(1)]

    sender.half.acknowledged(1)
    site.put("b", "y")
    sender.half.pump()
    sender.work()
    assert sender.batches == [(0, 1), (0, 1), (1, 2)]


def test_a_changed_schema_is_announced_before_the_changes_that_need_it(site: Site) -> None:
    from replicell.persisters.crsqlite.schema import add_columns

    sender = Sender(site).begin()
    add_columns(site.conn, "todo", ["late"])
    site.put("a", "x")
    sender.half.pump()
    sender.work()

    assert [type(message) for message in sender.end.sent] == [Schema, Changes]


def test_versions_that_came_from_the_receiver_are_not_even_read(site: Site) -> None:
    sender = Sender(site).begin()
    by(site, RECEIVER, "a", "theirs")
    sender.half.skip(0, 1)

    assert sender.half.position == 1
    assert not site.jobs


def test_a_database_that_cannot_be_read_is_told(site: Site) -> None:
    site.put("a", "x")
    sender = Sender(site)
    sender.half.begin(since=0, everything_until=0, epoch=EPOCH, cookie=None, now=0.0)
    error = OSError("disk")
    site.jobs.popleft().failed(error)

    assert sender.failures == [error]


def entry(since: int, until: int, author: bytes) -> RingEntry:
    frame = encode(Changes(EPOCH, since, until, 500 + until, 0, True, []))
    assert isinstance(frame, bytes)
    return RingEntry(since, until, frozenset((author,)), (frame,), list[TableAnnouncement](), None)


def test_recent_batches_go_out_from_memory_except_to_their_author(site: Site) -> None:
    for number in range(3):
        site.put(str(number), number)
    ring = Ring(0)
    for version, author in enumerate((OTHER, RECEIVER, OTHER)):
        ring.append(entry(version, version + 1, author))
    sender = Sender(site, ring)
    sender.half.begin(since=0, everything_until=0, epoch=EPOCH, cookie=None, now=0.0)

    assert not site.jobs
    assert sender.batches == [(0, 1), (1, 2), (2, 3)]
    assert sender.end.said(Changes)[1].batch < 500, "the author is only told that it has this version"


def test_the_author_is_told_in_time_that_it_has_everything(site: Site) -> None:
    site.put("a", 1)
    ring = Ring(0)
    ring.append(entry(0, 1, RECEIVER))
    sender = Sender(site, ring).begin()
    assert sender.batches == []

    sender.half.announce_up_to(1)
    assert sender.batches == [(0, 1)]


def test_what_the_ring_has_forgotten_is_read_from_the_database(site: Site) -> None:
    site.put("a", "x")
    sender = Sender(site, Ring(1)).begin()

    assert sender.texts == ["x"]


def foreseen(sender: Sender, site: Site) -> bool:
    """Let a row be written and be read before it is asked for."""
    read = sender.half.foresee()
    assert read is not None
    site.put("new", "row")
    with transaction(site.conn, immediate=False):
        outgoing = read(site.conn)
    return sender.half.was_foreseen(read, outgoing)


def test_what_was_read_before_it_was_asked_for_goes_out_at_once(site: Site) -> None:
    site.put("old", "row")
    sender = Sender(site).begin()

    assert foreseen(sender, site)

    assert sender.batches == [(0, 1), (1, 2)]
    assert not site.work()
    sender.half.acknowledged(2)
    assert sender.half.confirmed == 2


def test_what_was_read_before_something_else_went_out_is_not_sent(site: Site) -> None:
    sender = Sender(site).begin()
    read = sender.half.foresee()
    assert read is not None
    site.put("a", 1)
    with transaction(site.conn, immediate=False):
        outgoing = read(site.conn)
    site.put("b", 2)
    sender.half.pump()
    sender.work()

    assert not sender.half.was_foreseen(read, outgoing)

    assert sender.batches == [(0, 2)]


def test_what_was_read_before_going_back_is_not_sent_though_it_was_foreseen(site: Site) -> None:
    site.put("old", "row")
    sender = Sender(site).begin()
    read = sender.half.foresee()
    assert read is not None
    with transaction(site.conn, immediate=False):
        outgoing = read(site.conn)
    sender.half.rewind(0)

    assert not sender.half.was_foreseen(read, outgoing)


def test_nothing_is_foreseen_while_it_reads_waits_or_has_stopped(site: Site) -> None:
    sender = Sender(site)
    assert sender.half.foresee() is None
    sender.begin()
    assert sender.half.foresee() is sender.half.foresee() is not None
    sender.half.hold(True)
    assert sender.half.foresee() is None
    sender.half.hold(False)
    site.put("a", 1)
    sender.half.pump()
    assert sender.half.foresee() is None
    sender.work()
    sender.half.stop()
    assert sender.half.foresee() is None


def test_a_foreseen_part_of_a_big_transaction_is_followed_by_the_rest(site: Site) -> None:
    sender = Sender(site, part_changes=2).begin()
    read = sender.half.foresee()
    assert read is not None
    with transaction(site.conn):
        for number in range(5):
            site.conn.execute("INSERT INTO todo(id, text) VALUES (?, ?)", (str(number), number))
    with transaction(site.conn, immediate=False):
        outgoing = read(site.conn)

    assert sender.half.was_foreseen(read, outgoing)
    sender.work()

    parts = sender.end.said(Changes)
    assert [part.part for part in parts] == list(range(len(parts)))
    assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]
    assert len({part.batch for part in parts}) == 1
    assert sender.texts == [0, 1, 2, 3, 4]
