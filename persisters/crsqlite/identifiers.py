"""Names that cr-sqlite can take for tables and columns."""

from __future__ import annotations

from replicell.persisters.errors import IdentifierError

__all__ = [
    "MAX_NAME_LENGTH",
    "RESERVED_PREFIXES",
    "check_column_name",
    "check_column_names",
    "check_table_name",
    "folded",
    "quote",
]

MAX_NAME_LENGTH = 255

RESERVED_PREFIXES = ("sqlite_", "crsql_", "replicell_")

# The keywords SQLite refuses as an unquoted name. cr-sqlite writes table names unquoted in places.
_KEYWORDS = """
    add all alter and as autoincrement between case check collate commit constraint create default deferrable
    delete distinct drop else escape except exists foreign from group having if in index insert intersect into
    is isnull join limit not nothing notnull null on or order primary references returning select set table
    then to transaction union unique update using values when where
"""
_RESERVED = frozenset(_KEYWORDS.split())
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def check_table_name(name: str) -> None:
    """Refuse a name that no replicated table can have.

    Raises:
        IdentifierError: it is not a plain identifier (a letter or underscore, then letters, digits and
            underscores), is longer than ``MAX_NAME_LENGTH``, is an SQL keyword, or belongs to SQLite,
            cr-sqlite or replicell.

    >>> check_table_name("todo")
    >>> check_table_name("to-do")
    Traceback (most recent call last):
    ...
    replicell.persisters.errors.IdentifierError: 'to-do' cannot name a table: ...
    """
    if not name.isidentifier():
        rule = "cr-sqlite takes a letter or underscore, then letters, digits and underscores"
    elif len(name) > MAX_NAME_LENGTH:
        rule = f"it is longer than {MAX_NAME_LENGTH} characters"
    elif folded(name) in _RESERVED:
        rule = "it is an SQL keyword"
    elif folded(name).startswith(RESERVED_PREFIXES) or "__crsql_" in folded(name):
        rule = f"{', '.join(RESERVED_PREFIXES)} and names containing __crsql_ are reserved"
    else:
        return
    raise IdentifierError(f"{name!r} cannot name a table: {rule}. Choose another table name.")


def check_column_name(name: str) -> None:
    """Refuse a name that no column of a replicated table can have.

    Raises:
        IdentifierError: it is ``-1`` (cr-sqlite's own mark), contains a double quote, a NUL or a lone
            surrogate, contains ``__crsql_``, or is longer than ``MAX_NAME_LENGTH``.

    >>> check_column_name("due date")
    """
    if name == "-1":
        rule = "cr-sqlite uses it for the row itself"
    elif '"' in name or "\0" in name:
        rule = "it contains a double quote or a NUL"
    elif "__crsql_" in folded(name):
        rule = "names containing __crsql_ are reserved"
    elif len(name) > MAX_NAME_LENGTH:
        rule = f"it is longer than {MAX_NAME_LENGTH} characters"
    elif not _is_unicode(name):
        rule = "it contains half of a surrogate pair"
    else:
        return
    raise IdentifierError(f"{name!r} cannot name a column: {rule}. Choose another name.")


def check_column_names(names: tuple[str, ...]) -> None:
    """Refuse names that cannot be the columns of one table together.

    Raises:
        IdentifierError: one of them is refused by :func:`check_column_name`, or two of them differ only in
            the case of ASCII letters, which SQLite takes for the same column.
    """
    seen: dict[str, str] = {}
    for name in names:
        check_column_name(name)
        other = seen.get(folded(name))
        if other is not None:
            raise IdentifierError(
                f"{name!r} cannot be a column beside {other!r}: SQLite takes both for the same column. "
                "Choose another cell id."
            )
        seen[folded(name)] = name


def folded(name: str) -> str:
    """Return the name as SQLite compares it: only ASCII letters lose their case.

    >>> folded("Été")
    'Été'
    """
    return name.translate(_ASCII_LOWER)


def quote(name: str) -> str:
    """Return the name as an SQL identifier.

    >>> quote("due date")
    '"due date"'
    """
    return '"' + name.replace('"', '""') + '"'


def _is_unicode(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
