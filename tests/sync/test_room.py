"""A room tells its clients of each commit at once while they are few, and of several at a time when many."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import apsw
import pytest

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.changes import Change
from replicell.persisters.crsqlite.connection import close_connection, open_connection, transaction
from replicell.persisters.crsqlite.epochs import begin_epoch
from replicell.persisters.crsqlite.keys import pack_key
from replicell.persisters.crsqlite.schema import TableSchema, create_table
from replicell.sync.actions import Action, Close, Later, Send
from replicell.sync.jobs import Job
from replicell.sync.messages import (
    PROTOCOL,
    Ack,
    Changes,
    Hello,
    Mark,
    Marked,
    Message,
    Ready,
    Welcome,
    decode,
    encode,
)
from replicell.sync.room import Room, prepare_room
from replicell.sync.server_session import Access, ServerSession

EPOCH = b"e" * 16
MANY = 40


class Server:
    """A room whose jobs run at once, unless it is busy, and whose rests end when told to."""

    def __init__(self, conn: apsw.Connection) -> None:
        self._conn = conn
        self.rests: list[Later] = []
        self.said: list[type[Message]] = []
        """What kinds of messages all its clients have got, in order."""
        self.is_busy = False
        self.commits = 0
        self._jobs: list[Job[Any]] = []
        catalog = Catalog()
        with transaction(conn):
            state = prepare_room(conn, catalog)
        self.room = Room(emit=self.emit, catalog=catalog, state=state)

    def emit(self, action: Action) -> None:
        match action:
            case Job():
                self._jobs.append(action)
                if not self.is_busy:
                    self.work()
            case Later():
                self.rests.append(action)
            case _:
                raise AssertionError(f"a room does not do {action}")

    def work(self) -> None:
        """Do what there is to do, one job after the other."""
        self.is_busy = True
        while self._jobs:
            job = self._jobs.pop(0)
            if job.mode == "run":
                result = job.function(self._conn)
            else:
                self.commits += job.mode == "write"
                with transaction(self._conn, immediate=job.mode == "write"):
                    result = job.function(self._conn)
            job.done(result)
        self.is_busy = False

    def end_rest(self) -> None:
        self.rests.pop().call()


class Client:
    """Speaks to the room by hand and acknowledges nothing by itself."""

    def __init__(self, server: Server, number: int) -> None:
        self._server = server
        self._versions = count(1)
        self.heard: list[Message] = []
        self.is_closed = False
        self.session = ServerSession(emit=self._emit, room=server.room, access=Access())
        self.session.start(0.0)
        self._say(Hello(PROTOCOL, number.to_bytes(16), [], []))
        assert isinstance(self.heard[-1], Welcome)
        self._say(Ready(EPOCH, 0))
        self.heard.clear()

    @property
    def told(self) -> list[tuple[int, int]]:
        """The versions before and after each batch it got."""
        return [(message.since, message.until) for message in self.heard if isinstance(message, Changes)]

    @property
    def acknowledged(self) -> list[int]:
        """The own versions that were acknowledged."""
        return [message.version for message in self.heard if isinstance(message, Ack)]

    def write(self, row_id: str) -> None:
        version = next(self._versions)
        change = Change("todo", pack_key([row_id]), "text", row_id, 1, 1, 0, version)
        self._say(Changes(EPOCH, version - 1, version, version, 0, True, [change]))

    def ask_mark(self) -> None:
        self._say(Mark(1))

    def _say(self, message: Message) -> None:
        self.session.receive(encode(message), 0.0)

    def _emit(self, action: Action) -> None:
        if isinstance(action, Send):
            self.heard.append(decode(action.frame))
            self._server.said.append(type(self.heard[-1]))
        elif isinstance(action, Job) and action.changes:
            self._server.room.intake.add(action)
        elif isinstance(action, Close):
            self.is_closed = True
        else:
            self._server.emit(action)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    conn = open_connection(tmp_path / "room.db")
    create_table(conn, TableSchema("todo", ("id",), ("text",)))
    with transaction(conn):
        begin_epoch(conn)
    yield conn
    close_connection(conn)


def test_a_few_clients_are_told_of_each_commit_at_once(connection: apsw.Connection) -> None:
    server = Server(connection)
    author, reader = Client(server, 1), Client(server, 2)
    before = server.room.version

    author.write("milk")
    author.write("bread")

    assert reader.told == [(before, before + 1), (before + 1, before + 2)]
    assert author.told == []
    assert not server.rests


def test_a_few_others_are_told_of_a_commit_before_its_author_is(connection: apsw.Connection) -> None:
    server = Server(connection)
    author, *_ = [Client(server, number) for number in range(1, 4)]
    server.said.clear()

    author.write("milk")

    assert server.said == [Changes, Changes, Ack]


def test_an_author_does_not_wait_until_many_others_are_told(connection: apsw.Connection) -> None:
    server = Server(connection)
    author, *others = [Client(server, number) for number in range(1, MANY)]
    server.said.clear()

    author.write("milk")

    assert server.said == [Ack, *[Changes] * len(others)]


def test_many_clients_are_told_of_a_lone_commit_at_once(connection: apsw.Connection) -> None:
    server = Server(connection)
    author, *others = [Client(server, number) for number in range(1, MANY)]
    before = server.room.version

    author.write("milk")

    assert all(other.told == [(before, before + 1)] for other in others)


def test_many_clients_are_told_together_of_what_is_committed_while_the_room_rests(
    connection: apsw.Connection,
) -> None:
    server = Server(connection)
    author, second, *others = [Client(server, number) for number in range(1, MANY)]
    before = server.room.version
    author.write("milk")
    author.write("bread")
    second.write("butter")
    author.write("eggs")
    assert all(len(other.told) == 1 for other in others)

    server.end_rest()

    assert all(other.told == [(before, before + 1), (before + 1, before + 4)] for other in others)


def test_a_commit_is_acknowledged_although_the_others_are_not_told_yet(connection: apsw.Connection) -> None:
    server = Server(connection)
    author, *_ = [Client(server, number) for number in range(1, MANY)]

    author.write("milk")
    author.write("bread")

    assert author.acknowledged == [1, 2]


def test_what_other_programs_write_is_told_with_what_is_gathered(connection: apsw.Connection) -> None:
    server = Server(connection)
    author, *others = [Client(server, number) for number in range(1, MANY)]
    before = server.room.version
    author.write("milk")
    author.write("bread")
    with transaction(connection):
        connection.execute("INSERT INTO todo(id, text) VALUES ('tea', 'tea')")
    server.room.changed()
    author.write("eggs")

    server.end_rest()

    assert all(other.told == [(before, before + 1), (before + 1, before + 4)] for other in others)
    server.end_rest()
    assert len(others[0].told) == 2


def test_who_asks_how_far_the_room_is_gets_what_is_gathered_when_the_rest_is_over(
    connection: apsw.Connection,
) -> None:
    server = Server(connection)
    author, reader, *_ = [Client(server, number) for number in range(1, MANY)]
    author.write("milk")
    author.write("bread")
    reader.ask_mark()
    marked = [message.version for message in reader.heard if isinstance(message, Marked)]
    assert reader.told[-1][1] < marked[0]

    server.end_rest()

    assert reader.told[-1][1] == marked[0]


def test_clients_that_write_at_once_are_acknowledged_each_and_told_of_together(
    connection: apsw.Connection,
) -> None:
    server = Server(connection)
    writers = [Client(server, number) for number in range(1, 6)]
    reader = Client(server, 6)
    before, commits = server.room.version, server.commits
    server.is_busy = True
    for number, writer in enumerate(writers):
        writer.write(f"row {number}")

    server.work()

    assert [[message.version for message in w.heard if isinstance(message, Ack)] for w in writers] == [
        [1]
    ] * 5
    assert server.commits == commits + 2
    assert reader.told == [(before, before + 1), (before + 1, before + 2)]


def test_a_replaced_client_takes_nothing_from_those_it_shares_a_commit_with(
    connection: apsw.Connection,
) -> None:
    server = Server(connection)
    first, replaced, third, reader = (Client(server, number) for number in range(1, 5))
    before = server.room.version
    server.is_busy = True
    first.write("first")
    replaced.write("replaced")
    third.write("third")
    replaced.session.replaced()

    server.work()

    assert replaced.is_closed
    ids = {row_id for (row_id,) in connection.execute("SELECT id FROM todo")}
    assert ids == {"first", "third"}
    assert reader.told == [(before, before + 1), (before + 1, before + 2)]
