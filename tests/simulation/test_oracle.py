"""The oracle itself: a simulation that could not fail would prove nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import apsw
import pytest

from replicell.persisters.crsqlite import changes as merging
from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.changes import Change
from replicell.persisters.crsqlite.connection import transaction
from replicell.persisters.crsqlite.epochs import Cursor, begin_epoch
from replicell.persisters.crsqlite.new_rows import insert_new_rows
from replicell.sync import client_session, server_session
from replicell.sync.actions import Send
from replicell.sync.inbound import Inbound
from replicell.sync.jobs import Batch, TakenIn, take_in
from replicell.sync.ledger import store_peer
from replicell.sync.messages import Ack, Changes, encode
from tests.simulation import nodes
from tests.simulation.history import WELL, History
from tests.simulation.nodes import Client
from tests.simulation.oracle import (
    BrokenPromiseError,
    check_transactions_are_whole,
    contents,
    difference,
    has_table,
)

HISTORIES = 40


@pytest.fixture
def history(tmp_path: Path) -> Iterator[History]:
    world = History(1, tmp_path)
    world.server.boot()
    yield world
    world.end()


def client(history: History) -> Client:
    found = Client(history, "probe", history.folder / "probe.db")
    found.boot()
    found.conn.execute("CREATE TABLE pair(id TEXT PRIMARY KEY NOT NULL, grp, n)")
    found.conn.execute("SELECT crsql_as_crr('pair')").fetchall()
    history.clients.append(found)
    return found


def test_half_a_transaction_is_noticed(history: History) -> None:
    machine = client(history)
    with transaction(machine.conn):
        machine.conn.execute("INSERT INTO pair VALUES ('g/0', 'g', 2)")

    with pytest.raises(BrokenPromiseError, match="parts of transactions"):
        check_transactions_are_whole(machine)

    with transaction(machine.conn):
        machine.conn.execute("INSERT INTO pair VALUES ('g/1', 'g', 2)")
    check_transactions_are_whole(machine)


def test_replicas_that_differ_are_told_apart(history: History) -> None:
    machine = client(history)
    with transaction(machine.conn):
        machine.conn.execute("INSERT INTO pair VALUES ('g/0', 'g', 1)")

    assert "pair" in difference(history.server, machine)
    assert difference(machine, machine) == ""
    assert contents(machine)["pair"] == [("g/0", 1, "g")] or contents(machine)["pair"] == [("g/0", "g", 1)]


def test_what_was_acknowledged_and_is_not_there_is_noticed(history: History) -> None:
    history.watch.look()
    history.watch.acknowledged.add("e1")

    with pytest.raises(BrokenPromiseError, match="acknowledged and lost: \\['e1'\\]"):
        history.watch.look()


def skip_gaps(patch: pytest.MonkeyPatch) -> None:
    honest = Inbound.receive

    def careless(self: Inbound, changes: Changes, size: int) -> None:
        if changes.part == 0 and changes.since > self.expected:
            self.expected = changes.since
        honest(self, changes, size)

    patch.setattr(Inbound, "receive", careless)


def note_more_than_there_is(patch: pytest.MonkeyPatch) -> None:
    def generous(conn: apsw.Connection, cursor: Cursor) -> None:
        store_peer(conn, Cursor(cursor.site_id, cursor.epoch, cursor.version + 2, cursor.begun))

    patch.setattr(server_session, "store_peer", generous)


def drop_a_row(patch: pytest.MonkeyPatch) -> None:
    def forgetful(
        conn: apsw.Connection, catalog: Catalog, batches: Sequence[Batch], *args: Any, **options: Any
    ) -> TakenIn:
        shorter = [batch._replace(rows=batch.rows[:-1]) for batch in batches]
        return take_in(conn, catalog, shorter, *args, **options)

    patch.setattr(client_session, "take_in", forgetful)


def merge_nothing_but_new_rows(patch: pytest.MonkeyPatch) -> None:
    def forgetful(conn: apsw.Connection, *args: Any) -> list[Change]:
        rest = insert_new_rows(conn, *args)
        return rest if len(rest) == len(args[1]) else []

    patch.setattr(merging, "insert_new_rows", forgetful)


def acknowledge_before_it_is_on_disk(patch: pytest.MonkeyPatch) -> None:
    honest = Inbound._take

    def hasty(self: Inbound, changes: Changes, size: int) -> None:
        honest(self, changes, size)
        self._emit(Send(encode(Ack(changes.until), self._encoding)))

    patch.setattr(Inbound, "_take", hasty)


def forget_when_opened(patch: pytest.MonkeyPatch) -> None:
    def forgetful(conn: apsw.Connection) -> bytes:
        if has_table(conn, "log"):
            conn.execute("DELETE FROM log WHERE id = (SELECT max(id) FROM log)")
        return begin_epoch(conn)

    patch.setattr(nodes, "begin_epoch", forgetful)


@pytest.mark.parametrize(
    ("sabotage", "finding"),
    [
        (skip_gaps, "up to .* but lacks"),
        (note_more_than_there_is, "notes in replicell_peers to have client.* which is at"),
        (drop_a_row, "notes in replicell_servers to have server up to .* but lacks"),
        (merge_nothing_but_new_rows, "up to .* but lacks"),
        (acknowledge_before_it_is_on_disk, "is told that all up to .* is on the server's disk, but lacks"),
        (forget_when_opened, "had before it ended, and has no more"),
    ],
)
def test_a_broken_promise_is_found_out_while_the_history_goes_on(
    sabotage: Callable[[pytest.MonkeyPatch], None],
    finding: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sabotage(monkeypatch)
    for seed in range(HISTORIES):
        folder = tmp_path / str(seed)
        folder.mkdir()
        history = History(seed, folder)
        try:
            history.run()
        except BrokenPromiseError as error:
            if re.search(finding, str(error)) and not any(WELL in line for line in history.trace):
                return
    pytest.fail("no history noticed it before its end")
