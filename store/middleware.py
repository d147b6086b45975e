"""Middleware: callbacks that see every write before it happens, and may alter or veto it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from replicell.store.changes import Changes
from replicell.store.errors import ArgumentError
from replicell.store.guard import Event, Guard
from replicell.store.ids import Id
from replicell.store.missing import MissingType
from replicell.store.modules import module_of

if TYPE_CHECKING:
    from replicell.store.store import Store

__all__ = ["Middleware", "create_middleware"]

Table: TypeAlias = dict[Id, dict[Id, Any]]

WillSetContent: TypeAlias = Callable[[tuple[dict[Id, Table], dict[Id, Any]]], Any]
WillSetTables: TypeAlias = Callable[[dict[Id, Table]], "Mapping[Id, Any] | MissingType | None"]
WillSetTable: TypeAlias = Callable[[Id, Table], "Mapping[Id, Any] | MissingType | None"]
WillSetRow: TypeAlias = Callable[[Id, Id, dict[Id, Any]], "Mapping[Id, Any] | MissingType | None"]
WillSetCell: TypeAlias = Callable[[Id, Id, Id, Any], Any]
WillSetValues: TypeAlias = Callable[[dict[Id, Any]], "Mapping[Id, Any] | MissingType | None"]
WillSetValue: TypeAlias = Callable[[Id, Any], Any]
WillApplyChanges: TypeAlias = Callable[[Changes], Any]


class Middleware:
    """Callbacks that are asked before a store is written to. Mirrors TinyBase's ``Middleware``.

    A callback for setting gets the ids and a copy of what is to be set, and returns what shall be set
    instead: the same, something else, or `MISSING` to veto (where more than a cell or value is set, returning
    nothing vetoes too). A callback for deleting returns whether it may be done. Callbacks are asked in the
    order they were added, each with what the one before returned, until one vetoes. They run inside the
    transaction and may write to the store; what they return is validated like any other write.

    A write is offered from the whole down to its parts: content, tables, table, row, cell; a part that is
    vetoed is left out. Setting one cell asks about its row too, if anybody wants to know about rows.
    Rollbacks and undo ask nobody. There is one middleware a store: `create_middleware` returns it.

    >>> store = Store()
    >>> _ = create_middleware(store).add_will_set_cell_callback(
    ...     lambda table_id, row_id, cell_id, cell: cell.strip() if isinstance(cell, str) else cell)
    >>> store.set_cell("pets", "fido", "species", " dog ").get_cell("pets", "fido", "species")
    'dog'
    """

    __slots__ = ("_guard", "_store")

    def __init__(self, store: Store) -> None:
        self._store = store
        self._guard: Guard | None = None

    def get_store(self) -> Store:
        """Return the store. Mirrors TinyBase's ``getStore``."""
        return self._store

    def add_will_set_content_callback(self, callback: WillSetContent) -> Self:
        """Ask ``callback((tables, values))`` before the whole content is set.

        Mirrors TinyBase's ``addWillSetContentCallback``.

        >>> store = Store()
        >>> _ = create_middleware(store).add_will_set_content_callback(
        ...     lambda content: (content[0], {"set": True}))
        >>> store.set_content(({"pets": {"fido": {"age": 3}}}, {})).get_values()
        {'set': True}
        """
        return self._add("will_set_content", callback)

    def add_will_set_tables_callback(self, callback: WillSetTables) -> Self:
        """Ask ``callback(tables)`` before all tables are set. Mirrors ``addWillSetTablesCallback``.

        >>> store = Store()
        >>> _ = create_middleware(store).add_will_set_tables_callback(lambda tables: MISSING)
        >>> store.set_tables({"pets": {"fido": {"age": 3}}}).get_tables()
        {}
        """
        return self._add("will_set_tables", callback)

    def add_will_set_table_callback(self, callback: WillSetTable) -> Self:
        """Ask ``callback(table_id, table)`` before a table is set. Mirrors ``addWillSetTableCallback``.

        >>> store = Store()
        >>> _ = create_middleware(store).add_will_set_table_callback(
        ...     lambda table_id, table: table if table_id == "pets" else MISSING)
        >>> store.set_tables({"pets": {"fido": {"age": 3}}, "cars": {"vw": {"age": 3}}}).get_table_ids()
        ['pets']
        """
        return self._add("will_set_table", callback)

    def add_will_set_row_callback(self, callback: WillSetRow) -> Self:
        """Ask ``callback(table_id, row_id, row)`` before a row, or a cell of one, is set.

        Where one cell is set, the row is given as it would be then. Mirrors ``addWillSetRowCallback``.

        >>> store = Store()
        >>> _ = create_middleware(store).add_will_set_row_callback(
        ...     lambda table_id, row_id, row: {**row, "checked": True})
        >>> store.set_cell("pets", "fido", "age", 3).get_row("pets", "fido")
        {'age': 3, 'checked': True}
        """
        return self._add("will_set_row", callback)

    def add_will_set_cell_callback(self, callback: WillSetCell) -> Self:
        """Ask ``callback(table_id, row_id, cell_id, cell)`` before a cell is set.

        Mirrors ``addWillSetCellCallback``.

        >>> store = Store()
        >>> _ = create_middleware(store).add_will_set_cell_callback(
        ...     lambda table_id, row_id, cell_id, cell: cell if cell_id != "secret" else MISSING)
        >>> store.add_row("pets", {"secret": 1}), store.get_tables()
        (MISSING, {})
        """
        return self._add("will_set_cell", callback)

    def add_will_set_values_callback(self, callback: WillSetValues) -> Self:
        """Ask ``callback(values)`` before all values are set. Mirrors ``addWillSetValuesCallback``."""
        return self._add("will_set_values", callback)

    def add_will_set_value_callback(self, callback: WillSetValue) -> Self:
        """Ask ``callback(value_id, value)`` before a value is set. Mirrors ``addWillSetValueCallback``.

        >>> store = Store()
        >>> _ = create_middleware(store).add_will_set_value_callback(lambda value_id, value: max(value, 0))
        >>> store.set_value("employees", -2).get_value("employees")
        0
        """
        return self._add("will_set_value", callback)

    def add_will_del_tables_callback(self, callback: Callable[[], object]) -> Self:
        """Ask ``callback()`` before all tables are deleted. Mirrors ``addWillDelTablesCallback``."""
        return self._add("will_del_tables", callback)

    def add_will_del_table_callback(self, callback: Callable[[Id], object]) -> Self:
        """Ask ``callback(table_id)`` before a table is deleted. Mirrors ``addWillDelTableCallback``."""
        return self._add("will_del_table", callback)

    def add_will_del_row_callback(self, callback: Callable[[Id, Id], object]) -> Self:
        """Ask ``callback(table_id, row_id)`` before a row is deleted. Mirrors ``addWillDelRowCallback``.

        >>> store = Store().set_table("pets", {"fido": {"age": 3}, "felix": {"age": 2}})
        >>> _ = create_middleware(store).add_will_del_row_callback(lambda table_id, row_id: row_id != "fido")
        >>> store.del_tables().get_row_ids("pets")
        ['fido']
        """
        return self._add("will_del_row", callback)

    def add_will_del_cell_callback(self, callback: Callable[[Id, Id, Id], object]) -> Self:
        """Ask ``callback(table_id, row_id, cell_id)`` before a cell is deleted, also with its row.

        Mirrors ``addWillDelCellCallback``.
        """
        return self._add("will_del_cell", callback)

    def add_will_del_values_callback(self, callback: Callable[[], object]) -> Self:
        """Ask ``callback()`` before all values are deleted. Mirrors ``addWillDelValuesCallback``."""
        return self._add("will_del_values", callback)

    def add_will_del_value_callback(self, callback: Callable[[Id], object]) -> Self:
        """Ask ``callback(value_id)`` before a value is deleted. Mirrors ``addWillDelValueCallback``."""
        return self._add("will_del_value", callback)

    def add_will_apply_changes_callback(self, callback: WillApplyChanges) -> Self:
        """Ask ``callback(changes)`` before a change set is applied, also one that was loaded or merged.

        Its parts are then offered as cells, values and deletions, but not as rows. Mirrors
        ``addWillApplyChangesCallback``.
        """
        return self._add("will_apply_changes", callback)

    def destroy(self) -> None:
        """Ask nobody any more; `create_middleware` then makes a new one. Mirrors TinyBase's ``destroy``."""
        store = self._store
        store._check_thread()
        if store._modules.get("middleware") is self:
            del store._modules["middleware"]
            store._guard = self._guard = None
            store._settle()

    def _add(self, event: Event, callback: Callable[..., Any]) -> Self:
        store = self._store
        store._check_thread()
        if not callable(callback):
            raise ArgumentError(f"a {event} callback must be callable, but {callback!r} was given")
        if store._modules.get("middleware") is self:
            if self._guard is None:
                self._guard = store._guard = Guard(store)
                store._settle()
            self._guard.add(event, callback)
        return self

    def _catch_up(self, touched: Mapping[Id, Iterable[Id]], committed: bool) -> None:
        """Middleware keeps nothing that could fall behind."""


def create_middleware(store: Store) -> Middleware:
    """Return the middleware of a store. Mirrors TinyBase's ``createMiddleware``.

    >>> store = Store()
    >>> create_middleware(store) is create_middleware(store)
    True
    """
    return module_of(store, "middleware", Middleware)
