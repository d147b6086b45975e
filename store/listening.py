"""Listening to tables, rows, cells and values.

Every method takes the ids to listen to, None standing for any, then the callback, and returns the
listener's id for `Store.del_listener`. Listeners hear of the net result of a transaction, at its end. With
``mutator=True`` the callback runs just before that and may write; others run when everything is settled and
may only read.
"""

from __future__ import annotations

from replicell.store.ids import Id, IdLike
from replicell.store.listener_control import ListenerControl
from replicell.store.listener_types import (
    CellIdsListener,
    CellListener,
    HasCellListener,
    HasRowListener,
    HasTableCellListener,
    HasTableListener,
    HasTablesListener,
    HasValueListener,
    HasValuesListener,
    InvalidCellListener,
    InvalidValueListener,
    RowCountListener,
    RowIdsListener,
    RowListener,
    TableCellIdsListener,
    TableIdsListener,
    TableListener,
    TablesListener,
    ValueIdsListener,
    ValueListener,
    ValuesListener,
)

__all__ = ["Listening"]


class Listening(ListenerControl):
    """The methods of a store that add listeners to its content."""

    __slots__ = ()

    def add_has_tables_listener(self, listener: HasTablesListener, mutator: bool = False) -> Id:
        """Listen to when whether there are any tables changes.

        The callback gets the store and whether there are any now. Mirrors TinyBase's
        ``addHasTablesListener``.

        >>> store = Store()
        >>> _ = store.add_has_tables_listener(lambda store, has: print(has))
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        True
        """
        return self._add("has_tables", (), listener, mutator)

    def add_tables_listener(self, listener: TablesListener, mutator: bool = False) -> Id:
        """Listen to when any cell changes.

        The callback gets the store and a `GetCellChange`. Mirrors TinyBase's ``addTablesListener``.

        >>> store = Store()
        >>> _ = store.add_tables_listener(lambda store, change: print(change("pets", "fido", "age")))
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        Transition(changed=True, old=MISSING, new=3)
        """
        return self._add("tables", (), listener, mutator)

    def add_table_ids_listener(self, listener: TableIdsListener, mutator: bool = False) -> Id:
        """Listen to when tables come or go.

        The callback gets the store and a `GetIdChanges`. Mirrors TinyBase's ``addTableIdsListener``.

        >>> store = Store()
        >>> _ = store.add_table_ids_listener(lambda store, changes: print(changes()))
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        {'pets': 1}
        """
        return self._add("table_ids", (), listener, mutator)

    def add_has_table_listener(
        self, table_id: IdLike | None, listener: HasTableListener, mutator: bool = False
    ) -> Id:
        """Listen to when a table comes or goes.

        The callback gets the store, the table id and whether it is there now. Mirrors TinyBase's
        ``addHasTableListener``.

        >>> store = Store()
        >>> _ = store.add_has_table_listener("pets", lambda store, table_id, has: print(has))
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        True
        """
        return self._add("has_table", (table_id,), listener, mutator)

    def add_table_listener(
        self, table_id: IdLike | None, listener: TableListener, mutator: bool = False
    ) -> Id:
        """Listen to when any cell of a table changes.

        The callback gets the store, the table id and a `GetCellChange`. Mirrors TinyBase's
        ``addTableListener``.

        >>> store = Store()
        >>> _ = store.add_table_listener(None, lambda store, table_id, change: print(table_id))
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        pets
        """
        return self._add("table", (table_id,), listener, mutator)

    def add_table_cell_ids_listener(
        self, table_id: IdLike | None, listener: TableCellIdsListener, mutator: bool = False
    ) -> Id:
        """Listen to when cell ids come into use in a table or go out of it.

        The callback gets the store, the table id and a `GetIdChanges`. Mirrors TinyBase's
        ``addTableCellIdsListener``.

        >>> store = Store()
        >>> _ = store.add_table_cell_ids_listener("pets", lambda store, table_id, changes: print(changes()))
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        {'age': 1}
        """
        return self._add("table_cell_ids", (table_id,), listener, mutator)

    def add_has_table_cell_listener(
        self,
        table_id: IdLike | None,
        cell_id: IdLike | None,
        listener: HasTableCellListener,
        mutator: bool = False,
    ) -> Id:
        """Listen to when a cell id comes into use in a table or goes out of it.

        The callback gets the store, the table id, the cell id and whether it is in use now. Mirrors
        TinyBase's ``addHasTableCellListener``.

        >>> store = Store()
        >>> _ = store.add_has_table_cell_listener("pets", "age", lambda store, t, c, has: print(has))
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        True
        """
        return self._add("has_table_cell", (table_id, cell_id), listener, mutator)

    def add_row_count_listener(
        self, table_id: IdLike | None, listener: RowCountListener, mutator: bool = False
    ) -> Id:
        """Listen to when the number of rows in a table changes.

        The callback gets the store, the table id and the number. Mirrors TinyBase's ``addRowCountListener``.

        >>> store = Store()
        >>> _ = store.add_row_count_listener("pets", lambda store, table_id, count: print(count))
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        1
        """
        return self._add("row_count", (table_id,), listener, mutator)

    def add_row_ids_listener(
        self, table_id: IdLike | None, listener: RowIdsListener, mutator: bool = False
    ) -> Id:
        """Listen to when rows of a table come or go.

        The callback gets the store, the table id and a `GetIdChanges`. Mirrors TinyBase's
        ``addRowIdsListener``.

        >>> store = Store()
        >>> _ = store.add_row_ids_listener("pets", lambda store, table_id, changes: print(changes()))
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        {'fido': 1}
        """
        return self._add("row_ids", (table_id,), listener, mutator)

    def add_has_row_listener(
        self, table_id: IdLike | None, row_id: IdLike | None, listener: HasRowListener, mutator: bool = False
    ) -> Id:
        """Listen to when a row comes or goes.

        The callback gets the store, the table id, the row id and whether it is there now. Mirrors TinyBase's
        ``addHasRowListener``.

        >>> store = Store()
        >>> _ = store.add_has_row_listener("pets", "fido", lambda store, table_id, row_id, has: print(has))
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        True
        """
        return self._add("has_row", (table_id, row_id), listener, mutator)

    def add_row_listener(
        self, table_id: IdLike | None, row_id: IdLike | None, listener: RowListener, mutator: bool = False
    ) -> Id:
        """Listen to when any cell of a row changes.

        The callback gets the store, the table id, the row id and a `GetCellChange`. Mirrors TinyBase's
        ``addRowListener``.

        >>> store = Store()
        >>> _ = store.add_row_listener("pets", None, lambda store, table_id, row_id, change: print(row_id))
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        fido
        """
        return self._add("row", (table_id, row_id), listener, mutator)

    def add_cell_ids_listener(
        self, table_id: IdLike | None, row_id: IdLike | None, listener: CellIdsListener, mutator: bool = False
    ) -> Id:
        """Listen to when cells of a row come or go.

        The callback gets the store, the table id, the row id and a `GetIdChanges`. Mirrors TinyBase's
        ``addCellIdsListener``.

        >>> store = Store()
        >>> _ = store.add_cell_ids_listener("pets", "fido", lambda store, t, r, changes: print(changes()))
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        {'age': 1}
        """
        return self._add("cell_ids", (table_id, row_id), listener, mutator)

    def add_has_cell_listener(
        self,
        table_id: IdLike | None,
        row_id: IdLike | None,
        cell_id: IdLike | None,
        listener: HasCellListener,
        mutator: bool = False,
    ) -> Id:
        """Listen to when a cell comes or goes.

        The callback gets the store, the three ids and whether it is there now. Mirrors TinyBase's
        ``addHasCellListener``.

        >>> store = Store()
        >>> _ = store.add_has_cell_listener("pets", None, "age", lambda store, t, r, c, has: print(r, has))
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        fido True
        """
        return self._add("has_cell", (table_id, row_id, cell_id), listener, mutator)

    def add_cell_listener(
        self,
        table_id: IdLike | None,
        row_id: IdLike | None,
        cell_id: IdLike | None,
        listener: CellListener,
        mutator: bool = False,
    ) -> Id:
        """Listen to when a cell changes.

        The callback gets the store, the three ids, the new and the old cell (or `MISSING`) and a
        `GetCellChange`. Mirrors TinyBase's ``addCellListener``.

        >>> store = Store()
        >>> _ = store.add_cell_listener(
        ...     "pets", None, "age", lambda store, t, r, c, new, old, change: print(r, new, old))
        >>> _ = store.set_cell("pets", "fido", "age", 3)
        fido 3 MISSING
        """
        return self._add("cell", (table_id, row_id, cell_id), listener, mutator)

    def add_invalid_cell_listener(
        self,
        table_id: IdLike | None,
        row_id: IdLike | None,
        cell_id: IdLike | None,
        listener: InvalidCellListener,
        mutator: bool = False,
    ) -> Id:
        """Listen to when something invalid was to be written to a cell.

        The callback gets the store, the three ids (`MISSING` where a whole row or table was invalid) and the
        list of what was offered. Mirrors TinyBase's ``addInvalidCellListener``.

        >>> store = Store()
        >>> _ = store.add_invalid_cell_listener(None, None, None, lambda store, t, r, c, bad: print(c, bad))
        >>> _ = store.set_cell("pets", "fido", "age", float("nan"))
        age [nan]
        """
        return self._add("invalid_cell", (table_id, row_id, cell_id), listener, mutator)

    def add_has_values_listener(self, listener: HasValuesListener, mutator: bool = False) -> Id:
        """Listen to when whether there are any values changes.

        The callback gets the store and whether there are any now. Mirrors TinyBase's
        ``addHasValuesListener``.

        >>> store = Store()
        >>> _ = store.add_has_values_listener(lambda store, has: print(has))
        >>> _ = store.set_value("open", True)
        True
        """
        return self._add("has_values", (), listener, mutator)

    def add_values_listener(self, listener: ValuesListener, mutator: bool = False) -> Id:
        """Listen to when any value changes.

        The callback gets the store and a `GetValueChange`. Mirrors TinyBase's ``addValuesListener``.

        >>> store = Store()
        >>> _ = store.add_values_listener(lambda store, change: print(change("open").new))
        >>> _ = store.set_value("open", True)
        True
        """
        return self._add("values", (), listener, mutator)

    def add_value_ids_listener(self, listener: ValueIdsListener, mutator: bool = False) -> Id:
        """Listen to when values come or go.

        The callback gets the store and a `GetIdChanges`. Mirrors TinyBase's ``addValueIdsListener``.

        >>> store = Store()
        >>> _ = store.add_value_ids_listener(lambda store, changes: print(changes()))
        >>> _ = store.set_value("open", True)
        {'open': 1}
        """
        return self._add("value_ids", (), listener, mutator)

    def add_has_value_listener(
        self, value_id: IdLike | None, listener: HasValueListener, mutator: bool = False
    ) -> Id:
        """Listen to when a value comes or goes.

        The callback gets the store, the value id and whether it is there now. Mirrors TinyBase's
        ``addHasValueListener``.

        >>> store = Store()
        >>> _ = store.add_has_value_listener("open", lambda store, value_id, has: print(has))
        >>> _ = store.set_value("open", True)
        True
        """
        return self._add("has_value", (value_id,), listener, mutator)

    def add_value_listener(
        self, value_id: IdLike | None, listener: ValueListener, mutator: bool = False
    ) -> Id:
        """Listen to when a value changes.

        The callback gets the store, the value id, the new and the old value (or `MISSING`) and a
        `GetValueChange`. Mirrors TinyBase's ``addValueListener``.

        >>> store = Store()
        >>> _ = store.add_value_listener(None, lambda store, v, new, old, change: print(v, new, old))
        >>> _ = store.set_value("open", True)
        open True MISSING
        """
        return self._add("value", (value_id,), listener, mutator)

    def add_invalid_value_listener(
        self, value_id: IdLike | None, listener: InvalidValueListener, mutator: bool = False
    ) -> Id:
        """Listen to when something invalid was to be written to a value.

        The callback gets the store, the value id (`MISSING` if the values as a whole were invalid) and the
        list of what was offered. Mirrors TinyBase's ``addInvalidValueListener``.

        >>> store = Store()
        >>> _ = store.add_invalid_value_listener(None, lambda store, v, bad: print(v, bad))
        >>> _ = store.set_value("open", float("nan"))
        open [nan]
        """
        return self._add("invalid_value", (value_id,), listener, mutator)
