"""The oracle itself: a simulation that could not fail would prove nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import pytest

from replicell.persisters.crsqlite import changes as merging
from replicell.persisters.crsqlite.changes import Change
from replicell.persisters.crsqlite.connection import transaction
from replicell.persisters.crsqlite.new_rows import insert_new_rows
from replicell.sync.actions import Send
from replicell.sync.inbound import Inbound
from replicell.sync.messages import Ack, Changes, encode
from tests.simulation import nodes
from tests.simulation.history import WELL, History
from tests.simulation.nodes import Client
from tests.simulation.oracle import (
    BrokenPromiseError,
    check_transactions_are_whole,
    contents,
    difference,
)
from tests.simulation.sabotages import Sabotage, drop_a_row, lose_the_last_entry, note_more_than_there_is

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


@pytest.mark.parametrize(
    ("sabotage", "finding"),
    [
        (skip_gaps, "up to .* but lacks"),
        (note_more_than_there_is, "notes in replicell_peers to have client.* which is at"),
        (drop_a_row, "notes in replicell_servers to have server up to .* but lacks"),
        (merge_nothing_but_new_rows, "up to .* but lacks"),
        (acknowledge_before_it_is_on_disk, "is told that all up to .* is on the server's disk, but lacks"),
        (partial(lose_the_last_entry, opener=nodes), "had before it ended, and has no more"),
    ],
)
def test_a_broken_promise_is_found_out_while_the_history_goes_on(
    sabotage: Sabotage,
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
