"""The real data of the demo: the cars of ``vega_datasets``, or the user's own CSV file."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from examples.demo.verdict import KEY
from replicell.persisters import IdentifierError
from replicell.persisters.crsqlite.identifiers import check_column_name
from replicell.persisters.crsqlite.schema import MAX_COLUMNS

__all__ = ["DatasetError", "Rows", "read_cars", "read_csv"]

WHOLE_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
DECIMAL_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,8})(\.[0-9]{1,6})?([eE][+-]?[0-9]{1,3})?")

MOST_BYTES = 32 * 2**20
"""What goes to a replica as one line of JSON."""

Rows = dict[str, dict[str, Any]]


class DatasetError(Exception):
    """The file cannot be used as a table; the message says why."""


def read_cars() -> Rows:
    """Return the 406 cars, with their nulls, ints, floats and strings."""
    from vega_datasets import local_data

    cars: list[dict[str, Any]] = json.loads(local_data.cars.raw())
    return {f"{number:05}": car for number, car in enumerate(cars, start=1)}


def read_csv(path: Path) -> Rows:
    """Return the rows of a CSV file whose first line names the columns.

    Numbers become ints or floats and an empty field becomes None, as a spreadsheet would show them.

    Raises:
        DatasetError: if the file cannot be read, is not CSV, is too big, has no rows, or has a header that
            cannot become columns.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            names = reader.fieldnames or []
            lines = list(reader)
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}; give a CSV file") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DatasetError(
            f"{path} cannot be read as CSV: {error}; give a UTF-8 file with a header line"
        ) from error
    if not lines or not names:
        raise DatasetError(f"{path} holds no rows; give a CSV file with a header line and at least one row")
    check_names(path, names)
    for number, line in enumerate(lines, start=2):
        if None in line or None in line.values():
            raise DatasetError(
                f"{path} line {number} does not have the header's {len(names)} fields; mend that line"
            )
    rows = {
        f"{number:05}": {name: parse_field(field) for name, field in line.items()}
        for number, line in enumerate(lines, start=1)
    }
    if (size := len(json.dumps(rows))) > MOST_BYTES:
        raise DatasetError(
            f"{path} holds {size:,} bytes as JSON, the demo takes {MOST_BYTES:,}; give a part of it"
        )
    return rows


def check_names(path: Path, names: Sequence[str]) -> None:
    """Refuse a header that cannot become the columns of a table.

    Raises:
        DatasetError: a name is missing, comes twice, is the key's or no column's, or there are too many.
    """
    if len({name.lower() for name in names}) != len(names) or "" in names:
        raise DatasetError(
            f"{path} has columns without a name or named twice: {', '.join(names)}; rename them"
        )
    if len(names) >= MAX_COLUMNS:
        raise DatasetError(f"{path} has {len(names)} columns; leave out some, {MAX_COLUMNS - 1} are the most")
    for name in names:
        if name.lower() == KEY:
            raise DatasetError(f"{path} has a column {name!r}, as the demo's key column is called; rename it")
        try:
            check_column_name(name)
        except IdentifierError as error:
            raise DatasetError(f"{path}: {error}") from error


def parse_field(text: str) -> str | int | float | None:
    """Return the cell for a field; post codes, "nan", " 1" and numbers too long for a float stay text."""
    if text == "":
        return None
    if WHOLE_NUMBER.fullmatch(text):
        return int(text)
    if DECIMAL_NUMBER.fullmatch(text) and isfinite(float(text)):
        return float(text)
    return text
