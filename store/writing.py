"""Writing to a store: every method that sets or deletes content.

Each runs in its own transaction, or joins the open one, and returns the store, so that calls can be chained.
Where nobody could notice the transaction, the hottest methods take a short cut that leaves out its records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isfinite
from sys import intern
from threading import get_ident
from typing import Any, Self, TypeAlias

from replicell.store.cells import RESERVED, Cell, CellLike, EncodedCell
from replicell.store.changes import Changes, EncodedRow, EncodedTable, RowChanges
from replicell.store.ids import Id, IdLike, IdPool, to_id
from replicell.store.missing import MISSING, MissingType
from replicell.store.validation import Validation, plain_row

__all__ = ["ChangesLike", "ContentLike", "RowLike", "TableLike", "TablesLike", "ValuesLike", "Writing"]

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


class Writing(Validation):
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

        >>> Store().set_cell("pets", "fido", "sold", True).apply_changes(
        ...     ({"pets": {"fido": {"sold": MISSING, "age": 3}}}, {"open": True}, 1)).get_content()
        ({'pets': {'fido': {'age': 3}}}, {'open': True})
        """
        return self._write(lambda: self._write_changes(changes[0], changes[1]))

    def apply_encoded_changes(self, changes: ChangesLike) -> Self:
        """Do what `apply_changes` does, and accept objects and arrays in their encoded form as well.

        This is what a persister loads with: it need not parse what the store keeps as text.

        >>> Store().apply_encoded_changes(
        ...     ({"pets": {"fido": {"tags": '\\ufffd["good"]'}}}, {}, 1)).get_cell("pets", "fido", "tags")
        ['good']
        """
        return self._accepting_encoded(lambda: self.apply_changes(changes))

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
        if self._unruled and (self._depth > 0 or (self._swift and self._unobserved)):
            plain = plain_row(row)
            if plain and row_id not in self._tables.get(table_id, ()):
                if self._depth > 0:
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
        cell: CellLike | Callable[[Cell | MissingType], CellLike],
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

    def set_value(self, value_id: IdLike, value: CellLike | Callable[[Cell | MissingType], CellLike]) -> Self:
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

    def _write_content(self, content: Any) -> None:
        if not isinstance(content, (list, tuple)):
            return
        if self._guard is not None:
            content = self._guard.content(content, self._accepts_encoded)
            if content is MISSING:
                return
        # Both halves are looked at before either is written, so that a strict store refuses both or none.
        tables, values = (*content[:2], MISSING, MISSING)[:2]
        accepted_tables = None if _is_empty(tables) else self._accept_tables(tables)
        accepted_values = None if _is_empty(values) else self._accept_values(values)
        if _is_empty(tables):
            self._remove_tables()
        self._write_tables(accepted_tables)
        if _is_empty(values):
            self._delete_values()
        self._write_values(accepted_values)

    def _replace_tables(self, tables: object) -> None:
        if _is_empty(tables):
            self._remove_tables()
        else:
            self._write_tables(self._accept_tables(tables))

    def _replace_values(self, values: object) -> None:
        if _is_empty(values):
            self._delete_values()
        else:
            self._write_values(self._accept_values(values))

    def _write_tables(self, tables: dict[Id, EncodedTable] | None) -> None:
        if tables is not None:
            if self._guard is not None:
                self._guard.write_tables(tables)
                return
            for table_id, table in tables.items():
                self._write_table(table_id, table)
            for table_id in [table_id for table_id in self._tables if table_id not in tables]:
                self._remove_table(table_id)

    def _write_table(self, table_id: Id, table: EncodedTable | None) -> None:
        if table is None:
            return
        if self._guard is not None:
            self._guard.write_table(table_id, table)
            return
        if self._unobserved and self._depth == 1 and table_id not in self._tables and not self._record.cells:
            self._insert_table_unobserved(table_id, table)
            return
        for row_id, row in table.items():
            self._write_row(table_id, row_id, row)
        present = self._tables[table_id]
        if len(present) != len(table):
            for row_id in [row_id for row_id in present if row_id not in table]:
                self._delete_row(table_id, row_id)

    def _write_row(self, table_id: Id, row_id: Id, row: EncodedRow) -> None:
        if self._guard is not None:
            self._guard.write_row(table_id, row_id, row)
            return
        table = self._tables.get(table_id)
        present = None if table is None else table.get(row_id)
        if present is None:
            self._add_row(table_id, row_id, row)
            return
        for cell_id, cell in row.items():
            self._put_cell(table_id, row_id, cell_id, cell)
        if len(present) != len(row):
            for cell_id in [cell_id for cell_id in present if cell_id not in row]:
                self._remove_cell(table_id, row_id, cell_id)

    def _write_partial_row(self, table_id: Id, row_id: Id, partial_row: object) -> None:
        accepted = self._accept_row(table_id, row_id, partial_row, partial=True) or {}
        if self._guard is not None:
            self._guard.write_partial_row(table_id, row_id, accepted)
            return
        for cell_id, cell in accepted.items():
            self._put_cell_with_defaults(table_id, row_id, cell_id, cell)

    def _put_cell_with_defaults(self, table_id: Id, row_id: Id, cell_id: Id, cell: EncodedCell) -> None:
        if self._guard is not None:
            self._guard.put_cell(table_id, row_id, cell_id, cell)
        elif self._tables_rules is not None and row_id not in self._tables.get(table_id, ()):
            self._add_row(table_id, row_id, self._with_defaults(table_id, row_id, cell_id, cell))
        else:
            self._put_cell(table_id, row_id, cell_id, cell)

    def _with_defaults(self, table_id: Id, row_id: Id, cell_id: Id, cell: EncodedCell) -> EncodedRow:
        """Return the row that one cell begins."""
        row = {intern(cell_id): cell}
        rules = None if self._tables_rules is None else self._tables_rules.get(table_id)
        if rules is not None:
            for absent_id in rules.non_defaulted:
                if absent_id != cell_id:
                    self._note_absent_cell(table_id, row_id, absent_id)
            for default_id, default in rules.defaults.items():
                row.setdefault(default_id, default)
        return row

    def _write_values(self, values: EncodedRow | None) -> None:
        if values is not None:
            if self._guard is not None:
                self._guard.write_values(values)
                return
            for value_id, value in values.items():
                self._put_value(value_id, value)
            for value_id in [value_id for value_id in self._values if value_id not in values]:
                self._delete_value(value_id)

    def _write_partial_values(self, partial_values: object) -> None:
        for value_id, value in (self._accept_values(partial_values, partial=True) or {}).items():
            if self._guard is None:
                self._put_value(value_id, value)
            else:
                self._guard.write_value(value_id, value)

    def _write_value(self, value_id: Id, value: object) -> None:
        given = value(self.get_value(value_id, MISSING)) if callable(value) else value
        accepted = self._accept_value(value_id, given)
        if accepted is not MISSING:
            if self._guard is None:
                self._put_value(value_id, accepted)
            else:
                self._guard.write_value(value_id, accepted)

    def _remove_tables(self) -> None:
        if self._guard is not None:
            self._guard.remove_tables()
            return
        for table_id in list(self._tables):
            self._remove_table(table_id)

    def _remove_table(self, table_id: Id) -> None:
        if self._guard is not None:
            self._guard.remove_table(table_id)
            return
        for row_id in list(self._tables.get(table_id, ())):
            self._remove_row(table_id, row_id)

    def _delete_row(self, table_id: Id, row_id: Id) -> None:
        if self._guard is not None:
            self._guard.delete_row(table_id, row_id)
            return
        if row_id in self._tables.get(table_id, ()):
            self._release_row_id(table_id, row_id)
            self._remove_row(table_id, row_id)

    def _delete_cell(self, table_id: Id, row_id: Id, cell_id: Id, force_del: bool) -> None:
        if self._guard is not None:
            self._guard.delete_cell(table_id, row_id, cell_id, force=force_del)
            return
        if cell_id not in self._find_row(table_id, row_id):
            return
        rules = None if self._tables_rules is None else self._tables_rules.get(table_id)
        if rules is None or cell_id not in rules.defaults:
            self._remove_cell(table_id, row_id, cell_id)
        elif force_del:
            self._remove_row(table_id, row_id)
        else:
            self._put_cell(table_id, row_id, cell_id, rules.defaults[cell_id])

    def _delete_values(self) -> None:
        if self._guard is not None:
            self._guard.delete_values()
            return
        for value_id in list(self._values):
            self._delete_value(value_id)

    def _delete_value(self, value_id: Id) -> None:
        if self._guard is not None:
            self._guard.delete_value(value_id)
            return
        if value_id not in self._values:
            return
        rules = self._values_rules
        if rules is not None and value_id in rules.defaults:
            self._put_value(value_id, rules.defaults[value_id])
        else:
            self._remove_value(value_id)

    def _free_row_id(self, table_id: Id, reuse: bool) -> Id:
        pool = self._pools.get(table_id)
        if pool is None:
            pool = self._pools[table_id] = IdPool()
        table = self._tables.get(table_id, ())
        row_id = pool.take(reuse)
        while row_id in table:
            row_id = pool.take(reuse)
        return row_id

    def _write_changes(self, tables: Mapping[Any, Any], values: Mapping[Any, Any]) -> None:
        if self._guard is not None:
            changes = self._guard.changes(tables, values, self._accepts_encoded)
            if changes is MISSING:
                return
            tables, values = changes[0], changes[1]
        if self._strict:
            self._check_changes(tables, values)
        for given_table_id, table in tables.items():
            table_id = to_id(given_table_id)
            if table is MISSING:
                self._remove_table(table_id)
            else:
                for given_row_id, row in table.items():
                    self._write_row_changes(table_id, to_id(given_row_id), row)
        for given_value_id, value in values.items():
            value_id = to_id(given_value_id)
            if value is not MISSING:
                self._write_value(value_id, value)
            else:
                self._delete_value(value_id)

    def _write_row_changes(self, table_id: Id, row_id: Id, row: RowChanges | MissingType) -> None:
        if row is MISSING:
            self._delete_row(table_id, row_id)
            return
        if (
            self._tables_rules is None
            and self._guard is None
            and row_id not in self._tables.get(table_id, ())
        ):
            plain = plain_row(row)
            if plain:
                self._add_row(table_id, row_id, plain)
                return
        for given_cell_id, cell in row.items():
            cell_id = to_id(given_cell_id)
            if cell is MISSING:
                self._delete_cell(table_id, row_id, cell_id, True)
            else:
                accepted = self._accept_cell(table_id, row_id, cell_id, cell)
                if accepted is not MISSING:
                    self._put_cell_with_defaults(table_id, row_id, cell_id, accepted)

    def _check_changes(self, tables: Mapping[Any, Any], values: Mapping[Any, Any]) -> None:
        """Raise for the first invalid thing in a change set, before any of it is applied."""
        for table_id, table in tables.items():
            for row_id, row in () if table is MISSING else table.items():
                for cell_id, cell in () if row is MISSING else row.items():
                    if cell is not MISSING:
                        self._accept_cell(to_id(table_id), to_id(row_id), to_id(cell_id), cell)
        for value_id, value in values.items():
            if value is not MISSING:
                self._accept_value(to_id(value_id), value)


def _is_empty(half: object) -> bool:
    return isinstance(half, Mapping) and not half
