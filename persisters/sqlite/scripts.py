"""Loads and saves as scripts: they hand out SQL statements and are given the rows.

So the same script runs on the thread of a database, and through whatever function a program has for its own
connection, be it asynchronous.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, Final, NamedTuple, TypeAlias, TypeVar

import apsw

__all__ = ["Rows", "Script", "Statement", "execute_many", "is_refusal", "run_script"]

_T = TypeVar("_T")

Rows: TypeAlias = list[tuple[Any, ...]]

_AT_ONCE: Final = 100
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


def execute_many(
    connection: apsw.Connection,
    sql: str,
    many: Iterable[Sequence[Any]],
    wide: Callable[[int], str] | None = None,
) -> None:
    """Execute a statement once for each sequence of bindings.

    Args:
        connection: The connection.
        sql: The statement.
        many: The bindings, all of the same length.
        wide: Returns SQL that does as much as a number of executions, given all their bindings. Where there
            are many it takes less time, most of which other threads can use.
    """
    remaining = iter(many)
    first = [] if wide is None else [*islice(remaining, _AT_ONCE)]
    most = connection.limit(apsw.SQLITE_LIMIT_VARIABLE_NUMBER)
    if wide is None or len(first) < _AT_ONCE or len(first[0]) * _AT_ONCE > most:
        connection.executemany(sql, chain(first, remaining))
        return
    left: list[Sequence[Any]] = []
    connection.executemany(wide(_AT_ONCE), _joined(chain(first, remaining), left))
    connection.executemany(sql, left)


def _execute(connection: apsw.Connection, statement: Statement) -> Rows:
    if statement.many is None:
        rows: Rows = connection.execute(statement.sql, statement.bindings).fetchall()
        return rows
    execute_many(connection, statement.sql, statement.many, statement.wide)
    return []


def _joined(many: Iterable[Sequence[Any]], left: list[Sequence[Any]]) -> Iterator[tuple[Any, ...]]:
    remaining = iter(many)
    while len(some := [*islice(remaining, _AT_ONCE)]) == _AT_ONCE:
        yield tuple(chain.from_iterable(some))
    left += some
