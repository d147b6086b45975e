"""Reading a store: everything that only looks.

Nothing here raises for what is not there: missing tables, rows and values read as empty, missing cells and
values as the `default`. Whatever is returned is a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import itemgetter
from threading import get_ident
from typing import Any, TypeVar, overload

from replicell.store.cells import Cell, EncodedCell, decode_cell
from replicell.store.changes import EncodedRow, EncodedTable
from replicell.store.content_types import (
    Content,
    ForEachCell,
    ForEachRow,
    Row,
    SortedRowIdsArgs,
    Table,
    Tables,
    Values,
)
from replicell.store.ids import Id, IdLike, to_id
from replicell.store.missing import MISSING, MissingType
from replicell.store.sorted_rows import SortedRowsSpec, Sorter
from replicell.store.state import StoreState

__all__ = ["Reading"]

_T = TypeVar("_T")
_NO_ROWS: EncodedTable = {}
_NO_CELLS: EncodedRow = {}


class Reading(StoreState):
    """The methods of a store that only read."""

    __slots__ = ()

    # --- tables -------------------------------------------------------------------------------------------

    def get_content(self) -> Content:
        """Return everything: the tables and the values.

        Mirrors TinyBase's ``getContent``.

        >>> Store().set_cell("pets", "fido", "sold", True).set_value("open", True).get_content()
        ({'pets': {'fido': {'sold': True}}}, {'open': True})
        """
        return self.get_tables(), self.get_values()

    def get_tables(self) -> Tables:
        """Return all tables. Mirrors TinyBase's ``getTables``.

        >>> Store().set_cell("pets", "fido", "sold", True).get_tables()
        {'pets': {'fido': {'sold': True}}}
        """
        self._check_thread()
        return {table_id: self._copy_table(table_id, table) for table_id, table in self._tables.items()}

    def get_table_ids(self) -> list[Id]:
        """Return the ids of all tables, in the order they came. Mirrors TinyBase's ``getTableIds``.

        >>> Store().set_cell("pets", "fido", "age", 3).set_cell("species", "dog", "legs", 4).get_table_ids()
        ['pets', 'species']
        """
        self._check_thread()
        return list(self._tables)

    def get_table(self, table_id: IdLike) -> Table:
        """Return a table, empty if there is none of that id. Mirrors TinyBase's ``getTable``.

        >>> Store().set_cell("pets", "fido", "sold", True).get_table("pets")
        {'fido': {'sold': True}}
        """
        self._check_thread()
        table_id = to_id(table_id)
        return self._copy_table(table_id, self._tables.get(table_id, _NO_ROWS))

    def get_table_cell_ids(self, table_id: IdLike) -> list[Id]:
        """Return the ids of the cells that any row of a table has, in the order of their first use.

        Mirrors TinyBase's ``getTableCellIds``.

        >>> store = Store().set_table("pets", {"fido": {"age": 3}, "felix": {"sold": True}})
        >>> store.get_table_cell_ids("pets")
        ['age', 'sold']
        """
        self._check_thread()
        return list(self._cell_counts.get(to_id(table_id), ()))

    def get_row_count(self, table_id: IdLike) -> int:
        """Return how many rows a table has. Mirrors TinyBase's ``getRowCount``.

        >>> Store().set_cell("pets", "fido", "sold", True).get_row_count("pets")
        1
        """
        self._check_thread()
        return len(self._tables.get(to_id(table_id), _NO_ROWS))

    def get_row_ids(self, table_id: IdLike) -> list[Id]:
        """Return the ids of a table's rows, in the order they came. Mirrors TinyBase's ``getRowIds``.

        >>> Store().set_table("pets", {"fido": {"age": 3}, "felix": {"age": 2}}).get_row_ids("pets")
        ['fido', 'felix']
        """
        self._check_thread()
        return list(self._tables.get(to_id(table_id), _NO_ROWS))

    @overload
    def get_sorted_row_ids(
        self,
        table_id: IdLike,
        cell_id: IdLike | None = None,
        descending: bool = False,
        offset: int = 0,
        limit: int | None = None,
        sorter: Sorter | None = None,
    ) -> list[Id]: ...
    @overload
    def get_sorted_row_ids(self, table_id: SortedRowIdsArgs | Mapping[str, Any]) -> list[Id]: ...
    def get_sorted_row_ids(
        self,
        table_id: IdLike | SortedRowIdsArgs | Mapping[str, Any],
        cell_id: IdLike | None = None,
        descending: bool = False,
        offset: int = 0,
        limit: int | None = None,
        sorter: Sorter | None = None,
    ) -> list[Id]:
        """Return the ids of a table's rows, sorted by one of their cells or by the ids themselves.

        Numbers come first (an absent cell and None count as 0), then strings, then objects and arrays. Rows
        that compare equal keep the order they came in. `descending` gives the exact reverse; with a sorter it
        turns round the sorter's result instead. While somebody listens to the same order, reading a window of
        it sorts nothing. Mirrors TinyBase's ``getSortedRowIds``.

        Args:
            table_id: The table, or all of these arguments as one mapping (`SortedRowIdsArgs`).
            cell_id: The cell to sort by; None sorts by row id.
            descending: Whether the last comes first.
            offset: How many rows to leave out at the beginning; negative counts from the end.
            limit: How many rows to return at most.
            sorter: Compares two cells or row ids, returning a number below, equal to or above 0.

        >>> store = Store().set_table("pets", {"fido": {"age": 3}, "felix": {"age": 2}, "rex": {"age": 9}})
        >>> store.get_sorted_row_ids("pets", "age")
        ['felix', 'fido', 'rex']
        >>> store.get_sorted_row_ids({"table_id": "pets", "cell_id": "age", "descending": True, "limit": 1})
        ['rex']
        """
        self._check_thread()
        if isinstance(table_id, Mapping):
            spec = SortedRowsSpec.from_options(table_id)
        else:
            spec = SortedRowsSpec.from_arguments(table_id, cell_id, descending, offset, limit, sorter)
        view = self._sorted.find_view(spec)
        if view is None:
            return spec.sort(self._tables.get(spec.table_id, _NO_ROWS))
        if not view.settled:
            self._sorted.follow_view(spec.table_id, view, self._record.cells.get(spec.table_id, ()))
            view.settled = self._depth < 0
        return view.window(spec.offset, spec.limit, spec.reversed)

    # --- rows and cells -----------------------------------------------------------------------------------

    def get_row(self, table_id: IdLike, row_id: IdLike) -> Row:
        """Return a row, empty if there is none of that id. Mirrors TinyBase's ``getRow``.

        >>> Store().set_row("pets", "fido", {"species": "dog", "sold": True}).get_row("pets", "fido")
        {'species': 'dog', 'sold': True}
        """
        if self._owner != get_ident():
            self._check_thread()
        try:
            row = self._tables[table_id][row_id]  # type: ignore[index]  # others are not found
        except (KeyError, TypeError):
            table_id = to_id(table_id)
            row = self._find_row(table_id, row_id)
        if self._rich_tables and table_id in self._rich_tables:
            return {cell_id: decode_cell(cell) for cell_id, cell in row.items()}
        return row.copy()  # type: ignore[return-value]  # no rich cells: encoded and decoded are the same

    def get_cell_ids(self, table_id: IdLike, row_id: IdLike) -> list[Id]:
        """Return the ids of a row's cells, in the order they came. Mirrors TinyBase's ``getCellIds``.

        >>> Store().set_row("pets", "fido", {"species": "dog", "sold": True}).get_cell_ids("pets", "fido")
        ['species', 'sold']
        """
        self._check_thread()
        return list(self._find_row(table_id, row_id))

    @overload
    def get_cell(self, table_id: IdLike, row_id: IdLike, cell_id: IdLike) -> Cell: ...
    @overload
    def get_cell(self, table_id: IdLike, row_id: IdLike, cell_id: IdLike, default: _T) -> Cell | _T: ...
    def get_cell(self, table_id: IdLike, row_id: IdLike, cell_id: IdLike, default: object = None) -> object:
        """Return a cell. Mirrors TinyBase's ``getCell``.

        Args:
            table_id: The table.
            row_id: The row.
            cell_id: The cell.
            default: What to return if it is not there. Since None is a legal cell, give `MISSING` to tell
                the two apart.

        >>> store = Store().set_cell("pets", "fido", "sold", None)
        >>> store.get_cell("pets", "fido", "sold", MISSING), store.get_cell("pets", "fido", "age", MISSING)
        (None, MISSING)
        """
        if self._owner != get_ident():
            self._check_thread()
        try:
            cell = self._tables[table_id][row_id][cell_id]  # type: ignore[index]  # others are not found
        except (KeyError, TypeError):
            found = self._find_row(table_id, row_id).get(to_id(cell_id), MISSING)
            return default if found is MISSING else decode_cell(found)
        return decode_cell(cell) if type(cell) is str else cell

    def has_tables(self) -> bool:
        """Tell whether there are any tables. Mirrors TinyBase's ``hasTables``.

        >>> Store().has_tables()
        False
        """
        self._check_thread()
        return bool(self._tables)

    def has_table(self, table_id: IdLike) -> bool:
        """Tell whether there is a table of that id. Mirrors TinyBase's ``hasTable``.

        >>> Store().set_cell("pets", "fido", "sold", True).has_table("pets")
        True
        """
        self._check_thread()
        return to_id(table_id) in self._tables

    def has_table_cell(self, table_id: IdLike, cell_id: IdLike) -> bool:
        """Tell whether any row of a table has a cell of that id. Mirrors TinyBase's ``hasTableCell``.

        >>> Store().set_cell("pets", "fido", "sold", True).has_table_cell("pets", "sold")
        True
        """
        self._check_thread()
        return to_id(cell_id) in self._cell_counts.get(to_id(table_id), ())

    def has_row(self, table_id: IdLike, row_id: IdLike) -> bool:
        """Tell whether a table has a row of that id. Mirrors TinyBase's ``hasRow``.

        >>> Store().set_cell("pets", "fido", "sold", True).has_row("pets", "fido")
        True
        """
        self._check_thread()
        return to_id(row_id) in self._tables.get(to_id(table_id), _NO_ROWS)

    def has_cell(self, table_id: IdLike, row_id: IdLike, cell_id: IdLike) -> bool:
        """Tell whether a row has a cell of that id. Mirrors TinyBase's ``hasCell``.

        >>> Store().set_cell("pets", "fido", "sold", None).has_cell("pets", "fido", "sold")
        True
        """
        self._check_thread()
        return to_id(cell_id) in self._find_row(table_id, row_id)

    # --- values -------------------------------------------------------------------------------------------

    def get_values(self) -> Values:
        """Return all keyed values. Mirrors TinyBase's ``getValues``.

        >>> Store().set_values({"open": True, "employees": 3}).get_values()
        {'open': True, 'employees': 3}
        """
        self._check_thread()
        return {value_id: decode_cell(value) for value_id, value in self._values.items()}

    def get_value_ids(self) -> list[Id]:
        """Return the ids of all values, in the order they came. Mirrors TinyBase's ``getValueIds``.

        >>> Store().set_values({"open": True, "employees": 3}).get_value_ids()
        ['open', 'employees']
        """
        self._check_thread()
        return list(self._values)

    @overload
    def get_value(self, value_id: IdLike) -> Cell: ...
    @overload
    def get_value(self, value_id: IdLike, default: _T) -> Cell | _T: ...
    def get_value(self, value_id: IdLike, default: object = None) -> object:
        """Return a value, or `default` if there is none of that id. Mirrors TinyBase's ``getValue``.

        >>> Store().set_value("open", True).get_value("open")
        True
        """
        if self._owner != get_ident():
            self._check_thread()
        value = self._values.get(to_id(value_id), MISSING)
        return default if value is MISSING else decode_cell(value)

    def has_values(self) -> bool:
        """Tell whether there are any values. Mirrors TinyBase's ``hasValues``.

        >>> Store().has_values()
        False
        """
        self._check_thread()
        return bool(self._values)

    def has_value(self, value_id: IdLike) -> bool:
        """Tell whether there is a value of that id. Mirrors TinyBase's ``hasValue``.

        >>> Store().set_value("open", None).has_value("open")
        True
        """
        self._check_thread()
        return to_id(value_id) in self._values

    # --- iterating ----------------------------------------------------------------------------------------

    def for_each_table(self, table_callback: Callable[[Id, ForEachRow], object]) -> None:
        """Call back with each table id and a function that goes through its rows.

        What was there at the beginning is visited, unless it is gone when its turn comes. Mirrors TinyBase's
        ``forEachTable``.

        >>> store = Store().set_tables({"pets": {"fido": {"sold": True}}, "species": {"dog": {"legs": 4}}})
        >>> store.for_each_table(lambda table_id, for_each_row: for_each_row(
        ...     lambda row_id, for_each_cell: print(table_id, row_id)))
        pets fido
        species dog
        """
        self._check_thread()
        for table_id in list(self._tables):
            if table_id in self._tables:
                table_callback(table_id, self._row_visitor(table_id))

    def for_each_table_cell(self, table_id: IdLike, callback: Callable[[Id, int], object]) -> None:
        """Call back with each cell id used in a table and the number of rows that use it.

        Mirrors TinyBase's ``forEachTableCell``.

        >>> store = Store().set_table("pets", {"fido": {"age": 3}, "felix": {"age": 2}})
        >>> store.for_each_table_cell("pets", print)
        age 2
        """
        self._check_thread()
        for cell_id, count in list(self._cell_counts.get(to_id(table_id), {}).items()):
            callback(cell_id, count)

    def for_each_row(self, table_id: IdLike, row_callback: Callable[[Id, ForEachCell], object]) -> None:
        """Call back with each row id of a table and a function that goes through its cells.

        Mirrors TinyBase's ``forEachRow``.

        >>> store = Store().set_table("pets", {"fido": {"age": 3}, "felix": {"age": 2}})
        >>> store.for_each_row("pets", lambda row_id, for_each_cell: for_each_cell(print))
        age 3
        age 2
        """
        self._check_thread()
        self._row_visitor(to_id(table_id))(row_callback)

    def for_each_cell(self, table_id: IdLike, row_id: IdLike, callback: Callable[[Id, Cell], object]) -> None:
        """Call back with each cell id and cell of a row. Mirrors TinyBase's ``forEachCell``.

        >>> Store().set_row("pets", "fido", {"species": "dog", "age": 3}).for_each_cell("pets", "fido", print)
        species dog
        age 3
        """
        self._check_thread()
        self._cell_visitor(to_id(table_id), to_id(row_id))(callback)

    def for_each_value(self, callback: Callable[[Id, Cell], object]) -> None:
        """Call back with each value id and value. Mirrors TinyBase's ``forEachValue``.

        >>> Store().set_values({"open": True, "employees": 3}).for_each_value(print)
        open True
        employees 3
        """
        self._check_thread()
        for value_id in list(self._values):
            if value_id in self._values:
                callback(value_id, decode_cell(self._values[value_id]))

    # --- the encoded form ---------------------------------------------------------------------------------

    def get_encoded_tables(self) -> dict[Id, EncodedTable]:
        """Return all tables as they are held, objects and arrays as U+FFFD followed by JSON text.

        The encoded readers are for persisters and the like: they copy, but decode nothing.

        >>> Store().set_cell("pets", "fido", "tags", ["good"]).get_encoded_tables() == {
        ...     "pets": {"fido": {"tags": '\\ufffd["good"]'}}}
        True
        """
        self._check_thread()
        return {
            table_id: {row_id: row.copy() for row_id, row in table.items()}
            for table_id, table in self._tables.items()
        }

    def get_encoded_table(self, table_id: IdLike) -> EncodedTable:
        """Return a table as it is held, empty if there is none of that id.

        >>> Store().set_cell("pets", "fido", "age", 3).get_encoded_table("pets")
        {'fido': {'age': 3}}
        """
        self._check_thread()
        return {row_id: row.copy() for row_id, row in self._tables.get(to_id(table_id), _NO_ROWS).items()}

    def get_encoded_rows(self, table_id: IdLike, row_ids: Iterable[Id]) -> EncodedTable:
        """Return some rows of a table as they are held; those that are not there are left out.

        >>> Store().set_cell("pets", "fido", "age", 3).get_encoded_rows("pets", ["fido", "felix"])
        {'fido': {'age': 3}}
        """
        self._check_thread()
        table = self._tables.get(to_id(table_id), _NO_ROWS)
        return {row_id: table[row_id].copy() for row_id in row_ids if row_id in table}

    def get_encoded_columns(
        self, table_id: IdLike, row_ids: Sequence[Id]
    ) -> tuple[tuple[Id, ...], list[tuple[EncodedCell, ...]]] | None:
        """Return the cells of some rows by column, as they are held, at a fraction of the cost of the rows.

        Returns:
            The ids of the cells, and for each of them the cells of all rows; None if a row is not there or
            has other cells than the first.

        >>> store = Store().set_table("pets", {"fido": {"age": 3}, "felix": {"age": 2}, "rex": {"bad": True}})
        >>> store.get_encoded_columns("pets", ["fido", "felix"])
        (('age',), [(3, 2)])
        >>> [store.get_encoded_columns("pets", ["fido", other]) for other in ("rex", "none")]
        [None, None]
        """
        self._check_thread()
        table = self._tables.get(to_id(table_id), _NO_ROWS)
        try:
            rows = [table[row_id] for row_id in row_ids]
            cell_ids = tuple(rows[0]) if rows else ()
            if any(count != len(cell_ids) for count in set(map(len, rows))):
                return None
            return cell_ids, [tuple(map(itemgetter(cell_id), rows)) for cell_id in cell_ids]
        except KeyError:
            return None

    def get_encoded_row(self, table_id: IdLike, row_id: IdLike) -> EncodedRow:
        """Return a row as it is held, empty if there is none of that id.

        >>> Store().set_cell("pets", "fido", "age", 3).get_encoded_row("pets", "fido")
        {'age': 3}
        """
        self._check_thread()
        return self._find_row(table_id, row_id).copy()

    def get_encoded_cell(
        self, table_id: IdLike, row_id: IdLike, cell_id: IdLike
    ) -> EncodedCell | MissingType:
        """Return a cell as it is held, or `MISSING` if it is not there.

        >>> Store().get_encoded_cell("pets", "fido", "age")
        MISSING
        """
        self._check_thread()
        return self._find_row(table_id, row_id).get(to_id(cell_id), MISSING)

    def get_encoded_values(self) -> EncodedRow:
        """Return all values as they are held.

        >>> Store().set_value("open", True).get_encoded_values()
        {'open': True}
        """
        self._check_thread()
        return self._values.copy()

    def get_encoded_value(self, value_id: IdLike) -> EncodedCell | MissingType:
        """Return a value as it is held, or `MISSING` if it is not there.

        >>> Store().get_encoded_value("open")
        MISSING
        """
        self._check_thread()
        return self._values.get(to_id(value_id), MISSING)

    # ------------------------------------------------------------------------------------------------------

    def _find_row(self, table_id: object, row_id: object) -> EncodedRow:
        return self._tables.get(to_id(table_id), _NO_ROWS).get(to_id(row_id), _NO_CELLS)

    def _copy_table(self, table_id: Id, table: EncodedTable) -> Table:
        if table_id in self._rich_tables:
            return {
                row_id: {cell_id: decode_cell(cell) for cell_id, cell in row.items()}
                for row_id, row in table.items()
            }
        # Without rich cells the encoded and the decoded form are the same, and copying a dict is one call.
        copied: dict[Id, Any] = {row_id: row.copy() for row_id, row in table.items()}
        return copied

    def _row_visitor(self, table_id: Id) -> ForEachRow:
        def for_each_row(row_callback: Callable[[Id, ForEachCell], object]) -> None:
            for row_id in list(self._tables.get(table_id, _NO_ROWS)):
                if row_id in self._tables.get(table_id, _NO_ROWS):
                    row_callback(row_id, self._cell_visitor(table_id, row_id))

        return for_each_row

    def _cell_visitor(self, table_id: Id, row_id: Id) -> ForEachCell:
        def for_each_cell(callback: Callable[[Id, Cell], object]) -> None:
            for cell_id in list(self._find_row(table_id, row_id)):
                cell = self._find_row(table_id, row_id).get(cell_id, MISSING)
                if cell is not MISSING:
                    callback(cell_id, decode_cell(cell))

        return for_each_cell
