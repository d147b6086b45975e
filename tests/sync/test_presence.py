"""Who is in a room and what each shows of itself: told at once, at a bounded rate, to those who take part."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from replicell.persisters.crsqlite.connection import transaction
from replicell.sync import (
    Identity,
    Limits,
    Peer,
    PresenceError,
    StaticTokens,
    SyncClient,
    SyncError,
    SyncStatus,
)
from replicell.sync.actions import Action, Later
from replicell.sync.client_session import ClientSession
from replicell.sync.messages import (
    Encoding,
    Mark,
    Marked,
    Peers,
    Present,
    Problem,
    Ready,
    Welcome,
    decode,
)
from replicell.sync.pace import Pace
from replicell.sync.peers import PeerView
from replicell.sync.presence import TELLING_SECONDS, PresenceBoard, Shown, peer_id
from replicell.sync.room import Room, prepare_room
from replicell.sync.server_session import Access
from tests.sync.conftest import OpenClient, OpenDatabase, OpenServer
from tests.sync.support import PATIENCE, End, Link, Site, rows, settle
from tests.sync.test_client import reached
from tests.sync.test_server import EPOCH, HELLO, hear, tell


class Timers:
    """Takes the `Later` actions, and calls what is due when told that time has passed."""

    def __init__(self) -> None:
        self.waiting: list[Later] = []

    def emit(self, action: Action) -> None:
        assert isinstance(action, Later)
        self.waiting.append(action)

    def pass_time(self) -> None:
        waiting, self.waiting = self.waiting, []
        for later in waiting:
            later.call()


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


class TestPace:
    """The first is done at once, what comes in the rest is done once."""

    def test_often_asked_seldom_done(self) -> None:
        timers = Timers()
        done: list[int] = []

        def act() -> float:
            done.append(len(done))
            return 0.5

        pace = Pace(timers.emit, act)
        for _ in range(5):
            pace.ask()
        assert (done, [later.seconds for later in timers.waiting]) == ([0], [0.5])
        timers.pass_time()
        assert done == [0, 1]
        timers.pass_time()
        assert (done, timers.waiting) == ([0, 1], [])
        pace.ask()
        assert done == [0, 1, 2]

    def test_asking_while_it_is_done_is_asking_for_the_next_time(self) -> None:
        timers = Timers()
        done: list[str] = []

        def act() -> float:
            done.append("begins")
            if len(done) < 3:
                pace.ask()
            done.append("ends")
            return 0.0

        pace = Pace(timers.emit, act)
        pace.ask()
        assert done == ["begins", "ends"]
        timers.pass_time()
        assert done == ["begins", "ends"] * 2
        assert timers.waiting == []

    def test_a_failure_does_not_stop_it_for_ever(self) -> None:
        timers = Timers()
        done: list[int] = []

        def act() -> float:
            done.append(1)
            if len(done) == 1:
                raise RuntimeError("once")
            return 0.0

        pace = Pace(timers.emit, act)
        with pytest.raises(RuntimeError):
            pace.ask()
        pace.ask()
        assert len(done) == 2


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


async def seen(sync: SyncClient, true: Callable[[], Any]) -> None:
    """Wait until a condition about a client's peers holds."""
    changed = asyncio.Event()
    listener = sync.add_presence_listener(lambda *_: changed.set())
    async with asyncio.timeout(PATIENCE):
        while not true():
            await changed.wait()
            changed.clear()
    sync.del_listener(listener)


def states(sync: SyncClient) -> list[Any]:
    return [dict(peer.state) for peer in sync.peers.values()]


class TestClients:
    """`SyncClient.set_presence`, `peers` and `add_presence_listener`, over real sockets."""

    async def test_they_see_each_other_come_change_and_leave(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server()
        anna, ben = [
            await open_client(await open_database(name), f"{server.url}/room") for name in ("anna", "ben")
        ]
        news: list[tuple[Peer | None, Peer | None]] = []
        ben.set_presence({"name": "Ben"})
        ben.add_presence_listener(lambda _, peer, now, before: news.append((now, before)))
        anna.set_presence({"name": "Anna"})
        await seen(ben, lambda: states(ben) == [{"name": "Anna"}])
        await seen(anna, lambda: states(anna) == [{"name": "Ben"}])
        assert list(ben.peers) == [anna.peer_id]
        assert all(peer.name is None for peer in ben.peers.values())

        anna.set_presence({"name": "Anna", "cursor": [3, 4]})
        await seen(ben, lambda: states(ben) == [{"name": "Anna", "cursor": [3, 4]}])
        await anna.close()
        await seen(ben, lambda: not ben.peers)
        assert dict(anna.peers) == {}
        assert [(now and dict(now.state), before and dict(before.state)) for now, before in news] == [
            ({"name": "Anna"}, None),
            ({"name": "Anna", "cursor": [3, 4]}, {"name": "Anna"}),
            (None, {"name": "Anna", "cursor": [3, 4]}),
        ]

    async def test_a_pause_is_a_leave_and_the_state_comes_back_with_the_connection(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server()
        anna, ben = [
            await open_client(await open_database(name), f"{server.url}/room") for name in ("anna", "ben")
        ]
        for client, name in ((anna, "Anna"), (ben, "Ben")):
            client.set_presence({"name": name})
        await seen(ben, lambda: states(ben) == [{"name": "Anna"}])
        before = anna.peer_id
        await anna.pause()
        await seen(ben, lambda: not ben.peers)
        anna.set_presence({"name": "Anna, again"})
        await anna.resume()
        await seen(ben, lambda: states(ben) == [{"name": "Anna, again"}])
        await seen(anna, lambda: states(anna) == [{"name": "Ben"}])
        assert anna.peer_id == before

        anna.set_presence(None)
        await seen(ben, lambda: not ben.peers)
        assert dict(anna.peers) == {}
        await reached(anna, SyncStatus.SYNCED)

    async def test_read_only_clients_are_seen_and_see_and_names_are_told_if_wanted(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        tokens = StaticTokens(
            identities={
                "a": Identity(name="anna@example.com\udc80", rooms={"*": "write"}),
                "b": Identity(name="ben@example.com", rooms={"*": "read"}),
            }
        )
        server = await open_server(authenticate=tokens, presence="names")
        anna, ben = [
            await open_client(await open_database(token), f"{server.url}/room", token=token) for token in "ab"
        ]
        anna.set_presence({})
        ben.set_presence({"name": "anna@example.com"})
        await seen(anna, lambda: len(anna.peers) == 1)
        await seen(ben, lambda: len(ben.peers) == 1)
        assert [peer.name for peer in anna.peers.values()] == ["ben@example.com"]
        assert [peer.name for peer in ben.peers.values()] == ["anna@example.com?"]

    async def test_states_that_change_quickly_are_sent_seldom_and_the_last_one_arrives(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server()
        anna, ben = [
            await open_client(await open_database(name), f"{server.url}/room") for name in ("anna", "ben")
        ]
        ben.set_presence({})
        anna.set_presence({"at": 0})
        await seen(ben, lambda: states(ben) == [{"at": 0}])
        changes = []
        ben.add_presence_listener(lambda *news: changes.append(news))
        for step in range(1000):
            anna.set_presence({"at": step})
        await seen(ben, lambda: states(ben) == [{"at": 999}])
        assert len(changes) <= 2

    async def test_presence_that_is_not_taken_hurts_nothing_else(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server(limits=Limits(presence_bytes=100))
        db = await open_database("anna")
        anna = await open_client(db, f"{server.url}/room")
        await reached(anna, SyncStatus.SYNCED)
        told = asyncio.Event()
        anna.add_status_listener(lambda _, status, detail: told.set() if "100 bytes" in detail else None)
        anna.set_presence({"text": "x" * 100})
        async with asyncio.timeout(PATIENCE):
            await told.wait()
        await db.execute("INSERT INTO todo(id, text) VALUES ('1', 'Buy milk')")
        await anna.wait_until_synced(PATIENCE)
        assert await rows(db) == {"1": "Buy milk"}

    async def test_an_old_client_never_gets_a_message_that_it_does_not_know(
        self, open_server: OpenServer, open_database: OpenDatabase, open_client: OpenClient
    ) -> None:
        server = await open_server()
        anna = await open_client(await open_database("anna"), f"{server.url}/room")
        anna.set_presence({"name": "Anna"})
        await seen_itself(anna)
        async with connect(f"{server.url}/room") as old:
            await tell(old, HELLO)
            await hear(old, Welcome)
            await tell(old, Ready(EPOCH, 0))
            anna.set_presence({"name": "Anna", "x": 1})
            messages = await heard_until_marked(old)
        assert not any(isinstance(message, Peers) for message in messages)

    @pytest.mark.parametrize("state", [[1], {"x": {1, 2}}, {1: 2, "x": b"\xff"}, 7, {"x": object()}])
    async def test_what_json_cannot_say_is_no_state(
        self, open_server: OpenServer, open_database: OpenDatabase, state: Any
    ) -> None:
        client = SyncClient(await open_database("anna"), "ws://localhost:1/room")
        with pytest.raises(PresenceError):
            client.set_presence(state)

    async def test_a_policy_that_is_none_is_refused(self, open_server: OpenServer) -> None:
        with pytest.raises(SyncError, match="anonymous"):
            await open_server(presence="everything")


async def seen_itself(sync: SyncClient) -> None:
    """Wait until the server has said under which id the client is seen."""
    await reached(sync, SyncStatus.SYNCED)
    async with asyncio.timeout(PATIENCE):
        while sync.peer_id is None:
            await sync.wait_until_synced()


async def heard_until_marked(websocket: ClientConnection) -> list[object]:
    await tell(websocket, Mark(1))
    messages: list[object] = []
    async with asyncio.timeout(PATIENCE):
        while not isinstance(message := decode(await websocket.recv()), Marked):
            messages.append(message)
    return messages


def test_an_id_does_not_tell_the_site_id() -> None:
    assert peer_id(b"a" * 16) == peer_id(b"a" * 16) != peer_id(b"b" * 16)
    assert (b"a" * 16).hex() not in peer_id(b"a" * 16)
