"""Whatever holds a table, as columns of cells as a store holds them.

Python's own lists and dicts come first, as they need no package; all else is read as Arrow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import NoneType
from typing import Any, NamedTuple, NoReturn

from replicell.store.cells import encode_cell
from replicell.store.errors import FrameError, MissingPackageError
from replicell.store.frames.marked_text import from_marked_text
from replicell.store.ids import Id, to_id
from replicell.store.missing import MISSING, MissingType

__all__ = ["Incoming", "cells_of", "incoming", "refuse"]

_PLAIN = frozenset((int, bool, NoneType, MissingType))
_FROM_CODE_POINTS = "a string that begins with U+FFFD, or is U+FFFC, and does not stand for a cell"


class Incoming(NamedTuple):
    """What is to become a table."""

    columns: dict[Id, list[Any]]
    """Cells as they are held, and the row ids as they were; `MISSING` where a row lacks a cell."""
    tells_nulls: bool
    """Whether None was not used for cells that are absent."""
    row_count: int
    """How many rows there are."""


def incoming(source: object, id_column: str | None, convert: bool) -> Incoming:
    """Read what holds a table.

    Args:
        source: Rows, columns or a data frame.
        id_column: The column of row ids.
        convert: Whether what no cell can hold becomes what comes nearest to it.

    Raises:
        FrameError: If it is nothing of the kind, or something in it cannot be a cell.
        MissingPackageError: If a package is needed and not installed.
    """
    if isinstance(source, Mapping):
        return _from_columns(source, id_column, convert)
    is_arrow = hasattr(source, "__arrow_c_stream__")
    if isinstance(source, (list, tuple, Iterator)) and not is_arrow:
        return _from_rows(list(source), id_column, convert)
    try:
        from replicell.store.frames.arrow import table_of
    except ModuleNotFoundError as error:
        raise MissingPackageError("Data frames", str(error.name), "frames") from error

    table = table_of(source)
    return Incoming(table.columns(id_column, convert), False, table.row_count)


def cells_of(name: str, values: list[Any], convert: bool) -> list[Any]:
    """Return cells as they are held of what Python has.

    Raises:
        FrameError: If one of them can be no cell.
    """
    if _PLAIN.issuperset(map(type, values)):
        return values
    return [_cell_of(name, index, value, convert) for index, value in enumerate(values)]


def refuse(name: str, index: int, value: object, why: str, convertible: str = "") -> NoReturn:
    """Say that something in a column cannot be a cell.

    Args:
        name: The column.
        index: The position in it.
        value: What is there.
        why: What it is, or what is wrong with it.
        convertible: What `convert` would make of it, if anything.
    """
    shown = repr(value)
    if len(shown) > 60:
        shown = f"{shown[:57]}..."
    way_out = f"Pass convert=True to have {convertible}, or" if convertible else "Please"
    raise FrameError(
        f"column {name!r} has {shown} at position {index}: {why}, which no cell can hold. {way_out} convert "
        "the column first. Nothing was changed."
    )


def _from_columns(source: Mapping[Any, Any], id_column: str | None, convert: bool) -> Incoming:
    columns: dict[Id, list[Any]] = {}
    for given_name, given in source.items():
        name = to_id(given_name)
        values = _listed(name, given)
        columns[name] = values if name == id_column else cells_of(name, values, convert)
    counts = {name: len(values) for name, values in columns.items()}
    if len(set(counts.values())) > 1:
        raise FrameError(f"columns must be of one length, but they are {counts}. Nothing was changed.")
    return Incoming(columns, False, max(counts.values(), default=0))


def _listed(name: str, given: Any) -> list[Any]:
    for method in ("tolist", "to_list", "to_pylist"):
        if hasattr(given, method):
            given = getattr(given, method)()
            break
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise FrameError(
            f"column {name!r} is of type {type(given).__name__}, and no list of cells. A mapping is read as "
            "columns by name; for rows by id use set_table. Nothing was changed."
        )
    return list(given)


def _from_rows(rows: list[Any], id_column: str | None, convert: bool) -> Incoming:
    names: dict[Any, None] = {}
    for index, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise FrameError(
                f"rows must be mappings of names to cells, but {row!r} is at position {index}. "
                "Nothing was changed."
            )
        names.update(dict.fromkeys(row))
    columns: dict[Id, list[Any]] = {}
    for given_name in names:
        name = to_id(given_name)
        values = [row.get(given_name, MISSING) for row in rows]
        columns[name] = values if name == id_column else cells_of(name, values, convert)
    return Incoming(columns, True, len(rows))


def _cell_of(name: str, index: int, value: Any, convert: bool) -> Any:
    if value is None or value is MISSING:
        return value
    if isinstance(value, str):
        cell = from_marked_text(value)
        if cell is MISSING:
            refuse(name, index, value, _FROM_CODE_POINTS)
        return cell
    if hasattr(value, "item") and not isinstance(value, (int, float)):  # a scalar of NumPy
        value = value.item()
    encoded = encode_cell(value)
    if encoded is not MISSING:
        return encoded
    if isinstance(value, float):
        return None if convert else refuse(name, index, value, "it is not finite", "null instead")
    if isinstance(value, (date, datetime, time)):
        why = "it is a date or time"
        return value.isoformat() if convert else refuse(name, index, value, why, "ISO 8601 text instead")
    if isinstance(value, timedelta):
        why = "it is a duration"
        return value.total_seconds() if convert else refuse(name, index, value, why, "seconds instead")
    if isinstance(value, Decimal) and value.is_finite():
        if value == value.to_integral_value():
            return int(value)
        why = "it is a decimal fraction"
        return float(value) if convert else refuse(name, index, value, why, "the nearest float instead")
    refuse(name, index, value, f"it is of type {type(value).__name__}")
