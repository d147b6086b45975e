"""What is here already gets a new version, and nothing else about it changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw
import pytest

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.changes import Change, merge_changes, read_page
from replicell.persisters.crsqlite.connection import close_connection, open_connection, transaction
from replicell.persisters.crsqlite.keys import pack_key
from replicell.persisters.crsqlite.renewing import are_all_new, renew_all, renew_changes
from replicell.persisters.crsqlite.schema import TableSchema, create_table

TODO = TableSchema("todo", ("id",), ("text", "n"))
TAGS = TableSchema("tags", ("id",), ())
LATE = 10**6
AUTHOR, OTHER = b"the one author..", b"another author.."


class Replica:
    def __init__(self) -> None:
        self.conn: apsw.Connection = open_connection(":memory:")
        self.catalog = Catalog()
        for table in (TODO, TAGS):
            create_table(self.conn, table)

    @property
    def version(self) -> int:
        return self.catalog.latest_version(self.conn)

    def write(self, *statements: str) -> None:
        with transaction(self.conn):
            for statement in statements:
                self.conn.execute(statement)

    def changes(self, since: int = 0, *, exclude: bytes | None = None) -> list[Change]:
        with transaction(self.conn, immediate=False):
            return read_page(self.conn, self.catalog, since, exclude=exclude).changes

    def merge(self, changes: list[Change], author: bytes = AUTHOR) -> None:
        with transaction(self.conn):
            assert merge_changes(self.conn, self.catalog, changes, author) == []

    def renew(self, changes: list[Change], author: bytes = AUTHOR, until: int = LATE) -> int:
        with transaction(self.conn):
            return renew_changes(self.conn, self.catalog, changes, author, until=until)

    def were_new(self, changes: list[Change]) -> bool:
        """Merge changes, and tell whether they were all new."""
        before = self.version
        with transaction(self.conn):
            merge_changes(self.conn, self.catalog, changes, AUTHOR)
            return are_all_new(self.conn, self.catalog, changes, before)

    def renew_all(self) -> int:
        with transaction(self.conn):
            return renew_all(self.conn, self.catalog)


@pytest.fixture
def replica() -> Iterator[Replica]:
    made = Replica()
    yield made
    close_connection(made.conn)


@pytest.fixture
def peer() -> Iterator[Replica]:
    made = Replica()
    yield made
    close_connection(made.conn)


def keys(changes: list[Change]) -> set[tuple[str, bytes, str]]:
    return {(change.table, change.pk, change.cid) for change in changes}


def content(changes: list[Change]) -> list[tuple[Any, ...]]:
    return sorted(
        (change.table, change.pk, change.cid, repr(change.val), change.col_version, change.cl)
        for change in changes
    )


def test_what_is_renewed_stands_above_all_there_was_and_is_otherwise_the_same(replica: Replica) -> None:
    replica.write("INSERT INTO todo VALUES ('1', 'x', 1), ('2', 'y', 2)", "INSERT INTO tags VALUES ('t')")
    replica.write("UPDATE todo SET text = 'xx' WHERE id = '1'", "DELETE FROM todo WHERE id = '2'")
    before, everything = replica.version, replica.changes()

    assert replica.renew(everything) == len(everything)

    assert {change.db_version for change in replica.changes()} == {before + 1}
    assert content(replica.changes()) == content(everything)
    assert replica.changes(exclude=AUTHOR) == []


def test_the_next_write_gets_a_version_of_its_own(replica: Replica) -> None:
    replica.write("INSERT INTO todo VALUES ('1', 'x', 1)")
    replica.renew(replica.changes())
    renewed = replica.version
    replica.write("INSERT INTO todo VALUES ('2', 'y', 2)")
    assert replica.version > renewed
    assert {change.pk for change in replica.changes(renewed)} == {pack_key(["2"])}


def test_what_is_renewed_with_what_is_merged_has_the_same_version(replica: Replica, peer: Replica) -> None:
    peer.write("INSERT INTO todo VALUES ('1', 'x', 1)")
    replica.merge(peer.changes())
    before = replica.version
    peer.write("INSERT INTO todo VALUES ('2', 'y', 2)")
    with transaction(replica.conn):
        merge_changes(replica.conn, replica.catalog, peer.changes(), AUTHOR)
        renewed = renew_changes(replica.conn, replica.catalog, peer.changes(), AUTHOR, until=before)
    assert renewed == 2
    assert {change.db_version for change in replica.changes()} == {before + 1}


def test_what_is_not_here_or_is_something_else_is_left_alone(replica: Replica, peer: Replica) -> None:
    peer.write("INSERT INTO todo VALUES ('old', 'x', 1)", "INSERT INTO todo VALUES ('absent', 'x', 1)")
    old, absent = pack_key(["old"]), pack_key(["absent"])
    said = peer.changes()
    replica.merge([change for change in said if change.pk == old])
    replica.write("UPDATE todo SET text = 'newer here'")
    before = replica.version
    strange = [
        Change("nowhere", old, "text", "x", 1, 1, 0, 0),
        Change("todo", b"no key", "text", "x", 1, 1, 0, 0),
        Change("todo", pack_key(["old", "and more"]), "text", "x", 1, 1, 0, 0),
    ]

    assert replica.renew([*said, *strange]) == 1
    assert keys(replica.changes(before)) == {("todo", old, "n")}
    assert absent not in {change.pk for change in replica.changes()}
    assert replica.renew(said, until=before - 1) == 0


def test_only_the_very_same_is_renewed(replica: Replica) -> None:
    replica.write("INSERT INTO todo(id, n) VALUES ('1', 1)")
    pk = pack_key(["1"])

    def said(val: int | float, col_version: int, cl: int) -> list[Change]:
        return [Change("todo", pk, "n", val, col_version, cl, 0, 0)]

    assert [replica.renew(said(*one)) for one in ((2, 1, 1), (1.0, 1, 1), (1, 2, 1), (1, 1, 3))] == [0] * 4
    assert replica.renew(said(1, 1, 1)) == 1


def test_it_is_told_quickly_when_all_that_was_merged_is_new(replica: Replica, peer: Replica) -> None:
    peer.write("INSERT INTO todo VALUES ('1', 'x', 1)", "INSERT INTO tags VALUES ('t')")
    assert replica.were_new(peer.changes())
    assert not replica.were_new(peer.changes())
    known = peer.version
    peer.write("INSERT INTO todo VALUES ('2', 'y', 2)")
    assert not replica.were_new(peer.changes())
    peer.write("UPDATE todo SET text = 'xx' WHERE id = '1'")
    new = [change for change in peer.changes(known) if change.val == "xx"]
    assert replica.were_new(new * 2)
    # What comes back to life is looked at closely.
    peer.write("DELETE FROM todo WHERE id = '2'")
    peer.write("INSERT INTO todo VALUES ('2', 'y', 2)")
    assert not replica.were_new(peer.changes(peer.version - 1))


def test_nothing_is_written_if_there_is_nothing_to_renew(replica: Replica) -> None:
    replica.write("INSERT INTO todo VALUES ('1', 'x', 1)")
    before = replica.version
    assert replica.renew([Change("todo", pack_key(["2"]), "text", "x", 1, 1, 0, 0)], OTHER) == 0
    assert replica.version == before
    assert replica.conn.execute("SELECT count(*) FROM crsql_site_id WHERE site_id = ?", (OTHER,)).get == 0


def test_merging_what_was_renewed_changes_nothing(replica: Replica, peer: Replica) -> None:
    replica.write("INSERT INTO todo VALUES ('1', 'x', 1)", "INSERT INTO tags VALUES ('t')")
    peer.merge(replica.changes())
    before = peer.version
    replica.renew(replica.changes())
    replica.renew_all()
    peer.merge(replica.changes())
    assert peer.version == before


def test_everything_can_be_renewed_in_its_order_and_transactions_stay_whole(replica: Replica) -> None:
    replica.write("INSERT INTO todo VALUES ('1', 'x', 1)", "INSERT INTO tags VALUES ('t')")
    replica.write("INSERT INTO todo VALUES ('2', 'y', 2)")
    replica.write("DELETE FROM todo WHERE id = '1'")
    replica.write("INSERT INTO todo VALUES ('3', 'z', 3)")
    before = replica.changes()
    versions = sorted({change.db_version for change in before})
    moved = {old: replica.version + place for place, old in enumerate(versions, start=1)}
    latest = replica.version

    assert replica.renew_all() == latest

    assert content(replica.changes(latest)) == content(before)
    assert {(change.pk, change.cid, change.db_version) for change in replica.changes()} == {
        (change.pk, change.cid, moved[change.db_version]) for change in before
    }
    top = replica.version
    replica.write("INSERT INTO todo VALUES ('4', 'zz', 4)")
    assert replica.version == top + 1


def test_of_a_database_without_anything_nothing_is_renewed() -> None:
    empty, catalog = open_connection(":memory:"), Catalog()
    try:
        with transaction(empty):
            assert renew_all(empty, catalog) == 0
        create_table(empty, TODO)
        with transaction(empty):
            assert renew_all(empty, catalog) == 0
        assert catalog.latest_version(empty) == 0
    finally:
        close_connection(empty)
