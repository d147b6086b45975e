"""Writing to a store: every method that sets or deletes content.

Each runs in its own transaction, or joins the open one, and returns the store, so that calls can be chained.
Where nobody could notice the transaction, the hottest methods take a short cut that leaves out its records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from sys import intern
from threading import get_ident
from typing import Any, Self

from replicell.store.cells import RESERVED, CellLike
from replicell.store.changes import EncodedTable
from replicell.store.content_types import ChangesLike, ContentLike, RowLike, TableLike, TablesLike, ValuesLike
from replicell.store.errors import ArgumentError
from replicell.store.ids import Id, IdLike, to_id
from replicell.store.missing import MISSING, MissingType
from replicell.store.replacing import Replacing
from replicell.store.validation import plain_row

__all__ = ["Writing"]

_NO_ROWS: EncodedTable = {}


class Writing(Replacing):
    """The methods of a store that write content."""

    __slots__ = ()

    # --- everything ---------------------------------------------------------------------------------------

    def set_content(self, content: ContentLike | Callable[[], ContentLike]) -> Self:
        """Replace everything. Mirrors TinyBase's ``setContent``.

        Args:
            content: Tables and values, or a function that returns them. An empty half deletes, a missing one
                is left as it is.

        >>> Store().set_content(({"pets": {"fido": {"sold": True}}}, {"open": True})).get_content()
        ({'pets': {'fido': {'sold': True}}}, {'open': True})
        """
        return self._write(lambda: self._write_content(content() if callable(content) else content))

    def apply_changes(self, changes: ChangesLike) -> Self:
        """Replay what a transaction changed, here or in another store. Mirrors TinyBase's ``applyChanges``.

        Args:
            changes: What `get_transaction_changes` returned: tables, values and 1. `MISSING` deletes.

        Raises:
            ArgumentError: If it is nothing of the kind.

        >>> Store().set_cell("pets", "fido", "sold", True).apply_changes(
        ...     ({"pets": {"fido": {"sold": MISSING, "age": 3}}}, {"open": True}, 1)).get_content()
        ({'pets': {'fido': {'age': 3}}}, {'open': True})
        """
        tables, values = _halves_of(changes)
        return self._write(lambda: self._write_changes(tables, values))

    def apply_encoded_changes(self, changes: ChangesLike) -> Self:
        """Do what `apply_changes` does, and accept objects and arrays in their encoded form as well.

        This is what a persister loads with: it need not parse what the store keeps as text.

        >>> Store().apply_encoded_changes(
        ...     ({"pets": {"fido": {"tags": '\\ufffd["good"]'}}}, {}, 1)).get_cell("pets", "fido", "tags")
        ['good']
        """
        return self._accepting_encoded(lambda: self.apply_changes(changes))

    def insert_encoded_rows(self, table_id: Id, rows: EncodedTable, *, has_rich: bool = False) -> bool:
        """Take over rows that a table does not have, in a transaction, at a fraction of the usual cost.

        This is what a persister loads many rows with. Nothing is checked and nothing copied: the rows must be
        in the form in which they are held, with interned cell ids and at least one cell each, and belong to
        the store afterwards.

        Args:
            table_id: The table.
            rows: The rows.
            has_rich: Whether one of the cells is an object or array.

        Returns:
            False if nothing happened, because a schema, middleware or a listener may want something else, a
            transaction is open, or one of the rows is there already; then use `apply_encoded_changes`.

        >>> store = Store()
        >>> store.insert_encoded_rows("pets", {"fido": {"age": 3}, "felix": {"age": 2}})
        True
        >>> store.insert_encoded_rows("pets", {"fido": {"age": 4}}), store.get_table("pets")
        (False, {'fido': {'age': 3}, 'felix': {'age': 2}})
        """
        self._check_thread()
        if (
            self._depth != 0
            or not self._unruled
            or self._settlers
            or self._listeners.has_writers
            or not self._tables.get(table_id, _NO_ROWS).keys().isdisjoint(rows)
        ):
            return False
        if rows:
            if has_rich:
                self._rich_tables.add(table_id)
            self._write(lambda: self._add_first_rows(table_id, rows))
        return True

    # --- tables -------------------------------------------------------------------------------------------

    def set_tables(self, tables: TablesLike) -> Self:
        """Replace all tables. An empty mapping is invalid; use `del_tables`.

        Mirrors TinyBase's ``setTables``.

        >>> Store().set_tables({"pets": {"fido": {"sold": True}}}).get_table_ids()
        ['pets']
        """
        return self._write(lambda: self._write_tables(self._accept_tables(tables)))

    def set_table(self, table_id: IdLike, table: TableLike) -> Self:
        """Replace a table. An empty mapping is invalid; use `del_table`. Mirrors TinyBase's ``setTable``.

        >>> Store().set_table("pets", {"fido": {"sold": True}}).get_table("pets")
        {'fido': {'sold': True}}
        """
        table_id = to_id(table_id)
        return self._write(lambda: self._write_table(table_id, self._accept_table(table_id, table)))

    def set_row(self, table_id: IdLike, row_id: IdLike, row: RowLike) -> Self:
        """Replace a row. An empty mapping is invalid; use `del_row`. Mirrors TinyBase's ``setRow``.

        >>> Store().set_row("pets", "fido", {"species": "dog", "age": 3}).get_row("pets", "fido")
        {'species': 'dog', 'age': 3}
        """
        if self._owner != get_ident():
            self._check_thread()
        if type(table_id) is not str:
            table_id = to_id(table_id)
        if type(row_id) is not str:
            row_id = to_id(row_id)
        if self._unruled:
            is_present = row_id in self._tables.get(table_id, ())
            if self._depth > 0 or (self._swift and self._unobserved and not is_present):
                plain = plain_row(row)
                if plain:
                    if is_present:
                        self._write_row(table_id, row_id, plain)
                    elif self._depth > 0:
                        self._add_row(table_id, row_id, plain)
                    else:
                        self._insert_row_unobserved(table_id, row_id, plain)
                    return self
        depth = self._depth
        if depth > 0:
            self._depth = depth + 1
        elif not self._begin():
            return self
        try:
            accepted = self._accept_row(table_id, row_id, row)
            if accepted is not None:
                self._write_row(table_id, row_id, accepted)
        except BaseException as error:
            self._abandon(error)
            raise
        if depth > 0:
            self._depth = depth
        else:
            self._finish(None)
        return self

    def add_row(self, table_id: IdLike, row: RowLike, reuse_row_ids: bool = True) -> Id | MissingType:
        """Add a row under an id of its own. Mirrors TinyBase's ``addRow``.

        Args:
            table_id: The table.
            row: The row.
            reuse_row_ids: Whether ids of deleted rows may be given out again.

        Returns:
            The new row's id, or `MISSING` if the row is invalid or nothing may be written now.

        >>> store = Store()
        >>> store.add_row("pets", {"species": "dog"}), store.add_row("pets", {"species": "cat"})
        ('0', '1')
        """
        self._check_thread()
        table_id = to_id(table_id)
        row_id: Id | MissingType = MISSING
        if self._begin():
            try:
                accepted = self._accept_row(table_id, MISSING, row)
                if accepted is not None:
                    row_id = self._free_row_id(table_id, reuse_row_ids)
                    if self._guard is None:
                        self._add_row(table_id, row_id, accepted)
                    elif not self._guard.add_row(table_id, row_id, accepted):
                        row_id = MISSING
            except BaseException as error:
                self._abandon(error)
                raise
            self._end()
        return row_id

    def set_partial_row(self, table_id: IdLike, row_id: IdLike, partial_row: RowLike) -> Self:
        """Set some cells of a row and leave its others. Mirrors TinyBase's ``setPartialRow``.

        >>> store = Store().set_row("pets", "fido", {"species": "dog", "age": 3})
        >>> store.set_partial_row("pets", "fido", {"age": 4}).get_row("pets", "fido")
        {'species': 'dog', 'age': 4}
        """
        table_id, row_id = to_id(table_id), to_id(row_id)
        return self._write(lambda: self._write_partial_row(table_id, row_id, partial_row))

    def set_cell(
        self,
        table_id: IdLike,
        row_id: IdLike,
        cell_id: IdLike,
        cell: CellLike | Callable[[Any], CellLike],
    ) -> Self:
        """Set one cell. Mirrors TinyBase's ``setCell``.

        Args:
            table_id: The table.
            row_id: The row.
            cell_id: The cell.
            cell: What to store, or a function that is given the present cell (or `MISSING`) and returns that.

        >>> store = Store().set_cell("pets", "fido", "age", 3)
        >>> store.set_cell("pets", "fido", "age", lambda age: age + 1).get_cell("pets", "fido", "age")
        4
        """
        if self._owner != get_ident():
            self._check_thread()
        if type(table_id) is not str:
            table_id = to_id(table_id)
        if type(row_id) is not str:
            row_id = to_id(row_id)
        if type(cell_id) is not str:
            cell_id = to_id(cell_id)
        plain: Any = cell
        kind = type(plain)
        if self._unruled and (
            (kind is str and plain < RESERVED)
            or kind is int
            or kind is bool
            or plain is None
            or (kind is float and isfinite(plain))
        ):
            if self._depth > 0:
                self._put_cell(table_id, row_id, cell_id, plain)
                return self
            if self._swift:
                table = self._tables.get(table_id)
                row = None if table is None else table.get(row_id)
                if row is not None and cell_id in row:
                    old = row[cell_id]
                    changed = old != plain or (type(old) is bool) is not (kind is bool)
                    if changed:
                        row[cell_id] = plain
                    if not self._unobserved:
                        self._swift = False
                        self._depth = 1
                        if changed:
                            self._record.cells[table_id] = {row_id: {cell_id: old}}
                            if self._listeners.has_writers:
                                self._finish(None, (table_id, row_id, cell_id, plain, old))
                            else:
                                self._finish_update(table_id, row_id, cell_id, plain, old)
                        else:
                            self._finish(None)
                    return self
                if self._unobserved:
                    if row is None:
                        self._insert_row_unobserved(table_id, row_id, {intern(cell_id): plain})
                    else:
                        cell_id = intern(cell_id)
                        row[cell_id] = plain
                        counts = self._cell_counts[table_id]
                        counts[cell_id] = counts.get(cell_id, 0) + 1
                    return self
        depth = self._depth
        if depth > 0:
            self._depth = depth + 1
        elif not self._begin():
            return self
        try:
            given = cell(self.get_cell(table_id, row_id, cell_id, MISSING)) if callable(cell) else cell
            accepted = self._accept_cell(table_id, row_id, cell_id, given)
            if accepted is not MISSING:
                if self._guard is None:
                    self._put_cell_with_defaults(table_id, row_id, cell_id, accepted)
                else:
                    self._guard.set_cell(table_id, row_id, cell_id, accepted)
        except BaseException as error:
            self._abandon(error)
            raise
        if depth > 0:
            self._depth = depth
        else:
            self._finish(None)
        return self

    def del_tables(self) -> Self:
        """Delete all tables. Mirrors TinyBase's ``delTables``.

        >>> Store().set_cell("pets", "fido", "age", 3).del_tables().get_tables()
        {}
        """
        return self._write(self._remove_tables)

    def del_table(self, table_id: IdLike) -> Self:
        """Delete a table, if it is there. Mirrors TinyBase's ``delTable``.

        >>> Store().set_cell("pets", "fido", "age", 3).del_table("pets").get_tables()
        {}
        """
        table_id = to_id(table_id)
        return self._write(lambda: self._remove_table(table_id))

    def del_row(self, table_id: IdLike, row_id: IdLike) -> Self:
        """Delete a row, if it is there. Mirrors TinyBase's ``delRow``.

        >>> Store().set_cell("pets", "fido", "age", 3).del_row("pets", "fido").get_tables()
        {}
        """
        table_id, row_id = to_id(table_id), to_id(row_id)
        if self._swift and self._unobserved:
            self._check_thread()
            self._remove_row_unobserved(table_id, row_id)
            return self
        return self._write(lambda: self._delete_row(table_id, row_id))

    def del_cell(self, table_id: IdLike, row_id: IdLike, cell_id: IdLike, force_del: bool = False) -> Self:
        """Delete a cell, if it is there. Mirrors TinyBase's ``delCell``.

        A cell for which the schema has a default is set to it instead.

        Args:
            table_id: The table.
            row_id: The row.
            cell_id: The cell.
            force_del: Whether to delete the whole row if the cell has a default.

        >>> store = Store().set_row("pets", "fido", {"species": "dog", "age": 3})
        >>> store.del_cell("pets", "fido", "age").get_tables()
        {'pets': {'fido': {'species': 'dog'}}}
        """
        table_id, row_id, cell_id = to_id(table_id), to_id(row_id), to_id(cell_id)
        return self._write(lambda: self._delete_cell(table_id, row_id, cell_id, force_del))

    # --- values -------------------------------------------------------------------------------------------

    def set_values(self, values: ValuesLike) -> Self:
        """Replace all values. An empty mapping is invalid; use `del_values`.

        Mirrors TinyBase's ``setValues``.

        >>> Store().set_values({"open": True, "employees": 3}).get_values()
        {'open': True, 'employees': 3}
        """
        return self._write(lambda: self._write_values(self._accept_values(values)))

    def set_partial_values(self, partial_values: ValuesLike) -> Self:
        """Set some values and leave the others. Mirrors TinyBase's ``setPartialValues``.

        >>> Store().set_value("open", True).set_partial_values({"employees": 3}).get_values()
        {'open': True, 'employees': 3}
        """
        return self._write(lambda: self._write_partial_values(partial_values))

    def set_value(self, value_id: IdLike, value: CellLike | Callable[[Any], CellLike]) -> Self:
        """Set one value. Mirrors TinyBase's ``setValue``.

        Args:
            value_id: The value's id.
            value: What to store, or a function that is given the present value (or `MISSING`) and returns
                that.

        >>> Store().set_value("open", True).set_value("open", lambda is_open: not is_open).get_values()
        {'open': False}
        """
        value_id = to_id(value_id)
        return self._write(lambda: self._write_value(value_id, value))

    def del_values(self) -> Self:
        """Delete all values; those with a default in the schema are set to it. Mirrors ``delValues``.

        >>> Store().set_value("open", True).del_values().get_values()
        {}
        """
        return self._write(self._delete_values)

    def del_value(self, value_id: IdLike) -> Self:
        """Delete a value, if it is there; with a default in the schema, it is set to it.

        Mirrors ``delValue``.

        >>> Store().set_values({"open": True, "employees": 3}).del_value("open").get_values()
        {'employees': 3}
        """
        value_id = to_id(value_id)
        return self._write(lambda: self._delete_value(value_id))

    # ------------------------------------------------------------------------------------------------------

    def _write(self, edit: Callable[[], object]) -> Self:
        self._check_thread()
        if self._begin():
            try:
                edit()
            except BaseException as error:
                self._abandon(error)
                raise
            self._end()
        return self

    def _accepting_encoded(self, write: Callable[[], object]) -> Self:
        before, self._accepts_encoded = self._accepts_encoded, True
        try:
            write()
        finally:
            self._accepts_encoded = before
        return self


def _halves_of(changes: ChangesLike) -> tuple[Mapping[Any, Any], Mapping[Any, Any]]:
    if isinstance(changes, Sequence) and len(changes) >= 2:
        tables, values = changes[0], changes[1]
        if isinstance(tables, Mapping) and isinstance(values, Mapping):
            return tables, values
    raise ArgumentError(
        f"changes are [tables, values, 1], as get_transaction_changes returns them, not {changes!r}"
    )
