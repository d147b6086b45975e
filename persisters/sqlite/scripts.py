"""Loads and saves as scripts: they hand out SQL statements and are given the rows.

So the same script runs on the thread of a database, and through whatever function a program has for its own
connection, be it asynchronous.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import Any, NamedTuple, TypeAlias, TypeVar

import apsw

__all__ = ["Rows", "Script", "Statement", "is_refusal", "run_script"]

_T = TypeVar("_T")

Rows: TypeAlias = list[tuple[Any, ...]]

_REFUSALS = {"ConstraintError", "IntegrityError", "MismatchError"}


class Statement(NamedTuple):
    """One SQL statement.

    Args:
        sql: The statement.
        bindings: The values for its ``?``.
        many: Values for as many executions; no rows are given back then.
        wide: Returns SQL that does as much as a number of executions, given all their values.
    """

    sql: str
    bindings: Sequence[Any] = ()
    many: Iterable[Sequence[Any]] | None = None
    wide: Callable[[int], str] | None = None


Script: TypeAlias = Generator[Statement, Rows, _T]
"""Yields statements, is sent their rows, or thrown what they raised, and returns a result."""


def run_script(connection: apsw.Connection, script: Script[_T]) -> _T:
    """Run a script with a connection, in whatever transaction that is in."""
    try:
        statement = next(script)
        while True:
            try:
                rows = _execute(connection, statement)
            except Exception as error:
                statement = script.throw(error)
            else:
                statement = script.send(rows)
    except StopIteration as end:
        result: _T = end.value
        return result


def is_refusal(error: Exception) -> bool:
    """Tell whether an error means that a table's own rules refuse a row, whichever library raised it."""
    return any(kind.__name__ in _REFUSALS for kind in type(error).__mro__)


def _execute(connection: apsw.Connection, statement: Statement) -> Rows:
    if statement.many is None:
        rows: Rows = connection.execute(statement.sql, statement.bindings).fetchall()
        return rows
    connection.executemany(statement.sql, statement.many)
    return []
