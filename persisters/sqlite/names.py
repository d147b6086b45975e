"""Names that plain SQLite can take for tables and columns, which is nearly every one."""

from __future__ import annotations

from replicell.persisters.crsqlite.identifiers import folded
from replicell.persisters.errors import IdentifierError

__all__ = ["check_plain_column_name", "check_plain_table_name"]

_OF_SQLITE = "sqlite_"


def check_plain_table_name(name: str) -> None:
    """Refuse a name that no table can have.

    Raises:
        IdentifierError: it is empty, holds a NUL or half of a surrogate pair, or belongs to SQLite.

    >>> check_plain_table_name("order")
    >>> check_plain_table_name("sqlite_stat1")
    Traceback (most recent call last):
    ...
    replicell.persisters.errors.IdentifierError: 'sqlite_stat1' cannot name a table: ...
    """
    if folded(name).startswith(_OF_SQLITE):
        raise IdentifierError(
            f"{name!r} cannot name a table: {_OF_SQLITE} is reserved for SQLite. Choose another name."
        )
    _check(name, "table")


def check_plain_column_name(name: str) -> None:
    """Refuse a name that no column can have.

    Raises:
        IdentifierError: it is empty, or holds a NUL or half of a surrogate pair.
    """
    _check(name, "column")


def _check(name: str, what: str) -> None:
    if not name:
        rule = "it is empty"
    elif "\0" in name:
        rule = "it contains a NUL"
    elif any("\ud800" <= character <= "\udfff" for character in name):
        rule = "it contains half of a surrogate pair"
    else:
        return
    raise IdentifierError(f"{name!r} cannot name a {what}: {rule}. Choose another name.")
