"""What content looks like to a type checker: as it is read, and as it may be written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypedDict

from replicell.store.cells import Cell
from replicell.store.changes import Changes
from replicell.store.ids import Id
from replicell.store.sorted_rows import Sorter

__all__ = [
    "ChangesLike",
    "Content",
    "ContentLike",
    "ForEachCell",
    "ForEachRow",
    "Row",
    "RowLike",
    "SortedRowIdsArgs",
    "Table",
    "TableLike",
    "Tables",
    "TablesLike",
    "Values",
    "ValuesLike",
]

Row: TypeAlias = dict[Id, Cell]
"""A row as it is read: cells by cell id."""

Table: TypeAlias = dict[Id, Row]
"""A table as it is read: rows by row id."""

Tables: TypeAlias = dict[Id, Table]
"""All tables as they are read, by table id."""

Values: TypeAlias = dict[Id, Cell]
"""All keyed values as they are read, by value id."""

Content: TypeAlias = tuple[Tables, Values]
"""Everything in a store."""

ForEachCell: TypeAlias = Callable[[Callable[[Id, Cell], object]], None]
"""Calls what it is given with each cell id and cell of one row."""

ForEachRow: TypeAlias = Callable[[Callable[[Id, ForEachCell], object]], None]
"""Calls what it is given with each row id of one table and a `ForEachCell`."""


class SortedRowIdsArgs(TypedDict, total=False):
    """How to sort row ids; TinyBase's ``tableId`` and ``cellId`` are understood as well."""

    table_id: str
    cell_id: str | None
    descending: bool
    offset: int
    limit: int | None
    sorter: Sorter | None


RowLike: TypeAlias = Mapping[Any, object]
"""What may be written as a row; what is no `CellLike` in it is invalid.

Not ``Mapping[Any, CellLike]``, for type checkers see a variable that holds ``{"a": 1, "b": "x"}`` as a dict
of objects, and a TypedDict as a mapping to objects.
"""

TableLike: TypeAlias = Mapping[Any, RowLike]
"""What may be written as a table."""

TablesLike: TypeAlias = Mapping[Any, TableLike]
"""What may be written as tables."""

ValuesLike: TypeAlias = Mapping[Any, object]
"""What may be written as values."""

ContentLike: TypeAlias = tuple[TablesLike, ValuesLike] | Sequence[Mapping[Any, Any]]
"""What may be written as content: tables and values."""

ChangesLike: TypeAlias = Changes | Sequence[Any]
"""What may be applied: ``[tables, values, 1]``."""
