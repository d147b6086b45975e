"""When cells are equal to a query: JavaScript's ``===`` in conditions, values in keys."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from replicell.store.cells import EncodedCell, encode_cell, is_rich, is_same_cell
from replicell.store.changes import EncodedRow
from replicell.store.missing import MISSING, MissingType

__all__ = ["is_equal_to", "is_same_row", "key_of"]

_TRUE, _FALSE = ("true",), ("false",)


def is_equal_to(wanted: object) -> Callable[[object], bool]:
    """Return the test whether a cell is ``===`` to something; no object or array is equal to another.

    >>> is_equal_to(1)(1.0), is_equal_to(1)(True), is_equal_to(MISSING)(MISSING), is_equal_to([])([])
    (True, False, True, False)
    """
    if wanted is not MISSING:
        encoded = encode_cell(wanted)
        if encoded is MISSING or is_rich(encoded):
            return lambda found: False
    is_boolean = isinstance(wanted, bool)
    return lambda found: found is wanted or (found == wanted and (found.__class__ is bool) is is_boolean)


def key_of(cell: EncodedCell | MissingType) -> Hashable:
    """Return what stands for an encoded cell, or `MISSING`, in a dict of Python, where 1 is True.

    >>> key_of(1) == key_of(1.0), key_of(1) == key_of(True), key_of(None) == key_of(MISSING)
    (True, False, False)
    """
    if cell.__class__ is bool:
        return _TRUE if cell else _FALSE
    return cell


def is_same_row(one: Mapping[Any, Any], other: EncodedRow) -> bool:
    """Tell whether two encoded rows have the same cells, whatever their order."""
    if len(one) != len(other):
        return False
    for cell_id, cell in one.items():
        if cell is not other.get(cell_id, MISSING) and not is_same_cell(cell, other.get(cell_id, MISSING)):
            return False
    return True
