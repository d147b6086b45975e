"""A node's journal: positions, what is published, and pieces that come one by one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from replicell.persisters.crsqlite.changes import Change, read_page
from replicell.persisters.crsqlite.connection import transaction
from replicell.persisters.crsqlite.epochs import Cursor
from replicell.persisters.crsqlite.keys import pack_key, unpack_key
from replicell.sync import ledger
from replicell.sync.backplane import journal, snapshots
from replicell.sync.backplane.entries import Beacon, Part, Step, cut, decode_part
from replicell.sync.ledger import LOG_SITE_ID
from tests.sync.backplane.node_sites import (
    CLIENT,
    EPOCH,
    OTHER,
    OTHER_RUN,
    OWN_RUN,
    NodeSite,
    cell,
    one_part,
    parts_of,
    published,
)
from tests.sync.support import Site


def everything(site: NodeSite) -> list[Change]:
    """Return all that is there, but for the columns that are not filled."""
    with transaction(site.conn, immediate=False):
        changes = read_page(site.conn, site.catalog, 0).changes
    return [change for change in changes if change.val is not None]


def merge_snapshot_of(other: NodeSite, site: NodeSite, folder: Path, *, position: int, reached: int) -> bool:
    """Merge a snapshot of one node at another one; tells whether something of it was not from the log."""
    path = folder / "snapshot.db"
    other.conn.execute("VACUUM INTO ?", (str(path),))
    snapshot = snapshots._read(path, position, reached)
    with transaction(site.conn):
        unlogged = journal.merge_unlogged(site.conn, site.catalog, snapshot.unlogged, batch=1)
    with transaction(site.conn):
        journal.merge_snapshot(
            site.conn, site.catalog, snapshot.rows, position=position, parts=snapshot.parts, batch=2
        )
    return unlogged.after > unlogged.before


@pytest.fixture
def site() -> Iterator[NodeSite]:
    made = NodeSite()
    yield made
    made.close()


def test_a_publication_comes_out_of_its_entries_as_it_went_in(site: NodeSite) -> None:
    publication = published(cell("a", "x" * 5000))
    encoded = [
        payload
        for _, payload in cut(publication, run=OTHER_RUN, site_id=OTHER, batch=1, since=0, max_payload=1000)
    ]
    assert len(encoded) > 5
    assert max(map(len, encoded)) <= 1000
    site.apply(*enumerate(map(decode_part, encoded), start=1))
    assert site.rows() == {"a": "x" * 5000}


def test_what_came_from_the_log_is_not_published_again(site: NodeSite) -> None:
    site.apply((7, one_part(published(cell("a", "x")))))
    assert site.rows() == {"a": "x"}
    assert site.unpublished().rows == []
    site.put("b", "own")
    assert {change.val for change in site.unpublished().rows} == {"own", None}


def test_after_the_log_was_lost_everything_is_published_whoever_wrote_it(site: NodeSite) -> None:
    site.apply((7, one_part(published(cell("a", "x")))))
    before = site.version
    with transaction(site.conn):
        state = journal.begin(site.conn, site.catalog, "another log")
    assert state == journal.JournalState(0, before, 0, site.version)
    unpublished = site.unpublished(state.pushed, until=state.push_all_until)
    assert [change.val for change in unpublished.rows] == ["x"]


def test_after_the_log_was_lost_clients_are_given_everything_again_too(site: NodeSite) -> None:
    """What it had lost before, some of them may lack, and once all nodes have it nobody will ever ask."""
    site.put("a", "never came to the others")
    before = site.version
    with transaction(site.conn):
        journal.begin(site.conn, site.catalog, "another log")
    assert [change.db_version > before for change in everything(site)] == [True]


def test_a_log_that_is_followed_for_the_first_time_gets_everything_and_the_clients_nothing_new() -> None:
    site = Site()
    try:
        site.put("a", "x")
        before = site.catalog.latest_version(site.conn)
        with transaction(site.conn):
            state = journal.begin(site.conn, site.catalog, "the log")
        assert state == journal.JournalState(0, 0, 0, before)
        assert site.catalog.latest_version(site.conn) == before
    finally:
        site.close()


def test_what_was_here_before_an_entry_said_it_gets_a_new_version_and_is_not_published(
    site: NodeSite,
) -> None:
    site.put("a", "x")
    site.put("b", "only here")
    before = site.version
    said = [change for change in everything(site) if change.pk == pack_key(("a",))]
    taken = site.apply((7, one_part(published(*said))), pushed=before)
    assert (taken.before, taken.after) == (before, before + 1)
    assert {change.pk for change in everything(site) if change.db_version > before} == {pack_key(("a",))}
    assert site.unpublished(before).rows == []


def test_what_won_here_against_an_entry_is_still_published(site: NodeSite) -> None:
    site.put("a", "z")
    before = site.version
    site.apply((7, one_part(published(cell("a", "y")))))
    assert site.rows() == {"a": "z"}
    assert site.version == before
    assert "z" in {change.val for change in site.unpublished().rows}


def test_own_entries_give_nothing_a_new_version(site: NodeSite) -> None:
    site.put("a", "x")
    before = site.version
    own = one_part(published(*everything(site)), run=OWN_RUN, site_id=site.site_id)
    site.apply((7, own), pushed=before)
    assert site.version == before


def test_of_a_snapshot_only_what_came_after_the_own_position_gets_a_new_version(
    site: NodeSite, tmp_path: Path
) -> None:
    other = NodeSite()
    try:
        for node in (site, other):
            node.apply((3, one_part(published(cell("a", "known")), batch=1)))
            node.apply((5, one_part(published(cell("b", "twice")), batch=2)))
        other.apply((7, one_part(published(cell("b", "twice")), batch=3)))
        other.apply((9, one_part(published(cell("c", "new")), batch=4)), pushed=other.version)
        before = site.version
        merged_unlogged = merge_snapshot_of(other, site, tmp_path, position=9, reached=5)
    finally:
        other.close()
    assert not merged_unlogged
    newer = {unpack_key(change.pk)[0] for change in everything(site) if change.db_version > before}
    assert newer == {"b", "c"}
    assert site.unpublished(before).rows == []


def test_what_the_log_should_have_brought_before_and_a_snapshot_brings_is_published(
    site: NodeSite, tmp_path: Path
) -> None:
    """The log has lost it, and others may be taken for having it from here."""
    other = NodeSite()
    try:
        other.apply((3, one_part(published(cell("a", "lost")), batch=1)))
        for node in (site, other):
            node.apply((5, one_part(published(cell("b", "known")), batch=2)), pushed=other.version)
        before = site.version
        merged_unlogged = merge_snapshot_of(other, site, tmp_path, position=5, reached=5)
    finally:
        other.close()
    assert merged_unlogged
    assert [change.val for change in site.unpublished(before).rows] == ["lost"]


def test_a_log_that_is_known_goes_on_where_it_was(site: NodeSite) -> None:
    site.apply((7, one_part(published(cell("a", "x")))), pushed=0)
    with transaction(site.conn):
        assert journal.begin(site.conn, site.catalog, "the log").position == 7


def test_own_entries_move_the_position_and_nothing_else(site: NodeSite) -> None:
    site.put("a", "own")
    before = site.version
    taken = site.apply(
        (9, one_part(published(cell("a", "own")), run=OWN_RUN, site_id=site.site_id)), pushed=before
    )
    assert (taken.before, taken.after) == (before, before)
    with transaction(site.conn):
        state = journal.begin(site.conn, site.catalog, "the log")
    assert (state.position, state.pushed) == (9, before)


def test_pieces_wait_on_disk_until_the_last_one_comes_and_others_may_come_between(site: NodeSite) -> None:
    first, *more = parts_of(published(cell("a", "x" * 3000)), size=1500)
    last = more.pop()
    site.apply((1, first), *((2 + number, part) for number, part in enumerate(more)))
    assert site.rows() == {}
    site.apply((20, one_part(published(cell("b", "y")), site_id=CLIENT)))
    assert site.rows() == {"b": "y"}
    site.apply((21, last))
    assert site.rows() == {"a": "x" * 3000, "b": "y"}
    assert site.value("SELECT count(*) FROM replicell_log_parts") == 0


def test_pieces_that_a_node_has_given_up_are_dropped_when_it_begins_anew(site: NodeSite) -> None:
    given_up = parts_of(published(cell("a", "x" * 3000)), batch=1, size=1500)
    again = parts_of(published(cell("a", "y" * 3000)), batch=2, size=1500)
    site.apply(*enumerate([*given_up[:-1], *again], start=1))
    assert site.rows() == {"a": "y" * 3000}
    assert site.value("SELECT count(*) FROM replicell_log_parts") == 0


def test_pieces_of_nodes_that_are_copies_of_one_another_do_not_mix(site: NodeSite) -> None:
    one = parts_of(published(cell("a", "x" * 3000)), run=b"one life", size=1500)
    two = parts_of(published(cell("b", "y" * 3000)), run=b"twin's..", size=1500)
    woven = [part for pair in zip(one, two, strict=True) for part in pair]
    site.apply(*enumerate(woven, start=1))
    assert site.rows() == {"a": "x" * 3000, "b": "y" * 3000}


def test_pieces_of_which_one_is_missing_are_reported(
    site: NodeSite, caplog: pytest.LogCaptureFixture
) -> None:
    _, *rest = parts_of(published(cell("a", "x" * 3000)), size=1500)
    site.apply(*enumerate(rest, start=1))
    assert site.rows() == {}
    assert "1 of 4 parts" in caplog.text


def test_an_entry_that_makes_no_sense_is_left_out_and_the_others_count(
    site: NodeSite, caplog: pytest.LogCaptureFixture
) -> None:
    nonsense = Part(OTHER_RUN, OTHER, 1, 0, 1, False, 0, 1, b"nonsense")
    site.apply((1, nonsense), (2, one_part(published(cell("a", "x")))))
    assert site.rows() == {"a": "x"}
    assert "cannot be read" in caplog.text


def test_how_far_another_node_has_a_client_counts_here_until_the_client_comes(site: NodeSite) -> None:
    there = Cursor(CLIENT, EPOCH, 12)
    site.apply((3, one_part(published(cell("a", "x"), peers=[there]))))
    assert ledger.peer_cursor(site.conn, CLIENT) == there
    here = Cursor(CLIENT, b"f" * 16, 12)
    with transaction(site.conn):
        ledger.restart_peer(site.conn, here)
        ledger.store_peer(site.conn, Cursor(CLIENT, b"f" * 16, 15))
    assert ledger.peer_cursor(site.conn, CLIENT) == Cursor(CLIENT, b"f" * 16, 15)
    assert site.unpublished(sites=[CLIENT]).peers == [Cursor(CLIENT, b"f" * 16, 15)]


def test_a_snapshot_moves_the_position_and_brings_the_pieces_that_wait(site: NodeSite) -> None:
    first, *rest = parts_of(published(cell("a", "x" * 3000)), size=1500)
    row = (first.site_id, first.run, first.batch, first.number, first.chunk)
    with transaction(site.conn):
        journal.merge_snapshot(site.conn, site.catalog, [cell("b", "y")], position=5, parts=[row], batch=1)
    site.apply(*enumerate(rest, start=6))
    assert site.rows() == {"a": "x" * 3000, "b": "y"}
    assert site.unpublished().rows == []


def test_who_begins_with_a_snapshot_amid_its_makers_publication_has_the_pieces_from_before(
    site: NodeSite, caplog: pytest.LogCaptureFixture
) -> None:
    first, *rest = parts_of(published(cell("a", "x" * 3000)), run=OWN_RUN, site_id=site.site_id, size=1500)
    site.apply((1, first))
    waiting = site.conn.execute("SELECT * FROM replicell_log_parts").fetchall()

    other = NodeSite()
    with transaction(other.conn):
        journal.merge_snapshot(other.conn, other.catalog, [], position=1, parts=waiting, batch=1)
    other.apply(*enumerate(rest, start=2), run=OTHER_RUN)
    assert other.rows() == {"a": "x" * 3000}
    other.close()
    assert caplog.text == ""

    site.apply(*enumerate(rest, start=2))
    assert site.value("SELECT count(*) FROM replicell_log_parts") == 0
    assert site.rows() == {}


@pytest.mark.parametrize(("identity", "counts"), [("the log", True), ("an older log", False)])
def test_what_a_node_tells_of_another_log_says_nothing_of_places_in_this_one(
    site: NodeSite, identity: str, counts: bool
) -> None:
    site.apply((7, one_part(published(cell("a", "x")))), pushed=1)
    told = Beacon(OTHER_RUN, OTHER, [(EPOCH, 3)], [Step(3, 7)], 7, 7, [], [], identity)

    with transaction(site.conn):
        assert journal.note_beacon(site.conn, told) is counts

    assert (site.translate(Cursor(OTHER, EPOCH, 3)) > 0) is counts


def test_parked_changes_are_published_and_those_of_the_log_are_not(site: NodeSite) -> None:
    with transaction(site.conn):
        unknown = Change("later", pack_key(("a",)), "text", "waits", 1, 1, 0, 0)
        ledger.park(site.conn, CLIENT, [unknown])
        ledger.park(site.conn, LOG_SITE_ID, [Change("later", pack_key(("b",)), "text", "too", 1, 1, 0, 0)])
    assert site.unpublished().rows == [unknown]


def test_what_the_log_did_not_have_when_a_snapshot_was_made_is_published_by_whoever_merges_it(
    site: NodeSite,
) -> None:
    with transaction(site.conn):
        journal.merge_unlogged(site.conn, site.catalog, [cell("a", "x")], batch=1)
    with transaction(site.conn):
        journal.merge_snapshot(site.conn, site.catalog, [cell("b", "y")], position=5, parts=[], batch=2)
    assert site.rows() == {"a": "x", "b": "y"}
    assert [change.val for change in site.unpublished().rows] == ["x"]


def test_a_publication_says_nothing_of_positions_while_something_waits_for_its_table(site: NodeSite) -> None:
    site.apply((7, one_part(published(cell("a", "x")))))
    site.put("b", "own")
    assert site.unpublished().position == 7
    unknown = Change("later", pack_key(("a",)), "text", "waits", 1, 1, 0, 0)
    site.apply((8, one_part(published(unknown), batch=2)))
    assert site.unpublished().position == 0
