"""Writing by way of middleware: every write is offered to callbacks, from the whole down to its cells.

The Store comes here only when it has middleware with a callback. What a callback returns is validated anew,
cell by cell, and a row is created by its first cell that nobody objects to, so a veto leaves no empty row or
table behind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from replicell.store.cells import RICH_PREFIX, EncodedCell, decode_cell, encoded_rich_cell
from replicell.store.changes import EncodedRow, EncodedTable
from replicell.store.ids import Id, to_id
from replicell.store.missing import MISSING, MissingType

if TYPE_CHECKING:
    from replicell.store.writing import Writing

__all__ = ["Event", "Guard"]

Event: TypeAlias = Literal[
    "will_set_content",
    "will_set_tables",
    "will_set_table",
    "will_set_row",
    "will_set_cell",
    "will_set_values",
    "will_set_value",
    "will_del_tables",
    "will_del_table",
    "will_del_row",
    "will_del_cell",
    "will_del_values",
    "will_del_value",
    "will_apply_changes",
]
"""What callbacks are asked about."""


class Guard:
    """The callbacks of a store's middleware, and the writes of that store as they let them pass.

    In what follows, `raw` says whether cells are as a callback returned them, or encoded and valid.
    """

    __slots__ = ("_callbacks", "_store")

    def __init__(self, store: Writing) -> None:
        self._store = store
        self._callbacks: dict[Event, list[Callable[..., Any]]] = {}

    def add(self, event: Event, callback: Callable[..., Any]) -> None:
        """Add a callback, to be asked after those there are."""
        self._callbacks.setdefault(event, []).append(callback)

    # --- everything ---------------------------------------------------------------------------------------

    def content(self, content: Any, encoded: bool) -> Any:
        """Offer whole content; give what is to be set instead, or MISSING."""
        if "will_set_content" not in self._callbacks:
            return content
        return self._transformed("will_set_content", (), tuple([_copied(half, encoded) for half in content]))

    def changes(self, tables: Any, values: Any, encoded: bool) -> Any:
        """Offer a change set; give what is to be applied instead, or MISSING."""
        if "will_apply_changes" not in self._callbacks:
            return tables, values
        changes = (_copied(tables, encoded), _copied(values, encoded), 1)
        return self._transformed("will_apply_changes", (), changes)

    # --- tables -------------------------------------------------------------------------------------------

    def write_tables(self, tables: Mapping[Any, Any]) -> None:
        """Do what `set_tables` does with valid tables."""
        raw = "will_set_tables" in self._callbacks
        if raw:
            tables = self._transformed("will_set_tables", (), _copied(tables, True))
            if not tables and not isinstance(tables, Mapping):
                return
        written = {to_id(table_id): table for table_id, table in tables.items()}
        for table_id, table in written.items():
            self.write_table(table_id, table, raw)
        for table_id in [table_id for table_id in self._store._tables if table_id not in written]:
            self.remove_table(table_id)

    def write_table(self, table_id: Id, table: Mapping[Any, Any], raw: bool = False) -> None:
        """Do what `set_table` does with a table."""
        if "will_set_table" in self._callbacks:
            table = self._transformed("will_set_table", (table_id,), _copied(table, not raw))
            raw = True
        if not isinstance(table, Mapping):
            return
        written = {to_id(row_id): row for row_id, row in table.items()}
        for row_id, row in written.items():
            self.write_row(table_id, row_id, row, raw)
        for row_id in [row_id for row_id in self._rows(table_id) if row_id not in written]:
            self.delete_row(table_id, row_id)

    def write_row(self, table_id: Id, row_id: Id, row: Mapping[Any, Any], raw: bool = False) -> None:
        """Do what `set_row` does with a row."""
        if "will_set_row" in self._callbacks:
            row = self._transformed("will_set_row", (table_id, row_id), _copied(row, not raw))
            raw = True
        if not isinstance(row, Mapping):
            return
        written = {to_id(cell_id): cell for cell_id, cell in row.items()}
        for cell_id, cell in written.items():
            self.write_cell(table_id, row_id, cell_id, cell, raw)
        for cell_id in [cell_id for cell_id in self._cells(table_id, row_id) if cell_id not in written]:
            self.delete_cell(table_id, row_id, cell_id, force=False)

    def write_partial_row(self, table_id: Id, row_id: Id, partial_row: EncodedRow) -> None:
        """Do what `set_partial_row` does with valid cells, without asking about the row."""
        cells = iter(partial_row.items())
        if not self._cells(table_id, row_id):
            # A new row gets its defaults after its first cell.
            for first_id, first in cells:
                self.put_cell(table_id, row_id, first_id, first)
                break
        for cell_id, cell in cells:
            self.write_cell(table_id, row_id, cell_id, cell)

    def add_row(self, table_id: Id, row_id: Id, row: EncodedRow) -> bool:
        """Do what `add_row` does with a row, and tell whether it was added."""
        self.write_row(table_id, row_id, row)
        if row_id in self._rows(table_id):
            return True
        if not self._rows(table_id):
            self._store._pools.pop(table_id, None)
        return False

    def set_cell(self, table_id: Id, row_id: Id, cell_id: Id, cell: EncodedCell) -> None:
        """Do what `set_cell` does: as a new version of the whole row, if anybody is asked about rows."""
        if "will_set_row" not in self._callbacks:
            self.put_cell(table_id, row_id, cell_id, cell)
            return
        present = self._cells(table_id, row_id)
        prospective = (
            {**present, cell_id: cell}
            if present
            else self._store._with_defaults(table_id, row_id, cell_id, cell)
        )
        row = self._transformed("will_set_row", (table_id, row_id), _copied(prospective, True))
        if not isinstance(row, Mapping):
            return
        written = {to_id(other_id): other for other_id, other in row.items()}
        for other_id, other in written.items():
            accepted = self._store._accept_cell(table_id, row_id, other_id, other)
            if accepted is not MISSING:
                self.write_cell(table_id, row_id, other_id, accepted)
        for other_id in [other_id for other_id in self._cells(table_id, row_id) if other_id not in written]:
            self.delete_cell(table_id, row_id, other_id, force=True)

    def put_cell(self, table_id: Id, row_id: Id, cell_id: Id, cell: EncodedCell) -> None:
        """Set one cell without asking about its row; a new row gets its defaults."""
        if self._cells(table_id, row_id):
            self.write_cell(table_id, row_id, cell_id, cell)
        else:
            row = self._store._with_defaults(table_id, row_id, cell_id, cell)
            for other_id, other in row.items():
                self.write_cell(table_id, row_id, other_id, other)

    def write_cell(self, table_id: Id, row_id: Id, cell_id: Id, cell: Any, raw: bool = False) -> None:
        """Store one cell, if nobody objects."""
        if "will_set_cell" in self._callbacks:
            ids = (table_id, row_id, cell_id)
            cell = self._transformed("will_set_cell", ids, _copied(cell, not raw))
            raw = True
        if raw and cell is not MISSING:
            cell = self._store._accept_cell(table_id, row_id, cell_id, cell)
        if cell is not MISSING:
            self._store._put_cell(table_id, row_id, cell_id, cell)

    def remove_tables(self) -> None:
        """Do what `del_tables` does."""
        if self._allowed("will_del_tables"):
            for table_id in list(self._store._tables):
                self.remove_table(table_id)

    def remove_table(self, table_id: Id) -> None:
        """Do what `del_table` does."""
        if table_id in self._store._tables and self._allowed("will_del_table", table_id):
            for row_id in list(self._rows(table_id)):
                self.delete_row(table_id, row_id)

    def delete_row(self, table_id: Id, row_id: Id) -> None:
        """Do what `del_row` does."""
        if row_id not in self._rows(table_id) or not self._allowed("will_del_row", table_id, row_id):
            return
        for cell_id in list(self._cells(table_id, row_id)):
            self.delete_cell(table_id, row_id, cell_id, force=True)
        if self._rows(table_id) and row_id not in self._rows(table_id):
            self._store._release_row_id(table_id, row_id)

    def delete_cell(self, table_id: Id, row_id: Id, cell_id: Id, *, force: bool) -> None:
        """Do what `del_cell` does."""
        store = self._store
        if cell_id not in self._cells(table_id, row_id):
            return
        rules = None if store._tables_rules is None else store._tables_rules.get(table_id)
        has_default = rules is not None and cell_id in rules.defaults
        if rules is not None and has_default and not force:
            self.write_cell(table_id, row_id, cell_id, rules.defaults[cell_id])
        elif self._allowed("will_del_cell", table_id, row_id, cell_id):
            if cell_id not in self._cells(table_id, row_id):
                return
            if has_default:
                store._remove_row(table_id, row_id)
            else:
                store._remove_cell(table_id, row_id, cell_id)

    # --- values -------------------------------------------------------------------------------------------

    def write_values(self, values: Mapping[Any, Any]) -> None:
        """Do what `set_values` does with valid values."""
        raw = "will_set_values" in self._callbacks
        if raw:
            values = self._transformed("will_set_values", (), _copied(values, True))
            if not isinstance(values, Mapping):
                return
        written = {to_id(value_id): value for value_id, value in values.items()}
        for value_id, value in written.items():
            self.write_value(value_id, value, raw)
        for value_id in [value_id for value_id in self._store._values if value_id not in written]:
            self.delete_value(value_id)

    def write_value(self, value_id: Id, value: Any, raw: bool = False) -> None:
        """Store one value, if nobody objects."""
        if "will_set_value" in self._callbacks:
            value = self._transformed("will_set_value", (value_id,), _copied(value, not raw))
            raw = True
        if raw and value is not MISSING:
            value = self._store._accept_value(value_id, value)
        if value is not MISSING:
            self._store._put_value(value_id, value)

    def delete_values(self) -> None:
        """Do what `del_values` does."""
        if self._allowed("will_del_values"):
            for value_id in list(self._store._values):
                self.delete_value(value_id)

    def delete_value(self, value_id: Id) -> None:
        """Do what `del_value` does."""
        store = self._store
        if value_id not in store._values:
            return
        rules = store._values_rules
        if rules is not None and value_id in rules.defaults:
            self.write_value(value_id, rules.defaults[value_id])
        elif self._allowed("will_del_value", value_id) and value_id in store._values:
            store._remove_value(value_id)

    # ------------------------------------------------------------------------------------------------------

    def _transformed(self, event: Event, ids: tuple[Id, ...], thing: Any) -> Any:
        may_be_none = event in ("will_set_cell", "will_set_value")
        for callback in self._callbacks[event]:
            thing = callback(*ids, thing)
            # A callback for more than a cell that returns nothing at all objects too, as in JavaScript.
            if thing is MISSING or (thing is None and not may_be_none):
                return MISSING
        return thing

    def _allowed(self, event: Event, *ids: Id) -> bool:
        return all(callback(*ids) for callback in self._callbacks.get(event, ()))

    def _rows(self, table_id: Id) -> EncodedTable:
        return self._store._tables.get(table_id, {})

    def _cells(self, table_id: Id, row_id: Id) -> EncodedRow:
        return self._rows(table_id).get(row_id, {})


def _copied(thing: Any, encoded: bool) -> Any:
    """Copy what a callback may change, with objects and arrays decoded."""
    if isinstance(thing, Mapping):
        return {to_id(key): _copied(child, encoded) for key, child in thing.items()}
    if isinstance(thing, (list, tuple)):
        return [_copied(child, False) for child in thing]
    if encoded and isinstance(thing, str) and thing[:1] == RICH_PREFIX:
        text: str | MissingType = encoded_rich_cell(thing)
        return thing if text is MISSING else decode_cell(text)
    return thing
