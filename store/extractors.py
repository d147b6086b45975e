"""Taking something out of a row: by a cell id, or by a function of the row.

Everything derived from a table (slices, numbers, remote rows, sort keys, results of queries) is said in one
of these two ways, TinyBase's row extractors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from replicell.store.cells import Cell, EncodedCell, decode_cell
from replicell.store.changes import EncodedRow
from replicell.store.errors import ArgumentError
from replicell.store.ids import Id, IdLike, to_id
from replicell.store.missing import MISSING, MissingType

__all__ = ["Extract", "GetCell", "RowExtractor", "cells_read", "compile_extractor", "decoded", "get_cell_of"]

GetCell: TypeAlias = Callable[[IdLike], Any]
"""Returns a cell of the row at hand, decoded, or MISSING; which type it has is the caller's to know."""

RowExtractor: TypeAlias = IdLike | Callable[[GetCell, Id], Any]
"""A cell id, or a function of a `GetCell` and the row id."""

Extract: TypeAlias = Callable[[Id, EncodedRow], Any]
"""A compiled extractor: given a row id and the row as it is held, returns what it takes out of it."""


def compile_extractor(
    extractor: RowExtractor | None, default: object = MISSING, *, encoded: bool = False
) -> Extract:
    """Compile a row extractor.

    Args:
        extractor: A cell id, a function ``(get_cell, row_id)``, or None.
        default: What None takes out of every row.
        encoded: Whether a cell id gives the cell as it is held, objects and arrays as text; else decoded.

    Raises:
        ArgumentError: If it is neither a cell id nor a function.

    >>> compile_extractor("age")("fido", {"age": 3}), compile_extractor("age")("rex", {"sold": True})
    (3, MISSING)
    >>> compile_extractor(lambda get_cell, row_id: f"{row_id}:{get_cell('age')}")("fido", {"age": 3})
    'fido:3'
    """
    if extractor is None:
        return lambda row_id, row: default
    if isinstance(extractor, (str, int)):
        cell_id = to_id(extractor)
        if encoded:
            return lambda row_id, row: row.get(cell_id, MISSING)
        return lambda row_id, row: decoded(row.get(cell_id, MISSING))
    if callable(extractor):
        function = extractor
        return lambda row_id, row: function(get_cell_of(row), row_id)
    raise ArgumentError(
        f"a row extractor must be a cell id or a function (get_cell, row_id), but {extractor!r} was given"
    )


def cells_read(*extractors: RowExtractor | None) -> frozenset[Id] | None:
    """Return the ids of the only cells that some extractors look at, or None if that cannot be known.

    >>> sorted(cells_read("species", None, "age")), cells_read("species", lambda get_cell, row_id: row_id)
    (['age', 'species'], None)
    """
    cell_ids = set()
    for extractor in extractors:
        if isinstance(extractor, (str, int)):
            cell_ids.add(to_id(extractor))
        elif extractor is not None:
            return None
    return frozenset(cell_ids)


def get_cell_of(row: EncodedRow) -> GetCell:
    """Return the function that reads cells of a row as it is held.

    >>> get_cell_of({"age": 3})("age"), get_cell_of({"age": 3})("sold")
    (3, MISSING)
    """
    get = row.get

    def get_cell(cell_id: IdLike) -> Cell | MissingType:
        cell: EncodedCell | MissingType = get(to_id(cell_id), MISSING)
        return MISSING if cell is MISSING else decode_cell(cell)

    return get_cell


def decoded(cell: EncodedCell | MissingType) -> Any:
    """Decode a cell as it is held; MISSING stays.

    >>> decoded('\\ufffd[1]'), decoded(2), decoded(MISSING)
    ([1], 2, MISSING)
    """
    return MISSING if cell is MISSING else decode_cell(cell)
