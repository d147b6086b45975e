"""In a cluster, what is applied is acknowledged only once the other nodes cannot lose it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import apsw
import pytest

from replicell.persisters.crsqlite.epochs import Cursor
from replicell.sync.ledger import LOG_SITE_ID
from replicell.sync.messages import PROTOCOL, Ack, Hello, Problem, Welcome
from tests.sync.support import Link, Site, make_room, settle, tell


class LateReplicator:
    """Replicates when it is told to."""

    def __init__(self) -> None:
        self.settled = True
        self.waiting: list[Callable[[], None]] = []
        self.version = 0
        self.asked: list[Sequence[Cursor]] = []

    def when_replicated(self, site_id: bytes, confirmed: Callable[[], None]) -> None:
        self.settled = False
        self.waiting.append(confirmed)

    def changed(self) -> None:
        self.settled = False

    def translate(self, conn: apsw.Connection, cursors: Sequence[Cursor]) -> int:
        self.asked.append(cursors)
        return self.version

    def replicate(self) -> None:
        waiting, self.waiting = self.waiting, []
        self.settled = True
        for confirmed in waiting:
            confirmed()


@pytest.fixture
def sites() -> Iterator[tuple[Site, Site, Site]]:
    made = (Site(), Site(), Site())
    yield made
    for site in made:
        site.close()


def test_a_change_is_applied_and_passed_on_at_once_and_acknowledged_when_it_is_replicated(
    sites: tuple[Site, Site, Site],
) -> None:
    a, b, server = sites
    room = make_room(server)
    room.replicator = replicator = LateReplicator()
    link_a, link_b = Link(a, server, room).start(), Link(b, server, room).start()
    settle(link_a, link_b)
    a.put("1", "x")
    link_a.client.local_changes()
    settle(link_a, link_b)
    assert server.rows() == b.rows() == {"1": "x"}
    assert link_a.server_end.said(Ack) == []
    assert not link_a.client.synced

    replicator.replicate()
    settle(link_a, link_b)
    assert link_a.server_end.said(Ack)
    assert link_a.client.synced


def test_a_heartbeat_is_answered_with_what_is_replicated(sites: tuple[Site, Site, Site]) -> None:
    a, _, server = sites
    room = make_room(server)
    room.replicator = LateReplicator()
    link = Link(a, server, room).start()
    settle(link)
    a.put("1", "x")
    link.client.local_changes()
    settle(link)
    link.tick(60)
    settle(link)
    assert {ack.version for ack in link.server_end.said(Ack)} == {0}
    assert not link.client.synced


def test_a_client_that_comes_back_is_not_told_to_be_safe_before_it_is(sites: tuple[Site, Site, Site]) -> None:
    a, _, server = sites
    room = make_room(server)
    room.replicator = replicator = LateReplicator()
    link = Link(a, server, room).start()
    settle(link)
    a.put("1", "x")
    link.client.local_changes()
    settle(link)
    link.server.connection_lost()

    again = Link(a, server, room).start()
    settle(again)
    (welcome,) = again.server_end.said(Welcome)
    assert not welcome.confirmed
    assert welcome.known is not None
    # It hears how far the server's own changes are, which holds it up no longer.
    again.tick(60)
    settle(again)
    assert again.client.pulled == welcome.version
    assert not again.client.synced

    replicator.replicate()
    settle(again)
    assert again.client.synced


def test_changes_begin_where_the_cursor_at_another_node_says(sites: tuple[Site, Site, Site]) -> None:
    a, _, server = sites
    server.put("1", "x")
    server.put("2", "y")
    room = make_room(server)
    room.replicator = replicator = LateReplicator()
    replicator.version = room.version - 1
    link = Link(a, server, room).start()
    settle(link)
    (welcome,) = link.server_end.said(Welcome)
    assert welcome.since == room.version - 1
    assert replicator.asked == [[]]
    assert a.rows() == {"2": "y"}


def test_nobody_may_come_as_the_log(sites: tuple[Site, Site, Site]) -> None:
    a, _, server = sites
    link = Link(a, server, make_room(server))
    link.server.start(0.0)
    tell(link.server, Hello(PROTOCOL, LOG_SITE_ID, [], []))
    (problem,) = link.server_end.said(Problem)
    assert "the servers' own" in problem.message
