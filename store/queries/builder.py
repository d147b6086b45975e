"""Saying what a query wants: the object that a build function is given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Self, TypeAlias, overload

from replicell.store.cells import Cell, CellLike
from replicell.store.errors import ArgumentError, DefinitionError
from replicell.store.extractors import RowExtractor
from replicell.store.ids import Id, IdLike, to_id
from replicell.store.missing import MISSING, MissingType
from replicell.store.queries.clauses import (
    ROOT,
    Aggregate,
    Clauses,
    Group,
    HavingFunction,
    Join,
    Mapper,
    Named,
    Order,
    OrderFunction,
    Place,
    Select,
    SelectAll,
    SelectFunction,
    Where,
    WhereFunction,
)
from replicell.store.queries.equality import is_equal_to

__all__ = ["Build", "QueryBuilder", "clauses_of"]


class QueryBuilder:
    """What the build function of a query is given to say what it wants.

    The order of calls matters only among calls of one kind. Where a call takes a table, ``True`` and the id
    of a query stand for that query's result. Mirrors the keywords that TinyBase passes to ``build``.
    """

    __slots__ = ("_clauses", "_params", "_selects")

    def __init__(self, params: dict[Id, Cell]) -> None:
        self._params = params
        self._clauses = Clauses()
        self._selects = 0

    # --- what ---------------------------------------------------------------------------------------------

    @overload
    def select(self, cell_id: IdLike, /) -> Named: ...
    @overload
    def select(self, function: SelectFunction, /) -> Named: ...
    @overload
    def select(self, joined_table_id: IdLike, cell_id: IdLike, /) -> Named: ...
    @overload
    def select(self, as_query: Literal[True], joined_query_id: IdLike, cell_id: IdLike, /) -> Named: ...
    def select(self, *arguments: Any) -> Named:
        """Put a cell into the result. Mirrors TinyBase's ``select``.

        Args:
            arguments: A cell id; a joined table (or its alias) and a cell id; True, a joined query and a cell
                id; or a function of a `GetTableCell` and the root's row id. A result of `MISSING`, or one
                that cannot be a cell, leaves the cell out.

        Returns:
            Something whose ``.as_(id)`` names the cell. By default that is its own id, for functions the
            number of the select call, counted from ``"0"``.
        """
        function = _function_of(arguments)
        if function is None:
            place, cell_id = _path_of(arguments)
            clause = Select(cell_id, place, cell_id, None)
        else:
            clause = Select(str(self._selects), ROOT, "", function)
        self._selects += 1
        self._clauses.selections.append(clause)
        return clause

    @overload
    def select_all(self) -> Self: ...
    @overload
    def select_all(
        self, joined_table_id: IdLike | None, prefix_or_mapper: str | Mapper | None = None, /
    ) -> Self: ...
    @overload
    def select_all(
        self,
        as_query: Literal[True],
        joined_query_id: IdLike,
        prefix_or_mapper: str | Mapper | None = None,
        /,
    ) -> Self: ...
    def select_all(self, *arguments: Any) -> Self:
        """Put all cells of a row into the result. Mirrors TinyBase's ``selectAll``.

        Args:
            arguments: Nothing or None for the root, or a joined table, or True and a joined query; then what
                is put before each cell id, or a function that makes another id of it.
        """
        is_query, rest = _flagged(arguments)
        is_root = not rest or rest[0] is None or rest[0] is MISSING
        place = ROOT if is_root else Place(to_id(rest[0]), is_query)
        naming: str | Mapper | None = rest[1] if len(rest) > 1 else None
        if callable(naming):
            self._clauses.selections.append(SelectAll(place, naming))
            return self
        prefix = "" if naming is None else to_id(naming)
        self._clauses.selections.append(SelectAll(place, lambda cell_id: prefix + cell_id))
        return self

    # --- from where ---------------------------------------------------------------------------------------

    @overload
    def join(self, table_id: IdLike, on: RowExtractor, /) -> Named: ...
    @overload
    def join(self, as_query: Literal[True], query_id: IdLike, on: RowExtractor, /) -> Named: ...
    @overload
    def join(self, table_id: IdLike, from_alias: IdLike, on: RowExtractor, /) -> Named: ...
    @overload
    def join(
        self, as_query: Literal[True], query_id: IdLike, from_alias: IdLike, on: RowExtractor, /
    ) -> Named: ...
    def join(self, *arguments: Any) -> Named:
        """Put beside each row the one row of another table whose id it names. Mirrors TinyBase's ``join``.

        Rows without a match stay, with the joined cells `MISSING`.

        Args:
            arguments: A table, or True and a query; perhaps the alias of another join to start from instead
                of the root; and what names the row: a cell id, or a function of a `GetCell` and the root's
                row id.

        Returns:
            Something whose ``.as_(alias)`` names the join, which is needed to join one table twice.
        """
        is_query, rest = _flagged(arguments)
        if len(rest) not in (2, 3):
            raise ArgumentError(
                f"join takes a table, perhaps an alias, and what names its row; got {arguments!r}"
            )
        from_alias = None if len(rest) == 2 or callable(rest[1]) else to_id(rest[1])
        on = rest[1] if callable(rest[1]) else rest[-1]
        joined = Join(to_id(rest[0]), is_query, from_alias, on)
        self._clauses.joins.append(joined)
        return joined

    def join_each(
        self,
        table_id: IdLike,
        by: IdLike,
        on: RowExtractor | None = None,
        *,
        from_alias: IdLike | None = None,
        inner: bool = False,
        is_query: bool = False,
    ) -> Named:
        """Put beside each row every row of another table in which some cell matches, one result row for each.

        This goes beyond TinyBase. Result row ids are then JSON arrays of the row ids that came together: the
        root's, followed by one for each `join_each`, null where nothing matched.

        Args:
            table_id: The table to join, or the query if `is_query` is true.
            by: The cell of its rows that is compared.
            on: What it is compared with: a cell id, or a function of a `GetCell` and the root's row id. By
                default the id of the row itself. Absent cells and None match nothing.
            from_alias: The join to start from instead of the root.
            inner: Whether rows without a match are left out; by default they stay once, with the joined
                cells `MISSING`.
            is_query: Whether the id is that of a query.
        """
        start = None if from_alias is None else to_id(from_alias)
        joined = Join(to_id(table_id), is_query, start, on, to_id(by), inner)
        self._clauses.joins.append(joined)
        return joined

    # --- which --------------------------------------------------------------------------------------------

    @overload
    def where(self, function: WhereFunction, /) -> Self: ...
    @overload
    def where(self, cell_id: IdLike, equals: CellLike | MissingType, /) -> Self: ...
    @overload
    def where(self, joined_table_id: IdLike, cell_id: IdLike, equals: CellLike | MissingType, /) -> Self: ...
    @overload
    def where(
        self,
        as_query: Literal[True],
        joined_query_id: IdLike,
        cell_id: IdLike,
        equals: CellLike | MissingType,
        /,
    ) -> Self: ...
    def where(self, *arguments: Any) -> Self:
        """Keep only rows that meet a condition, and all others there are. Mirrors TinyBase's ``where``.

        Args:
            arguments: A function of a `GetTableCell`; or a cell, as for `select`, and what it must be equal
                to. `MISSING` asks for an absent cell; objects and arrays are equal to nothing.
        """
        function = _function_of(arguments)
        if function is not None:
            self._clauses.wheres.append(Where(function, ROOT, "", MISSING))
            return self
        if len(arguments) < 2:
            raise ArgumentError(f"where takes a function, or a cell and what it must be; got {arguments!r}")
        # True is also something a cell can be equal to: it is a flag only where a query and a cell follow.
        place, cell_id = _path_of(arguments[:-1])
        self._clauses.wheres.append(Where(None, place, cell_id, arguments[-1]))
        return self

    # --- together -----------------------------------------------------------------------------------------

    def group(
        self,
        selected_id: IdLike,
        aggregate: Aggregate,
        add: Callable[[Any, Any, int], Any] | None = None,
        remove: Callable[[Any, Any, int], Any] | None = None,
        replace: Callable[[Any, Any, Any, int], Any] | None = None,
    ) -> Named:
        """Aggregate a selected cell over the rows in which all cells without an aggregate agree.

        Mirrors TinyBase's ``group``.

        Args:
            selected_id: The cell of the result so far.
            aggregate: ``"count"``, ``"sum"``, ``"avg"``, ``"min"``, ``"max"``, or beyond TinyBase
                ``"count_distinct"``; other names count. Or a function of the list of all cells and its
                length.
            add: For a function, a short cut: given the aggregate, an added cell and how many there were
                before, returns the new aggregate, or `MISSING` to have it computed from all cells.
            remove: The same for a cell that is removed.
            replace: The same for one that is replaced: the aggregate, the new cell, the old one, how many.

        Returns:
            Something whose ``.as_(id)`` names the aggregate, so that one cell can have several.
        """
        clause = Group(to_id(selected_id), aggregate, add, remove, replace)
        self._clauses.groups.append(clause)
        return clause

    @overload
    def having(self, function: HavingFunction, /) -> Self: ...
    @overload
    def having(self, selected_or_grouped_id: IdLike, equals: CellLike | MissingType, /) -> Self: ...
    def having(self, *arguments: Any) -> Self:
        """Keep only groups that meet a condition, and all others there are. Mirrors TinyBase's ``having``.

        Without `group`, results are the distinct combinations of selected cells.

        Args:
            arguments: A function of a function that reads cells of the group, by their ids in the result; or
                such an id and what the cell must be equal to.
        """
        function = _function_of(arguments)
        if function is None:
            cell_id, wanted = to_id(arguments[0]), arguments[1]
            function = _equality(cell_id, wanted)
        self._clauses.havings.append(function)
        return self

    def distinct(self) -> Self:
        """Keep one result row for each combination of selected cells. This goes beyond TinyBase."""
        self._clauses.is_distinct = True
        return self

    # --- in which order -----------------------------------------------------------------------------------

    def order_by(self, by: IdLike | OrderFunction, descending: bool = False) -> Self:
        """Put results into an order; further calls decide among equals. This goes beyond TinyBase.

        Numbers come first (absent cells and None count as 0), then strings, then objects and arrays. What is
        equal in all keys follows the root's row ids, or the cells of the group, ascending.

        Args:
            by: A cell of the result, or a function of a function that reads them.
            descending: Whether the last comes first.
        """
        self._clauses.orders.append(Order(by if callable(by) else to_id(by), bool(descending)))
        return self

    def limit(self, count: int) -> Self:
        """Keep only so many of the first results. This goes beyond TinyBase.

        Raises:
            DefinitionError: If the number is negative.
        """
        self._clauses.limit = _count("limit", count)
        return self

    def offset(self, count: int) -> Self:
        """Leave out so many of the first results. This goes beyond TinyBase.

        Raises:
            DefinitionError: If the number is negative.
        """
        self._clauses.offset = _count("offset", count)
        return self

    # ------------------------------------------------------------------------------------------------------

    def param(self, param_id: IdLike) -> Any:
        """Return a parameter of the query, or `MISSING`. Mirrors TinyBase's ``param``.

        When a parameter changes, the query is built anew.
        """
        return self._params.get(to_id(param_id), MISSING)


Build: TypeAlias = Callable[[QueryBuilder], object]
"""Says what a query wants; what it returns is ignored, so a tuple of calls in a lambda will do."""


def clauses_of(build: Build, params: dict[Id, Cell]) -> Clauses:
    """Have a query say what it wants, given its parameters."""
    builder = QueryBuilder(params)
    build(builder)
    return builder._clauses


def _function_of(arguments: tuple[Any, ...]) -> Callable[..., Any] | None:
    return arguments[0] if len(arguments) == 1 and callable(arguments[0]) else None


def _flagged(arguments: tuple[Any, ...]) -> tuple[bool, tuple[Any, ...]]:
    if arguments and arguments[0] is True:
        return True, arguments[1:]
    return False, arguments


def _path_of(arguments: tuple[Any, ...]) -> tuple[Place, Id]:
    is_query, rest = _flagged(arguments)
    if len(rest) == 2:
        return Place(to_id(rest[0]), is_query), to_id(rest[1])
    if len(rest) == 1 and not is_query:
        return ROOT, to_id(rest[0])
    raise ArgumentError(
        "a cell is given as (cell_id), (table_id, cell_id) or (True, query_id, cell_id), "
        f"not as {arguments!r}"
    )


def _equality(cell_id: Id, wanted: object) -> HavingFunction:
    is_wanted = is_equal_to(wanted)
    return lambda get_cell: is_wanted(get_cell(cell_id))


def _count(name: str, count: int) -> int:
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise DefinitionError(f"the {name} of a query must be a number from 0, but {count!r} was given")
    return count
