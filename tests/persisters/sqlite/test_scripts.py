"""A script's statements do the same however many of their executions are done at once."""

from __future__ import annotations

from functools import partial

import apsw
import pytest

from replicell.persisters.sqlite.scripts import execute_many
from replicell.persisters.sqlite.statements import insert_sql


@pytest.mark.parametrize("row_count", [0, 1, 99, 100, 101, 350])
@pytest.mark.parametrize(("column_count", "most_bindings"), [(1, 32_766), (1, 199), (400, 32_766)])
def test_all_rows_are_written_in_their_order(row_count: int, column_count: int, most_bindings: int) -> None:
    columns = tuple(f"c{number}" for number in range(column_count))
    rows = [(str(number), *range(number, number + column_count)) for number in range(row_count)]
    insert = partial(insert_sql, "t", "id", columns)
    connection = apsw.Connection(":memory:")
    connection.limit(apsw.SQLITE_LIMIT_VARIABLE_NUMBER, most_bindings)
    connection.execute(f"CREATE TABLE t (id, {', '.join(columns)})")
    execute_many(connection, insert(), iter(rows), insert)
    assert connection.execute("SELECT * FROM t").fetchall() == rows
    connection.close()


def test_many_rows_take_few_statements() -> None:
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE t (id, a)")
    insert = partial(insert_sql, "t", "id", ("a",))
    told: list[int] = []

    def tell(cursor: apsw.Cursor, sql: str, bindings: object) -> bool:
        assert isinstance(bindings, tuple)
        told.append(len(bindings))
        return True

    connection.exec_trace = tell
    execute_many(connection, insert(), ((str(number), number) for number in range(250)), insert)
    assert (len(told), sum(told)) == (52, 500)
    connection.close()
