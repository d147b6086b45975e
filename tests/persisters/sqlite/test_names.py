"""Plain SQLite takes nearly every name."""

from __future__ import annotations

import pytest

from replicell.persisters import IdentifierError
from replicell.persisters.sqlite.names import check_plain_column_name, check_plain_table_name


@pytest.mark.parametrize("name", ["todo", "order", "to-do", 'a "b"', "-1", "crsql_x", "Größe", "x" * 1_000])
def test_what_sqlite_takes_is_taken(name: str) -> None:
    check_plain_table_name(name)
    check_plain_column_name(name)


@pytest.mark.parametrize("name", ["", "a\0b", "\ud800"])
def test_what_sqlite_does_not_take_is_refused_with_the_rule(name: str) -> None:
    with pytest.raises(IdentifierError, match=r"cannot name a table: it .* Choose another name"):
        check_plain_table_name(name)
    with pytest.raises(IdentifierError, match=r"cannot name a column: it .* Choose another name"):
        check_plain_column_name(name)


@pytest.mark.parametrize("name", ["sqlite_master", "SQLite_x"])
def test_names_of_sqlite_itself_are_reserved_for_its_tables(name: str) -> None:
    with pytest.raises(IdentifierError, match="reserved for SQLite"):
        check_plain_table_name(name)
    check_plain_column_name(name)
