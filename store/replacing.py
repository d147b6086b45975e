"""What the writing methods do inside their transaction: replace, merge and delete, minding defaults.

What is given is accepted first (see `replicell.store.validation`), then written by `replicell.store.edits`.
With middleware, the guard takes over where content is about to change.
"""

from __future__ import annotations

from collections.abc import Mapping
from sys import intern
from typing import Any

from replicell.store.cells import EncodedCell
from replicell.store.changes import EncodedRow, EncodedTable, RowChanges
from replicell.store.errors import InvalidWriteError
from replicell.store.ids import Id, IdPool, to_id
from replicell.store.missing import MISSING, MissingType
from replicell.store.validation import Validation, plain_row

__all__ = ["Replacing"]

_CHANGES_OF_A_TABLE = "changes of a table must be a mapping of row ids to changes of rows, or MISSING"
_CHANGES_OF_A_ROW = "changes of a row must be a mapping of cell ids to cells, or MISSING"


class Replacing(Validation):
    """Replaces, merges and deletes content within the open transaction."""

    __slots__ = ()

    def _write_content(self, content: Any) -> None:
        if not isinstance(content, (list, tuple)):
            self._refuse_content("content", content, "it must be a pair of tables and values")
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

    def _refuse_content(self, where: str, given: object, rule: str) -> None:
        if self._strict:
            raise InvalidWriteError(where, given, rule)

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
            elif isinstance(table, Mapping):
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
        if type(row) is not dict and not isinstance(row, Mapping):
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
        for given_table_id, table in tables.items():
            table_id = to_id(given_table_id)
            if table is not MISSING and not isinstance(table, Mapping):
                self._refuse_whole(table_id, MISSING, table, _CHANGES_OF_A_TABLE)
            for given_row_id, row in () if table is MISSING else table.items():
                row_id = to_id(given_row_id)
                if row is not MISSING and not isinstance(row, Mapping):
                    self._refuse_whole(table_id, row_id, row, _CHANGES_OF_A_ROW)
                for cell_id, cell in () if row is MISSING else row.items():
                    if cell is not MISSING:
                        self._accept_cell(table_id, row_id, to_id(cell_id), cell)
        for value_id, value in values.items():
            if value is not MISSING:
                self._accept_value(to_id(value_id), value)


def _is_empty(half: object) -> bool:
    return isinstance(half, Mapping) and not half
