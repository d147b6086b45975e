"""The oracle itself: a simulation that could not fail would prove nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from replicell.persisters.crsqlite.connection import transaction
from replicell.sync.inbound import Inbound
from replicell.sync.messages import Changes
from tests.simulation.history import History
from tests.simulation.nodes import Client
from tests.simulation.oracle import BrokenPromiseError, check_transactions_are_whole, contents, difference


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


def test_a_receiver_that_skips_gaps_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Inbound.receive

    def careless(self: Inbound, changes: Changes, size: int) -> None:
        if changes.part == 0 and changes.since > self.expected:
            self.expected = changes.since
        honest(self, changes, size)

    monkeypatch.setattr(Inbound, "receive", careless)
    for seed in range(40):
        folder = tmp_path / str(seed)
        folder.mkdir()
        try:
            History(seed, folder).run()
        except BrokenPromiseError:
            return
    pytest.fail("no history noticed that changes were skipped")
