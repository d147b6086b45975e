"""Both kinds of session and their room, wired back to back without any I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest

from replicell.persisters.crsqlite.schema import TableSchema, add_columns, read_schema
from replicell.sync.actions import SessionOptions
from replicell.sync.messages import (
    PROTOCOL,
    Ack,
    AskSchema,
    Changes,
    Heartbeat,
    Hello,
    Mark,
    Marked,
    Problem,
    Ready,
    Resend,
    Schema,
    TableAnnouncement,
    Welcome,
)
from replicell.sync.room import Room
from replicell.sync.server_session import Access
from tests.sync.support import Link, Site, make_room, settle, tell


class World:
    """A server's room and as many sites as a test wants."""

    def __init__(self) -> None:
        self.sites: list[Site] = []
        self.server = self.site()
        self.room: Room = make_room(self.server)

    def site(self, path: str | Path = ":memory:", tables: tuple[TableSchema, ...] | None = None) -> Site:
        made = Site(path) if tables is None else Site(path, tables=tables)
        self.sites.append(made)
        return made

    def link(self, site: Site, access: Access | None = None, options: SessionOptions | None = None) -> Link:
        link = Link(site, self.server, self.room, access=access, options=options).start()
        settle(link)
        return link


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    for site in made.sites:
        site.close()


def edit(link: Link, *others: Link, key: str = "a", text: object = "x") -> None:
    """Write at the client of a link and let everything happen."""
    link.client_end.site.put(key, text)
    link.client.local_changes()
    settle(link, *others)


def test_a_handshake_is_hello_welcome_ready(world: World) -> None:
    link = world.link(world.site())

    assert [type(message) for message in link.client_end.sent[:2]] == [Hello, Ready]
    assert [type(message) for message in link.server_end.sent[:1]] == [Welcome]
    assert (link.client.state, link.server.state, link.client.synced) == ("live", "live", True)


def test_an_edit_goes_to_the_server_and_to_the_others_but_not_back(world: World) -> None:
    one, other = world.link(world.site()), world.link(world.site())

    edit(one, other)

    assert world.server.rows() == other.client_end.site.rows() == {"a": "x"}
    assert one.server_end.said(Changes) == []
    assert len(other.server_end.said(Changes)) == 1
    assert one.client.synced
    assert other.client.synced


def test_the_acknowledgement_comes_after_the_servers_commit(world: World) -> None:
    link = world.link(world.site())
    link.client_end.site.put("a", "x")
    link.client.local_changes()
    link.client_end.site.work()
    link.server.receive(link.client_end.frames.popleft(), 0.0)
    assert (link.server_end.said(Ack), world.server.rows()) == ([], {})

    world.server.work()

    assert (link.server_end.said(Ack), world.server.rows()) == ([Ack(1)], {"a": "x"})


def test_a_reconnected_client_goes_on_where_it_was(world: World) -> None:
    site, other = world.site(), world.site()
    first = world.link(site)
    edit(first, key="a")
    first.client.connection_lost()
    first.server.connection_lost()
    edit(world.link(other), key="b")

    again = world.link(site)

    assert [row.val for changes in again.server_end.said(Changes) for row in changes.rows if row.val] == ["x"]
    assert again.client_end.said(Changes) == []
    assert site.rows() == other.rows() == {"a": "x", "b": "x"}


def test_the_second_connection_of_a_site_replaces_the_first(world: World) -> None:
    site = world.site()
    first = world.link(site)

    second = world.link(site)

    assert [close.reason for close in first.server_end.closed] == ["replaced"]
    assert second.server_end.closed == []
    assert world.room.clients == 1


def test_a_replaced_sessions_late_batch_does_not_move_the_cursor(world: World) -> None:
    site = world.site()
    first = world.link(site)
    site.put("a", "x")
    first.client.local_changes()
    site.work()
    first.server.receive(first.client_end.frames.popleft(), 0.0)

    world.room.leave(first.server)
    world.room.join(first.server)
    first.server.replaced()
    world.server.work()

    assert world.server.conn.execute("SELECT version FROM replicell_peers").get == 0


def test_a_mark_is_answered_by_the_rooms_version_and_the_client_is_brought_there(world: World) -> None:
    link = world.link(world.site())
    edit(link)
    assert link.client.pulled == 0

    link.client.ask_mark(7)
    settle(link)

    assert link.server_end.said(Marked) == [Marked(7, 1)]
    assert link.client.marks == {7: 1}
    assert link.client.pulled == 1


def test_an_answer_to_a_mark_that_was_not_asked_is_refused(world: World) -> None:
    link = world.link(world.site())

    tell(link.client, Marked(1, 1))

    assert [close.reason for close in link.client_end.closed] == ["protocol"]


def test_a_lost_batch_is_noticed_by_the_heartbeat_and_sent_again(world: World) -> None:
    link = world.link(world.site())
    link.client_end.site.put("a", "x")
    link.client.local_changes()
    link.client_end.site.work()
    link.client_end.frames.clear()

    link.tick(6.0)
    settle(link)

    assert link.client_end.said(Heartbeat) == [Heartbeat(1)]
    assert link.server_end.said(Resend) == [Resend(0)]
    assert world.server.rows() == {"a": "x"}
    assert link.client.synced


def test_a_lost_acknowledgement_is_noticed_by_the_heartbeat(world: World) -> None:
    link = world.link(world.site())
    link.client_end.site.put("a", "x")
    link.client.local_changes()
    while not link.server_end.said(Ack):
        link.step()
    link.server_end.frames.clear()
    settle(link)
    assert not link.client.synced

    link.tick(6.0)
    settle(link)

    assert link.client.synced
    assert len(link.client_end.said(Changes)) == 1


def test_a_lost_schema_is_asked_for_until_it_comes(world: World) -> None:
    link = world.link(world.site())
    add_columns(link.client_end.site.conn, "todo", ["late"])
    link.client_end.site.conn.execute("INSERT INTO todo(id, late) VALUES ('a', 'x')")
    link.client.local_changes()
    link.client_end.site.work()
    schema = next(
        frame
        for frame, sent in zip(link.client_end.frames, link.client_end.sent[-2:], strict=True)
        if isinstance(sent, Schema)
    )
    link.client_end.frames.remove(schema)
    settle(link)
    assert world.server.conn.execute("SELECT count(*) FROM replicell_parked").get == 1

    link.tick(6.0)
    link.server_end.frames.clear()
    link.tick(6.0)
    settle(link)

    assert link.server_end.said(AskSchema) == [AskSchema()] * 2
    assert world.server.conn.execute("SELECT late FROM todo").get == "x"


def test_a_handshake_that_takes_too_long_is_given_up_by_both_sides(world: World) -> None:
    link = Link(world.site(), world.server, world.room).start()

    link.tick(10.5)

    assert [close.reason for close in (*link.client_end.closed, *link.server_end.closed)] == [
        "timeout",
        "timeout",
    ]


def test_a_failing_database_ends_the_connection_and_not_more(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    site = world.site()
    link = Link(site, world.server, world.room).start()

    site.jobs.popleft().failed(OSError("disk"))

    assert [close.reason for close in link.client_end.closed] == ["internal"]
    assert "disk" in caplog.text


def test_a_read_only_clients_changes_are_not_taken(world: World) -> None:
    link = world.link(world.site(), access=Access(write=False))
    edit(link)
    assert link.client.read_only
    assert link.client_end.said(Changes) == []

    tell(link.server, Changes(b"e" * 16, 0, 1, 1, 0, True, []))

    assert [problem.code for problem in link.server_end.said(Problem)] == ["read_only"]
    assert world.server.rows() == {}


def test_a_read_only_client_makes_no_tables(world: World) -> None:
    link = world.link(world.site(), access=Access(write=False))

    tell(link.server, Schema([TableAnnouncement("mine", ["id"], ["text"], ["TEXT"])]))
    settle(link)

    assert [problem.code for problem in link.server_end.said(Problem)] == ["read_only"]
    assert "mine" not in read_schema(world.server.conn)
    assert link.server.state == "live"


def test_a_copy_that_went_another_way_is_found_out_by_itself(world: World, tmp_path: Path) -> None:
    site = world.site(tmp_path / "a.db")
    link = world.link(site)
    edit(link)
    site.conn.execute("VACUUM INTO ?", (str(tmp_path / "b.db"),)).fetchall()
    edit(link, text="further")
    link.client.connection_lost()
    link.server.connection_lost()
    copy = world.site(tmp_path / "b.db")

    forked = world.link(copy)

    assert len(forked.client_end.reidentified) == 1
    assert forked.client.state == "closed"
    assert forked.client_end.said(Ready) == []


def test_a_client_with_the_servers_own_id_is_told_so_and_exchanges_everything_later(
    world: World, tmp_path: Path
) -> None:
    world.server.conn.execute("VACUUM INTO ?", (str(tmp_path / "copy.db"),)).fetchall()
    copy = world.site(tmp_path / "copy.db")

    link = world.link(copy)

    assert [problem.code for problem in link.server_end.said(Problem)] == ["forked"]
    assert len(link.client_end.reidentified) == 1
    assert copy.conn.execute("SELECT site_id, version FROM replicell_servers").fetchall() == [
        (world.room.site_id, 0)
    ]


def test_a_room_that_lost_its_past_makes_the_client_push_all_until_that_is_acknowledged(world: World) -> None:
    site = world.site()
    link = world.link(site)
    edit(link)
    other = world.link(world.site())
    edit(other, link, key="b")
    for one in (link, other):
        one.client.connection_lost()
        one.server.connection_lost()
    world.server.conn.execute("DELETE FROM todo; DELETE FROM todo__crsql_clock; DELETE FROM todo__crsql_pks")
    world.server.conn.execute("DELETE FROM replicell_peers")
    world.room = make_room(world.server)

    again = world.link(site)

    assert again.server_end.said(Welcome)[0].reset
    assert world.server.rows() == {"a": "x", "b": "x"}
    assert site.conn.execute("SELECT push_all_until FROM replicell_servers").get == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda welcome: Welcome(2, welcome.site_id, welcome.epoch, 0, None, 0, False, [], 2**20),
        lambda welcome: Welcome(PROTOCOL, b"short", welcome.epoch, 0, None, 0, False, [], 2**20),
        lambda welcome: Welcome(PROTOCOL, welcome.site_id, welcome.epoch, 3, None, 4, False, [], 2**20),
    ],
    ids=["another protocol", "a short site id", "a beginning after the end"],
)
def test_a_welcome_that_makes_no_sense_is_refused(world: World, change: Callable[[Welcome], Welcome]) -> None:
    link = Link(world.site(), world.server, world.room).start()
    while not link.server_end.frames:
        link.step()

    tell(link.client, change(link.server_end.said(Welcome)[0]))

    assert [close.reason for close in link.client_end.closed] == ["protocol"]


def test_nothing_is_done_after_the_end(world: World) -> None:
    link = world.link(world.site())
    link.client.close("internal", "enough")
    link.client.close("internal", "enough")
    before = len(link.client_end.sent)

    tell(link.client, Mark(1))
    link.client.local_changes()
    link.tick(100.0)

    assert len(link.client_end.closed) == 1
    assert len(link.client_end.sent) == before


def test_another_programs_write_in_the_room_is_read_once_for_all(world: World) -> None:
    links = [world.link(world.site()) for _ in range(3)]
    world.server.put("s", "from the server")
    world.room.changed()
    assert len(world.server.jobs) == 1
    settle(*links)

    assert [link.client_end.site.rows() for link in links] == [{"s": "from the server"}] * 3


def test_a_mark_counts_what_another_program_wrote_in_the_room_and_nobody_has_noticed(world: World) -> None:
    link = world.link(world.site())
    world.server.put("s", "from the server")
    link.client.ask_mark(1)
    settle(link)

    assert link.client.marks[1] == world.server.catalog.latest_version(world.server.conn)
    assert link.client.pulled >= link.client.marks[1]
    assert link.client_end.site.rows() == {"s": "from the server"}


def test_what_could_not_be_read_when_it_was_written_reaches_whoever_comes_next(world: World) -> None:
    link = world.link(world.site())
    world.server.put("s", "from the server")
    world.room.changed()
    world.server.jobs.popleft().failed(apsw.IOError("the disk has gone"))
    assert [close.reason for close in link.server_end.closed] == ["internal"]

    again = world.link(link.client_end.site)
    settle(again)

    assert again.client_end.site.rows() == {"s": "from the server"}
    assert again.client.synced


def test_a_write_too_big_for_memory_is_read_by_each_client_at_its_own_pace(world: World) -> None:
    world.room.options = SessionOptions(part_changes=3)
    links = [world.link(world.site()) for _ in range(2)]
    for number in range(5):
        world.server.put(str(number), number)
    world.room.changed()
    settle(*links)

    assert [len(link.client_end.site.rows()) for link in links] == [5, 5]


def test_a_clients_commit_after_an_unnoticed_one_leaves_nothing_out(world: World) -> None:
    one, other = world.link(world.site()), world.link(world.site())
    world.server.put("s", "unnoticed")

    edit(one, other)

    assert other.client_end.site.rows() == one.client_end.site.rows() == {"a": "x", "s": "unnoticed"}
