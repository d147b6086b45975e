"""What several clients send during a commit goes into one: each has its own cursor, refusals and failures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextvars import ContextVar, copy_context
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
from replicell.persisters.crsqlite.versions import latest_version
from replicell.sync.actions import Action
from replicell.sync.intake import Intake
from replicell.sync.jobs import Batch, Job, TakenIn, take_in
from replicell.sync.ledger import create_ledger, peer_cursor, store_peer
from replicell.sync.messages import Changes, decode

EPOCH = b"e" * 16
SERVED: ContextVar[int] = ContextVar("served", default=0)
"""Whose connection is served, as the server's logs have it."""


class Desk:
    """An intake whose commits are made when told to, for clients whose outcomes are kept."""

    def __init__(self, conn: apsw.Connection) -> None:
        self._conn = conn
        self._catalog = Catalog()
        self._commits: list[Job[Any]] = []
        self.commits = 0
        self.outcomes: dict[int, TakenIn] = {}
        self.failures: dict[int, BaseException] = {}
        self.told_as: dict[int, int] = {}
        """As whose, by the context, each was told."""
        self.intake = Intake(self._emit, self._catalog)

    def send(self, client: int, *rows: tuple[str, str], table: str = "todo", version: int = 1) -> None:
        changes = [
            Change(table, pack_key([row_id]), "text", text, 1, 1, seq, version)
            for seq, (row_id, text) in enumerate(rows)
        ]

        def merge(conn: apsw.Connection, since: int | None = None) -> TakenIn:
            return take_in(
                conn,
                self._catalog,
                [Batch(EPOCH, version, True, changes, 100)],
                site_id(client),
                store_peer,
                trusted=False,
                batch=client,
                since=since,
            )

        self.add(client, merge, len(changes))

    def add(self, client: int, merge: Callable[..., TakenIn | None], changes: int = 1) -> None:
        def done(taken: TakenIn) -> None:
            self.outcomes[client] = taken
            self.told_as[client] = SERVED.get()

        def failed(error: BaseException) -> None:
            self.failures[client] = error
            self.told_as[client] = SERVED.get()

        job: Job[Any] = Job("write", merge, done, failed, changes=changes, batches=1)
        context = copy_context()
        context.run(SERVED.set, client)
        context.run(self.intake.add, job)

    def commit(self) -> None:
        job = self._commits.pop(0)
        self.commits += 1
        try:
            with transaction(self._conn):
                result = job.function(self._conn)
        except apsw.Error as error:
            job.failed(error)
        else:
            job.done(result)

    @property
    def is_idle(self) -> bool:
        return not self._commits

    def _emit(self, action: Action) -> None:
        assert isinstance(action, Job)
        self._commits.append(action)

    def texts(self) -> dict[Any, Any]:
        rows: list[Any] = self._conn.execute("SELECT id, text FROM todo").fetchall()
        return dict(rows)

    def cursor(self, client: int) -> int | None:
        cursor = peer_cursor(self._conn, site_id(client))
        return None if cursor is None else cursor.version


def site_id(client: int) -> bytes:
    return client.to_bytes(16)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[apsw.Connection]:
    conn = open_connection(tmp_path / "room.db")
    create_table(conn, TableSchema("todo", ("id",), ("text",)))
    with transaction(conn):
        create_ledger(conn)
        begin_epoch(conn)
    yield conn
    close_connection(conn)


def test_who_comes_alone_is_committed_at_once_and_alone(connection: apsw.Connection) -> None:
    desk = Desk(connection)
    desk.send(1, ("a", "milk"))

    desk.commit()

    taken = desk.outcomes[1]
    assert (taken.before, taken.after, taken.is_shared) == (0, 1, False)
    assert desk.texts() == {"a": "milk"}
    assert desk.is_idle


def test_all_who_come_during_a_commit_share_the_next_one(connection: apsw.Connection) -> None:
    desk = Desk(connection)
    for client in range(1, 6):
        desk.send(client, (f"row {client}", "text"), version=client)
    desk.commit()
    assert list(desk.outcomes) == [1]

    desk.commit()

    assert desk.is_idle
    assert latest_version(connection) == 2
    assert [desk.cursor(client) for client in range(1, 6)] == [1, 2, 3, 4, 5]
    assert len(desk.texts()) == 5


def test_one_of_them_tells_the_others_of_all_as_one_version(connection: apsw.Connection) -> None:
    desk = Desk(connection)
    for client in (1, 2, 3):
        desk.send(client, (f"row {client}", "text"))
    desk.commit()

    desk.commit()

    first, second = desk.outcomes[2], desk.outcomes[3]
    (frame,) = first.frames
    changes = decode(frame)
    assert isinstance(changes, Changes)
    assert (first.before, first.after, first.is_shared) == (1, 2, True)
    assert (changes.since, changes.until, changes.last) == (1, 2, True)
    assert [row.pk for row in changes.rows] == [pack_key(["row 2"]), pack_key(["row 3"])]
    assert second.before == second.after == 2
    assert second.frames == []


def test_a_refused_change_is_told_to_its_author_only(connection: apsw.Connection) -> None:
    desk = Desk(connection)
    desk.send(1, ("a", "milk"))
    desk.send(2, ("b", "bread"), table="unknown")
    desk.send(3, ("c", "eggs"))
    desk.commit()

    desk.commit()

    assert len(desk.outcomes[2].parked) == 1
    assert desk.outcomes[3].parked == []
    assert desk.texts() == {"a": "milk", "c": "eggs"}
    assert desk.outcomes[3].frames


def test_a_failure_undoes_one_clients_changes_and_no_others(connection: apsw.Connection) -> None:
    def merge_half(conn: apsw.Connection, since: int | None = None) -> TakenIn:
        conn.execute("INSERT INTO todo(id, text) VALUES ('half', 'done')")
        raise ValueError("a mistake")

    desk = Desk(connection)
    desk.send(1, ("a", "milk"))
    desk.send(2, ("b", "bread"))
    desk.add(3, merge_half)
    desk.send(4, ("d", "eggs"))
    desk.commit()

    desk.commit()

    assert str(desk.failures[3]) == "a mistake"
    assert desk.texts() == {"a": "milk", "b": "bread", "d": "eggs"}
    assert (desk.cursor(2), desk.cursor(3), desk.cursor(4)) == (1, None, 1)


def test_local_writes_are_recorded_after_a_client_has_failed(connection: apsw.Connection) -> None:
    def fail_merging(conn: apsw.Connection, since: int | None = None) -> TakenIn:
        conn.execute("SELECT crsql_internal_sync_bit(1)").fetchall()
        raise ValueError("in the middle of a merge")

    desk = Desk(connection)
    desk.send(1, ("a", "milk"))
    desk.add(2, fail_merging)
    desk.send(3, ("c", "eggs"))
    desk.commit()
    desk.commit()
    version = latest_version(connection)

    connection.execute("INSERT INTO todo(id, text) VALUES ('own', 'write')")

    assert latest_version(connection) == version + 1


def test_a_failed_disk_fails_them_all_and_nothing_is_kept(connection: apsw.Connection) -> None:
    def find_the_disk_full(conn: apsw.Connection, since: int | None = None) -> TakenIn:
        raise apsw.FullError("the disk is full")

    desk = Desk(connection)
    desk.send(1, ("a", "milk"))
    desk.send(2, ("b", "bread"))
    desk.add(3, find_the_disk_full)
    desk.commit()

    desk.commit()

    assert set(desk.failures) == {2, 3}
    assert desk.texts() == {"a": "milk"}
    assert desk.cursor(2) is None
    desk.send(4, ("d", "eggs"))
    desk.commit()
    assert desk.cursor(4) == 1


def test_much_of_one_client_has_a_commit_of_its_own(connection: apsw.Connection) -> None:
    desk = Desk(connection)
    desk.send(1, ("a", "milk"))
    desk.send(2, ("b", "bread"))
    desk.send(3, *((f"row {number}", "text") for number in range(100)))
    desk.send(4, ("d", "eggs"))
    desk.commit()

    while not desk.is_idle:
        desk.commit()

    assert not any(taken.is_shared for taken in desk.outcomes.values())
    assert latest_version(connection) == 4


def test_what_brings_nothing_new_makes_no_version(connection: apsw.Connection) -> None:
    desk = Desk(connection)
    desk.send(1, ("a", "milk"))
    desk.send(2, ("a", "milk"))
    desk.send(3, ("a", "milk"))
    desk.commit()

    desk.commit()

    assert latest_version(connection) == 1
    assert all(taken.after == 1 for taken in desk.outcomes.values())
    assert desk.outcomes[2].frames == desk.outcomes[3].frames == []


def test_each_is_told_in_its_own_context_of_a_commit_with_others(connection: apsw.Connection) -> None:
    desk = Desk(connection)
    desk.send(1, ("a", "milk"))

    def fail(_conn: apsw.Connection, since: int | None = None) -> TakenIn:
        raise ValueError(f"after version {since}")

    desk.send(2, ("b", "bread"))
    desk.add(3, fail)
    desk.send(4, ("c", "butter"))
    while not desk.is_idle:
        desk.commit()

    assert desk.commits == 2
    assert desk.told_as == {1: 1, 2: 2, 3: 3, 4: 4}
