"""Taking back one's own edits in favour of another replica's cells."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import apsw
import pytest

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.changes import ROW, merge_changes, read_page, read_row
from replicell.persisters.crsqlite.connection import close_connection, open_connection, transaction
from replicell.persisters.crsqlite.keys import pack_key
from replicell.persisters.crsqlite.reverting import revert_row
from replicell.persisters.crsqlite.schema import TableSchema, create_table

TODO = TableSchema("todo", ("id",), ("text", "done"))
PK = pack_key(["1"])


class Replica:
    """A database that can be written and can take over from another one."""

    def __init__(self) -> None:
        self.conn: apsw.Connection = open_connection(":memory:")
        self.catalog = Catalog()
        create_table(self.conn, TODO)
        site_id: Any = self.conn.execute("SELECT crsql_site_id()").get
        self.site_id = bytes(site_id)

    def write(self, sql: str) -> None:
        with transaction(self.conn):
            self.conn.execute(sql)

    def rows(self) -> list[tuple[object, ...]]:
        return list(self.conn.execute("SELECT id, text, done FROM todo ORDER BY id"))

    def cells(self, pk: bytes = PK) -> list[tuple[str, object, int, int]]:
        table = self.catalog.tables(self.conn)["todo"]
        return [
            (change.cid, change.val, change.col_version, change.cl)
            for change in read_row(self.conn, table, pk)
        ]

    def version(self, cid: str) -> int:
        return next(version for column, _, version, _ in self.cells() if column == cid)

    def pull(self, other: Replica) -> None:
        page = read_page(other.conn, other.catalog, 0)
        with transaction(self.conn):
            assert merge_changes(self.conn, self.catalog, page.changes, other.site_id) == []

    def revert(self, other: Replica, **versions: int) -> list[str]:
        named = {ROW if cid == "row" else cid: version for cid, version in versions.items()}
        theirs = read_row(other.conn, other.catalog.tables(other.conn)["todo"], PK)
        with transaction(self.conn):
            return revert_row(self.conn, self.catalog, "todo", PK, named, theirs, other.site_id)


@pytest.fixture
def pair() -> Iterator[tuple[Replica, Replica]]:
    with ExitStack() as stack:
        own, server = Replica(), Replica()
        for replica in (own, server):
            stack.callback(close_connection, replica.conn)
        server.write("INSERT INTO todo VALUES ('1', 'milk', 0)")
        own.pull(server)
        yield own, server


def equal(own: Replica, server: Replica) -> bool:
    return own.rows() == server.rows() and own.cells() == server.cells()


def test_an_edit_makes_way_for_the_others_cell(pair: tuple[Replica, Replica]) -> None:
    own, server = pair
    own.write("UPDATE todo SET text = 'beer', done = 1")

    assert own.revert(server, text=own.version("text")) == ["text"]

    assert own.rows() == [("1", "milk", 1)]
    assert own.revert(server, done=own.version("done")) == ["done"]
    assert equal(own, server)


def test_the_others_next_edit_wins_as_everywhere(pair: tuple[Replica, Replica]) -> None:
    own, server = pair
    for text in ("beer", "wine", "zzz"):
        own.write(f"UPDATE todo SET text = '{text}'")
    own.revert(server, text=own.version("text"))
    server.write("UPDATE todo SET text = 'bread'")
    own.pull(server)

    assert own.rows() == [("1", "bread", 0)]
    assert equal(own, server)


def test_what_is_taken_back_is_not_the_own_change_any_more(pair: tuple[Replica, Replica]) -> None:
    own, server = pair
    own.write("UPDATE todo SET text = 'beer'")
    own.revert(server, text=own.version("text"))

    assert read_page(own.conn, own.catalog, 0, exclude=server.site_id).changes == []


def test_a_new_row_that_the_other_does_not_have_goes(pair: tuple[Replica, Replica]) -> None:
    own, server = pair
    server.write("DELETE FROM todo")
    server = Replica()
    with ExitStack() as stack:
        stack.callback(close_connection, server.conn)
        versions = {cid: version for cid, _, version, _ in own.cells()}
        assert sorted(own.revert(server, **versions)) == ["done", "text"]
        assert own.rows() == []

        server.pull(own)
        assert equal(own, server)
        own.write("INSERT INTO todo VALUES ('1', 'again', NULL)")
        server.pull(own)
        assert equal(own, server)


def test_a_deleted_row_comes_back(pair: tuple[Replica, Replica]) -> None:
    own, server = pair
    own.write("DELETE FROM todo")
    assert own.rows() == []

    assert own.revert(server, row=own.version(ROW)) == [ROW]

    assert equal(own, server)
    server.write("UPDATE todo SET text = 'bread'")
    own.pull(server)
    assert own.rows() == [("1", "bread", 0)]
    own.write("UPDATE todo SET done = 1")
    server.pull(own)
    assert equal(own, server)


def test_a_row_that_was_created_anew_makes_way(pair: tuple[Replica, Replica]) -> None:
    own, server = pair
    own.write("DELETE FROM todo")
    own.write("INSERT INTO todo VALUES ('1', 'another life', 1)")

    assert own.revert(server, row=own.version(ROW)) == [ROW]

    assert equal(own, server)


def test_a_cell_that_was_edited_since_is_left_alone(pair: tuple[Replica, Replica]) -> None:
    own, server = pair
    own.write("UPDATE todo SET text = 'beer'")
    refused = own.version("text")
    own.write("UPDATE todo SET text = 'bread'")

    assert own.revert(server, text=refused) == []

    assert own.rows() == [("1", "bread", 0)]


def test_no_version_is_given_twice(pair: tuple[Replica, Replica]) -> None:
    own, server = pair
    own.write("UPDATE todo SET text = 'beer'")
    before = own.catalog.latest_version(own.conn)
    own.revert(server, text=own.version("text"))

    assert own.catalog.latest_version(own.conn) > before
    own.write("UPDATE todo SET done = 5")
    assert own.catalog.latest_version(own.conn) == before + 2


def test_a_column_that_the_other_has_never_written_is_reset(pair: tuple[Replica, Replica]) -> None:
    own, server = pair
    with transaction(server.conn):
        server.conn.execute("DELETE FROM todo__crsql_clock WHERE col_name = 'done'")
    own.write("UPDATE todo SET done = 1")

    assert own.revert(server, done=own.version("done")) == ["done"]

    assert own.rows() == [("1", "milk", None)]


def test_local_writes_are_recorded_as_before(pair: tuple[Replica, Replica]) -> None:
    own, server = pair
    own.write("UPDATE todo SET text = 'beer'")
    own.revert(server, text=own.version("text"))
    own.write("UPDATE todo SET text = 'bread'")
    server.pull(own)

    assert server.rows() == [("1", "bread", 0)]


def test_an_unknown_table_or_row_is_nothing_to_take_back(pair: tuple[Replica, Replica]) -> None:
    own, server = pair
    with transaction(own.conn):
        assert revert_row(own.conn, own.catalog, "none", PK, {"a": 1}, [], server.site_id) == []
        assert revert_row(own.conn, own.catalog, "todo", pack_key(["9"]), {"text": 1}, [], b"s" * 16) == []
