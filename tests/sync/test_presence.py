"""Who is in a room and what each shows of itself: told at once, at a bounded rate, to those who take part."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from replicell.persisters.crsqlite.connection import transaction
from replicell.sync import (
    Peer,
)
from replicell.sync.client_session import ClientSession
from replicell.sync.messages import (
    Encoding,
    Peers,
    Present,
    Problem,
    decode,
)
from replicell.sync.peers import PeerView
from replicell.sync.presence import TELLING_SECONDS, PresenceBoard, Shown, peer_id
from replicell.sync.room import Room, prepare_room
from replicell.sync.server_session import Access
from tests.sync.support import End, Link, Site, Timers, settle


class Screen:
    """A session that only keeps what it is told."""

    def __init__(self, encoding: Encoding = "msgpack") -> None:
        self.encoding: Encoding = encoding
        self.is_held = False
        self.messages: list[Peers] = []

    def send_frame(self, frame: bytes | str) -> None:
        message = decode(frame)
        assert isinstance(message, Peers)
        self.messages.append(message)

    def take(self) -> list[Peers]:
        messages, self.messages = self.messages, []
        return messages

    def told(self) -> tuple[dict[str, str], list[str]]:
        """What was told since the last time: the states of who is there, and who has gone."""
        here, gone = {}, []
        for message in self.take():
            here.update({one.id: one.state for one in message.here})
            gone += message.gone
        return here, gone


class TestBoard:
    """A room's board tells each who takes part of all others, in as few messages as can be."""

    def test_who_comes_is_told_of_all_and_all_of_who_comes(self) -> None:
        timers = Timers()
        board = PresenceBoard(timers.emit)
        anna, ben = Screen(), Screen("json")
        board.show(anna, "a", Shown("{}", "Anna"))
        (you, everybody, here) = anna.take()
        assert (you.you, everybody.everybody) == ("a", ["a"])
        assert [(one.id, one.state, one.name) for one in here.here] == [("a", "{}", "Anna")]

        board.show(ben, "b", Shown('{"x":1}'))
        timers.pass_time()
        assert anna.told() == ({"b": '{"x":1}'}, [])
        assert ben.told() == ({"a": "{}", "b": '{"x":1}'}, [])

        board.leave(ben)
        timers.pass_time()
        assert anna.told() == ({}, ["b"])

    def test_of_many_changes_between_two_messages_the_latest_is_told(self) -> None:
        timers = Timers()
        board = PresenceBoard(timers.emit)
        screens = [Screen() for _ in range(10)]
        for number, screen in enumerate(screens):
            board.show(screen, str(number), Shown("{}"))
        timers.pass_time()
        timers.pass_time()
        for screen in screens:
            screen.take()

        for step in range(100):
            for number, screen in enumerate(screens):
                board.show(screen, str(number), Shown(f'{{"at":{step}}}'))
        timers.pass_time()
        for screen in screens:
            # The very first change went out at once, all others in one message.
            assert len(screen.messages) == 2
            here, _ = screen.told()
            assert here == {str(number): '{"at":99}' for number in range(10)}

    def test_who_leaves_and_comes_back_in_one_moment_was_never_away(self) -> None:
        timers = Timers()
        board = PresenceBoard(timers.emit)
        anna, ben, again = Screen(), Screen(), Screen()
        for screen, peer in ((anna, "a"), (ben, "b")):
            board.show(screen, peer, Shown("{}"))
            timers.pass_time()
        anna.take()
        board.show(again, "b", Shown("{}"))
        board.leave(ben)
        timers.pass_time()
        assert anna.take() == []
        assert again.told() == ({"a": "{}", "b": "{}"}, [])
        assert set(board.here) == {"a", "b"}

    def test_who_does_not_read_is_told_once_when_it_reads_again(self) -> None:
        timers = Timers()
        board = PresenceBoard(timers.emit)
        slow, quick = Screen(), Screen()
        for screen, peer in ((slow, "s"), (quick, "q")):
            board.show(screen, peer, Shown("{}"))
            timers.pass_time()
        slow.take()
        slow.is_held = True
        for step in range(50):
            board.show(quick, "q", Shown(f'{{"at":{step}}}'))
            timers.pass_time()
        assert slow.messages == []
        slow.is_held = False
        board.tell_anew(slow)
        timers.pass_time()
        (everybody, _) = slow.messages
        assert sorted(everybody.everybody or ()) == ["q", "s"]
        assert slow.told()[0]["q"] == '{"at":49}'

    def test_much_to_tell_is_told_seldom(self) -> None:
        timers = Timers()
        board = PresenceBoard(timers.emit)
        state = '{"text":"' + "x" * 4000 + '"}'
        screens = [Screen() for _ in range(60)]
        for number, screen in enumerate(screens):
            board.show(screen, str(number), Shown(state))
        timers.pass_time()
        # 60 states to 60 clients, and none of the messages is bigger than a part.
        (rest,) = timers.waiting
        assert TELLING_SECONDS < rest.seconds <= 5
        assert max(len(message.here) for message in screens[1].messages) < 60

    def test_no_more_take_part_than_may(self) -> None:
        board = PresenceBoard(Timers().emit, most=1)
        first = Screen()
        assert board.show(first, "a", Shown("{}"))
        assert not board.show(Screen(), "b", Shown("{}"))
        assert board.show(first, "a", Shown('{"more":1}'))

    def test_a_listener_that_fails_hurts_nobody(self, caplog: pytest.LogCaptureFixture) -> None:
        board = PresenceBoard(Timers().emit)
        seen: list[object] = []

        def fail(*news: object) -> None:
            raise RuntimeError("no")

        board.everybody.add_listener(fail)
        board.everybody.add_listener(lambda peer, now, before: seen.append((peer, now, before)))
        board.show(Screen(), "a", Shown('{"x":1}', "Anna"))
        assert seen == [("a", Peer("a", {"x": 1}, "Anna"), None)]
        assert "a presence listener failed" in caplog.text


class Meeting:
    """Two clients of one room, back to back, in a world in which time passes when nothing else happens."""

    def __init__(self, shown: tuple[str | None, str | None], access: Access | None = None) -> None:
        self.sites = [Site(), Site(), Site()]
        server, *clients = self.sites
        with transaction(server.conn):
            state = prepare_room(server.conn, server.catalog)
        self.room_end = End(server)
        room = Room(emit=self.room_end.emit, catalog=server.catalog, state=state)
        self.views = [PeerView(), PeerView()]
        self.links = [Link(client, server, room, access=access) for client in clients]
        for link, view, text in zip(self.links, self.views, shown, strict=True):
            view.shown = text
            link.client = ClientSession(
                emit=link.client_end.emit, catalog=link.client_end.site.catalog, view=view
            )
            link.start()
        self.settle()

    def settle(self) -> None:
        settle(*self.links)
        ends = [self.room_end, *(end for link in self.links for end in (link.client_end, link.server_end))]
        while sum(end.pass_time() for end in ends):
            settle(*self.links)


@pytest.fixture
def meet() -> Iterator[Callable[..., Meeting]]:
    meetings: list[Meeting] = []

    def begin(*shown: str | None, access: Access | None = None) -> Meeting:
        anna, ben = shown
        meetings.append(Meeting((anna, ben), access))
        return meetings[-1]

    yield begin
    for meeting in meetings:
        for site in meeting.sites:
            site.close()


class TestSessions:
    """The messages, between sessions back to back."""

    def test_who_takes_no_part_is_sent_nothing_of_it(self, meet: Callable[..., Meeting]) -> None:
        meeting = meet("{}", None)
        anna, ben = meeting.links
        assert anna.server_end.said(Peers)
        assert ben.server_end.said(Peers) == []
        assert ben.client_end.said(Present) == []

    def test_a_state_comes_with_the_connection_and_is_gone_with_it(
        self, meet: Callable[..., Meeting]
    ) -> None:
        meeting = meet('{"name":"Anna"}', "{}")
        (anna, ben), (anna_sees, ben_sees) = meeting.links, meeting.views
        assert [peer.state for peer in ben_sees.peers.values()] == [{"name": "Anna"}]
        assert list(ben_sees.peers) == [anna_sees.own_id]
        anna.server.connection_lost()
        meeting.settle()
        assert dict(ben_sees.peers) == {}
        ben.client.connection_lost()
        assert ben_sees.own_id is None

    def test_who_takes_no_part_any_more_is_not_seen_and_sees_nothing(
        self, meet: Callable[..., Meeting]
    ) -> None:
        meeting = meet("{}", "{}")
        anna_sees, ben_sees = meeting.views
        anna_sees.shown = None
        meeting.links[0].client.show()
        meeting.settle()
        assert dict(anna_sees.peers) == dict(ben_sees.peers) == {}

    @pytest.mark.parametrize(
        "state", ["[1]", "{", "{" * 4000, '{"x":' * 40 + "1" + "}" * 40, '{"x":"' + "y" * 4090 + '"}']
    )
    def test_what_is_no_state_is_not_shown_and_the_sender_is_told(
        self, meet: Callable[..., Meeting], state: str
    ) -> None:
        meeting = meet('{"good":1}', "{}")
        (anna, _), (anna_sees, ben_sees) = meeting.links, meeting.views
        anna_sees.shown = state
        anna.client.show()
        meeting.settle()
        assert [problem.code for problem in anna.server_end.said(Problem)] == ["presence"]
        assert anna.server.state == "live"
        assert [peer.state for peer in ben_sees.peers.values()] == [{"good": 1}]

    def test_nothing_is_told_where_it_is_off(self, meet: Callable[..., Meeting]) -> None:
        meeting = meet("{}", "{}", access=Access(presence=False))
        for link, view in zip(meeting.links, meeting.views, strict=True):
            assert [problem.code for problem in link.server_end.said(Problem)] == ["presence"]
            assert link.server_end.said(Peers) == []
            assert dict(view.peers) == {}


def test_an_id_does_not_tell_the_site_id() -> None:
    assert peer_id(b"a" * 16) == peer_id(b"a" * 16) != peer_id(b"b" * 16)
    assert (b"a" * 16).hex() not in peer_id(b"a" * 16)
