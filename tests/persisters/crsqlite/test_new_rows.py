"""Rows that are new to a database come into it as cr-sqlite would have put them there."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import apsw
import pytest

from replicell.persisters.crsqlite import changes as merging
from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.changes import ROW, Change, FailedMerge, merge_changes, read_page
from replicell.persisters.crsqlite.connection import close_connection, open_connection, transaction
from replicell.persisters.crsqlite.keys import pack_key
from replicell.persisters.crsqlite.new_rows import insert_new_rows
from replicell.persisters.crsqlite.schema import TableSchema, add_columns, create_table

PEER, OTHER = b"p" * 16, b"o" * 16
TABLES = {"todo": "id", "other": "group"}
ROWS = 60
ALL = 10**9
EVERYTHING = 100_000


class Replica:
    """A database in memory with two tables, one with names that need quoting."""

    def __init__(self) -> None:
        self.conn = open_connection(":memory:")
        self.catalog = Catalog()
        create_table(self.conn, TableSchema("todo", ("id",), ("text", "n")))
        create_table(self.conn, TableSchema("other", ("group",), ("it is", "n")))

    def write(self, sql: str, *bindings: Any) -> None:
        with transaction(self.conn):
            self.conn.execute(sql, bindings)

    def changes(self, since: int = 0) -> list[Change]:
        return read_page(
            self.conn, self.catalog, since, max_changes=EVERYTHING, max_bytes=EVERYTHING**2
        ).changes

    def merge(self, changes: list[Change], author: bytes = PEER) -> list[FailedMerge]:
        with transaction(self.conn):
            return merge_changes(self.conn, self.catalog, changes, author)

    def insert(self, changes: list[Change], author: bytes = PEER) -> list[Change]:
        with transaction(self.conn):
            return insert_new_rows(self.conn, self.catalog.tables(self.conn), changes, author)

    def content(self) -> list[object]:
        """All rows, and all that cr-sqlite knows of their cells; the numbers it has for rows are its own."""
        found: list[object] = []
        for table, key in TABLES.items():
            clock = (
                f'SELECT pks."{key}", col_name, col_version, db_version, site_id, seq'
                f" FROM {table}__crsql_pks AS pks LEFT JOIN {table}__crsql_clock ON key = __crsql_key"
            )
            found += [
                sorted(self.conn.execute(sql).fetchall(), key=repr)
                for sql in (f"SELECT * FROM {table}", clock)
            ]
        return found


@pytest.fixture
def replicas() -> Iterator[tuple[Replica, Replica, Replica]]:
    three = Replica(), Replica(), Replica()
    yield three
    for replica in three:
        close_connection(replica.conn)


def cell(
    row: str, cid: str = "text", val: Any = "x", *, version: int = 1, cl: int = 1, seq: int = 0
) -> Change:
    return Change("todo", pack_key([row]), cid, val, version, cl, seq, 1)


def new_rows(count: int, prefix: str = "row") -> list[Change]:
    return [
        change
        for number in range(count)
        for change in (
            cell(f"{prefix} {number}", seq=2 * number),
            cell(f"{prefix} {number}", "n", number, seq=2 * number + 1),
        )
    ]


def edit_at_random(replica: Replica, random: Random) -> None:
    """Write rows, overwrite and delete some, in one or several transactions."""
    values: list[Any] = ["x", "", None, 7, -(2**63), 2.5, b"\x00\xff", "\ufffdtrue", "é\u2028"]
    for _ in range(random.randint(1, 4)):
        with transaction(replica.conn):
            for _ in range(random.randint(1, 40)):
                row = f"r{random.randrange(80)}"
                if random.random() < 0.15:
                    replica.conn.execute("DELETE FROM todo WHERE id = ?", (row,))
                elif random.random() < 0.3:
                    replica.conn.execute(
                        'INSERT INTO other("group", "it is") VALUES (?, ?)'
                        ' ON CONFLICT DO UPDATE SET "it is" = excluded."it is"',
                        (row, random.choice(values)),
                    )
                else:
                    column = random.choice(["text", "n"])
                    replica.conn.execute(
                        f"INSERT INTO todo(id, {column}) VALUES (?, ?)"
                        f" ON CONFLICT DO UPDATE SET {column} = excluded.{column}",
                        (row, random.choice(values)),
                    )


@pytest.mark.parametrize("seed", range(30))
def test_the_outcome_is_the_one_of_merging_each_change_alone(
    seed: int, replicas: tuple[Replica, Replica, Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    author, fast, plain = replicas
    random = Random(seed)
    for replica in (fast, plain):
        replica.merge(new_rows(1, "first"), PEER)  # so that the peer is known
    since = 0
    for _ in range(6):
        edit_at_random(author, random)
        batch = author.changes(since)
        since = batch[-1].db_version if random.random() < 0.7 and batch else 0
        if random.random() < 0.3:
            random.shuffle(batch)
        neighbour = random.choice([PEER, OTHER])
        for replica, most in ((fast, 0), (plain, ALL)):
            monkeypatch.setattr(merging, "_FEW", most)
            assert replica.merge(batch, neighbour) == []
        assert fast.content() == plain.content()
        edit_at_random(fast, Random(seed))
        edit_at_random(plain, Random(seed))
        assert fast.content() == plain.content()
        assert sorted(fast.changes(), key=repr) == sorted(plain.changes(), key=repr)


def test_rows_that_were_never_there_are_inserted_and_nothing_is_left(
    replicas: tuple[Replica, Replica, Replica],
) -> None:
    replica = replicas[0]
    replica.merge([cell("known")])

    assert replica.insert(new_rows(ROWS)) == []

    assert replica.conn.execute("SELECT count(*), sum(n) FROM todo").fetchone() == (
        ROWS + 1,
        sum(range(ROWS)),
    )


def test_what_is_there_or_was_there_is_left_to_be_merged(replicas: tuple[Replica, Replica, Replica]) -> None:
    replica = replicas[0]
    replica.merge([cell("known"), cell("gone")])
    replica.write("DELETE FROM todo WHERE id = 'gone'")
    left = [
        cell("known", val="newer", version=2),
        cell("gone", val="late"),
        cell("of a later life", cl=3),
        cell("deleted", ROW, None, version=2, cl=2),
        cell("without cells", ROW, None),
        cell("twice", "n", 5, version=2),
    ]

    rest = replica.insert([cell("twice"), *left])

    assert sorted(rest, key=repr) == sorted(left, key=repr)


def test_a_neighbour_that_was_never_met_is_left_to_cr_sqlite(
    replicas: tuple[Replica, Replica, Replica],
) -> None:
    assert replicas[0].insert(new_rows(3)) == new_rows(3)


def test_new_rows_and_the_rest_get_one_version(replicas: tuple[Replica, Replica, Replica]) -> None:
    replica = replicas[0]
    replica.merge([cell("known")])

    replica.merge([*new_rows(ROWS), cell("known", val="newer", version=2)])

    assert {change.db_version for change in replica.changes()} == {2}


def test_local_writes_are_tracked_afterwards(replicas: tuple[Replica, Replica, Replica]) -> None:
    replica = replicas[0]
    replica.merge([cell("known")])
    replica.merge(new_rows(ROWS))

    replica.write("UPDATE todo SET text = 'mine' WHERE id = 'row 1'")

    assert [(change.val, change.db_version) for change in replica.changes(since=2)] == [("mine", 3)]


def test_a_change_that_a_constraint_refuses_is_named_and_all_others_are_merged(
    replicas: tuple[Replica, Replica, Replica],
) -> None:
    replica = replicas[0]
    replica.merge([cell("known")])
    replica.conn.execute(
        "CREATE TRIGGER no_40 BEFORE INSERT ON todo WHEN NEW.id = 'row 40'"
        " BEGIN SELECT RAISE(ABORT, 'no 40'); END"
    )

    failed = replica.merge(new_rows(ROWS))

    assert {place // 2 for place, _ in failed} == {40}
    assert replica.conn.execute("SELECT count(*) FROM todo").get == ROWS
    replica.write("UPDATE todo SET text = 'mine' WHERE id = 'row 1'")
    assert [change.val for change in replica.changes(since=2)] == ["mine"]


def test_columns_that_came_later_keep_their_default_where_no_cell_came(
    replicas: tuple[Replica, Replica, Replica],
) -> None:
    replica = replicas[0]
    add_columns(replica.conn, "todo", ["late"])
    replica.merge([cell("known")])

    replica.merge(new_rows(ROWS))

    assert replica.conn.execute("SELECT DISTINCT late FROM todo").fetchall() == [(None,)]
    assert {change.cid for change in replica.changes(since=1)} == {"text", "n"}


def test_tables_with_other_keys_are_left_to_be_merged(replicas: tuple[Replica, Replica, Replica]) -> None:
    replica = replicas[0]
    replica.merge([cell("known")])
    create_table(replica.conn, TableSchema("pair", ("a", "b"), ("n",)))
    changes = [
        Change("pair", pack_key([f"{number}", "b"]), "n", number, 1, 1, number, 1) for number in range(ROWS)
    ]

    assert replica.insert(changes) == changes
    assert replica.merge(changes) == []

    assert replica.conn.execute("SELECT count(*) FROM pair").get == ROWS


def test_a_full_disk_is_no_refusal(replicas: tuple[Replica, Replica, Replica]) -> None:
    replica = replicas[0]
    replica.merge([cell("known")])
    before = replica.content()
    pages = replica.conn.execute("PRAGMA page_count").get
    replica.conn.execute(f"PRAGMA max_page_count = {pages}").fetchall()

    with pytest.raises(apsw.FullError):
        replica.merge(new_rows(2000))

    assert replica.content() == before
