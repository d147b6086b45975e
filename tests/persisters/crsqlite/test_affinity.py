"""What typed columns would make of a value, held against SQLite itself."""

from __future__ import annotations

from collections.abc import Iterator

import apsw
import pytest

from replicell.persisters.crsqlite.affinity import Affinity, affinity_of, why_changed
from replicell.persisters.crsqlite.cells import SqlCell

TYPES = (
    "",
    "BLOB",
    "TEXT",
    "VARCHAR(9)",
    "INTEGER",
    "BIGINT",
    "REAL",
    "DOUBLE",
    "NUMERIC",
    "BOOLEAN",
    "DATE",
    "ANY",
)
VALUES: tuple[SqlCell, ...] = (
    *(0, 1, -5, 2**53, 2**53 + 1, 2**63 - 1, 1.5, -0.25, 1e300),
    *("", "a", "12", "-1", "+1", "1.5", ".5", "5.", "1e3", " 7 ", "\t7\n", "0x1F", "1_000", "1e", "e1", "."),
    *("٣", "nan", "inf", "\ufffdtrue", "1 2", "--1", "00"),
)


@pytest.fixture
def connection() -> Iterator[apsw.Connection]:
    made = apsw.Connection(":memory:")
    yield made
    made.close()


TABLES = [*(f"CREATE TABLE t (a {kind})" for kind in TYPES), "CREATE TABLE t (a ANY) STRICT"]


@pytest.mark.parametrize("table", TABLES)
def test_a_value_is_refused_exactly_if_sqlite_would_change_it(
    connection: apsw.Connection, table: str
) -> None:
    connection.execute(table)
    (kind,) = connection.execute("SELECT type FROM pragma_table_info('t')").fetchone() or ("",)
    for value in VALUES:
        connection.execute("DELETE FROM t")
        connection.execute("INSERT INTO t VALUES (?)", (value,))
        stored = connection.execute("SELECT a FROM t").get
        is_changed = isinstance(stored, str) is not isinstance(value, str) or stored != value
        assert (why_changed(value, affinity_of(kind, table)) is not None) is is_changed, (value, stored)


def test_an_absent_cell_is_absent_in_every_column() -> None:
    assert [why_changed(None, affinity) for affinity in Affinity] == [None] * len(Affinity)
