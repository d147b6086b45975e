"""Schema that travels: what is taken over, and what not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from replicell.persisters.crsqlite.schema import TableSchema, create_table, read_schema
from replicell.sync.announcements import adopt_tables, announce
from replicell.sync.messages import TableAnnouncement
from tests.sync.support import Site


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site(tables=())
    yield made
    made.close()


def table(
    name: str = "todo", key: str = "id", columns: tuple[str, ...] = ("text",), kind: str = "TEXT"
) -> TableAnnouncement:
    return TableAnnouncement(name, [key], list(columns), [kind])


def test_what_is_announced_can_be_taken_over(site: Site) -> None:
    create_table(site.conn, TableSchema("todo", ("id",), ("text", "odd name")))
    other = Site(tables=())

    assert adopt_tables(other.conn, other.catalog, announce(site.conn, site.catalog), "auto") == []

    assert read_schema(other.conn) == read_schema(site.conn)
    assert announce(other.conn, other.catalog) == announce(site.conn, site.catalog)
    other.close()


def test_missing_columns_are_added_and_others_left(site: Site) -> None:
    create_table(site.conn, TableSchema("todo", ("id",), ("own",)))

    assert adopt_tables(site.conn, site.catalog, [table(columns=("text", "own"))], "auto") == []

    assert read_schema(site.conn)["todo"].columns == ("own", "text")


def test_a_strict_side_creates_nothing_and_says_what_is_missing(site: Site) -> None:
    create_table(site.conn, TableSchema("todo", ("id",), ()))

    problems = adopt_tables(site.conn, site.catalog, [table(), table("tag")], "strict")

    assert ["no column 'text'" in problems[0], "no table 'tag'" in problems[1]] == [True, True]
    assert read_schema(site.conn) == {"todo": TableSchema("todo", ("id",), ())}


@pytest.mark.parametrize(
    ("announced", "reason"),
    [
        (table(key="key"), "has the key"),
        (table(kind="INTEGER"), "has the key"),
        (table("Todo"), "cannot be taken over"),
        (table(columns=("TEXT",)), "cannot be taken over"),
        (table("select"), "cannot be taken over"),
        (table("replicell_peers"), "cannot be taken over"),
        (table("typed", kind="INTEGER"), "on every side"),
        (TableAnnouncement("two", ["a", "b"], [], ["TEXT", "TEXT"]), "on every side"),
        (TableAnnouncement("none", [], [], []), "on every side"),
        (TableAnnouncement("odd", ["a"], [], []), "on every side"),
    ],
)
def test_what_does_not_fit_is_told_and_the_rest_is_taken(
    site: Site, announced: TableAnnouncement, reason: str
) -> None:
    create_table(site.conn, TableSchema("todo", ("id",), ("text",)))

    problems = adopt_tables(site.conn, site.catalog, [announced, table("fine")], "auto")

    assert [reason in problem for problem in problems] == [True]
    assert set(read_schema(site.conn)) == {"todo", "fine"}
