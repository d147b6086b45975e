"""Changes are read in bounded pages of whole versions, and merged as one new version."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apsw
import pytest

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.changes import (
    ROW,
    Change,
    change_size,
    cut_parts,
    merge_changes,
    read_page,
)
from replicell.persisters.crsqlite.connection import close_connection, open_connection, transaction
from replicell.persisters.crsqlite.keys import pack_key
from replicell.persisters.crsqlite.schema import TableSchema, add_columns, create_table
from replicell.persisters.crsqlite.versions import latest_version

PEER = b"p" * 16


class Replica:
    """A database in memory and its catalogue."""

    def __init__(self) -> None:
        self.conn = open_connection(":memory:")
        self.catalog = Catalog()
        create_table(self.conn, TableSchema("todo", ("id",), ("text", "n")))

    def execute(self, sql: str, *bindings: object) -> None:
        with transaction(self.conn):
            self.conn.execute(sql, bindings)

    def rows(self, table: str = "todo") -> list[tuple[object, ...]]:
        return list(self.conn.execute(f"SELECT * FROM {table} ORDER BY id"))

    def read_all(self, since: int = 0, **options: Any) -> list[list[Change]]:
        pages, resume, position = list[list[Change]](), None, since
        while True:
            page = read_page(self.conn, self.catalog, position, resume=resume, **options)
            pages.append(page.changes)
            resume = page.resume
            if resume is None:
                if page.until == position:
                    return pages[:-1] if not pages[-1] else pages
                position = page.until

    def merge(self, changes: list[Change]) -> list[str]:
        with transaction(self.conn):
            return [failure.reason for failure in merge_changes(self.conn, self.catalog, changes, PEER)]


@pytest.fixture
def replicas() -> Iterator[tuple[Replica, Replica]]:
    pair = Replica(), Replica()
    yield pair
    for replica in pair:
        close_connection(replica.conn)


@pytest.fixture
def replica(replicas: tuple[Replica, Replica]) -> Replica:
    return replicas[0]


def test_what_is_read_is_what_crsql_changes_shows(replica: Replica) -> None:
    replica.execute("INSERT INTO todo VALUES ('a', 'x', 1), ('b', 2.5, NULL), ('c', x'00ff', -1)")
    replica.execute("DELETE FROM todo WHERE id = 'b'")
    replica.execute("UPDATE todo SET n = 7 WHERE id = 'a'")

    shown: list[Any] = replica.conn.execute(
        'SELECT "table", pk, cid, val, col_version, cl, seq, db_version FROM crsql_changes'
    ).fetchall()
    (read,) = replica.read_all()

    assert sorted(map(repr, read)) == sorted(repr(Change(*row)) for row in shown)


def test_only_versions_after_the_given_one_are_read(replica: Replica) -> None:
    for number in range(3):
        replica.execute("INSERT INTO todo(id, n) VALUES (?, ?)", f"k{number}", number)

    (changes,) = replica.read_all(since=1)

    assert {change.db_version for change in changes} == {2, 3}


def test_nothing_new_makes_an_empty_page_that_stays_where_it_is(replica: Replica) -> None:
    replica.execute("INSERT INTO todo(id) VALUES ('a')")

    page = read_page(replica.conn, replica.catalog, 1)

    assert (page.until, page.changes, page.resume) == (1, [], None)


@pytest.mark.parametrize("changes", [1, 200], ids=["few", "many"])
def test_reading_on_plans_no_statement_anew(replica: Replica, changes: int) -> None:
    for version in range(6):
        replica.execute(
            "WITH RECURSIVE row(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM row WHERE i < ?)"
            " INSERT INTO todo(id, n) SELECT ? || '-' || i, i FROM row",
            changes,
            version,
        )
    planned: list[str] = []

    def note(_action: int, table: str | None, *_: str | None) -> int:
        planned.append(str(table))
        return apsw.SQLITE_OK

    replica.conn.authorizer = note
    read_page(replica.conn, replica.catalog, 0, max_changes=changes, exclude=PEER)
    assert planned  # whoever reads first
    planned.clear()

    for since in range(1, 5):
        page = read_page(replica.conn, replica.catalog, since, max_changes=changes + since, exclude=PEER)
        assert page.changes

    replica.conn.authorizer = None
    assert [table for table in planned if table.startswith("todo")] == []


def test_small_versions_are_read_together_but_never_torn(replica: Replica) -> None:
    for number in range(5):
        replica.execute("INSERT INTO todo(id, n) VALUES (?, ?)", f"k{number}", number)

    page = read_page(replica.conn, replica.catalog, 0, max_changes=5)

    assert page.until == 2
    assert {change.db_version for change in page.changes} == {1, 2}
    assert page.resume is None


def test_a_big_version_comes_in_several_pages_and_nothing_is_missing_or_twice(replica: Replica) -> None:
    with transaction(replica.conn):
        replica.conn.executemany(
            "INSERT INTO todo VALUES (?, 'x', 1)", [(str(number),) for number in range(10)]
        )

    pages = replica.read_all(max_changes=3)

    cells = [(change.pk, change.cid) for page in pages for change in page]
    assert [len(page) for page in pages] == [3] * 6 + [2]
    assert len(set(cells)) == len(cells) == 20


def test_a_page_ends_when_it_has_enough_bytes_but_holds_at_least_one_change(replica: Replica) -> None:
    replica.execute("INSERT INTO todo VALUES ('a', ?, 1)", "x" * 1000)

    assert [len(page) for page in replica.read_all(max_bytes=10)] == [1, 1]


def test_a_page_goes_over_several_tables(replica: Replica) -> None:
    create_table(replica.conn, TableSchema("other", ("id",), ("v",)))
    with transaction(replica.conn):
        replica.conn.execute("INSERT INTO todo VALUES ('a', 1, 2); INSERT INTO other VALUES ('b', 3)")

    pages = replica.read_all(max_changes=2)

    assert [(change.table, change.cid) for page in pages for change in page] == [
        ("other", "v"),
        ("todo", "n"),
        ("todo", "text"),
    ]


def test_a_tables_changes_are_left_out_for_their_author(replica: Replica) -> None:
    replica.execute("INSERT INTO todo(id, n) VALUES ('mine', 1)")
    replica.merge([Change("todo", pack_key(["theirs"]), "n", 2, 1, 1, 0, 0)])

    page = read_page(replica.conn, replica.catalog, 0, exclude=PEER)

    assert page.until == 2
    assert {change.pk for change in page.changes} == {pack_key(["mine"])}


def test_a_changed_schema_is_noticed(replica: Replica) -> None:
    replica.read_all()
    add_columns(replica.conn, "todo", ("late",))
    replica.execute("INSERT INTO todo(id, late) VALUES ('a', 1)")

    (changes,) = replica.read_all()

    assert ("late", 1) in {(change.cid, change.val) for change in changes}


def test_merging_makes_replicas_equal(replicas: tuple[Replica, Replica]) -> None:
    one, other = replicas
    one.execute("INSERT INTO todo VALUES ('a', 'x', 1), ('b', NULL, 2)")
    one.execute("DELETE FROM todo WHERE id = 'b'")

    for page in one.read_all():
        assert other.merge(page) == []

    assert other.rows() == one.rows() == [("a", "x", 1)]


def test_a_merge_takes_one_version_of_its_own_whatever_the_senders_was(replica: Replica) -> None:
    replica.merge(
        [Change("todo", pack_key([key]), "n", 1, 1, 1, 0, 2**53 - 1) for key in ("a", "b")],
    )

    assert latest_version(replica.conn) == 1


def test_a_change_that_a_constraint_refuses_is_named_and_the_others_are_merged(replica: Replica) -> None:
    replica.conn.execute("CREATE TABLE strict(id TEXT PRIMARY KEY NOT NULL, v CHECK (v IS NOT 13))")
    replica.conn.execute("SELECT crsql_as_crr('strict')").fetchall()
    changes = [Change("strict", pack_key([str(v)]), "v", v, 1, 1, 0, 0) for v in (12, 13, 14)]

    with transaction(replica.conn):
        failures = merge_changes(replica.conn, replica.catalog, changes, PEER)

    assert [failure.place for failure in failures] == [1]
    assert failures[0].reason

    assert replica.rows("strict") == [("12", 12), ("14", 14)]


@pytest.mark.parametrize("trouble", [apsw.IOError, apsw.FullError, apsw.ReadOnlyError, apsw.BusyError])
def test_a_database_that_fails_refuses_no_change_and_keeps_none(
    replica: Replica, trouble: type[apsw.Error]
) -> None:
    troubles = [trouble("the disk does not do what it should")]

    def write(*_: object) -> None:
        if troubles:
            raise troubles.pop()

    replica.conn.create_scalar_function("on_write", write)
    replica.conn.execute("CREATE TRIGGER written AFTER INSERT ON todo BEGIN SELECT on_write(new.id); END")
    changes = [Change("todo", pack_key([key]), "n", 1, 1, 1, 0, 0) for key in ("a", "b")]

    with pytest.raises(trouble), transaction(replica.conn):
        merge_changes(replica.conn, replica.catalog, changes, PEER)

    assert replica.rows() == []
    replica.merge(changes)
    assert [key for key, *_ in replica.rows()] == ["a", "b"]


def test_local_writes_are_still_tracked_after_a_merge_that_failed(replica: Replica) -> None:
    replica.conn.execute("CREATE TABLE strict(id TEXT PRIMARY KEY NOT NULL, v CHECK (v IS NOT 13))")
    replica.conn.execute("SELECT crsql_as_crr('strict')").fetchall()
    replica.merge([Change("strict", pack_key(["x"]), "v", 13, 1, 1, 0, 0)])

    replica.execute("INSERT INTO todo(id, n) VALUES ('a', 1)")

    assert [change.val for page in replica.read_all() for change in page if change.cid == "n"] == [1]


def test_a_row_created_anew_loses_the_cells_of_its_earlier_life_also_where_the_deletion_was_not_seen(
    replicas: tuple[Replica, Replica],
) -> None:
    one, other = replicas
    for replica in replicas:
        replica.execute("INSERT INTO todo(id, text, n) VALUES ('a', 'first', 1)")
    add_columns(one.conn, "todo", ("extra",))
    one.execute("UPDATE todo SET extra = 'old life' WHERE id = 'a'")
    other.execute("DELETE FROM todo")
    other.execute("INSERT INTO todo(id, text) VALUES ('a', 'second')")

    for page in other.read_all():
        one.merge(page)

    assert one.rows() == [("a", "second", None, None)]
    assert not [change for page in one.read_all() for change in page if change.cid == "extra"]


def test_a_row_with_a_default_goes_back_to_it_when_created_anew(replica: Replica) -> None:
    replica.conn.execute("CREATE TABLE t(id TEXT PRIMARY KEY NOT NULL, v NOT NULL DEFAULT 'd')")
    replica.conn.execute("SELECT crsql_as_crr('t')").fetchall()
    replica.execute("INSERT INTO t VALUES ('a', 'changed')")

    replica.merge([Change("t", pack_key(["a"]), ROW, None, 3, 3, 0, 0)])

    assert replica.rows("t") == [("a", "d")]


def test_a_batch_is_cut_into_parts_by_size_and_number_in_order() -> None:
    changes = [Change("t", b"k", "c", "x" * 100, 1, 1, number, 0) for number in range(7)]

    by_number = list(cut_parts(changes, max_changes=3))
    by_size = list(cut_parts(changes, max_bytes=change_size(changes[0]) * 2))

    assert [len(part) for part in by_number] == [3, 3, 1]
    assert [len(part) for part in by_size] == [2, 2, 2, 1]
    assert [change for part in by_size for change in part] == changes
    assert list(cut_parts([])) == []
