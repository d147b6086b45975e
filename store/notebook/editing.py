"""Edits made in a page: what was typed becomes a cell, or is refused with a reason."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import TypeAlias, cast

from replicell.store.cells import (
    Cell,
    CellLike,
    EncodedCell,
    decode_cell,
    encode_cell,
    is_same_cell,
    parse_json,
    type_of_cell,
)
from replicell.store.errors import EditError
from replicell.store.ids import Id
from replicell.store.missing import MISSING, MissingType
from replicell.store.notebook.html import cell_text, shortened
from replicell.store.schemas import CellRule
from replicell.store.store import Store

__all__ = ["clear_cell", "edit_cell", "edit_value", "parse_edit"]

Read: TypeAlias = Cell | MissingType
"""A cell, or MISSING if a text does not stand for one."""

_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_CONSTANTS: Mapping[str, bool] = {"true": True, "false": False}
_LONGEST_SHOWN = 60


def edit_cell(store: Store, table_id: Id, row_id: Id, cell_id: Id, text: str) -> None:
    """Write what was typed for a cell.

    Raises:
        EditError: If it cannot be stored, or was not; the message says why.
    """
    if not store.has_row(table_id, row_id):
        raise EditError(f"The row {row_id!r} is not there any more.")
    rule = None
    if store._tables_rules is not None:
        rules = store._tables_rules.get(table_id)
        rule = None if rules is None else rules.cells.get(cell_id)
        if rule is None:
            raise EditError(f"The schema knows no cell {cell_id!r} in the table {table_id!r}.")
    _write(
        parse_edit(text, store.get_encoded_cell(table_id, row_id, cell_id), rule),
        lambda cell: store.set_cell(table_id, row_id, cell_id, cell),
        lambda: store.get_encoded_cell(table_id, row_id, cell_id),
    )


def clear_cell(store: Store, table_id: Id, row_id: Id, cell_id: Id) -> None:
    """Delete a cell; one that the schema gives a default gets it.

    Raises:
        EditError: If something kept it; the message says so.
    """
    store.del_cell(table_id, row_id, cell_id)
    if store._tables_rules is None and store.has_cell(table_id, row_id, cell_id):
        raise EditError("Something in the program kept the cell: look at its middleware and listeners.")


def edit_value(store: Store, value_id: Id, text: str) -> None:
    """Write what was typed for a value.

    Raises:
        EditError: If it cannot be stored, or was not; the message says why.
    """
    rule = None
    if store._values_rules is not None:
        rule = store._values_rules.cells.get(value_id)
        if rule is None:
            raise EditError(f"The schema knows no value {value_id!r}.")
    _write(
        parse_edit(text, store.get_encoded_value(value_id), rule),
        lambda cell: store.set_value(value_id, cell),
        lambda: store.get_encoded_value(value_id),
    )


def parse_edit(text: str, present: EncodedCell | MissingType, rule: CellRule | None) -> CellLike:
    """Return the cell that is meant by what was typed.

    A schema's type decides, and the present cell's where there are several or no schema. Where nothing is
    known, what looks like a number, or is ``true`` or ``false``, is that.

    Args:
        text: What was typed.
        present: The cell that is to be replaced.
        rule: What the schema says of it.

    Raises:
        EditError: If it is nothing that the rule allows.

    >>> parse_edit("12", MISSING, None), parse_edit("12", "eleven", None), parse_edit("12.5", 3, None)
    (12, '12', 12.5)
    """
    if rule is None:
        return _guess(text, present)
    if rule.allow_null and text in ("", "null") and "string" not in rule.types:
        return None
    if rule.enum is not None:
        for member in rule.enum:
            if cell_text(member) == text:
                return member
    else:
        for kind in _in_turn(rule.types, present):
            cell = _READERS[kind](text)
            if not isinstance(cell, MissingType):
                return cell
    given = shortened(text, _LONGEST_SHOWN)
    raise EditError(f"“{given}” cannot stand here: {rule.describe()}.")


def _write(
    cell: CellLike, write: Callable[[CellLike], object], read: Callable[[], EncodedCell | MissingType]
) -> None:
    write(cell)
    kept = read()
    if not is_same_cell(kept, encode_cell(cell)):
        shown = "nothing" if isinstance(kept, MissingType) else shortened(cell_text(kept), _LONGEST_SHOWN)
        raise EditError(f"Something in the program made it “{shown}”: look at its middleware and listeners.")


def _guess(text: str, present: EncodedCell | MissingType) -> CellLike:
    if isinstance(present, MissingType) or present is None:
        kinds: Iterable[str] = ("number", "boolean")
    else:
        kinds = (type_of_cell(present),)
    for kind in kinds:
        cell = _READERS[kind](text)
        if not isinstance(cell, MissingType):
            return cell
    return text


def _in_turn(types: Iterable[str], present: EncodedCell | MissingType) -> list[str]:
    """Put the types that may be meant in order: that of the present cell first, text last."""
    now = "" if isinstance(present, MissingType) else type_of_cell(present)
    return sorted(types, key=lambda kind: (kind != now, kind == "string", kind))


def _number(text: str) -> Read:
    stripped = text.strip()
    if _INTEGER.fullmatch(stripped):
        return int(stripped) if len(stripped) < _MOST_DIGITS else MISSING
    if _NUMBER.fullmatch(stripped) and isfinite(float(stripped)):
        return float(stripped)
    return MISSING


def _boolean(text: str) -> Read:
    return _CONSTANTS.get(text.strip().lower(), MISSING)


def _json(kind: type) -> Callable[[str], Read]:
    def read(text: str) -> Read:
        try:
            thing = parse_json(text)
        except ValueError:
            return MISSING
        return cast("Cell", thing) if isinstance(thing, kind) else MISSING

    return read


def _text(text: str) -> Read:
    encoded = encode_cell(text)
    if isinstance(encoded, MissingType):
        raise EditError("A text cannot begin with U+FFFD, nor be U+FFFC alone: the store uses these itself.")
    return decode_cell(encoded)


_MOST_DIGITS = 1000
_READERS: Mapping[str, Callable[[str], Read]] = {
    "number": _number,
    "boolean": _boolean,
    "object": _json(dict),
    "array": _json(list),
    "string": _text,
}
