"""What a query says, as data: the clauses that its build function puts together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, Self, TypeAlias, overload

from replicell.store.extractors import RowExtractor
from replicell.store.ids import Id, IdLike, to_id

__all__ = [
    "ROOT",
    "Aggregate",
    "Clauses",
    "GetResultCell",
    "GetTableCell",
    "Group",
    "HavingFunction",
    "Join",
    "Mapper",
    "Named",
    "Order",
    "OrderFunction",
    "Place",
    "Select",
    "SelectAll",
    "SelectFunction",
    "Where",
    "WhereFunction",
]


class GetTableCell(Protocol):
    """Reads a cell of the row at hand, of its table or of a joined one; `MISSING` if it is not there."""

    @overload
    def __call__(self, cell_id: IdLike, /) -> Any: ...
    @overload
    def __call__(self, table_id: IdLike, cell_id: IdLike, /) -> Any: ...
    @overload
    def __call__(self, as_query: Literal[True], query_id: IdLike, cell_id: IdLike, /) -> Any: ...


SelectFunction: TypeAlias = Callable[[GetTableCell, Id], Any]
WhereFunction: TypeAlias = Callable[[GetTableCell], object]
GetResultCell: TypeAlias = Callable[[IdLike], Any]
"""Reads a cell of a result row; `MISSING` if it is not there."""

HavingFunction: TypeAlias = Callable[[GetResultCell], object]
OrderFunction: TypeAlias = Callable[[GetResultCell], Any]
Mapper: TypeAlias = Callable[[Id], IdLike]
Aggregate: TypeAlias = str | Callable[[list[Any], int], Any]
"""The name of an aggregate, or a function of all cells of a group and their number."""


class Place:
    """Whose cell is meant: the root's, or that of a join by its alias."""

    __slots__ = ("alias", "is_query")

    def __init__(self, alias: Id | None = None, is_query: bool = False) -> None:
        self.alias = alias
        """None is the root."""
        self.is_query = is_query


ROOT = Place()


class Named:
    """A clause whose result can be given another name."""

    __slots__ = ("id",)

    def __init__(self, thing_id: Id) -> None:
        self.id = thing_id

    def as_(self, thing_id: IdLike) -> Self:
        """Give the cell, the join or the aggregate another id. Mirrors TinyBase's ``as``."""
        self.id = to_id(thing_id)
        return self


class Select(Named):
    """One cell of the result: another cell, or what a function makes of the row."""

    __slots__ = ("cell_id", "function", "place")

    def __init__(self, thing_id: Id, place: Place, cell_id: Id, function: SelectFunction | None) -> None:
        super().__init__(thing_id)
        self.place = place
        self.cell_id = cell_id
        self.function = function


class SelectAll:
    """All cells of a row, under ids made from their own."""

    __slots__ = ("mapper", "place")

    def __init__(self, place: Place, mapper: Mapper) -> None:
        self.place = place
        self.mapper = mapper


class Join(Named):
    """A table, or the result of a query, whose rows stand beside those of the root; its id is its alias."""

    __slots__ = ("by", "from_alias", "inner", "is_query", "on", "table_id")

    def __init__(
        self,
        table_id: Id,
        is_query: bool,
        from_alias: Id | None,
        on: RowExtractor | None,
        by: Id | None = None,
        inner: bool = False,
    ) -> None:
        super().__init__(table_id)
        self.table_id = table_id
        self.is_query = is_query
        self.from_alias = from_alias
        self.on = on
        self.by = by
        """The cell of the joined rows that is compared; None compares their ids, so at most one matches."""
        self.inner = inner


class Where:
    """A condition on rows: a function, or a cell and what it must be."""

    __slots__ = ("cell_id", "function", "place", "wanted")

    def __init__(self, function: WhereFunction | None, place: Place, cell_id: Id, wanted: object) -> None:
        self.function = function
        self.place = place
        self.cell_id = cell_id
        self.wanted = wanted


class Group(Named):
    """An aggregate of one selected cell over the rows that agree in all others."""

    __slots__ = ("add", "aggregate", "remove", "replace", "selected_id")

    def __init__(
        self,
        selected_id: Id,
        aggregate: Aggregate,
        add: Callable[[Any, Any, int], Any] | None,
        remove: Callable[[Any, Any, int], Any] | None,
        replace: Callable[[Any, Any, Any, int], Any] | None,
    ) -> None:
        super().__init__(selected_id)
        self.selected_id = selected_id
        self.aggregate = aggregate
        self.add = add
        self.remove = remove
        self.replace = replace


class Order:
    """One key of the order of results."""

    __slots__ = ("by", "descending")

    def __init__(self, by: Id | OrderFunction, descending: bool) -> None:
        self.by = by
        self.descending = descending


class Clauses:
    """All clauses of one query, each kind in the order in which they were given."""

    __slots__ = (
        "groups",
        "havings",
        "is_distinct",
        "joins",
        "limit",
        "offset",
        "orders",
        "selections",
        "wheres",
    )

    def __init__(self) -> None:
        self.selections: list[Select | SelectAll] = []
        self.joins: list[Join] = []
        self.wheres: list[Where] = []
        self.groups: list[Group] = []
        self.havings: list[HavingFunction] = []
        self.orders: list[Order] = []
        self.limit: int | None = None
        self.offset = 0
        self.is_distinct = False

    @property
    def is_grouped(self) -> bool:
        """Whether result rows stand for several rows of the root."""
        return bool(self.groups or self.havings or self.is_distinct)

    @property
    def is_ordered(self) -> bool:
        """Whether results have an order of their own, or are cut."""
        return bool(self.orders or self.limit is not None or self.offset)
