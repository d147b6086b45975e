"""The rules that a change from outside must keep before it may touch cr-sqlite.

cr-sqlite trusts what it merges: some inputs abort the process, others are taken and poison the data of
everybody who merges them later. Changes are judged one by one; a bad one is refused with a reason and the
others stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

import apsw

from replicell.persisters.crsqlite.catalog import Affinity, Catalog, CatalogTable
from replicell.persisters.crsqlite.changes import ROW, Change
from replicell.persisters.crsqlite.keys import InvalidKeyError, SqlValue, unpack_key
from replicell.persisters.errors import PersisterError

__all__ = ["InvalidChangeError", "Refusal", "RefusalCode", "Sifted", "sift_changes"]

RefusalCode: TypeAlias = Literal[
    "invalid", "conflict", "unknown_table", "unknown_column", "limit", "forbidden"
]

MAX_INTEGER: Final = 2**53 - 1
MAX_SEQ: Final = 2**31 - 1
PLAUSIBLE: Final = 2**32
"""More edits of one cell, or deletions of one row, than anyone makes by hand or by program."""
MAX_STEP: Final = 2**20
"""How far beyond what is here already an implausible counter may go."""

_INT64: Final = 1 << 63
_KEY_TYPES: Final[Mapping[Affinity, tuple[type, ...]]] = {
    "INTEGER": (int,),
    "TEXT": (str, bytes),
    "REAL": (float,),
    "NUMERIC": (int, float),
    "BLOB": (int, float, str, bytes),
}


class InvalidChangeError(PersisterError, ValueError):
    """A change that breaks one of the rules.

    Attributes:
        code: Which kind of rule, for programs.
    """

    def __init__(self, message: str, code: RefusalCode = "invalid") -> None:
        super().__init__(message)
        self.code: RefusalCode = code


class Refusal(NamedTuple):
    """Why a change was refused.

    Args:
        change: The change.
        code: ``invalid`` (it breaks a rule), ``conflict`` (the database's own constraints refuse it), what
            is unknown here, ``limit`` (it is too much for this place) or ``forbidden`` (its author may not).
        reason: The rule, for people.
    """

    change: Change
    code: RefusalCode
    reason: str


class Sifted(NamedTuple):
    """A batch, sorted into what may be merged and what not.

    Args:
        accepted: Changes that keep all rules, in their order.
        refused: Changes that will never do.
        unknown: Well-formed changes of tables or columns that do not exist here yet.
    """

    accepted: list[Change]
    refused: list[Refusal]
    unknown: list[Refusal]


def sift_changes(
    conn: apsw.Connection, catalog: Catalog, changes: Sequence[Change], *, trusted: bool = False
) -> Sifted:
    """Judge a batch of changes, in time proportional to the batch.

    Args:
        conn: The database that is to take them.
        catalog: The connection's catalogue.
        changes: The batch as decoded.
        trusted: Whether the sender has judged how plausible their counters are, as a server has for its
            clients.

    Returns:
        The batch, sorted.
    """
    tables = catalog.tables(conn)
    sifted = Sifted([], [], [])
    judged_table, judged_pk = "", b""
    plain_columns: frozenset[str] = frozenset()
    for change in changes:
        if change.pk == judged_pk and change.table == judged_table and _is_ordinary(change, plain_columns):
            sifted.accepted.append(change)
            continue
        try:
            table = tables.get(change.table)
            if table is None:
                _check_numbers(change)
                _check_unknown(change)
                raise InvalidChangeError(f"there is no table {change.table!r} here", "unknown_table")
            # The cells of a row come one after the other, so its key is judged once.
            if change.pk != judged_pk or change.table != judged_table:
                _check_key(change.pk, table)
                judged_table, judged_pk = change.table, change.pk
                plain_columns = table.plain_columns
            _check_numbers(change)
            _check_cell(change, table)
            if not trusted and (change.col_version > PLAUSIBLE or change.cl > PLAUSIBLE):
                _check_step(conn, table, change)
        except InvalidChangeError as error:
            heap = sifted.unknown if error.code in ("unknown_table", "unknown_column") else sifted.refused
            heap.append(Refusal(change, error.code, str(error)))
        else:
            sifted.accepted.append(change)
    return sifted


def _is_ordinary(change: Change, plain_columns: frozenset[str]) -> bool:
    """Tell at one glance that a cell keeps all rules, as nearly all do; the others are looked at closely."""
    val = change.val
    kind = type(val)
    return (
        change.cid in plain_columns
        and 0 < change.col_version <= PLAUSIBLE
        and 0 < change.cl <= PLAUSIBLE
        and change.cl & 1 == 1
        and 0 <= change.seq <= MAX_SEQ
        and 0 <= change.db_version <= MAX_INTEGER
        and (
            val is None
            or kind is bytes
            or (isinstance(val, str) and kind is str and val.isascii())
            or (isinstance(val, int) and kind is int and -_INT64 <= val < _INT64)
        )
    )


def _check_numbers(change: Change) -> None:
    col_version, cl = change.col_version, change.cl
    if not (0 <= col_version <= MAX_INTEGER and 0 < cl <= MAX_INTEGER and 0 <= change.seq <= MAX_SEQ):
        raise InvalidChangeError(
            f"col_version must be 0 to {MAX_INTEGER}, cl 1 to {MAX_INTEGER} and seq 0 to {MAX_SEQ},"
            f" not {col_version}, {cl} and {change.seq}"
        )
    if not 0 <= change.db_version <= MAX_INTEGER:
        raise InvalidChangeError(f"db_version must be 0 to {MAX_INTEGER}, not {change.db_version}")
    if change.cid == ROW:
        if col_version != cl or change.val is not None:
            raise InvalidChangeError("a row's own change has col_version equal to cl, and no value")
    elif not cl & 1:
        raise InvalidChangeError(f"a cell of a deleted row (cl {cl}) has no change")


def _check_key(pk: bytes, table: CatalogTable) -> None:
    try:
        values = unpack_key(pk)
    except InvalidKeyError as error:
        raise InvalidChangeError(
            f"the key {_shown(pk)} of table {table.name!r} is refused: {error}"
        ) from error
    if len(values) != len(table.key):
        raise InvalidChangeError(
            f"the key {_shown(pk)} has {len(values)} columns, table {table.name!r} wants {len(table.key)}"
        )
    for value, (column, affinity) in zip(values, table.key.items(), strict=True):
        if type(value) not in _KEY_TYPES[affinity] or not _keeps_type(value, affinity):
            raise InvalidChangeError(
                f"the key column {column!r} of table {table.name!r} is {affinity}, not {type(value).__name__}"
            )


def _check_cell(change: Change, table: CatalogTable) -> None:
    if change.cid == ROW:
        return
    affinity = table.columns.get(change.cid)
    if affinity is None:
        if change.cid in table.key:
            raise InvalidChangeError(
                f"{change.cid!r} is a key column of table {table.name!r}: it cannot change"
            )
        _check_unknown(change)
        raise InvalidChangeError(f"table {table.name!r} has no column {change.cid!r} here", "unknown_column")
    val = change.val
    if val is None:
        return
    _check_value(val)
    if not _keeps_type(val, affinity):
        raise InvalidChangeError(
            f"column {change.cid!r} of table {table.name!r} is declared {affinity} and would not keep"
            f" a value of type {type(val).__name__} as it is: declare the column without a type"
        )


def _check_value(val: SqlValue) -> None:
    kind: type = type(val)
    if kind is str:
        _check_text(str(val))
    elif kind is int:
        if isinstance(val, int) and not -_INT64 <= val < _INT64:
            raise InvalidChangeError(f"the integer {val} does not fit in 64 bits")
    elif kind is float:
        if val != val:
            raise InvalidChangeError("a value is not a number (NaN)")
    elif kind is not bytes and val is not None:
        raise InvalidChangeError(f"a value is None, int, float, str or bytes, not {kind.__name__}")


def _check_text(text: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidChangeError("text holds a lone surrogate, which is not valid UTF-8") from error


def _check_unknown(change: Change) -> None:
    """Judge as much of a change as can be judged without the table, so that it may be kept for later."""
    for name in (change.table, change.cid):
        _check_text(name)
    _check_value(change.val)
    try:
        unpack_key(change.pk)
    except InvalidKeyError as error:
        raise InvalidChangeError(
            f"the key {_shown(change.pk)} of table {change.table!r} is refused: {error}"
        ) from error


def _keeps_type(val: SqlValue, affinity: Affinity) -> bool:
    """Tell whether a column of this affinity stores the value as it is; if not, it would win over itself
    for ever."""
    kind = type(val)
    if kind is bytes or affinity == "BLOB":
        return True
    if affinity == "TEXT":
        return kind is str
    if kind is str:
        return not _looks_numeric(str(val))
    if affinity == "REAL":
        return kind is float
    return kind is int or not float(val or 0).is_integer()


def _looks_numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_step(conn: apsw.Connection, table: CatalogTable, change: Change) -> None:
    key = unpack_key(change.pk)
    for column, number in ((change.cid, change.col_version), (ROW, change.cl)):
        local = conn.execute(table.local_version_sql, (*key, column)).get
        if number > PLAUSIBLE and number > (local if isinstance(local, int) else 0) + MAX_STEP:
            raise InvalidChangeError(
                f"the counter {number} is too far ahead of this database's own, {local or 0}"
            )


def _shown(pk: bytes) -> str:
    return repr(pk if len(pk) <= 40 else pk[:40] + b"...")
