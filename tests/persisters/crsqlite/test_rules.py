"""The rules for changes from outside: what would kill the process or poison the data never reaches
cr-sqlite."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import apsw
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from replicell.persisters.crsqlite.catalog import Catalog
from replicell.persisters.crsqlite.changes import ROW, Change, merge_changes
from replicell.persisters.crsqlite.connection import close_connection, open_connection, transaction
from replicell.persisters.crsqlite.keys import pack_key
from replicell.persisters.crsqlite.rules import MAX_STEP, PLAUSIBLE, Sifted, sift_changes
from replicell.persisters.crsqlite.schema import TableSchema, create_table
from tests.store.effort import lines_run

KEY = pack_key(["a"])
GOOD = Change("todo", KEY, "text", "x", 1, 1, 0, 1)


@pytest.fixture
def conn() -> Iterator[apsw.Connection]:
    connection = open_connection(":memory:")
    create_table(connection, TableSchema("todo", ("id",), ("text", "n")))
    connection.execute(
        "CREATE TABLE typed(id INTEGER PRIMARY KEY NOT NULL, t TEXT, i INTEGER, r REAL, n NUMERIC, b BLOB)"
    )
    connection.execute("SELECT crsql_as_crr('typed')").fetchall()
    connection.execute("CREATE TABLE two(a TEXT NOT NULL, b TEXT NOT NULL, v, PRIMARY KEY(b, a))")
    connection.execute("SELECT crsql_as_crr('two')").fetchall()
    yield connection
    close_connection(connection)


def changed(**fields: object) -> Change:
    return msgspec.structs.replace(GOOD, **fields)


def sift(conn: apsw.Connection, *changes: Change, trusted: bool = False) -> Sifted:
    return sift_changes(conn, Catalog(), changes, trusted=trusted)


def test_a_proper_change_is_accepted(conn: apsw.Connection) -> None:
    deletion = Change("todo", KEY, ROW, None, 2, 2, 0, 1)
    values = [
        changed(val=value)
        for value in (None, 0, -(2**63), 2**63 - 1, 1.5, float("inf"), "\U0001f600", b"\xff")
    ]

    assert sift(conn, GOOD, deletion, *values).accepted == [GOOD, deletion, *values]


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (changed(pk=b""), "empty"),
        (changed(pk=b"\x01\x49" + b"\0" * 20), "unknown"),
        (changed(pk=pack_key(["a", "b"])), "has 2 columns"),
        (changed(pk=pack_key([None])), "not NoneType"),
        (changed(pk=pack_key([7])), "not int"),
        (changed(pk=KEY + b"\0"), "left over"),
        (changed(cid="id"), "key column"),
        (changed(val=True), "not bool"),
        (changed(val=[1]), "not list"),
        (changed(val={}), "not dict"),
        (changed(val=2**63), "64 bits"),
        (changed(val=float("nan")), "NaN"),
        (changed(val="\ud800"), "surrogate"),
        (changed(col_version=-1), "col_version"),
        (changed(col_version=2**63 - 1), "col_version"),
        (changed(cl=0), "cl 1 to"),
        (changed(cl=-1), "cl 1 to"),
        (changed(cl=2**63 - 1), "cl 1 to"),
        (changed(cl=2), "deleted row"),
        (changed(seq=-1), "seq"),
        (changed(seq=2**31), "seq"),
        (changed(db_version=2**63 - 1), "db_version"),
        (changed(db_version=-1), "db_version"),
        (changed(cid=ROW, val=None, cl=2, col_version=3), "equal to cl"),
        (changed(cid=ROW, val="x", cl=2, col_version=2), "no value"),
    ],
)
def test_a_poisonous_change_is_refused_with_the_rule_it_breaks_and_the_others_stand(
    conn: apsw.Connection, change: Change, rule: str
) -> None:
    sifted = sift(conn, GOOD, change, GOOD)

    assert sifted.accepted == [GOOD, GOOD]
    assert sifted.unknown == []
    assert [refusal.change for refusal in sifted.refused] == [change]
    assert rule in sifted.refused[0].reason


def test_unknown_tables_and_columns_are_told_apart_from_bad_changes(conn: apsw.Connection) -> None:
    table, column = changed(table="other"), changed(cid="late")

    sifted = sift(conn, table, column)

    assert [(refusal.change, refusal.code) for refusal in sifted.unknown] == [
        (table, "unknown_table"),
        (column, "unknown_column"),
    ]
    assert not sifted.refused
    assert not sifted.accepted


@pytest.mark.parametrize(
    "fields",
    [
        {"pk": b""},
        {"pk": b"\x01\x49" + b"\0" * 20},
        {"val": [1]},
        {"cid": "\ud800"},
        {"table": "\ud800"},
        {"cl": 0},
    ],
)
def test_a_change_of_an_unknown_table_must_still_be_well_formed(
    conn: apsw.Connection, fields: dict[str, Any]
) -> None:
    sifted = sift(conn, changed(**{"table": "other"} | fields))

    assert len(sifted.refused) == 1
    assert sifted.unknown == []


@pytest.mark.parametrize(
    ("column", "kept", "changed_values"),
    [
        ("t", ["x", b"x"], [1, 1.5]),
        ("i", [1, 1.5, "x", b"x"], ["1", " 2 ", 3.0]),
        ("r", [1.5, 2.0, "x", b"x"], [1, "1.5"]),
        ("n", [1, 1.5, "x", b"x"], ["1", 3.0]),
        ("b", [1, 1.5, "1", b"x"], []),
    ],
)
def test_a_typed_column_takes_only_what_it_keeps_as_it_is(
    conn: apsw.Connection, column: str, kept: list[Any], changed_values: list[Any]
) -> None:
    for number, value in enumerate([*kept, *changed_values]):
        change = Change("typed", pack_key([number]), column, value, 1, 1, 0, 1)
        sifted = sift(conn, change)
        assert bool(sifted.accepted) == (number < len(kept)), value
        if sifted.accepted:
            with transaction(conn):
                assert merge_changes(conn, Catalog(), [change], b"p" * 16) == []
            stored = conn.execute(f"SELECT {column} FROM typed WHERE id = ?", (number,)).get
            assert (type(stored), stored) == (type(value), value)


def test_a_compound_key_needs_all_its_columns(conn: apsw.Connection) -> None:
    assert sift(conn, Change("two", pack_key(["b", "a"]), "v", 1, 1, 1, 0, 1)).accepted
    assert sift(conn, Change("two", pack_key(["b"]), "v", 1, 1, 1, 0, 1)).refused


def test_a_counter_may_not_leap_far_beyond_the_local_one_unless_the_sender_is_trusted(
    conn: apsw.Connection,
) -> None:
    leap = changed(col_version=PLAUSIBLE + MAX_STEP + 1)

    assert "too far ahead" in sift(conn, leap).refused[0].reason
    assert sift(conn, leap, trusted=True).accepted == [leap]


def test_a_cell_whose_counter_is_huge_already_can_still_be_edited(conn: apsw.Connection) -> None:
    with transaction(conn):
        merge_changes(conn, Catalog(), [changed(col_version=PLAUSIBLE)], b"p" * 16)

    assert sift(conn, changed(col_version=PLAUSIBLE + 1)).accepted


@pytest.mark.parametrize("counter", [1, PLAUSIBLE])
def test_a_plausible_counter_needs_no_look_into_the_database(conn: apsw.Connection, counter: int) -> None:
    assert sift(
        conn, changed(col_version=counter), changed(cid=ROW, val=None, col_version=counter, cl=counter)
    ).accepted


def test_judging_a_batch_asks_the_database_once_and_is_a_few_lines_of_python_a_change(
    conn: apsw.Connection,
) -> None:
    def rows(count: int) -> list[Change]:
        return [
            Change("todo", pack_key([f"row {number}"]), column, f"value {number}", 1, 1, number, 1)
            for number in range(count)
            for column in ("text", "n")
        ]

    catalog = Catalog()
    sift_changes(conn, catalog, rows(1))
    asked: list[str] = []

    def trace(cursor: apsw.Cursor, sql: str, bindings: object) -> bool:
        asked.append(sql)
        return True

    conn.exec_trace = trace
    few, many = rows(50), rows(250)
    for_few = lines_run(partial(sift_changes, conn, catalog, few))
    for_many = lines_run(partial(sift_changes, conn, catalog, many))
    conn.exec_trace = None

    assert asked == ["PRAGMA schema_version"] * 2
    assert (for_many - for_few) / (len(many) - len(few)) < 40


numbers = st.one_of(st.integers(-2, 5), st.integers(-(2**63), 2**63 - 1), st.just(2**53))
keys = st.one_of(
    st.binary(max_size=24),
    st.builds(lambda value: pack_key([value]), st.one_of(st.sampled_from("abc"), st.integers(0, 9))),
)
values = st.one_of(
    st.none(),
    st.integers(-(2**64), 2**64),
    st.floats(),
    st.text(max_size=5),
    st.binary(max_size=5),
    st.booleans(),
)
changes = st.builds(
    Change,
    table=st.sampled_from(("todo", "typed", "two", "none", "")),
    pk=keys,
    cid=st.sampled_from(("text", "n", "id", "t", "i", "r", "v", ROW, "late", "")),
    val=values,
    col_version=numbers,
    cl=numbers,
    seq=numbers,
    db_version=numbers,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(changes, max_size=30))
def test_whatever_passes_the_rules_is_merged_and_leaves_the_database_usable(
    conn: apsw.Connection, batch: list[Change]
) -> None:
    sifted = sift(conn, *batch)
    with transaction(conn):
        failures = merge_changes(conn, Catalog(), sifted.accepted, b"p" * 16)

    assert failures == []
    assert len(sifted.accepted) + len(sifted.refused) + len(sifted.unknown) == len(batch)
    with transaction(conn):
        conn.execute("INSERT INTO todo(id, n) VALUES ('local', 0) ON CONFLICT(id) DO UPDATE SET n = n + 1")
    assert conn.execute("SELECT crsql_internal_sync_bit()").get == 0
    assert conn.execute("PRAGMA integrity_check").get == "ok"
