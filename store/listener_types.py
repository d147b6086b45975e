"""The shapes of listener callbacks: the store first, then ids, then what happened.

The `GetCellChange`, `GetIdChanges` and `GetValueChange` functions they are given answer for the transaction
that is being told of, until it is over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from replicell.store.cells import Cell
from replicell.store.changes import GetCellChange, GetIdChanges, GetValueChange
from replicell.store.ids import Id
from replicell.store.missing import MissingType
from replicell.store.row_order import RowOrder

if TYPE_CHECKING:
    from replicell.store.store import Store

__all__ = [
    "CellIdsListener",
    "CellListener",
    "HasCellListener",
    "HasRowListener",
    "HasTableCellListener",
    "HasTableListener",
    "HasTablesListener",
    "HasValueListener",
    "HasValuesListener",
    "InvalidCellListener",
    "InvalidValueListener",
    "RowCountListener",
    "RowIdsListener",
    "RowListener",
    "SortedRowIdsListener",
    "TableCellIdsListener",
    "TableIdsListener",
    "TableListener",
    "TablesListener",
    "TransactionListener",
    "ValueIdsListener",
    "ValueListener",
    "ValuesListener",
]

HasTablesListener: TypeAlias = "Callable[[Store, bool], object]"
TablesListener: TypeAlias = "Callable[[Store, GetCellChange], object]"
TableIdsListener: TypeAlias = "Callable[[Store, GetIdChanges], object]"
HasTableListener: TypeAlias = "Callable[[Store, Id, bool], object]"
TableListener: TypeAlias = "Callable[[Store, Id, GetCellChange], object]"
TableCellIdsListener: TypeAlias = "Callable[[Store, Id, GetIdChanges], object]"
HasTableCellListener: TypeAlias = "Callable[[Store, Id, Id, bool], object]"
RowCountListener: TypeAlias = "Callable[[Store, Id, int], object]"
RowIdsListener: TypeAlias = "Callable[[Store, Id, GetIdChanges], object]"
SortedRowIdsListener: TypeAlias = "Callable[[Store, Id, Id | None, bool, int, int | None, RowOrder], object]"
HasRowListener: TypeAlias = "Callable[[Store, Id, Id, bool], object]"
RowListener: TypeAlias = "Callable[[Store, Id, Id, GetCellChange], object]"
CellIdsListener: TypeAlias = "Callable[[Store, Id, Id, GetIdChanges], object]"
HasCellListener: TypeAlias = "Callable[[Store, Id, Id, Id, bool], object]"
CellListener: TypeAlias = (
    "Callable[[Store, Id, Id, Id, Cell | MissingType, Cell | MissingType, GetCellChange], object]"
)
InvalidCellListener: TypeAlias = (
    "Callable[[Store, Id | MissingType, Id | MissingType, Id | MissingType, list[Any]], object]"
)
HasValuesListener: TypeAlias = "Callable[[Store, bool], object]"
ValuesListener: TypeAlias = "Callable[[Store, GetValueChange], object]"
ValueIdsListener: TypeAlias = "Callable[[Store, GetIdChanges], object]"
HasValueListener: TypeAlias = "Callable[[Store, Id, bool], object]"
ValueListener: TypeAlias = (
    "Callable[[Store, Id, Cell | MissingType, Cell | MissingType, GetValueChange], object]"
)
InvalidValueListener: TypeAlias = "Callable[[Store, Id | MissingType, list[Any]], object]"
TransactionListener: TypeAlias = "Callable[[Store], object]"
