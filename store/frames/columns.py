"""Cells as Arrow columns; imported only when a frame is exported."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from replicell.store.cells import EncodedCell, encode_cell, has_rich, is_rich
from replicell.store.errors import FrameError
from replicell.store.frames.marked_text import is_unicode, to_marked_text
from replicell.store.ids import Id
from replicell.store.missing import MISSING, MissingType
from replicell.store.schemas import CellRule, TableRules

if TYPE_CHECKING:
    from replicell.store.frames.frame import Objects

__all__ = ["arrow_table"]

_MOST_EXACT = 1 << 53
"""Up to here every int is a float as well."""

_ARROW_ERRORS = (pa.ArrowException, OverflowError, UnicodeEncodeError, ValueError, TypeError)


def arrow_table(
    ids: tuple[str, Sequence[Id]] | None,
    columns: Mapping[Id, Sequence[EncodedCell | MissingType]],
    rules: TableRules | None,
    objects: Objects,
) -> pa.Table:
    """Make a pyarrow Table of cells as they are held.

    Args:
        ids: The name of the column of row ids, and the ids.
        columns: The cells, by name.
        rules: What the schema says of the table.
        objects: How objects and arrays are written.

    Raises:
        FrameError: If there is something that Arrow cannot hold.
    """
    arrays: dict[str, Any] = {} if ids is None else {ids[0]: _array_of_ids(ids[1])}
    for cell_id, given in columns.items():
        rule = None if rules is None else rules.cells.get(cell_id)
        arrays[cell_id] = _array(cell_id, given, rule, objects)
    for name in arrays:
        if not _is_name(name):
            raise FrameError(
                f"{name!r} cannot name a column: Arrow's names are Unicode without NUL. Rename the cell, or "
                "choose others with columns."
            )
    return pa.Table.from_arrays(list(arrays.values()), names=list(arrays))


def _is_name(name: str) -> bool:
    # Names end at a NUL when they go from one library to another.
    return "\0" not in name and is_unicode(name)


def _array_of_ids(row_ids: Sequence[Id]) -> Any:
    try:
        return pa.array(row_ids, pa.string())
    except UnicodeEncodeError:
        odd = next(row_id for row_id in row_ids if not is_unicode(row_id))
        raise FrameError(
            f"row id {odd!r} cannot be in a frame, as it is no Unicode. Give the row another id, or leave "
            "the ids out with id_column=None."
        ) from None


def _array(
    cell_id: Id, given: Sequence[EncodedCell | MissingType], rule: CellRule | None, objects: Objects
) -> Any:
    kinds = set(map(type, given)) - {NoneType}
    cells: Any = given
    if MissingType in kinds:
        cells = [None if cell is MISSING else cell for cell in given]
        kinds.remove(MissingType)
    if not kinds:
        return pa.nulls(len(cells), _type_by_rule(rule))
    if kinds == {str}:
        return _array_of_strings(cell_id, cells, objects)
    if kinds == {bool}:
        return pa.array(cells, pa.bool_())
    if kinds == {float} or (kinds == {int, float} and _are_exact_as_floats(cells)):
        return pa.array(cells, pa.float64())
    if kinds == {int}:
        try:
            return pa.array(cells, pa.int64())
        except OverflowError:
            pass
    return _array_of_text(cells)


def _array_of_strings(cell_id: Id, cells: list[EncodedCell], objects: Objects) -> Any:
    if has_rich(cells):
        if objects != "text" and all(is_rich(cell) for cell in cells if cell is not None):
            array = _nested_array(cells)
            if array is not None and (objects == "nested" or _comes_back(array, cells)):
                return array
        if objects == "nested":
            raise FrameError(
                f"the objects and arrays of column {cell_id!r} are too different for one nested type of "
                'Arrow. Write them as text, with objects="text" or objects="auto".'
            )
        return _array_of_text(cells)
    try:
        return pa.array(cells, pa.string())
    except UnicodeEncodeError:
        return _array_of_text(cells)


def _array_of_text(cells: list[EncodedCell]) -> Any:
    return pa.array(to_marked_text(cells), pa.string())


def _are_exact_as_floats(cells: list[EncodedCell]) -> bool:
    return all(-_MOST_EXACT <= cell <= _MOST_EXACT for cell in cells if type(cell) is int)


def _type_by_rule(rule: CellRule | None) -> Any:
    """Return the type of a column without content."""
    if rule is None:
        return pa.null()
    kinds = rule.types or {_kind_of(member) for member in rule.enum or ()}
    if kinds == {"boolean"}:
        return pa.bool_()
    return pa.float64() if kinds == {"number"} else pa.string()


def _kind_of(member: EncodedCell) -> str:
    if isinstance(member, bool):
        return "boolean"
    return "string" if isinstance(member, str) else "number"


def _nested_array(cells: list[EncodedCell]) -> Any:
    decoded = [json.loads(cell[1:]) if isinstance(cell, str) else None for cell in cells]
    try:
        array = pa.array(decoded)
        wanted = _without_nulls(array.type)
        return None if wanted is None else pa.array(decoded, wanted)
    except _ARROW_ERRORS:
        return None


def _without_nulls(kind: Any) -> Any:
    """Return a nested type in which what is always null is a string, or None if Arrow has no such type."""
    if pa.types.is_null(kind):
        return pa.string()
    if pa.types.is_list(kind):
        item = _without_nulls(kind.value_type)
        return None if item is None else pa.list_(item)
    if pa.types.is_struct(kind):
        fields = [(field.name, _without_nulls(field.type)) for field in kind]
        # DuckDB does not tell "a" from "A", and renames what has no name.
        names = {name.casefold() for name, _ in fields if name and _is_name(name)}
        usable = len(names) == len(fields) > 0 and all(part is not None for _, part in fields)
        return pa.struct(fields) if usable else None
    return kind


def _comes_back(array: Any, cells: list[EncodedCell]) -> bool:
    """Tell whether nested data says exactly what the cells say, which it does not where keys are absent."""
    return all(
        cell is None or encode_cell(back) == cell for back, cell in zip(array.to_pylist(), cells, strict=True)
    )
