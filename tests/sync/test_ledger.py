"""What the two sides remember about each other."""

from __future__ import annotations

from collections.abc import Iterator

import apsw
import msgspec
import pytest

from replicell.persisters.crsqlite.changes import Change
from replicell.persisters.crsqlite.epochs import Cursor
from replicell.sync import ledger

SITE, OTHER = b"s" * 16, b"o" * 16
FIRST, SECOND = b"1" * 16, b"2" * 16
CHANGE = Change("t", b"key", "c", "x", 1, 1, 0, 0)


@pytest.fixture
def conn() -> Iterator[apsw.Connection]:
    connection = apsw.Connection(":memory:")
    ledger.create_ledger(connection)
    ledger.create_ledger(connection)
    yield connection
    connection.close()


def changed(**fields: object) -> Change:
    return msgspec.structs.replace(CHANGE, **fields)


def parked(conn: apsw.Connection) -> list[Change]:
    return [one.change for one in ledger.take_parked(conn, [("t", ("c",))])]


def test_a_peers_version_never_goes_back_and_its_epoch_is_the_newest(conn: apsw.Connection) -> None:
    assert ledger.peer_cursor(conn, SITE) is None

    ledger.store_peer(conn, Cursor(SITE, FIRST, 5))
    ledger.store_peer(conn, Cursor(SITE, FIRST, 3))
    assert ledger.peer_cursor(conn, SITE) == Cursor(SITE, FIRST, 5)

    ledger.store_peer(conn, Cursor(SITE, SECOND, 5))
    assert ledger.peer_cursor(conn, SITE) == Cursor(SITE, SECOND, 5)


def test_of_what_another_node_says_and_what_is_noted_here_the_later_counts_within_an_epoch(
    conn: apsw.Connection,
) -> None:
    ledger.store_elsewhere(conn, Cursor(SITE, FIRST, 2))
    assert ledger.peer_cursor(conn, SITE) == Cursor(SITE, FIRST, 2)

    # Else a copy of the client's file that does not know the later version would not be found out.
    ledger.store_peer(conn, Cursor(SITE, FIRST, 5))
    ledger.store_elsewhere(conn, Cursor(SITE, FIRST, 3, begun=7))
    assert ledger.peer_cursor(conn, SITE) == Cursor(SITE, FIRST, 5, begun=7)

    ledger.store_elsewhere(conn, Cursor(SITE, FIRST, 8))
    assert ledger.peer_cursor(conn, SITE) == Cursor(SITE, FIRST, 8)

    # In another epoch it may be the copy who has been there, and who lacks what the original brought here.
    ledger.store_elsewhere(conn, Cursor(SITE, SECOND, 9))
    assert ledger.peer_cursor(conn, SITE) == Cursor(SITE, FIRST, 5)


def test_a_servers_cursor_may_go_back_for_a_server_may_be_restored(conn: apsw.Connection) -> None:
    ledger.meet_server(conn, Cursor(SITE, FIRST, 5), push_all_until=0)
    ledger.meet_server(conn, Cursor(SITE, SECOND, 0), push_all_until=9)

    assert ledger.server_record(conn, SITE) == ledger.ServerRecord(Cursor(SITE, SECOND, 0), 9)


def test_moving_a_servers_cursor_leaves_what_is_to_be_pushed_again(conn: apsw.Connection) -> None:
    ledger.meet_server(conn, Cursor(SITE, FIRST, 0), push_all_until=9)
    ledger.store_server(conn, Cursor(SITE, FIRST, 4))

    assert ledger.server_record(conn, SITE) == ledger.ServerRecord(Cursor(SITE, FIRST, 4), 9)


def test_a_transaction_that_has_come_in_part_is_remembered_beside_the_cursor(conn: apsw.Connection) -> None:
    ledger.store_peer(conn, Cursor(SITE, FIRST, 5))
    ledger.store_peer(conn, Cursor(SITE, FIRST, 0, begun=8))
    ledger.meet_server(conn, Cursor(SITE, FIRST, 5), push_all_until=0)
    ledger.store_server(conn, Cursor(SITE, FIRST, 0, begun=8))

    assert ledger.peer_cursor(conn, SITE) == Cursor(SITE, FIRST, 5, 8)
    assert ledger.server_cursors(conn, 1) == [Cursor(SITE, FIRST, 5, 8)]


def test_servers_are_told_latest_first(conn: apsw.Connection) -> None:
    for number in range(4):
        ledger.meet_server(conn, Cursor(bytes([number]) * 16, FIRST, number), push_all_until=0)

    assert [cursor.version for cursor in ledger.server_cursors(conn, limit=3)] == [3, 2, 1]
    assert ledger.server_record(conn, OTHER) is None


def test_parked_changes_are_taken_out_when_their_table_and_column_are_there(conn: apsw.Connection) -> None:
    ledger.park(conn, SITE, [CHANGE, changed(cid="late"), changed(table="u")])

    taken = ledger.take_parked(conn, [("t", ("c", "d"))])

    assert [(one.site_id, one.change) for one in taken] == [(SITE, CHANGE)]
    assert ledger.count_parked(conn) == 2


def test_an_overruled_change_is_dropped_whichever_comes_first(conn: apsw.Connection) -> None:
    older, newer = changed(col_version=1), changed(col_version=2, val="y")
    for order in ([older, newer], [newer, older]):
        ledger.park(conn, SITE, order)
        assert parked(conn) == [newer]


def test_changes_whose_value_decides_are_all_kept_but_none_twice(conn: apsw.Connection) -> None:
    ledger.park(conn, SITE, [changed(val="x"), changed(val=0.5), changed(val="x")])

    assert {change.val for change in parked(conn)} == {"x", 0.5}


def test_changes_from_different_sides_do_not_overrule_each_other(conn: apsw.Connection) -> None:
    ledger.park(conn, SITE, [changed(col_version=1)])
    ledger.park(conn, OTHER, [changed(col_version=2)])

    assert len(parked(conn)) == 2


def test_nobody_fills_the_disk_with_parked_changes(
    conn: apsw.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "MAX_PARKED", 3)

    assert ledger.park(conn, SITE, [changed(pk=bytes([number])) for number in range(5)]) == 2
    assert ledger.count_parked(conn) == 3
