"""A client's cursor at another node, said as a version of this one: near where the client is, and never
above it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from replicell.persisters.crsqlite.changes import Change, read_page
from replicell.persisters.crsqlite.connection import transaction
from replicell.persisters.crsqlite.epochs import Cursor, begin_epoch, current_epoch
from replicell.persisters.crsqlite.keys import pack_key
from replicell.sync.backplane import translation
from replicell.sync.backplane.entries import Publication, Step
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


@pytest.fixture
def site() -> Iterator[NodeSite]:
    made = NodeSite()
    yield made
    made.close()


@pytest.fixture
def other() -> Iterator[NodeSite]:
    made = NodeSite()
    yield made
    made.close()


def own_entry(site: NodeSite, since: int, until: int) -> Publication:
    return published(cell(f"own{until}", "x"), version=until)


def hear_mark(site: NodeSite, version: int, position: int) -> None:
    """Another node says that its versions up to one have all entries up to a position."""
    with transaction(site.conn):
        translation.note_steps(site.conn, OTHER, EPOCH, [Step(version, position)])


def cursor(version: int) -> Cursor:
    """How far a client has that other node."""
    return Cursor(OTHER, EPOCH, version)


def test_a_cursor_at_another_node_becomes_a_version_up_to_which_all_is_known(site: NodeSite) -> None:
    versions = []
    for number in range(1, 5):
        # At its version n the other node had all entries before its own n-th.
        publication = published(cell(str(number), "x"), version=number, position=10 * number - 1)
        site.apply((10 * number, one_part(publication, batch=number)), pushed=site.version)
        versions.append(site.version)
    with transaction(site.conn):
        site.conn.execute("UPDATE replicell_log SET pushed = ?", (site.version,))
    assert site.translate(cursor(3)) == versions[1]
    assert site.translate(cursor(99)) == versions[2]
    assert site.translate(Cursor(OTHER, b"f" * 16, 3)) == 0
    assert site.translate(Cursor(CLIENT, EPOCH, 3)) == 0
    assert site.translate() == 0


def test_what_is_not_published_yet_is_above_every_translated_version(site: NodeSite) -> None:
    site.put("own", "not published")
    site.apply((10, one_part(published(cell("a", "x"), version=5, position=9))))
    assert site.translate(cursor(5)) == 0


def test_own_entries_of_an_earlier_life_may_be_here_already(site: NodeSite) -> None:
    site.put("own", "from before")
    site.put("later", "x")
    own = published(cell("own", "from before"), version=1, position=0)
    site.apply((10, one_part(own, run=OTHER_RUN, site_id=site.site_id)), pushed=site.version)
    site.apply((20, one_part(published(cell("a", "x"), version=7, position=9))), pushed=site.version)
    # Whoever has all before entry 10 need not have what it brought, which stands at version 1 here.
    assert site.translate(cursor(7)) == 0


def test_entries_that_are_applied_together_keep_a_bound_each(site: NodeSite) -> None:
    for number in range(1, 31):
        site.put(str(number), "own")
    group = [
        (
            number,
            one_part(
                published(version=number), batch=number, run=OWN_RUN, site_id=site.site_id, since=number - 1
            ),
        )
        for number in range(1, 31)
    ]
    site.apply(*group, (31, one_part(published(cell("a", "x"), version=9))), pushed=30)
    assert site.version == 31
    for position, version in ((10, 10), (29, 29), (30, 30), (31, 30)):
        hear_mark(site, 100 + position, position)
        assert site.translate(cursor(100 + position)) == version


def test_a_node_tells_which_of_its_versions_had_which_entries(site: NodeSite) -> None:
    site.put("1", "own")
    own = one_part(published(version=1), run=OWN_RUN, site_id=site.site_id)
    site.apply((5, own))
    site.apply((7, one_part(published(cell("a", "x")))), (8, one_part(published(cell("b", "y")), batch=2)))
    site.put("2", "own")
    site.put("3", "own")
    later = [
        (sequence, one_part(published(version=version), batch=version, run=OWN_RUN, site_id=site.site_id))
        for sequence, version in ((9, 3), (10, 4))
    ]
    site.apply(*later)
    assert site.steps() == [Step(4, 10), Step(3, 9), Step(2, 8), Step(1, 5)]


def test_own_entries_do_not_hide_that_a_foreign_one_before_them_came_later(site: NodeSite) -> None:
    """The own publication was under way when the foreign entry came before it in the log."""
    site.put("1", "own")
    site.apply((1, one_part(published(cell("a", "x")))))
    own = one_part(published(version=1), run=OWN_RUN, site_id=site.site_id)
    site.apply((2, own))
    assert site.steps() == [Step(2, 2)]


def test_a_client_whose_newest_versions_were_its_own_begins_near_where_it_was_at_another_node(
    site: NodeSite, other: NodeSite
) -> None:
    """It need not be sent its own changes, so it is not told at once that it has those versions."""
    for number in range(1, 31):
        site.put(f"s{number}", "written here")
        entry = one_part(published(cell(f"s{number}", "written here"), version=number), batch=number)
        other.apply((number, entry))
    written_here = [
        (
            number,
            one_part(
                published(version=number), batch=number, run=OWN_RUN, site_id=site.site_id, since=number - 1
            ),
        )
        for number in range(1, 31)
    ]
    site.apply(*written_here, pushed=30)
    other.put("c1", "the client's")
    other.put("c2", "the client's")
    site.apply((31, one_part(published(cell("c1", "the client's"), version=31), batch=31)), pushed=31)
    other.apply((31, one_part(published(version=31), run=OWN_RUN, site_id=other.site_id, since=30)))

    site.hear(other)
    assert (site.version, other.version) == (31, 32)
    assert site.translate(Cursor(other.site_id, current_epoch(other.conn), 30)) == 30


def test_what_a_node_tells_holds_in_all_epochs_in_which_that_version_may_be_named(
    site: NodeSite, other: NodeSite
) -> None:
    entry = one_part(published(cell("a", "x"), version=1), batch=1)
    for node in (site, other):
        node.apply((1, entry), pushed=1)
    first = current_epoch(other.conn)
    with transaction(other.conn):
        begin_epoch(other.conn)
    other.put("b", "later")
    second = current_epoch(other.conn)
    own = one_part(published(cell("b", "later"), version=2), batch=2, run=OWN_RUN, site_id=other.site_id)
    other.apply((2, own), pushed=2)
    site.apply((2, one_part(published(cell("b", "later"), version=2), batch=2)), pushed=2)
    site.apply((3, one_part(published(cell("c", "last"), version=3), batch=3)), pushed=3)
    site.hear(other)
    assert site.translate(Cursor(other.site_id, first, 1)) == 1
    assert site.translate(Cursor(other.site_id, second, 1)) == 1
    assert site.translate(Cursor(other.site_id, second, 2)) == 2
    # Another copy of that file went on in its first epoch.
    assert site.translate(Cursor(other.site_id, first, 2)) == 1


def test_what_a_copy_of_the_nodes_folder_says_of_itself_is_not_said_of_the_node(site: NodeSite) -> None:
    site.apply((1, one_part(published(cell("a", "x")))))
    with transaction(site.conn):
        translation.note_told_steps(site.conn, site.site_id, [(EPOCH, 9)], [Step(9, 90), Step(1, 50)])
    assert site.steps() == [Step(1, 1)]
    site.apply((2, one_part(published(cell("b", "y")), batch=2)))
    assert site.steps() == [Step(2, 2), Step(1, 1)]


def test_a_node_tells_nothing_of_entries_of_which_something_waits_for_its_table(site: NodeSite) -> None:
    unknown = Change("later", pack_key(("a",)), "text", "waits", 1, 1, 0, 0)
    site.apply((1, one_part(published(cell("a", "x")))))
    site.apply((2, one_part(published(unknown), batch=2)))
    assert site.steps() == [Step(1, 1)]
    site.put("own", "x")
    with transaction(site.conn):
        site.conn.execute("DELETE FROM replicell_parked")
    own = one_part(published(version=1), run=OWN_RUN, site_id=site.site_id)
    # Where entry 2 ended up is not known, only that it is here now.
    site.apply((3, own))
    assert site.steps() == [Step(2, 3), Step(1, 1)]


def test_what_an_entry_brings_is_above_its_bound_also_if_it_was_here_before(site: NodeSite) -> None:
    site.apply((9, one_part(published(cell("a", "x")))))
    site.put("b", "own")
    hear_mark(site, 5, 10)
    # The other node did not have it at 10, whatever the log had said before.
    site.apply((11, one_part(published(cell("a", "x"), version=6), batch=2)), pushed=2)
    assert site.version == 3
    assert site.translate(cursor(5)) == 2
    with transaction(site.conn, immediate=False):
        above = read_page(site.conn, site.catalog, site.translate(cursor(5))).changes
    assert [(change.pk, change.val) for change in above] == [(pack_key(("a",)), "x")]


def test_pieces_count_from_the_first_on(site: NodeSite) -> None:
    pieces = parts_of(published(cell("a", "x" * 3000), version=4, position=1), size=1500)
    site.apply((2, one_part(published(cell("b", "y")), batch=9)), pushed=1)
    site.apply(*enumerate(pieces, start=3), pushed=2)
    hear_mark(site, 7, 3)
    assert site.translate(cursor(7)) == 1


def test_of_many_steps_the_older_ones_are_kept_further_apart(site: NodeSite) -> None:
    with transaction(site.conn):
        for number in range(1, 3001):
            translation.note_steps(site.conn, OTHER, EPOCH, [Step(number, number)])
        site.conn.execute("UPDATE replicell_log SET pushed = 3000")
        for number in range(1, 3001):
            translation.note_bound(site.conn, number, number - 1)
    count = site.value("SELECT count(*) FROM replicell_log_marks")
    assert count <= 256
    translated = partial(site.translate)
    assert [translated(cursor(version)) for version in range(2900, 3000)] == list(range(2900, 3000))
    for version in (200, 500, 1000, 2000, 2500):
        # About as far back as the client was away, at most.
        assert version - (3000 - version) <= translated(cursor(version)) <= version
    assert translated(cursor(200)) > 0


def test_of_many_entries_the_oldest_share_a_bound(site: NodeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(translation, "_KEPT_BOUNDS", 10)
    with transaction(site.conn):
        for number in range(1, 101):
            translation.note_bound(site.conn, number, number - 1)
        site.conn.execute("UPDATE replicell_log SET pushed = 100")
        translation.forget_old_bounds(site.conn)
    assert site.value("SELECT count(*) FROM replicell_log_entries") == 11
    for position, version in ((50, 0), (89, 0), (90, 90), (99, 99), (100, 100)):
        hear_mark(site, position, position)
        assert site.translate(cursor(position)) == version
