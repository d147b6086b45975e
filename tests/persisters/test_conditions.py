"""Conditions choose rows in SQL; which columns they need is found out from SQLite."""

from __future__ import annotations

import pytest

from replicell.persisters import ConfigError
from replicell.persisters.conditions import columns_used, condition_sql


@pytest.mark.parametrize("condition", [None, "true", " TRUE ", "1", ""])
def test_a_condition_that_every_row_meets_is_none(condition: str | None) -> None:
    assert condition_sql(condition, "todo") is None


def test_the_table_stands_quoted_wherever_its_name_is_asked_for() -> None:
    sql = condition_sql("$tableName.a = 1 OR $tableName.b = 2", 'a "table"')
    assert sql == '"a ""table""".a = 1 OR "a ""table""".b = 2'


@pytest.mark.parametrize(
    ("condition", "columns"),
    [
        ("done = 0", ("done",)),
        ('"done" = 0', ("done",)),
        ('"todo".done = 0 AND [due date] > 3', ("done", "due date")),
        ("id = 'x'", ()),
        ("done = 'text' OR rank IN (SELECT max(rank) FROM todo)", ("done", "rank")),
        ("lower(text) LIKE '%milk%'", ("text",)),
        ("done = 0 AND id IN (SELECT id FROM elsewhere)", ()),
        ("crsql_site_id() = owner", ()),
    ],
)
def test_the_columns_that_a_condition_needs_are_found(condition: str, columns: tuple[str, ...]) -> None:
    assert set(columns) <= set(columns_used(condition, "todo", "id"))


@pytest.mark.parametrize("condition", ["=", "done = ", "done; DROP TABLE todo", "(1", "1)"])
def test_what_is_no_condition_is_refused_with_sqlites_own_words(condition: str) -> None:
    with pytest.raises(ConfigError, match=r"condition .* of table 'todo'"):
        columns_used(condition, "todo", "id")
